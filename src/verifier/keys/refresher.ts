/** Fetches an issuer's keys, one fetch at a time, with a cool-down between fetches. */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Metric from "effect/Metric"
import { AuthorizationServerUnavailable } from "../../core/SecurityError.ts"
import type { Published } from "./published.ts"
import type { Unavailable } from "../authorizationServer/http.ts"
import { elapsed, type Instant, readInstant } from "../../core/lib/instant.ts"
import { freezeError } from "../../core/lib/exit.ts"
import * as Keys from "./keys.ts"
import * as telemetry from "./telemetry.ts"

const failureCoolDown = Duration.seconds(5)
const unknownKeyCoolDown = Duration.seconds(30)
const fetchTimeout = Duration.seconds(5)
/** While an outage is this recent, stale keys serve without waiting for the next fetch. */
const outageMemory = Duration.minutes(1)

/** Result of the last successful fetch. */
export interface Fetched {
  readonly keys: Keys.Keys
  /** Start of the fetch. The keys may be that old. */
  readonly startedAt: Instant
  readonly freshFor: number
  /** Last logged state of these keys, so that each state is logged once. */
  reported: "stale" | "expired" | undefined
}

interface Outage {
  readonly error: AuthorizationServerUnavailable
  readonly failedAt: Instant
}

export interface RefresherOptions {
  /** Names the issuer in errors, logs and metrics. */
  readonly issuer: string
  readonly fetch: Effect.Effect<Published, Unavailable>
}

export const makeRefresher = Effect.fnUntraced(function* (options: RefresherOptions) {
  const refresher = new Refresher(options, yield* Effect.context<never>())
  yield* Effect.addFinalizer(() => refresher.close())
  return refresher
})

export class Refresher {
  fetched: Fetched | undefined

  readonly #options: RefresherOptions
  readonly #fork: <A, E>(effect: Effect.Effect<A, E>) => Fiber.Fiber<A, E>
  /** Error if no fetch failed and none may start, because the layer is closed. */
  readonly #closedError: AuthorizationServerUnavailable
  #outage: Outage | undefined
  /** Start of the last successful fetch for an unknown key. */
  #unknownKeyFetchedAt: Instant | undefined
  #pending: Fiber.Fiber<void> | undefined
  #isClosed = false
  #age: Metric.Registration | undefined

  constructor(options: RefresherOptions, context: Context.Context<never>) {
    this.#options = options
    this.#closedError = this.#errorOf("Unreachable")
    // Run fetches in the layer's context. The issuer receives nothing from a request, such as its trace headers, and an
    // interrupted request does not stop a fetch that others wait for.
    this.#fork = Effect.runForkWith(context)
  }

  /** Error of the last fetch, if it failed. */
  get error(): AuthorizationServerUnavailable | undefined {
    return this.#outage?.error
  }

  get unavailable(): AuthorizationServerUnavailable {
    return this.#outage?.error ?? this.#closedError
  }

  isOutage(now: Instant): boolean {
    return this.#outage !== undefined && elapsed(this.#outage.failedAt, now) < Duration.toMillis(outageMemory)
  }

  /** Joins the pending fetch or starts one. Returns `undefined` during a cool-down and after `close`. */
  fetch(now: Instant): Fiber.Fiber<void> | undefined {
    return this.#pending ?? (this.#mayStart(now) ? this.#start(now, false) : undefined)
  }

  /** Joins the pending fetch or starts one for an unknown key, with a longer cool-down. */
  fetchUnknownKey(now: Instant): Fiber.Fiber<void> | undefined {
    return this.#pending ?? (this.#mayFetchUnknownKey(now) ? this.#start(now, true) : undefined)
  }

  close(): Effect.Effect<void> {
    this.#isClosed = true
    this.#age?.remove()
    return this.#pending === undefined ? Effect.void : Fiber.interrupt(this.#pending)
  }

  #mayStart(now: Instant): boolean {
    return !this.#isClosed && (this.#outage === undefined || hasPassed(failureCoolDown, this.#outage.failedAt, now))
  }

  // An outage needs no exception from this cool-down: a successful fetch makes the keys fresh for at least 60 seconds,
  // so no other fetch can fail during the cool-down.
  #mayFetchUnknownKey(now: Instant): boolean {
    return (
      this.#mayStart(now) &&
      (this.#unknownKeyFetchedAt === undefined || hasPassed(unknownKeyCoolDown, this.#unknownKeyFetchedAt, now))
    )
  }

  /** Sets `#pending` synchronously, so that two fetches never run at a time. */
  #start(now: Instant, isUnknownKey: boolean): Fiber.Fiber<void> {
    const fiber = this.#fork(Effect.andThen(Effect.yieldNow, this.#run(now, isUnknownKey)))
    this.#pending = fiber
    fiber.addObserver(() => {
      this.#pending = undefined
    })
    return fiber
  }

  #run(startedAt: Instant, isUnknownKey: boolean): Effect.Effect<void> {
    const { fetch, issuer } = this.#options
    return fetch.pipe(
      Effect.timeoutOrElse({ duration: fetchTimeout, orElse: () => Effect.fail<Unavailable>("Timeout") }),
      Effect.flatMap((published) => this.#succeeded(published, startedAt, isUnknownKey)),
      // Treat a defect or an interruption of the client as an outage with a cool-down. Log the cause once.
      Effect.catchCauseIf(
        (cause) => !Cause.hasFails(cause),
        (cause) =>
          Effect.andThen(
            this.#outage === undefined
              ? Effect.logError("The HttpClient died or was interrupted while it fetched the issuer's keys.", cause)
              : Effect.void,
            Effect.fail<Unavailable>("Unreachable")
          )
      ),
      Effect.withSpan("KeySet.refresh", { root: true, attributes: { issuer } }),
      Effect.catch((reason) => this.#failed(reason))
    )
  }

  #succeeded(published: Published, startedAt: Instant, isUnknownKey: boolean): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      const { issuer } = this.#options
      const previous = this.fetched?.keys
      const keys = yield* Keys.load(published.keys, previous)
      const recovered = this.#outage !== undefined
      this.fetched = { keys, startedAt, freshFor: published.freshFor, reported: undefined }
      if (isUnknownKey) this.#unknownKeyFetchedAt = startedAt
      this.#outage = undefined
      yield* Effect.annotateCurrentSpan({ keys: keys.imported.size, refused: keys.refused.size })
      yield* telemetry.reportKeys(issuer, keys, previous)
      if (recovered) yield* telemetry.reportRecovery(issuer)
      yield* telemetry.countFetch(issuer, "success")
      this.#age ??= yield* telemetry.registerAge(issuer, (clock) =>
        this.fetched === undefined ? Infinity : elapsed(this.fetched.startedAt, readInstant(clock))
      )
    })
  }

  #failed(reason: Unavailable): Effect.Effect<void> {
    const { issuer } = this.#options
    return Clock.clockWith((clock) => {
      const isFirst = this.#outage === undefined
      this.#outage = { error: this.#errorOf(reason), failedAt: readInstant(clock) }
      return Effect.andThen(
        telemetry.reportFailure(issuer, reason, isFirst),
        telemetry.countFetch(issuer, telemetry.outcomeOf(reason))
      )
    })
  }

  #errorOf(reason: Unavailable): AuthorizationServerUnavailable {
    return freezeError(
      new AuthorizationServerUnavailable({ issuer: this.#options.issuer, reason, retryAfter: failureCoolDown })
    )
  }
}

const hasPassed = (duration: Duration.Duration, from: Instant, now: Instant): boolean =>
  elapsed(from, now) >= Duration.toMillis(duration)
