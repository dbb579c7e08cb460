/** Creates the refusals of a policy. Refusals that are equal for many requests are created once. */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { HttpServerRequest } from "effect/http/HttpServerRequest"
import type { VerifiedToken } from "../../core/AccessToken.ts"
import { usesDpop } from "../../core/authorizationHeader.ts"
import { confirmationOf } from "../../core/confirmation.ts"
import * as Challenge from "../../core/Challenge.ts"
import {
  FailedCheck,
  InsufficientScope,
  InsufficientUserAuthentication,
  InvalidToken,
  type SecurityError
} from "../../core/SecurityError.ts"
import { SecurityScopes } from "../../core/SecurityScopes.ts"
import { constant, isConstant } from "../../core/constantErrors.ts"
import * as expression from "./expression.ts"
import type { CallingFiber } from "../../verifier/cache/directVerifier.ts"
import { formOf, scopesToRequest, holds, nowOf, type Part, settingsOf, withProof } from "./policy.ts"
import { Refusal } from "./refusal.ts"
import { satisfies } from "../scheme/implication.ts"
import * as requiredScopes from "../../core/requiredScopes.ts"
import * as scope from "../../core/scope.ts"
import type { Scheme } from "../scheme/scheme.ts"

/** The error of a verified token that does not satisfy a requirement. */
type Unsatisfied = InsufficientScope | FailedCheck | InsufficientUserAuthentication

const notBound = constant(new InvalidToken({ reason: "Claim", claim: "cnf" }))

/** Creates the error of a token that does not satisfy the part. No scope helps a token that needs a key. */
export const unsatisfied = (
  ...[part, outer, token, ...more]: Parameters<typeof insufficient>
): Unsatisfied | InvalidToken =>
  expression.needsConstraint(part.expression) && confirmationOf(token) === undefined
    ? notBound
    : insufficient(part, outer, token, ...more)

/** Creates the error for a verified token that does not satisfy a part. */
export const insufficient = (
  part: Part,
  outer: ReadonlyArray<string>,
  token: VerifiedToken,
  outcome: false | "StepUp",
  { failed }: expression.Findings,
  now: () => number
): Unsatisfied => {
  const { expression: self } = part
  if (outcome === "StepUp") {
    const has = hasOf(part, token)
    // The alternatives that only an authentication keeps from holding.
    const prefers = (one: expression.Expression) =>
      expression.hasScopes(one, has) && expression.without(one, failed) !== undefined
    const required = requiredBy(part, outer, expression.chosen(self, prefers))
    const error = stepUpFor(part, token, expression.chosen(self, prefers), required, now)
    if (error !== undefined) return error
  }
  const { scopes: required } = settingsOf(part, outer)
  const missing = missingScopes(part, outer, token)
  if (failed.length > 0) return failedChecks(part, outer, token, failed, { required, missing }, now)
  // One trip to the authorization server cures both.
  const stepUp = stepUpFor(part, token, expression.chosen(self, isWithoutChecks), required, now)
  if (stepUp !== undefined) return stepUp
  // The alternatives whose scopes the token has need a key, so the client needs the scopes of another alternative.
  const others = missing.length === 0 ? expression.without(self, [expression.senderConstrained]) : undefined
  if (others !== undefined)
    return lacking(part, token, scopesToRequest({ scheme: part.scheme, expression: others }, outer))
  return outer.length === 0 ? constantOf(part, missing) : new InsufficientScope({ required, missing })
}

const lacking = (part: Part, token: VerifiedToken, required: ReadonlyArray<string>): InsufficientScope =>
  new InsufficientScope({ required, missing: required.filter((name) => !hasOf(part, token)(name)) })

const hasOf =
  ({ scheme }: Part, token: VerifiedToken) =>
  (name: string): boolean =>
    satisfies(scheme.implication, token.scopes, name)

// Like `expression.scopesToRequest`, so that the challenge names the scopes and the authentication of one alternative.
const isWithoutChecks = (one: expression.Expression): boolean => expression.checks(one).length === 0

const requiredBy = (
  { scheme }: Part,
  outer: ReadonlyArray<string>,
  chosen: ReturnType<typeof expression.chosen>
): ReadonlyArray<string> =>
  scheme.implication.minimal(
    scope.union(
      outer,
      chosen.flatMap((leaf) => expression.mentioned(leaf))
    )
  )

/**
 * Creates the error that asks for an authentication. Returns `undefined` if the token has the authentication, or if no
 * user can authenticate for the token.
 */
