import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Layer } from "effect"
import { HttpServerRespondable } from "effect/http"
import { Challenge, OAuth2, SecurityError } from "effect-oauth2"
import { errors, flow, get, guarded, served, settings, variants } from "../support/errorTable.ts"

describe("Challenge", () => {
  describe("within", () => {
    it("returns a copy that is the same error", () => {
      for (const error of variants) {
        const copy = Challenge.within(error, settings())
        assert.notStrictEqual<unknown>(copy, error)
        assert.instanceOf(copy, Error)
        assert.instanceOf(copy, error.constructor as new () => unknown)
        assert.strictEqual(copy._tag, error._tag)
        assert.strictEqual(copy.message, error.message)
        assert.strictEqual(copy.name, error.name)
        assert.deepStrictEqual(Object.entries(copy), Object.entries(error))
        assert.strictEqual(String(copy), String(error))
        assert.isTrue(HttpServerRespondable.isRespondable(copy))
      }
    })

    it("shows one line where a stack would be: a refused request is no bug to be traced", () => {
      const { message, stack } = Challenge.within(errors.InvalidToken, settings())
      assert.strictEqual(stack, `InvalidToken: ${message}`)
    })

    it.effect("keeps the error one that can be caught, yielded and matched", () =>
      Effect.gen(function* () {
        const copy = Challenge.within(errors.InvalidToken, settings())
        const caught = Effect.catchTag(copy, "InvalidToken", (error) => Effect.succeed(error))
        assert.strictEqual(yield* caught, copy)
        assert.include(Cause.pretty(Cause.fail(copy)), "InvalidToken")
      })
    )

    it.effect("leaves the original as it was, also a frozen one", () =>
      Effect.gen(function* () {
        for (const error of variants) {
          const before = JSON.stringify(error)
          const answered = yield* Challenge.respond(error)
          Challenge.within(Object.freeze(error), settings({ responses: "rfc6750", scopes: ["a"] }))
          assert.strictEqual(JSON.stringify(error), before)
          assert.deepStrictEqual({ ...(yield* Challenge.respond(error)).headers }, { ...answered.headers })
        }
      })
    )

    it.effect("lets one error value serve several schemes, each with its own settings", () =>
      Effect.gen(function* () {
        const error = errors.InvalidToken
        const first = Challenge.within(error, settings({ scopes: ["a"] }))
        const second = Challenge.within(error, settings({ scopes: ["b"], responses: "rfc6750" }))
        const third = Challenge.within(first, settings({ scopes: ["c"] }))
        const challenge = (error: SecurityError.SecurityError) =>
          Effect.map(Challenge.respond(error), (response) => response.headers["www-authenticate"])
        assert.strictEqual(yield* challenge(first), 'Bearer scope="a"')
        assert.strictEqual(yield* challenge(second), 'Bearer error="invalid_token", scope="b"')
        assert.strictEqual(yield* challenge(third), 'Bearer scope="c"')
        assert.strictEqual(yield* challenge(error), "Bearer")
      })
    )

    it.effect("lets one verifier's error serve two guards of one app", () =>
      Effect.gen(function* () {
        for (let i = 0; i < 2; i++) {
          assert.strictEqual((yield* get("/one", "Bearer rejected")).challenge, 'Bearer scope="a"')
          assert.strictEqual(
            (yield* get("/two", "Bearer rejected")).challenge,
            'Bearer error="invalid_token", scope="b"'
          )
        }
      }).pipe(
        Effect.provide(
          served(
            Layer.mergeAll(
              guarded(OAuth2.authorizationCode("one", flow), "/one", ["a"]),
              guarded(OAuth2.authorizationCode("two", { ...flow, responses: "rfc6750" }), "/two", ["b"])
            )
          )
        )
      )
    )
  })
})
