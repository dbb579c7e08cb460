/**
 * Provides the keys of an issuer (JWK Set, RFC 7517).
 *
 * **Details**
 *
 * | what | bound |
 * |---|---|
 * | a fetched set is fresh | for `Cache-Control: max-age`, 60 seconds to 1 hour; default 10 minutes (`freshFor`) |
 * | background refresh | by the first request after 80 % of that time |
 * | stale keys serve in an outage | for 1 more hour (`staleFor`); then `AuthorizationServerUnavailable` |
 * | a removed key is accepted | while the set is fresh; in an outage, for `staleFor` longer; until `invalidate` |
 * | a new key is unavailable (503) | for at most 30 seconds and a fetch, if other tokens cause searches |
 * | a new key is refused (401) | for as long, and only if its `kid` was searched before the key was published |
 * | a new key with the `kid` of another, or without a `kid`, is refused (401) | for as long |
 * | remembered `kid`s that were searched | 100 |
 * | fetches at a time | 1; an interrupted request does not stop it |
 * | fetches for a `kid` that is not in the set, and after a signature that does not match | 1 in 30 seconds |
 * | an empty set | the last keys serve as in an outage |
 * | fetches while the issuer responds | 2 in 30 seconds |
 * | fetches in an outage | 1 in 5 seconds |
 * | fetches after `invalidate` | 1 in 5 seconds |
 * | duration of a request to the issuer | 5 seconds (`fetchTimeout`) |
 * | requests of a fetch | 1 for the keys; before it 1 for the metadata, or up to 4 if it is at another path |
 * | requests again | 1 at once, if the server closed the connection |
 * | `Retry-After` of a 429 or 503 response | respected from 5 seconds to 1 minute |
 * | a lookup waits | at most 10 seconds; at most 1 second if stale keys can serve it |
 * | the discovered URL is used again without discovery, while the keys get no response | 1 minute |
 * | size of a response | 512 KiB (`maxBytes`) |
 * | redirects | not followed |
 * | URLs | `https` (`http` on loopback, and to the hosts of `httpHosts`) |
 * | hosts that metadata may name | no host of this machine or its link, in any spelling, unless the issuer is there |
 * | keys in a set | 100 |
 * | length of a `kid` | 256 characters |
 *
 * If the issuer is unreachable, lookups of a missing key fail with `AuthorizationServerUnavailable` (503), never with
 * `InvalidToken` (401). This also holds if the issuer is unreachable at start-up. If the issuer responds again, the
 * first lookup fetches the keys as soon as 5 seconds have passed since the last failed fetch. If that fetch got a
 * `Retry-After`, up to 1 minute must have passed.
 *
 * A missing key is refused (401) if a fetch was sent after a token named its `kid`. If no fetch may start yet, the
 * lookup fails with `AuthorizationServerUnavailable` (503), because the issuer may have published the key since. Its
 * `retryAfter` is the rest of the 30 seconds, and its `reason` is `"Unspecified"`. Tokens with invented `kid`s
 * therefore do not cause the refusal of a valid token.
 *
 * A refused key causes one warning. The other keys of the set serve. The warning has one of these reasons:
 *
 * | reason | refused key |
 * |---|---|
 * | `ModulusSize` | RSA key under 2048 or over 8192 bits |
 * | `ModulusFactor` | RSA modulus with a small factor |
 * | `Exponent` | RSA exponent that is even, 1, or over 32 bits |
 * | `Roca` | RSA key with the fingerprint of ROCA (CVE-2017-15361) |
 * | `SmallOrder` | Ed25519 point of small order |
 * | `Invalid` | key that Web Cryptography refuses, such as a point that is not on its curve |
 * | `Purpose` | `use` is not `"sig"`, or `key_ops` lacks `"verify"` |
 * | `Type`, `Curve` | `kty` or `crv` is not supported |
 * | `Algorithm` | `alg` does not fit `kty` and `crv` |
 * | `Symmetric`, `Private` | the secret or the private key is published |
 * | `DuplicateKid` | another key has the same `kid` and an algorithm in common |
 * | `Malformed` | a member has the wrong type, length or encoding, or `key_ops` lists an operation twice |
 * | `CoordinateLength` | `x` or `y` does not have the length of its curve, such as without its leading zeros |
 * | `TooMany` | keys after the hundredth |
 *
 * Two copies of one key count as one key. A key serves only the algorithms that its `kty`, `crv` and `alg` allow.
 *
 * | telemetry | content |
 * |---|---|
 * | span `KeySet.refresh` | one fetch |
 * | gauge `oauth2_key_set_age_seconds` | age of the keys; attribute `issuer` |
 * | counter `oauth2_key_set_fetches_total` | fetches; attributes `issuer`, `outcome` |
 * | warnings, once per outage | the first failed fetch, and the use of stale keys |
 *
 * `outcome` is `success`, `unreachable`, `timeout`, `bad_response` or `issuer_mismatch`.
 *
 * **Gotchas**
 *
 * - The `HttpClient` must not follow redirects, so do not use `HttpClient.followRedirects`. With `FetchHttpClient`, the
 *   layer turns redirects off. Provide your own `RequestInit` to the layer to set its other fields.
 * - The library does not resolve host names. Metadata may name a host whose DNS address is this machine.
 *
 * @since 0.1.0
 */
