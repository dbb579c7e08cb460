/**
 * Verifies JWT access tokens with jose (RFC 7519, RFC 9068).
 *
 * A token is accepted if it meets all of these conditions:
 *
 * - It has the strict compact form.
 * - One of the issuer's keys signed it with an allowed algorithm.
 * - Its `iss` equals the `issuer` option, and its `aud` contains one of the configured audiences. `audience: false`
 *   accepts any audience.
 * - It has a `sub`, and an `exp` in the future (within `maxLifetime`).
 * - It has the marks of an access token (`profile`).
 *
 * Before the signature is verified, only the header is read. With several issuers, `iss` is read, too, to select the
 * keys. Time comes from Effect's `Clock`.
 *
 * @since 0.1.0
 */
import type * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { NeedsHttpClient } from "../core/missing.ts"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import type { TokenCaching } from "./cache/options.ts"
import { type Algorithm, secretBytes, type SymmetricAlgorithm } from "./keys/algorithms.ts"
import type { CacheOptions } from "./keys/options.ts"
import type { Policy } from "./claims/options.ts"
import * as policies from "./claims/policy.ts"
import * as trust from "./jwt/trust.ts"
import * as verifier from "./jwt/verify.ts"
import { refuseOption } from "../core/refuseOption.ts"
import { requireHttpHosts, requireIssuer } from "../core/url.ts"
import { runAll } from "../core/effect/missingVariable.ts"
import { ownProperties } from "../core/lib/ownProperties.ts"
import * as KeySet from "./KeySet.ts"
import { AuthorizationServerUnavailable, ConfigurationError } from "../core/SecurityError.ts"
import { freezeError } from "../core/lib/exit.ts"
import { RequestIsolation } from "../core/RequestIsolation.ts"
import { joining, Shared } from "./cache/shared.ts"
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
  /**
   * Allowed signature algorithms (RFC 8725 §3.1). `EdDSA` and `Ed25519` are two names of one algorithm, so each of them
   * allows both (RFC 9864 §2.2). Default: every `Algorithm`.
   */
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
): Layer.Layer<TokenVerifier, ConfigurationError, NeedsHttpClient> =>
  layerKeySet(options).pipe(Layer.provide(KeySet.layerDiscovery(options)))

/**
 * Creates the `TokenVerifier` of `layer` with options from Effect's `Config`: one `Config` per option, or one for all.
 *
 * **Details**
 *
 * A missing value fails the layer with a `ConfigError`, which names the variable.
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
): Layer.Layer<TokenVerifier, ConfigurationError | Config.ConfigError, NeedsHttpClient> =>
  Layer.unwrap(Effect.map(runAll(options), layer))

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
      return yield* verifier.make([yield* trust.make(options, yield* KeySet.KeySet)], ownProperties(options))
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
): Layer.Layer<TokenVerifier, ConfigurationError, NeedsHttpClient> =>
  Layer.effect(
    TokenVerifier,
    Effect.gen(function* () {
      const urls = yield* Effect.forEach(issuers.map(ownProperties), ({ httpHosts, issuer }, i) =>
        withIssuerIndex(
          i,
          Effect.flatMap(requireHttpHosts(httpHosts), (hosts) => requireIssuer("issuer", issuer, hosts))
        )
      )
      const duplicate = urls.find(({ href }, i) => urls.findIndex((other) => other.href === href) !== i)
      if (duplicate !== undefined) {
        return yield* refuseOption(
          "issuer",
          `${duplicate.href} must be named once. For two policies of one issuer, use two schemes and one verifier for each`
        )
      }
      const names = issuers.map(ownProperties).flatMap(({ issuer, issuerAliases = [] }) => [issuer, ...issuerAliases])
      const ambiguous = names.find((name, i) => names.indexOf(name) !== i)
      if (ambiguous !== undefined) {
        return yield* refuseOption("issuerAliases", "must not name an iss that another issuer or alias has")
      }
      return yield* verifier.make(
        yield* Effect.forEach(issuers, (options, i) =>
          // Not memoized, because each issuer needs its own key set.
          Effect.flatMap(withIssuerIndex(i, Layer.build(Layer.fresh(KeySet.layerDiscovery(options)))), (context) =>
            Effect.provideContext(
              Effect.flatMap(KeySet.KeySet, (keySet) => withIssuerIndex(i, trust.make(options, keySet))),
              context
            )
          )
        ),
        ownProperties(caching)
      )
    })
  )

/**
 * Options for issuers that the program finds at run time.
 *
 * @category models
 * @since 0.1.0
 */
export interface AllowedIssuersOptions extends Omit<
  DiscoveryOptions,
  "issuer" | "issuerAliases" | "tenants" | "tenantClaim"
