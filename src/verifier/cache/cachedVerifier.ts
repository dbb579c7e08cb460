/** A verifier with a cache of verified tokens in front, as `TokenVerifier` describes it. */
import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Metric from "effect/Metric"
import type { VerifiedToken } from "../../core/AccessToken.ts"
import { type ConfigurationError, InvalidToken } from "../../core/SecurityError.ts"
import * as counter from "../../core/lib/counter.ts"
import { exitOf } from "../../core/lib/exit.ts"
import { isObserved } from "../../core/effect/observed.ts"
import { type CacheSettings, readSettings } from "./cacheSettings.ts"
import {
  type Asker,
  type DirectVerifier,
  type Inspected,
  type Known,
  toEffect,
  toService,
  withoutCache
} from "./directVerifier.ts"
import { InFlight } from "./inFlight.ts"
import { isWiped, keepIn, type KeptToken } from "./cacheEntry.ts"
import type { TokenCacheOptions } from "./options.ts"
import { RefusedTokens } from "./refusedTokens.ts"
import { type Kept, TokenCache } from "./tokenCache.ts"
import { type Rejection, stands, type Verified, type VerifierService } from "./verified.ts"

type Verify = (token: string, fiber: Asker) => Inspected<Verified>

/** Is told of each token that its form refuses. */
type Refused = (error: InvalidToken) => void

interface Options {
  readonly verify: Verify
  readonly refused: Refused
  readonly cache: TokenCacheOptions | false | undefined
}

export const make = Effect.fnUntraced(function* ({
  cache = {},
  refused,
  verify
}: Options): Effect.fn.Return<VerifierService, ConfigurationError> {
  if (cache === false) {
    return toService({ ...withoutCache, verify: verifyAlways(verify, refused) }, () => {})
  }
  return cached(verify, refused, yield* readSettings(cache), yield* Effect.context<never>())
})

const verifyAlways =
  (verify: Verify, refused: Refused): DirectVerifier["verify"] =>
  (text, fiber) => {
    const inspected = verify(text, fiber)
    if (!(inspected instanceof InvalidToken)) return () => Effect.mapEager(inspected(), ({ token }) => token)
    refused(inspected)
    return inspected
  }

const lookups = Metric.counter("oauth2_token_cache_lookups_total", {
  description: "Look-ups of verified tokens, by outcome: hit, miss",
  incremental: true
})

// Closures, and no class: V8 takes what they close over for constants, and a look-up is a fifth faster.
const cached = (
  verify: Verify,
  refused: Refused,
  settings: CacheSettings,
  context: Context.Context<never>
): VerifierService => {
  const cache = new TokenCache<KeptToken>(settings)
  const keep = keepIn(cache, settings)
  const refusedTokens = new RefusedTokens()
  const inFlight = new InFlight()
  const hits = counter.make(lookups, { outcome: "hit" }, context)
  const misses = counter.make(lookups, { outcome: "miss" }, context)

  // -- a token that is kept ------------------------------------------------------------------------------------------

  const known = (found: Kept<KeptToken> | undefined, fiber: Asker): Known | undefined => {
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
    if (standing === stands) {
      hits.count++
      return kept
    }
    return { token: kept.token, verified: verifiedIf(standing, kept, clock, fiber) }
  }

  /** What is kept, where its key turns out to stand; else the token is verified anew. */
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
        // The keys may have been waited for.
        if (holds && clock.currentTimeMillisUnsafe() < until) {
          hits.count++
          return verified
        }
        cache.delete(text)
        return toEffect(inspect(text, fiber))
      }
    })

  // -- any other token -----------------------------------------------------------------------------------------------

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
    const underWay = inFlight.join(text, verify)
    if (underWay !== undefined) return underWay
    const verified = verify()
    const keepIt = (verified: Verified) => keep(text, verified, clock)
    const exit = exitOf(verified)
    return exit === undefined ? inFlight.begin(text, verified, keepIt, verify) : Exit.map(exit, keepIt)
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
      inFlight.invalidate(text)
    }
  )
}
