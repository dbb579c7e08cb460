/** JWTs of an issuer, and what a verifier says of them. */
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

/** A test with an issuer whose key is `rsa`. */
export const test = (
  name: string,
  body: () => Effect.Effect<void, unknown, TestIssuer | HttpClient.HttpClient | Scope.Scope>
) => it.effect(name, () => Effect.provide(body(), TestIssuer.layer({ issuer, audience, keys: [rsa] })))

/** A token with scopes, good but for what the options change. */
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

/** Mints with the issuer's key, verifies with it. */
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
