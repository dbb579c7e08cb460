/**
 * Verifies JWT access tokens (RFC 7519, RFC 9068) with jose.
 *
 * A token is accepted only in the strict compact form, with a signature by one of the issuer's keys under an algorithm of the allow-list, exactly the
 * configured `iss`, a configured `aud`, a `sub`, an `exp` in the future (within `maxLifetime`), and the marks of an access token. Nothing but its header
 * (and, with several issuers, `iss`, to choose whose keys count) is looked at before the signature is valid. All time is read from Effect's `Clock`.
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

/** There is one cache in front of all issuers, which is not one issuer's to set. */
type Issuer = DiscoveryOptions & { readonly cache?: never }

/**
 * The policy for an issuer with asymmetric keys.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends Policy {
  /** The algorithms that a token may be signed with (RFC 8725 §3.1). Default: every `Algorithm`. */
  readonly algorithms?: ReadonlyArray<Algorithm>
}

/**
 * The same for an issuer whose keys are found by discovery: with how they are kept.
 *
 * @category models
 * @since 0.1.0
 */
export interface DiscoveryOptions extends Options, CacheOptions {}

/**
 * Verifies the JWTs of an issuer whose keys are found by discovery. They are fetched when the first token comes.
 *
 * **Details**
 *
 * A setting that cannot work fails the layer with a `ConfigurationError`. A token that is refused is an `InvalidToken`, one that nobody can check since the
 * keys are not known an `AuthorizationServerUnavailable`.
 *
 * **Example** (An API for one identity provider)
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
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options: DiscoveryOptions & TokenCaching
): Layer.Layer<TokenVerifier, ConfigurationError, HttpClient.HttpClient> =>
  layerKeySet(options).pipe(Layer.provide(KeySet.layerDiscovery(options)))

/**
 * The same with every option from Effect's `Config`, or with one `Config` of all of them. What is missing fails the layer with a `ConfigError`.
 *
 * **Example** (Settings from the environment)
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
  // Loaded where it is asked for: it takes a tenth of the time in which the library is loaded.
  Layer.unwrap(
    Effect.flatMap(
      Effect.promise(() => import("effect/Config")),
      ({ unwrap }) => Effect.map(unwrap(options), layer)
    )
  )

/**
 * Verifies JWTs with the keys of the `KeySet` in the context: for keys that discovery does not find.
 *
 * **Example** (Keys at a known address)
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
 * Verifies the JWTs of several issuers. The one is taken whose `issuer` is exactly the token's `iss`; keys, audiences, algorithms and profiles of
 * different issuers never mix.
 *
 * **Gotchas**
 *
 * Who is trusted here is trusted with every scope of each scheme that this verifier serves: a token of one issuer opens what is meant for those of another.
 * Where the issuers' tokens are to open different things, give each scheme the verifier of its issuer (`OAuth2.either` shows how).
 *
 * **Example** (Employees and customers)
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
      const urls = yield* Effect.forEach(issuers, ({ issuer }, i) => ofIssuer(i, requireIssuer("issuer", issuer)))
      const twice = urls.find(({ href }, i) => urls.findIndex((other) => other.href === href) !== i)
      if (twice !== undefined) {
        return yield* refuseSetting(
          "issuer",
          `${twice.href} must be named once: two policies for one issuer are two verifiers, each of a scheme of its own`
        )
      }
      return yield* verifier.make(
        yield* Effect.forEach(issuers, (options, i) =>
          // Fresh: each issuer has a key set of its own.
          Effect.flatMap(ofIssuer(i, Layer.build(Layer.fresh(KeySet.layerDiscovery(options)))), (context) =>
            Effect.provideContext(
              Effect.flatMap(KeySet.KeySet, (keySet) => ofIssuer(i, trust(options, keySet))),
              context
            )
          )
        ),
        ownProperties(caching)
      )
    })
  )

/**
 * Verifies JWTs that are signed with a shared secret. It cannot be combined with published keys: no token of the one kind is ever tried with a key of the
 * other (RFC 8725 §3.1).
 *
 * **Example** (FastAPI's tutorial, with an issuer and an audience)
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
      /** At least as long as the algorithm's hash: 32, 48 or 64 bytes (RFC 7518 §3.2), taken as UTF-8. */
      readonly secret: Redacted.Redacted
      /** The only one that a token may be signed with. */
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
      if (!Redacted.isRedacted(own.secret)) return yield* refuseSetting("secret", "must be Redacted")
      const secret = new TextEncoder().encode(Redacted.value(own.secret))
      const least = secretBytes[own.algorithm]
      if (secret.length < least) {
        return yield* refuseSetting("secret", `must have at least ${least} bytes for ${own.algorithm} (RFC 7518 §3.2)`)
      }
      yield* requireIssuer("issuer", own.issuer)
      const policy = yield* policies.make(new Set([own.algorithm]), own)
      const keys: verifier.Keys = [secret]
      return yield* verifier.make([{ policy, keysOf: () => Effect.succeed(keys), knownKeys: () => keys }], own)
    })
  )

/** Says of which issuer a setting is that cannot work. */
const ofIssuer = <A, R>(index: number, self: Effect.Effect<A, ConfigurationError, R>) =>
  Effect.mapError(self, ({ message, setting }) => {
    const where = `issuers[${index}].`
    return new ConfigurationError({ setting: where + setting, message: where + message })
  })

const known: ReadonlyArray<string> = Object.keys(asymmetric)

const trust = Effect.fnUntraced(function* (
  options: Options,
  keySet: KeySet.KeySet["Service"]
): Effect.fn.Return<verifier.Trust, ConfigurationError> {
  const { algorithms = known, issuer } = ownProperties(options)
  yield* requireIssuer("issuer", issuer)
  if (
    !Array.isArray(algorithms) ||
    algorithms.length === 0 ||
    !algorithms.every((algorithm) => known.includes(algorithm))
  ) {
    return yield* refuseSetting("algorithms", `must be some of ${known.join(", ")}`)
  }
  return {
    policy: yield* policies.make(new Set(algorithms), options),
    keysOf: keySet.find,
    knownKeys: keySet.known
  }
})