const stepUpFor = (
  part: Part,
  token: VerifiedToken,
  chosen: ReturnType<typeof expression.chosen>,
  required: ReadonlyArray<string>,
  now: () => number
): InsufficientUserAuthentication | undefined => {
  const asked = chosen.filter((leaf) => leaf._tag === "Authentication")
  if (asked.length === 0) return
  const time = now()
  const lacking = asked.filter((leaf) => !expression.isAuthenticated(leaf, token, time))
  if (lacking.length === 0 || part.scheme.isMachine(token)) return
  const request = expression.authenticationRequest(asked) ?? { acrValues: [], maxAge: undefined }
  const isTooWeak = lacking.some(({ acrValues }) => acrValues !== undefined)
  const isTooOld = lacking.some(({ maxAge }) => maxAge !== undefined)
  return new InsufficientUserAuthentication({
    reason: isTooWeak ? (isTooOld ? "TooWeakAndTooOld" : "TooWeak") : "TooOld",
    acrValues: request.acrValues,
    ...(request.maxAge === undefined ? {} : { maxAge: Duration.millis(request.maxAge) }),
    required,
    missing: required.filter((name) => !hasOf(part, token)(name))
  })
}

/**
 * Creates the error after failed checks. If only the checks stand in the way, other scopes help only for alternatives
 * without these checks. Otherwise, the client would request a new token in vain.
 */
const failedChecks = (
  part: Part,
  outer: ReadonlyArray<string>,
  token: VerifiedToken,
  failed: expression.Findings["failed"],
  usual: { readonly required: ReadonlyArray<string>; readonly missing: ReadonlyArray<string> },
  now: () => number
): Unsatisfied => {
  const { expression: self, scheme } = part
  const refused = (required: ReadonlyArray<string>, missing: ReadonlyArray<string>) =>
    missing.length > 0 ? new InsufficientScope({ required, missing, checks }) : new FailedCheck({ checks })
  const checks = Array.from(new Set(failed.map(expression.nameOf)))
  const has = hasOf(part, token)
  if (!expression.hasScopes(self, has)) return refused(usual.required, usual.missing)
  const others = expression.without(self, failed)
  if (others === undefined) return new FailedCheck({ checks })
  const required = scopesToRequest({ scheme, expression: others }, outer)
  return (
    stepUpFor(part, token, expression.chosen(others, isWithoutChecks), required, now) ??
    refused(
      required,
      required.filter((name) => !has(name))
    )
  )
}

/** Returns the scopes to request that the token lacks. */
export const missingScopes = (part: Part, outer: ReadonlyArray<string>, token: VerifiedToken): ReadonlyArray<string> =>
  settingsOf(part, outer).scopes.filter((name) => !satisfies(part.scheme.implication, token.scopes, name))

// Bounds the memory: an expression over n scopes has up to 2^n sets of missing scopes.
const maxConstants = 64

const constantOf = ({ insufficient, settings }: Part, missing: ReadonlyArray<string>): InsufficientScope => {
  const key = missing.join(" ")
  const cached = insufficient.get(key)
  if (cached !== undefined) return cached
  const error = new InsufficientScope({ required: settings.scopes, missing })
  if (insufficient.size < maxConstants) insufficient.set(key, constant(error))
  return error
}

/** `isDpop`: the request used the scheme `DPoP`, so the challenge of that scheme has the error. */
export const refuse = (part: Part, outer: ReadonlyArray<string>, error: SecurityError, isDpop: boolean): Refusal => {
  const used = (settings: Challenge.Settings) => (isDpop ? withProof(settings) : settings)
  if (error._tag === "InsufficientUserAuthentication") return new Refusal(error, used(formOf(part, error.required)))
  // The scopes to request may depend on the checks that failed.
  if (outer.length > 0)
    return new Refusal(
      error,
      used(error._tag === "InsufficientScope" ? formOf(part, error.required) : settingsOf(part, outer))
    )
  if (error._tag === "InsufficientScope" && error.required !== part.settings.scopes)
    return new Refusal(error, used(formOf(part, error.required)))
  const refusals = isDpop ? part.refusalsOfProofs : part.refusals
  const cached = refusals.get(error)
  if (cached !== undefined) return cached
  const refusal = new Refusal(error, used(part.settings))
  if (isConstant(error)) refusals.set(error, refusal)
  return refusal
}

