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
import type { TokenCaching } from "./cache/options.ts"
import type { ClientSecret, OtherCredentials, Policy } from "./introspection/options.ts"
import * as verifier from "./introspection/verify.ts"
import type { ConfigurationError } from "../core/SecurityError.ts"
import { TokenVerifier } from "./TokenVerifier.ts"
import { ownProperties } from "../core/lib/ownProperties.ts"

export type { ClientSecret, Credentials, OtherCredentials, Policy } from "./introspection/options.ts"

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
