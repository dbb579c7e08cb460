/** Defines the options for logout tokens. */
import type { Policy } from "../verifier/claims/options.ts"
import type { Algorithm } from "../verifier/keys/algorithms.ts"

/**
 * Options that decide which logout tokens are valid.
 *
 * @category models
 * @since 0.1.0
 */
export interface LogoutTokenPolicy extends Pick<
  Policy,
  "issuer" | "issuerAliases" | "clockTolerance" | "maxTokenLength"
> {
  /** Client ID of your app at the issuer, or several. `aud` must contain one of them. */
  readonly clientId: string | ReadonlyArray<string>
  /**
   * Maximum age of a logout token (`iat`). The `jti` of each token is remembered for this time at most.
   *
   * @default "5 minutes"
   */
  readonly maxTokenAge?: Policy["maxTokenAge"]
  /** Allowed signature algorithms. Default: every `Algorithm`. */
  readonly algorithms?: ReadonlyArray<Algorithm>
}
