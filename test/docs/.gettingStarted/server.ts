import { NodeHttpServer, NodeRuntime } from "@effect/platform-node"
import { Layer } from "effect"
import { FetchHttpClient, HttpRouter } from "effect/http"
import { JwtVerifier } from "effect-oauth2"
import { createServer } from "node:http"
import { audience, auth, issuer, Routes } from "./app.ts"

const App = HttpRouter.serve(Routes).pipe(
  // The server is provided first, so the port opens when everything else is ready.
  Layer.provide(NodeHttpServer.layer(createServer, { port: 46807 })),
  Layer.provide(auth.layer(JwtVerifier.layer({ issuer, audience }))),
  Layer.provide(FetchHttpClient.layer)
)

NodeRuntime.runMain(Layer.launch(App))
