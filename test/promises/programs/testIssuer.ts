/** Serves a test issuer, which generates its keys while the server listens. */
import { NodeHttpServer, NodeRuntime } from "@effect/platform-node"
import { Layer } from "effect"
import { TestIssuer } from "effect-oauth2/testing"
import { createServer } from "node:http"

const Issuer = TestIssuer.serve().pipe(
  Layer.provide(NodeHttpServer.layer(createServer, { port: Number(process.env["PORT"]), host: "127.0.0.1" }))
)

NodeRuntime.runMain(Layer.launch(Issuer))