> {
  /**
   * Returns `true` for each issuer that may use this API, for example from your table of customers. It runs for each
   * uncached token, with a valid URL from a stranger, and before anything is fetched. Compare whole strings.
   *
   * **Example** (Reading the allowed issuers from a table)
   *
   * ```ts
   * import { Effect } from "effect"
   * import type { JwtVerifier } from "effect-oauth2"
   *
   * export const allow = (
   *   find: (issuer: string) => Effect.Effect<ReadonlyArray<unknown>>
   * ): JwtVerifier.AllowedIssuersOptions["allow"] => (issuer) => Effect.map(find(issuer), (rows) => rows.length === 1)
   * ```
   */
  readonly allow: (issuer: string) => Effect.Effect<boolean>
  /** Maximum number of issuers. A token of one more issuer gets a 503 response. @default 100 */
  readonly maxIssuers?: number
}

/**
 * Creates a `TokenVerifier` for the JWTs of issuers that a function allows at run time.
 *
 * **When to use**
 *
 * Use when each customer brings an issuer. If you know all issuers at start-up, use `layerIssuers`.
 *
 * **Details**
 *
 * - Nothing is fetched from an issuer that `allow` refuses. Its tokens get `InvalidToken` for `iss`, and the log explains
 *   the first of them without its `iss`.
 * - Each allowed issuer has its own keys, which are found by discovery. The other options are the same for all.
 * - Tokens of more issuers than `maxIssuers` get `AuthorizationServerUnavailable`, and the log says so once.
 *
 * **Gotchas**
 *
 * A cached token is accepted until its cache entry ends, although `allow` has changed (`timeToLive`).
 *
 * **Example** (Allowing the issuers of customers)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { JwtVerifier } from "effect-oauth2"
 *
 * const customers = new Set(["https://login.acme.example.com", "https://sso.example.org"])
 *
 * export const Verifier = JwtVerifier.layerAllowedIssuers({
 *   allow: (issuer) => Effect.sync(() => customers.has(issuer)),
 *   audience: "https://api.example.com"
 * })
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerAllowedIssuers = (
  options: AllowedIssuersOptions & TokenCaching
): Layer.Layer<TokenVerifier, ConfigurationError, NeedsHttpClient> =>
  Layer.effect(
    TokenVerifier,
    Effect.gen(function* () {
      const { allow, cache, maxIssuers = 100, ...rest } = ownProperties(options)
      if (!Number.isInteger(maxIssuers) || maxIssuers < 1 || maxIssuers > 10_000) {
        return yield* refuseOption("maxIssuers", "must be a whole number between 1 and 10000")
      }
      const context = yield* Effect.context<NeedsHttpClient | Scope.Scope>()
      const isIsolated = (yield* RequestIsolation) !== undefined
      const hosts = yield* requireHttpHosts(rest.httpHosts)
      const build = (issuer: string) => {
        const own = { ...rest, issuer, issuerAliases: [] }
        return Layer.build(Layer.fresh(KeySet.layerDiscovery(own))).pipe(
          Effect.flatMap((keys) => trust.make(own, Context.get(keys, KeySet.KeySet))),
          Effect.provideContext(context)
        )
      }
      // Checks the options at start-up. A key set fetches nothing before its first lookup.
      const { policy } = yield* Effect.scoped(
        Effect.flatMap(Layer.build(Layer.fresh(KeySet.layerDiscovery({ ...rest, issuer: anyIssuer }))), (keys) =>
          trust.make({ ...rest, issuer: anyIssuer }, Context.get(keys, KeySet.KeySet))
        )
      )
      const trusts = new Map<string, Effect.Effect<verifier.Trust>>()
      let isFull = false
      const trustIn = (issuer: string) =>
        Effect.suspend((): Effect.Effect<verifier.Trust, AuthorizationServerUnavailable> => {
          const existing = trusts.get(issuer)
          if (existing !== undefined) return existing
          if (trusts.size >= maxIssuers) {
            const failure = Effect.fail(tooManyIssuers)
            if (isFull) return failure
            isFull = true
            return Effect.andThen(
              Effect.logError(`Tokens of more than ${maxIssuers} issuers arrived. Raise the maxIssuers option.`),
              failure
            )
          }
          // Built once, also if several tokens of the issuer arrive at a time.
          const built = new Shared(Effect.orDie(build(issuer)), { ...joining, isIsolated }).outcome
          const stored = Effect.tap(built, (found) =>
            Effect.sync(() => {
              trusts.set(issuer, Effect.succeed(found))
            })
          )
          trusts.set(issuer, stored)
          return stored
        })
      return yield* verifier.makeFinding(
        Effect.fnUntraced(function* (issuer) {
          const isIssuer = yield* Effect.match(requireIssuer("issuer", issuer, hosts), {
            onFailure: () => false,
            onSuccess: () => !issuer.includes("{")
          })
          if (!isIssuer) return yield* verifier.refuseIssuer("IssuerForm", policy)
          const isAllowed: unknown = yield* allow(issuer)
          return isAllowed === true ? yield* trustIn(issuer) : yield* verifier.refuseIssuer("IssuerNotAllowed", policy)
        }),
        policy,
        cache === undefined ? {} : { cache }
      )
    })
  )

const anyIssuer = "https://issuer.invalid"

const tooManyIssuers = freezeError(
  new AuthorizationServerUnavailable({ reason: "Unspecified", retryAfter: Duration.minutes(1) })
)

type Secret = Redacted.Redacted<string | Uint8Array>

/**
 * Creates a `TokenVerifier` for JWTs that are signed with a shared secret.
 *
 * **Details**
 *
 * A verifier uses either a shared secret or public keys, never both. This prevents algorithm confusion (RFC 8725 §3.1).
 *
 * The default profile is `"jwt"`, because libraries for JWTs write `typ: "JWT"` and no `client_id`. A token must have
 * `scope`, `scp` or `client_id`. The scope may be empty.
 *
 * To rotate the secret, pass the new secret and the old one. Sign new tokens with the new secret, and remove the old
 * secret when the last old token has expired.
 *
 * **Gotchas**
 *
 * If you sign other tokens with the same secret, such as refresh tokens or links to reset a password, give them another
 * `aud`. If your access tokens have no scope, set `accessTokenClaims` to a claim that only your access tokens have.
 *
 * **Example** (Verifying tokens as in FastAPI's tutorial, with a scope, an issuer and an audience)
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
      /**
       * Shared secret as text in UTF-8 or as bytes, or several secrets during a rotation. Each of them has at least 32
       * (HS256), 48 (HS384) or 64 (HS512) bytes (RFC 7518 §3.2). A token is accepted if one of them signed it. Encode a
       * secret in base64 or hex as bytes first.
       */
      readonly secret: Secret | ReadonlyArray<Secret>
      /** The only allowed signature algorithm. */
      readonly algorithm: SymmetricAlgorithm
    }
): Layer.Layer<TokenVerifier, ConfigurationError> =>
  Layer.effect(
    TokenVerifier,
    Effect.gen(function* () {
      const own = ownProperties(options)
      if (!Object.hasOwn(secretBytes, own.algorithm)) {
        return yield* refuseOption("algorithm", `must be one of ${Object.keys(secretBytes).join(", ")}`)
      }
      const keys: verifier.VerificationKeys = yield* secretsOf(own.secret, own.algorithm)
      const policy = yield* policies.make(
        new Set([own.algorithm]),
        ownProperties({ ...own, profile: own.profile ?? "jwt" })
      )
      return yield* verifier.make([{ policy, keysOf: () => Effect.succeed(keys), availableKeys: () => keys }], own)
    })
  )

