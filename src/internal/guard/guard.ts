/** Decides about a request, and runs its handler with what is proven: the one place where access is granted. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import { AccessToken, OptionalAccessToken, type VerifiedToken } from "../../AccessToken.ts"
import { BearerToken } from "../../BearerToken.ts"
import * as Challenge from "../../Challenge.ts"
import { isSecurityError, type SecurityError } from "../../SecurityError.ts"
import { type RequiredScopes, SecurityScopes } from "../../SecurityScopes.ts"
import { Authenticator } from "../credential/authenticator.ts"
import * as decisions from "./decision.ts"
import { type Clause, combine, type Demand, holds, type Part, proven } from "../requirement/demand.ts"
import { errorOf, type Eventual, exitOf, toEffect } from "../eventual.ts"
import * as expression from "../requirement/expression.ts"
import { Passed, type Place } from "./endpoint.ts"
import { addInPlace } from "./addInPlace.ts"
import * as Origin from "./origin.ts"
import * as proof from "./proof.ts"
import { insufficient, raise, Refusal, refuse } from "../requirement/refusal.ts"
import * as requiredScopes from "../requirement/requiredScopes.ts"
import type { Authentication, Scheme } from "../scheme/scheme.ts"

// What a handler gives, needs and fails with is in the types of whoever calls the guard (`SecurityRequirement`, `auth.prove`).
type Handler = Effect.Effect<unknown, unknown, unknown>

type Authentications = ReadonlyMap<Scheme, Authentication>

interface Guard {
  readonly demand: Demand
  readonly authentications: Authentications
  readonly handler: Handler
  /** Where it stands in an `HttpApi`. */
  readonly place: Place | undefined
}

// The guarded effects, so that a guard put directly around another one becomes one guard with both demands: one decision, and a
// challenge that names all scopes. Routes are wrapped from the inside out when they are built.
const guards = new WeakMap<Handler, Guard>()

/**
 * Runs `handler` only where the demand, and what was demanded further out, holds for the request, or for the token of a program without HTTP.
 *
 * Nothing here is an effect that need not be one: where the token is known, a request is decided about in one step.
 */
export const make = (demand: Demand, authentications: Authentications, handler: Handler): Handler => {
  const inner = guards.get(handler)
  return inner !== undefined && inner.place === undefined && agree(inner.authentications, authentications)
    ? guarding({
        ...inner,
        demand: combine(demand, inner.demand),
        authentications: both(inner.authentications, authentications)
      })
    : guarding({ demand, authentications, handler: adopting(handler, demand), place: undefined })
}

/** The same for a requirement of an endpoint. */
export const atPlace = (place: Place, authentications: Authentications, handler: Handler): Handler => {
  const inner = guards.get(handler)
  const isNext = inner?.place?.endpoint === place.endpoint && agree(inner.authentications, authentications)
  const guard = isNext
    ? {
        place: place.join(inner.place),
        authentications: both(inner.authentications, authentications),
        handler: inner.handler
      }
    : { place, authentications, handler: adopting(handler, place.demand) }
  const guarded = guarding({ ...guard, demand: guard.place.demand })
  return place.outer === 0 ? answering(guarded) : guarded
}

/** An error of this library that a handler made itself is answered as the scheme's are. */
const adopting = (handler: Handler, demand: Demand): Handler => {
  const scheme = demand[0]?.[0]?.scheme
  if (scheme === undefined) return handler
  return Effect.catchIf(
    handler,
    (error) => isSecurityError(error) && !Challenge.isRaised(error) && !Challenge.isReceived(error),
    (error) => raise(scheme, error as SecurityError)
  )
}

/**
 * Answers the errors of this library where all requirements have been asked, as a route does: Effect would encode them with whichever error of the endpoint
 * they fit, and they fit every one that is a `message`.
 */
const answering = (guarded: Handler): Handler =>
  Effect.catchIf(guarded, isSecurityError, (error) => Challenge.respond(error))

const guarding = (guard: Guard): Handler => {
  const effect: Handler = Effect.withFiber((fiber) => run(guard, fiber))
  guards.set(effect, guard)
  return effect
}

const both = (inner: Authentications, outer: Authentications): Authentications => new Map([...inner, ...outer])

/** Whether no scheme is authenticated in two ways (by two layers): then each guard has to ask its own. */
const agree = (left: Authentications, right: Authentications): boolean =>
  Array.from(left).every(([scheme, authentication]) => (right.get(scheme) ?? authentication) === authentication)

