/** Creates `authorize` and the related members of a scheme, which work without a guard. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { AccessToken, type VerifiedToken } from "../core/AccessToken.ts"
import { fromRequestWithProof, redact } from "../core/authorizationHeader.ts"
import { BearerToken } from "../core/BearerToken.ts"
import * as Challenge from "../core/Challenge.ts"
import type { SecurityError } from "../core/SecurityError.ts"
import { SecurityScopes } from "../core/SecurityScopes.ts"
import { type Credential, DpopCredential } from "../verifier/request/authenticator.ts"
import * as policies from "../guard/requirement/policy.ts"
import * as expression from "../guard/requirement/expression.ts"
import { decide } from "../guard/requirement/refuse.ts"
import { sameName } from "../guard/requirement/schemeNames.ts"
import * as report from "../guard/decision/report.ts"
import type { CallingFiber } from "../verifier/cache/directVerifier.ts"
import { errorOf } from "../core/lib/exit.ts"
import * as requiredScopes from "../core/requiredScopes.ts"
import type { Scheme } from "../guard/scheme/scheme.ts"

/** Provides the credential of the request, unverified. */
const layerCredential = ({ dpop, source }: Scheme): typeof BearerToken.layer => {
  if (source === undefined && dpop === undefined) return BearerToken.layer
  const read = source === undefined ? fromRequestWithProof : source.read
  return Layer.fresh(
    Layer.effect(
      BearerToken,
      Effect.flatMap(Effect.all([HttpServerRequest, BearerToken.MaxLength]), ([request, maxLength]) => {
        const credential = read(request, maxLength)
        return typeof credential === "string" ? Effect.succeed(redact(credential)) : Effect.fail(credential)
      })
    )
  )
}

const decider: report.Decider = { decidedBy: "authorize", endpoint: undefined, log: undefined }

export const make = (scheme: Scheme) => {
  /** Requires a valid token only. The scopes in force come from `SecurityScopes`. */
  const bare = policies.part({ scheme, expression: expression.all([]), optional: false, lookups: [] })

  const granted = (
    token: VerifiedToken | undefined,
    required: ReadonlyArray<string>,
    fiber: CallingFiber
  ): Effect.Effect<void> => {
    const reporter = report.reporterOf(scheme, fiber.context)
    return report.isRecorded(reporter, decider, token, fiber)
      ? report.granted(reporter, decider, token, required, fiber)
      : Effect.void
  }

  const verify = (
    credential: Credential,
    required: ReadonlyArray<string>,
    fiber: CallingFiber
  ): Effect.Effect<VerifiedToken, SecurityError> => {
    const { verified } = credential
    const usual = policies.settingsOf(bare, required)
    const settings = credential instanceof DpopCredential ? policies.withProof(usual) : usual
    const refuse = (error: SecurityError, token: VerifiedToken | undefined) => {
      const details = report.detailsOf(error, () => settings.scopes)
      const reporter = report.reporterOf(scheme, fiber.context)
      const reported = report.refused(reporter, decider, error, token, details, fiber) ?? Effect.void
      return Effect.andThen(reported, Effect.fail(Challenge.within(error, settings)))
    }
    return Effect.matchEffect(verified, {
      onFailure: (error) => refuse(error, undefined),
      onSuccess: (token) =>
        Effect.flatMap(decide(bare, required, token, fiber), (error): Effect.Effect<VerifiedToken, SecurityError> =>
          error === undefined ? Effect.as(granted(token, settings.scopes, fiber), token) : refuse(error, token)
        )
    })
  }

  const required = Effect.map(SecurityScopes, (scopes) => requiredScopes.ofScheme(scopes, scheme))

  /** The service has the name of the scheme as its key, so it may belong to a different scheme with the same name. */
  const authentication = Effect.flatMap(scheme.service, (authentication) =>
    authentication.scheme === scheme ? Effect.succeed(authentication) : Effect.die(sameName(scheme))
  )

  const authorize: Effect.Effect<VerifiedToken, SecurityError, unknown> = Effect.flatMap(
    Effect.all([authentication, BearerToken, required]),
    ([{ authenticator }, token, required]) =>
      Effect.withFiber((fiber) => verify(authenticator.fromToken(token, fiber), required, fiber))
  )

  const authorizeOption = Effect.flatMap(
    Effect.all([authentication, HttpServerRequest, required]),
    ([{ authenticator }, request, required]) =>
      Effect.withFiber((fiber) => {
        const anonymous = Effect.as(granted(undefined, required, fiber), Option.none<VerifiedToken>())
        const decided = (credential: Credential) => Effect.map(verify(credential, required, fiber), Option.some)
        const credential = authenticator.credentialOf(request, fiber)
        // A session may turn out to have ended.
        if (scheme.session !== undefined) {
          return Effect.matchEffect(credential.verified, {
            onFailure: (error) => (error._tag === "NotAuthenticated" ? anonymous : decided(credential)),
            onSuccess: () => decided(credential)
          })
        }
        return errorOf(credential.verified)?._tag === "NotAuthenticated" ? anonymous : decided(credential)
      })
  )

  /** The credential of a session is known only after its verification. */
  const layerSession = Layer.fresh(
    Layer.effectContext(
      Effect.flatMap(
        Effect.all([authentication, HttpServerRequest, required]),
        ([{ authenticator }, request, required]) =>
          Effect.withFiber((fiber) => {
            const credential = authenticator.credentialOf(request, fiber)
            return Effect.map(verify(credential, required, fiber), (accessToken) =>
              Context.make(AccessToken, accessToken).pipe(
                Context.add(BearerToken, credential.token ?? redact("session"))
              )
            )
          })
      )
    )
  )

  return {
    authorize,
    authorizeOption,
    refuse: (error: SecurityError) => report.refuseWith(scheme, error),
    layerRequest:
      scheme.session === undefined
        ? Layer.fresh(
            Layer.provideMerge(
              Layer.effect(AccessToken, authorize),
              // The request is refused before `authorize` runs.
              Layer.tapError(layerCredential(scheme), (error) =>
                Effect.flatMap(required, (required) => report.refusedBy(scheme, "authorize", error, required))
              )
            )
          )
        : layerSession
  }
}
