/**
 * Verifies JWT access tokens with jose (RFC 7519, RFC 9068).
 *
 * A token is accepted if it meets all of these conditions:
 *
 * - It has the strict compact form.
 * - One of the issuer's keys signed it with an allowed algorithm.
 * - Its `iss` equals the `issuer` option, and its `aud` contains one of the configured audiences.
 * - It has a `sub`, and an `exp` in the future (within `maxLifetime`).
 * - It has the marks of an access token (`profile`).
 *
 * Before the signature is verified, only the header is read. With several issuers, `iss` is read, too, to select the
 * keys. Time comes from Effect's `Clock`.
 *
 * @since 0.1.0
 */
import type * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import type * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type { TokenCaching } from "./cache/options.ts"
import { type Algorithm, asymmetric, secretBytes, type SymmetricAlgorithm } from "./keys/algorithms.ts"
import type { CacheOptions } from "./keys/options.ts"
import type { Policy } from "./claims/options.ts"
import * as policies from "./claims/policy.ts"
import * as verifier from "./jwt/verify.ts"
import { refuseSetting } from "../core/setting.ts"
import { requireIssuer } from "../core/url.ts"
import { ownProperties } from "../core/lib/ownProperties.ts"
import * as KeySet from "./KeySet.ts"
import { ConfigurationError } from "../core/SecurityError.ts"
import { TokenVerifier } from "./TokenVerifier.ts"

export type { Policy } from "./claims/options.ts"
export type { Algorithm, SymmetricAlgorithm } from "./keys/algorithms.ts"

/** All issuers share one token cache, so a single issuer has no `cache` option. */
type Issuer = DiscoveryOptions & { readonly cache?: never }

/**
 * Options for an issuer with asymmetric keys.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends Policy {
  /** Allowed signature algorithms (RFC 8725 §3.1). Default: every `Algorithm`. */
  readonly algorithms?: ReadonlyArray<Algorithm>
}

/**
 * Options for an issuer whose keys are found by discovery, including the options of the key cache.
 *
 * @category models
 * @since 0.1.0
 */
export interface DiscoveryOptions extends Options, CacheOptions {}

