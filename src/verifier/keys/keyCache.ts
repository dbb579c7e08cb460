/** Caches an issuer's keys, refreshes them before they expire, and serves stale keys for a bounded time. */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { HttpServerRequest } from "effect/http/HttpServerRequest"
import { type AuthorizationServerUnavailable, ConfigurationError, InvalidToken } from "../../core/SecurityError.ts"
import { constant } from "../../core/constantErrors.ts"
import { elapsed, type Instant, readInstant } from "../../core/lib/instant.ts"
import * as Keys from "./keys.ts"
import { type Fetched, makeRefresher, type Pending, type Refresher, type RefresherOptions } from "./refresher.ts"
import * as telemetry from "./telemetry.ts"

/** Fraction of `freshFor` after which a set is refreshed in the background. */
const refreshAhead = 0.8
/** Longest time that a lookup waits for fetches, in milliseconds. */
const maxWait = 10_000
/** Longest time that a lookup waits although stale keys can serve it, in milliseconds. */
const maxWaitWithStaleKeys = 1000
/** `refresh` waits for no fetch that starts later than this, in milliseconds. */
const maxRefresh = 15_000
/** Number of missing keys that are remembered. Many invented `kid`s must not take more memory. */
const maxSearchedKeys = 100

type Selector = Parameters<typeof Keys.select>[1]
type Found = Effect.Effect<ReadonlyArray<CryptoKey>, InvalidToken | AuthorizationServerUnavailable>

export const unknownKey = constant(new InvalidToken({ reason: "UnknownKey" }))

export const make = Effect.fnUntraced(function* (options: RefresherOptions) {
  const refresher = yield* makeRefresher(options)
  const freshKeys = freshKeysOf(refresher)
  return {
    find: finder(refresher, options),
    findFetched: (header: Selector, clock: Clock.Clock, now: number): ReadonlyArray<CryptoKey> => {
      const keys = freshKeys(clock, now)
      return keys === undefined ? [] : Keys.select(keys, header)
    },
    refresh: refresh(refresher),
    invalidate: Effect.sync(() => refresher.invalidate())
  }
})

/** One lookup of keys by a token header. */
interface Lookup {
  readonly header: Selector
  /** Keys that did not make the signature of the token. */
  readonly mismatched: ReadonlyArray<CryptoKey>
  readonly startedAt: Instant
  /** Number of fetches that were sent before the lookup began. A later fetch looks for its key. */
  readonly sent: number
  readonly now: Instant
}

