/** What the test issuer is given and gives. */
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import type { HttpServerResponse } from "effect/http/HttpServerResponse"
import type * as Jose from "jose"
import type { Algorithm, SymmetricAlgorithm } from "../verifier/keys/algorithms.ts"

/**
 * What a `SigningKey` signs with: the algorithms that `JwtVerifier` knows, and HMAC (RFC 7518 §3.2), which it must refuse.
 *
 * @category models
 * @since 0.1.0
 */
export type SigningAlgorithm = Algorithm | SymmetricAlgorithm

/**
 * A key that signs, and what is published of it.
 *
 * **Details**
 *
 * `TestIssuer.makeKey` makes one. It is plain data, so a test can change what it says (`{ ...key, kid: "other" }`), or bring a key of its own,
 * such as one that is too short.
 *
 * **Example** (A key that is published under an algorithm that it is not for)
 *
 * ```ts import.meta.vitest
 * import { Effect } from "effect"
 * import { TestIssuer } from "effect-oauth2/testing"
 *
 * const program = Effect.gen(function* () {
 *   const issuer = yield* TestIssuer
 *   const key = yield* TestIssuer.makeKey("confused", "PS256")
 *   yield* issuer.publish({ ...key.jwk, alg: "RS256" })
 *   return yield* issuer.mint({ key })
 * })
 *
 * const token = await Effect.runPromise(Effect.provide(program, TestIssuer.layer()))
 *
 * atob(token.split(".")[0] ?? "") // => '{"alg":"PS256","kid":"confused","typ":"at+jwt"}'
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export interface SigningKey {
  /** Its name: the header's `kid` (RFC 7515 §4.1.4). */
  readonly kid: string
  /** How it signs, and the header's `alg`. */
  readonly alg: SigningAlgorithm
  /** A WebCrypto key with the usage `"sign"`; of `makeKey` it is extractable, so that a test can publish what must never be. */
  readonly privateKey: CryptoKey
  /** The public key (RFC 7517 §4), with `kid`, `alg` and `use`. Of an HMAC secret it is the secret. */
  readonly jwk: Jose.JWK
}

/**
 * What the issuer is.
 *
 * **Example** (An identity provider with a path, and two keys)
 *
 * ```ts import.meta.vitest
 * import { Effect } from "effect"
 * import { TestIssuer } from "effect-oauth2/testing"
 *
 * const Issuer = TestIssuer.layer({
 *   issuer: "https://login.example.com/tenant",
 *   audience: "https://api.example.com",
 *   keys: ["RS256", "ES256"]
 * })
 *
 * const names = TestIssuer.use(({ keys }) => Effect.map(keys, (keys) => keys.map(({ kid }) => kid)))
 *
 * await Effect.runPromise(Effect.provide(names, Issuer)) // => ["RS256-1", "ES256-1"]
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export interface TestIssuerOptions {
  /** Its identifier: an https URL (http on loopback) without query and fragment. Default: `"https://issuer.test"`. */
  readonly issuer?: string
  /** The `aud` of its access tokens. Default: `"https://api.test"`. */
  readonly audience?: string | ReadonlyArray<string>
  /**
   * Its keys: an algorithm makes a new one, named after it (`"RS256-1"`). All are published; the first one signs. Generating an RSA key takes some
   * 100 ms: to save them, make a key once with `TestIssuer.makeKey` and give it to each layer. Default: `["RS256"]`.
   */
  readonly keys?: ReadonlyArray<Algorithm | SigningKey>
  /** Members merged over the issuer's metadata, such as `registration_endpoint`. Default: none. */
  readonly metadata?: Readonly<Record<string, unknown>>
}

/**
 * What kind of token to mint.
 *
 * | profile | `typ` | claims beside `iss`, `sub`, `aud`, `iat`, `exp` |
 * |---|---|---|
 * | `"at+jwt"` | `at+jwt` | `client_id`, `jti` (RFC 9068 §2) |
 * | `"jwt"` | `JWT` | the same: an access token of an issuer that does not mark them |
 * | `"id-token"` | `JWT` | `auth_time`; `aud` is the client (OpenID Connect Core 1.0 §2): what an API must refuse |
 *
 * @category models
 * @since 0.1.0
 */
