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
 * | questions at a time | 64, one for each token; the others wait |
 * | a question, with all waiting | 5 seconds; 512 KiB an answer; no redirects; https (http on loopback) |
 * | questions while the server cannot be reached, or is overloaded (429, 502 to 504) | none for 1 second: answered `AuthorizationServerUnavailable` |
 *
 * An outage is never a rejection: where the server cannot be asked, or refuses this API's own credentials, the answer is
 * `AuthorizationServerUnavailable`. Each question is the span `TokenIntrospection.verify` where a tracer listens, and counted by its outcome in
 * `oauth2_token_verifications_total`. The first failure of an outage is a warning, which says what to look at. No token and no secret is in any of them.
 *
 * **Gotchas**
 *
 * Give it an `HttpClient` that does not follow redirects: not `HttpClient.followRedirects`. With `FetchHttpClient` they are switched off here.
 *
 * @since 0.1.0
 */
import type * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import type * as HttpClient from "effect/http/HttpClient"
import type { HttpClientRequest } from "effect/http/HttpClientRequest"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import * as verifier from "./internal/introspection/verifier.ts"
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
  | "forbiddenClaims"
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
   * What tells the server's access tokens from its refresh tokens, which are active, too: members of the answer of which there is at least one, with a value, or
   * `true` for any. Default: a `token_type` of `Bearer`, in any case. A `token_type` of another kind, and a `token_use` that is none of an access token's, are refused
   * unless they are named here.
   */
  readonly accessTokenClaims?: Readonly<Record<string, string | true>>
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
  /** How they are sent: in the `Authorization` field, or in the body. Default: `"client_secret_basic"`. */
  readonly authMethod?: "client_secret_basic" | "client_secret_post"
}

/**
 * … or whatever else the server wants to see, such as a bearer token or a signed assertion.
 *
 * @category models
 * @since 0.1.0
 */
export interface Authenticate {
  /**
   * Puts it into each question.
   *
   * **Example** (A bearer token of the API)
   *
   * ```ts
   * import { Effect, type Redacted } from "effect"
   * import { HttpClientRequest } from "effect/http"
   * import type { TokenIntrospection } from "effect-oauth2"
   *
   * export const authenticate = (token: Redacted.Redacted): TokenIntrospection.Authenticate["authenticate"] =>
   *   (request) => Effect.succeed(HttpClientRequest.bearerToken(request, token))
   * ```
   */
  readonly authenticate: (request: HttpClientRequest) => Effect.Effect<HttpClientRequest>
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
 * import { Config, Effect, Layer } from "effect"
 * import { HttpClientRequest } from "effect/http"
 * import { TokenIntrospection } from "effect-oauth2"
 *
 * export const Verifier = Layer.unwrap(
 *   Effect.map(Config.Redacted("INTROSPECTION_TOKEN"), (token) =>
 *     TokenIntrospection.layer({
 *       issuer: "https://idp.example.com",
 *       audience: "https://api.example.com",
 *       endpoint: "https://idp.example.com/oauth2/introspect",
 *       authenticate: (request) => Effect.succeed(HttpClientRequest.bearerToken(request, token))
 *     })
 *   )
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options: Policy & (ClientSecret | Authenticate) & TokenCaching
): Layer.Layer<TokenVerifier, ConfigurationError, HttpClient.HttpClient> =>
  Layer.effect(TokenVerifier, verifier.make(options))

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
