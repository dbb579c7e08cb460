// Changes single characters of tokens and key sets at random, and asserts that no forged token is accepted.
import { assert, it, layer } from "@effect/vitest"
import { Arbitrary, Effect, Exit, Layer, Option, Redacted, Schema } from "effect"
import { HttpServerRequest } from "effect/http"
import * as Headers from "effect/http/Headers"
import { BearerToken, JwtVerifier, KeySet, SecurityError, TokenVerifier } from "effect-oauth2"
import { TestIssuer } from "effect-oauth2/testing"
import { audience, keys } from "./Arena.ts"

const VerifierAndIssuer = Layer.unwrap(
  Effect.map(
    Effect.promise(() => keys),
    ({ ec }) =>
      JwtVerifier.layer({ issuer: "https://issuer.test", audience }).pipe(
        Layer.provideMerge(TestIssuer.layer({ issuer: "https://issuer.test", audience, keys: [ec] }))
      )
  )
)

const Change = Schema.Struct({
  at: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1000 })),
  what: Schema.Literals(["replace", "insert", "delete"]),
  code: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 }))
})
const changes = Arbitrary.array(Arbitrary.schema(Change), { minLength: 1, maxLength: 4 })

const change = (text: string, all: ReadonlyArray<typeof Change.Type>) =>
  all.reduce((text, { at, code, what }) => {
    const i = at % text.length
    const end = what === "insert" ? i : i + 1
    return text.slice(0, i) + (what === "delete" ? "" : String.fromCharCode(code)) + text.slice(end)
  }, text)

const refusals = new Set(["NotAuthenticated", "InvalidRequest", "InvalidToken"])

const accepted = { tokens: 0, underChangedKeys: 0 }

layer(VerifierAndIssuer)("a changed credential", (it) => {
  it.effect.prop(
    "fails with a typed error, unless the token is unchanged",
    { changes },
    Effect.fnUntraced(function* ({ changes }) {
      const issuer = yield* TestIssuer
      const verifier = yield* TokenVerifier
      const token = yield* issuer.mint({ scopes: ["read"] })
      const field = change(`Bearer ${token}`, changes)
      const request = HttpServerRequest.fromWeb(new Request("http://localhost")).modify({
        headers: Headers.fromRecordUnsafe({ authorization: field })
      })
      const exit = yield* BearerToken.extract.pipe(
        Effect.provideService(HttpServerRequest.HttpServerRequest, request),
        Effect.flatMap((credential) => Effect.as(verifier.verify(credential), Redacted.value(credential))),
        Effect.exit
      )
      if (Exit.isSuccess(exit)) {
        accepted.tokens++
        assert.strictEqual(exit.value, token)
      } else assert.isTrue(refusals.has(Option.getOrThrow(Exit.findErrorOption(exit))._tag))
    }),
    { arbitrary: { runs: 2000, seed: 1 } }
  )
})

// A verifier that refuses every token would pass the property above.
it("a credential whose changes leave the token unchanged is accepted", () => assert.isAtLeast(accepted.tokens, 1))

layer(Layer.empty)("a changed key set", (it) => {
  it.effect.prop(
    "never verifies a token of another key, and only causes typed errors",
    { changes },
    Effect.fnUntraced(function* ({ changes }) {
      const { attacker, ec } = yield* Effect.promise(() => keys)
      const body = change(JSON.stringify({ keys: [ec.jwk, { ...attacker.jwk, kid: "other" }] }), changes)
      const exits = yield* Effect.gen(function* () {
        const issuer = yield* TestIssuer
        yield* issuer.respond("jwks", { body })
        const verifier = yield* TokenVerifier
        const forged = yield* issuer.mint({ key: { ...attacker, kid: "ec" } })
        return [
          yield* Effect.exit(verifier.verify(Redacted.make(yield* issuer.mint()))),
          yield* Effect.exit(verifier.verify(Redacted.make(forged)))
        ] as const
      }).pipe(
        Effect.provide(
          JwtVerifier.layerKeySet({ issuer: "https://issuer.test", audience, algorithms: ["ES256", "RS256"] }).pipe(
            Layer.provide(KeySet.layerDiscovery({ issuer: "https://issuer.test" })),
            Layer.provideMerge(TestIssuer.layer({ issuer: "https://issuer.test", audience, keys: [ec] }))
          )
        )
      )
      const [genuine, forged] = exits
      if (Exit.isSuccess(genuine)) accepted.underChangedKeys++
      else {
        const error = Option.getOrThrow(Exit.findErrorOption(genuine))
        assert.isTrue(
          error instanceof SecurityError.InvalidToken || error instanceof SecurityError.AuthorizationServerUnavailable
        )
      }
      assert.isTrue(Exit.isFailure(forged) && Option.isSome(Exit.findErrorOption(forged)))
    }),
    { arbitrary: { runs: 500, seed: 1 } }
  )
})

it("a key set whose changes do not touch the issuer's key still verifies the issuer's tokens", () =>
  assert.isAtLeast(accepted.underChangedKeys, 50))
