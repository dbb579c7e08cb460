/** Defines the credential of a request that a scheme has verified. Clients exchange it for another token. */
import type * as Redacted from "effect/Redacted"

/**
 * Credential of the current request, which a scheme has verified.
 *
 * **Details**
 *
 * `auth.credential` returns it. `TokenExchange` exchanges it for a token of another API (RFC 8693).
 *
 * **Example** (Exchanging the token of a request)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { OAuth2 } from "effect-oauth2"
 * import type { TokenExchange } from "effect-oauth2/client"
 *
 * const auth = OAuth2.bearer("Items", {})
 *
 * export const tokenFor = (exchange: (credential: Effect.Success<typeof auth.credential>) => unknown) =>
 *   Effect.map(auth.credential, exchange)
 *
 * export type Exchange = typeof TokenExchange
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export class VerifiedCredential {
  // Makes the type nominal: a text of the program is not a verified credential.
  readonly #verified = true
  /** The credential as the client sent it. */
  readonly token: Redacted.Redacted
  /** Expiration time of the token in milliseconds since 1970. */
  readonly expiresAt: number

  constructor(token: Redacted.Redacted, expiresAt: number) {
    this.token = token
    this.expiresAt = expiresAt
  }

  /** Returns `true` if the library has made the value. A program may cast any value to the type. */
  static is(self: unknown): self is VerifiedCredential {
    return typeof self === "object" && self !== null && #verified in self && self.#verified
  }
}
