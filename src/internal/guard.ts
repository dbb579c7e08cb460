import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import { AccessToken, OptionalAccessToken, type VerifiedToken } from "../AccessToken.ts"
import { BearerToken } from "../BearerToken.ts"
import * as Challenge from "../Challenge.ts"
import type { SecurityError } from "../SecurityError.ts"
import { type RequiredScopes, SecurityScopes } from "../SecurityScopes.ts"
import { Authenticator } from "./authenticator.ts"
import { asked, type Clause, combine, decide, type Demand, type Part, proven } from "./demand.ts"
import * as expression from "./expression.ts"
import * as Origin from "./origin.ts"
import * as proof from "./proof.ts"
import * as requiredScopes from "./requiredScopes.ts"
import type { Authentication, Scheme } from "./scheme.ts"
import * as seal from "./seal.ts"

// What a handler gives, needs and fails with is in the types of the face that calls the guard (`OAuth2`).
type Handler = Effect.Effect<unknown, unknown, unknown>

export type Authentications = ReadonlyMap<Scheme, Authentication>

interface Guard {
  readonly demand: Demand
  readonly authentications: Authentications
  readonly handler: Handler
}

// The guarded effects, so that a guard put directly around another one becomes one guard with both demands: one decision, and a
// challenge that names all scopes. Routes are wrapped from the inside out when they are built.
const guards = new WeakMap<Handler, Guard>()

/**
 * Runs `handler` only where the demand, and what was demanded further out, holds for the request, or for the token of a program without HTTP.
 */
export const make = (demand: Demand, authentications: Authentications, handler: Handler): Handler => {
  const inner = guards.get(handler)
  if (inner !== undefined && agree(inner.authentications, authentications)) {
    return make(
      inner.demand === demand ? demand : combine(demand, inner.demand),
      new Map([...inner.authentications, ...authentications]),
      inner.handler
    )
  }
  const guard: Guard = { demand, authentications, handler }
  const effect: Handler = Effect.withFiber((fiber) => run(guard, fiber.context))
  guards.set(effect, guard)
  return effect
}

/** Whether no scheme is authenticated in two ways (by two layers): then each guard has to ask its own. */
const agree = (left: Authentications, right: Authentications): boolean =>
  Array.from(left).every(([scheme, authentication]) => (right.get(scheme) ?? authentication) === authentication)

const run = (guard: Guard, context: Context.Context<never>): Handler => {
  const request = Context.getOrUndefined(context, HttpServerRequest)
  const origin = Origin.of(request)
  const before = request === undefined ? undefined : decided.get(request)
  if (before !== undefined && seal.last(context) === before.decision && isSame(before, guard, context)) {
    return Effect.provideContext(guard.handler, before.provided)
  }
  const required = Context.get(context, SecurityScopes)
  return Effect.flatMap(
    Effect.forEach(guard.demand, (clause) => decideClause(guard, clause, context, request, required)),
    (verdicts): Handler => {
      const refusals = verdicts.flatMap((verdict) => ("refusals" in verdict ? verdict.refusals : []))
      if (refusals.length > 0) return Effect.fail(bestError(refusals))
      const accepted = verdicts.filter((verdict) => "part" in verdict)
      const decision = seal.decide(origin)
      const result = Context.add(provided(guard, accepted, context, origin, required), seal.Decision, decision)
      if (request !== undefined) {
        decided.set(request, {
          decision,
          demand: guard.demand,
          authentications: authenticationsOf(guard, Context.merge(context, result)),
          provided: result
        })
      }
      return Effect.provideContext(guard.handler, result)
    }
  )
}

// In an `HttpApi` each requirement of an endpoint guards with the demand of all: what the outermost one has decided the others need not decide again.
// It is the same question only for this very request (`modify` makes another one), and where the same layers authenticate; and what was decided is
// provided again, whatever stands in between.
interface Decided {
  readonly decision: seal.Decided
  readonly demand: Demand
  readonly authentications: ReadonlyArray<Authentication | undefined>
  readonly provided: Context.Context<never>
}

const decided = new WeakMap<HttpServerRequest, Decided>()

const authenticationsOf = (guard: Guard, context: Context.Context<never>): Decided["authentications"] =>
  guard.demand
    .flat()
    .map(({ scheme }) => guard.authentications.get(scheme) ?? Context.getOrUndefined(context, scheme.service))

const isSame = (before: Decided, guard: Guard, context: Context.Context<never>): boolean =>
  before.demand === guard.demand &&
  authenticationsOf(guard, context).every((authentication, i) => authentication === before.authentications[i])

// ---------------------------------------------------------------------------------------------------------------------
// deciding
// ---------------------------------------------------------------------------------------------------------------------

interface Accepted {
  readonly part: Part
  /** `None` for an anonymous request, where the part is optional. */
  readonly granted: Option.Option<{ readonly token: Redacted.Redacted; readonly accessToken: VerifiedToken }>
}

