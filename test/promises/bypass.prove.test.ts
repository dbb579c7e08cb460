/** `auth.prove` proves only the scopes of a token that it has verified itself. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Logger } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { BearerToken, Requirement, TokenVerifier } from "effect-oauth2"
import { verified } from "../support/TestVerifier.ts"
import { type App, auth, cast, serveWithLog, verifier } from "../support/untypedApps.ts"

describe("auth.prove", () => {
  const proven = auth
    .prove("a")(auth.granted("a"))
    .pipe(Effect.map((token) => token.subject))
  const answer = cast(Effect.map(proven, HttpServerResponse.text))

  it.effect("uses the request's own token within a request, even if a BearerToken is provided", () =>
    Effect.gen(function* () {
      const app = HttpRouter.add("GET", "/", Effect.provide(answer, BearerToken.layerTest("ab"))).pipe(
        HttpRouter.provideRequest(auth.layer(verifier().layer))
      )
      const { send } = yield* serveWithLog(app as App)
      for (const token of [undefined, "none", "bad"]) assert.strictEqual((yield* send("/", token)).status, 401)
      assert.strictEqual((yield* send("/", "mallory")).body, "mallory")
    })
  )

  it.effect("verifies the BearerToken each time outside of a request", () =>
    Effect.gen(function* () {
      const tokens = verifier()
      const run = (token: string) =>
        Effect.result(Effect.provide(proven, [BearerToken.layerTest(token), auth.layer(tokens.layer)]))
      assert.strictEqual((yield* run("a"))._tag, "Success")
      assert.strictEqual((yield* run("a"))._tag, "Success")
      assert.deepStrictEqual(tokens.calls, ["a", "a"])
      for (const token of ["none", "bad", "outage"]) assert.strictEqual((yield* run(token))._tag, "Failure")
    })
  )

  it.effect("does not prove the scopes of the outer token for a nested prove with another token", () =>
    Effect.gen(function* () {
      const inner = cast(auth.prove("b")(auth.granted("a"))).pipe(
        Effect.provide(BearerToken.layerTest("b")),
        Effect.exit
      )
      const exit = yield* auth
        .prove("a")(inner)
        .pipe(Effect.provide([BearerToken.layerTest("a"), auth.layer(verifier().layer)]))
      assert.strictEqual(exit._tag, "Failure")
    }).pipe(Effect.provide(Logger.layer([])))
  )

  for (const [scopes, expected] of [
    [["a", "b"], "Success"],
    [["b"], "Failure"]
  ] as const) {
    it.effect(`ends in ${expected} if the nested prove verifies the token with the scopes ${scopes.join()}`, () =>
      Effect.gen(function* () {
        let verifications = 0
        const tokens = TokenVerifier.layer({
          cache: false,
          verify: () => Effect.sync(() => verified("a", ++verifications === 1 ? ["a", "b"] : scopes))
        })
        const program = auth.prove("a")(
          auth
            .prove("b")(auth.granted("a", "b"))
            .pipe(Effect.map((token) => token.scopes))
        )
        const exit = yield* Effect.exit(Effect.provide(program, [BearerToken.layerTest("t"), auth.layer(tokens)]))
        assert.strictEqual(exit._tag, expected)
        assert.strictEqual(verifications, 2)
      })
    )
  }
})

describe("auth.prove of any of several scopes", () => {
  it.effect("proves only the scopes that the token has when a nested prove verifies it again", () =>
    Effect.gen(function* () {
      let verifications = 0
      const tokens = TokenVerifier.layer({
        cache: false,
        verify: () => Effect.sync(() => verified("a", ++verifications === 1 ? ["a"] : ["b"]))
      })
      const inner = cast(auth.prove("b")(auth.granted("a")))
      const outer = auth.prove(Requirement.any("a", "b"))(Effect.exit(inner))
      const exit = yield* Effect.provide(outer, [BearerToken.layerTest("t"), auth.layer(tokens)])
      assert.strictEqual(exit._tag, "Failure")
      assert.strictEqual(verifications, 2)
    }).pipe(Effect.provide(Logger.layer([])))
  )
})
