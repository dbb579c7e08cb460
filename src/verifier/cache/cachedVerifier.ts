/** Makes verifiers with a cache of verified tokens, as `TokenVerifier` describes it. */
import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Metric from "effect/Metric"
import * as Redacted from "effect/Redacted"
import type { VerifiedToken } from "../../core/AccessToken.ts"
import { type ConfigurationError, InvalidToken } from "../../core/SecurityError.ts"
import { failWith } from "../../core/constantErrors.ts"
import * as counter from "../../core/lib/counter.ts"
import { exitOf, freezeFailure } from "../../core/lib/exit.ts"
import { isObserved } from "../../core/effect/observed.ts"
import { type CacheSettings, readSettings } from "./cacheSettings.ts"
import { keepIn, type KeptToken } from "./cacheEntry.ts"
import { type Asker, type DirectVerifier, toService, type Verification, withoutCache } from "./directVerifier.ts"
import type { TokenCacheOptions } from "./options.ts"
import { RefusedTokens } from "./refusedTokens.ts"
import { Shared } from "./shared.ts"
import { type Kept, TokenCache } from "./tokenCache.ts"
import { TransientMap } from "./transientMap.ts"
import { isImmutable, type Rejection, stands, type Verified, type VerifierService } from "./verified.ts"

/** How a token is verified, in two steps. */
interface Steps<Presented> {
  /** Reads the form of a token. Returns an `InvalidToken` if the form is refused: then the token is refused for ever. */
  readonly read: (text: string) => Presented
  /** Verifies what `read` returned. Gets an `InvalidToken` only if logs or spans report verifications. */
  readonly verify: (presented: Presented, fiber: Asker) => Effect.Effect<Verified, Rejection>
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
  /** The outcome that one request has taken, if its token can change: no other request gets that outcome. */
  taken: Verified | undefined
}

const lookups = Metric.counter("oauth2_token_cache_lookups_total", {
  description: "Look-ups of verified tokens, by outcome: hit, miss",
  incremental: true
})

// Closures instead of a class: V8 treats their variables as constants, so a lookup is a fifth faster.
const cached = <Presented>(
  { read, refused, verify }: Steps<Presented>,
  settings: CacheSettings,
  context: Context.Context<never>
): VerifierService => {
  const cache = new TokenCache<KeptToken>(settings)
  const keep = keepIn(cache, settings)
  const refusedTokens = new RefusedTokens()
  const inProgress = new TransientMap<InProgress>()
  const hits = counter.make(lookups, { outcome: "hit" }, context)
  const misses = counter.make(lookups, { outcome: "miss" }, context)

  // -- a cached token -----------------------------------------------------------------------------------------------

  const known = (found: Kept<KeptToken> | undefined, fiber: Asker): Verification | undefined => {
    if (found === undefined) return
    const clock = fiber.getRef(Clock.Clock)
    const now = clock.currentTimeMillisUnsafe()
    const kept = cache.current(found, now)
    if (kept === undefined) return
    if (isWiped(kept)) {
      cache.delete(kept.text)
      return
    }
    const standing = kept.standing(clock, now)
    if (standing !== stands) return { token: kept.token, verified: verifiedIf(standing, kept, clock, fiber) }
    hits.count++
    return kept
  }

  /** Returns the cached token if its key still counts. Otherwise the token is verified again. */
  const verifiedIf = (
    standing: Effect.Effect<boolean, Rejection>,
    { text, until, verified }: KeptToken,
    clock: Clock.Clock,
    fiber: Asker
  ): Effect.Effect<VerifiedToken, Rejection> =>
    Effect.matchEffect(standing, {
      onFailure: (error) => {
        misses.count++
        if (error._tag === "InvalidToken") cache.delete(text)
        return Effect.fail(error)
      },
      onSuccess: (holds) => {
        // The token may have expired while the keys were fetched.
        if (holds && clock.currentTimeMillisUnsafe() < until) {
          hits.count++
          return verified
        }
        cache.delete(text)
        return verifyUncached(text, fiber)
      }
    })

  // -- any other token -----------------------------------------------------------------------------------------------

  const verifyUncached = (text: string, fiber: Asker): Effect.Effect<VerifiedToken, Rejection> => {
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
    if (exit !== undefined) return Exit.map(exit, (verified) => keep(text, verified, clock))
    const started: InProgress = {
      taken: undefined,
      shared: new Shared(verified, {
        onStart: () => inProgress.set(text, started),
        onEnd: (exit) => {
          freezeFailure(exit)
          // After an invalidation, the outcome is not cached.
          if (inProgress.get(text) !== started) return
          inProgress.delete(text)
          if (Exit.isSuccess(exit)) keep(text, exit.value, clock)
        }
      })
    }
    return tokenOf(started, verifyAlone)
  }

  return toService(
    {
      lookUp: (text, fiber) => known(cache.find(text), fiber),
      lookUpPresented: (header, fiber) => {
        const refusal = refusedTokens.get(header)
        return refusal !== undefined && !isObserved(fiber)
          ? { token: undefined, verified: refuse(refusal) }
          : known(cache.findPresented(header), fiber)
      },
      verify: verifyUncached
    },
    (text) => {
      cache.delete(text)
      inProgress.delete(text)
    }
  )
}

/** Returns `true` if a handler has wiped the token. All requests with a cached token get the same one, so the next request needs a new token. */
const isWiped = ({ token }: KeptToken): boolean => {
  try {
    Redacted.value(token)
    return false
  } catch {
    return true
  }
}

/** The token for one request. A token that can change is for the first request that gets it, and each other request verifies for itself. */
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
