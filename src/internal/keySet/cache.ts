/** Keeps an issuer's keys: one fetch at a time, ahead of expiry, within cool-downs; stale keys serve in an outage, for a bounded time. */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Metric from "effect/Metric"
import { AuthorizationServerUnavailable, InvalidToken } from "../../SecurityError.ts"
import { constant } from "../constantErrors.ts"
import type { Unavailable } from "../authorizationServer/http.ts"
import type { Published } from "./published.ts"
import { elapsed, type Instant, readInstant } from "./instant.ts"
import * as Keys from "./keys.ts"
import * as telemetry from "./telemetry.ts"

/** The part of its life after which a set is fetched anew in the background. */
const refreshAhead = 0.8
const failureCoolDown = Duration.seconds(5)
const unknownKeyCoolDown = Duration.seconds(30)
const fetchTimeout = Duration.seconds(5)
/** How long after a failed fetch requests do not wait for the next one, where stale keys can serve. */
const outageMemory = Duration.minutes(1)

interface Known {
  readonly keys: Keys.Keys
  /** When the fetch began: what it brought may be that old. */
  readonly askedAt: Instant
  readonly freshFor: number
}

interface Outage {
  readonly error: AuthorizationServerUnavailable
  readonly failedAt: Instant
}

type Selector = Parameters<typeof Keys.select>[1]
type Found = Effect.Effect<ReadonlyArray<CryptoKey>, InvalidToken | AuthorizationServerUnavailable>

export const unknownKey = constant(new InvalidToken({ reason: "UnknownKey" }))

