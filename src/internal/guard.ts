import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { HttpServerRequest } from "effect/http/HttpServerRequest"
import type { HttpServerResponse } from "effect/http/HttpServerResponse"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import { AccessToken, OptionalAccessToken, type VerifiedToken } from "../AccessToken.ts"
import { BearerToken } from "../BearerToken.ts"
import * as Challenge from "../Challenge.ts"
import { type InvalidRequest, InsufficientScope, NotAuthenticated, type SecurityError } from "../SecurityError.ts"
import { SecurityScopes } from "../SecurityScopes.ts"
import type { Authenticator, Verification } from "./authenticator.ts"
import { union } from "./scope.ts"

/** What one requirement adds. */
export interface Demand {
  readonly scopes: ReadonlyArray<string>
  readonly optional: boolean
}

type SettingsOf = (scopes: ReadonlyArray<string>) => Challenge.Settings

interface Granted {
  readonly token: Redacted.Redacted
  readonly accessToken: VerifiedToken
}

/** The decision about a verified token: every scope of the settings, or an error that names them. */
export const verify = (
  verified: Verification["verified"],
  settings: Challenge.Settings
): Effect.Effect<VerifiedToken, SecurityError> =>
  Effect.matchEffect(verified, {
    onFailure: (error) => Effect.fail(Challenge.within(error, settings)),
    onSuccess: (accessToken): Effect.Effect<VerifiedToken, SecurityError> => {
      const required = settings.scopes
      const missing = required.filter((scope) => !accessToken.scopes.has(scope))
      return missing.length === 0
        ? Effect.succeed(accessToken)
        : Effect.fail(Challenge.within(new InsufficientScope({ required, missing }), settings))
    }
  })

/** The decision about a request's credential; only its absence, never its badness, is what `optional` takes. */
export const decide = (
  credential: Verification | NotAuthenticated | InvalidRequest,
  optional: boolean,
  settings: Challenge.Settings
): Effect.Effect<Option.Option<Granted>, SecurityError> => {
  if ("verified" in credential) {
    return Effect.map(verify(credential.verified, settings), (accessToken) =>
      Option.some({ token: credential.token, accessToken })
    )
  }
  return optional && credential._tag === "NotAuthenticated"
    ? Effect.succeedNone
    : Effect.fail(Challenge.within(credential, settings))
}

// The guarded effects, so that a guard put directly around another one of the same scheme becomes one guard with both demands: one decision,
// and a challenge that names all scopes. Routes are wrapped from the inside out when they are built.
const guarded = new WeakMap<
  object,
  { readonly authenticator: Authenticator; readonly demand: Demand; readonly handler: unknown }
>()

/** Runs `handler` only where the demand, and what was demanded further out, holds for the request. */
export const make = <E, Provides>(
  authenticator: Authenticator,
  settings: SettingsOf,
  own: Demand,
  handler: Effect.Effect<HttpServerResponse, E, Provides>
): Effect.Effect<HttpServerResponse, E | SecurityError, HttpServerRequest> => {
  const inner = guarded.get(handler)
  if (inner !== undefined && inner.authenticator === authenticator) {
    const demand = { scopes: union(own.scopes, inner.demand.scopes), optional: own.optional && inner.demand.optional }
    return make(authenticator, settings, demand, inner.handler as typeof handler)
  }
  const effect = Effect.withFiber<HttpServerResponse, E | SecurityError, HttpServerRequest>((fiber) => {
    const context = fiber.context
    const request = Context.getUnsafe(context, HttpServerRequest)
    const required = SecurityScopes.extend(Context.get(context, SecurityScopes), own.scopes)
    const credential = authenticator.fromRequest(request, Context.get(context, BearerToken.MaxLength))
    return Effect.flatMap(decide(credential, own.optional, settings(required.scopes)), (granted) => {
      let provided = Context.make(SecurityScopes, required).pipe(
        Context.add(
          OptionalAccessToken,
          Option.map(granted, (granted) => granted.accessToken)
        )
      )
      if (Option.isSome(granted)) {
        provided = provided.pipe(
          Context.add(AccessToken, granted.value.accessToken),
          Context.add(BearerToken, granted.value.token)
        )
      }
      // Sound: `Provides` is what the two branches add, the requirement's type being chosen by `own.optional`.
      return Effect.provideContext(handler, provided as Context.Context<Provides>)
    })
  })
  guarded.set(effect, { authenticator, demand: own, handler })
  return effect
}