import type * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { NeedsHttpClient } from "../core/missing.ts"
import * as Layer from "effect/Layer"
import type * as Jose from "jose"
import type { Failure } from "./authorizationServer/failure.ts"
import { makeReader, type Reader } from "./authorizationServer/http.ts"
import { discover } from "./authorizationServer/metadata.ts"
import * as duration from "../core/duration.ts"
import * as cache from "./keys/keyCache.ts"
import type { FreshnessBounds } from "./keys/cacheControl.ts"
import { DiscoveredUrl } from "./keys/discoveredUrl.ts"
import * as Keys from "./keys/keys.ts"
import type { CacheOptions, KeySelector } from "./keys/options.ts"
import { fetchKeys, type Published } from "./keys/published.ts"
import * as telemetry from "./keys/telemetry.ts"
import { refuseOption } from "../core/refuseOption.ts"
import { requireHttpHosts, requireIssuer, requireSecureUrl } from "../core/url.ts"
import type { AuthorizationServerUnavailable, ConfigurationError, InvalidToken } from "../core/SecurityError.ts"
import { ownProperties } from "../core/lib/ownProperties.ts"

export type { CacheOptions, KeySelector } from "./keys/options.ts"

/**
 * Service that finds the public keys of an issuer.
 *
 * **Example** (Writing a readiness probe)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { HttpServerResponse } from "effect/http"
 * import { KeySet } from "effect-oauth2"
 *
 * export const ready = KeySet.KeySet.use(({ refresh }) => refresh).pipe(
 *   Effect.as(HttpServerResponse.empty()),
 *   Effect.catch(() => Effect.succeed(HttpServerResponse.empty({ status: 503 })))
 * )
 * ```
 *
 * @category services
 * @since 0.1.0
 */
export class KeySet extends Context.Service<
  KeySet,
  {
    /**
     * Returns the key with the header's `kid`, or without a `kid` every key that fits `alg`. The result is never empty.
     *
     * | failure | cause |
     * |---|---|
     * | `InvalidToken` | the issuer has no such key |
     * | `AuthorizationServerUnavailable` | the issuer is unavailable, or no fetch has looked for the key yet |
     *
     * Pass the keys in `mismatched` if the signature of the token does not match them. If the set has no other key for
     * the header, `find` then fetches the set as for a missing key, and returns what it has. The keys may be the same.
     */
    readonly find: (
      header: KeySelector,
      mismatched?: ReadonlyArray<CryptoKey>
    ) => Effect.Effect<ReadonlyArray<CryptoKey>, InvalidToken | AuthorizationServerUnavailable>
    /**
     * Returns the matching keys synchronously. Returns an empty array if `find` would have to wait, fail, fetch or log.
     * Call `find` in that case. `now` is the time of `clock`, in milliseconds since the epoch.
     *
     * A cached token is accepted while its key is among the keys that `findFetched` or `find` returns.
     */
    readonly findFetched: (header: KeySelector, clock: Clock.Clock, now: number) => ReadonlyArray<CryptoKey>
    /**
     * Fetches the keys unless they are fresh. Run it at start-up if the program must not start without keys. Provide the
     * layer of the HTTP server first, so that the server does not listen before the keys are fetched.
     *
     * On Cloudflare Workers (`RequestIsolation`), it dies with a `ConfigurationError` outside of an HTTP request, because
     * a fetch at start-up is impossible there. The first request that needs keys fetches them.
     */
    readonly refresh: Effect.Effect<void, AuthorizationServerUnavailable>
    /**
     * Forgets the fetched keys, and fetches them anew at the next lookup. Use it if a private key is compromised: the
     * issuer first removes the key from its set, then you run `invalidate` in every process.
     *
     * It also has these effects:
     *
     * - Every cached token is verified again if its key is still in the set, and refused if not.
     * - Stale keys are lost. While the issuer is unreachable, every token gets `AuthorizationServerUnavailable`.
     * - The fetches after `invalidate` start at least 5 seconds apart, whatever its callers do. Lookups in between fail
     *   with `AuthorizationServerUnavailable`.
     *
     * The caches of the issuer or of a proxy may still hold the removed key. `invalidate` does not change fixed keys.
     */
    readonly invalidate: Effect.Effect<void>
  }
