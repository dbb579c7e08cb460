/** What a verifier of claims can be told. */
import type * as Duration from "effect/Duration"

/**
 * What a token must be to be accepted, whatever it is signed with.
 *
 * @category models
 * @since 0.1.0
 */
export interface Policy {
  /** The issuer's identifier, compared as an exact string with `iss` (RFC 9068 §4). An https URL (http on loopback). */
  readonly issuer: string
  /** This API's identifier, or several: one of them must be in `aud` (RFC 9068 §4). */
  readonly audience: string | ReadonlyArray<string>
  /** Where the audience is, for issuers whose access tokens have no `aud` (Amazon Cognito). Default: `"aud"`. */
  readonly audienceClaim?: "aud" | "client_id"
  /** How far `exp`, `nbf` and `iat` may be off, for clocks that differ. Default: 5 seconds; at most 60. */
  readonly clockTolerance?: Duration.Input
  /** How long ago a token may have been issued (`iat`, which it then must have). Default: no bound but `exp`. */
  readonly maxTokenAge?: Duration.Input
  /**
   * How far `exp` may be ahead of the clock. A token with a later `exp` is refused: its issuer may have written
   * milliseconds in the place of seconds (RFC 7519 §2). Default: 1000 years (`"365250 days"`), which accepts every token
   * that is meant to last.
   */
  readonly maxLifetime?: Duration.Input
  /**
   * The longest token that is looked at, in characters. Default: 8192. Over HTTP the whole `Authorization` field has a bound of its own,
   * `BearerToken.MaxLength`: for longer tokens raise both. The header of a token has a fixed bound of 1024 bytes.
   */
  readonly maxTokenLength?: number
  /**
   * What tells an access token from other JWTs of the issuer (RFC 8725 §3.11). Default: `"at+jwt"`.
   *
   * - `"at+jwt"`: the header's `typ` (RFC 9068 §4), and a `client_id`.
   * - `"jwt"`, for issuers that do not mark their access tokens: `typ` is `JWT`, `at+jwt` or absent; one of `accessTokenClaims` is there, and none
   *   of `forbiddenClaims`.
   * - `"id-token"`, for issuers whose ID tokens are what clients send (Google): `typ` is `JWT` or absent. Do not choose it where access tokens are JWTs.
   */
  readonly profile?: "at+jwt" | "jwt" | "id-token"
  /** Claims that a token must have: with a value, or `true` for any. */
  readonly requiredClaims?: Readonly<Record<string, string | true>>
  /**
   * Claims that a token must not have. Default: what only logout tokens have (`events`), and for the profile `"jwt"` what only ID tokens do (`nonce`,
   * `at_hash`, `c_hash`, `s_hash`); none for `"at+jwt"`.
   */
  readonly forbiddenClaims?: ReadonlyArray<string>
  /**
   * What tells the issuer's access tokens from its other JWTs, for the profile `"jwt"`: claims of which they have at least one, with a value, or `true` for
   * any. Default: `scope`, `scp`, `client_id`, and the claim at `scopesPath`.
   */
  readonly accessTokenClaims?: Readonly<Record<string, string | true>>
  /** The claim that names the client. Default: `client_id`, else `azp`. */
  readonly clientIdClaim?: string
  /**
   * Where the scopes are: the names from the claims' root down to a string or an array of strings, such as `["realm_access", "roles"]`.
   * Default: `scope`, and where the token has none, `scp`.
   */
  readonly scopesPath?: readonly [string, ...ReadonlyArray<string>]
}
