// A TestIssuer on a socket, as a web handler, and as routes.
import { NodeHttpServer } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Option, type Scope } from "effect"
import { FetchHttpClient, HttpClient, HttpClientRequest, HttpEffect, HttpRouter, HttpServerResponse } from "effect/http"
import { TestIssuer } from "effect-oauth2/testing"
import { createServer } from "node:http"
import { get, jwks, layerOf, rsa, transportError, verifyWith } from "../support/testIssuers.ts"

describe("TestIssuer.serve", () => {
  const server = NodeHttpServer.layer(createServer, { port: 0 })
  const live = (
    name: string,
    body: () => Effect.Effect<void, unknown, TestIssuer | HttpClient.HttpClient | Scope.Scope>
  ) =>
    it.live(name, () =>
      Effect.gen(function* () {
        const key = yield* Effect.promise(() => rsa)
        yield* Effect.provide(
          body(),
          Layer.merge(TestIssuer.serve({ keys: [key] }).pipe(Layer.provide(server)), FetchHttpClient.layer)
        )
      })
    )

  live("uses the server's address as the issuer, and JwtVerifier finds the keys", () =>
    Effect.gen(function* () {
      const { issuer, jwksUri, mint, requests, rotate } = yield* TestIssuer
      assert.match(issuer, /^http:\/\/127\.0\.0\.1:\d+$/)
      assert.strictEqual(jwksUri, `${issuer}/jwks`)
      const verify = yield* verifyWith()
      assert.strictEqual(yield* verify(yield* mint()), "demo")
      assert.deepStrictEqual(
        (yield* requests).map(({ endpoint, method, url }) => [endpoint, method, url]),
        [
          ["openid-configuration", "GET", `${issuer}/.well-known/openid-configuration`],
          ["jwks", "GET", jwksUri]
        ]
      )
      yield* rotate("ES256")
      assert.strictEqual(yield* verify(yield* mint()), "demo")
    })
  )

  live("sends the response that respond sets, and 404 for other paths", () =>
    Effect.gen(function* () {
      const { issuer, jwksUri, requests, respond } = yield* TestIssuer
      assert.strictEqual((yield* get(`${issuer}//token?x`)).status, 404)
      assert.deepInclude((yield* requests)[0], { endpoint: "other", url: `${issuer}//token?x` })
      yield* respond("jwks", { status: 418, headers: { "x-a": "b" }, body: "sorry" })
      const answer = yield* get(jwksUri)
      assert.strictEqual(answer.status, 418)
      assert.strictEqual(answer.headers["x-a"], "b")
      assert.strictEqual(answer.headers["content-type"], "application/json")
      assert.strictEqual(yield* answer.text, "sorry")
      yield* respond("jwks", { delay: "50 millis" })
      const before = performance.now()
      yield* Effect.flatMap(get(jwksUri), (response) => response.text)
      assert.isAtLeast(performance.now() - before, 45)
    })
  )

  live("breaks the connection of an unreachable endpoint, and serves the next request", () =>
    Effect.gen(function* () {
      const { jwksUri, mint, respond } = yield* TestIssuer
      yield* respond("jwks", "unreachable")
      transportError(yield* Effect.exit(get(jwksUri)))
      assert.strictEqual(yield* (yield* verifyWith())(yield* mint()), "AuthorizationServerUnavailable Unreachable")
      yield* respond("jwks", "normal")
      assert.strictEqual((yield* get(jwksUri)).status, 200)
    })
  )

  live("closes while a response is pending that never comes", () =>
    Effect.gen(function* () {
      const { jwksUri, requests, respond } = yield* TestIssuer
      yield* respond("jwks", "never")
      assert.isTrue(Option.isNone(yield* Effect.timeoutOption(get(jwksUri), "100 millis")))
      assert.lengthOf(yield* requests, 1)
    })
  )

  it.effect("responds to a web request of any origin, with 503 if the endpoint is unreachable", () =>
    Effect.gen(function* () {
      const { app, requests } = yield* TestIssuer
      const handle = HttpEffect.toWebHandler(app)
      const response = yield* Effect.promise(() => handle(new Request("http://anything/jwks")))
      assert.strictEqual(response.status, 200)
      assert.deepInclude((yield* requests)[0], { endpoint: "jwks", url: jwks })
      yield* TestIssuer.use(({ respond }) => respond("jwks", "unreachable"))
      const none = yield* Effect.promise(() => handle(new Request("http://anything/jwks")))
      assert.strictEqual(none.status, 503)
    }).pipe(Effect.provide(layerOf()))
  )
})

describe("TestIssuer.routes", () => {
  it.live("adds the endpoints to a router that has other routes", () =>
    Effect.gen(function* () {
      const client = yield* HttpClient.HttpClient
      const status = (path: string) =>
        Effect.map(client.execute(HttpClientRequest.get(path)), (response) => response.status)
      assert.strictEqual(yield* status("/health"), 204)
      assert.strictEqual(yield* status("/a:b/.well-known/openid-configuration"), 200)
      assert.strictEqual(yield* status("/.well-known/oauth-authorization-server/a:b"), 200)
      assert.strictEqual(yield* status("/a:b/jwks"), 200)
      assert.strictEqual(yield* status("/a:b"), 404)
      assert.strictEqual(yield* status("/axb/jwks"), 404)
    }).pipe(
      Effect.provide(
        HttpRouter.serve(Layer.merge(HttpRouter.add("GET", "/health", HttpServerResponse.empty()), TestIssuer.routes), {
          disableListenLog: true,
          disableLogger: true
        }).pipe(
          Layer.provide(layerOf({ issuer: "http://localhost:1/a:b" })),
          Layer.provideMerge(NodeHttpServer.layerTest)
        )
      )
    )
  )
})
