/** Fetches an issuer's keys: one fetch at a time, and within cool-downs. */
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
/** How long after a failed fetch requests do not wait for the next one, where stale keys can serve. */
const outageMemory = Duration.minutes(1)

/** The keys that were fetched last. */
export interface Fetched {
  readonly keys: Keys.Keys
  /** When the fetch began: what it brought may be that old. */
  readonly askedAt: Instant
  readonly freshFor: number
  /** What was last reported of them since they are no longer fresh. */
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
  /** What the last fetch brought that did not fail. */
  fetched: Fetched | undefined

  readonly #options: RefresherOptions
  readonly #fork: <A, E>(effect: Effect.Effect<A, E>) => Fiber.Fiber<A, E>
  /** What is said where no fetch has failed, and none may begin. */
  readonly #closed: AuthorizationServerUnavailable
  #outage: Outage | undefined
  /** When the last answered fetch began that an unknown key had caused. */
  #soughtAt: Instant | undefined
  #underWay: Fiber.Fiber<void> | undefined
  #isClosed = false
  #age: Metric.Registration | undefined

  constructor(options: RefresherOptions, context: Context.Context<never>) {
    this.#options = options
    this.#closed = this.#errorOf("Unreachable")
    // A fetch runs in the layer's context, not in that of the request which happens to start it: nothing of the request reaches the issuer, and the
    // request's interruption does not reach the fetch.
    this.#fork = Effect.runForkWith(context)
  }

  /** Why the last fetch failed, if it did. */
  get error(): AuthorizationServerUnavailable | undefined {
    return this.#outage?.error
  }

  /** Why the keys are not there. */
  get unavailable(): AuthorizationServerUnavailable {
    return this.#outage?.error ?? this.#closed
  }

  isOutage(now: Instant): boolean {
    return this.#outage !== undefined && elapsed(this.#outage.failedAt, now) < Duration.toMillis(outageMemory)
  }

  /** The fetch that is under way, or that begins now; none where none may. */
  fetch(now: Instant): Fiber.Fiber<void> | undefined {
    return this.#underWay ?? (this.#mayStart(now) ? this.#start(now, false) : undefined)
  }

  /** The same for a key that is unknown. */
  seek(now: Instant): Fiber.Fiber<void> | undefined {
    return this.#underWay ?? (this.#maySeek(now) ? this.#start(now, true) : undefined)
  }

  close(): Effect.Effect<void> {
    this.#isClosed = true
    this.#age?.remove()
    return this.#underWay === undefined ? Effect.void : Fiber.interrupt(this.#underWay)
  }

  #mayStart(now: Instant): boolean {
    return !this.#isClosed && (this.#outage === undefined || hasPassed(failureCoolDown, this.#outage.failedAt, now))
  }

  // An outage needs no exception: an answered search makes the keys fresh for 60 seconds, so no fetch can fail within
  // the cool-down after it.
  #maySeek(now: Instant): boolean {
    return this.#mayStart(now) && (this.#soughtAt === undefined || hasPassed(unknownKeyCoolDown, this.#soughtAt, now))
  }

  /** It is set off synchronously, so that two can never be under way. */
  #start(now: Instant, isSeeking: boolean): Fiber.Fiber<void> {
    const fiber = this.#fork(Effect.andThen(Effect.yieldNow, this.#run(now, isSeeking)))
    this.#underWay = fiber
    fiber.addObserver(() => {
      this.#underWay = undefined
    })
    return fiber
  }

  #run(askedAt: Instant, isSeeking: boolean): Effect.Effect<void> {
    const { fetch, issuer } = this.#options
    return fetch.pipe(
      Effect.timeoutOrElse({ duration: fetchTimeout, orElse: () => Effect.fail<Unavailable>("Timeout") }),
      Effect.flatMap((published) => this.#succeeded(published, askedAt, isSeeking)),
      // A client that dies, or gives up, is an issuer that does not answer: with a cool-down, and one cause in the log.
      Effect.catchCauseIf(
        (cause) => !Cause.hasFails(cause),
        (cause) =>
          Effect.andThen(
            this.#outage === undefined
              ? Effect.logError("A fetch of the issuer's keys did not end", cause)
              : Effect.void,
            Effect.fail<Unavailable>("Unreachable")
          )
      ),
      Effect.withSpan("KeySet.refresh", { root: true, attributes: { issuer } }),
      Effect.catch((reason) => this.#failed(reason))
    )
  }

  #succeeded(published: Published, askedAt: Instant, isSeeking: boolean): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      const { issuer } = this.#options
      const previous = this.fetched?.keys
      const keys = yield* Keys.load(published.keys, previous)
      const recovered = this.#outage !== undefined
      this.fetched = { keys, askedAt, freshFor: published.freshFor, reported: undefined }
      if (isSeeking) this.#soughtAt = askedAt
      this.#outage = undefined
      yield* Effect.annotateCurrentSpan({ keys: keys.imported.size, refused: keys.refused.size })
      yield* telemetry.reportKeys(issuer, keys, previous)
      if (recovered) yield* telemetry.reportRecovery(issuer)
      yield* telemetry.countFetch(issuer, "success")
      this.#age ??= yield* telemetry.registerAge(issuer, (clock) =>
        this.fetched === undefined ? Infinity : elapsed(this.fetched.askedAt, readInstant(clock))
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
