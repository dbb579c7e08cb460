/** Defines the options of `TokenIntrospection`. */
import type * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import type { Policy as ClaimsPolicy } from "../claims/options.ts"

/**
 * Options that decide which tokens `TokenIntrospection` accepts.
 *
 * @category models
 * @since 0.1.0
 */
export interface Policy extends Pick<
  ClaimsPolicy,
  | "audienceClaim"
  | "clientIdClaim"
  | "clockTolerance"
  | "maxTokenAge"
  | "maxTokenLength"
  | "readScopes"
  | "requiredClaims"
  | "scopesFormat"
  | "scopesPath"
> {
  /**
   * Identifier of the issuer. If the response has `iss`, `iss` must equal it exactly. Without `endpoint`, the issuer
   * must be an https URL (http on loopback).
   */
  readonly issuer: string
  /**
   * Identifier of your API, or several. The token's `aud` must contain one of them.
   *
   * `false` accepts a token for any audience, also a token that was issued for another API. Use `false` only if your
   * API accepts every token of the server. Or use it if the server reports no tokens of other APIs (RFC 7662 §4).
   */
  readonly audience: string | ReadonlyArray<string> | false
  /**
   * Introspection endpoint, an https URL (http on loopback).
   * Default: `introspection_endpoint` of the server's metadata (RFC 8414 §2).
   */
  readonly endpoint?: string
  /**
   * Hosts that plain `http` may reach, such as `["hydra:4445"]` inside a container network. An attacker who can read or
   * change the traffic of that network gets tokens and your credentials, and can make your API accept any token. Name
   * the port unless it is 80.
   *
   * @default []
   */
  readonly httpHosts?: ReadonlyArray<string>
  /**
   * Members of the response that mark an access token. At least one must have the given value, or any value for `true`.
   * Default: `token_type` is `Bearer` or `access_token`, in upper or lower case. A refresh token has no `token_type`.
   *
   * If the response has `token_type`, `token_use`, `typ` or `purpose`, that member must name an access token. If you
   * give such a member a value here, it must have that value. If you give it `true`, it may have any value.
   *
   * If your server reports refresh tokens exactly like access tokens, do not use that server with `TokenIntrospection`.
   */
  readonly accessTokenClaims?: Readonly<Record<string, string | true>>
  /**
   * Members that the response must not have.
   * Default: members of ID tokens and logout tokens (`at_hash`, `c_hash`, `s_hash`, `events`).
   */
  readonly forbiddenClaims?: ReadonlyArray<string>
  /**
   * Members that name the subject. The first one in the response counts. Default: `["sub"]`.
   *
   * If your server reports no `sub` for a client that acts for itself, use `["sub", "client_id"]`. No client may then
   * be able to choose the identifier of a user as its own (RFC 9068 §5).
   */
  readonly subjectClaims?: readonly [string, ...ReadonlyArray<string>]
  /**
   * `true` requests signed responses, and accepts no others (RFC 9701). A signed response proves to your API, and to
   * your records, what the authorization server said. The issuer must be a URL, because its keys are found by discovery.
   *
   * A response must have the media type `application/token-introspection+jwt` and the `typ` `token-introspection+jwt`. It
   * needs a signature by a key of the issuer, `iss`, `aud`, and an `iat` of the last minute. Any other response is an outage: the
   * request gets 503. Encrypted responses are not supported.
   *
   * @default false
   */
  readonly signedResponses?: boolean
  /**
   * Value of `aud` in signed responses. It identifies your API at the authorization server.
   * Default: the `clientId` option. With `credentials`, there is no default.
   */
  readonly responseAudience?: string
}

/**
 * Client ID and client secret with which your API authenticates to the authorization server (RFC 7662 §2.1).
 *
 * Both may contain only spaces and visible ASCII characters (RFC 6749 §A.1, §A.2).
 *
 * @category models
 * @since 0.1.0
 */
export interface ClientSecret {
  readonly clientId: string
  readonly clientSecret: Redacted.Redacted
  /**
   * How the ID and the secret are sent (RFC 6749 §2.3.1). `client_secret_basic` sends both in the `Authorization`
   * header, form-encoded. `client_secret_post` sends both in the body.
   *
   * @default "client_secret_basic"
   */
  readonly authMethod?: "client_secret_basic" | "client_secret_post"
  readonly clientKey?: never
  readonly clientKeyId?: never
  readonly credentials?: never
}

/**
 * Client ID and private key with which your API authenticates to the authorization server (`private_key_jwt`, RFC 7523
 * §2.2).
 *
 * Each introspection request has a new assertion: its `aud` is the issuer, it is valid for 60 seconds, and its `jti` is
 * random. Effect's `Clock` gives the time.
 *
 * @category models
 * @since 0.1.0
 */
export interface ClientKey {
  readonly clientId: string
  /**
   * Private key with the usage `"sign"`. Its type gives the algorithm: RS256 to PS512, ES256, ES384, ES512 or EdDSA
   * (Ed25519).
   */
  readonly clientKey: CryptoKey
  /** `kid` of the key at the authorization server. @default none */
  readonly clientKeyId?: string
  readonly clientSecret?: never
  readonly authMethod?: never
  readonly credentials?: never
}

/**
 * Custom credentials with which your API authenticates to the authorization server, instead of a `ClientSecret` or a
 * `ClientKey`.
 *
 * @category models
 * @since 0.1.0
 */
export interface OtherCredentials {
  /**
   * Effect that runs for each attempt of an introspection request. If it fails, verification fails with
   * `AuthorizationServerUnavailable`, and the log contains the error's name.
   *
   * **Example** (Sending an assertion that another service signs, RFC 7523 §2.2)
   *
   * ```ts
   * import { Effect } from "effect"
   * import type { TokenIntrospection } from "effect-oauth2"
   *
   * export const credentials = (
   *   sign: Effect.Effect<string, Error>
   * ): TokenIntrospection.OtherCredentials["credentials"] =>
   *   Effect.map(sign, (assertion) => ({
   *     parameters: {
   *       client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
   *       client_assertion: assertion
   *     }
   *   }))
   * ```
   */
  readonly credentials: Effect.Effect<Credentials, unknown>
  readonly clientId?: never
  readonly clientSecret?: never
  readonly clientKey?: never
  readonly clientKeyId?: never
  readonly authMethod?: never
}

/**
 * Credentials that one introspection request contains. Leave them empty if the TLS connection authenticates your API
 * (RFC 8705).
 *
 * @category models
 * @since 0.1.0
 */
export interface Credentials {
  /** Value of the `Authorization` header. */
  readonly authorization?: string | Redacted.Redacted
  /** Parameters of the body, in addition to `token` and `token_type_hint`. */
  readonly parameters?: Readonly<Record<string, string | Redacted.Redacted>>
}
