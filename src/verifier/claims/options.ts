/** Options for the validation of claims. */
import type * as Duration from "effect/Duration"

/** Names of nested claims, from the outermost to the innermost. */
type Path = readonly [string, ...ReadonlyArray<string>]

/**
 * Conditions that a JWT must meet to be accepted, whatever key signed it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Policy {
  /**
   * The issuer's identifier. It must equal `iss` exactly, including a trailing slash (RFC 9068 §4).
   *
   * For discovery, the issuer must be an `https` URL (`http` on loopback). `JwtVerifier.layerKeySet` and
   * `JwtVerifier.layerSecret` discover nothing, so they accept any text, such as `"supabase"` (RFC 7519 §4.1.1).
   */
  readonly issuer: string
  /**
   * Other values of `iss` that mean the same issuer with the same keys, such as `accounts.google.com`, or the issuer
   * with a trailing slash. The `issuer` of the verified token is always the `issuer` option.
   *
   * @default []
   */
  readonly issuerAliases?: ReadonlyArray<string>
  /**
   * Tenants that may use this API, if all tenants of a provider share their keys. `issuer` then contains
   * `{tenantid}`, such as `https://login.microsoftonline.com/{tenantid}/v2.0` for Microsoft Entra ID. A token is
   * accepted if its `tenantClaim` is one of the tenants, and its `iss` names this tenant. The `issuer` of the verified
   * token is its `iss`.
   *
   * The metadata of many tenants names no single issuer, so use `JwtVerifier.layerKeySet` and `KeySet.layerRemote`. If
   * you pass a function, it must be pure and fast. Read the tenants from your database before.
   *
   * Default: none, so `issuer` is the `iss` of every token.
   */
  readonly tenants?: ReadonlyArray<string> | ((tenant: string) => boolean)
  /** Claim that names the tenant of a token. @default "tid" */
  readonly tenantClaim?: string
  /**
   * One or more identifiers of this API. `aud` must contain at least one of them (RFC 9068 §4).
   *
   * `false` accepts a token for any audience, also a token that was issued for another API. Use `false` only if the
   * issuer writes no audience, and every token of the issuer may use your API. If another claim names your API or its
   * clients, set `audienceClaim` or `requiredClaims` instead. The log warns once if an accepted token has `aud`.
   */
  readonly audience: string | ReadonlyArray<string> | false
  /**
   * The claim that holds the audience. Amazon Cognito needs `"client_id"`. If you name another claim than `aud`, `aud`
   * is not checked, so the claim must name this API or its clients in every token.
   *
   * @default "aud"
   */
  readonly audienceClaim?: string
  /** Tolerance for `exp`, `nbf` and `iat` if clocks differ. From 0 to 60 seconds. @default "5 seconds" */
  readonly clockTolerance?: Duration.Input
  /** Maximum age of a token. If set, a token must have `iat`. @default no limit */
  readonly maxTokenAge?: Duration.Input
  /**
   * How far `exp` may be ahead of the clock. A later `exp` is often in milliseconds instead of seconds (RFC 7519 §2).
   * The default of 1000 years accepts every plausible token.
   *
   * @default "365250 days"
   */
  readonly maxLifetime?: Duration.Input
  /**
   * Maximum length of a token, in characters. For longer tokens, also raise `BearerToken.MaxLength`, which limits the
   * whole `Authorization` header. The header of a token can have at most 1024 bytes, or 8192 bytes
   * with certificates (`x5c`).
   *
   * @default 8192
   */
  readonly maxTokenLength?: number
  /**
   * How the verifier distinguishes access tokens from other JWTs of the issuer (RFC 8725 §3.11).
   *
   * | value | accepted `typ` header | claims | use for |
   * |---|---|---|---|
   * | `"at+jwt"` | `at+jwt` | has `client_id`, `jti` and `iat` | issuers that mark access tokens (RFC 9068 §2.2) |
   * | `"jwt"` | `JWT`, `at+jwt`, absent | has one of `accessTokenClaims`, none of `forbiddenClaims` | other issuers |
   * | `"id-token"` | `JWT`, absent | none of `forbiddenClaims` | clients that send ID tokens (Google) |
   * | `"logout+jwt"` | `logout+jwt`, `JWT`, absent | has `jti`, `iat` and the logout event | logout tokens |
   *
   * Do not use `"id-token"` if access tokens are JWTs.
   *
   * Default: `"at+jwt"`. For `JwtVerifier.layerSecret`: `"jwt"`.
   */
  readonly profile?: "at+jwt" | "jwt" | "id-token" | "logout+jwt"
  /** Claims that a token must have. `true` accepts any value except `null`. @default none */
  readonly requiredClaims?: Readonly<Record<string, string | true>>
  /**
   * Claims that a token must not have. The default depends on `profile`.
   *
   * | profile | default |
   * |---|---|
   * | `"at+jwt"` | none |
   * | `"jwt"` | `nonce`, `at_hash`, `c_hash`, `s_hash` (ID tokens), `events` (logout tokens) |
   * | `"id-token"` | `events` |
   * | `"logout+jwt"` | `nonce` |
   *
   * Default: the claims that the table names for the `profile`.
   */
  readonly forbiddenClaims?: ReadonlyArray<string>
  /**
   * Claims that mark access tokens, for the profile `"jwt"`. A token must have at least one of them. `true` accepts any
   * value except `null`. Default: `scope`, `scp`, `client_id`, and the claim at `scopesPath`.
   */
  readonly accessTokenClaims?: Readonly<Record<string, string | true>>
  /**
   * Claims that name the subject. The first one in the token counts. Default: `["sub"]`.
   *
   * If your issuer writes no `sub` for a client that acts for itself, use `["sub", "client_id"]`. No client may then be
   * able to choose the identifier of a user as its own (RFC 9068 §5).
   */
  readonly subjectClaims?: readonly [string, ...ReadonlyArray<string>]
  /** The claim that names the client. Default: `client_id`, or `azp` if `client_id` is absent. */
  readonly clientIdClaim?: string
  /**
   * Path to the granted scopes, such as `["realm_access", "roles"]`. Several paths, such as `[["scope"], ["roles"]]`,
   * grant the scopes of all of them. Default: `scope`, or `scp` if `scope` is absent.
   */
  readonly scopesPath?: Path | readonly [Path, ...ReadonlyArray<Path>]
  /**
   * How the granted scopes are written. In every format, an array of strings grants each string that is a scope.
   *
   * | value | accepted | use for |
   * |---|---|---|
   * | `"spaces"` | `"read write"` | standard tokens (RFC 9068 §2.2.3) |
   * | `"commas"` | `"read,write"`, `"read, write"` | issuers that separate scopes with commas |
   * | `"names"` | `{ "read": { … }, "write": true }` | roles as the names in an object (Zitadel) |
   *
   * With `"names"`, a name whose value is `false` or `null` grants nothing.
   *
   * @default "spaces"
   */
  readonly scopesFormat?: "spaces" | "commas" | "names"
  /**
   * Reads the granted scopes from the verified claims, if neither `scopesPath` nor `scopesFormat` fits. Strings that
   * are not scopes grant nothing. The function must be pure and must not throw. Default: none, so `scopesPath` and
   * `scopesFormat` apply.
   *
   * **Example** (Granting scopes that are named after groups)
   *
   * ```ts
   * import type { JwtVerifier } from "effect-oauth2"
   *
   * export const readScopes: JwtVerifier.Policy["readScopes"] = ({ groups }) =>
   *   Array.isArray(groups) ? groups.map((group) => `group:${String(group)}`) : []
   * ```
   */
  readonly readScopes?: (claims: Readonly<Record<string, unknown>>) => ReadonlyArray<string>
}
