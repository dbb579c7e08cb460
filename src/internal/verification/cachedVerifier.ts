/** A verifier with a cache of verified tokens in front, as `TokenVerifier` describes it. */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Metric from "effect/Metric"
import * as Redacted from "effect/Redacted"
import type { VerifiedToken } from "../../AccessToken.ts"
import { type ConfigurationError, InvalidToken } from "../../SecurityError.ts"
import type { TokenCacheOptions, TokenVerifier } from "../../TokenVerifier.ts"
import { isToken, redact } from "../credential/authorizationHeader.ts"
import * as counter from "../counter.ts"
import {
  type Asker,
  type Inspected,
  type Known,
  type Rejection,
  success,
  toEffect,
  toService,
  withoutCache
} from "./directVerifier.ts"
import { exitOf } from "../eventual.ts"
import { InFlight } from "./inFlight.ts"
import { isObserved } from "../observed.ts"
import { RefusedTokens } from "./refusedTokens.ts"
import { refuseSetting } from "../setting.ts"
import { shared } from "./shared.ts"
import { freeze, type Kept, TokenCache } from "./tokenCache.ts"

/** What a verification found. */
export interface Verified {
  readonly token: VerifiedToken
  /** From then on, in milliseconds since the epoch, the token is verified anew. */
  readonly until: number
  readonly standing: Standing
}

/** Whether what does not depend on time alone still holds: the key that signed. `stands` itself where that is known at once. */
export type Standing = (clock: Clock.Clock, now: number) => Effect.Effect<boolean, Rejection>

export const stands: Effect.Effect<boolean> = Effect.succeed(true)

export const always: Standing = () => stands

interface Entry extends Known {
  readonly text: string
  readonly verified: Exit.Success<VerifiedToken>
  readonly from: number
  readonly until: number
  readonly standing: Standing
}

const lookups = Metric.counter("oauth2_token_cache_lookups_total", {
  description: "Look-ups of verified tokens, by outcome: hit, miss",
  incremental: true
})

type Verify = (token: string, fiber: Asker) => Inspected<Verified>

interface Options {
  readonly verify: Verify
  /** Is told of each token that its form refuses. */
  readonly refused?: (error: InvalidToken) => void
  readonly cache: TokenCacheOptions | false | undefined
}

/** A verification that is under way. */
interface Flight {
  readonly verified: Effect.Effect<VerifiedToken, Rejection>
  /** Whether several requests wait for it: they are given the same token. */
  isShared: boolean
}

