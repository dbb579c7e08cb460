/**
 * The issuer's keys (JWK Set, RFC 7517): found by discovery, fetched over `HttpClient`, checked, kept, and looked up by a token's header.
 *
 * **Details**
 *
 * | what | bound |
 * |---|---|
 * | a fetched set is fresh | as `Cache-Control: max-age` says, within 60 seconds and 1 hour; 10 minutes where it says nothing (`freshFor`) |
 * | it is fetched ahead of expiry, in the background | by the first request after 80 % of that time |
 * | it serves in an outage, after it was fresh | 1 hour (`staleFor`); then `AuthorizationServerUnavailable` |
 * | a key that the issuer removed is accepted | while the set is fresh; in an outage, `staleFor` longer |
 * | a new key is refused | at most 30 seconds and a fetch, whatever else is asked for meanwhile |
 * | fetches at a time | 1, whatever asks for it; a request that is interrupted does not stop it |
 * | fetches for a `kid` that is not in the set | 1 in 30 seconds |
 * | fetches while the issuer answers | 2 in 30 seconds |
 * | fetches in an outage | 1 in 5 seconds |
 * | a fetch (of metadata and keys) | 5 seconds; 512 KiB an answer (`maxBytes`); no redirects; https (http on loopback) |
 * | the host that metadata may name | not this machine, and not a link-local address, in any spelling (unless the issuer is as near) |
 * | keys in a set, length of a `kid` | 100, 256 characters |
 *
 * An outage is never a rejection: whether or not a key is known, who could not be asked has not refused it. Without an issuer at the start
 * requests are answered `AuthorizationServerUnavailable`, and as soon as it answers, they are served.
 *
 * A key is refused, with one warning in the log, and the others serve, where it is an RSA key under 2048 or over 8192 bits, or with a small
 * factor, an exponent that is even, 1 or over 32 bits, or the fingerprint of ROCA (CVE-2017-15361); where its point is not on its curve, or
 * of small order; where `use` is not `"sig"`, or `key_ops` lacks `"verify"`; where `alg` does not fit `kty` and `crv`; where it is symmetric,
 * or its private half is published; and where another key of the same set has its `kid` and an algorithm in common (the same key twice is
 * one key). A key serves only the algorithms that its `kty`, `crv` and `alg` allow.
 *
 * A fetch is the span `KeySet.refresh`. The metrics are `oauth2_key_set_age_seconds` (gauge; `issuer`) and `oauth2_key_set_fetches_total`
 * (counter; `issuer`, `outcome`: `success`, `unreachable`, `timeout`, `bad_response`, `issuer_mismatch`). The first failed fetch of an outage,
 * and stale keys that serve, are warnings, once an outage.
 *
 * **Gotchas**
 *
 * Give it an `HttpClient` that does not follow redirects: not `HttpClient.followRedirects`. With `FetchHttpClient` redirects are switched off
 * here, through its `RequestInit`; other fields of a `RequestInit` count where the layer is given one itself.
 *
 * Metadata may name any host name. The library does not resolve names, so it does not notice a name whose address in
 * DNS is one of this machine.
 *
 * @since 0.1.0
 */
import type * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import type * as Jose from "jose"
import { makeReader, type Reader, statusIsBad, type Unavailable } from "./authorizationServer/http.ts"
import { discover } from "./authorizationServer/metadata.ts"
import * as duration from "../core/duration.ts"
import * as cache from "./keys/keyCache.ts"
import type { Bounds } from "./keys/cacheControl.ts"
import * as Keys from "./keys/keys.ts"
import type { CacheOptions, KeySelector } from "./keys/options.ts"
import { fetchKeys, type Published } from "./keys/published.ts"
import * as telemetry from "./keys/telemetry.ts"
import { refuseSetting } from "../core/setting.ts"
import { requireIssuer, requireSecureUrl } from "../core/url.ts"
import type { AuthorizationServerUnavailable, ConfigurationError, InvalidToken } from "../core/SecurityError.ts"
import { ownProperties } from "../core/lib/ownProperties.ts"

export type { CacheOptions, KeySelector } from "./keys/options.ts"

