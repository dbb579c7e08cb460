/** Validates the options of the token cache. */
import * as Effect from "effect/Effect"
import type { ConfigurationError } from "../../core/SecurityError.ts"
import * as duration from "../../core/duration.ts"
import { refuseOption } from "../../core/refuseOption.ts"
import type { TokenCacheOptions } from "./options.ts"
import { ownProperties } from "../../core/lib/ownProperties.ts"
import type { CacheBounds } from "./tokenCache.ts"

export interface CacheSettings extends CacheBounds {
  /** In milliseconds. */
  readonly timeToLive: number
}

export const readSettings = Effect.fnUntraced(function* (
  options: TokenCacheOptions
): Effect.fn.Return<CacheSettings, ConfigurationError> {
  const { capacity = 10_000, maxBytes = 16 * 1024 * 1024, timeToLive: input = "1 minute" } = ownProperties(options)
  const timeToLive = duration.toMillis(input)
  const refuse = (option: string, message: string) =>
    refuseOption(option, `${message}. To verify each token without a cache, set cache: false`)
  if (!Number.isSafeInteger(capacity) || capacity < 1) {
    return yield* refuse("cache.capacity", "must be a whole number of tokens above 0")
  }
  if (!Number.isSafeInteger(maxBytes) || maxBytes < 1) {
    return yield* refuse("cache.maxBytes", "must be a whole number of bytes above 0")
  }
  if (!(timeToLive > 0 && timeToLive <= 24 * 3_600_000)) {
    return yield* refuse("cache.timeToLive", 'must be a duration above 0 and of at most 24 hours, such as "1 minute"')
  }
  return { capacity, maxBytes, timeToLive }
})
