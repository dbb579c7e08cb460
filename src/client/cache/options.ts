/** The options of the cache of a token source. */
import type * as Duration from "effect/Duration"

/**
 * When a source renews its tokens.
 *
 * @category models
 * @since 0.1.0
 */
export interface Renewal {
  /**
   * Time before the expiration from which a token is renewed in the background, while requests still use it. At most
   * half of the lifetime counts. Default: 2 minutes.
   */
  readonly renewAhead?: Duration.Input
  /**
   * Time before the expiration from which requests wait for a new token. At most a fifth of the lifetime counts, so
   * that short tokens are not requested for each call. Default: 30 seconds.
   */
  readonly expiryMargin?: Duration.Input
  /** Lifetime of a token whose response does not say it (RFC 6749 §5.1). Default: 5 minutes. */
  readonly defaultLifetime?: Duration.Input
}
