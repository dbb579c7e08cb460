/** Runs the handler of a guard with the tokens and proofs of an accepted request. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { AccessToken, OptionalAccessToken, type VerifiedToken } from "../../core/AccessToken.ts"
import { BearerToken } from "../../core/BearerToken.ts"
import { SecurityScopes } from "../../core/SecurityScopes.ts"
import { addInPlace } from "../../core/effect/addInPlace.ts"
import * as requiredScopes from "../../core/requiredScopes.ts"
import * as expression from "../requirement/expression.ts"
import { type Part, provenName } from "../requirement/policy.ts"
import { satisfies } from "../scheme/implication.ts"
import * as Origin from "../scheme/origin.ts"
import { noAuthentications, noneFilled, Proof, type Scheme } from "../scheme/scheme.ts"
import type { Accepted, GuardedRequest, Handler } from "./decide.ts"
import { DecidedPolicies } from "./place.ts"
import { adopt } from "./report.ts"

const anonymous = Option.none<VerifiedToken>()

/** Returns a function that runs the handler with the accepted tokens and proofs in its context. */
export const provide =
  (request: GuardedRequest) =>
  (accepted: ReadonlyArray<Accepted>): Handler =>
    // Safe cast: the types of the public API require the handler's services.
    Effect.updateContext(
      withLookups(request.guard.handler, accepted) as Effect.Effect<unknown, unknown>,
      (context: Context.Context<never>) => contextFor(request, accepted, context)
    )

/** Runs the look-ups of the accepted parts before the handler, outermost first. */
const withLookups = (handler: Handler, accepted: ReadonlyArray<Accepted>): Handler => {
  let result = handler
  for (let i = accepted.length - 1; i >= 0; i--) {
    const part = accepted[i]?.part
    if (part === undefined) continue
    for (const { find, service } of part.lookups.toReversed()) {
      result = Effect.provideServiceEffect(result, service, adopt(find, part.scheme))
    }
  }
  return result
}

const contextFor = (
  { guard, request, required: before }: GuardedRequest,
  accepted: ReadonlyArray<Accepted>,
  context: Context.Context<never>
): Context.Context<never> => {
  const origin = Origin.of(request)
  let required = before
  let optional = anonymous
  let result = Context.addUnsafe<never, never, Origin.Stamp>(context, Origin.LastStamp.key, new Origin.Stamp(origin))
  for (const { accessToken, authentications, part, token } of accepted) {
    const { scheme } = part
    required =
      required === requiredScopes.none
        ? part.required
        : requiredScopes.extend(required, expression.necessary(part.expression), scheme)
    if (accessToken === undefined) continue
    // If the token is optional, the types have no proven scopes, so there is no proof.
    if (part.optional) {
      result = addInPlace(result, scheme.optionalProof.key, new Proof(scheme, origin, accessToken, new Set(), token))
    } else {
      const scopes = proven(part, accessToken)
      const earlier = Proof.find(result, scheme, origin) ?? proofOfConnection(result, scheme, origin)
      const all = earlier === undefined ? scopes : new Set([...stillProven(earlier, accessToken), ...scopes])
      const filled = filledBy(part, scopes, earlier)
      const authenticated = authenticatedBy(authentications, accessToken, earlier)
      const proof = new Proof(scheme, origin, accessToken, all, token, filled, authenticated)
      result = addInPlace(result, scheme.proof.key, proof)
    }
    optional = Option.some(accessToken)
    result = addInPlace(result, AccessToken.key, accessToken)
    result = addInPlace(result, BearerToken.key, token)
  }
  result = addInPlace(result, OptionalAccessToken.key, optional)
  if (required !== before) result = addInPlace(result, SecurityScopes.key, required)
  for (const [{ service }, authentication] of guard.authentications)
    if (Context.getOrUndefined(context, service) !== authentication)
      result = addInPlace(result, service.key, authentication)
  const passed = guard.place?.passed(context)
  return passed === undefined ? result : addInPlace(result, DecidedPolicies.Reference.key, passed)
}

/**
 * Returns the proof of the connection that carried a message. The message keeps the scopes of this proof that its own
 * token has, so that handlers can rely on requirements around the connection.
 */
const proofOfConnection = (context: Context.Context<never>, scheme: Scheme, origin: Origin.Origin) => {
  const connection = Origin.connectionOf(origin)
  return connection && Proof.find(context, scheme, connection)
}

/** Returns the scopes that the requirement mentions and the token has. */
const proven = (part: Part, token: VerifiedToken): ReadonlySet<string> =>
  part.proves ??
  new Set(
    expression
      .scopes(part.expression)
      .filter(({ scope }) => satisfies(part.scheme.implication, token.scopes, scope))
      .map(provenName)
  )

/**
 * Adds the authentications of a part to those of an earlier proof. These stay proven if the token still reports the same
 * authentication.
 */
const authenticatedBy = (
  own: ReadonlyArray<string>,
  token: VerifiedToken,
  earlier: Proof | undefined
): ReadonlySet<string> => {
  const before = earlier?.authentications ?? noAuthentications
  if (own.length === 0 && before.size === 0) return noAuthentications
  const isSame = earlier !== undefined && authenticationOf(earlier.token) === authenticationOf(token)
  return new Set([...(isSame ? before : []), ...own])
}

const authenticationOf = ({ acr, authenticatedAt }: VerifiedToken): string =>
  JSON.stringify([
    Option.getOrNull(acr),
    Option.getOrNull(Option.map(authenticatedAt, ({ epochMilliseconds }) => epochMilliseconds))
  ])

/** Adds the scopes that the request has computed for a part to those of an earlier proof. */
const filledBy = (part: Part, proven: ReadonlySet<string>, earlier: Proof | undefined): Proof["filled"] => {
  if (part.scheme.implication.templates.size === 0) return noneFilled
  const own = expression
    .scopes(part.expression)
    .filter(({ template }) => template !== undefined && proven.has(template))
  if (own.length === 0) return earlier?.filled ?? noneFilled
  const filled = new Map(earlier?.filled)
  for (const { scope, template = scope } of own) filled.set(template, [...(filled.get(template) ?? []), scope])
  return filled
}

/**
 * Returns the scopes of an earlier proof that the token still has. The token may have been verified again in the
 * meantime.
 */
const stillProven = ({ filled, scheme, scopes }: Proof, token: VerifiedToken): ReadonlyArray<string> =>
  Array.from(scopes).filter((name) =>
    (filled.get(name) ?? [name]).every((scope) => satisfies(scheme.implication, token.scopes, scope))
  )
