/**
 * Verifies opaque tokens, and any others, by asking the authorization server about them (OAuth 2.0 Token Introspection, RFC 7662).
 *
 * A token is accepted where the server says that it is active and an access token, of exactly this issuer, for this audience, with a subject, and not
 * expired. What the server does not say is not assumed: where it names no audience, `audience: false` takes that on purpose. All time is read from
 * Effect's `Clock`.
 *
 * **Details**
 *
 * | what | bound |
 * |---|---|
 * | a token that was accepted is not asked about again | as `TokenVerifier` says: for 1 minute (`cache.timeToLive`), never from its `exp` on |
 * | a token that was revoked is accepted | for as long, in each process that has it; `TokenVerifier.invalidate` forgets it in one |
 * | a token without `exp` | counts for 1 minute, and is then asked about again |
 * | introspection requests at a time | 64; 1000 wait for their turn; with the cache one for each token |
 * | an introspection request, with the wait for its turn | 5 seconds; 512 KiB an answer; no redirects; https (http on loopback) |
 * | a token without an answer (no response, 429, 502, 503, 504) | not asked about again for 1 second, or for `Retry-After` |
 * | a token without a response, if 64 are in progress and others wait | ends after 4 times the usual response time, at least 250 ms |
 * | no token was answered for 3 seconds, and one has failed | 4 probes at a time; a request waits for 1 second at most |
 * | every token was refused with `Retry-After` for 30 seconds | no introspection request before that time |
 * | `Retry-After` (429, 503) | 60 seconds at most |
 *
 * The failure of one token does not affect other tokens: the server, or a gateway in front of it, may drop every token of one form. The first answer ends an
 * outage.
 *
 * An outage is never a rejection: where the server cannot be asked, or refuses this API's own credentials, the answer is
 * `AuthorizationServerUnavailable`. Each verification is the span `TokenIntrospection.verify` where a tracer listens, and counted by its outcome in
 * `oauth2_token_verifications_total`. Why a question failed is a warning that says what to look at, each kind once in ten minutes. No token and no secret is in
 * any of them.
 *
 * **Gotchas**
 *
 * Give it an `HttpClient` that does not follow redirects: not `HttpClient.followRedirects`. With `FetchHttpClient` they are switched off here.
 *
 * A new token cannot be told from an attacker's before the server has answered. Limit the requests of a client in front of the API if the server does not
 * respond to some tokens at all. About 200 such tokens a second are tolerated while genuine tokens are answered every second, and 10 a second while no token
 * is answered. Beyond these limits, genuine tokens get 503, too.
 *
 * @since 0.1.0
 */
import type * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import type * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import * as verifier from "./internal/introspection/verifier.ts"
import { ownProperties } from "./internal/ownProperties.ts"
import type * as JwtVerifier from "./JwtVerifier.ts"
import type { ConfigurationError } from "./SecurityError.ts"
import { type TokenCaching, TokenVerifier } from "./TokenVerifier.ts"

/**
 * What the authorization server must say of a token.
 *
 * @category models
 * @since 0.1.0
 */
export interface Policy extends Pick<
  JwtVerifier.Policy,
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

/**
 * Verifies the tokens of an authorization server by asking it about each.
 *
 * **Example** (Opaque tokens)
 *
 * ```ts
 * import { Layer, Redacted } from "effect"
 * import { FetchHttpClient } from "effect/http"
 * import { TokenIntrospection } from "effect-oauth2"
 *
 * export const Verifier = TokenIntrospection.layer({
 *   issuer: "https://idp.example.com",
 *   audience: "https://api.example.com",
 *   clientId: "items-api",
 *   clientSecret: Redacted.make("the API's own secret"),
 *   cache: { timeToLive: "10 seconds" }
 * }).pipe(Layer.provide(FetchHttpClient.layer))
 * ```
 *
 * **Example** (A server that wants a bearer token of the API)
 *
 * ```ts
 * import { Config, Effect, Layer, Redacted } from "effect"
 * import { TokenIntrospection } from "effect-oauth2"
 *
 * export const Verifier = Layer.unwrap(
 *   Effect.map(Config.Redacted("INTROSPECTION_TOKEN"), (token) =>
 *     TokenIntrospection.layer({
 *       issuer: "https://idp.example.com",
 *       audience: "https://api.example.com",
 *       endpoint: "https://idp.example.com/oauth2/introspect",
 *       credentials: Effect.succeed({ authorization: Redacted.make(`Bearer ${Redacted.value(token)}`) })
 *     })
 *   )
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options: Policy & (ClientSecret | OtherCredentials) & TokenCaching
): Layer.Layer<TokenVerifier, ConfigurationError, HttpClient.HttpClient> =>
  Layer.effect(TokenVerifier, verifier.make(ownProperties(options)))

/**
 * The same with every option from Effect's `Config`.
 *
 * **Example** (Settings from the environment)
 *
 * ```ts
 * import { Config } from "effect"
 * import { TokenIntrospection } from "effect-oauth2"
 *
 * export const Verifier = TokenIntrospection.layerConfig({
 *   issuer: Config.String("ISSUER"),
 *   audience: Config.String("AUDIENCE"),
 *   clientId: Config.String("CLIENT_ID"),
 *   clientSecret: Config.Redacted("CLIENT_SECRET")
 * })
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig = (
  options: Config.Wrap<Policy & ClientSecret & TokenCaching>
): Layer.Layer<TokenVerifier, ConfigurationError | Config.ConfigError, HttpClient.HttpClient> =>
  // Loaded where it is asked for: it takes a tenth of the time in which the library is loaded.
  Layer.unwrap(
    Effect.flatMap(
      Effect.promise(() => import("effect/Config")),
      ({ unwrap }) => Effect.map(unwrap(options), layer)
    )
  )
