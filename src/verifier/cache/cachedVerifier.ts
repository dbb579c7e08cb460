/** Creates verifiers with a cache of verified tokens, as `TokenVerifier` describes it. */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Metric from "effect/Metric"
import * as Redacted from "effect/Redacted"
import type { VerifiedToken } from "../../core/AccessToken.ts"
import { type ConfigurationError, InvalidToken } from "../../core/SecurityError.ts"
import { failWith } from "../../core/constantErrors.ts"
import * as counter from "../../core/lib/counter.ts"
import { exitOf, freezeFailure } from "../../core/lib/exit.ts"
import { RequestIsolation } from "../../core/RequestIsolation.ts"
import { isObserved } from "../../core/effect/observed.ts"
import { type CacheSettings, readSettings } from "./cacheSettings.ts"
import { addTo, type CachedToken } from "./cacheEntry.ts"
import { type CallingFiber, type DirectVerifier, toService, type Verification, withoutCache } from "./directVerifier.ts"
import type { TokenCacheOptions } from "./options.ts"
import { RefusedTokens } from "./refusedTokens.ts"
import { joining, Shared } from "./shared.ts"
import { type CacheEntry, TokenCache } from "./tokenCache.ts"
import { TransientMap } from "./transientMap.ts"
import { isImmutable, type Rejection, stillValid, type Verified, type VerifierService } from "./verified.ts"

/** The two steps that verify a token. */
interface Steps<Presented> {
  /**
   * Parses a token. Returns an `InvalidToken` if the form of the token is invalid, so that it can never be accepted.
   */
  readonly read: (text: string) => Presented
  /** Verifies the result of `read`. Receives an `InvalidToken` only if logs or spans report verifications. */
  readonly verify: (presented: Presented, fiber: CallingFiber) => Effect.Effect<Verified, Rejection>
  /** Counts a token that `read` refused. */
  readonly refused: (error: InvalidToken) => void
}

export const make = Effect.fnUntraced(function* <Presented>({
  cache = {},
  ...steps
}: Steps<Presented> & {
  readonly cache: TokenCacheOptions | false | undefined
}): Effect.fn.Return<VerifierService, ConfigurationError> {
  if (cache === false) return toService({ ...withoutCache, verify: verifyAlways(steps) }, () => {})
  return cached(steps, yield* readSettings(cache), yield* Effect.context<never>())
})

const verifyAlways =
  <Presented>({ read, refused, verify }: Steps<Presented>): DirectVerifier["verify"] =>
  (text, fiber) => {
    const presented = read(text)
    if (!(presented instanceof InvalidToken) || isObserved(fiber)) {
      return Effect.mapEager(verify(presented, fiber), ({ token }) => token)
    }
    refused(presented)
    return failWith(presented)
  }

/** A verification in progress. */
interface InProgress {
  readonly shared: Shared<Verified, Rejection>
  /** The outcome whose mutable token one request has received. No other request receives this token. */
  taken: Verified | undefined
}

const lookups = Metric.counter("oauth2_token_cache_lookups_total", {
  description: "Lookups of verified tokens, by outcome: hit, miss",
  incremental: true
})