>()("effect-oauth2/KeySet") {}

/**
 * Creates a `KeySet` from fixed keys.
 *
 * **When to use**
 *
 * Use for issuers without a key set endpoint, and in tests.
 *
 * **Details**
 *
 * An unusable key causes a warning. If every key is unusable, the layer fails with a `ConfigurationError` that lists
 * the reasons.
 *
 * **Example** (Configuring fixed keys)
 *
 * ```ts
 * import { KeySet } from "effect-oauth2"
 *
 * export const Keys = KeySet.layerStatic({
 *   keys: [{ kty: "OKP", crv: "Ed25519", x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", kid: "2026-11" }]
 * })
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerStatic = (keys: {
  readonly keys: ReadonlyArray<Jose.JWK>
}): Layer.Layer<KeySet, ConfigurationError> =>
  Layer.effect(
    KeySet,
    Effect.gen(function* () {
      const given = yield* Keys.load(ownProperties(keys).keys, undefined)
      const refused = [...given.refused.values()]
      if (refused.length > 0 && given.byAlgorithm.size === 0) {
        const why = refused.map(
          ({ kid, kty, reason }) => `${reason} (kty ${telemetry.label(kty)}, kid ${telemetry.label(kid)})`
        )
        return yield* refuseOption(
          "keys",
          `must contain a usable public key for signatures (JWK, RFC 7517), but each key is refused: ${why.join(", ")}`
        )
      }
      if (given.byAlgorithm.size === 0) yield* telemetry.reportNoKeys("(given keys)")
      yield* Effect.forEach(refused, (key) => telemetry.reportRefused("(given keys)", key), { discard: true })
      return KeySet.of({
        find: (header) => {
          const found = Keys.select(given, header)
          return found.length > 0 ? Effect.succeed(found) : Effect.fail(cache.unknownKey)
        },
        findFetched: (header) => Keys.select(given, header),
        refresh: Effect.void,
        invalidate: Effect.void
      })
    })
  )

/**
 * Creates a `KeySet` that finds the keys of an issuer by its metadata.
 *
 * **Details**
 *
 * OpenID Connect Discovery 1.0 §4 is tried first, then RFC 8414 §3. The `issuer` in the metadata must equal the option
 * exactly (RFC 8414 §3.3). An invalid option fails the layer with a `ConfigurationError`.
 *
 * **Gotchas**
 *
 * If you fetch the keys at start-up, provide the layer of the HTTP server first, before this layer. The server is then
 * built last. A server that listens while the keys are fetched leaves requests without a response.
 *
 * **Example** (Fetching the keys at start-up)
 *
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { FetchHttpClient } from "effect/http"
 * import { KeySet } from "effect-oauth2"
 *
 * export const Keys = KeySet.layerDiscovery({ issuer: "https://idp.example.com", staleFor: "30 minutes" }).pipe(
 *   Layer.tap((context) => Effect.flatMap(KeySet.KeySet, (keys) => keys.refresh).pipe(Effect.provide(context))),
 *   Layer.provide(FetchHttpClient.layer)
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerDiscovery = (
  options: CacheOptions & {
    /** The issuer's identifier, an `https` URL (`http` on loopback) without query and fragment. */
    readonly issuer: string
  }
): Layer.Layer<KeySet, ConfigurationError, NeedsHttpClient> =>
  Layer.effect(
    KeySet,
    Effect.gen(function* () {
      const own = ownProperties(options)
      const httpHosts = yield* requireHttpHosts(own.httpHosts)
      const issuer = yield* requireIssuer("issuer", own.issuer, httpHosts)
      if (own.issuer.includes("{")) {
        return yield* refuseOption(
          "issuer",
          "must not be a pattern, because a pattern has no metadata. Use KeySet.layerRemote with the URL of the keys that all tenants share"
        )
      }
      const discovered = new DiscoveredUrl()
      return yield* make(own, own.issuer, (reader, bounds) =>
        Effect.flatMap(discovered.getOr(discover(reader, issuer, own.issuer, "jwks_uri", httpHosts)), (url) =>
          discovered.forget(fetchKeys(reader, url, bounds))
        )
      )
    })
  )

