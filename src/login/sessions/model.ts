/** What a session of a signed-in user holds. */
import * as Data from "effect/Data"
import type * as Redacted from "effect/Redacted"

/**
 * What a session holds about its user. All times are milliseconds since 1970.
 *
 * @category models
 * @since 0.1.0
 */
export interface SessionData {
  /** Issuer of the ID token, or the provider's URL if the provider issues none. */
  readonly issuer: string
  /** `sub` claim, or the identifier of the account at the provider. */
  readonly subject: string
  /** `sid` claim: the session at the issuer. Logout tokens name it. */
  readonly sessionId: string | undefined
  /** The client that the user signed in to. */
  readonly clientId: string
  /** Claims of the user. */
  readonly claims: Readonly<Record<string, unknown>>
  /** Granted scopes. */
  readonly scopes: ReadonlyArray<string>
  readonly accessToken: Redacted.Redacted | undefined
  /** Expiration of the access token. `undefined` if the token does not expire. */
  readonly accessTokenExpiresAt: number | undefined
  readonly refreshToken: Redacted.Redacted | undefined
  /** The ID token, which the end session endpoint wants as a hint. */
  readonly idToken: Redacted.Redacted | undefined
  /** `auth_time` claim: when the user authenticated at the issuer. */
  readonly authenticatedAt: number | undefined
  /** `acr` claim: how the user authenticated. */
  readonly acr: string | undefined
}

/**
 * A session that was read from a store.
 *
 * @category models
 * @since 0.1.0
 */
export interface Session extends SessionData {
  /** Name of the session in logs and lists. It gives no access. */
  readonly id: string
  /** Number that grows by 1 with each `replace`. */
  readonly version: number
  readonly createdAt: number
  /** Time of the last use, with an accuracy of 1 minute. */
  readonly lastUsedAt: number
  /** The absolute end, which no use postpones. */
  readonly expiresAt: number
}

/**
 * Sessions that an issuer ends: one session, or all sessions of a user.
 *
 * @category models
 * @since 0.1.0
 */
export interface SessionOwner {
  readonly issuer: string
  /** `sub` claim. Ignored if `sessionId` is present, because the session belongs to one user. Default: any user. */
  readonly subject?: string | undefined
  /** `sid` claim. Default: all sessions of the user. */
  readonly sessionId?: string | undefined
}

/**
 * The issuer ended the session of the user during the sign-in.
 *
 * **Example** (Reading the message)
 *
 * ```ts
 * import { SignedOut } from "effect-oauth2/login"
 *
 * export const message = new SignedOut().message
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class SignedOut extends Data.TaggedError("SignedOut") {
  override get message(): string {
    return "The identity provider signed the user out during the sign-in."
  }
}
