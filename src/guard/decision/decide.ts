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
import { Authenticator } from "../../verifier/request/authenticator.ts"
import { type PolicyClause, holds, type Part, type RequirementPolicy } from "../requirement/policy.ts"
import { Refusal } from "../requirement/refusal.ts"
import { failureOf, insufficient, refuse } from "../requirement/refuse.ts"
import * as Origin from "../scheme/origin.ts"
import { type Authentication, Proof, type Scheme } from "../scheme/scheme.ts"
import type { Place } from "./place.ts"

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

  constructor(part: Part, token: Redacted.Redacted | undefined, accessToken: VerifiedToken | undefined) {
    this.part = part
    this.token = token
    this.accessToken = accessToken
  }
}

/** The decision about a clause: the first part that the request satisfies, or the refusals of all parts. */
type Verdict = Accepted | ReadonlyArray<Refusal>

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
  if (clause === undefined) return conclude(before)
  // Most policies have one clause, and a literal is faster than a spread.
  return Effect.flatMapEager(decideClause(self, clause), (verdict) =>
    decide(self, before.length === 0 ? [verdict] : [...before, verdict])
  )
}

const conclude = (verdicts: ReadonlyArray<Verdict>): Effect.Effect<ReadonlyArray<Accepted>, SecurityError> => {
  if (verdicts.every(isAccepted)) return Exit.succeed(verdicts)
  const refused = verdicts.flatMap((verdict) => (isAccepted(verdict) ? [] : [verdict]))
  const [refusal, ...others] = refused.flat()
  // Most decisions have one refusal, whose failure was created once.
  return refusal !== undefined && others.length === 0 ? refusal.failure : failureOf(refused)
}

const decideClause = (
  self: GuardedRequest,
  clause: PolicyClause,
  index = 0,
  refusals: ReadonlyArray<Refusal> = []
): Effect.Effect<Verdict> => {
  const part = clause.at(index)
  if (part === undefined) return Exit.succeed(refusals)
  return Effect.flatMapEager(decidePart(self, part), (verdict) =>
    verdict instanceof Accepted ? Exit.succeed(verdict) : decideClause(self, clause, index + 1, [...refusals, verdict])
  )
}

const decidePart = (self: GuardedRequest, part: Part): Effect.Effect<Accepted | Refusal> => {
  const { fiber, guard, request, required } = self
  const { scheme } = part
  const authentication = guard.authentications.get(scheme) ?? Context.getOrUndefined(fiber.context, scheme.service)
  if (!(authentication?.authenticator instanceof Authenticator && authentication.scheme === scheme)) {
    const why = authentication === undefined ? "is not provided" : "belongs to a different scheme with the same name"
    return Effect.die(
      new Error(`The layer of the scheme ${JSON.stringify(scheme.name)} ${why}. Provide the layer of this scheme.`)
    )
  }
  const outer = required === requiredScopes.none ? required.scopes : requiredScopes.ofScheme(required, scheme)
  const { token, verified } = authentication.authenticator.credentialOf(request, fiber)
  return Effect.matchCauseEffectEager(verified, {
    onFailure: (cause) => {
      const error = Option.getOrUndefined(Cause.findErrorOption(cause))
      // Safe cast: without an error, the cause is a defect or an interruption.
      if (error === undefined) return Exit.failCause(cause as Cause.Cause<never>)
      return Exit.succeed(
        part.optional && error._tag === "NotAuthenticated"
          ? new Accepted(part, undefined, undefined)
          : refuse(part, outer, error)
      )
    },
    onSuccess: (accessToken) => {
      if (self.connection !== undefined && isOfAnother(accessToken, self.connection, scheme, fiber))
        return Exit.succeed(refuse(part, outer, ofAnother))
      const failed: Array<string> = []
      return Effect.mapEager(holds(part, outer, accessToken, failed), (holds) =>
        holds
          ? new Accepted(part, token, accessToken)
          : refuse(part, outer, insufficient(part, outer, accessToken, failed))
      )
    }
  })
}

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
