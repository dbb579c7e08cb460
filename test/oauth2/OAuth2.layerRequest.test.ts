import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Redacted } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { AccessToken, BearerToken, SecurityScopes } from "effect-oauth2"
import { serve } from "../support/web.ts"
import { auth, detail, verifier } from "../support/schemeWithFourScopes.ts"
import { fromContext } from "../support/contextVerifier.ts"

describe("auth.layerRequest", () => {
  it.effect("provides the token of the current request among concurrent requests", () =>
    Effect.gen(function* () {
      const handler = Effect.gen(function* () {
        yield* Effect.yieldNow
        const token = yield* AccessToken
        const credential = yield* BearerToken
        return HttpServerResponse.text(`${token.subject} ${Redacted.value(credential)}`)
      }).pipe(Effect.provide(auth.layerRequest), SecurityScopes.require("a"))
      const app = HttpRouter.add("GET", "/", handler).pipe(
        HttpRouter.provideRequest(auth.layer(fromContext)),
        Layer.provide(verifier().layer)
      )
      const send = yield* serve(app)
      const names = Array.from({ length: 30 }, (_, i) => ["a", "ab", "abc", "none"][i % 4] ?? "a")
      const answers = yield* Effect.all(
        names.map((name) => send("/", name)),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(
        answers.map(({ body }) => body),
        names.map((name) => (name === "none" ? detail("Not enough permissions") : `${name} ${name}`))
      )
    })
  )
})

describe("auth.layerRequest with a shared memo map and scope", () => {
  it.effect("is built again for each request", () =>
    Effect.gen(function* () {
      const memoMap = yield* Layer.makeMemoMap
      const scope = yield* Effect.scope
      const tokens = verifier()
      const scheme = yield* Layer.build(auth.layer(tokens.layer))
      const names = ["a", "ab", "abc"]
      for (const name of [...names, ...names]) {
        const request = new Request("http://localhost/", { headers: { authorization: `Bearer ${name}` } })
        const context = yield* Layer.buildWithMemoMap(auth.layerRequest, memoMap, scope).pipe(
          Effect.provideService(HttpServerRequest.HttpServerRequest, HttpServerRequest.fromWeb(request)),
          Effect.provideContext(scheme)
        )
        assert.strictEqual(Context.get(context, AccessToken).subject, name)
        assert.strictEqual(Redacted.value(Context.get(context, BearerToken)), name)
      }
      assert.deepStrictEqual(tokens.calls, [...names, ...names])
    })
  )
})
