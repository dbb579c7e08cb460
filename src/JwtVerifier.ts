/**
 * Verifies JWT access tokens (RFC 7519, RFC 9068) with jose.
 *
 * A token is accepted only with a signature by one of the issuer's keys under an algorithm of the allow-list, exactly the configured
 * `iss`, a configured `aud`, a `sub`, and an `exp` in the future. All time is read from Effect's `Clock`.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Config from "effect/Config"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Jose from "jose"
import type { VerifiedToken } from "./AccessToken.ts"
import * as scope from "./internal/scope.ts"
import { requireIssuer } from "./internal/url.ts"
import * as KeySet from "./KeySet.ts"
import { ConfigurationError, InvalidToken } from "./SecurityError.ts"
import { TokenVerifier } from "./TokenVerifier.ts"

/**
 * The asymmetric signature algorithms of JWS that jose verifies (RFC 7518 §3.1, RFC 8037, RFC 9864).
 *
 * @category models
 * @since 0.1.0
 */
export type Algorithm = (typeof algorithms)[number]

const algorithms = [
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
  "Ed25519"
] as const

/**
 * What a token must be to be accepted.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** The issuer's identifier, compared as an exact string with `iss` (RFC 9068 §4). An https URL (http on loopback). */
  readonly issuer: string
  /** This API's identifier, or several: one of them must be in `aud` (RFC 9068 §4). */
  readonly audience: string | ReadonlyArray<string>
  /** The algorithms that a token may be signed with (RFC 8725 §3.1). Default: every `Algorithm`. */
  readonly algorithms?: ReadonlyArray<Algorithm>
  /** How far `exp` and `nbf` may be off, for clocks that differ. Default: 5 seconds; at most 60. */
  readonly clockTolerance?: Duration.Input
  /**
   * What marks a token as an access token: `"at+jwt"` is the `typ` of RFC 9068 §4; `"jwt"` takes a token without the mark too, for issuers
   * that do not write it. Default: `"at+jwt"`.
   */
  readonly profile?: "at+jwt" | "jwt"
  /**
   * Where the scopes are: the names from the claims' root down to a string or an array of strings, such as `["realm_access", "roles"]`.
   * Default: `scope`, and where the token has none, `scp`.
   */
  readonly scopesPath?: readonly [string, ...ReadonlyArray<string>]
}

