/** Records each verification: a metric, and if enabled, a debug log and a span. */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Metric from "effect/Metric"
import * as counter from "../../core/lib/counter.ts"
import { errorOf } from "../../core/lib/exit.ts"
import type { InvalidRequest } from "../../core/SecurityError.ts"
import { isDebugged, isTraced } from "../../core/effect/observed.ts"
import type { CallingFiber } from "../cache/directVerifier.ts"
import type { Rejection } from "../cache/verified.ts"

const verifications = Metric.counter("oauth2_token_verifications_total", {
  description: "Verifications of tokens, by outcome",
  incremental: true
})

/** Counts an outcome. An interruption (`undefined`) is not counted. */
export type Count = (outcome: "Accepted" | Rejection | undefined) => void

export const counters = (context: Context.Context<never>): Count => {
  const countersByOutcome = new Map<string, counter.Counter>()
  return (outcome) => {
    if (outcome === undefined) return
    const name = outcome === "Accepted" ? outcome : outcome._tag === "InvalidToken" ? outcome.reason : outcome._tag
    let count = countersByOutcome.get(name)
    if (count === undefined)
      countersByOutcome.set(name, (count = counter.make(verifications, { outcome: name }, context)))
    count.count++
  }
}

const outcomeOfRequest = {
  Malformed: "MalformedCredentials",
  TooLong: "TooLong",
  SeveralCredentials: "SeveralCredentials",
  CrossSite: "CrossSite",
  CsrfHeader: "CsrfHeader",
  Unspecified: "MalformedCredentials"
} as const satisfies Readonly<Record<InvalidRequest["reason"], string>>

/** Counts credentials that reach no verifier, because they are not one bearer token. */
export const countRequest = (reason: InvalidRequest["reason"], context: Context.Context<never>): void => {
  counter.make(verifications, { outcome: outcomeOfRequest[reason] }, context).count++
}

/** Adds metric, debug log and span to a verification. */
export const observed = <A>(
  verification: Effect.Effect<A, Rejection>,
  span: string,
  count: Count,
  fiber: CallingFiber
): Effect.Effect<A, Rejection> => {
  const counted = Effect.onExitPrimitive(verification, (exit) => {
    count(Exit.isSuccess(exit) ? "Accepted" : errorOf(exit))
    return undefined
  })
  const logged = isDebugged(fiber) ? Effect.tapError(counted, logRefusal) : counted
  return isTraced(fiber) ? Effect.withSpan(logged, span) : logged
}

/** The message names the failed check and never contains token content. */
const logRefusal = (error: Rejection) => Effect.logDebug(error.message)
