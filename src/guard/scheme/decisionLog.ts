/** Reports grants and refusals: a metric, attributes of the current span, and the program's own log. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { HttpServerRequest } from "effect/http/HttpServerRequest"
import { RouteContext } from "effect/http/HttpRouter"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"
import type { VerifiedToken } from "../../core/AccessToken.ts"
import { isTraced } from "../../core/effect/observed.ts"
import * as counter from "../../core/lib/counter.ts"
import type { SecurityError } from "../../core/SecurityError.ts"
import type { CallingFiber } from "../../verifier/cache/directVerifier.ts"

/**
 * Grant or refusal, as plain data without the token.
 *
 * **Details**
 *
 * | `reason` | outcome |
 * |---|---|
 * | `"Token"` | granted to a verified token |
 * | `"Anonymous"` | granted to a request without a token, because authentication is optional |
 * | tag of a `SecurityError` | refused with this error |
 * | `"CheckError"` | refused with the error of a check |
 *
 * @category models
 * @since 0.1.0
 */
export interface Decision {
  readonly outcome: "Granted" | "Refused"
  readonly reason: "Token" | "Anonymous" | "CheckError" | SecurityError["_tag"]
  /** The `reason` of the `SecurityError`, if it has one, such as `"Expired"`, or the `_tag` of the error of a check. */
  readonly detail: string | undefined
  /** The member of the library that decided. `"require"` stands for `optional` and `OAuth2.either`, too. */
  readonly decidedBy: "require" | "prove" | "authorize" | "refuse"
  /** The name of the scheme. */
  readonly scheme: string
  /** The HTTP method of the request. `undefined` without HTTP. */
  readonly method: string | undefined
  /** The path of the route, such as `"/items/:id"`. `undefined` without a route. */
  readonly route: string | undefined
  /** The group and the name of the endpoint, such as `"items.list"`, if a requirement of the endpoint decided. */
  readonly endpoint: string | undefined
  /** The subject of the verified token (`sub`). */
  readonly subject: string | undefined
  /** The issuer of the verified token (`iss`). */
  readonly issuer: string | undefined
  /** The client of the verified token (`client_id` or `azp`). */
  readonly clientId: string | undefined
  /** The identifier of the verified token (`jti`). */
  readonly tokenId: string | undefined
  /** The scopes that a client should request, as in the challenge. */
  readonly required: ReadonlyArray<string>
  /** The required scopes that a refused, verified token lacks. */
  readonly missing: ReadonlyArray<string>
  /** The names of the checks that refused the token. */
  readonly failedChecks: ReadonlyArray<string>
}

type Log = (decision: Decision) => Effect.Effect<void, unknown>

export const noLog: Log = () => Effect.void

/**
 * Reference that holds the function that records each grant and refusal. Default: records nothing.
 *
 * **When to use**
 *
 * Use for an audit log.
 *
 * **Details**
 *
 * The function is called once for each decision of a requirement, of `auth.prove`, of `auth.authorize` and of
 * `auth.layerRequest`. It is also called for each error of `auth.refuse`, and for each `SecurityError` that a protected
 * handler creates. If two schemes grant access, each grant is one decision. A defect or an interruption is not a
 * decision.
 *
 * Provide the log to the app, to the layer of the scheme, or to the server. The handler or the response waits for the
 * returned effect, also if the client disconnects. The effect runs in the request, so it can read `HttpServerRequest`
 * with `Effect.serviceOption`.
 *
 * If the effect fails, dies, or takes longer than 5 seconds, the decision stands. An error is logged, with the decision
 * as its annotations.
 *
 * Without a log, the library still records:
 *
 * | where | what |
 * |---|---|
 * | counter `oauth2_decisions_total` | decisions; attributes `scheme`, `outcome`, `reason` |
 * | current span | `oauth2.scheme`, `oauth2.outcome`, `oauth2.reason`, `oauth2.client_id`, `oauth2.missing_scopes` |
 *
 * **Gotchas**
 *
 * - If other middleware separates two requirements, each of them decides about the request.
 * - Spans do not contain the subject, because it may be personal data. OpenTelemetry calls it `enduser.id`. To add it,
 *   call `Effect.annotateCurrentSpan` in the log.
 *
 * **Example** (Writing refusals and grants to an audit log)
 *
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { DecisionLog } from "effect-oauth2"
 *
 * export const AuditLog = Layer.succeed(DecisionLog, ({ outcome, reason, route, subject, tokenId }) =>
 *   Effect.logInfo("Access").pipe(Effect.annotateLogs({ outcome, reason, route, subject, tokenId }))
 * )
 * ```
 *
 * @category services
 * @since 0.1.0
 */
export class DecisionLog extends Context.Reference<Log>("effect-oauth2/DecisionLog", {
  defaultValue: () => noLog
}) {}

