/** Reports the decisions of guards, and of code that authorizes or refuses by itself. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { HttpServerRequest } from "effect/http/HttpServerRequest"
import { hasProperty } from "effect/Predicate"
import type { VerifiedToken } from "../../core/AccessToken.ts"
import { isTraced } from "../../core/effect/observed.ts"
import * as response from "../../core/response.ts"
import { isSecurityError, type SecurityError } from "../../core/SecurityError.ts"
import type { CallingFiber } from "../../verifier/cache/directVerifier.ts"
import { type Decision, type Facts, logIn, report, Reporter } from "../scheme/decisionLog.ts"
import { failWith } from "../requirement/refuse.ts"
import { noteRefusal } from "../scheme/failedAttempts.ts"
import * as Origin from "../scheme/origin.ts"
import { Proof, type Scheme } from "../scheme/scheme.ts"

/** What every decision of a place has in common. */
export interface Decider extends Pick<Decision, "decidedBy" | "endpoint"> {
  /** The log where the requirement was added. */
  readonly log: ReturnType<typeof logIn>
}

/** Returns the scopes and checks of a decision. Runs only if a log or a span records the decision. */
type Details = () => Pick<Facts, "required" | "missing" | "failedChecks">

/** Returns the log for a decision: that of the request, of the requirement, or of the scheme's layer. */
const logOf = (reporter: Reporter, decider: Decider, fiber: CallingFiber): Decider["log"] =>
  logIn(fiber.context) ?? decider.log ?? reporter.log

/** Counts a grant. Returns `false` if the program does not record decisions. */
export const isRecorded = (
  reporter: Reporter,
  decider: Decider,
  token: VerifiedToken | undefined,
  fiber: CallingFiber
): boolean => {
  reporter.countGrant(token)
  return isTraced(fiber) || logOf(reporter, decider, fiber) !== undefined
}

/** Reports a grant that was counted. */
export const granted = (
  reporter: Reporter,
  decider: Decider,
  token: VerifiedToken | undefined,
  required: ReadonlyArray<string>,
  fiber: CallingFiber
): Effect.Effect<void> => {
  const { decidedBy, endpoint } = decider
  const reason = token === undefined ? "Anonymous" : "Token"
  const details = { detail: undefined, required, missing: [], failedChecks: [] }
  const facts: Facts = { outcome: "Granted", reason, decidedBy, endpoint, token, ...details }
  return report(reporter, logOf(reporter, decider, fiber), facts, fiber)
}

/**
 * Counts a refusal. `error` may be the error of a check. Returns what remains to be done, or `undefined` if the program
 * does not record decisions.
 */
export const refused = (
  reporter: Reporter,
  decider: Decider,
  error: unknown,
  token: VerifiedToken | undefined,
  details: Details,
  fiber: CallingFiber
): Effect.Effect<void> | undefined => {
  const reason = reasonOf(error)
  reporter.count("Refused", reason)
  const noted = noteRefusal(reason, fiber)
  const log = logOf(reporter, decider, fiber)
  if (log === undefined && !isTraced(fiber)) return noted
  const { decidedBy, endpoint } = decider
  const facts = { outcome: "Refused", reason, detail: detailOf(error), decidedBy, endpoint, token } as const
  const reported = report(reporter, log, { ...facts, ...details() }, fiber)
  return noted === undefined ? reported : Effect.andThen(noted, reported)
}

/** Returns the details of the refusal with a `SecurityError`. */
export const detailsOf =
  (error: SecurityError, required: () => ReadonlyArray<string>): Details =>
  () => {
    const isInsufficient = error._tag === "InsufficientScope"
    const hasChecks = error._tag === "FailedCheck" || (isInsufficient && Object.hasOwn(error, "checks"))
    return {
      required: required(),
      missing: isInsufficient || error._tag === "InsufficientUserAuthentication" ? error.missing : [],
      failedChecks: hasChecks ? (error.checks ?? []) : []
    }
  }

const reasonOf = (error: unknown): Decision["reason"] => (isSecurityError(error) ? error._tag : "CheckError")

const detailOf = (error: unknown): string | undefined => {
  if (isSecurityError(error)) {
    return error._tag === "InsufficientScope" || error._tag === "FailedCheck" ? undefined : error.reason
  }
  return hasProperty(error, "_tag") ? String(error._tag) : undefined
}

/** Returns the reporter of the scheme's layer. Without that layer, returns a new one. */
export const reporterOf = (scheme: Scheme, context: Context.Context<never>): Reporter => {
  const authentication = Context.getOrUndefined(context, scheme.service)
  return authentication?.reporter instanceof Reporter && authentication.scheme === scheme
    ? authentication.reporter
    : new Reporter(scheme.name, context)
}

/** Reports a refusal of code that is not a guard, about the token that was proven before. */
export const refusedBy = (
  scheme: Scheme,
  decidedBy: Decision["decidedBy"],
  error: SecurityError,
  required: ReadonlyArray<string>
): Effect.Effect<void> =>
  Effect.withFiber((fiber) => {
    const origin = Origin.of(Context.getOrUndefined(fiber.context, HttpServerRequest))
    const token = Proof.find(fiber.context, scheme, origin)?.token
    const decider = { decidedBy, endpoint: undefined, log: undefined }
    const details = detailsOf(error, () => required)
    return refused(reporterOf(scheme, fiber.context), decider, error, token, details, fiber) ?? Effect.void
  })

/** Fails with an error of user code, and reports the refusal. */
export const refuseWith = <E extends SecurityError>(scheme: Scheme, error: E): Effect.Effect<never, E> =>
  Effect.andThen(
    refusedBy(scheme, "refuse", error, error._tag === "InsufficientScope" ? error.required : []),
    failWith(scheme, error)
  )

/** Responds to a security error that user code created as to an error of the scheme. */
export const adopt = <A, E, R>(self: Effect.Effect<A, E, R>, scheme: Scheme): Effect.Effect<A, E, R> =>
  Effect.catchIf(
    self,
    (error): error is E & SecurityError =>
      isSecurityError(error) && !response.isFromScheme(error) && !response.isFromUpstream(error),
    (error) => refuseWith(scheme, error)
  )
