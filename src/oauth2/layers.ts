/** The layers of a scheme: authentication by a verifier, and what stands for it in tests. */
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { AccessToken, type VerifiedToken } from "../core/AccessToken.ts"
import type { TestToken } from "./oauth2Scheme.ts"
import { TokenVerifier } from "../verifier/TokenVerifier.ts"
import * as authentication from "../guard/middleware/authentication.ts"
import { Authenticator, TestAuthenticator } from "../verifier/request/authenticator.ts"
import { claimsDecoder, type ClaimsSchema, testClaims } from "./claimsDecoder.ts"
import * as origin from "../guard/scheme/origin.ts"
import { type Authentication, Proof, type Scheme } from "../guard/scheme/scheme.ts"
import { frozenSuccess } from "../core/lib/exit.ts"
import { copyOfData } from "../verifier/cache/userVerifier.ts"
import { frozen, type FrozenToken, isImmutable } from "../verifier/cache/verified.ts"
import { ownProperties } from "../core/lib/ownProperties.ts"

/** The claims are a copy, so that the library freezes no object of the test. */
const testToken = (token: TestToken<string>): VerifiedToken => {
  const { claims = {}, scopes = [], subject = "demo" } = ownProperties(token)
  return AccessToken.make({
    subject,
    scopes,
    claims: copyOfData(claims),
    issuer: "test",
    expiresAt: DateTime.makeUnsafe(8.64e15)
  })
}

/** The members of a scheme that are layers. */
export const make = (scheme: Scheme, claims: ClaimsSchema | undefined) => {
  // Fresh: one build may hold several apps, each with a verifier of its own; a layer that is remembered would guard all of them with the first.
  const layerOf = <R>(authentication: Effect.Effect<Authentication, never, R>) =>
    Layer.fresh(Layer.effect(scheme.service, authentication))

  const decode = claims && claimsDecoder(claims)
  const authentications = new WeakMap<TokenVerifier["Service"], Authentication>()

  /** One for each verifier, so that guards know that they ask the same. */
  const authenticationBy = (verifier: TokenVerifier["Service"]): Authentication => {
    const known = authentications.get(verifier) ?? authentication.make(scheme, new Authenticator(verifier, decode))
    authentications.set(verifier, known)
    return known
  }

  const proofOf = (verified: VerifiedToken) =>
    Layer.merge(
      Layer.succeed(AccessToken, verified),
      Layer.succeed(scheme.proof, new Proof(scheme, origin.of(undefined), verified, verified.scopes))
    )

  const decodeGiven = testClaims(claims, `layerTest or grant of ${JSON.stringify(scheme.name)}`)
  const given = (options: TestToken<string>) => {
    const token = testToken(options)
    // Suspended, since a schema may decode when it is called. Then each run would give the same value.
    return Effect.map(
      Effect.suspend(() => decodeGiven(token)),
      frozen
    )
  }

  /** As `Authenticator`: decodes the claims once or, if they decode to a value that can change, for each request. */
  const verifiedBy = (given: Effect.Effect<FrozenToken>): Effect.Effect<Effect.Effect<VerifiedToken>> =>
    Effect.map(given, (first) =>
      isImmutable(first) ? frozenSuccess(first.token) : Effect.map(given, ({ token }) => token)
    )

  const layerTest = (token: TestToken<string> | "anonymous") => {
    // One for each layer, wherever it is built: guards then know that they ask the same.
    let made: Authentication | undefined
    return layerOf(
      Effect.map(
        token === "anonymous" ? Effect.undefined : verifiedBy(given(token)),
        (verified) => (made ??= authentication.make(scheme, new TestAuthenticator(verified)))
      )
    )
  }

  const grant = (token: TestToken<string>) => Layer.unwrap(Effect.map(given(token), ({ token }) => proofOf(token)))

  return { layer: layerOf(Effect.map(TokenVerifier, authenticationBy)), layerTest, grant }
}