export const make = Effect.fnUntraced(function* ({
  cache: options = {},
  refused = () => {},
  verify
}: Options): Effect.fn.Return<TokenVerifier["Service"], ConfigurationError> {
  if (options === false) {
    return toService(
      {
        ...withoutCache,
        verify: (text, fiber) => {
          const inspected = verify(text, fiber)
          if (!(inspected instanceof InvalidToken)) return () => Effect.mapEager(inspected(), ({ token }) => token)
          refused(inspected)
          return inspected
        }
      },
      () => {}
    )
  }

  const { timeToLive, ...bounds } = yield* settings(options)
  const cache = new TokenCache<Entry>(bounds)
  const refusedTokens = new RefusedTokens()
  const context = yield* Effect.context<never>()
  const hits = counter.make(lookups, { outcome: "hit" }, context)
  const misses = counter.make(lookups, { outcome: "miss" }, context)

  /** What is under way: a token that many present at once is verified once. */
  const inFlight = new InFlight<Flight>()

  const keep = (text: string, { standing, token, until }: Verified, clock: Clock.Clock): VerifiedToken => {
    const from = clock.currentTimeMillisUnsafe()
    const ends = Math.min(until, from + timeToLive)
    if (ends > from) {
      cache.set(text, from, () => {
        // What is kept has the form of a token: who finds it here need not look at that again.
        if (!isToken(text)) return
        const bytes = freeze(text, token, bounds.maxBytes)
        return { entry: { text, token: redact(text), verified: success(token), from, until: ends, standing }, bytes }
      })
    }
    return token
  }

  const inspect = (text: string, fiber: Asker): Inspected<VerifiedToken> => {
    const inspected = verify(text, fiber)
    if (!(inspected instanceof InvalidToken)) return () => begin(text, inspected, fiber.getRef(Clock.Clock))
    refusedTokens.add(text, inspected)
    return refuse(inspected)
  }

  const refuse = (error: InvalidToken): InvalidToken => {
    misses.count++
    refused(error)
    return error
  }

  const begin = (
    text: string,
    verify: () => Effect.Effect<Verified, Rejection>,
    clock: Clock.Clock
  ): Effect.Effect<VerifiedToken, Rejection> => {
    misses.count++
    const underWay = inFlight.get(text)
    if (underWay !== undefined) {
      underWay.isShared = true
      return underWay.verified
    }
    const verified = verify()
    const exit = exitOf(verified)
    if (exit !== undefined) return Exit.map(exit, (verified) => keep(text, verified, clock))
    const isOwn = () => inFlight.get(text) === flight
    const flight: Flight = {
      isShared: false,
      verified: shared(
        Effect.onExitPrimitive(
          Effect.suspend(() => {
            inFlight.set(text, flight)
            return Effect.map(verified, (verified) => {
              if (flight.isShared) freeze(text, verified.token, Infinity)
              // What was invalidated meanwhile is not kept.
              return isOwn() ? keep(text, verified, clock) : verified.token
            })
          }),
          () => {
            if (isOwn()) inFlight.delete(text)
            return undefined
          }
        )
      )
    }
    return flight.verified
  }

  const known = (kept: Kept<Entry> | undefined, fiber: Asker): Known | undefined => {
    if (kept === undefined) return
    const clock = fiber.getRef(Clock.Clock)
    const now = clock.currentTimeMillisUnsafe()
    const entry = cache.current(kept, now)
    if (entry === undefined) return
    if (isWiped(entry.token)) {
      cache.delete(entry.text)
      return
    }
    const standing = entry.standing(clock, now)
    if (standing === stands) {
      hits.count++
      return entry
    }
    const { text, token } = entry
    const verified = Effect.matchEffect(standing, {
      onFailure: (error) => {
        misses.count++
        if (error._tag === "InvalidToken") cache.delete(text)
        return Effect.fail(error)
      },
      onSuccess: (holds) => {
        // The keys may have been waited for.
        if (holds && clock.currentTimeMillisUnsafe() < entry.until) {
          hits.count++
          return entry.verified
        }
        cache.delete(text)
        return toEffect(inspect(text, fiber))
      }
    })
    return { token, verified }
  }

  return toService(
    {
      lookUp: (text, fiber) => known(cache.find(text), fiber),
      lookUpPresented: (field, fiber) => {
        const refusal = refusedTokens.get(field)
        return refusal !== undefined && !isObserved(fiber) ? refuse(refusal) : known(cache.findPresented(field), fiber)
      },
      verify: inspect
    },
    (text) => {
      cache.delete(text)
      inFlight.delete(text)
    }
  )
})

/** Whether a handler has wiped the token that it was given, which is that of all requests that bring it: the next one is given another. */
const isWiped = (token: Redacted.Redacted): boolean => {
  try {
    Redacted.value(token)
    return false
  } catch {
    return true
  }
}

const settings = Effect.fnUntraced(function* (
  options: TokenCacheOptions
): Effect.fn.Return<Required<{ [K in keyof TokenCacheOptions]: number }>, ConfigurationError> {
  const { capacity = 10_000, maxBytes = 16 * 1024 * 1024 } = options
  const timeToLive = Duration.toMillis(options.timeToLive ?? "1 minute")
  const refuse = (setting: string, message: string) =>
    refuseSetting(setting, `${message}; cache: false switches the cache off`)
  if (!Number.isSafeInteger(capacity) || capacity < 1) {
    return yield* refuse("cache.capacity", "must be a whole number of tokens above 0")
  }
  if (!Number.isSafeInteger(maxBytes) || maxBytes < 1) {
    return yield* refuse("cache.maxBytes", "must be a whole number of bytes above 0")
  }
  if (!(timeToLive > 0 && timeToLive <= 24 * 3_600_000)) {
    return yield* refuse("cache.timeToLive", "must be above 0 and at most 24 hours")
  }
  return { capacity, maxBytes, timeToLive }
})