export type Profile = "at+jwt" | "jwt" | "id-token"

/**
 * How a token differs from a good one.
 *
 * **Example** (A token that never expires)
 *
 * ```ts import.meta.vitest
 * import { Effect, Layer, Redacted } from "effect"
 * import { JwtVerifier, TokenVerifier } from "effect-oauth2"
 * import { TestIssuer, type MintOptions } from "effect-oauth2/testing"
 *
 * const refusal = (options: MintOptions) =>
 *   Effect.gen(function* () {
 *     const token = yield* TestIssuer.use(({ mint }) => mint(options))
 *     const { verify } = yield* TokenVerifier
 *     const error = yield* Effect.flip(verify(Redacted.make(token)))
 *     return String(error.message)
 *   })
 *
 * const layers = JwtVerifier.layer({ issuer: "https://issuer.test", audience: "https://api.test" }).pipe(
 *   Layer.provideMerge(TestIssuer.layer())
 * )
 * const program = refusal({ without: ["exp"] })
 *
 * await Effect.runPromise(Effect.provide(program, layers)) // => "The access token was refused: Claim (exp)"
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export interface MintOptions {
  /** `sub`. Default: `"demo"`. */
  readonly subject?: string
  /** `scope`, joined with spaces. Default: the token has no `scope`. */
  readonly scopes?: ReadonlyArray<string>
  /** `aud`. Default: the issuer's `audience`; of an ID token, the client. */
  readonly audience?: string | ReadonlyArray<string>
  /** The time from `iat` to `exp`, finite; below zero the token has expired before it was issued. Default: 10 minutes. */
  readonly lifetime?: Duration.Input
  /** Default: `"at+jwt"`. */
  readonly profile?: Profile
  /** Claims of any JSON, merged over all the others. Default: none. */
  readonly claims?: Readonly<Record<string, unknown>>
  /** Names of claims to leave out. Default: none. */
  readonly without?: ReadonlyArray<string>
  /**
   * Parameters merged over the header; `undefined` leaves one out. The signature stays that of the key: a header can lie, about `alg` too. Default:
   * none.
   */
  readonly header?: Readonly<Record<string, unknown>>
  /** What signs: the name of one of the issuer's keys, or any key. Default: the current key. */
  readonly key?: string | SigningKey
}

/**
 * How an opaque token differs from a good one.
 *
 * @category models
 * @since 0.1.0
 */
export type OpaqueOptions = Omit<MintOptions, "profile" | "header" | "key">

/**
 * A part of a token: a text or bytes, which are then base64url-encoded, or what is encoded already and goes out as it is.
 *
 * @category models
 * @since 0.1.0
 */
export type RawPart = string | Uint8Array | { readonly encoded: string }

/**
 * A token of any bytes. Nothing is parsed or checked.
 *
 * **Example** (No algorithm, no signature)
 *
 * ```ts import.meta.vitest
 * import { Effect } from "effect"
 * import { TestIssuer } from "effect-oauth2/testing"
 *
 * const token = TestIssuer.use(({ mintRaw }) =>
 *   mintRaw({ header: '{"alg":"none"}', payload: '{"sub":"admin","sub":"demo"}', signature: "" })
 * )
 *
 * await Effect.runPromise(
 *   Effect.provide(token, TestIssuer.layer())
 * ) // => "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiIsInN1YiI6ImRlbW8ifQ."
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export interface RawToken {
  /** The first segment. */
  readonly header: RawPart
  /** The second segment. */
  readonly payload: RawPart
  /** The third segment, as it is: `""` for none, or another token's. Default: a real signature over the other two. */
  readonly signature?: string
  /** What signs: the name of one of the issuer's keys, or any key. Default: the current key. */
  readonly key?: string | SigningKey
}

/**
 * What the issuer answers at: its metadata by OpenID Connect Discovery 1.0 §4 and by RFC 8414 §3, its key set, and token introspection (RFC 7662).
 *
 * @category models
 * @since 0.1.0
 */
export type Endpoint = "openid-configuration" | "oauth-authorization-server" | "jwks" | "introspection"

