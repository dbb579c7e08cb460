/** Caches the tokens of a source: one request for each key at a time, renewed ahead of their expiration. */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import { toMillis } from "../../core/duration.ts"
import { refuseOption } from "../../core/refuseOption.ts"
import { type TokenError, TokenUnavailable } from "../ClientError.ts"
import type { ClientToken } from "../TokenSource.ts"
import type { Renewal } from "./options.ts"

/** A token with the time at which it was requested. */
export interface Issued {
  readonly token: ClientToken
  /** Milliseconds since 1970. */
  readonly sentAt: number
  /** Returns `false` once the token must not be used any more, for another reason than its age. */
  readonly isCurrent?: () => boolean
}

interface Entry {
  issued: Issued | undefined
  /** The request that is running. */
  running: Fiber.Fiber<Issued, TokenError> | undefined
  /** The last failure, which answers until a new request may be sent. */
  failure: { readonly error: TokenError; readonly until: number } | undefined
  /** Failures in a row. */
  failures: number
}

const maxEntries = 1000

/** Pause after a refusal. The options are wrong, and only the authorization server can say when they are right. */
const defaultRefusalPause = 30_000
const maxPause = 30_000

export interface Lifetimes {
  readonly renewAhead: number
  readonly expiryMargin: number
  readonly defaultLifetime: number
}

/** Reads the options, in milliseconds. */
export const lifetimesOf = Effect.fnUntraced(function* (options: Renewal) {
  const read = Effect.fnUntraced(function* (name: keyof Renewal, fallback: Duration.Input, minimum: number) {
    const millis = toMillis(options[name] ?? fallback)
    if (millis >= minimum && Number.isFinite(millis)) return millis
    return yield* refuseOption(name, `must be a finite duration of at least ${minimum} ms, such as "30 seconds"`)
  })
  return {
    renewAhead: yield* read("renewAhead", "2 minutes", 0),
    expiryMargin: yield* read("expiryMargin", "30 seconds", 0),
    defaultLifetime: yield* read("defaultLifetime", "5 minutes", 1000)
  }
})

/**
 * A cache of tokens by key. `fetch` runs in the scope of the cache. A request that gives up then leaves the token to the
 * requests that wait, too.
 */
export const make = <Key>(options: {
  readonly lifetimes: Lifetimes
  readonly scope: Scope.Scope
  /** Text that covers every part of the key. */
  readonly textOf: (key: Key) => string
  readonly fetch: (key: Key, before: ClientToken | undefined) => Effect.Effect<Issued, TokenError>
  /** Pause after a refusal, in milliseconds. Default: 30 seconds. */
  readonly refusalPause?: number
}) => {
  const { fetch, lifetimes, refusalPause = defaultRefusalPause, scope, textOf } = options
  const entries = new Map<string, Entry>()

  const entryOf = (text: string): Entry => {
    const found = entries.get(text)
    // The map keeps the order of use, so the first entry is the one that was not used for the longest time.
    if (found !== undefined) entries.delete(text)
    const entry = found ?? { issued: undefined, running: undefined, failure: undefined, failures: 0 }
    entries.set(text, entry)
    if (entries.size > maxEntries) {
      for (const [oldest, { running }] of entries) {
        if (running === undefined && oldest !== text) {
          entries.delete(oldest)
          break
        }
      }
    }
    return entry
  }

  const pauseAfter = (error: TokenError, failures: number): Effect.Effect<number> =>
    error instanceof TokenUnavailable
      ? Effect.map(Random.next, (random) => {
          const pause = Math.min(1000 * 2 ** (failures - 1), maxPause)
          // The processes of a fleet must not ask all at once when the server is back.
          return Math.max(Duration.toMillis(error.retryAfter), pause * (1 - random / 4))
        })
      : Effect.succeed(refusalPause)

  /** Starts a request, or returns the one that is running. */
  const start = (entry: Entry, key: Key): Effect.Effect<Fiber.Fiber<Issued, TokenError>> =>
    Effect.suspend(() => {
      if (entry.running !== undefined) return Effect.succeed(entry.running)
      const request = Effect.onExit(fetch(key, entry.issued?.token), (exit) =>
        Effect.gen(function* () {
          entry.running = undefined
          if (Exit.isSuccess(exit)) {
            entry.issued = exit.value
            entry.failure = undefined
            entry.failures = 0
            return
          }
          const error = Exit.findErrorOption(exit)
          // An interrupted request says nothing about the server.
          if (error._tag === "None") return
          entry.failures += 1
          const now = yield* Clock.currentTimeMillis
          entry.failure = { error: error.value, until: now + (yield* pauseAfter(error.value, entry.failures)) }
        })
      )
      // An interrupt between the two steps would hide the request, and the next caller would send another one.
      return Effect.uninterruptible(
        Effect.tap(Effect.forkIn(request, scope, { startImmediately: false }), (fiber) =>
          Effect.sync(() => {
            entry.running = fiber
          })
        )
      )
    })

  const get = (key: Key): Effect.Effect<ClientToken, TokenError> =>
    Effect.gen(function* () {
      const entry = entryOf(textOf(key))
      const now = yield* Clock.currentTimeMillis
      if (entry.issued?.isCurrent?.() === false) entry.issued = undefined
      const { failure, issued } = entry
      const mayAsk = failure === undefined || failure.until <= now
      if (issued !== undefined) {
        const { expiresAt } = issued.token
        const lifetime = expiresAt - issued.sentAt
        const left = expiresAt - now
        if (left > Math.min(lifetimes.renewAhead, lifetime / 2)) return issued.token
        if (left > Math.min(lifetimes.expiryMargin, lifetime / 5)) {
          if (mayAsk) yield* start(entry, key)
          return issued.token
        }
        // An outage does not end a token that has not expired.
        if (left > 0) {
          return mayAsk
            ? yield* Effect.map(join(yield* start(entry, key)), ({ token }) => token).pipe(
                Effect.catchTag("TokenUnavailable", (error) =>
                  Effect.flatMap(Clock.currentTimeMillis, (later) =>
                    later < expiresAt ? Effect.succeed(issued.token) : Effect.fail(error)
                  )
                )
              )
            : issued.token
        }
      }
      if (failure !== undefined && !mayAsk && entry.running === undefined) return yield* Effect.fail(failure.error)
      const fetched = yield* join(yield* start(entry, key))
      // The request may have begun before its subject ended.
      return fetched.isCurrent?.() === false ? yield* get(key) : fetched.token
    })

  return {
    get,
    /** Removes every token and every failure. Requests that are running go on. */
    clear: Effect.sync(() => {
      for (const entry of entries.values()) Object.assign(entry, { issued: undefined, failure: undefined, failures: 0 })
    }),
    /** Removes a token, if no newer one has taken its place. */
    forget: (token: ClientToken): Effect.Effect<void> =>
      Effect.sync(() => {
        for (const entry of entries.values()) {
          if (entry.issued !== undefined && isSame(entry.issued.token, token)) entry.issued = undefined
        }
      })
  }
}

const join = (fiber: Fiber.Fiber<Issued, TokenError>) => Fiber.join(fiber)

const isSame = (one: ClientToken, other: ClientToken): boolean =>
  Redacted.value(one.value) === Redacted.value(other.value)
