/**
 * The issuer's keys (JWK Set, RFC 7517): found by discovery, fetched over `HttpClient`, kept, and looked up by a token's header.
 *
 * **Details**
 *
 * A fetched set serves for 10 minutes. One fetch is under way at a time, whatever asks for it. A `kid` that is not in the set causes a new
 * fetch, at most one in 30 seconds. A failed fetch is not repeated for 5 seconds; meanwhile the known keys serve, up to an hour after
 * they were fetched. Then, or where there are none yet, the answer is `AuthorizationServerUnavailable`: an outage is not a rejection.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as HttpClient from "effect/http/HttpClient"
import type { HttpClientError } from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Jose from "jose"
import { requireIssuer, requireSecureUrl } from "./internal/url.ts"
import { AuthorizationServerUnavailable, type ConfigurationError, InvalidToken } from "./SecurityError.ts"

const freshFor = Duration.minutes(10)
const staleFor = Duration.hours(1)
const failureCoolDown = Duration.seconds(5)
const unknownKeyCoolDown = Duration.seconds(30)
const fetchTimeout = Duration.seconds(5)

/**
 * The parameters of a token's protected header that select its key (RFC 7515 §4.1).
 *
 * @category models
 * @since 0.1.0
 */
export interface KeySelector {
  readonly alg: string
  readonly kid?: string
}

/**
 * The keys that an issuer signs with.
 *
 * @category services
 * @since 0.1.0
 */
export class KeySet extends Context.Service<
  KeySet,
  {
    /** The keys that may have signed a token with this header, never none: one by its `kid`, or each that fits the algorithm. */
    readonly find: (
      header: KeySelector
    ) => Effect.Effect<ReadonlyArray<CryptoKey>, InvalidToken | AuthorizationServerUnavailable>
    /** Fetches the keys unless they are fresh: a service that wants to fail at start-up rather than answer 503 runs it first. */
    readonly refresh: Effect.Effect<void, AuthorizationServerUnavailable>
  }
>()("effect-oauth2/KeySet") {}

type Selector = (header: KeySelector) => Effect.Effect<ReadonlyArray<CryptoKey>>

// jose does the selection: `kty` by algorithm, then `kid`, `alg`, `use`, `key_ops` and curve.
const selector = (keys: Jose.JSONWebKeySet): Selector => {
  const local = Jose.createLocalJWKSet(keys)
  return (header) =>
    Effect.tryPromise({
      try: (): Promise<ReadonlyArray<CryptoKey>> =>
        local({ ...header }).then(
          (key) => [key],
          (error: unknown) => (error instanceof Jose.errors.JWKSMultipleMatchingKeys ? collect(error) : [])
        ),
      catch: () => undefined
    }).pipe(Effect.orElseSucceed((): ReadonlyArray<CryptoKey> => []))
}

const collect = (keys: AsyncIterable<CryptoKey>): Promise<ReadonlyArray<CryptoKey>> => Array.fromAsync(keys)

const unknownKey = new InvalidToken({ reason: "UnknownKey" })

/**
 * Keys that are given, for issuers without a key set endpoint and for tests. They never change.
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
export const layerStatic = (keys: { readonly keys: ReadonlyArray<Jose.JWK> }): Layer.Layer<KeySet> =>
  Layer.effect(
    KeySet,
    Effect.sync(() => {
      const select = selector({ keys: [...keys.keys] })
      return KeySet.of({
        find: (header) =>
          Effect.flatMap(select(header), (found) =>
            found.length > 0 ? Effect.succeed(found) : Effect.fail(unknownKey)
          ),
        refresh: Effect.void
      })
    })
  )

/**
 * The keys of an issuer, found by its metadata: OpenID Connect Discovery 1.0 §4, else RFC 8414 §3. The metadata's `issuer` must be
 * exactly the given one (RFC 8414 §3.3).
 *
 * @category layers
 * @since 0.1.0
 */
export const layerDiscovery = (options: {
  /** The issuer's identifier: an https URL (http on loopback) without query and fragment. */
  readonly issuer: string
}): Layer.Layer<KeySet, ConfigurationError, HttpClient.HttpClient> =>
  Layer.effect(
    KeySet,
    Effect.gen(function* () {
      const issuer = yield* requireIssuer("issuer", options.issuer)
      const fetch = yield* makeFetch(options.issuer)
      return yield* make(options.issuer, Effect.flatMap(discover(issuer, options.issuer, fetch), fetch.keys))
    })
  )

/**
 * The keys at a URL (`jwks_uri`), for issuers without metadata.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerRemote = (options: {
  /** Where the JWK Set is: an https URL (http on loopback). */
  readonly url: string
}): Layer.Layer<KeySet, ConfigurationError, HttpClient.HttpClient> =>
  Layer.effect(
    KeySet,
    Effect.gen(function* () {
      const url = yield* requireSecureUrl("url", options.url)
      const fetch = yield* makeFetch(options.url)
      return yield* make(options.url, fetch.keys(url))
    })
  )

// ---------------------------------------------------------------------------------------------------------------------
// fetching
// ---------------------------------------------------------------------------------------------------------------------

const Metadata = Schema.Struct({ issuer: Schema.String, jwks_uri: Schema.String })
const Keys = Schema.Struct({ keys: Schema.Array(Schema.Record(Schema.String, Schema.Unknown)) })

type Unavailable = AuthorizationServerUnavailable["reason"]

interface Fetch {
  readonly json: <A>(schema: Schema.Decoder<A>, url: URL) => Effect.Effect<A, Unavailable | "NotFound">
  readonly keys: (url: URL) => Effect.Effect<Jose.JSONWebKeySet, Unavailable>
}