const finder = (refresher: Refresher, { issuer, staleFor }: RefresherOptions) => {
  const searched = new SearchedKeys()
  let hasReportedNoKids = false

  const lookUp = (lookup: Lookup): Found => {
    const { fetched } = refresher
    if (fetched === undefined) {
      return waitFor(refresher.fetch(lookup.now), lookup) ?? Effect.fail(refresher.unavailable(lookup.now))
    }
    const age = elapsed(fetched.startedAt, lookup.now)
    return age < fetched.freshFor ? fromFreshKeys(lookup, fetched, age) : fromStaleKeys(lookup, fetched, age)
  }

  const fromFreshKeys = (lookup: Lookup, fetched: Fetched, age: number): Found => {
    const found = Keys.select(fetched.keys, lookup.header)
    if (found.length === 0) return fromNoKey(lookup, fetched)
    // A token whose signature does not match is usually forged. But the issuer may have published another key without
    // a `kid`, or with the same `kid`. The library therefore searches for that key as for a missing key, with the same
    // cool-down.
    if (isMismatched(found, lookup) && fetched.number <= lookup.sent) {
      const waiting = waitFor(refresher.fetchUnknownKey(lookup.now), lookup)
      if (waiting !== undefined) return waiting
    }
    if (age >= fetched.freshFor * refreshAhead) refresher.fetchAhead(lookup.now)
    return Effect.succeed(found)
  }

  // A stranger can start a search with an invented `kid`, which begins the cool-down. If the library then refused every
  // other missing key, one bad token in 30 seconds would refuse all tokens of a new key. A key is therefore refused
  // only if a fetch started after the first lookup of its `kid`. Until then, the issuer may have published the key. The
  // alternative is to allow several searches in a row. Several searches do not help, because an attacker can use up any
  // number.
  const fromNoKey = (lookup: Lookup, fetched: Fetched): Found => {
    // The issuer has a key with this `kid`, so the fault is in the `alg` of the token, or the key is refused.
    const isUnusable = Keys.hasKid(fetched.keys, lookup.header.kid)
    const wasSearched = isUnusable || searched.add(lookup.header, lookup.sent) < fetched.number
    if (fetched.number > lookup.sent) return refuseUnknown(lookup, fetched)
    const waiting = waitFor(refresher.fetchUnknownKey(lookup.now), lookup)
    if (waiting !== undefined) return waiting
    // If the search for a new key failed, the key may exist. Report the outage instead of refusing the token.
    if (wasSearched)
      return refresher.error === undefined ? refuseUnknown(lookup, fetched) : Effect.fail(refresher.error)
    return Effect.fail(refresher.notLookedFor(lookup.now))
  }

  const refuseUnknown = ({ header: { kid } }: Lookup, { keys }: Fetched): Found => {
    const refused = Effect.fail(unknownKey)
    if (kid === undefined || hasReportedNoKids || keys.byKid.size > 0 || keys.byAlgorithm.size === 0) return refused
    hasReportedNoKids = true
    return Effect.andThen(telemetry.reportNoKids(issuer), refused)
  }

  const fromStaleKeys = (lookup: Lookup, fetched: Fetched, age: number): Found => {
    const isExpired = age >= fetched.freshFor + staleFor
    const found = isExpired ? [] : Keys.select(fetched.keys, lookup.header)
    const pending = refresher.fetch(lookup.now)
    if (found.length > 0) {
      const waiting = refresher.isOutage(lookup.now) ? undefined : waitBriefly(pending, lookup)
      return waiting ?? Effect.as(reportOnce(fetched, "stale", telemetry.reportStale), found)
    }
    const waiting = waitFor(pending, lookup)
    if (waiting !== undefined) return waiting
    const failure = Effect.fail(refresher.unavailable(lookup.now))
    return isExpired ? Effect.andThen(reportOnce(fetched, "expired", telemetry.reportExpired), failure) : failure
  }

  /** Waits for a fetch, then looks up again. Returns `undefined` if there is no fetch. */
  const waitFor = (pending: Pending | undefined, lookup: Lookup): Found | undefined => {
    if (pending === undefined) return
    const patience = maxWait - elapsed(lookup.startedAt, lookup.now)
    return patience > 0 ? lookUpAfter(pending, lookup, patience) : Effect.fail(refresher.timedOut)
  }

  /** Waits for a fetch until it is 1 second old. Returns `undefined` if it is older, or if there is no fetch. */
  const waitBriefly = (pending: Pending | undefined, lookup: Lookup): Found | undefined => {
    if (pending === undefined) return
    const waited = Math.max(elapsed(lookup.startedAt, lookup.now), elapsed(pending.startedAt, lookup.now))
    return waited < maxWaitWithStaleKeys ? lookUpAfter(pending, lookup, maxWaitWithStaleKeys - waited) : undefined
  }

  const lookUpAfter = (pending: Pending, lookup: Lookup, patience: number): Found =>
    Effect.flatMap(Effect.timeoutOption(refresher.wait(pending), patience), () =>
      Clock.clockWith((clock) => lookUp({ ...lookup, now: readInstant(clock) }))
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

  return (header: Selector, mismatched: ReadonlyArray<CryptoKey> = []): Found =>
    Clock.clockWith((clock) => {
      if (!Keys.canExist(header)) return Effect.fail(unknownKey)
      const now = readInstant(clock)
      return lookUp({ header, mismatched, startedAt: now, sent: refresher.sent, now })
    })
}

const isMismatched = (found: ReadonlyArray<CryptoKey>, { mismatched }: Lookup): boolean =>
  mismatched.length > 0 && found.every((key) => mismatched.includes(key))

/** Remembers which keys lookups searched for, and how many fetches were sent before. */
class SearchedKeys {
  readonly #sent = new Map<string, number>()

  /** Adds a key unless it is there. Returns the number of fetches that were sent before the key was added. */
  add({ alg, kid }: Selector, sent: number): number {
    const name = kid === undefined ? `alg=${alg}` : `kid=${kid}`
    const before = this.#sent.get(name)
    if (before !== undefined) return before
    this.#sent.set(name, sent)
    if (this.#sent.size > maxSearchedKeys) {
      for (const oldest of this.#sent.keys()) {
        this.#sent.delete(oldest)
        break
      }
    }
    return sent
  }
}

/** Returns the keys if they are fresh and no refresh is due. */
const freshKeysOf = (refresher: Refresher) => {
  // Avoids reading the monotonic clock twice per millisecond, because the read dominates a cache hit.
  let lastFresh: { readonly keys: Keys.IndexedKeys; readonly clock: Clock.Clock; readonly now: number } | undefined

  return (clock: Clock.Clock, now: number): Keys.IndexedKeys | undefined => {
    const { fetched } = refresher
    if (fetched === undefined) return
    const { startedAt, freshFor, keys } = fetched
    if (lastFresh?.keys === keys && lastFresh.now === now && lastFresh.clock === clock) return keys
    if (elapsed(startedAt, readInstant(clock)) >= freshFor * refreshAhead) return
    lastFresh = { keys, clock, now }
    return keys
  }
}

const refresh = (refresher: Refresher): Effect.Effect<void, AuthorizationServerUnavailable> => {
  const loop = (clock: Clock.Clock, start: Instant): Effect.Effect<void, AuthorizationServerUnavailable> => {
    const now = readInstant(clock)
    const { fetched } = refresher
    if (fetched !== undefined && elapsed(fetched.startedAt, now) < fetched.freshFor) return Effect.void
    const pending = elapsed(start, now) < maxRefresh ? refresher.fetch(now) : undefined
    return pending === undefined
      ? Effect.fail(refresher.unavailable(now))
      : Effect.flatMap(refresher.wait(pending), () => loop(clock, start))
  }
  const refreshNow = Clock.clockWith((clock) => loop(clock, readInstant(clock)))
  if (!refresher.isIsolated) return refreshNow
  // If a layer fetched, all other requests would wait for the I/O of the request that builds the layer.
  return Effect.contextWith((context: Context.Context<never>) =>
    Context.getOrUndefined(context, HttpServerRequest) === undefined ? Effect.die(noRequest()) : refreshNow
  )
}

const noRequest = () =>
  new ConfigurationError({
    setting: "KeySet.refresh",
    message:
      "KeySet.refresh needs an HTTP request, because requests are isolated, as on Cloudflare Workers. Nothing can be fetched at module scope, and a request must not wait for a layer that another request fetches for. Do not run KeySet.refresh at start-up: remove it from the layer. The first request that needs keys fetches them."
  })
