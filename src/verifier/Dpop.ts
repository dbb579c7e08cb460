/**
 * Accepts tokens that are bound to a key of the client (DPoP, RFC 9449), so that a stolen token is useless.
 *
 * **When to use**
 *
 * Use if your authorization server issues tokens with `cnf.jkt`, for example for clients of FAPI 2.
 *
 * **Details**
 *
 * The client sends `Authorization: DPoP <token>`, and a proof in the header `DPoP`: a JWT that it signs for this one
 * request. Every request is checked in this order:
 *
 * | check | error |
 * |---|---|
 * | one `DPoP` header, with a JWT of at most 8192 characters in strict JSON | `InvalidDpopProof` |
 * | `typ` is `dpop+jwt`, `alg` is one of `algorithms`, no `crit` | `InvalidDpopProof` |
 * | `jwk` is a strong public key without private members | `InvalidDpopProof` |
 * | `jti`, `htm`, `htu`, `iat` and `ath` exist, and fit the request and the token | `InvalidDpopProof` |
 * | the access token is valid | `InvalidToken` |
 * | the signature | `InvalidDpopProof` |
 * | `iat` is at most `maxAge` old | `InvalidDpopProof` |
 * | with `nonces`, instead of `iat`: the proof has a current nonce | `UseDpopNonce` |
 * | the key is the key of the token | `InvalidToken` |
 * | the proof was not used before | `InvalidDpopProof` |
 * | the store of used proofs is available | `AuthorizationServerUnavailable` |
 *
 * The token cache works as for bearer tokens, and the proof is checked for every request. A bound token that is sent as
 * `Bearer` is refused, and so is a token without a key that is sent as `DPoP`.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as duration from "../core/duration.ts"
import { Memo } from "../core/lib/memo.ts"
import { ownProperties } from "../core/lib/ownProperties.ts"
import { refuseOption } from "../core/refuseOption.ts"
import type { ConfigurationError } from "../core/SecurityError.ts"
import { isSecure } from "../core/url.ts"
import { replayStoreIn } from "../stores/replayKey.ts"
import { ProofChecker, type Replays, type Settings } from "./dpop/checker.ts"
import * as replays from "./dpop/replays.ts"
import * as nonces from "./dpop/nonces.ts"
import { register } from "./dpop/registered.ts"
import * as segment from "./dpop/segment.ts"
import * as sha256 from "./dpop/sha256.ts"
import { normalize } from "./dpop/uri.ts"
import { Signatures } from "./jwt/signatures.ts"
import { type Algorithm, asymmetric, namesOf } from "./keys/algorithms.ts"

/**
 * Options for the proofs that a scheme accepts.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /**
   * The origins at which clients reach the API, such as `"https://api.example.com"`. If a proxy removes the beginning
   * of the path, add it: `"https://example.com/api"`. A proof must name the path of the request below one of them.
   *
   * Default: the origin of the request, which is its `Host` header. Behind a proxy, this needs Effect's
   * `HttpMiddleware.xForwardedHeaders`. Prefer this option, because a client can choose the `Host` header.
   */
  readonly origin?: string | ReadonlyArray<string>
  /** The accepted algorithms, for challenges and metadata, too. Default: all supported ones except RS256 to RS512. */
  readonly algorithms?: ReadonlyArray<Algorithm>
  /** Maximum age of a proof, from 1 second to 10 minutes. @default "60 seconds" */
  readonly maxAge?: Duration.Input
  /** Tolerance for `iat`, `exp` and `nbf` if clocks differ, from 0 to 60 seconds. @default "30 seconds" */
  readonly clockTolerance?: Duration.Input
  /**
   * `true` accepts only proofs with a nonce of this server (RFC 9449 §9). A client then cannot make proofs for the
   * future, and its clock may be wrong. Each client needs one more request to get its first nonce. Default: `false`.
   */
  readonly nonces?: boolean
}

/**
 * Support for DPoP, for the option `dpop` of a scheme.
 *
 * @category models
 * @since 0.1.0
 */
export interface Dpop {
  /** The accepted algorithms. */
  readonly algorithms: ReadonlyArray<Algorithm>
  /** Whether proofs need a nonce of this server. */
  readonly nonces: boolean
}

/**
 * Service that makes and checks nonces. Default: nonces of a secret that exists only in this process.
 *
 * **Example** (Reading the nonce for the next proof)
 *
 * ```ts import.meta.vitest
 * import { Effect, Redacted } from "effect"
 * import { Dpop } from "effect-oauth2"
 *
 * const nonce = Effect.flatMap(Dpop.Nonces, ({ issue }) => issue)
 * const secret = Redacted.make("a secret that all processes of the API have")
 *
 * const text = await Effect.runPromise(Effect.provide(nonce, Dpop.layerNonces({ secrets: [secret] })))
 *
 * text.length // => 43
 * ```
 *
 * @see {@link layerNonces} for several processes
 * @category services
 * @since 0.1.0
 */
