/**
 * The issuer of the tokens, on a port of its own.
 *
 * `TestIssuer` has real keys and real endpoints, but no login. Use your identity provider in production.
 */
import { NodeHttpServer } from "@effect/platform-node"
import { Layer } from "effect"
import { TestIssuer } from "effect-oauth2/testing"
import { createServer } from "node:http"
import { audience, authorizationServerPort, host } from "./Addresses.ts"

export const serve = (port: number) =>
  TestIssuer.serve({ audience }).pipe(Layer.provide(NodeHttpServer.layer(createServer, { port, host })))

export const layer = serve(authorizationServerPort)
