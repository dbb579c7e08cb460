/** Defines the credential of a request that a scheme has verified. Clients exchange it for another token. */
import type * as Redacted from "effect/Redacted"

let isMade: (self: unknown) => self is VerifiedCredential

/**
 * Credential of the current request, which a scheme has verified.
 *
 * **Details**
 *
 * `auth.credential` returns it. `TokenExchange` exchanges it for a token of another API (RFC 8693).
 *
 * **Example** (Reading when the token of a request ends)
 *
 * ```ts
 * import type { OAuth2 } from "effect-oauth2"
 *
 * export const endOf = (credential: OAuth2.VerifiedCredential) => new Date(credential.expiresAt)
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

  static {
    isMade = (self): self is VerifiedCredential =>
      typeof self === "object" && self !== null && #verified in self && self.#verified
  }
}

/** Returns `true` if the library has made the value. A program may cast any value to the type. */
export const isVerifiedCredential = (self: unknown): self is VerifiedCredential => isMade(self)
