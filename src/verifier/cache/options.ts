/** The options of the token cache. */
import type * as Duration from "effect/Duration"

/**
 * Options for the cache of verified tokens.
 *
 * @category models
 * @since 0.1.0
 */
export interface TokenCacheOptions {
  /** Maximum number of cached tokens. Default: 10 000. */
  readonly capacity?: number
  /** Maximum estimated size of the cached tokens and their claims, in bytes. Default: 16 777 216 (16 MiB). */
  readonly maxBytes?: number
  /** Maximum time for which a verified token is cached. At most 24 hours. Default: 1 minute. */
  readonly timeToLive?: Duration.Input
}

/**
 * Option that configures the token cache of a verifier, or turns the cache off.
 *
 * @category models
 * @since 0.1.0
 */
export interface TokenCaching {
  /** `false` verifies the token of every request again. Default: a cache with the default bounds. */
  readonly cache?: TokenCacheOptions | false
}