// Closures instead of a class: V8 treats their variables as constants, so a lookup is a fifth faster.
const cached = <Presented>(
  { read, refused, verify }: Steps<Presented>,
  settings: CacheSettings,
  context: Context.Context<never>
): VerifierService => {
  const isIsolated = Context.get(context, RequestIsolation) !== undefined
  const cache = new TokenCache<CachedToken>(settings)
  const add = addTo(cache, settings)
  const refusedTokens = new RefusedTokens()
  const inProgress = new TransientMap<InProgress>()
  const hits = counter.make(lookups, { outcome: "hit" }, context)
  const misses = counter.make(lookups, { outcome: "miss" }, context)

  // -- cached tokens ------------------------------------------------------------------------------------------------

  const lookUp = (found: CacheEntry<CachedToken> | undefined, fiber: CallingFiber): Verification | undefined => {
    if (found === undefined) return
    const clock = fiber.getRef(Clock.Clock)
    const now = clock.currentTimeMillisUnsafe()
    const cached = cache.current(found, now)
    if (cached === undefined) return
    if (isWiped(cached)) {
      cache.delete(cached.text)
      return
    }
    const validity = cached.validity(clock, now)
    if (validity !== stillValid) return { token: cached.token, verified: verifiedIf(validity, cached, clock, fiber) }
    hits.count++
    return cached
  }

  /** Returns the cached token if its key is still in the key set. Otherwise verifies the token again. */
  const verifiedIf = (
    validity: Effect.Effect<boolean, Rejection>,
    { text, validUntil, verified }: CachedToken,
    clock: Clock.Clock,
    fiber: CallingFiber
  ): Effect.Effect<VerifiedToken, Rejection> =>
    Effect.matchEffect(validity, {
      onFailure: (error) => {
        misses.count++
        if (error._tag === "InvalidToken") cache.delete(text)
        return Effect.fail(error)
      },
      onSuccess: (isValid) => {
        // The token may have expired while the keys were fetched.
        if (isValid && clock.currentTimeMillisUnsafe() < validUntil) {
          hits.count++
          return verified
        }
        cache.delete(text)
        return verifyUncached(text, fiber)
      }
    })

  // -- uncached tokens ----------------------------------------------------------------------------------------------

  const verifyUncached = (text: string, fiber: CallingFiber): Effect.Effect<VerifiedToken, Rejection> => {
    const presented = read(text)
    if (presented instanceof InvalidToken && !isObserved(fiber)) {
      refusedTokens.add(text, presented)
      return refuse(presented)
    }
    misses.count++
    const joined = inProgress.get(text)
    const verifyAlone = () => verify(presented, fiber)
    return joined === undefined ? begin(text, verifyAlone, fiber.getRef(Clock.Clock)) : tokenOf(joined, verifyAlone)
  }

  const refuse = (error: InvalidToken): Effect.Effect<never, InvalidToken> => {
    misses.count++
    refused(error)
    return failWith(error)
  }

  const begin = (
    text: string,
    verifyAlone: () => Effect.Effect<Verified, Rejection>,
    clock: Clock.Clock
  ): Effect.Effect<VerifiedToken, Rejection> => {
    const verified = verifyAlone()
    const exit = exitOf(verified)
    if (exit !== undefined) return Exit.map(exit, (verified) => add(text, verified, clock))
    const started: InProgress = {
      taken: undefined,
      shared: new Shared(verified, {
        ...joining,
        isIsolated,
        onStart: () => inProgress.set(text, started),
        onEnd: (exit) => {
          freezeFailure(exit)
          // The token was invalidated in the meantime, so do not cache the outcome.
          if (inProgress.get(text) !== started) return
          inProgress.delete(text)
          if (Exit.isSuccess(exit)) add(text, exit.value, clock)
        }
      })
    }
    return tokenOf(started, verifyAlone)
  }

  return toService(
    {
      lookUp: (text, fiber) => lookUp(cache.find(text), fiber),
      lookUpPresented: (header, fiber) => {
        const refusal = refusedTokens.get(header)
        return refusal !== undefined && !isObserved(fiber)
          ? { token: undefined, verified: refuse(refusal) }
          : lookUp(cache.findPresented(header), fiber)
      },
      verify: verifyUncached
    },
    (text) => {
      cache.delete(text)
      inProgress.delete(text)
    }
  )
}

/**
 * Returns `true` if a handler has wiped the token. Requests with a cached token share its `Redacted` value, so the next
 * request needs a new value.
 */
const isWiped = ({ token }: CachedToken): boolean => {
  try {
    Redacted.value(token)
    return false
  } catch {
    return true
  }
}

/**
 * Returns the token for one request. Only the first request receives a mutable token. Each other request verifies its
 * own.
 */
const tokenOf = (
  inProgress: InProgress,
  verifyAlone: () => Effect.Effect<Verified, Rejection>
): Effect.Effect<VerifiedToken, Rejection> =>
  Effect.flatMap(inProgress.shared.outcome, (verified) => {
    if (isImmutable(verified)) return Effect.succeed(verified.token)
    if (inProgress.taken === verified) return Effect.map(verifyAlone(), ({ token }) => token)
    inProgress.taken = verified
    return Effect.succeed(verified.token)
  })
