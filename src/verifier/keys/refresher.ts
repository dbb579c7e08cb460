/** Fetches an issuer's keys, one fetch at a time, with a cool-down between fetches. */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as Metric from "effect/Metric"
import { AuthorizationServerUnavailable } from "../../core/SecurityError.ts"
import type { Published } from "./published.ts"
import { Failure } from "../authorizationServer/failure.ts"
import { type Reader, withTimeLimit } from "../authorizationServer/http.ts"
import { readRetryAfter } from "../authorizationServer/retryAfter.ts"
import { RequestIsolation } from "../../core/RequestIsolation.ts"
import { elapsed, type Instant, readInstant } from "../../core/lib/instant.ts"
import { freezeError } from "../../core/lib/exit.ts"
import { ownProperties } from "../../core/lib/ownProperties.ts"
import * as Keys from "./keys.ts"
import * as telemetry from "./telemetry.ts"

const failureCoolDown = Duration.seconds(5)
const unknownKeyCoolDown = Duration.seconds(30)
/** Longest cool-down for which `Retry-After` is respected. */
const maxFailureCoolDown = Duration.minutes(1)
/** Statuses whose `Retry-After` header says when the server is available again (RFC 6585 §4, RFC 9110 §15.6.4). */
const withRetryAfter: ReadonlySet<number | undefined> = new Set([429, 503])
/** A fetch whose request is late by this time is forgotten. The timer of the request has then not worked. */
const timerTolerance = Duration.seconds(1)
/** While an outage is this recent, stale keys serve without waiting for the next fetch. */
const outageMemory = Duration.minutes(1)

/** Result of the last successful fetch. */
export interface Fetched {
  readonly keys: Keys.IndexedKeys
  /** Start of the fetch. The keys may be that old. */
  readonly startedAt: Instant
  /**
   * Number of the fetch. The fetch with this number searched for the key of every lookup that began when fewer fetches
   * were sent.
   */
  readonly number: number
  readonly freshFor: number
  /** Last logged state of these keys, so that each state is logged once. */
  reported: "stale" | "expired" | undefined
}

interface Outage {
  readonly error: AuthorizationServerUnavailable
  readonly coolDown: Duration.Duration
  readonly failedAt: Instant
}

/** A fetch in progress. */
export class Pending {
  readonly startedAt: Instant
  readonly isUnknownKey: boolean
  /** Completes when the fetch ends, and also when the fetch is forgotten. */
  readonly ended: Deferred.Deferred<void> = Deferred.makeUnsafe()
  /** Last sign of the request that runs the fetch, if requests are isolated. */
  seenAt: Instant
  /** Start of the current request. */
  requestedAt: Instant
  number = 0

  constructor(startedAt: Instant, isUnknownKey: boolean) {
    this.startedAt = startedAt
    this.requestedAt = startedAt
    this.seenAt = startedAt
    this.isUnknownKey = isUnknownKey
  }
}

/** Interval between two signs of an isolated fetch, and between two looks of the requests that wait for it. */
const signInterval = Duration.millis(20)
/** An isolated fetch without a sign for this time has lost its request. */
const signTolerance = Duration.millis(500)

export interface RefresherOptions {
  /** Names the issuer in errors, logs and metrics. */
  readonly issuer: string
  readonly reader: Reader
  /** Fetches the keys with the given reader, which adds a time-out to each request. */
  readonly fetch: (reader: Reader) => Effect.Effect<Published, Failure>
  /** Each request of a fetch has this time in milliseconds, so that slow metadata takes no time from the keys. */
  readonly fetchTimeout: number
  /** How much longer stale keys serve, in milliseconds. */
  readonly staleFor: number
}

export const makeRefresher = Effect.fnUntraced(function* (options: RefresherOptions) {
  const refresher = new Refresher(options, yield* Effect.context<never>())
  yield* Effect.addFinalizer(() => refresher.close())
  return refresher
})

export class Refresher {
  fetched: Fetched | undefined
  /** Number of fetches that were sent to the issuer. */
  sent = 0
  /** Error of a lookup whose fetch takes too long. */
  readonly timedOut: AuthorizationServerUnavailable

