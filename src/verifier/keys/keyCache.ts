/** Caches an issuer's keys, refreshes them before they expire, and serves stale keys for a bounded time. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { type AuthorizationServerUnavailable, InvalidToken } from "../../core/SecurityError.ts"
import { constant } from "../../core/constantErrors.ts"
import { elapsed, type Instant, readInstant } from "../../core/lib/instant.ts"
import * as Keys from "./keys.ts"
import { type Fetched, makeRefresher, type Refresher, type RefresherOptions } from "./refresher.ts"
import * as telemetry from "./telemetry.ts"

/** Fraction of `freshFor` after which a set is refreshed in the background. */
const refreshAhead = 0.8

type Selector = Parameters<typeof Keys.select>[1]
type Found = Effect.Effect<ReadonlyArray<CryptoKey>, InvalidToken | AuthorizationServerUnavailable>

export const unknownKey = constant(new InvalidToken({ reason: "UnknownKey" }))

interface Options extends RefresherOptions {
  readonly staleFor: number
}

export const make = Effect.fnUntraced(function* (options: Options) {
  const refresher = yield* makeRefresher(options)
  const freshKeys = freshKeysOf(refresher)
  return {
    find: finder(refresher, options),
    known: (header: Selector, clock: Clock.Clock, now: number): ReadonlyArray<CryptoKey> => {
      const keys = freshKeys(clock, now)
      return keys === undefined ? [] : Keys.select(keys, header)
    },
    refresh: refresh(refresher)
  }
})

/** One lookup of keys by a token header. */
interface Lookup {
  readonly header: Selector
  readonly now: Instant
  /** `true` after one fetch: the lookup must then end without another one. */
  readonly waited: boolean
}

const finder = (refresher: Refresher, { issuer, staleFor }: Options) => {
  const lookUp = (lookup: Lookup): Found => {
    if (!Keys.canExist(lookup.header)) return Effect.fail(unknownKey)
    const { fetched } = refresher
    if (fetched === undefined) return waitForFetch(lookup) ?? Effect.fail(refresher.unavailable)
    const age = elapsed(fetched.startedAt, lookup.now)
    return age < fetched.freshFor ? fromFreshKeys(lookup, fetched, age) : fromStaleKeys(lookup, fetched, age)
  }

  const fromFreshKeys = (lookup: Lookup, { freshFor, keys }: Fetched, age: number): Found => {
    const found = Keys.select(keys, lookup.header)
    // If the search for a new key failed, the key may exist. Report the outage instead of refusing the token.
    if (found.length === 0) return waitForUnknownKey(lookup) ?? Effect.fail(refresher.error ?? unknownKey)
    if (age >= freshFor * refreshAhead) refresher.fetch(lookup.now)
    return Effect.succeed(found)
  }

  const fromStaleKeys = (lookup: Lookup, fetched: Fetched, age: number): Found => {
    const isExpired = age >= fetched.freshFor + staleFor
    if (!isExpired && refresher.isOutage(lookup.now)) {
      refresher.fetch(lookup.now)
    } else {
      const waiting = waitForFetch(lookup)
      if (waiting !== undefined) return waiting
    }
    if (isExpired) {
      return Effect.andThen(reportOnce(fetched, "expired", telemetry.reportExpired), Effect.fail(refresher.unavailable))
    }
    const found = Keys.select(fetched.keys, lookup.header)
    if (found.length === 0) return waitForUnknownKey(lookup) ?? Effect.fail(refresher.unavailable)
    return Effect.as(reportOnce(fetched, "stale", telemetry.reportStale), found)
  }

  const waitForFetch = (lookup: Lookup): Found | undefined =>
    lookup.waited ? undefined : lookUpAfter(refresher.fetch(lookup.now), lookup)

  const waitForUnknownKey = (lookup: Lookup): Found | undefined =>
    lookup.waited ? undefined : lookUpAfter(refresher.fetchUnknownKey(lookup.now), lookup)

  const lookUpAfter = (fetch: Fiber.Fiber<void> | undefined, { header }: Lookup): Found | undefined =>
    fetch === undefined
      ? undefined
      : Effect.flatMap(Fiber.await(fetch), () =>
          Clock.clockWith((clock) => lookUp({ header, now: readInstant(clock), waited: true }))
        )

  const reportOnce = (
    fetched: Fetched,
    state: "stale" | "expired",
    report: (issuer: string) => Effect.Effect<void>
  ): Effect.Effect<void> => {
    if (fetched.reported === state) return Effect.void
    fetched.reported = state
    return report(issuer)
  }

  return (header: Selector): Found =>
    Clock.clockWith((clock) => lookUp({ header, now: readInstant(clock), waited: false }))
}

/** Returns the keys if they are fresh and no refresh is due. */
const freshKeysOf = (refresher: Refresher) => {
  // Avoids reading the monotonic clock twice per millisecond, because the read dominates a cache hit.
  let lastFresh: { readonly keys: Keys.Keys; readonly clock: Clock.Clock; readonly now: number } | undefined

  return (clock: Clock.Clock, now: number): Keys.Keys | undefined => {
    const { fetched } = refresher
    if (fetched === undefined) return
    const { startedAt, freshFor, keys } = fetched
    if (lastFresh?.keys === keys && lastFresh.now === now && lastFresh.clock === clock) return keys
    if (elapsed(startedAt, readInstant(clock)) >= freshFor * refreshAhead) return
    lastFresh = { keys, clock, now }
    return keys
  }
}

const refresh = (refresher: Refresher): Effect.Effect<void, AuthorizationServerUnavailable> =>
  Clock.clockWith((clock) => {
    const now = readInstant(clock)
    if (isFresh(refresher, now)) return Effect.void
    const fetch = refresher.fetch(now)
    return Effect.flatMap(fetch === undefined ? Effect.void : Fiber.await(fetch), () =>
      isFresh(refresher, readInstant(clock)) ? Effect.void : Effect.fail(refresher.unavailable)
    )
  })

const isFresh = ({ fetched }: Refresher, now: Instant): boolean =>
  fetched !== undefined && elapsed(fetched.startedAt, now) < fetched.freshFor
