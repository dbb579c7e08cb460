/** Runs the commands of a store: a time limit for each, and a circuit breaker, so that an outage costs one time limit. */
import type * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import type { ConfigurationError } from "../core/SecurityError.ts"
import { toMillis } from "../core/duration.ts"
import * as counter from "../core/lib/counter.ts"
import { own } from "../core/lib/ownProperties.ts"
import { elapsed, type Instant, readInstant } from "../core/lib/instant.ts"
import { refuseOption } from "../core/refuseOption.ts"
import { StoreUnavailable } from "./storeUnavailable.ts"

type Reason = StoreUnavailable["reason"]

/** How long the breaker stays open before one command tries again, in milliseconds. */
const openFor = 1000

/** These failures open the breaker. The server answers other failures at once, so they cost no time. */
const isOutage = (reason: Reason): boolean => reason === "Timeout" || reason === "ReadOnly"

const failures = Metric.counter("oauth2_store_failures_total", {
  description: "Failed commands of shared stores, by store and reason",
  incremental: true
})

const timedOut: unique symbol = Symbol("timedOut")

/** Reads the texts of an error and of its causes. The text decides about the reason, and appears nowhere. */
const textOf = (error: unknown, depth = 0): string => {
  if (depth > 5 || typeof error !== "object" || error === null) return typeof error === "string" ? error : ""
  return ["message", "reason", "cause"].map((name) => textOf(own(error, name), depth + 1)).join(" ")
}

const reasonOf = (error: unknown): Reason => {
  if (error === timedOut) return "Timeout"
  const text = textOf(error)
  return /\bREADONLY\b/.test(text) ? "ReadOnly" : /\bOOM\b/.test(text) ? "OutOfMemory" : "Unreachable"
}

/** Returns `true` if a server refused a command because it is a replica. */
export const isReadOnly = (error: unknown): boolean => reasonOf(error) === "ReadOnly"

export class Commands {
  readonly #store: StoreUnavailable["store"]
  readonly #timedOut: Effect.Effect<never, typeof timedOut>
  readonly #context: Context.Context<never>
  #opened: { readonly at: Instant; readonly reason: Reason } | undefined
  #isProbing = false
  /** The last failure, until its end is reported. */
  #failedAt: Instant | undefined

  constructor(store: StoreUnavailable["store"], timeout: Duration.Duration, context: Context.Context<never>) {
    this.#store = store
    // After a pause of the process, its timers run before it reads its sockets. The answer may be there.
    this.#timedOut = Effect.sleep(timeout).pipe(Effect.andThen(Effect.yieldNow), Effect.andThen(Effect.fail(timedOut)))
    this.#context = context
  }

  /** Runs a command. Fails at once if the last command failed less than a second ago, or if a command tries again. */
  readonly run = <A>(command: Effect.Effect<A, unknown>): Effect.Effect<A, StoreUnavailable> =>
    Effect.clockWith((clock) => {
      const opened = this.#opened
      if (opened === undefined) return this.#attempt(command, clock, false)
      const waited = elapsed(opened.at, readInstant(clock))
      if (waited < openFor) return Effect.fail(this.unavailable(opened.reason, openFor - waited))
      if (this.#isProbing) return Effect.fail(this.unavailable(opened.reason))
      return Effect.suspend(() => {
        this.#isProbing = true
        return this.#attempt(command, clock, true)
      })
    })

  /** Counts a failure and returns its error. */
  unavailable(reason: Reason, millis = openFor): StoreUnavailable {
    counter.make(failures, { store: this.#store, reason }, this.#context).count++
    return new StoreUnavailable({ store: this.#store, reason, retryAfter: Duration.millis(millis) })
  }

  #attempt<A>(command: Effect.Effect<A, unknown>, clock: Clock.Clock, isProbe: boolean) {
    return Effect.raceFirst(command, this.#timedOut).pipe(
      Effect.catchDefect(Effect.fail),
      Effect.matchEffect({
        onFailure: (error) => this.#failed(reasonOf(error), clock),
        onSuccess: (value) => Effect.as(this.#succeeded(clock), value)
      }),
      // An interrupt says nothing about the server, so the next command tries again.
      Effect.ensuring(
        Effect.sync(() => {
          if (isProbe) this.#isProbing = false
        })
      )
    )
  }

  #failed(reason: Reason, clock: Clock.Clock): Effect.Effect<never, StoreUnavailable> {
    const isReported = this.#failedAt !== undefined
    this.#failedAt = readInstant(clock)
    this.#opened = isOutage(reason) ? { at: this.#failedAt, reason } : undefined
    const failure = Effect.fail(this.unavailable(reason))
    if (isReported) return failure
    return Effect.andThen(
      Effect.logWarning(
        "A shared store is unavailable. Check the server of the store, and the connection to the server."
      ).pipe(Effect.annotateLogs({ store: this.#store, reason })),
      failure
    )
  }

  #succeeded(clock: Clock.Clock): Effect.Effect<void> {
    this.#opened = undefined
    // A server at its memory limit refuses writes and answers lookups. Each write would log the start of an outage, and
    // each lookup its end. Therefore an outage ends with the first success after a second without failures.
    if (this.#failedAt === undefined || elapsed(this.#failedAt, readInstant(clock)) < openFor) return Effect.void
    this.#failedAt = undefined
    return Effect.logInfo("A shared store is available again.").pipe(Effect.annotateLogs({ store: this.#store }))
  }
}

/** Options that the adapters of every store have. */
export interface CommandOptions {
  /**
   * Time limit of each operation, such as one lookup or one revocation. An operation may send several commands, and send
   * them again on a new connection after a failover. After an operation without an answer, the operations of the next
   * second fail at once.
   *
   * @default "250 millis"
   */
  readonly timeout?: Duration.Input
}

export const make = Effect.fnUntraced(function* (
  store: StoreUnavailable["store"],
  { timeout = "250 millis" }: CommandOptions
): Effect.fn.Return<Commands, ConfigurationError> {
  const millis = toMillis(timeout)
  if (!(millis > 0 && millis <= 60_000)) {
    return yield* refuseOption("timeout", 'must be a duration above 0 and of at most 60 seconds, such as "250 millis"')
  }
  return new Commands(store, Duration.millis(millis), yield* Effect.context<never>())
})
