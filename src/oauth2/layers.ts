/** Creates the layers of a scheme: `layer`, and `layerTest` and `layerTestGranted` for tests. */
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import { AccessToken, type VerifiedToken } from "../core/AccessToken.ts"
import type { TestToken } from "./oauth2Scheme.ts"
import { TokenVerifier } from "../verifier/TokenVerifier.ts"
import * as authentication from "../guard/middleware/authentication.ts"
import type { ProofChecker } from "../verifier/dpop/checker.ts"
import { Authenticator, type SessionStep, TestAuthenticator } from "../verifier/request/authenticator.ts"
import { resolverOf } from "../verifier/request/sessionResolvers.ts"
import { claimsDecoder, type ClaimsSchema, testClaims } from "./claimsDecoder.ts"
import { DecisionLog, Reporter } from "../guard/scheme/decisionLog.ts"
import * as origin from "../guard/scheme/origin.ts"
import * as expression from "../guard/requirement/expression.ts"
import { type Item, ofItem } from "../guard/requirement/item.ts"
import { type Authentication, Proof, type Scheme } from "../guard/scheme/scheme.ts"
import { Memo } from "../core/lib/memo.ts"
import { frozenSuccess } from "../core/lib/exit.ts"
import { copyOfData } from "../verifier/cache/customVerifier.ts"
import { frozen, type FrozenToken, isImmutable } from "../verifier/cache/verified.ts"
import { ownProperties } from "../core/lib/ownProperties.ts"

/** Copies the claims, so that the library does not freeze an object of the test. */
const testToken = (token: TestToken<string>): VerifiedToken => {
  const {
    authorizationDetails = [],
    claims = {},
    confirmation,
    scopes = [],
    subject = "demo",
    ...rest
  } = ownProperties(token)
  return AccessToken.make({
    ...rest,
    authorizationDetails: copyOfData(authorizationDetails),
    subject,
    scopes,
    ...(confirmation === undefined ? {} : { confirmation: copyOfData(confirmation) }),
    claims: copyOfData(claims),
    issuer: "test",
    expiresAt: DateTime.makeUnsafe(8.64e15)
  })
}

/** Returns everything in a context that records decisions. */
const recordersIn = (context: Context.Context<never>): ReadonlyArray<object> => [
  Context.get(context, DecisionLog),
  Context.get(context, Metric.MetricRegistry)
]

/** `resolved` reads the URLs of the scheme from the program's configuration. */
export const make = (scheme: Scheme, claims: ClaimsSchema | undefined, resolved: Effect.Effect<void, unknown>) => {
  // Not memoized: one build may contain several apps, each with its own verifier. A memoized layer would use the first
  // verifier for every app.
  const layerOf = <E, R>(authentication: Effect.Effect<Authentication, E, R>) =>
    Layer.fresh(Layer.effect(scheme.service, authentication))

  const decode = claims && claimsDecoder(claims)
  const authentications = new Memo<Authentication>()

  /**
   * Returns one `Authentication` for each verifier, so that guards recognize a shared verifier. Its reports go to the
   * log and the metrics around the layer.
   */
  const authenticationBy = (
    verifier: TokenVerifier["Service"],
    checker: ProofChecker | undefined,
    context: Context.Context<never>
  ): Authentication =>
    authentications.get([verifier, ...(checker === undefined ? [] : [checker]), ...recordersIn(context)], () =>
      authentication.make(
        scheme,
        new Authenticator(
          verifier,
          decode,
          scheme.source,
          {
            proofs: checker,
            certificates: scheme.mutualTls?.checker,
            isRequired: scheme.dpop?.isRequired === true || scheme.mutualTls?.isRequired === true
          },
          sessionStep(verifier)
        ),
        new Reporter(scheme.name, context)
      )
    )

  const sessionStep = (verifier: TokenVerifier["Service"]): SessionStep | undefined => {
    const source = scheme.session
    if (source === undefined) return
    const resolver = resolverOf(verifier)
    if (resolver !== undefined) {
      const { cookieName = source.cookie, resolve } = resolver
      if (cookieName === source.cookie) return { source, resolve }
      throw new TypeError(
        `The scheme ${JSON.stringify(scheme.name)} reads the session cookie ${JSON.stringify(source.cookie)}, but the login sets ${JSON.stringify(cookieName)}. Set the option cookie of the scheme to this name.`
      )
    }
    throw new TypeError(
      `The scheme ${JSON.stringify(scheme.name)} accepts a session cookie, but its verifier reads no sessions. Pipe the verifier through SessionVerifier.accessTokens or SessionVerifier.identities, as the last step.`
    )
  }

  const proofOf = (verified: VerifiedToken, authentications: ReadonlySet<string>) =>
    Layer.merge(
      Layer.succeed(AccessToken, verified),
      Layer.succeed(
        scheme.proof,
        new Proof(scheme, origin.of(undefined), verified, verified.scopes, undefined, undefined, authentications)
      )
    )

  const decodeGiven = testClaims(claims, `layerTest or layerTestGranted of ${JSON.stringify(scheme.name)}`)
  const given = (options: TestToken<string>) => {
    const token = testToken(options)
    // A schema may decode when it is called. Without `suspend`, every run would return the same mutable value.
    return Effect.map(
      Effect.suspend(() => decodeGiven(token)),
      frozen
    )
  }

  /** Decodes like `Authenticator`: immutable claims once, mutable claims for each request. */
  const verifiedBy = (given: Effect.Effect<FrozenToken>): Effect.Effect<Effect.Effect<VerifiedToken>> =>
    Effect.map(given, (first) =>
      isImmutable(first) ? frozenSuccess(first.token) : Effect.map(given, ({ token }) => token)
    )

  const layerTest = (token: TestToken<string> | "anonymous") => {
    // One `Authentication` for each layer, however often the layer is built, so that guards recognize it.
    const made = new Memo<Authentication>()
    return layerOf(
      Effect.zipWith(
        token === "anonymous" ? Effect.undefined : verifiedBy(given(token)),
        Effect.context<never>(),
        (verified, context) =>
          made.get(recordersIn(context), () =>
            authentication.make(scheme, new TestAuthenticator(verified), new Reporter(scheme.name, context))
          )
      )
    )
  }

  const layerTestGranted = (token: TestToken<string>, ...authentications: ReadonlyArray<Item>) => {
    const proven = authentications.flatMap((item) => expression.authentications(ofItem(item)))
    const names = new Set(proven.flatMap(expression.authenticationNames))
    if (authentications.some((item) => expression.mentionsConstraint(ofItem(item))))
      names.add(expression.boundTokenName)
    return Layer.unwrap(Effect.map(given(token), ({ token }) => proofOf(token, names)))
  }

  const layer = <E, R>(verifier: Layer.Layer<TokenVerifier, E, R>) =>
    // Only the scheme's own layer is not memoized. Schemes that get the same verifier layer share one verifier.
    Layer.provide(
      layerOf(
        Effect.andThen(
          resolved,
          Effect.map(
            Effect.all([TokenVerifier, scheme.dpop?.checker ?? Effect.undefined, Effect.context<never>()]),
            ([verifier, checker, context]) => authenticationBy(verifier, checker, context)
          )
        )
      ),
      verifier
    )

  return { layer, layerTest, layerTestGranted }
}