/**
 * Creates a `KeySet` that fetches the keys from a fixed URL (`jwks_uri`).
 *
 * **When to use**
 *
 * Use for issuers without metadata.
 *
 * **Details**
 *
 * An invalid option fails the layer with a `ConfigurationError`.
 *
 * **Example** (Fetching keys from a fixed URL)
 *
 * ```ts
 * import { Layer } from "effect"
 * import { FetchHttpClient } from "effect/http"
 * import { KeySet } from "effect-oauth2"
 *
 * export const Keys = KeySet.layerRemote({ url: "https://idp.example.com/keys.json" }).pipe(
 *   Layer.provide(FetchHttpClient.layer)
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerRemote = (
  options: CacheOptions & {
    /** URL of the JWK Set, `https` (`http` on loopback). Errors, logs and metrics omit its query. */
    readonly url: string
  }
): Layer.Layer<KeySet, ConfigurationError, NeedsHttpClient> =>
  Layer.effect(
    KeySet,
    Effect.gen(function* () {
      const own = ownProperties(options)
      const url = yield* requireSecureUrl("url", own.url, yield* requireHttpHosts(own.httpHosts))
      return yield* make(own, url.origin + url.pathname, (reader, bounds) => fetchKeys(reader, url, bounds))
    })
  )

const second = 1000
const minute = 60 * second
const hour = 60 * minute

const requireWithin = (option: string, value: number, least: number, most: number, words: string) =>
  value >= least && value <= most ? Effect.succeed(value) : refuseOption(option, `must be between ${words}`)

const make = Effect.fnUntraced(function* (
  options: CacheOptions,
  name: string,
  fetch: (reader: Reader, bounds: FreshnessBounds) => Effect.Effect<Published, Failure>
) {
  const freshFor = duration.toMillis(options.freshFor ?? "10 minutes")
  const fallback = yield* requireWithin(
    "freshFor",
    freshFor,
    minute,
    hour,
    '60 seconds and 1 hour, such as "10 minutes"'
  )
  const staleFor = duration.toMillis(options.staleFor ?? hour)
  yield* requireWithin("staleFor", staleFor, 0, 24 * hour, '0 and 24 hours, such as "1 hour"')
  const maxBytes = options.maxBytes ?? 512 * 1024
  yield* requireWithin("maxBytes", maxBytes, 1024, 16 * 1024 * 1024, "1024 and 16777216 bytes")
  const fetchTimeout = duration.toMillis(options.fetchTimeout ?? 5 * second)
  yield* requireWithin("fetchTimeout", fetchTimeout, second, 30 * second, '1 and 30 seconds, such as "5 seconds"')
  const reader = yield* makeReader(maxBytes)
  const bounds = { min: minute, max: hour, fallback }
  const cached = yield* cache.make({
    issuer: name,
    reader,
    fetch: (reader) => fetch(reader, bounds),
    fetchTimeout,
    staleFor
  })
  return KeySet.of(cached)
})
