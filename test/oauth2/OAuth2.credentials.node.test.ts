import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { assert, layer } from "@effect/vitest"
import { DateTime, Effect, Layer } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { AccessToken, OAuth2, TokenVerifier } from "effect-oauth2"
import { get, serve } from "../support/bearerTokenApp.ts"
import { fromContext } from "../support/contextVerifier.ts"

const key = OAuth2.apiKey("Key", { in: "header", name: "X-API-Key" })
const session = OAuth2.apiKey("Session", { in: "cookie", name: "session" })
const user = OAuth2.basic("User", {})

const Verifier = TokenVerifier.layer({
  verify: () =>
    Effect.succeed(
      AccessToken.make({
        subject: "anyone",
        scopes: [],
        issuer: "test",
        expiresAt: DateTime.makeUnsafe("2100-01-01T00:00:00Z")
      })
    )
})

const reached = Effect.succeed(HttpServerResponse.text("reached"))

const Routes = Layer.mergeAll(
  HttpRouter.add("GET", "/key", reached).pipe(key.require()),
  HttpRouter.add("GET", "/session", reached).pipe(session.require()),
  HttpRouter.add("GET", "/user", reached).pipe(user.require())
).pipe(
  Layer.provide([key.layer(fromContext), session.layer(fromContext), user.layer(fromContext)]),
  Layer.provide(Verifier)
)

layer(HttpRouter.serve(Routes, serve).pipe(Layer.provideMerge(NodeHttpServer.layerTest)))(
  "credentials on a Node server",
  (it) => {
    for (const [what, path, lines, status] of [
      ["one API key", "/key", ["X-API-Key: abc"], 200],
      ["the API key twice", "/key", ["X-API-Key: abc", "X-API-KEY: abc"], 401],
      ["the session twice, in two Cookie headers", "/session", ["Cookie: session=a", "Cookie: session=b"], 401],
      ["one session in two Cookie headers", "/session", ["Cookie: a=b", "Cookie: session=a"], 200],
      ["a user and a bearer token", "/user", ["Authorization: Basic YTpi", "Authorization: Bearer a"], 401],
      ["a user", "/user", ["Authorization: Basic YTpi"], 200]
    ] as const) {
      it.effect(`answer ${status} to ${what}`, () =>
        Effect.map(get(path, ...lines), (response) => assert.strictEqual(response.status, status))
      )
    }
  }
)