export const make = Effect.fnUntraced(function* (options: {
  /** Names the issuer in errors, logs and metrics. */
  readonly issuer: string
  readonly fetch: Effect.Effect<Published, Unavailable>
  readonly staleFor: number
}) {
  const { issuer } = options
  const unavailable = (reason: Unavailable) =>
    new AuthorizationServerUnavailable({ issuer, reason, retryAfter: failureCoolDown })
  const closed = unavailable("Unreachable")

  let known: Known | undefined
  let outage: Outage | undefined
  /** When the last answered fetch began that an unknown key had caused. */
  let soughtAt: Instant | undefined
  let flight: Fiber.Fiber<void> | undefined
  let isClosed = false
  let reported: "stale" | "expired" | undefined
  let age: Metric.Registration | undefined

  // -- fetching ------------------------------------------------------------------------------------------------------

  const fetched = (published: Published, askedAt: Instant, seeking: boolean) =>
    Effect.gen(function* () {
      const previous = known?.keys
      const keys = yield* Keys.load(published.keys, previous)
      const recovered = outage !== undefined
      known = { keys, askedAt, freshFor: published.freshFor }
      if (seeking) soughtAt = askedAt
      outage = undefined
      reported = undefined
      yield* Effect.annotateCurrentSpan({ keys: keys.imported.size, refused: keys.refused.size })
      for (const [text, refused] of keys.refused) {
        if (previous?.refused.has(text) !== true) yield* telemetry.reportRefused(issuer, refused)
      }
      if (keys.byAlgorithm.size === 0 && previous?.byAlgorithm.size !== 0) yield* telemetry.reportNoKeys(issuer)
      if (recovered) yield* telemetry.reportRecovery(issuer)
      yield* telemetry.countFetch(issuer, "success")
      age ??= yield* telemetry.registerAge(issuer, (clock) => ageOf(readInstant(clock)))
    })

  const failed = (reason: Unavailable) =>
    Clock.clockWith((clock) => {
      const first = outage === undefined
      outage = { error: unavailable(reason), failedAt: readInstant(clock) }
      return Effect.andThen(
        telemetry.reportFailure(issuer, reason, first),
        telemetry.countFetch(issuer, telemetry.outcomeOf(reason))
      )
    })

  const refresh = (askedAt: Instant, seeking: boolean): Effect.Effect<void> =>
    options.fetch.pipe(
      Effect.timeoutOrElse({ duration: fetchTimeout, orElse: () => Effect.fail<Unavailable>("Timeout") }),
      Effect.flatMap((published) => fetched(published, askedAt, seeking)),
      // A client that dies, or gives up, is an issuer that does not answer: with a cool-down, and one cause in the log.
      Effect.catchCauseIf(
        (cause) => !Cause.hasFails(cause),
        (cause) =>
          Effect.andThen(
            outage === undefined ? Effect.logError("A fetch of the issuer's keys did not end", cause) : Effect.void,
            Effect.fail<Unavailable>("Unreachable")
          )
      ),
      Effect.withSpan("KeySet.refresh", { root: true, attributes: { issuer } }),
      Effect.catch(failed)
    )

  // It runs in the layer's context, not in that of the request which happens to start it: nothing of the request reaches the issuer, and
  // the request's interruption does not reach the fetch. It is set off synchronously, so that two can never be under way.
  const fork = Effect.runForkWith(yield* Effect.context<never>())
  const start = (now: Instant, seeking: boolean): Fiber.Fiber<void> => {
    const fiber = fork(Effect.andThen(Effect.yieldNow, refresh(now, seeking)))
    flight = fiber
    fiber.addObserver(() => {
      flight = undefined
    })
    return fiber
  }
  yield* Effect.addFinalizer(() => {
    isClosed = true
    age?.remove()
    return flight === undefined ? Effect.void : Fiber.interrupt(flight)
  })

  const mayStart = (now: Instant): boolean =>
    !isClosed &&
    flight === undefined &&
    (outage === undefined || elapsed(outage.failedAt, now) >= Duration.toMillis(failureCoolDown))

  const maySeek = (now: Instant): boolean =>
    mayStart(now) &&
    (outage !== undefined || soughtAt === undefined || elapsed(soughtAt, now) >= Duration.toMillis(unknownKeyCoolDown))

  // -- answering -----------------------------------------------------------------------------------------------------

  const ageOf = (now: Instant): number => (known === undefined ? Infinity : elapsed(known.askedAt, now))

  const isOutage = (now: Instant): boolean =>
    outage !== undefined && elapsed(outage.failedAt, now) < Duration.toMillis(outageMemory)

  const reportOnce = (state: "stale" | "expired", report: (issuer: string) => Effect.Effect<void>) => {
    if (reported === state) return Effect.void
    reported = state
    return report(issuer)
  }

  const find = (header: Selector): Found => Clock.clockWith((clock) => answer(header, readInstant(clock), false))

  /** `waited`: a fetch has ended since the request came, and its outcome decides. */
  const answer = (header: Selector, now: Instant, waited: boolean): Found => {
    if (!Keys.canExist(header)) return Effect.fail(unknownKey)
    const age = ageOf(now)
    if (known === undefined || age >= known.freshFor) {
      const isOver = known === undefined || age >= known.freshFor + options.staleFor
      if (!isOver && isOutage(now)) {
        if (mayStart(now)) start(now, false)
      } else if (!waited && (flight !== undefined || mayStart(now))) {
        return wait(header, flight ?? start(now, false))
      }
      if (known === undefined) return Effect.fail(outage?.error ?? closed)
      if (isOver) {
        return Effect.andThen(reportOnce("expired", telemetry.reportExpired), Effect.fail(outage?.error ?? closed))
      }
    }
    const keys = Keys.select(known.keys, header)
    if (keys.length === 0) {
      if (!waited && (flight !== undefined || maySeek(now))) return wait(header, flight ?? start(now, true))
      // Who could not be asked has not refused the key.
      return Effect.fail(outage?.error ?? (age >= known.freshFor ? closed : unknownKey))
    }
    if (age >= known.freshFor) {
      return Effect.as(reportOnce("stale", telemetry.reportStale), keys)
    }
    if (age >= known.freshFor * refreshAhead && mayStart(now)) start(now, false)
    return Effect.succeed(keys)
  }

  const wait = (header: Selector, fiber: Fiber.Fiber<void>): Found =>
    Effect.flatMap(Fiber.await(fiber), () => Clock.clockWith((clock) => answer(header, readInstant(clock), true)))

  // Kept tokens ask for each request, and the monotonic clock takes longer to read than all else: what was so in this millisecond still is.
  let looked: { readonly keys: Keys.Keys; readonly clock: Clock.Clock; readonly now: number } | undefined

  const keysNow = (clock: Clock.Clock, now: number): Keys.Keys | undefined => {
    if (known === undefined) return
    const { freshFor, keys } = known
    if (looked?.keys === keys && looked.now === now && looked.clock === clock) return keys
    if (ageOf(readInstant(clock)) >= freshFor * refreshAhead) return
    looked = { keys, clock, now }
    return keys
  }

  const isFresh = (now: Instant): boolean => known !== undefined && ageOf(now) < known.freshFor

  return {
    find,
    known: (header: Selector, clock: Clock.Clock, now: number): ReadonlyArray<CryptoKey> => {
      const keys = keysNow(clock, now)
      return keys === undefined ? [] : Keys.select(keys, header)
    },
    refresh: Clock.clockWith((clock): Effect.Effect<void, AuthorizationServerUnavailable> => {
      const now = readInstant(clock)
      if (isFresh(now)) return Effect.void
      const fiber = flight ?? (mayStart(now) ? start(now, false) : undefined)
      return Effect.flatMap(fiber === undefined ? Effect.void : Fiber.await(fiber), () =>
        isFresh(readInstant(clock)) ? Effect.void : Effect.fail(outage?.error ?? closed)
      )
    })
  }
})
