/** Mints JWTs of a test issuer and verifies them. */
import { assert, it } from "@effect/vitest"
import { Effect, Exit, Layer, Option, Redacted, type Scope } from "effect"
import { HttpClient } from "effect/http"
import { JwtVerifier, KeySet, SecurityError, TokenVerifier } from "effect-oauth2"
import { type MintOptions, type SigningKey, TestIssuer } from "effect-oauth2/testing"

export const issuer = "https://issuer.test"
export const audience = "https://api.test"

export const { ec, other, rsa } = await Effect.runPromise(
  Effect.all({
    rsa: TestIssuer.makeKey("rsa-1"),
    other: TestIssuer.makeKey("rsa-1"),
    ec: TestIssuer.makeKey("ec-1", "ES256")
  })
)

/** Runs a test with an issuer whose key is `rsa`. */
export const test = (
  name: string,
  body: () => Effect.Effect<void, unknown, TestIssuer | HttpClient.HttpClient | Scope.Scope>
) => it.effect(name, () => Effect.provide(body(), TestIssuer.layer({ issuer, audience, keys: [rsa] })))

/** Mints a token with scopes. The token is valid unless the options make it invalid. */
export const mint = (options: MintOptions = {}) =>
  TestIssuer.use((issuer) => issuer.mint({ scopes: ["items:read", "me"], ...options }))

export const verifyWith = (
  options: Partial<JwtVerifier.Options>,
  published: ReadonlyArray<SigningKey>,
  token: string
) =>
  Effect.flatMap(TokenVerifier, (verifier) => verifier.verify(Redacted.make(token))).pipe(
    Effect.provide(
      JwtVerifier.layerKeySet({ issuer, audience, ...options }).pipe(
        Layer.provide(KeySet.layerStatic({ keys: published.map((key) => key.jwk) }))
      )
    )
  )

/** Mints a token with the key of the issuer and verifies it with the same key. */
export const outcome = (mintOptions: MintOptions, options: Partial<JwtVerifier.Options> = {}) =>
  Effect.gen(function* () {
    const token = yield* mint(mintOptions)
    return yield* Effect.exit(verifyWith(options, [rsa], token))
  })

export const assertRefused = (
  exit: Exit.Exit<unknown, unknown>,
  expected: { readonly reason: string; readonly claim?: string }
) => {
  assert(Exit.isFailure(exit), "the token was accepted")
  const error = Option.getOrThrow(Exit.findErrorOption(exit))
  assert.instanceOf(error, SecurityError.InvalidToken)
  assert.deepStrictEqual({ reason: error.reason, claim: error.claim }, { claim: undefined, ...expected })
}
