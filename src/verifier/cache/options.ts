/** The options of the cache in front of every verifier. */
import type * as Duration from "effect/Duration"

/**
 * How verified tokens are kept.
 *
 * @category models
 * @since 0.1.0
 */
export interface TokenCacheOptions {
  /** How many tokens are kept at most. Default: 10 000. */
  readonly capacity?: number
  /** How many bytes they take at most, with what was read from them, as the library estimates it. Default: 16 777 216 (16 MiB). */
  readonly maxBytes?: number
  /** How long a token is not verified again. At most 24 hours. Default: 1 minute. */
  readonly timeToLive?: Duration.Input
}

/**
 * Whether verified tokens are kept, and how.
 *
 * @category models
 * @since 0.1.0
 */
export interface TokenCaching {
  /** `false`: every request's token is verified anew. Default: kept, within the default bounds. */
  readonly cache?: TokenCacheOptions | false
}
