/** Options for a key set, and the input of a key lookup. */
import type * as Duration from "effect/Duration"

/**
 * Header parameters of a token that select its key (RFC 7515 §4.1).
 *
 * @category models
 * @since 0.1.0
 */
export interface KeySelector {
  /** Signature algorithm (RFC 7515 §4.1.1). */
  readonly alg: string
  /** Key ID (RFC 7515 §4.1.4). */
  readonly kid?: string | undefined
}

/**
 * Options for the cache of fetched keys.
 *
 * @category models
 * @since 0.1.0
 */
export interface CacheOptions {
  /**
   * How long a set is fresh if its response has no `Cache-Control: max-age` (RFC 9111 §5.2.2.1). From 60 seconds to
   * 1 hour.
   *
   * @default "10 minutes"
   */
  readonly freshFor?: Duration.Input
  /** How much longer cached keys serve while the issuer is unreachable. From 0 to 24 hours. @default "1 hour" */
  readonly staleFor?: Duration.Input
  /** Longest duration of one request to the issuer. From 1 to 30 seconds. @default "5 seconds" */
  readonly fetchTimeout?: Duration.Input
  /**
   * Hosts that plain `http` may reach, such as `["keycloak:8080"]` inside a container network. An attacker who can
   * change the traffic of that network can replace the keys, and then create tokens. Name the port unless it is 80.
   *
   * @default []
   */
  readonly httpHosts?: ReadonlyArray<string>
  /** Maximum size of a metadata or key set response, in bytes. From 1 KiB to 16 MiB. @default 524288 */
  readonly maxBytes?: number
}