interface Refusal {
  readonly error: SecurityError
  readonly settings: Challenge.Settings
}

type Verdict = Accepted | { readonly refusals: ReadonlyArray<Refusal> }

/** The first part that accepts; else every part's refusal. */
const decideClause = Effect.fnUntraced(function* (
  guard: Guard,
  clause: Clause,
  context: Context.Context<never>,
  request: HttpServerRequest | undefined,
  required: RequiredScopes
): Effect.fn.Return<Verdict> {
  const refusals: Array<Refusal> = []
  for (const part of clause) {
    const authentication = yield* authenticationOf(guard, part.scheme, context)
    const outer = requiredScopes.ofScheme(required, part.scheme)
    const refuse = (error: SecurityError) =>
      refusals.push({ error, settings: part.scheme.settings(asked(part, outer)) })
    const credential = credentialOf(authentication.authenticator, request, context)
    if (!("verified" in credential)) {
      if (part.optional && credential._tag === "NotAuthenticated") return { part, granted: Option.none() }
      refuse(credential)
      continue
    }
    const verified = yield* Effect.result(credential.verified)
    if (verified._tag === "Failure") {
      refuse(verified.failure)
      continue
    }
    const accessToken = verified.success
    const error = yield* decide(part, outer, accessToken)
    if (error === undefined) return { part, granted: Option.some({ token: credential.token, accessToken }) }
    refuse(error)
  }
  return { refusals }
})

/** Of a request its own credential counts, whatever `BearerToken` the context has; a program without HTTP brings one. */
const credentialOf = (
  authenticator: Authenticator,
  request: HttpServerRequest | undefined,
  context: Context.Context<never>
): ReturnType<Authenticator["fromRequest"]> => {
  if (request !== undefined) return authenticator.fromRequest(request, context)
  const token = Context.getUnsafe(context, BearerToken)
  return { token, verified: authenticator.fromToken(token, context) }
}

/** Captured where the route was built (`HttpRouter`), else what the api's context provides (`HttpApi`). */
const authenticationOf = (
  guard: Guard,
  scheme: Scheme,
  context: Context.Context<never>
): Effect.Effect<Authentication> => {
  const authentication = guard.authentications.get(scheme) ?? Context.getOrUndefined(context, scheme.service)
  if (authentication?.authenticator instanceof Authenticator && authentication.scheme === scheme) {
    return Effect.succeed(authentication)
  }
  const why = authentication === undefined ? "is not provided" : "is that of another scheme with the same name"
  return Effect.die(new Error(`The layer of the scheme ${JSON.stringify(scheme.name)} ${why}.`))
}

// A token that one scheme knows and finds too weak says more than one that another scheme does not know; and while a scheme cannot tell, the
// token is not refused.
const precedence: ReadonlyArray<SecurityError["_tag"]> = [
  "InsufficientScope",
  "AuthorizationServerUnavailable",
  "InvalidToken",
  "InvalidRequest",
  "NotAuthenticated"
]

const bestError = (refusals: ReadonlyArray<Refusal>): SecurityError => {
  const [best] = refusals.toSorted((a, b) => precedence.indexOf(a.error._tag) - precedence.indexOf(b.error._tag))
  if (best === undefined) throw new Error("There is no refusal to answer with.")
  const challenges = refusals.flatMap(
    ({ error, settings }) => Challenge.answer(error, settings).headers["www-authenticate"] ?? []
  )
  return Challenge.within(
    best.error,
    best.settings,
    best.error._tag === "AuthorizationServerUnavailable" ? [] : Array.from(new Set(challenges))
  )
}

// ---------------------------------------------------------------------------------------------------------------------
// providing
// ---------------------------------------------------------------------------------------------------------------------

const provided = (
  guard: Guard,
  accepted: ReadonlyArray<Accepted>,
  context: Context.Context<never>,
  origin: Origin.Origin,
  required: RequiredScopes
): Context.Context<never> => {
  let result: Context.Context<never> = Context.make(OptionalAccessToken, Option.none())
  for (const [scheme, authentication] of guard.authentications) {
    result = Context.add(result, scheme.service, authentication)
  }
  for (const { granted, part } of accepted) {
    const { scheme } = part
    required = requiredScopes.extend(required, expression.necessary(part.expression), scheme)
    if (Option.isNone(granted)) continue
    const { accessToken, token } = granted.value
    result = result.pipe(
      Context.add(AccessToken, accessToken),
      Context.add(OptionalAccessToken, Option.some(accessToken)),
      Context.add(BearerToken, token)
    )
    // A proof is for what the types know: where the token is optional they know nothing.
    if (!part.optional) {
      const before = proof.ofOrigin(Context.merge(context, result), scheme, origin)
      const also = before?.token === accessToken ? before.scopes : []
      const scopes = new Set([...also, ...proven(part, accessToken)])
      result = Context.add(result, scheme.proof, proof.make(scheme, origin, accessToken, scopes))
    }
  }
  return Context.add(result, SecurityScopes, required)
}