/** Returns the log in a context. Returns `undefined` if it records nothing. */
export const logIn = (context: Context.Context<never>): Log | undefined => {
  const log = Context.get(context, DecisionLog)
  return log === noLog ? undefined : log
}

const decisions = Metric.counter("oauth2_decisions_total", {
  description: "Grants and refusals, by scheme, outcome and reason",
  incremental: true
})

/** What a decision reports of its scheme's surroundings: the counters and the log where the scheme's layer was built. */
export class Reporter {
  readonly scheme: string
  readonly log: Log | undefined
  readonly #context: Context.Context<never>
  readonly #counters = new Map<Decision["reason"], counter.Counter>()
  readonly #warnings = new Set<string>()
  // Most decisions are grants to a token. A field is faster than a lookup.
  #granted: counter.Counter | undefined

  constructor(scheme: string, context: Context.Context<never>) {
    this.scheme = scheme
    this.log = logIn(context)
    // The counters need the registry only, and the context may hold much more.
    this.#context = Context.make(Metric.MetricRegistry, Context.get(context, Metric.MetricRegistry))
  }

  countGrant(token: VerifiedToken | undefined): void {
    if (token === undefined) this.count("Granted", "Anonymous")
    else (this.#granted ??= this.#counter("Granted", "Token")).count++
  }

  /** Logs a warning for the operator. The same warning appears once. */
  warnOnce(kind: string, message: () => string): Effect.Effect<void> | undefined {
    if (this.#warnings.has(kind)) return
    this.#warnings.add(kind)
    return Effect.logWarning(message())
  }

  /** Each outcome has its own reasons. */
  count(outcome: Decision["outcome"], reason: Decision["reason"]): void {
    const counted = this.#counters.get(reason) ?? this.#counter(outcome, reason)
    counted.count++
  }

  #counter(outcome: Decision["outcome"], reason: Decision["reason"]): counter.Counter {
    const made = counter.make(decisions, { scheme: this.scheme, outcome, reason }, this.#context)
    this.#counters.set(reason, made)
    return made
  }
}

/** What the caller knows of a decision. */
export interface Facts extends Pick<
  Decision,
  "outcome" | "reason" | "detail" | "decidedBy" | "endpoint" | "required" | "missing" | "failedChecks"
> {
  readonly token: VerifiedToken | undefined
}

/** Adds attributes to the current span, and calls the log. */
export const report = (
  { scheme }: Reporter,
  log: Log | undefined,
  { token, ...facts }: Facts,
  fiber: CallingFiber
): Effect.Effect<void> => {
  const decision: Decision = {
    ...facts,
    scheme,
    method: Context.getOrUndefined(fiber.context, HttpServerRequest)?.method,
    route: Context.getOrUndefined(fiber.context, RouteContext)?.route.path,
    subject: token?.subject,
    issuer: token?.issuer,
    clientId: token && Option.getOrUndefined(token.clientId),
    tokenId: token && Option.getOrUndefined(token.tokenId)
  }
  if (isTraced(fiber)) annotate(decision, Context.getOrUndefined(fiber.context, Tracer.ParentSpan))
  return log === undefined ? Exit.void : write(log, decision)
}

const annotate = (decision: Decision, span: Tracer.AnySpan | undefined): void => {
  if (span?._tag !== "Span") return
  span.attribute("oauth2.scheme", decision.scheme)
  span.attribute("oauth2.outcome", decision.outcome)
  span.attribute("oauth2.reason", decision.reason)
  if (decision.clientId !== undefined) span.attribute("oauth2.client_id", decision.clientId)
  if (decision.missing.length > 0) span.attribute("oauth2.missing_scopes", decision.missing)
}

// A request waits no longer for the log. Otherwise, a log that is unavailable would stop every request.
const maxDuration = "5 seconds"

/** Uninterruptible, because a client must not prevent an entry by closing its connection. */
const write = (log: Log, decision: Decision): Effect.Effect<void> =>
  Effect.suspend(() => {
    const written: unknown = log(decision)
    if (!Effect.isEffect(written)) return Effect.die(new TypeError("The DecisionLog must return an Effect."))
    // Safe cast: the type of the log allows no services.
    const effect = written as Effect.Effect<unknown, unknown>
    return Exit.isExit(written)
      ? effect
      : Effect.timeoutOrElse(effect, {
          duration: maxDuration,
          orElse: () => Effect.die(new Error(`The DecisionLog took longer than ${maxDuration}.`))
        })
  }).pipe(
    Effect.catchCause((cause) =>
      Effect.annotateLogs(
        Effect.logError("The DecisionLog failed, so it may lack a decision. The decision stands.", cause),
        { ...decision }
      )
    ),
    Effect.asVoid,
    Effect.uninterruptible
  )
