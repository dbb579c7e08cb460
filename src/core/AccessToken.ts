/**
 * What a verified access token says: who acts (`subject`), through which client, with which scopes, until when.
 *
 * A `BearerToken` is a credential as it was presented (RFC 6750); an `AccessToken` is what a `TokenVerifier` made of it.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as DateTime from "effect/DateTime"
import * as Option from "effect/Option"
import * as scope from "./scope.ts"
import { ownProperties } from "./lib/ownProperties.ts"

/**
 * A verified access token. The names in parentheses are the claims of the JWT profile for access tokens (RFC 9068 §2.2).
 *
 * **Details**
 *
 * Handlers and checks get a frozen token, with all that it holds. Only values in `claims` that cannot be frozen, such as a `Date`, can change. No other request
 * gets the same ones.
 *
 * @category models
 * @since 0.1.0
 */
export interface VerifiedToken<out Claims extends object = Readonly<Record<string, unknown>>> {
  /** Who acts (`sub`): the user, or the client itself in the client-credentials flow. */
  readonly subject: string
  /** The client that got the token (`client_id`, else `azp`). */
  readonly clientId: Option.Option<string>
  /** What the token may do: case-sensitive names. An immutable set. */
  readonly scopes: ReadonlySet<string>
  /** Who issued the token (`iss`). From `JwtVerifier` it is exactly the configured issuer. */
  readonly issuer: string
  /** For whom the token was issued (`aud`). From `JwtVerifier` one of these is this API; a verifier of your own may leave it empty. */
  readonly audience: ReadonlyArray<string>
  /** From then on the token is refused (`exp`). */
  readonly expiresAt: DateTime.Utc
  /** When the token was issued (`iat`). */
  readonly issuedAt: Option.Option<DateTime.Utc>
  /** The token's identifier (`jti`). */
  readonly tokenId: Option.Option<string>
  /** Every claim as it was signed, or what the scheme's schema made of them. From `JwtVerifier` it is an object without a prototype. */
  readonly claims: Claims
}

/**
 * The verified access token of the current request, provided where a requirement of any scheme holds. `auth.accessToken` is the token of
 * one scheme, with its claims typed.
 *
 * **Example** (Reading who acts)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { AccessToken } from "effect-oauth2"
 *
 * export const whoAmI = Effect.map(AccessToken, (token) => token.subject)
 * ```
 *
 * @category services
 * @since 0.1.0
 */
export class AccessToken extends Context.Service<AccessToken, VerifiedToken>()("effect-oauth2/AccessToken") {
  /**
   * A verified token with nothing in it but what is given: for a `TokenVerifier` of one's own.
   *
   * **Example** (A session as an access token)
   *
   * ```ts import.meta.vitest
   * import { DateTime } from "effect"
   * import { AccessToken } from "effect-oauth2"
   *
   * const token = AccessToken.make({
   *   subject: "demo",
   *   scopes: "items:read me",
   *   issuer: "https://sessions.example.com",
   *   expiresAt: DateTime.makeUnsafe("2100-01-01T00:00:00Z")
   * })
   *
   * token.scopes.has("me") // => true
   * ```
   *
   * @since 0.1.0
   */
  static make(options: {
    /** Who acts (`sub`). */
    readonly subject: string
    /** Names, or one string of names separated by single spaces (RFC 6749 §3.3). What is no scope-token grants nothing. */
    readonly scopes: string | Iterable<string>
    /** Who vouches for the token. */
    readonly issuer: string
    /** Until when: what is verified must be verified again some time. */
    readonly expiresAt: DateTime.Utc
    /** The client that got the token (`client_id`). Default: `None`. */
    readonly clientId?: string
    /** For whom the token is (`aud`). Default: empty. */
    readonly audience?: ReadonlyArray<string>
    /** Since when (`iat`). Default: `None`. */
    readonly issuedAt?: DateTime.Utc
    /** The token's identifier (`jti`). Default: `None`. */
    readonly tokenId?: string
    /** What checks and handlers may read besides. Default: none. */
    readonly claims?: Readonly<Record<string, unknown>>
  }): VerifiedToken {
    const own = ownProperties(options)
    const { audience = [], claims = {}, expiresAt, issuer, scopes, subject } = own
    return {
      subject,
      clientId: Option.fromUndefinedOr(own.clientId),
      scopes: scope.fromClaim(typeof scopes === "string" ? scopes : Array.from(scopes)),
      issuer,
      audience,
      expiresAt,
      issuedAt: Option.fromUndefinedOr(own.issuedAt),
      tokenId: Option.fromUndefinedOr(own.tokenId),
      claims: ownProperties(claims)
    }
  }
}

/**
 * The verified access token of the current request where authentication is optional: `None` for an anonymous request.
 *
 * **Example** (A greeting for everybody)
 *
 * ```ts
 * import { Effect, Option } from "effect"
 * import { OptionalAccessToken } from "effect-oauth2"
 *
 * export const greeting = Effect.map(
 *   OptionalAccessToken,
 *   Option.match({ onNone: () => "Hello", onSome: (token) => `Hello ${token.subject}` })
 * )
 * ```
 *
 * @category services
 * @since 0.1.0
 */
export class OptionalAccessToken extends Context.Service<OptionalAccessToken, Option.Option<VerifiedToken>>()(
  "effect-oauth2/OptionalAccessToken"
) {}