const reasonOf = (error: HttpClientError): Unavailable | "NotFound" => {
  if (error.reason._tag === "TransportError") return "Unreachable"
  return error.reason._tag === "StatusCodeError" && error.reason.response.status === 404 ? "NotFound" : "BadResponse"
}

const makeFetch = Effect.fnUntraced(function* (issuer: string) {
  const client = (yield* HttpClient.HttpClient).pipe(
    HttpClient.filterStatusOk,
    HttpClient.mapRequest(HttpClientRequest.acceptJson)
  )
  const json: Fetch["json"] = (schema, url) =>
    client.get(url).pipe(
      Effect.flatMap(HttpClientResponse.schemaBodyJson(schema)),
      Effect.scoped,
      Effect.timeoutOrElse({ duration: fetchTimeout, orElse: () => Effect.fail("Timeout" as const) }),
      Effect.tapError((error) =>
        Effect.logWarning(
          "Could not read from the authorization server",
          typeof error === "string" ? error : error._tag
        ).pipe(Effect.annotateLogs({ issuer, url: url.href }))
      ),
      Effect.mapError((error) => {
        if (typeof error === "string") return error
        return error._tag === "HttpClientError" ? reasonOf(error) : "BadResponse"
      })
    )
  const fetch: Fetch = {
    json,
    keys: (url) =>
      json(Keys, url).pipe(
        Effect.map(({ keys }): Jose.JSONWebKeySet => ({ keys: keys.filter(isJwk) })),
        Effect.mapError(absentIsBad)
      )
  }
  return fetch
})

const isJwk = (key: { readonly [name: string]: unknown }): key is { readonly kty: string } =>
  typeof key["kty"] === "string"

const absentIsBad = (reason: Unavailable | "NotFound"): Unavailable => (reason === "NotFound" ? "BadResponse" : reason)

const discover = (issuer: URL, identifier: string, fetch: Fetch): Effect.Effect<URL, Unavailable> => {
  const path = issuer.pathname.replace(/\/$/, "")
  // OpenID Connect Discovery appends the well-known path to the issuer; RFC 8414 §3.1 inserts it before the issuer's path.
  const openId = new URL(`${path}/.well-known/openid-configuration`, issuer)
  const oauth = new URL(`/.well-known/oauth-authorization-server${path}`, issuer)
  return fetch.json(Metadata, openId).pipe(
    Effect.catch((reason) => (reason === "NotFound" ? fetch.json(Metadata, oauth) : Effect.fail(reason))),
    Effect.mapError(absentIsBad),
    Effect.filterOrFail(
      (metadata) => metadata.issuer === identifier,
      (): Unavailable => "IssuerMismatch"
    ),
    Effect.flatMap((metadata) =>
      Effect.mapError(requireSecureUrl("jwks_uri", metadata.jwks_uri), (): Unavailable => "BadResponse")
    )
  )
}

// ---------------------------------------------------------------------------------------------------------------------
// keeping
// ---------------------------------------------------------------------------------------------------------------------

interface Known {
  readonly select: Selector
  readonly fetchedAt: number
  /** Why the last fetch failed, where these keys only stand in. */
  readonly outage: AuthorizationServerUnavailable | undefined
}

const make = Effect.fnUntraced(function* (issuer: string, fetch: Effect.Effect<Jose.JSONWebKeySet, Unavailable>) {
  let known: Known | undefined
  let lastRefetch = -Infinity

  const load = fetch.pipe(
    Effect.mapError((reason) => new AuthorizationServerUnavailable({ issuer, reason, retryAfter: failureCoolDown })),
    Effect.flatMap((keys) =>
      Effect.map(Clock.currentTimeMillis, (fetchedAt): Known => {
        known = { select: selector(keys), fetchedAt, outage: undefined }
        return known
      })
    ),
    Effect.withSpan("KeySet.refresh", { attributes: { issuer } })
  )
  const [current, invalidate] = yield* Effect.cachedInvalidateWithTTL(load, (exit) =>
    Exit.isSuccess(exit) ? freshFor : failureCoolDown
  )

  const currentOrStale = Effect.catch(current, (outage) =>
    Effect.flatMap(Clock.currentTimeMillis, (now) =>
      known !== undefined && now - known.fetchedAt < Duration.toMillis(staleFor)
        ? Effect.succeed({ ...known, outage })
        : Effect.fail(outage)
    )
  )

  // An unknown `kid` may be a new key. The cool-down bounds what a flood of invented ones can cause.
  const refetch = Effect.flatMap(Clock.currentTimeMillis, (now) => {
    if (now - lastRefetch < Duration.toMillis(unknownKeyCoolDown)) return currentOrStale
    lastRefetch = now
    return Effect.andThen(invalidate, currentOrStale)
  })

  const select = ({ outage, select }: Known, header: KeySelector) =>
    Effect.flatMap(
      select(header),
      (keys): Effect.Effect<ReadonlyArray<CryptoKey>, InvalidToken | AuthorizationServerUnavailable> =>
        keys.length > 0 ? Effect.succeed(keys) : Effect.fail(outage ?? unknownKey)
    )

  return KeySet.of({
    find: (header) =>
      Effect.flatMap(currentOrStale, (known) => select(known, header)).pipe(
        Effect.catchTag("InvalidToken", () => Effect.flatMap(refetch, (known) => select(known, header)))
      ),
    refresh: Effect.asVoid(current)
  })
})