// What holds a request is made by a constructor. V8 learns of an object literal that its objects live long (those of the first requests, which wait for the
// issuer's keys), and then makes the later ones where they live until the next full collection, with the whole request that they hold.

/** One decision: what is demanded, and of which request. */
class Question {
  readonly guard: Guard
  readonly demand: Demand
  readonly fiber: Fiber.Fiber<unknown, unknown>
  readonly context: Context.Context<never>
  readonly request: HttpServerRequest | undefined
  /** What is required further out. */
  readonly required: RequiredScopes

  constructor(guard: Guard, demand: Demand, fiber: Fiber.Fiber<unknown, unknown>) {
    this.guard = guard
    this.demand = demand
    this.fiber = fiber
    this.context = fiber.context
    this.request = Context.getOrUndefined(fiber.context, HttpServerRequest)
    this.required = Context.get(fiber.context, SecurityScopes)
  }
}

const none: ReadonlyArray<never> = []

const run = (guard: Guard, fiber: Fiber.Fiber<unknown, unknown>): Handler => {
  const demand = guard.place === undefined ? guard.demand : guard.place.demandOf(fiber.context)
  return demand === undefined ? unreachable : decide(new Question(guard, demand, fiber), none)
}

const unreachable = Effect.die(
  new Error(
    "A requirement of an HttpApi is asked, and those further out have not been: a middleware in between has taken out what they provided."
  )
)

/** Decides about each clause, whatever the ones before said: the challenge tells all. */
const decide = (question: Question, before: ReadonlyArray<Verdict>): Handler => {
  const clause = question.demand[before.length]
  if (clause === undefined) return answer(question, before)
  const verdict = decideClause(question, clause, 0, none)
  return verdict instanceof Accepted || verdict instanceof Refusal || !Effect.isEffect(verdict)
    ? decide(question, after(before, verdict))
    : Effect.flatMap(verdict, (verdict) => decide(question, after(before, verdict)))
}

// Nearly always there is one clause: to spread what is empty, or to push, takes longer than to make a list of one.
const after = (before: ReadonlyArray<Verdict>, verdict: Verdict): ReadonlyArray<Verdict> =>
  before.length === 0 ? [verdict] : [...before, verdict]

const answer = (question: Question, verdicts: ReadonlyArray<Verdict>): Handler => {
  const [first] = verdicts
  if (verdicts.length === 1 && first instanceof Refusal) return first.failure
  if (verdicts.every((verdict) => verdict instanceof Accepted)) {
    return proceed(question, verdicts, new decisions.Decision(Origin.of(question.request)))
  }
  const clauses = verdicts.flatMap((verdict): ReadonlyArray<ReadonlyArray<Refusal>> => {
    if (verdict instanceof Accepted) return none
    return [verdict instanceof Refusal ? [verdict] : verdict]
  })
  // Every clause has to hold: where one is refused, it does not help to wait for another.
  const certain = clauses.filter((refusals) => !isOutage(best(refusals)))
  const refusals = (certain.length > 0 ? certain : clauses).flat()
  const [refusal] = refusals
  return refusal !== undefined && refusals.length === 1 ? refusal.failure : Effect.fail(bestError(refusals))
}

const proceed = (question: Question, accepted: ReadonlyArray<Accepted>, decision: decisions.Decision): Handler =>
  // Sound: what the handler needs is in the types of whoever calls the guard.
  Effect.updateContext(question.guard.handler as Effect.Effect<unknown, unknown>, (context: Context.Context<never>) =>
    provide(question, accepted, decision, context)
  )

// ---------------------------------------------------------------------------------------------------------------------
// deciding
// ---------------------------------------------------------------------------------------------------------------------

class Accepted {
  readonly part: Part
  /** `undefined` for an anonymous request, where the part is optional. */
  readonly token: Redacted.Redacted | undefined
  readonly accessToken: VerifiedToken | undefined

  constructor(part: Part, token: Redacted.Redacted | undefined, accessToken: VerifiedToken | undefined) {
    this.part = part
    this.token = token
    this.accessToken = accessToken
  }
}

type Verdict = Accepted | Refusal | ReadonlyArray<Refusal>

/** The first part that accepts; else every part's refusal. */
const decideClause = (
  question: Question,
  clause: Clause,
  index: number,
  refusals: ReadonlyArray<Refusal>
): Eventual<Verdict> => {
  const part = clause[index]
  if (part === undefined) return refusals
  const verdict = decidePart(question, part)
  if (verdict instanceof Accepted || (verdict instanceof Refusal && clause.length === 1)) return verdict
  const next = (refusal: Refusal) => decideClause(question, clause, index + 1, [...refusals, refusal])
  return verdict instanceof Refusal
    ? next(verdict)
    : Effect.flatMap(verdict, (verdict) => toEffect(verdict instanceof Accepted ? verdict : next(verdict)))
}

