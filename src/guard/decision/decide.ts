/** Checks if a request satisfies a policy, without an asynchronous step if its token is cached. */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import type { VerifiedToken } from "../../core/AccessToken.ts"
import { InvalidToken, type SecurityError } from "../../core/SecurityError.ts"
import { SecurityScopes } from "../../core/SecurityScopes.ts"
import { constant } from "../../core/constantErrors.ts"
import { connectionOf } from "../../core/message.ts"
import * as requiredScopes from "../../core/requiredScopes.ts"
import type { CallingFiber } from "../../verifier/cache/directVerifier.ts"
import { Authenticator, DpopCredential } from "../../verifier/request/authenticator.ts"
import { Findings, immediate, nameOf } from "../requirement/expression.ts"
import {
  type PolicyClause,
  holds,
  nowOf,
  type Part,
  type RequirementPolicy,
  settingsOf
} from "../requirement/policy.ts"
import { Refusal } from "../requirement/refusal.ts"
import { decisiveOf, failureOf, unsatisfied, missingScopes, refuse } from "../requirement/refuse.ts"
import type { Reporter } from "../scheme/decisionLog.ts"
import * as Origin from "../scheme/origin.ts"
import { type Authentication, Proof, type Scheme } from "../scheme/scheme.ts"
import { fill } from "./fill.ts"
import type { Place } from "./place.ts"
import { advise } from "./stepUpAdvice.ts"
import * as report from "./report.ts"

// The types of the public API (`SecurityRequirement`, `auth.prove`) describe what a handler returns, needs and fails
// with.
export type Handler = Effect.Effect<unknown, unknown, unknown>

export type Authentications = ReadonlyMap<Scheme, Authentication>

export interface Guard {
  readonly policy: RequirementPolicy
  readonly authentications: Authentications
  readonly handler: Handler
  /** The place of the guard in an `HttpApi`. */
  readonly place: Place | undefined
  /** What the guard's reports have in common. */
  readonly decider: report.Decider
}

// Objects that hold a request are instances of classes, not object literals. The first requests wait for the issuer's
// keys, so V8 learns that the objects of a literal live long. V8 then allocates later objects of that literal in the
// old generation, where they hold their requests in memory until the next full collection.

/** A policy, and the request that must satisfy it. */
export class GuardedRequest {
  readonly guard: Guard
  readonly policy: RequirementPolicy
  readonly fiber: CallingFiber
  /** `undefined` in a program without HTTP. */
  readonly request: HttpServerRequest | undefined
  /** The request of the connection, if `request` represents a message. */
  readonly connection: HttpServerRequest | undefined
  /** The scopes that outer guards require. */
  readonly required: requiredScopes.RequiredScopes

  constructor(guard: Guard, policy: RequirementPolicy, fiber: CallingFiber) {
    this.guard = guard
    this.policy = policy
    this.fiber = fiber
    this.request = Context.getOrUndefined(fiber.context, HttpServerRequest)
    this.connection = this.request && connectionOf(this.request)
    this.required = Context.get(fiber.context, SecurityScopes)
  }
}

/** A part of the policy that the request satisfies, and its token. */
export class Accepted {
  readonly part: Part
  /** `undefined` for an anonymous request, if the part is optional. */
  readonly token: Redacted.Redacted | undefined
  readonly accessToken: VerifiedToken | undefined
  readonly reporter: Reporter
  /** The names of the authentications that the token has. */
  readonly authentications: ReadonlyArray<string>

  constructor(
    part: Part,
    token: Redacted.Redacted | undefined,
    accessToken: VerifiedToken | undefined,
    reporter: Reporter,
    authentications: ReadonlyArray<string>
  ) {
    this.part = part
    this.token = token
    this.accessToken = accessToken
    this.reporter = reporter
    this.authentications = authentications
  }
}

/** A part of the policy that the request does not satisfy. Many requests may share the refusal, but not this object. */
class Refused {
  readonly part: Part
  readonly refusal: Refusal
  /** `undefined` if no token was verified. */
  readonly accessToken: VerifiedToken | undefined
  readonly reporter: Reporter

  constructor(part: Part, refusal: Refusal, accessToken: VerifiedToken | undefined, reporter: Reporter) {
    this.part = part
    this.refusal = refusal
    this.accessToken = accessToken
    this.reporter = reporter
  }
}