  readonly #options: RefresherOptions
  readonly isIsolated: boolean
  readonly #waitUntil: ((promise: Promise<unknown>) => void) | undefined
  readonly #fork: <A, E>(effect: Effect.Effect<A, E>) => Fiber.Fiber<A, E>
  /** Error if no fetch failed and none may start, because the layer is closed. */
  readonly #closedError: AuthorizationServerUnavailable
  #outage: Outage | undefined
  /** Start of the last successful fetch for an unknown key. */
  #unknownKeyFetchedAt: Instant | undefined
  #pending: Pending | undefined
  #fiber: Fiber.Fiber<void> | undefined
  #isClosed = false
  #isInvalidated = false
  /** Start of the last fetch after `invalidate`. */
  #renewedAt: Instant | undefined
  /** Keys of the last successful fetch, also after `invalidate`, so that they are not reported again. */
  #lastKeys: Keys.IndexedKeys | undefined
  #coolDownError: AuthorizationServerUnavailable
  #age: Metric.Registration | undefined

  constructor(options: RefresherOptions, context: Context.Context<never>) {
    this.#options = options
    const isolation = Context.get(context, RequestIsolation)
    this.isIsolated = isolation !== undefined
    this.#waitUntil = isolation && ownProperties(isolation).waitUntil
    this.#closedError = this.#errorOf("Unreachable", failureCoolDown)
    this.timedOut = this.#errorOf("Timeout", failureCoolDown)
    this.#coolDownError = this.#errorOf("Unspecified", unknownKeyCoolDown)
    // Run fetches in the layer's context. The issuer then receives nothing from a request, such as its trace headers.
    // An interrupted request does not stop a fetch for which other requests wait.
    this.#fork = Effect.runForkWith(context)
  }

  /** Error of a lookup that has no keys and may not fetch them. */
  unavailable(now: Instant): AuthorizationServerUnavailable {
    return this.#failure ?? this.#coolingDown(failureCoolDown, this.#renewedAt, now)
  }

  /** Error of a lookup whose key no fetch looked for. */
  notLookedFor(now: Instant): AuthorizationServerUnavailable {
    return this.#failure ?? this.#coolingDown(unknownKeyCoolDown, this.#unknownKeyFetchedAt, now)
  }

  /** Error of the last fetch, if it failed. */
  get error(): AuthorizationServerUnavailable | undefined {
    return this.#outage?.error
  }

  isOutage(now: Instant): boolean {
    return this.#outage !== undefined && elapsed(this.#outage.failedAt, now) < Duration.toMillis(outageMemory)
  }

  /** Joins the pending fetch or starts one. Returns `undefined` during a cool-down and after `close`. */
  fetch(now: Instant): Pending | undefined {
    return this.#join(now) ?? (this.#mayStart(now) ? this.#start(now, false) : undefined)
  }

  /**
   * Starts a fetch for which no request waits. An isolated fetch would end with its request, unless the runtime keeps
   * the request's context.
   */
  fetchAhead(now: Instant): void {
    const waitUntil = this.#waitUntil
    if (!this.isIsolated) {
      this.fetch(now)
    } else if (waitUntil !== undefined && this.#join(now) === undefined && this.#mayStart(now)) {
      this.#start(now, false)
      const ended = new Promise<void>((resolve) => this.#fiber?.addObserver(() => resolve()))
      // Without `waitUntil`, the fetch may stop. The request itself has its keys already.
      this.#fork(
        Effect.catchDefect(
          Effect.sync(() => waitUntil(ended)),
          (defect) => Effect.logWarning("The waitUntil function of RequestIsolation threw an error.", defect)
        )
      )
    }
  }

