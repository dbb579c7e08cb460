/**
 * Verifies access tokens by OAuth 2.0 Token Introspection (RFC 7662).
 *
 * **When to use**
 *
 * Use when your authorization server issues opaque tokens, or when revoked tokens must be refused before they expire.
 *
 * **Details**
 *
 * A token is accepted if the server reports all of these facts:
 *
 * - The token is active and is an access token.
 * - Its `iss`, if the response has one, is exactly this issuer.
 * - It is for this audience. If the server reports no audience, set `audience: false`.
 * - It has a subject, and it has not expired. Effect's `Clock` is the only source of time.
 *
 * | failure | cause |
 * |---|---|
 * | `ConfigurationError`, at start-up | an option has an invalid value; the message names the option |
 * | `InvalidToken` (401) | the token failed a check |
 * | `AuthorizationServerUnavailable` (503) | the server is unreachable, refuses your API's credentials, or sends an invalid response |
 *
 * | situation | bound |
 * |---|---|
 * | a cached token needs no request | 1 minute (`cache.timeToLive`), never past its `exp` |
 * | a revoked token is accepted | as long as it is cached; `TokenVerifier.invalidate` removes it from the cache of one process |
 * | a token without `exp` | valid for 1 minute, then the next introspection request |
 * | introspection requests at a time | 64; 1000 more wait; with the cache, one for each token |
 * | an introspection request, including the wait | 5 seconds; responses of 512 KiB; no redirects; https (http on loopback) |
 * | a token without an answer (no response, 429, 502, 503, 504) | no new request for 1 second, or for `Retry-After` |
 * | a token without a response, if 64 are in progress and others wait | ends after 4 times the usual response time, at least 250 ms |
 * | no token was answered for 3 seconds, and one has failed | 4 probes at a time; a request waits for 1 second at most |
 * | every token was refused with `Retry-After` for 30 seconds | no introspection request before that time |
 * | `Retry-After` (429, 503) | 60 seconds at most |
 *
 * The failure of one token does not affect other tokens, because a server or gateway may drop every token of one form.
 * The first answer ends an outage.
 *
 * Each verification creates a `TokenIntrospection.verify` span if a tracer listens. The counter
 * `oauth2_token_verifications_total` counts verifications by outcome. A failed introspection request logs a warning,
 * once in 10 minutes for each kind of failure. Spans, counters and logs contain no token and no secret.
 *
 * **Gotchas**
 *
 * - Do not provide an `HttpClient` with `HttpClient.followRedirects`. This module turns redirects off for
 *   `FetchHttpClient`.
 * - Only the authorization server can distinguish a new token from an invented token. Limit the requests of each client
 *   in front of your API if the server does not respond to some tokens at all. The verifier tolerates about 200 such
 *   tokens a second if the authorization server answers for genuine tokens every second. If no token is answered, it
 *   tolerates 10 a second. Beyond these limits, genuine tokens get 503, too.
 *
 * @since 0.1.0
 */
import type * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { NeedsHttpClient } from "../core/missing.ts"
import * as Layer from "effect/Layer"
import type { TokenCaching } from "./cache/options.ts"
import type { ClientKey, ClientSecret, OtherCredentials, Policy } from "./introspection/options.ts"
import * as verifier from "./introspection/verify.ts"
import { refuseOption } from "../core/refuseOption.ts"
import type { ConfigurationError } from "../core/SecurityError.ts"
import * as KeySet from "./KeySet.ts"
import { TokenVerifier } from "./TokenVerifier.ts"
import { runAll } from "../core/effect/missingVariable.ts"
import { ownProperties } from "../core/lib/ownProperties.ts"

export type { ClientKey, ClientSecret, Credentials, OtherCredentials, Policy } from "./introspection/options.ts"

/**
 * Creates a `TokenVerifier` that sends an introspection request for each uncached token.
 *
 * **Example** (Verifying opaque tokens)
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
 * **Example** (Authenticating with a bearer token)
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
 * **Example** (Authenticating with a private key, and verifying signed responses)
 *
 * ```ts
 * import { TokenIntrospection } from "effect-oauth2"
 *
 * export const verifierWith = (clientKey: CryptoKey) =>
 *   TokenIntrospection.layer({
 *     issuer: "https://idp.example.com",
 *     audience: "https://api.example.com",
 *     clientId: "items-api",
 *     clientKey,
 *     clientKeyId: "2026-11",
 *     signedResponses: true
 *   })
 * ```
 *
 * @see {@link layerConfig} for options from Effect's `Config`
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options: Policy & (ClientSecret | ClientKey | OtherCredentials) & TokenCaching
): Layer.Layer<TokenVerifier, ConfigurationError, NeedsHttpClient> =>
  Layer.effect(
    TokenVerifier,
    Effect.gen(function* () {
      const own = ownProperties(options)
      return yield* verifier.make(own, yield* signingKeysOf(own))
    })
  )

/** Finds the keys of the issuer if its responses are signed. */
const signingKeysOf = Effect.fnUntraced(function* ({
  httpHosts,
  issuer,
  signedResponses = false
}: Pick<Policy, "httpHosts" | "issuer" | "signedResponses">) {
  if (typeof signedResponses !== "boolean") return yield* refuseOption("signedResponses", "must be true or false")
  if (!signedResponses) return
  const options = httpHosts === undefined ? { issuer } : { issuer, httpHosts }
  // Not memoized, because each verifier needs the keys of its own issuer.
  return Context.get(yield* Layer.build(Layer.fresh(KeySet.layerDiscovery(options))), KeySet.KeySet)
})

/**
 * Creates a `TokenVerifier` like `layer`, with every option from Effect's `Config`. A missing option fails with a
 * `ConfigError`.
 *
 * **Example** (Reading options from the environment)
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
 * @see {@link layer} for options as values
 * @category layers
 * @since 0.1.0
 */
export const layerConfig = (
  options: Config.Wrap<Policy & ClientSecret & TokenCaching>
): Layer.Layer<TokenVerifier, ConfigurationError | Config.ConfigError, NeedsHttpClient> =>
  Layer.unwrap(Effect.map(runAll(options), layer))
