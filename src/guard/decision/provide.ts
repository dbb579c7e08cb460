/** What a handler is given where a guard has let the request in. */
import * as Context from "effect/Context"
import * as Option from "effect/Option"
import { AccessToken, OptionalAccessToken, type VerifiedToken } from "../../core/AccessToken.ts"
import { BearerToken } from "../../core/BearerToken.ts"
import { SecurityScopes } from "../../core/SecurityScopes.ts"
import { proven } from "../requirement/policy.ts"
import * as expression from "../requirement/expression.ts"
import * as requiredScopes from "../../core/requiredScopes.ts"
import { Proof } from "../scheme/scheme.ts"
import { addInPlace } from "../../core/effect/addInPlace.ts"
import * as decisions from "./stamp.ts"
import { DecidedPolicies } from "./place.ts"
import * as proof from "./proof.ts"
import type { Accepted, GuardedRequest } from "./guardedRequest.ts"

const anonymous = Option.none<VerifiedToken>()

export const provide = (
  { guard, required: before }: GuardedRequest,
  accepted: ReadonlyArray<Accepted>,
  decision: decisions.Stamp,
  context: Context.Context<never>
): Context.Context<never> => {
  let required = before
  let optional = anonymous
  const { origin } = decision
  let result = Context.addUnsafe<never, never, decisions.Stamp>(context, decisions.LastStamp.key, decision)
  const passed = guard.place?.passed(context)
  if (passed !== undefined) result = addInPlace(result, DecidedPolicies.Reference.key, passed)
  for (const [scheme, authentication] of guard.authentications) {
    if (Context.getOrUndefined(context, scheme.service) !== authentication) {
      result = addInPlace(result, scheme.service.key, authentication)
    }
  }
  for (const { accessToken, part, token } of accepted) {
    const { scheme } = part
    required =
      required === requiredScopes.none
        ? part.required
        : requiredScopes.extend(required, expression.necessary(part.expression), scheme)
    if (accessToken === undefined) continue
    optional = Option.some(accessToken)
    result = addInPlace(result, AccessToken.key, accessToken)
    result = addInPlace(result, BearerToken.key, token)
    // A proof is for what the types know: where the token is optional they know nothing.
    if (part.optional) continue
    const before = proof.ofOrigin(result, scheme, origin)
    const scopes = proven(part, accessToken)
    const all = before === undefined ? scopes : new Set([...proof.stillProven(before, accessToken), ...scopes])
    result = addInPlace(result, scheme.proof.key, new Proof(scheme, origin, accessToken, all))
  }
  if (required !== before) result = addInPlace(result, SecurityScopes.key, required)
  return addInPlace(result, OptionalAccessToken.key, optional)
}
