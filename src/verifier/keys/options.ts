/** The options of a key set, and what it is asked for. */
import type * as Duration from "effect/Duration"

/**
 * The parameters of a token's protected header that select its key (RFC 7515 §4.1).
 *
 * @category models
 * @since 0.1.0
 */
export interface KeySelector {
  /** The signature's algorithm (RFC 7515 §4.1.1). */
  readonly alg: string
  /** The key's name (RFC 7515 §4.1.4). */
  readonly kid?: string | undefined
}

/**
 * How fetched keys are kept.
 *
 * @category models
 * @since 0.1.0
 */
export interface CacheOptions {
  /**
   * How long a fetched set is fresh where its answer has no `Cache-Control: max-age` (RFC 9111 §5.2.2.1). Between 60 seconds and 1 hour.
   * Default: 10 minutes.
   */
  readonly freshFor?: Duration.Input
  /** How much longer the known keys serve while the issuer cannot be asked. Between 0 and 24 hours. Default: 1 hour. */
  readonly staleFor?: Duration.Input
  /** The longest answer that is read, in bytes: of metadata, and of keys. Between 1024 and 16 777 216. Default: 524 288. */
  readonly maxBytes?: number
}