/**
 * How an endpoint answers.
 *
 * | answer | what the client sees |
 * |---|---|
 * | `"normal"` | the metadata, the key set, or what is so of the token |
 * | `"unreachable"` | no connection; on a socket, one that breaks before the answer |
 * | `"never"` | a connection, and no answer |
 * | an object | the normal answer, but for what the object says |
 *
 * **Example** (A key set that is no JSON, after three seconds)
 *
 * ```ts import.meta.vitest
 * import { Effect, Fiber, Layer } from "effect"
 * import { HttpClient } from "effect/http"
 * import { TestClock } from "effect/testing"
 * import { TestIssuer } from "effect-oauth2/testing"
 *
 * const program = Effect.gen(function* () {
 *   const { jwksUri, respond } = yield* TestIssuer
 *   yield* respond("jwks", { delay: "3 seconds", status: 500, body: "<html>" })
 *   const fiber = yield* Effect.forkChild(HttpClient.get(jwksUri))
 *   yield* TestClock.adjust("3 seconds")
 *   const { status } = yield* Fiber.join(fiber)
 *   return status
 * })
 *
 * const layers = Layer.merge(TestIssuer.layer(), TestClock.layer())
 *
 * await Effect.runPromise(Effect.provide(program, layers)) // => 500
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export type Answer =
  | "normal"
  | "unreachable"
  | "never"
  | {
      /** Waited for before the answer, on the `Clock`: finite, and not below zero. Default: none. */
      readonly delay?: Duration.Input
      /** Default: 200. Redirects are answered, not followed. */
      readonly status?: number
      /** Default: `content-type: application/json`. */
      readonly headers?: Readonly<Record<string, string>>
      /** A text or bytes, as they are. Default: the normal body. */
      readonly body?: string | Uint8Array
    }

/**
 * A request that the issuer was sent.
 *
 * **Example** (One look at the keys for two tokens)
 *
 * ```ts import.meta.vitest
 * import { Effect, Layer, Redacted } from "effect"
 * import { JwtVerifier, TokenVerifier } from "effect-oauth2"
 * import { TestIssuer } from "effect-oauth2/testing"
 *
 * const program = Effect.gen(function* () {
 *   const { mint, requests } = yield* TestIssuer
 *   const { verify } = yield* TokenVerifier
 *   yield* verify(Redacted.make(yield* mint()))
 *   yield* verify(Redacted.make(yield* mint()))
 *   return (yield* requests).map(({ endpoint }) => endpoint)
 * })
 *
 * const layers = JwtVerifier.layer({ issuer: "https://issuer.test", audience: "https://api.test" }).pipe(
 *   Layer.provideMerge(TestIssuer.layer())
 * )
 *
 * await Effect.runPromise(Effect.provide(program, layers)) // => ["openid-configuration", "jwks"]
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export interface IssuerRequest {
  /** What was asked; `"other"` is what the issuer does not have, and, with the in-memory client, another origin. */
  readonly endpoint: Endpoint | "other"
  /** The method, in capitals. */
  readonly method: string
  /** The whole URL, with its query. */
  readonly url: string
  /** When it arrived: milliseconds since 1970, on the `Clock`. */
  readonly time: number
}