/** The decision about a clause: the first part that the request satisfies, or the refusals of all parts. */
type Verdict = Accepted | ReadonlyArray<Refused>

const isAccepted = (verdict: Verdict): verdict is Accepted => verdict instanceof Accepted

/**
 * Returns the accepted part of each clause, or fails. Checks every clause, because the challenge names all missing
 * scopes.
 */
export const decide = (
  self: GuardedRequest,
  before: ReadonlyArray<Verdict> = []
): Effect.Effect<ReadonlyArray<Accepted>, SecurityError> => {
  const clause = self.policy.at(before.length)
  if (clause === undefined) return conclude(self, before)
  // Most policies have one clause, and a literal is faster than a spread.
  return Effect.flatMapEager(decideClause(self, clause), (verdict) =>
    decide(self, before.length === 0 ? [verdict] : [...before, verdict])
  )
}

const conclude = (
  self: GuardedRequest,
  verdicts: ReadonlyArray<Verdict>
): Effect.Effect<ReadonlyArray<Accepted>, SecurityError> => {
  if (verdicts.every(isAccepted)) return grant(self, verdicts)
  const sole = soleRefusal(verdicts)
  if (sole !== undefined) return failing(self, sole, sole.refusal.failure)
  const refused = verdicts.flatMap((verdict) => (isAccepted(verdict) ? [] : [verdict]))
  const refusals = refused.map((clause) => clause.map(({ refusal }) => refusal))
  const decisive = decisiveOf(refusals)
  const all = refused.flat()
  return failing(self, all.find(({ refusal }) => refusal === decisive) ?? all[0], failureOf(refusals))
}

/** Returns the refusal if there is one. Most decisions have one, whose failure was created once. */
const soleRefusal = (verdicts: ReadonlyArray<Verdict>): Refused | undefined => {
  let sole: Refused | undefined
  for (const verdict of verdicts) {
    if (isAccepted(verdict)) continue
    for (const refused of verdict) {
      if (sole !== undefined) return
      sole = refused
    }
  }
  return sole
}

/** Reports a refusal, and fails. */
const failing = (
  self: GuardedRequest,
  refused: Refused | undefined,
  failure: Effect.Effect<never, SecurityError>
): Effect.Effect<never, SecurityError> => {
  if (refused === undefined) return failure
  const reported = reportRefused(self, refused)
  const advice = advise(refused.refusal.error, refused.accessToken, refused.reporter)
  const failing = reported === undefined ? failure : Effect.andThen(reported, failure)
  return advice === undefined ? failing : Effect.andThen(advice, failing)
}

/** Reports a grant for each scheme. If the program does not record decisions, the result is available now. */
const grant = (self: GuardedRequest, accepted: ReadonlyArray<Accepted>): Effect.Effect<ReadonlyArray<Accepted>> => {
  let reported: Effect.Effect<void> | undefined
  for (const { accessToken, part, reporter } of accepted) {
    if (!report.isRecorded(reporter, self.guard.decider, accessToken, self.fiber)) continue
    const required = settingsOf(part, outerOf(self, part.scheme)).scopes
    const one = report.granted(reporter, self.guard.decider, accessToken, required, self.fiber)
    reported = reported === undefined ? one : Effect.andThen(reported, one)
  }
  return reported === undefined ? Exit.succeed(accepted) : Effect.as(reported, accepted)
}

const reportRefused = (
  self: GuardedRequest,
  { accessToken, part, refusal: { error }, reporter }: Refused
): Effect.Effect<void> | undefined => {
  const details = report.detailsOf(error, () => settingsOf(part, outerOf(self, part.scheme)).scopes)
  return report.refused(reporter, self.guard.decider, error, accessToken, details, self.fiber)
}

/** Returns the scopes that outer guards require of the scheme. */
const outerOf = ({ required }: GuardedRequest, scheme: Scheme): ReadonlyArray<string> =>
  required === requiredScopes.none ? required.scopes : requiredScopes.ofScheme(required, scheme)

const decideClause = (
  self: GuardedRequest,
  clause: PolicyClause,
  index = 0,
  refusals: ReadonlyArray<Refused> = []
): Effect.Effect<Verdict> => {
  const part = clause.at(index)
  if (part === undefined) return Exit.succeed(refusals)
  return Effect.flatMapEager(decidePart(self, part), (verdict) =>
    verdict instanceof Accepted ? Exit.succeed(verdict) : decideClause(self, clause, index + 1, [...refusals, verdict])
  )
}