const mustBeRedacted =
  "must be a Redacted text or Uint8Array, such as Redacted.make(secret), or a list of at least one of them"

const secretsOf = Effect.fnUntraced(function* (
  given: Secret | ReadonlyArray<Secret>,
  algorithm: SymmetricAlgorithm
): Effect.fn.Return<ReadonlyArray<Uint8Array>, ConfigurationError> {
  const secrets: ReadonlyArray<unknown> = Array.isArray(given) ? given : [given]
  if (secrets.length === 0) return yield* refuseOption("secret", mustBeRedacted)
  const least = secretBytes[algorithm]
  return yield* Effect.forEach(secrets, (secret, i) => {
    const option = Array.isArray(given) ? `secret[${i}]` : "secret"
    const value = Redacted.isRedacted(secret) ? Redacted.value(secret) : undefined
    if (typeof value !== "string" && !(value instanceof Uint8Array)) return refuseOption(option, mustBeRedacted)
    // Copied, because the caller may overwrite its bytes.
    const bytes = typeof value === "string" ? new TextEncoder().encode(value) : Uint8Array.from(value)
    return bytes.length < least
      ? refuseOption(option, `must have at least ${least} bytes for ${algorithm} (RFC 7518 §3.2)`)
      : Effect.succeed(bytes)
  })
})

/** Adds the index of the issuer to the option name in an error. */
const withIssuerIndex = <A, R>(index: number, self: Effect.Effect<A, ConfigurationError, R>) =>
  Effect.mapError(self, ({ message, setting }) => {
    const where = `issuers[${index}].`
    return new ConfigurationError({ setting: where + setting, message: where + message })
  })