  /**
   * Waits until a fetch ends. An isolated request waits with its own timers, and for no other request. The request
   * stops waiting if the request that runs the fetch is gone.
   */
  wait(pending: Pending): Effect.Effect<void> {
    if (!this.isIsolated) return Deferred.await(pending.ended)
    const look: Effect.Effect<void> = Clock.clockWith((clock) => {
      if (this.#pending !== pending) return Effect.void
      if (hasPassed(signTolerance, pending.seenAt, readInstant(clock))) {
        this.#forget(pending)
        return Effect.void
      }
      return Effect.andThen(Effect.sleep(signInterval), look)
    })
    return look
  }

  /** Joins the pending fetch or starts one for an unknown key, with a longer cool-down. */
  fetchUnknownKey(now: Instant): Pending | undefined {
    return this.#join(now) ?? (this.#mayFetchUnknownKey(now) ? this.#start(now, true) : undefined)
  }

  /** Forgets the keys. The pending fetch is forgotten, too, because the issuer may have sent its response before. */
  invalidate(): void {
    this.fetched = undefined
    this.#isInvalidated = true
    if (this.#pending !== undefined) this.#forget(this.#pending)
  }

  close(): Effect.Effect<void> {
    this.#isClosed = true
    this.#age?.remove()
    return this.#fiber === undefined ? Effect.void : Fiber.interrupt(this.#fiber)
  }

  get #failure(): AuthorizationServerUnavailable | undefined {
    return this.#outage?.error ?? (this.#isClosed ? this.#closedError : undefined)
  }

  /** Returns the error with the rest of a cool-down. All requests of a second share the error. */
  #coolingDown(coolDown: Duration.Duration, from: Instant | undefined, now: Instant): AuthorizationServerUnavailable {
    const rest = from === undefined ? 0 : Duration.toMillis(coolDown) - elapsed(from, now)
    const retryAfter = Duration.seconds(Math.max(1, Math.ceil(rest / 1000)))
    if (!Duration.Equivalence(this.#coolDownError.retryAfter, retryAfter)) {
      this.#coolDownError = this.#errorOf("Unspecified", retryAfter)
    }
    return this.#coolDownError
  }

  #mayStart(now: Instant): boolean {
    return (
      !this.#isClosed &&
      (this.#outage === undefined || hasPassed(this.#outage.coolDown, this.#outage.failedAt, now)) &&
      // A program that invalidates the keys all the time must not overload the issuer.
      (!this.#isInvalidated || this.#renewedAt === undefined || hasPassed(failureCoolDown, this.#renewedAt, now))
    )
  }

  // An outage needs no exception from this cool-down. A successful fetch makes the keys fresh for at least 60 seconds,
  // so no other fetch of fresh keys can fail during the cool-down.
  #mayFetchUnknownKey(now: Instant): boolean {
    return (
      this.#mayStart(now) &&
      (this.#unknownKeyFetchedAt === undefined || hasPassed(unknownKeyCoolDown, this.#unknownKeyFetchedAt, now))
    )
  }

  /** Returns the pending fetch, unless the clock says that its time-out should have ended it. */
  #join(now: Instant): Pending | undefined {
    const pending = this.#pending
    if (pending === undefined) return
    const limit = Duration.millis(this.#options.fetchTimeout)
    if (!hasPassed(Duration.sum(limit, timerTolerance), pending.requestedAt, now)) return pending
    const report = this.#failed(new Failure("Timeout"), after(limit, pending.requestedAt))
    this.#forget(pending)
    this.#fork(report)
    return this.#pending
  }

  /**
   * Does not wait until the fetch is interrupted, because a client may never end. Waiting lookups continue
   * synchronously and may start the next fetch, so callers first set all other state.
   */
  #forget(pending: Pending): void {
    this.#pending = undefined
    // The I/O of an isolated fetch belongs to its own request.
    if (!this.isIsolated) this.#fiber?.interruptUnsafe()
    this.#fiber = undefined
    Deferred.doneUnsafe(pending.ended, Exit.void)
  }

  /** Sets `#pending` synchronously, so that two fetches never run at a time. */
  #start(now: Instant, isUnknownKey: boolean): Pending {
    const pending = new Pending(now, isUnknownKey)
    this.#pending = pending
    if (this.#isInvalidated) this.#renewedAt = now
    this.#isInvalidated = false
    const run = Effect.andThen(Effect.yieldNow, this.#run(pending))
    this.#fiber = this.#fork(this.isIsolated ? Effect.raceFirst(run, this.#sign(pending)) : run)
    this.#fiber.addObserver(() => {
      if (this.#pending === pending) this.#forget(pending)
    })
    return pending
  }

  /** Shows that the request which runs the fetch is there. */
  #sign(pending: Pending): Effect.Effect<never> {
    return Clock.clockWith((clock) => {
      pending.seenAt = readInstant(clock)
      return Effect.andThen(Effect.sleep(signInterval), this.#sign(pending))
    })
  }

  #run(pending: Pending): Effect.Effect<void> {
    const { fetch, fetchTimeout, issuer, reader } = this.#options
    const timed: Reader = (request) =>
      withTimeLimit(
        // A cache before the issuer may have the set from before the new key (RFC 9111 §5.2.1.4).
        reader(pending.isUnknownKey ? HttpClientRequest.setHeader(request, "cache-control", "no-cache") : request),
        fetchTimeout,
        (clock) => {
          pending.requestedAt = readInstant(clock)
        }
      )
    return Effect.suspend(() => {
      pending.number = ++this.sent
      return fetch(timed)
    }).pipe(
      Effect.flatMap((published) => this.#succeeded(published, pending)),
      // Treat a defect or an interruption of the client as an outage with a cool-down. Log the cause once.
      Effect.catchCauseIf(
        (cause) => !Cause.hasFails(cause),
        (cause) =>
          Effect.andThen(
            this.#outage === undefined
              ? Effect.logError("The HttpClient died or was interrupted while it fetched the issuer's keys.", cause)
              : Effect.void,
            Effect.fail(new Failure("Unreachable"))
          )
      ),
      Effect.withSpan("KeySet.refresh", { root: true, attributes: { issuer } }),
      Effect.catch((failure) =>
        Clock.clockWith((clock) =>
          this.#pending === pending ? this.#failed(failure, readInstant(clock)) : Effect.void
        )
      )
    )
  }

  #succeeded(published: Published, pending: Pending): Effect.Effect<void, Failure> {
    return Effect.gen({ self: this }, function* () {
      const { issuer } = this.#options
      if (published.keys.length === 0 && this.#hasGoodKeys(pending.startedAt)) {
        return yield* Effect.fail(
          new Failure("BadResponse", { detail: "it is empty, so the last keys stay in use" }).of(
            "key set",
            published.url
          )
        )
      }
      const previous = this.#lastKeys
      const keys = yield* Keys.load(published.keys, previous)
      // A forgotten fetch must not bring back keys that were invalidated.
      if (this.#pending !== pending) return
      const recovered = this.#outage !== undefined
      const { isUnknownKey, number, startedAt } = pending
      this.fetched = { keys, startedAt, number, freshFor: published.freshFor, reported: undefined }
      this.#lastKeys = keys
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

  /** Returns `true` if there are keys that may serve in an outage. An empty set is then more likely a mistake. */
  #hasGoodKeys(now: Instant): boolean {
    const { fetched } = this
    return (
      fetched !== undefined &&
      fetched.keys.byAlgorithm.size > 0 &&
      elapsed(fetched.startedAt, now) < fetched.freshFor + this.#options.staleFor
    )
  }

  /** Sets the outage synchronously. The returned effect only reports the outage. */
  #failed(failure: Failure, failedAt: Instant): Effect.Effect<void> {
    const { issuer } = this.#options
    const isFirst = this.#outage === undefined
    const asked = withRetryAfter.has(failure.status) ? readRetryAfter(failure.retryAfter, failedAt.wall) : undefined
    const coolDown = Duration.clamp(Duration.millis(Math.max(asked ?? 0, 0)), {
      minimum: failureCoolDown,
      maximum: maxFailureCoolDown
    })
    this.#outage = { error: this.#errorOf(failure.reason, coolDown), coolDown, failedAt }
    return Effect.andThen(
      telemetry.reportFailure(issuer, failure, isFirst),
      telemetry.countFetch(issuer, telemetry.outcomeOf(failure.reason))
    )
  }

  #errorOf(reason: Failure["reason"], retryAfter: Duration.Duration): AuthorizationServerUnavailable {
    return freezeError(new AuthorizationServerUnavailable({ issuer: this.#options.issuer, reason, retryAfter }))
  }
}

const hasPassed = (duration: Duration.Duration, from: Instant, now: Instant): boolean =>
  elapsed(from, now) >= Duration.toMillis(duration)

const after = (duration: Duration.Duration, { monotonic, wall }: Instant): Instant => {
  const millis = Duration.toMillis(duration)
  return { wall: wall + millis, monotonic: monotonic + BigInt(millis) * 1_000_000n }
}