/**
 * Fails with an error of user code. The challenge names the `SecurityScopes` in force and the scopes that the error
 * requires.
 */
export const failWith = <E extends SecurityError>(scheme: Scheme, error: E): Effect.Effect<never, E> =>
  Effect.flatMap(SecurityScopes, (required) => {
    const own =
      error._tag === "InsufficientScope" || error._tag === "InsufficientUserAuthentication" ? error.required : []
    const scopes = scope.union(requiredScopes.ofScheme(required, scheme), own)
    const settings = scheme.settings(scheme.implication.minimal(scopes))
    return Effect.withFiber(({ context }) => {
      const request = scheme.dpop && Context.getOrUndefined(context, HttpServerRequest)
      const isDpop = request !== undefined && usesDpop(request)
      return Effect.fail(Challenge.within(error, isDpop ? withProof(settings) : settings))
    })
  })

/**
 * Decides about a verified token. Succeeds with `undefined` if the token satisfies the part, and with the error
 * otherwise.
 */
export const decide = (
  part: Part,
  outer: ReadonlyArray<string>,
  token: VerifiedToken,
  fiber: CallingFiber
): Effect.Effect<Unsatisfied | InvalidToken | undefined> => {
  const findings = new expression.Findings()
  return Effect.mapEager(holds(part, outer, token, findings, fiber), (outcome) =>
    outcome === true ? undefined : unsatisfied(part, outer, token, outcome, findings, () => nowOf(fiber))
  )
}

/** Returns the refusals that the response names. Each list holds the refusals of all parts of one refused clause. */
const named = (clauses: ReadonlyArray<ReadonlyArray<Refusal>>): ReadonlyArray<Refusal> => {
  // Every clause must hold. If one clause is certainly refused, retrying after another clause's outage does not help.
  const certain = clauses.filter((refusals) => !isOutage(best(refusals)))
  return (certain.length > 0 ? certain : clauses).flat()
}

/** Returns the refusal that decides about the status of the response. */
export const decisiveOf = (clauses: ReadonlyArray<ReadonlyArray<Refusal>>): Refusal => best(named(clauses))

/** Returns the failure of a policy. */
export const failureOf = (clauses: ReadonlyArray<ReadonlyArray<Refusal>>): Effect.Effect<never, SecurityError> => {
  const refusals = named(clauses)
  const [refusal] = refusals
  return refusal !== undefined && refusals.length === 1 ? refusal.failure : Effect.fail(bestError(refusals))
}

// The first three come first, because one scheme has verified the token. AuthorizationServerUnavailable comes before the
// other errors, because an outage must not refuse a token that may be valid.
const precedence: ReadonlyArray<SecurityError["_tag"]> = [
  "InsufficientUserAuthentication",
  "InsufficientScope",
  "FailedCheck",
  "AuthorizationServerUnavailable",
  "UseDpopNonce",
  "InvalidDpopProof",
  "InvalidToken",
  "InvalidRequest",
  "NotAuthenticated"
]

const best = (refusals: ReadonlyArray<Refusal>): Refusal => {
  const [best] = refusals.toSorted((a, b) => precedence.indexOf(a.error._tag) - precedence.indexOf(b.error._tag))
  if (best === undefined) throw new Error("A refused clause has no refusals. This is a bug in effect-oauth2.")
  return best
}

const isOutage = ({ error }: Refusal): boolean => error._tag === "AuthorizationServerUnavailable"

// Servers of MCP respond in their own form, so the texts of the challenges are not enough.
const refusalsOfError = new WeakMap<SecurityError, ReadonlyArray<Refusal>>()

/** Returns the refusals that an error represents, if several parts of a policy refused the request. */
export const refusalsOf = (error: SecurityError): ReadonlyArray<Refusal> | undefined => refusalsOfError.get(error)

const bestError = (refusals: ReadonlyArray<Refusal>): SecurityError => {
  const { error, settings } = best(refusals)
  if (error._tag === "AuthorizationServerUnavailable") return Challenge.within(error, settings)
  // A client that read another scheme's challenge first would not step up, but change the scheme.
  const named =
    error._tag === "InsufficientUserAuthentication"
      ? refusals.filter((refusal) => refusal.error._tag === error._tag)
      : refusals
  const challenges = named.flatMap(({ error, settings }) => Challenge.answer(error, settings).challenges)
  const result = Challenge.within(error, settings, Array.from(new Set(challenges)))
  refusalsOfError.set(result, named)
  return result
}