/**
 * Creates a `TokenVerifier` for JWT access tokens whose issuer publishes its keys by discovery.
 *
 * **When to use**
 *
 * Use when one issuer signs the tokens of your API.
 *
 * **Details**
 *
 * The keys are fetched for the first token, not at start-up. Verified tokens are cached (`cache`).
 *
 * | failure | cause |
 * |---|---|
 * | `ConfigurationError`, at start-up | an option has an invalid value |
 * | `InvalidToken` (401) | the token is refused |
 * | `AuthorizationServerUnavailable` (503) | the keys cannot be loaded |
 *
 * **Gotchas**
 *
 * `issuer` must equal the token's `iss` claim exactly, including a trailing slash.
 *
 * **Example** (Verifying tokens of one identity provider)
 *
 * ```ts
 * import { Layer } from "effect"
 * import { FetchHttpClient } from "effect/http"
 * import { JwtVerifier } from "effect-oauth2"
 *
 * export const Verifier = JwtVerifier.layer({
 *   issuer: "https://idp.example.com",
 *   audience: "https://api.example.com"
 * }).pipe(Layer.provide(FetchHttpClient.layer))
 * ```
 *
 * @see {@link layerIssuers} for several issuers
 * @see {@link layerKeySet} for keys that discovery does not find
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options: DiscoveryOptions & TokenCaching
): Layer.Layer<TokenVerifier, ConfigurationError, HttpClient.HttpClient> =>
  layerKeySet(options).pipe(Layer.provide(KeySet.layerDiscovery(options)))

/**
 * Creates the `TokenVerifier` of `layer` with options from Effect's `Config`: one `Config` per option, or one for all.
 *
 * **Details**
 *
 * A missing value fails the layer with a `ConfigError`.
 *
 * **Example** (Reading options from the environment)
 *
 * ```ts
 * import { Config } from "effect"
 * import { JwtVerifier } from "effect-oauth2"
 *
 * export const Verifier = JwtVerifier.layerConfig({
 *   issuer: Config.String("ISSUER"),
 *   audience: Config.String("AUDIENCE")
 * })
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig = (
  options: Config.Wrap<DiscoveryOptions & TokenCaching>
): Layer.Layer<TokenVerifier, ConfigurationError | Config.ConfigError, HttpClient.HttpClient> =>
  // Imported on demand, because `Config` takes a tenth of the library's load time.
  Layer.unwrap(
    Effect.flatMap(
      Effect.promise(() => import("effect/Config")),
      ({ unwrap }) => Effect.map(unwrap(options), layer)
    )
  )

/**
 * Creates a `TokenVerifier` for JWTs that uses the `KeySet` in the context.
 *
 * **When to use**
 *
 * Use when discovery does not find the keys of the issuer.
 *
 * **Example** (Using keys at a fixed URL)
 *
 * ```ts
 * import { Layer } from "effect"
 * import { FetchHttpClient } from "effect/http"
 * import { JwtVerifier, KeySet } from "effect-oauth2"
 *
 * export const Verifier = JwtVerifier.layerKeySet({
 *   issuer: "https://idp.example.com",
 *   audience: "https://api.example.com"
 * }).pipe(
 *   Layer.provide(KeySet.layerRemote({ url: "https://idp.example.com/keys.json" })),
 *   Layer.provide(FetchHttpClient.layer)
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerKeySet = (
  options: Options & TokenCaching
): Layer.Layer<TokenVerifier, ConfigurationError, KeySet.KeySet> =>
  Layer.effect(
    TokenVerifier,
    Effect.gen(function* () {
      return yield* verifier.make([yield* trust(options, yield* KeySet.KeySet)], ownProperties(options))
    })
  )

/**
 * Creates a `TokenVerifier` for the JWTs of several issuers.
 *
 * **Details**
 *
 * The token's `iss` selects the issuer with exactly the same `issuer` option. Keys, audiences, algorithms and profiles
 * of different issuers never mix.
 *
 * **Gotchas**
 *
 * Every issuer can grant every scope of each scheme that uses this verifier. If issuers need different permissions, use
 * one scheme and one verifier for each. `OAuth2.either` shows how.
 *
 * **Example** (Verifying tokens of employees and customers)
 *
 * ```ts
 * import { JwtVerifier } from "effect-oauth2"
 *
 * const audience = "https://api.example.com"
 *
 * export const Verifier = JwtVerifier.layerIssuers([
 *   { issuer: "https://employees.example.com", audience },
 *   { issuer: "https://customers.example.com", audience, algorithms: ["ES256"] }
 * ])
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerIssuers = (
  issuers: readonly [Issuer, ...ReadonlyArray<Issuer>],
  caching: TokenCaching = {}
): Layer.Layer<TokenVerifier, ConfigurationError, HttpClient.HttpClient> =>
  Layer.effect(
    TokenVerifier,
    Effect.gen(function* () {
      const urls = yield* Effect.forEach(issuers, ({ issuer }, i) =>
        withIssuerIndex(i, requireIssuer("issuer", issuer))
      )
      const duplicate = urls.find(({ href }, i) => urls.findIndex((other) => other.href === href) !== i)
      if (duplicate !== undefined) {
        return yield* refuseSetting(
          "issuer",
          `${duplicate.href} must be named once. For two policies of one issuer, use two schemes and one verifier for each`
        )
      }
      return yield* verifier.make(
        yield* Effect.forEach(issuers, (options, i) =>
          // Not memoized, because each issuer needs its own key set.
          Effect.flatMap(withIssuerIndex(i, Layer.build(Layer.fresh(KeySet.layerDiscovery(options)))), (context) =>
            Effect.provideContext(
              Effect.flatMap(KeySet.KeySet, (keySet) => withIssuerIndex(i, trust(options, keySet))),
              context
            )
          )
        ),
        ownProperties(caching)
      )
    })
  )

/**
 * Creates a `TokenVerifier` for JWTs that are signed with a shared secret.
 *
 * **Details**
 *
 * A verifier uses either a shared secret or public keys, never both. This prevents algorithm confusion (RFC 8725 §3.1).
 *
 * **Example** (Verifying tokens as in FastAPI's tutorial, with an issuer and an audience)
 *
 * ```ts
 * import { Config, Effect, Layer } from "effect"
 * import { JwtVerifier } from "effect-oauth2"
 *
 * export const Verifier = Layer.unwrap(
 *   Effect.map(Config.Redacted("SECRET"), (secret) =>
 *     JwtVerifier.layerSecret({
 *       issuer: "https://api.example.com",
 *       audience: "https://api.example.com",
 *       secret,
 *       algorithm: "HS256"
 *     })
 *   )
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerSecret = (
  options: Policy &
    TokenCaching & {
      /** Shared secret. Its UTF-8 form has at least 32 (HS256), 48 (HS384) or 64 (HS512) bytes (RFC 7518 §3.2). */
      readonly secret: Redacted.Redacted
      /** The only allowed signature algorithm. */
      readonly algorithm: SymmetricAlgorithm
    }
): Layer.Layer<TokenVerifier, ConfigurationError> =>
  Layer.effect(
    TokenVerifier,
    Effect.gen(function* () {
      const own = ownProperties(options)
      if (!Object.hasOwn(secretBytes, own.algorithm)) {
        return yield* refuseSetting("algorithm", `must be one of ${Object.keys(secretBytes).join(", ")}`)
      }
      if (!Redacted.isRedacted(own.secret))
        return yield* refuseSetting("secret", "must be a Redacted value, such as Redacted.make(secret)")
      const secret = new TextEncoder().encode(Redacted.value(own.secret))
      const least = secretBytes[own.algorithm]
      if (secret.length < least) {
        return yield* refuseSetting("secret", `must have at least ${least} bytes for ${own.algorithm} (RFC 7518 §3.2)`)
      }
      yield* requireIssuer("issuer", own.issuer)
      const policy = yield* policies.make(new Set([own.algorithm]), own)
      const keys: verifier.Keys = [secret]
      return yield* verifier.make([{ policy, keysOf: () => Effect.succeed(keys), availableKeys: () => keys }], own)
    })
  )

/** Adds the index of the issuer to the option name in an error. */
const withIssuerIndex = <A, R>(index: number, self: Effect.Effect<A, ConfigurationError, R>) =>
  Effect.mapError(self, ({ message, setting }) => {
    const where = `issuers[${index}].`
    return new ConfigurationError({ setting: where + setting, message: where + message })
  })

const allAlgorithms: ReadonlyArray<string> = Object.keys(asymmetric)

const trust = Effect.fnUntraced(function* (
  options: Options,
  keySet: KeySet.KeySet["Service"]
): Effect.fn.Return<verifier.Trust, ConfigurationError> {
  const { algorithms = allAlgorithms, issuer } = ownProperties(options)
  yield* requireIssuer("issuer", issuer)
  if (
    !Array.isArray(algorithms) ||
    algorithms.length === 0 ||
    !algorithms.every((algorithm) => allAlgorithms.includes(algorithm))
  ) {
    return yield* refuseSetting("algorithms", `must be some of ${allAlgorithms.join(", ")}`)
  }
  return {
    policy: yield* policies.make(new Set(algorithms), options),
    keysOf: keySet.find,
    availableKeys: keySet.known
  }
})