/**
 * What `TestIssuer` is in the context. Its functions may be taken out of it: `const { mint } = yield* TestIssuer`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Issuer {
  /** Its identifier, the `iss` of its tokens. */
  readonly issuer: string
  /** The `aud` of its access tokens. */
  readonly audience: string | ReadonlyArray<string>
  /** Where its key set is. */
  readonly jwksUri: string
  /** Where it is asked about tokens (RFC 7662 §2), by any client that shows a secret. */
  readonly introspectionEndpoint: string
  /**
   * What discovery answers, to build a wrong one from.
   *
   * **Example** (Metadata that names another issuer)
   *
   * ```ts import.meta.vitest
   * import { Effect } from "effect"
   * import { TestIssuer } from "effect-oauth2/testing"
   *
   * const program = Effect.gen(function* () {
   *   const { metadata, respond } = yield* TestIssuer
   *   const body = { ...(yield* metadata), issuer: "https://evil.example.com" }
   *   yield* respond("discovery", { body: JSON.stringify(body) })
   *   return Object.keys(body).includes("jwks_uri")
   * })
   *
   * await Effect.runPromise(Effect.provide(program, TestIssuer.layer({ keys: ["ES256"] }))) // => true
   * ```
   */
  readonly metadata: Effect.Effect<Readonly<Record<string, unknown>>>

  /**
   * A token that is good from now on the `Clock`, but for what the options change. Its `jti` is `token-1`, `token-2`, …
   *
   * **Example** (A user with two scopes)
   *
   * ```ts import.meta.vitest
   * import { Effect } from "effect"
   * import { TestIssuer } from "effect-oauth2/testing"
   *
   * const program = Effect.gen(function* () {
   *   const { mint } = yield* TestIssuer
   *   const token = yield* mint({ subject: "alice", scopes: ["items:read", "me"] })
   *   return JSON.parse(atob(token.split(".")[1] ?? "")).scope
   * })
   *
   * await Effect.runPromise(Effect.provide(program, TestIssuer.layer({ keys: ["ES256"] }))) // => "items:read me"
   * ```
   */
  readonly mint: (options?: MintOptions) => Effect.Effect<string>
  /**
   * A token that says nothing, `opaque-1`, and no other one is like it: who wants to know asks the issuer. The options change what it answers, beside `active`: the claims, and
   * `token_type`, which refresh tokens have none of (`without: ["token_type"]`).
   *
   * **Example** (A refresh token, which is active, too)
   *
   * ```ts import.meta.vitest
   * import { Effect, Layer, Redacted } from "effect"
   * import { TokenIntrospection, TokenVerifier } from "effect-oauth2"
   * import { TestIssuer } from "effect-oauth2/testing"
   *
   * const Verifier = TokenIntrospection.layer({
   *   issuer: "https://issuer.test",
   *   audience: "https://api.test",
   *   clientId: "api",
   *   clientSecret: Redacted.make("secret")
   * })
   *
   * const program = Effect.gen(function* () {
   *   const { mintOpaque } = yield* TestIssuer
   *   const { verify } = yield* TokenVerifier
   *   const refresh = yield* mintOpaque({ without: ["token_type"] })
   *   const error = yield* Effect.flip(verify(Redacted.make(refresh)))
   *   return String(error.message)
   * })
   *
   * const layers = Verifier.pipe(Layer.provideMerge(TestIssuer.layer({ keys: ["ES256"] })))
   *
   * await Effect.runPromise(Effect.provide(program, layers)) // => "The access token was refused: Claim (token_type)"
   * ```
   */
  readonly mintOpaque: (options?: OpaqueOptions) => Effect.Effect<string>
  /**
   * From now on the issuer says that this access token, opaque or not, is not active. Of what somebody else has signed it says so anyway.
   *
   * **Example** (A token that is taken for as long as it is kept)
   *
   * ```ts import.meta.vitest
   * import { Effect, Layer, Redacted } from "effect"
   * import { TokenIntrospection, TokenVerifier } from "effect-oauth2"
   * import { TestIssuer } from "effect-oauth2/testing"
   *
   * const Verifier = TokenIntrospection.layer({
   *   issuer: "https://issuer.test",
   *   audience: "https://api.test",
   *   clientId: "api",
   *   clientSecret: Redacted.make("secret")
   * })
   *
   * const program = Effect.gen(function* () {
   *   const { mintOpaque, revoke } = yield* TestIssuer
   *   const { verify } = yield* TokenVerifier
   *   const token = yield* mintOpaque()
   *   const verified = Effect.match(verify(Redacted.make(token)), { onFailure: (error) => error._tag, onSuccess: () => "ok" })
   *   const before = yield* verified
   *   yield* revoke(token)
   *   const kept = yield* verified
   *   yield* TokenVerifier.invalidate(Redacted.make(token))
   *   return [before, kept, yield* verified]
   * })
   *
   * const layers = Verifier.pipe(Layer.provideMerge(TestIssuer.layer({ keys: ["ES256"] })))
   *
   * await Effect.runPromise(Effect.provide(program, layers)) // => ["ok", "ok", "InvalidToken"]
   * ```
   */
  readonly revoke: (token: string) => Effect.Effect<void>
  /**
   * A token of any bytes, signed as they are: for everything that `mint` cannot say.
   *
   * **Example** (A payload that is no JSON)
   *
   * ```ts import.meta.vitest
   * import { Effect } from "effect"
   * import { TestIssuer } from "effect-oauth2/testing"
   *
   * const program = Effect.gen(function* () {
   *   const { mintRaw } = yield* TestIssuer
   *   const token = yield* mintRaw({ header: '{"alg":"ES256","kid":"ES256-1","typ":"at+jwt"}', payload: "demo" })
   *   return atob(token.split(".")[1] ?? "")
   * })
   *
   * await Effect.runPromise(Effect.provide(program, TestIssuer.layer({ keys: ["ES256"] }))) // => "demo"
   * ```
   */
  readonly mintRaw: (token: RawToken) => Effect.Effect<string>

  /**
   * Every key that it can sign with, the unpublished ones too.
   *
   * **Example** (What stays after a rotation)
   *
   * ```ts import.meta.vitest
   * import { Effect } from "effect"
   * import { TestIssuer } from "effect-oauth2/testing"
   *
   * const program = Effect.gen(function* () {
   *   const { keys, rotate } = yield* TestIssuer
   *   yield* rotate()
   *   return (yield* keys).map(({ kid }) => kid)
   * })
   *
   * await Effect.runPromise(Effect.provide(program, TestIssuer.layer({ keys: ["ES256"] }))) // => ["ES256-1", "ES256-2"]
   * ```
   */
  readonly keys: Effect.Effect<ReadonlyArray<SigningKey>>
  /**
   * The key that signs.
   *
   * **Example** (A token that names the key of another)
   *
   * ```ts import.meta.vitest
   * import { Effect } from "effect"
   * import { TestIssuer } from "effect-oauth2/testing"
   *
   * const program = Effect.gen(function* () {
   *   const { currentKey, mint } = yield* TestIssuer
   *   const { kid } = yield* currentKey
   *   const token = yield* mint({ key: yield* TestIssuer.makeKey("other", "ES256"), header: { kid } })
   *   return JSON.parse(atob(token.split(".")[0] ?? "")).kid
   * })
   *
   * await Effect.runPromise(Effect.provide(program, TestIssuer.layer({ keys: ["ES256"] }))) // => "ES256-1"
   * ```
   */
  readonly currentKey: Effect.Effect<SigningKey>
  /**
   * Publishes a key, and signs with it from now on; the others stay published. Default: a new key of the current one's algorithm.
   *
   * **Example** (A new algorithm)
   *
   * ```ts import.meta.vitest
   * import { Effect } from "effect"
   * import { TestIssuer } from "effect-oauth2/testing"
   *
   * const program = Effect.gen(function* () {
   *   const { mint, rotate } = yield* TestIssuer
   *   yield* rotate("EdDSA")
   *   return atob((yield* mint()).split(".")[0] ?? "")
   * })
   *
   * await Effect.runPromise(Effect.provide(program, TestIssuer.layer({ keys: ["ES256"] }))) // => '{"alg":"EdDSA","kid":"EdDSA-1","typ":"at+jwt"}'
   * ```
   */
  readonly rotate: (key?: Algorithm | SigningKey) => Effect.Effect<SigningKey>
  /**
   * Takes all keys of this name out of the key set. They can still sign.
   *
   * **Example** (A key set after the old key is gone)
   *
   * ```ts import.meta.vitest
   * import { Effect } from "effect"
   * import { HttpClient } from "effect/http"
   * import { TestIssuer } from "effect-oauth2/testing"
   *
   * const program = Effect.gen(function* () {
   *   const { jwksUri, retire, rotate } = yield* TestIssuer
   *   yield* rotate()
   *   yield* retire("ES256-1")
   *   const response = yield* HttpClient.get(jwksUri)
   *   return (yield* response.text).match(/ES256-\d/g)?.join()
   * })
   *
   * await Effect.runPromise(Effect.provide(program, TestIssuer.layer({ keys: ["ES256"] }))) // => "ES256-2"
   * ```
   */
  readonly retire: (kid: string) => Effect.Effect<void>
  /**
   * Puts any JSON into the key set as it is, such as the key of somebody else or what is no key at all.
   *
   * **Example** (A key set that holds a secret)
   *
   * ```ts import.meta.vitest
   * import { Effect } from "effect"
   * import { HttpClient } from "effect/http"
   * import { TestIssuer } from "effect-oauth2/testing"
   *
   * const program = Effect.gen(function* () {
   *   const { jwksUri, publish } = yield* TestIssuer
   *   yield* publish({ kty: "oct", k: "c2VjcmV0" })
   *   const response = yield* HttpClient.get(jwksUri)
   *   return (yield* response.text).includes("c2VjcmV0")
   * })
   *
   * await Effect.runPromise(Effect.provide(program, TestIssuer.layer({ keys: ["ES256"] }))) // => true
   * ```
   */
  readonly publish: (jwk: unknown) => Effect.Effect<void>

  /**
   * How an endpoint answers from the next request on; `"discovery"` is both of the metadata's.
   *
   * **Example** (An issuer without OpenID Connect, as RFC 8414 describes it)
   *
   * ```ts import.meta.vitest
   * import { Effect } from "effect"
   * import { HttpClient } from "effect/http"
   * import { TestIssuer } from "effect-oauth2/testing"
   *
   * const program = Effect.gen(function* () {
   *   const { issuer, respond } = yield* TestIssuer
   *   yield* respond("openid-configuration", { status: 404 })
   *   const { status } = yield* HttpClient.get(`${issuer}/.well-known/openid-configuration`)
   *   return status
   * })
   *
   * await Effect.runPromise(Effect.provide(program, TestIssuer.layer({ keys: ["ES256"] }))) // => 404
   * ```
   */
  readonly respond: (endpoint: Endpoint | "discovery", answer: Answer) => Effect.Effect<void>
  /**
   * What it was sent, oldest first.
   *
   * **Example** (That nobody asked for the keys)
   *
   * ```ts import.meta.vitest
   * import { Effect } from "effect"
   * import { HttpClient } from "effect/http"
   * import { TestIssuer } from "effect-oauth2/testing"
   *
   * const program = Effect.gen(function* () {
   *   const { issuer, requests } = yield* TestIssuer
   *   yield* HttpClient.get(`${issuer}/authorize`)
   *   return (yield* requests).map(({ endpoint, method }) => [method, endpoint])
   * })
   *
   * await Effect.runPromise(Effect.provide(program, TestIssuer.layer({ keys: ["ES256"] }))) // => [["GET", "other"]]
   * ```
   */
  readonly requests: Effect.Effect<ReadonlyArray<IssuerRequest>>
  /**
   * Back to how it was built: its first keys, normal answers, no requests, and `token-1` next.
   *
   * **Example** (One issuer for many tests)
   *
   * ```ts import.meta.vitest
   * import { Effect } from "effect"
   * import { TestIssuer } from "effect-oauth2/testing"
   *
   * const program = Effect.gen(function* () {
   *   const { keys, reset, rotate } = yield* TestIssuer
   *   yield* Effect.andThen(rotate(), reset)
   *   return (yield* keys).length
   * })
   *
   * await Effect.runPromise(Effect.provide(program, TestIssuer.layer({ keys: ["ES256"] }))) // => 1
   * ```
   */
  readonly reset: Effect.Effect<void>

  /**
   * The issuer as an HTTP app, for servers of your own. Each path that is not an endpoint is a 404.
   *
   * **Example** (A web handler)
   *
   * ```ts import.meta.vitest
   * import { Effect } from "effect"
   * import { HttpEffect } from "effect/http"
   * import { TestIssuer } from "effect-oauth2/testing"
   *
   * const program = Effect.gen(function* () {
   *   const { app, jwksUri } = yield* TestIssuer
   *   const handler = HttpEffect.toWebHandler(app)
   *   return (yield* Effect.promise(() => handler(new Request(jwksUri)))).status
   * })
   *
   * await Effect.runPromise(Effect.provide(program, TestIssuer.layer({ keys: ["ES256"] }))) // => 200
   * ```
   */
  readonly app: Effect.Effect<HttpServerResponse, never, HttpServerRequest>
}