/**
 * Verifies the JWTs of an issuer whose keys are found by discovery.
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
export const layer = (options: Options): Layer.Layer<TokenVerifier, ConfigurationError, HttpClient.HttpClient> =>
  layerKeySet(options).pipe(Layer.provide(KeySet.layerDiscovery(options)))

/**
 * The same with every option from Effect's `Config`.
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
  options: Config.Wrap<Options>
): Layer.Layer<TokenVerifier, ConfigurationError | Config.ConfigError, HttpClient.HttpClient> =>
  Layer.unwrap(Effect.map(Config.unwrap(options), layer))

/**
 * Verifies JWTs with the keys of the `KeySet` in the context.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerKeySet = (options: Options): Layer.Layer<TokenVerifier, ConfigurationError, KeySet.KeySet> =>
  Layer.effect(TokenVerifier, make(options))

interface Policy {
  readonly issuer: string
  readonly audience: ReadonlyArray<string>
  readonly algorithms: ReadonlySet<string>
  readonly clockTolerance: number
  readonly typ: string | undefined
  readonly scopesOf: (claims: Jose.JWTPayload) => ReadonlySet<string>
}

const refuseSetting = (setting: string, message: string) => Effect.fail(new ConfigurationError({ setting, message }))

const makePolicy = Effect.fnUntraced(function* (options: Options) {
  yield* requireIssuer("issuer", options.issuer)
  const audience = typeof options.audience === "string" ? [options.audience] : options.audience
  if (audience.length === 0 || audience.includes("")) {
    return yield* refuseSetting(
      "audience",
      "audience must name this API as the tokens' aud does: at least one non-empty string"
    )
  }
  const allowed = options.algorithms ?? algorithms
  const unknown = allowed.find((algorithm) => !algorithms.includes(algorithm))
  if (allowed.length === 0 || unknown !== undefined) {
    return yield* refuseSetting("algorithms", `algorithms must be some of ${algorithms.join(", ")}`)
  }
  const clockTolerance = Duration.toSeconds(options.clockTolerance ?? "5 seconds")
  if (!(clockTolerance >= 0 && clockTolerance <= 60)) {
    return yield* refuseSetting("clockTolerance", "clockTolerance must be between 0 and 60 seconds")
  }
  const policy: Policy = {
    issuer: options.issuer,
    audience,
    algorithms: new Set(allowed),
    clockTolerance,
    typ: options.profile === "jwt" ? undefined : "at+jwt",
    scopesOf: scopesReader(options.scopesPath)
  }
  return policy
})

const make = Effect.fnUntraced(function* (options: Options) {
  const policy = yield* makePolicy(options)
  const keySet = yield* KeySet.KeySet
  return TokenVerifier.of({
    verify: Effect.fn("JwtVerifier.verify")(function* (credential: Redacted.Redacted) {
      const token = Redacted.value(credential)
      const header = yield* readHeader(token, policy)
      const keys = yield* keySet.find(header)
      const claims = yield* verifySignature(token, keys, policy, yield* Clock.currentTimeMillis)
      return yield* readClaims(claims, policy)
    })
  })
})

const malformed = new InvalidToken({ reason: "Malformed" })

// Only the algorithm and the key's name are read before the signature is valid (RFC 8725 §3.1): the list decides before any key look-up.
const readHeader = (token: string, policy: Policy): Effect.Effect<KeySet.KeySelector, InvalidToken> =>
  Effect.flatMap(
    Effect.try({ try: () => Jose.decodeProtectedHeader(token), catch: () => malformed }),
    ({ alg, kid }): Effect.Effect<KeySet.KeySelector, InvalidToken> => {
      if (typeof alg !== "string" || !policy.algorithms.has(alg))
        return Effect.fail(new InvalidToken({ reason: "Algorithm" }))
      if (kid !== undefined && typeof kid !== "string") return Effect.fail(malformed)
      return Effect.succeed(kid === undefined ? { alg } : { alg, kid })
    }
  )

const verifySignature = (
  token: string,
  keys: ReadonlyArray<CryptoKey>,
  policy: Policy,
  now: number
): Effect.Effect<Jose.JWTPayload, InvalidToken> => {
  const verifyWith = (key: CryptoKey) =>
    Effect.tryPromise({
      try: () =>
        Jose.jwtVerify(token, key, {
          issuer: policy.issuer,
          audience: [...policy.audience],
          algorithms: [...policy.algorithms],
          clockTolerance: policy.clockTolerance,
          currentDate: new Date(now),
          requiredClaims: ["sub", "exp"],
          ...(policy.typ === undefined ? undefined : { typ: policy.typ })
        }),
      catch: refusal
    })
  // Without a `kid` several keys may fit the algorithm: the next is tried only where the signature was another key's.
  return keys
    .slice(1)
    .reduce(
      (result, key) =>
        Effect.catch(result, (error) => (error.reason === "Signature" ? verifyWith(key) : Effect.fail(error))),
      keys[0] === undefined ? Effect.fail(new InvalidToken({ reason: "UnknownKey" })) : verifyWith(keys[0])
    )
    .pipe(Effect.map((result) => result.payload))
}

// What jose threw stays here: its text never leaves, only which check failed.
const refusal = (error: unknown): InvalidToken => {
  if (error instanceof Jose.errors.JWTExpired) return new InvalidToken({ reason: "Expired", claim: "exp" })
  if (error instanceof Jose.errors.JWTClaimValidationFailed)
    return new InvalidToken({ reason: "Claim", claim: error.claim })
  if (error instanceof Jose.errors.JWSSignatureVerificationFailed) return new InvalidToken({ reason: "Signature" })
  if (error instanceof Jose.errors.JOSEError) return malformed
  // jose throws a TypeError for a key that it will not use, such as a short RSA modulus.
  return new InvalidToken({ reason: "UnknownKey" })
}

const text = (value: unknown): Option.Option<string> =>
  typeof value === "string" && value !== "" ? Option.some(value) : Option.none()

const readClaims = (claims: Jose.JWTPayload, policy: Policy): Effect.Effect<VerifiedToken, InvalidToken> => {
  if (typeof claims.sub !== "string" || claims.sub === "") {
    return Effect.fail(new InvalidToken({ reason: "Claim", claim: "sub" }))
  }
  // NumericDate is in seconds (RFC 7519 §2); what does not fit a date is no date.
  const expiresAt = instant(claims.exp)
  if (Option.isNone(expiresAt)) return Effect.fail(new InvalidToken({ reason: "Claim", claim: "exp" }))
  const own = Object.assign(Object.create(null), claims) as Record<string, unknown>
  return Effect.succeed({
    subject: claims.sub,
    clientId: Option.orElse(text(own["client_id"]), () => text(own["azp"])),
    scopes: policy.scopesOf(claims),
    issuer: policy.issuer,
    audience: typeof claims.aud === "string" ? [claims.aud] : (claims.aud ?? []),
    expiresAt: expiresAt.value,
    issuedAt: instant(claims.iat),
    tokenId: text(claims.jti),
    claims: own
  })
}

const instant = (seconds: number | undefined): Option.Option<DateTime.Utc> =>
  seconds === undefined ? Option.none() : DateTime.make(seconds * 1000)

const scopesReader = (path: Options["scopesPath"]): Policy["scopesOf"] =>
  path === undefined
    ? (claims) => scope.fromClaim(Object.hasOwn(claims, "scope") ? claims["scope"] : own(claims, "scp"))
    : (claims) => scope.fromClaim(path.reduce(own, claims))

const own = (value: unknown, name: string): unknown =>
  typeof value === "object" && value !== null && Object.hasOwn(value, name)
    ? (value as Record<string, unknown>)[name]
    : undefined
