/** Three ways to test, from the smallest to the whole app. None of them needs a network. */
import { NodeHttpServer } from "@effect/platform-node"
import { assert, describe, it, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { HttpClient, HttpClientRequest } from "effect/http"
import { TestClock } from "effect/testing"
import { JwtVerifier } from "effect-oauth2"
import { TestIssuer } from "effect-oauth2/testing"
import { App, audience, auth, issuer, Items } from "./Items.ts"

describe("domain code", () => {
  // `layerTestGranted` stands for the route that has proven the scope.
  it.effect("belongs to the subject of the proof", () =>
    Effect.gen(function* () {
      const items = yield* Items
      yield* items.add("A pen")
      assert.deepStrictEqual(yield* items.list, [{ name: "A pen", owner: "alice" }])
    }).pipe(Effect.provide([Items.layer, auth.layerTestGranted({ subject: "alice", scopes: ["items:write"] })]))
  )
})

describe("routes", () => {
  // `layerTest` replaces `auth.layer`. Every request is then authenticated, without a token.
  const serverFor = (token: Parameters<typeof auth.layerTest>[0]) =>
    App.pipe(Layer.provide(auth.layerTest(token)), Layer.provideMerge(NodeHttpServer.layerTest))

  layer(serverFor({ subject: "alice", scopes: ["items:read", "items:write"] }))((it) => {
    it.effect("add an item with both scopes", () =>
      Effect.gen(function* () {
        const response = yield* HttpClient.post("/items")
        assert.strictEqual(response.status, 201)
        assert.deepStrictEqual(yield* response.json, { name: "A pen", owner: "alice" })
      })
    )
  })

  layer(serverFor({ subject: "alice", scopes: ["items:read"] }))((it) => {
    it.effect("refuse a caller without items:write", () =>
      Effect.gen(function* () {
        assert.strictEqual((yield* HttpClient.post("/items")).status, 403)
      })
    )
  })

  layer(serverFor("anonymous"))((it) => {
    it.effect("refuse a caller without a token", () =>
      Effect.gen(function* () {
        assert.strictEqual((yield* HttpClient.get("/items")).status, 401)
      })
    )
  })
})

describe("the whole app", () => {
  // The app has its own verifier, and the test has the issuer. The clock of the test is the clock of both.
  const Authentication = auth
    .layer(JwtVerifier.layer({ issuer, audience }))
    .pipe(Layer.provideMerge(TestIssuer.layer({ issuer, audience })))

  // Both have an `HttpClient`. The test uses the later one, which sends requests to the app.
  const Server = App.pipe(Layer.provideMerge(Layer.merge(Authentication, NodeHttpServer.layerTest)))

  const list = Effect.fnUntraced(function* (token: string) {
    const request = HttpClientRequest.get("/items").pipe(HttpClientRequest.bearerToken(token))
    const { headers, status } = yield* HttpClient.execute(request)
    return [status, headers["www-authenticate"]]
  })
  const refused = 'Bearer error="invalid_token", scope="items:read"'

  layer(Server)((it) => {
    it.effect("accepts a token until it expires", () =>
      Effect.gen(function* () {
        const token = yield* TestIssuer.use(({ mint }) => mint({ scopes: ["items:read"], lifetime: "5 minutes" }))
        assert.deepStrictEqual(yield* list(token), [200, undefined])
        yield* TestClock.adjust("6 minutes")
        assert.deepStrictEqual(yield* list(token), [401, refused])
      })
    )

    it.effect("refuses a token for another API", () =>
      Effect.gen(function* () {
        const { mint } = yield* TestIssuer
        const token = yield* mint({ scopes: ["items:read"], audience: "https://other.test" })
        assert.deepStrictEqual(yield* list(token), [401, refused])
      })
    )
  })

  layer(Server)((it) => {
    it.effect("answers 503 while the issuer is unreachable", () =>
      Effect.gen(function* () {
        const { mint, respond } = yield* TestIssuer
        const token = yield* mint({ scopes: ["items:read"] })
        yield* respond("discovery", "unreachable")
        assert.deepStrictEqual(yield* list(token), [503, undefined])
      })
    )
  })
})