const decidePart = (self: GuardedRequest, part: Part): Effect.Effect<Accepted | Refused> =>
  part.isTemplate
    ? Effect.flatMap(fill(part, self.fiber.context), (filled) => decideFilled(self, filled))
    : decideFilled(self, part)

const decideFilled = (self: GuardedRequest, part: Part): Effect.Effect<Accepted | Refused> => {
  const { fiber, guard, request } = self
  const { scheme } = part
  const authentication = guard.authentications.get(scheme) ?? Context.getOrUndefined(fiber.context, scheme.service)
  if (!(authentication?.authenticator instanceof Authenticator && authentication.scheme === scheme)) {
    const why = authentication === undefined ? "is not provided" : "belongs to a different scheme with the same name"
    return Effect.die(
      new Error(`The layer of the scheme ${JSON.stringify(scheme.name)} ${why}. Provide the layer of this scheme.`)
    )
  }
  const { reporter } = authentication
  const outer = outerOf(self, scheme)
  const credential = authentication.authenticator.credentialOf(request, fiber)
  const isDpop = credential instanceof DpopCredential
  return Effect.matchCauseEffectEager(credential.verified, {
    onFailure: (cause) => {
      const error = Option.getOrUndefined(Cause.findErrorOption(cause))
      // Safe cast: without an error, the cause is a defect or an interruption.
      if (error === undefined) return Exit.failCause(cause as Cause.Cause<never>)
      return Exit.succeed(
        part.optional && error._tag === "NotAuthenticated"
          ? new Accepted(part, undefined, undefined, reporter, [])
          : new Refused(part, refuse(part, outer, error, isDpop), undefined, reporter)
      )
    },
    onSuccess: (accessToken) => {
      if (self.connection !== undefined && isOfAnother(accessToken, self.connection, scheme, fiber)) {
        return Exit.succeed(new Refused(part, refuse(part, outer, ofAnother, isDpop), accessToken, reporter))
      }
      const findings = part.scopes === undefined ? new Findings() : nothingFound
      const { failed } = findings
      const holding = holds(part, outer, accessToken, findings, fiber)
      // Without a check, the decision is available now.
      // Safe cast: the types of the public API hold the errors of checks.
      const checked =
        immediate(holding) ??
        (Effect.tapError(holding, reportCheckError(self, part, accessToken, failed, reporter)) as typeof holding)
      return Effect.mapEager(checked, (outcome) =>
        outcome === true
          ? // The verification of a session finds its token.
            new Accepted(part, credential.token, accessToken, reporter, findings.authentications)
          : new Refused(
              part,
              refuse(
                part,
                outer,
                unsatisfied(part, outer, accessToken, outcome, findings, () => nowOf(fiber)),
                isDpop
              ),
              accessToken,
              reporter
            )
      )
    }
  })
}

/** Reports a refusal with the error of a check, which is the last one in `failed`. */
const reportCheckError =
  (
    self: GuardedRequest,
    part: Part,
    token: VerifiedToken,
    failed: Findings["failed"],
    reporter: Reporter
  ): ((error: unknown) => Effect.Effect<void>) =>
  (error) => {
    const outer = outerOf(self, part.scheme)
    const details = () => ({
      required: settingsOf(part, outer).scopes,
      missing: missingScopes(part, outer, token),
      failedChecks: failed.map(nameOf)
    })
    return report.refused(reporter, self.guard.decider, error, token, details, self.fiber) ?? Effect.void
  }

// Shared by decisions that look only at scopes, which find out nothing.
const nothingFound = new Findings()
Object.freeze(nothingFound.failed)
Object.freeze(nothingFound.authentications)

const ofAnother = constant(new InvalidToken({ reason: "Rejected" }))

/**
 * Returns `true` if a requirement around the connection accepted the token of another user. The handler may use
 * services that belong to that user, so a message must not have the token of another one.
 */
const isOfAnother = (
  { issuer, subject }: VerifiedToken,
  connection: HttpServerRequest,
  scheme: Scheme,
  { context }: CallingFiber
): boolean => {
  const origin = Origin.of(connection)
  const proof = Proof.find(context, scheme, origin) ?? Proof.find(context, scheme, origin, "optionalProof")
  return proof !== undefined && (proof.token.subject !== subject || proof.token.issuer !== issuer)
}
