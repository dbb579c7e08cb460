/** The effects and layers of `BearerToken`. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Deferred, Effect, Exit, Layer, Option, Redacted, Result } from "effect"
import { Headers, HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { BearerToken } from "effect-oauth2"
import { answer, answerTo, noCredentials, print, requestWith, token } from "../support/extractBearerToken.ts"
import { fastapi, verifierLayer } from "../support/bearerTokenApp.ts"

describe("BearerToken", () => {
  describe("extract", () => {
    it.effect(
      "fails with NotAuthenticated without a bearer token, and with InvalidRequest if the token is malformed",
      () =>
        Effect.gen(function* () {
          const failure = (value: string | undefined) =>
            Effect.flip(BearerToken.extract).pipe(
              Effect.provideService(HttpServerRequest.HttpServerRequest, requestWith(value)),
              Effect.map((error) => ({ _tag: error._tag, reason: error.reason }))
            )
          assert.deepStrictEqual(yield* failure(undefined), { _tag: "NotAuthenticated", reason: "NoCredentials" })
          assert.deepStrictEqual(yield* failure(""), { _tag: "NotAuthenticated", reason: "NoCredentials" })
          assert.deepStrictEqual(yield* failure("Basic dTpw"), { _tag: "NotAuthenticated", reason: "OtherScheme" })
          assert.deepStrictEqual(yield* failure("Bearer"), { _tag: "InvalidRequest", reason: "Malformed" })
          assert.deepStrictEqual(yield* failure("Bearer a b"), { _tag: "InvalidRequest", reason: "Malformed" })
          assert.deepStrictEqual(yield* failure("x".repeat(8193)), { _tag: "InvalidRequest", reason: "TooLong" })
        })
    )

    it.effect("reads the request again in each run", () =>
      Effect.gen(function* () {
        for (const value of ["one", "two", "one"]) {
          assert.deepStrictEqual(yield* answer(`Bearer ${value}`), token(value))
        }
      })
    )

    for (const [where, request] of [
      ["the query", new Request("http://localhost/?access_token=abc&token=abc&Authorization=Bearer%20abc")],
      [
        "a form",
        new Request("http://localhost/", { method: "POST", body: new URLSearchParams({ access_token: "abc" }) })
      ],
      [
        "a cookie",
        new Request("http://localhost/", { headers: { cookie: "access_token=abc; Authorization=Bearer abc" } })
      ],
      [
        "headers with another name",
        new Request("http://localhost/", {
          headers: {
            "proxy-authorization": "Bearer abc",
            "x-authorization": "Bearer abc",
            "x-forwarded-authorization": "Bearer abc",
            authorization_: "Bearer abc",
            "www-authenticate": "Bearer abc"
          }
        })
      ]
    ] as const) {
      it.effect(`ignores a token in ${where}`, () =>
        Effect.gen(function* () {
          assert.deepStrictEqual(yield* answerTo(HttpServerRequest.fromWeb(request)), noCredentials)
        })
      )
    }

    it.effect("ignores headers named __proto__ and constructor", () =>
      Effect.gen(function* () {
        const request = HttpServerRequest.fromWeb(new Request("http://localhost/")).modify({
          headers: Headers.fromRecordUnsafe({ ["__proto__"]: "Bearer abc", constructor: "Bearer abc" })
        })
        assert.deepStrictEqual(yield* answerTo(request), noCredentials)
      })
    )
  })

  describe("extractOption", () => {
    const optional = (value: string | undefined) =>
      BearerToken.extractOption.pipe(
        Effect.provideService(HttpServerRequest.HttpServerRequest, requestWith(value)),
        Effect.result
      )

    it.effect("returns None for a request without a bearer token", () =>
      Effect.gen(function* () {
        for (const value of [undefined, "", " ", "Basic dTpw", "DPoP abc"]) {
          assert.deepStrictEqual(yield* optional(value), Result.succeed(Option.none()), JSON.stringify(value))
        }
      })
    )

    it.effect("returns the token in Some", () =>
      Effect.gen(function* () {
        const found = Option.getOrThrow(Result.getOrThrow(yield* optional("bearer abc")))
        assert.strictEqual(Redacted.value(found), "abc")
      })
    )

    it.effect("fails for malformed credentials instead of returning None", () =>
      Effect.gen(function* () {
        for (const value of ["Bearer", "Bearer ", "Bearer a b", "Bearer a\0", "Bearer =", "x".repeat(8193)]) {
          const refused = yield* optional(value)
          assert.isTrue(Result.isFailure(refused), JSON.stringify(value.slice(0, 20)))
          if (Result.isFailure(refused)) assert.strictEqual(refused.failure._tag, "InvalidRequest")
        }
      })
    )
  })

  describe("layer", () => {
    const provided = Effect.map(BearerToken, Redacted.value).pipe(Effect.provide(BearerToken.layer))

    it.effect("provides the token of the request", () =>
      Effect.gen(function* () {
        const found = provided.pipe(
          Effect.provideService(HttpServerRequest.HttpServerRequest, requestWith("Bearer abc"))
        )
        assert.strictEqual(yield* found, "abc")
      })
    )

    it.effect("fails with the typed errors of extract", () =>
      Effect.gen(function* () {
        const refusal = (value: string | undefined) =>
          Effect.flip(provided).pipe(
            Effect.provideService(HttpServerRequest.HttpServerRequest, requestWith(value)),
            Effect.map((error) => error._tag)
          )
        assert.strictEqual(yield* refusal(undefined), "NotAuthenticated")
        assert.strictEqual(yield* refusal("Bearer"), "InvalidRequest")
      })
    )

    it.effect("memoizes neither a token nor a failure", () =>
      Effect.gen(function* () {
        for (const [value, expected] of [
          ["Bearer one", Exit.succeed("one")],
          ["Bearer two", Exit.succeed("two")],
          [undefined, undefined],
          ["Bearer three", Exit.succeed("three")]
        ] as const) {
          const exit = yield* Effect.exit(provided).pipe(
            Effect.provideService(HttpServerRequest.HttpServerRequest, requestWith(value))
          )
          if (expected === undefined) assert.isTrue(Exit.isFailure(exit))
          else assert.deepStrictEqual(exit, expected)
        }
      })
    )

    it.effect("is not memoized, even with one memo map and one scope for all requests", () =>
      Effect.gen(function* () {
        const memoMap = yield* Layer.makeMemoMap
        const scope = yield* Effect.scope
        for (const value of ["one", "two", "three"]) {
          const context = yield* Layer.buildWithMemoMap(BearerToken.layer, memoMap, scope).pipe(
            Effect.provideService(HttpServerRequest.HttpServerRequest, requestWith(`Bearer ${value}`))
          )
          assert.strictEqual(Redacted.value(Context.get(context, BearerToken)), value)
        }
      })
    )

    it.effect("is not memoized inside a layer that several requests share", () =>
      Effect.gen(function* () {
        class Caller extends Context.Service<Caller, string>()("test/Caller") {}
        const callerLayer = Layer.effect(Caller, Effect.map(BearerToken, Redacted.value)).pipe(
          Layer.provide(BearerToken.layer)
        )
        const found = yield* Effect.forEach(
          ["one", "two", "three"],
          (value) =>
            Caller.pipe(
              Effect.provide(callerLayer),
              Effect.provideService(HttpServerRequest.HttpServerRequest, requestWith(`Bearer ${value}`))
            ),
          { concurrency: "unbounded" }
        )
        assert.deepStrictEqual(found, ["one", "two", "three"])
      })
    )

    // Effect memoizes a layer by reference, and an app has one memo map for all requests. A memoized layer would leak
    // tokens between requests.
    it.effect("provides each concurrent request with its own token", () =>
      Effect.gen(function* () {
        const count = 200
        const allHaveTokens = yield* Deferred.make<void>()
        let waiting = 0
        const handler = Effect.gen(function* () {
          const before = Redacted.value(yield* BearerToken)
          if (++waiting === count) yield* Deferred.succeed(allHaveTokens, undefined)
          yield* Deferred.await(allHaveTokens)
          yield* Effect.yieldNow
          const after = Redacted.value(yield* BearerToken)
          return HttpServerResponse.text(`${before} ${after}`)
        })
        const app = yield* HttpRouter.toHttpEffect(
          HttpRouter.add("GET", "/", Effect.andThen(Effect.yieldNow, Effect.provide(handler, BearerToken.layer)))
        )
        const bodies = yield* Effect.forEach(
          Array.from({ length: count }, (_, i) => `token-${i}`),
          Effect.fnUntraced(function* (value) {
            const headers = { authorization: `Bearer ${value}` }
            const request = HttpServerRequest.fromWeb(new Request("http://localhost/", { headers }))
            const response = yield* Effect.provideService(app, HttpServerRequest.HttpServerRequest, request)
            return yield* Effect.promise(() => HttpServerResponse.toWeb(response).text())
          }),
          { concurrency: "unbounded" }
        )
        assert.deepStrictEqual(
          bodies,
          bodies.map((_, i) => `token-${i} token-${i}`)
        )
      })
    )
  })

  describe("layerTest", () => {
    it.effect("provides the given token without a request", () =>
      Effect.gen(function* () {
        const bearer = yield* Effect.provide(BearerToken, BearerToken.layerTest("demo"))
        assert.strictEqual(Redacted.value(bearer), "demo")
        assert.strictEqual(print(bearer), "<redacted:access_token>")
      })
    )

    it.effect("does not authorize a request, because the guard reads the credential of the request", () =>
      Effect.gen(function* () {
        const Guarded = HttpRouter.add("GET", "/", HttpServerResponse.text("open")).pipe(
          fastapi.require(),
          Layer.provide(fastapi.layer(verifierLayer))
        )
        const app = yield* HttpRouter.toHttpEffect(Guarded).pipe(Effect.provide(BearerToken.layerTest("good")))
        const error = yield* Effect.flip(app).pipe(
          Effect.provide(BearerToken.layerTest("good")),
          Effect.provideService(HttpServerRequest.HttpServerRequest, requestWith(undefined))
        )
        assert.strictEqual(error._tag, "NotAuthenticated")
      })
    )
  })
})