/**
 * The keys that an issuer signs with.
 *
 * **Example** (A readiness probe)
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
     * The keys that may have signed a token with this header, never none: one by its `kid`, or each that fits the algorithm. `InvalidToken` where
     * the issuer has no such key, `AuthorizationServerUnavailable` where it could not be asked.
     */
    readonly find: (
      header: KeySelector
    ) => Effect.Effect<ReadonlyArray<CryptoKey>, InvalidToken | AuthorizationServerUnavailable>
    /**
     * What `find` would give at once, without an effect. None where it would wait, fail, or have to refresh or report something: then `find` says what is
     * so. A verified token that is kept counts only while its key is among these. `now` is what the clock says, in milliseconds since the epoch.
     */
    readonly known: (header: KeySelector, clock: Clock.Clock, now: number) => ReadonlyArray<CryptoKey>
    /** Fetches the keys unless they are fresh: a service that wants to fail at start-up rather than answer 503 runs it first. */
    readonly refresh: Effect.Effect<void, AuthorizationServerUnavailable>
  }
>()("effect-oauth2/KeySet") {}

/**
 * Keys that are given, for issuers without a key set endpoint and for tests. They never change. A key that cannot be used is refused as a
 * published one is; where that is so of each, the layer fails and says why.
 *
 * **Example** (Given keys)
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
        return yield* refuseSetting(
          "keys",
          `must hold a public key for signatures (JWK, RFC 7517), and each given one is refused: ${why.join(", ")}`
        )
      }
      if (given.byAlgorithm.size === 0) yield* telemetry.reportNoKeys("(given keys)")
      yield* Effect.forEach(refused, (key) => telemetry.reportRefused("(given keys)", key), { discard: true })
      return KeySet.of({
        find: (header) => {
          const found = Keys.select(given, header)
          return found.length > 0 ? Effect.succeed(found) : Effect.fail(cache.unknownKey)
        },
        known: (header) => Keys.select(given, header),
        refresh: Effect.void
      })
    })
  )

/**
 * The keys of an issuer, found by its metadata: OpenID Connect Discovery 1.0 §4, else RFC 8414 §3. The metadata's `issuer` must be
 * exactly the given one (RFC 8414 §3.3).
 *
 * **Example** (An issuer whose keys are needed at the start)
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
    /** The issuer's identifier: an https URL (http on loopback) without query and fragment. */
    readonly issuer: string
  }
): Layer.Layer<KeySet, ConfigurationError, HttpClient.HttpClient> =>
  Layer.effect(
    KeySet,
    Effect.gen(function* () {
      const own = ownProperties(options)
      const issuer = yield* requireIssuer("issuer", own.issuer)
      return yield* make(own, own.issuer, (reader, bounds) =>
        Effect.flatMap(Effect.mapError(discover(reader, issuer, own.issuer, "jwks_uri"), statusIsBad), (url) =>
          fetchKeys(reader, url, bounds)
        )
      )
    })
  )

/**
 * The keys at a URL (`jwks_uri`), for issuers without metadata.
 *
 * **Example** (A key set at a known address)
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
    /** Where the JWK Set is: an https URL (http on loopback). Its query is not in errors, logs and metrics. */
    readonly url: string
  }
): Layer.Layer<KeySet, ConfigurationError, HttpClient.HttpClient> =>
  Layer.effect(
    KeySet,
    Effect.gen(function* () {
      const own = ownProperties(options)
      const url = yield* requireSecureUrl("url", own.url)
      return yield* make(own, url.origin + url.pathname, (reader, bounds) => fetchKeys(reader, url, bounds))
    })
  )

const minute = 60_000
const hour = 60 * minute

const within = (setting: string, value: number, least: number, most: number, words: string) =>
  value >= least && value <= most ? Effect.succeed(value) : refuseSetting(setting, `must be between ${words}`)

const make = Effect.fnUntraced(function* (
  options: CacheOptions,
  name: string,
  fetch: (reader: Reader, bounds: Bounds) => Effect.Effect<Published, Unavailable>
) {
  const freshFor = duration.toMillis(options.freshFor ?? "10 minutes")
  const otherwise = yield* within("freshFor", freshFor, minute, hour, '60 seconds and 1 hour, such as "10 minutes"')
  const staleFor = duration.toMillis(options.staleFor ?? hour)
  yield* within("staleFor", staleFor, 0, 24 * hour, '0 and 24 hours, such as "1 hour"')
  const maxBytes = options.maxBytes ?? 512 * 1024
  yield* within("maxBytes", maxBytes, 1024, 16 * 1024 * 1024, "1024 and 16777216 bytes")
  const reader = yield* makeReader(maxBytes)
  const kept = yield* cache.make({
    issuer: name,
    fetch: fetch(reader, { least: minute, most: hour, otherwise }),
    staleFor
  })
  return KeySet.of(kept)
})
