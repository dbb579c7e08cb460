/** Copies of errors that `Challenge.within` returns. */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Layer } from "effect"
import { HttpServerRespondable } from "effect/http"
import { Challenge, OAuth2, SecurityError } from "effect-oauth2"
import { errors, flow, get, guarded, served, settings, variants } from "../support/errorTable.ts"

describe("Challenge", () => {
  describe("within", () => {
    it("returns a copy with the class and the fields of the error", () => {
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

    it("replaces the stack by one line, because a refused request is not a bug", () => {
      const { message, stack } = Challenge.within(errors.InvalidToken, settings())
      assert.strictEqual(stack, `InvalidToken: ${message}`)
    })

    it.effect("returns an error that can be caught, yielded and matched", () =>
      Effect.gen(function* () {
        const copy = Challenge.within(errors.InvalidToken, settings())
        const caught = Effect.catchTag(copy, "InvalidToken", (error) => Effect.succeed(error))
        assert.strictEqual(yield* caught, copy)
        assert.include(Cause.pretty(Cause.fail(copy)), "InvalidToken")
      })
    )

    it.effect("does not change the original error, and accepts a frozen one", () =>
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

    it.effect("lets several schemes respond to one error, each with its own settings", () =>
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

    it.effect("lets two guards of one app respond to one error of a verifier", () =>
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