export class Nonces extends Context.Service<
  Nonces,
  {
    /** Returns the nonce for the next proof of any client. */
    readonly issue: Effect.Effect<string>
    /** Returns the time at which a nonce ends, in milliseconds since the epoch. `undefined` for an unknown nonce. */
    readonly validUntil: (nonce: string) => Effect.Effect<number | undefined>
  }
>()("effect-oauth2/Dpop/Nonces") {}

const defaultAlgorithms: ReadonlyArray<Algorithm> = [
  "ES256",
  "ES384",
  "ES512",
  "PS256",
  "PS384",
  "PS512",
  "EdDSA",
  "Ed25519"
]

const where = "Dpop.make"

const algorithmsOf = (given: unknown): ReadonlyArray<Algorithm> => {
  if (given === undefined) return defaultAlgorithms
  const isList = Array.isArray(given) && given.length > 0
  if (isList && given.every((name) => typeof name === "string" && Object.hasOwn(asymmetric, name))) {
    // Safe cast: each name is a key of the table.
    return Array.from(new Set(given)) as ReadonlyArray<Algorithm>
  }
  throw new TypeError(`${where}: algorithms must be a list of at least one of ${Object.keys(asymmetric).join(", ")}.`)
}

const originsOf = (given: unknown): ReadonlyArray<string> | undefined => {
  if (given === undefined) return
  const list: ReadonlyArray<unknown> = Array.isArray(given) ? given : [given]
  const origins = list.map((origin) => {
    const isWritten = typeof origin === "string" && !/[?#]/.test(origin)
    const normal = isWritten ? normalize(origin) : undefined
    if (normal !== undefined && isSecure(new URL(normal), new Set())) return normal.replace(/\/$/, "")
    throw new TypeError(
      `${where}: origin must be an https URL (http only on loopback) without credentials, query and fragment, such as "https://api.example.com", but is ${JSON.stringify(origin)}.`
    )
  })
  if (origins.length === 0) throw new TypeError(`${where}: origin is an empty list. Name at least one origin.`)
  return origins
}

const millisOf = (
  option: string,
  given: Duration.Input | undefined,
  fallback: number,
  [min, max]: readonly [number, number],
  bounds: string
): number => {
  const millis = given === undefined ? fallback : duration.toMillis(given)
  if (millis >= min && millis <= max) return millis
  throw new TypeError(`${where}: ${option} must be a duration between ${bounds}, such as "30 seconds".`)
}

/** A third of the lifetime of a nonce, in milliseconds. */
const defaultStep = 60_000

/**
 * Creates the support for DPoP.
 *
 * **Details**
 *
 * - Throws a `TypeError` that names an invalid option.
 * - Used proofs are remembered in the memory of the process: at most 100 000, and at most 20 000 of one key, so that one
 *   client cannot fill the memory for the others. If several processes serve the API, provide a shared `ReplayStore` to
 *   the layer of the scheme. Otherwise, each process accepts a proof once.
 * - A used proof is remembered until it is too old for the `maxAge`, or until its nonce ends.
 * - If the store is unavailable or full, requests with `DPoP` get a 503 response. If the part of one key is full, only
 *   requests with this key get it.
 * - With `nonces`, responses have the headers `DPoP-Nonce` and `Cache-Control: no-store`.
 *
 * **Gotchas**
 *
 * A page of another origin needs CORS: expose `WWW-Authenticate` and `DPoP-Nonce`, and allow `Authorization` and `DPoP`.
 *
 * **Example** (Accepting both bearer tokens and bound tokens)
 *
 * ```ts
 * import { Dpop, OAuth2 } from "effect-oauth2"
 *
 * export const auth = OAuth2.authorizationCode("OAuth2", {
 *   authorizationUrl: "https://idp.example.com/authorize",
 *   tokenUrl: "https://idp.example.com/token",
 *   scopes: { "items:read": "Read your items" },
 *   dpop: Dpop.make({ origin: "https://api.example.com" })
 * })
 * ```
 *
 * **Example** (Refusing tokens without a key)
 *
 * ```ts
 * import { Dpop, OAuth2 } from "effect-oauth2"
 *
 * export const auth = OAuth2.clientCredentials("Payments", {
 *   tokenUrl: "https://idp.example.com/token",
 *   scopes: { pay: "Make payments" },
 *   dpop: Dpop.make({ origin: "https://pay.example.com", algorithms: ["ES256", "PS256"], nonces: true }),
 *   senderConstrained: "required"
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options = {}): Dpop => {
  const own = ownProperties(options)
  const algorithms = algorithmsOf(own.algorithms)
  const usesNonces: unknown = own.nonces ?? false
  if (typeof usesNonces !== "boolean") throw new TypeError(`${where}: nonces must be true or false.`)
  const settings: Settings = {
    // An algorithm with two names is accepted under both.
    algorithms: new Set(algorithms.flatMap(namesOf)),
    origins: originsOf(own.origin),
    maxAge: millisOf("maxAge", own.maxAge, 60_000, [1000, 600_000], "1 second and 10 minutes"),
    clockTolerance: millisOf("clockTolerance", own.clockTolerance, 30_000, [0, 60_000], "0 and 60 seconds")
  }
  const hash = sha256.make()
  const textOf = segment.make()
  // One store for all layers of the scheme: with two stores, a proof could be used twice.
  let inMemory: Replays | undefined
  let ownNonces: nonces.NonceService | undefined
  const checkers = new Memo<ProofChecker>()
  const value: Dpop = Object.freeze({ algorithms: Object.freeze([...algorithms]), nonces: usesNonces })
  return register(value, {
    algorithms: value.algorithms,
    nonces: usesNonces,
    checker: Effect.contextWith((context: Context.Context<never>) => {
      const check = Context.get(context, Signatures)
      const store = replayStoreIn(context)
      const issuing = usesNonces
        ? (Context.getOrUndefined(context, Nonces) ?? (ownNonces ??= nonces.make([randomSecret()], defaultStep)))
        : undefined
      const owner = store ?? (inMemory ??= replays.inMemory(hash))
      return Effect.succeed(
        checkers.get(
          [check, owner, ...(issuing === undefined ? [] : [issuing])],
          () =>
            new ProofChecker(settings, {
              check,
              sha256: hash,
              textOf,
              nonces: issuing,
              replays: store === undefined ? (inMemory ??= replays.inMemory(hash)) : replays.inStore(store)
            })
        )
      )
    })
  })
}

const randomSecret = (): Uint8Array<ArrayBuffer> => crypto.getRandomValues(new Uint8Array(32))

/** The number of bytes of the hash (RFC 2104 §3). */
const minSecretBytes = 32

/**
 * Layer with nonces that all processes with the same secret accept.
 *
 * **When to use**
 *
 * Use with `nonces: true` if several processes serve the API. Provide it to the layer of the scheme.
 *
 * **Details**
 *
 * A nonce is an HMAC-SHA-256 of the time. The nonces of the previous, the current and the next period are accepted, and
 * a period is a third of the `lifetime`. Fails with a `ConfigurationError` if an option is invalid.
 *
 * **Gotchas**
 *
 * To replace the secret, first add the new one as the second secret everywhere. Then exchange the two, and remove the
 * old one after the `lifetime`.
 *
 * **Example** (Reading the secret from the environment)
 *
 * ```ts
 * import { Config, Effect, Layer } from "effect"
 * import { Dpop } from "effect-oauth2"
 *
 * export const Nonces = Layer.unwrap(
 *   Effect.map(Config.Redacted("DPOP_NONCE_SECRET"), (secret) => Dpop.layerNonces({ secrets: [secret] }))
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerNonces = (options: {
  /** One or two secrets of at least 32 bytes. The first one makes nonces, and both are accepted. */
  readonly secrets: readonly [Redacted.Redacted, Redacted.Redacted?]
  /** The time for which a nonce is accepted at most, from 3 seconds to 1 hour. @default "3 minutes" */
  readonly lifetime?: Duration.Input
}): Layer.Layer<Nonces, ConfigurationError> =>
  Layer.effect(
    Nonces,
    Effect.gen(function* () {
      const own = ownProperties(options)
      const given: ReadonlyArray<unknown> = Array.isArray(own.secrets) ? own.secrets : []
      const secrets = given.filter((secret) => secret !== undefined).map(bytesOf)
      if (secrets.length < 1 || secrets.length > 2 || secrets.some(({ length }) => length < minSecretBytes)) {
        return yield* refuseOption("secrets", `must be one or two Redacted texts of at least ${minSecretBytes} bytes`)
      }
      const lifetime = own.lifetime === undefined ? 3 * defaultStep : duration.toMillis(own.lifetime)
      if (!(lifetime >= 3000 && lifetime <= 3_600_000)) {
        return yield* refuseOption("lifetime", 'must be a duration between 3 seconds and 1 hour, such as "3 minutes"')
      }
      return Nonces.of(nonces.make(secrets, lifetime / 3))
    })
  )

const bytesOf = (secret: unknown): Uint8Array<ArrayBuffer> => {
  const text: unknown = Redacted.isRedacted(secret) ? Redacted.value(secret) : undefined
  return new TextEncoder().encode(typeof text === "string" ? text : "")
}