const decidePart = (question: Question, part: Part): Eventual<Accepted | Refusal> => {
  const { context, fiber, guard, request, required } = question
  const { scheme } = part
  const authentication = guard.authentications.get(scheme) ?? Context.getOrUndefined(context, scheme.service)
  if (!(authentication?.authenticator instanceof Authenticator && authentication.scheme === scheme)) {
    const why = authentication === undefined ? "is not provided" : "is that of another scheme with the same name"
    return Effect.die(new Error(`The layer of the scheme ${JSON.stringify(scheme.name)} ${why}.`))
  }
  const outer = requiredScopes.ofScheme(required, scheme)
  const credential = credentialOf(authentication.authenticator, request, fiber)
  if (!("verified" in credential)) {
    return part.optional && credential._tag === "NotAuthenticated"
      ? new Accepted(part, undefined, undefined)
      : refuse(part, outer, credential)
  }
  const { token, verified } = credential
  const exit = exitOf(verified)
  if (exit?._tag === "Success") return judge(part, outer, token, exit.value)
  const error = errorOf(verified)
  if (error !== undefined) return refuse(part, outer, error)
  return Effect.matchEffect(verified, {
    onFailure: (error) => Effect.succeed<Accepted | Refusal>(refuse(part, outer, error)),
    onSuccess: (accessToken) => toEffect(judge(part, outer, token, accessToken))
  })
}

const judge = (
  part: Part,
  outer: ReadonlyArray<string>,
  token: Redacted.Redacted,
  accessToken: VerifiedToken
): Eventual<Accepted | Refusal> => {
  const failed: Array<string> = []
  const verdict = holds(part, outer, accessToken, failed)
  if (verdict === true) return new Accepted(part, token, accessToken)
  const judged = (holds: boolean): Accepted | Refusal =>
    holds ? new Accepted(part, token, accessToken) : refuse(part, outer, insufficient(part, outer, accessToken, failed))
  return verdict === false ? judged(verdict) : Effect.map(verdict, judged)
}

/** Of a request its own credential counts, whatever `BearerToken` the context has; a program without HTTP brings one. */
const credentialOf = (
  authenticator: Authenticator,
  request: HttpServerRequest | undefined,
  fiber: Fiber.Fiber<unknown, unknown>
): ReturnType<Authenticator["fromRequest"]> => {
  if (request !== undefined) return authenticator.fromRequest(request, fiber)
  const token = Context.getUnsafe(fiber.context, BearerToken)
  return { token, verified: authenticator.fromToken(token, fiber) }
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

const best = (refusals: ReadonlyArray<Refusal>): Refusal => {
  const [best] = refusals.toSorted((a, b) => precedence.indexOf(a.error._tag) - precedence.indexOf(b.error._tag))
  if (best === undefined) throw new Error("There is no refusal to answer with.")
  return best
}

const isOutage = ({ error }: Refusal): boolean => error._tag === "AuthorizationServerUnavailable"

const bestError = (refusals: ReadonlyArray<Refusal>): SecurityError => {
  const { error, settings } = best(refusals)
  if (error._tag === "AuthorizationServerUnavailable") return Challenge.within(error, settings)
  const challenges = refusals.flatMap(
    ({ error, settings }) => Challenge.answer(error, settings).headers["www-authenticate"] ?? []
  )
  return Challenge.within(error, settings, Array.from(new Set(challenges)))
}

// ---------------------------------------------------------------------------------------------------------------------
// providing
// ---------------------------------------------------------------------------------------------------------------------

const anonymous = Option.none<VerifiedToken>()

const provide = (
  { guard, required: before }: Question,
  accepted: ReadonlyArray<Accepted>,
  decision: decisions.Decision,
  context: Context.Context<never>
): Context.Context<never> => {
  let required = before
  let optional = anonymous
  const { origin } = decision
  let result = Context.addUnsafe<never, never, decisions.Decision>(context, decisions.LastDecision.key, decision)
  const passed = guard.place?.passed(context)
  if (passed !== undefined) result = addInPlace(result, Passed.Reference.key, passed)
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
    result = addInPlace(result, scheme.proof.key, new proof.Proof(scheme, origin, accessToken, all))
  }
  if (required !== before) result = addInPlace(result, SecurityScopes.key, required)
  return addInPlace(result, OptionalAccessToken.key, optional)
}
