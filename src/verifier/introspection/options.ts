/** What a verifier by introspection can be told. */
import type * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import type { Policy as ClaimsPolicy } from "../claims/options.ts"

/**
 * What the authorization server must say of a token.
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
  | "requiredClaims"
  | "scopesPath"
> {
  /** The issuer's identifier, compared as an exact string with `iss` where the answer has one. An https URL (http on loopback). */
  readonly issuer: string
  /**
   * This API's identifier, or several: one of them must be in `aud`. `false`: any token of the server will do here, or it tells this API of no others (RFC 7662
   * §4): otherwise a token that was made for another API opens this one.
   */
  readonly audience: string | ReadonlyArray<string> | false
  /** Where the server is asked (`introspection_endpoint`): an https URL (http on loopback). Default: as its metadata says (RFC 8414 §2). */
  readonly endpoint?: string
  /**
   * What tells the server's access tokens from its other tokens, which are active, too: members of the answer of which there is at least one, with a value, or
   * `true` for any. Default: a `token_type` of `Bearer` (or `access_token`), in any case: a refresh token has none.
   *
   * Whatever is named here, a member that says what kind of token it is must not say another one: `token_type`; `token_use` and `typ` and `purpose`, which
   * some servers have. Named with a value, it has to be that one where it is there; named with `true`, it may be anything.
   *
   * A server that says the same of a refresh token as of an access token cannot be used: nothing tells them apart.
   */
  readonly accessTokenClaims?: Readonly<Record<string, string | true>>
  /** Members that the answer must not have. Default: what only ID tokens and logout tokens have (`at_hash`, `c_hash`, `s_hash`, `events`). */
  readonly forbiddenClaims?: ReadonlyArray<string>
  /**
   * The members that name who acts: the first that is there counts. Default: `["sub"]`. For servers that name nobody where a client acts for itself:
   * `["sub", "client_id"]`, if no client can choose an identifier that is a user's (RFC 9068 §5).
   */
  readonly subjectClaims?: readonly [string, ...ReadonlyArray<string>]
}

/**
 * What this API shows the authorization server (RFC 7662 §2.1): the identifier and secret of a client of its own (RFC 6749 §2.3.1).
 *
 * @category models
 * @since 0.1.0
 */
export interface ClientSecret {
  readonly clientId: string
  readonly clientSecret: Redacted.Redacted
  /** How they are sent: in the `Authorization` field, each encoded as RFC 6749 §2.3.1 has it, or in the body. Default: `"client_secret_basic"`. */
  readonly authMethod?: "client_secret_basic" | "client_secret_post"
  readonly credentials?: never
}

/**
 * … or whatever else the server wants to see.
 *
 * @category models
 * @since 0.1.0
 */
export interface OtherCredentials {
  /**
   * Asked for each question. Where it fails nobody can be asked: the answer is `AuthorizationServerUnavailable`, and the log has the error's name.
   *
   * **Example** (A signed assertion, RFC 7523 §2.2)
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
  readonly authMethod?: never
}

/**
 * What is sent with a question. Nothing, where the connection says who asks (RFC 8705).
 *
 * @category models
 * @since 0.1.0
 */
export interface Credentials {
  /** The value of the `Authorization` field. */
  readonly authorization?: string | Redacted.Redacted
  /** Sent in the body, beside the token. */
  readonly parameters?: Readonly<Record<string, string | Redacted.Redacted>>
}
