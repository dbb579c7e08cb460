/** The public types of `TestIssuer`: its options, its service, and the tokens, keys and responses that it makes. */
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import type { HttpServerResponse } from "effect/http/HttpServerResponse"
import type * as Jose from "jose"
import type { Algorithm, SymmetricAlgorithm } from "../verifier/keys/algorithms.ts"
import type {
  AuthorizationServerOptions,
  LogoutTokenOptions,
  ProtocolEndpoint,
  TestEndpoints,
  TestSession,
  TestUser
} from "./authorizationServer/model.ts"

/**
 * Algorithm of a `SigningKey`. `JwtVerifier` supports all of them except HMAC (RFC 7518 §3.2).
 *
 * @category models
 * @since 0.1.0
 */
export type SigningAlgorithm = Algorithm | SymmetricAlgorithm

/**
 * Key that signs tokens, together with its published form.
 *
 * **Details**
 *
 * `TestIssuer.makeKey` makes a key. A key is plain data, so you can change it (`{ ...key, kid: "other" }`) or pass your
 * own key, such as one that is too short.
 *
 * **Example** (Publishing a key under the wrong algorithm)
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
  /** Name of the key: the `kid` of the token header (RFC 7515 §4.1.4). */
  readonly kid: string
  /** Signature algorithm: the `alg` of the token header. */
  readonly alg: SigningAlgorithm
  /**
   * WebCrypto key with the usage `"sign"`. A key from `makeKey` is extractable, so a test can publish the private key
   * as an attack.
   */
  readonly privateKey: CryptoKey
  /** Public key with `kid`, `alg` and `use` (RFC 7517 §4). For an HMAC key, the JWK contains the secret. */
  readonly jwk: Jose.JWK
}

/**
 * Options for `TestIssuer.layer` and `TestIssuer.serve`.
 *
 * **Example** (Making an issuer with a path and two keys)
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
export interface TestIssuerOptions extends AuthorizationServerOptions {
  /**
   * Issuer identifier: an https URL without query and fragment. A loopback address may use http.
   *
   * Default: `"https://issuer.test"`.
   */
  readonly issuer?: string
  /** `aud` claim of access tokens. Default: `"https://api.test"`. */
  readonly audience?: string | ReadonlyArray<string>
  /**
   * Signing keys. An algorithm generates a new key, named after the algorithm (`"RS256-1"`). Every key is published.
   * The first key signs.
   *
   * An RSA key takes about 100 ms to generate. To save time, make a key once with `TestIssuer.makeKey` and pass the key
   * to each layer.
   *
   * Default: `["RS256"]`.
   */
  readonly keys?: ReadonlyArray<Algorithm | SigningKey>
  /** Members that replace or extend the issuer's metadata, such as `registration_endpoint`. Default: none. */
  readonly metadata?: Readonly<Record<string, unknown>>
  /** The places where the issuer serves its metadata. Default: `["openid", "oauth"]`. */
  readonly metadataAt?: ReadonlyArray<MetadataPlace>
  /**
   * Provider whose access tokens `mint` imitates, with the name of its function in `Provider`. `scopes` are written
   * where the options of the provider read them: as `scp` of Entra ID, or as roles of a Zitadel project. A token with
   * the `profile` option has the shape of that profile instead.
   *
   * Default: access tokens of RFC 9068.
   *
   * **Example** (Testing an API whose tokens come from Entra ID)
   *
   * ```ts import.meta.vitest
   * import { Effect, Layer, Redacted } from "effect"
   * import { JwtVerifier, Provider, TokenVerifier } from "effect-oauth2"
   * import { TestIssuer } from "effect-oauth2/testing"
   *
   * const options = Provider.entra({ tenant: "11111111-2222-3333-4444-555555555555", audience: "api" })
   * const Issuer = TestIssuer.layer({ issuer: options.issuer, audience: "api", provider: "entra" })
   *
   * const program = Effect.gen(function* () {
   *   const token = yield* TestIssuer.use(({ mint }) => mint({ scopes: ["Items.Read"] }))
   *   const { claims, scopes } = yield* TokenVerifier.use(({ verify }) => verify(Redacted.make(token)))
   *   return [claims["scp"], scopes.has("Items.Read")]
   * })
   *
   * await Effect.runPromise(
   *   Effect.provide(program, JwtVerifier.layer(options).pipe(Layer.provideMerge(Issuer)))
   * ) // => ["Items.Read", true]
   * ```
   */
  readonly provider?: ProviderName
  /** Path of the key set, such as `"/cdn-cgi/access/certs"`. Default: the path of the issuer and `/jwks`. */
  readonly jwksPath?: `/${string}`
}

/**
 * Place of the metadata of an issuer such as `https://issuer.test/a`.
 *
 * | place | path |
 * |---|---|
 * | `"openid"` | `/a/.well-known/openid-configuration` (OpenID Connect Discovery 1.0 §4) |
 * | `"oauth"` | `/.well-known/oauth-authorization-server/a` (RFC 8414 §3) |
 * | `"openid-inserted"` | `/.well-known/openid-configuration/a` (RFC 8414 §5) |
 * | `"oauth-appended"` | `/a/.well-known/oauth-authorization-server`, which no standard has |
 *
 * @category models
 * @since 0.1.0
 */
export type MetadataPlace = "openid" | "oauth" | "openid-inserted" | "oauth-appended"

/**
 * Provider whose access tokens a `TestIssuer` can imitate.
 *
 * @category models
 * @since 0.1.0
 */
export type ProviderName =
  | "auth0"
  | "authentik"
  | "betterAuth"
  | "clerk"
  | "cloudflareAccess"
  | "cognito"
  | "duende"
  | "entra"
  | "firebase"
  | "fusionAuth"
  | "githubActions"
  | "google"
  | "hydra"
  | "keycloak"
  | "kubernetes"
  | "logto"
  | "okta"
  | "pingOne"
  | "supabase"
  | "workos"
  | "xsuaa"
  | "zitadel"

/**
 * Kind of token to mint.
 *
 * | profile | token | `typ` header | claims beside `iss`, `sub`, `aud`, `iat`, `exp` |
 * |---|---|---|---|
 * | `"at+jwt"` | access token (RFC 9068 §2) | `at+jwt` | `client_id`, `jti` |
 * | `"jwt"` | access token of an issuer that does not mark access tokens | `JWT` | `client_id`, `jti` |
 * | `"id-token"` | ID token, which an API must refuse | `JWT` | `auth_time`; `aud` is the client (OpenID Connect Core 1.0 §2) |
 *
 * @category models
 * @since 0.1.0
 */
export type Profile = "at+jwt" | "jwt" | "id-token"

/**
 * Options for `mint`: the differences from a valid token.
 *
 * **Example** (Minting a token that never expires)
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
  /** `sub` claim. Default: `"demo"`. */
  readonly subject?: string
  /** Scopes of the `scope` claim, joined with spaces. Default: no `scope` claim. */
  readonly scopes?: ReadonlyArray<string>
  /** `aud` claim. Default: the issuer's `audience`; for an ID token, the client. */
  readonly audience?: string | ReadonlyArray<string>
  /** Time from `iat` to `exp`. Must be finite. A negative lifetime mints an expired token. Default: 10 minutes. */
  readonly lifetime?: Duration.Input
  /** `acr` claim: the class of the user's authentication. Default: no `acr` claim. */
  readonly acr?: string
  /** `amr` claim: the methods of the user's authentication. Default: no `amr` claim. */
  readonly amr?: ReadonlyArray<string>
  /**
   * Time since the user authenticated, which `auth_time` states. A negative time is in the future. Must be finite.
   * Default: no `auth_time` claim.
   */
  readonly authenticatedAgo?: Duration.Input
  /** `authorization_details` claim (RFC 9396). Any JSON is allowed. Default: no such claim. */
  readonly authorizationDetails?: unknown
  /** Kind of token. Default: `"at+jwt"`, or an access token of the issuer's `provider`. */
  readonly profile?: Profile
  /**
   * What the token is bound to: a client of `makeDpopClient`, a certificate, or both. Default: nothing, so the token is a
   * bearer token.
   */
  readonly boundTo?: {
    /** The thumbprint of the client's key (`cnf.jkt`, RFC 9449 §6.1). Default: none. */
    readonly jkt?: string
    /** The certificate of the client in DER or PEM (`cnf.x5t#S256`, RFC 8705 §3.1). Default: none. */
    readonly certificate?: Uint8Array<ArrayBuffer> | string
  }
  /** Claims that replace or extend all other claims. Any JSON is allowed. Default: none. */
  readonly claims?: Readonly<Record<string, unknown>>
  /** Names of claims to leave out, also if `claims` has them. Default: none. */
  readonly without?: ReadonlyArray<string>
  /**
   * Header parameters that replace or extend the defaults. `undefined` removes a parameter. The key still signs with
   * its own algorithm, so `alg` can be wrong.
   *
   * Default: none.
   */
  readonly header?: Readonly<Record<string, unknown>>
  /** Signing key: the name of a key of the issuer, or any key. Default: the current key. */
  readonly key?: string | SigningKey
}

/**
 * Options for `mintOpaque`: the differences from a valid token.
 *
 * @category models
 * @since 0.1.0
 */
export type OpaqueOptions = Omit<MintOptions, "profile" | "header" | "key">

/**
 * Segment of a raw token. Text and bytes are base64url-encoded. `{ encoded }` is written unchanged.
 *
 * @category models
 * @since 0.1.0
 */
export type RawPart = string | Uint8Array | { readonly encoded: string }

/**
 * Token made of any bytes. `TestIssuer` neither parses nor checks them.
 *
 * **Example** (Minting a token without algorithm and signature)
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
  /** First segment. */
  readonly header: RawPart
  /** Second segment. */
  readonly payload: RawPart
  /**
   * Third segment, written unchanged. `""` means no signature.
   *
   * Default: a valid signature over the other two segments.
   */
  readonly signature?: string
  /** Signing key: the name of a key of the issuer, or any key. Default: the current key. */
  readonly key?: string | SigningKey
}

/**
 * Endpoint of a `TestIssuer`.
 *
 * | endpoint | content |
 * |---|---|
 * | `"openid-configuration"` | metadata (OpenID Connect Discovery 1.0 §4) |
 * | `"oauth-authorization-server"` | metadata (RFC 8414 §3) |
 * | `"jwks"` | key set (RFC 7517 §5) |
 * | `"introspection"` | token introspection (RFC 7662 §2) |
 * | `"authorization"` | redirect with a code (RFC 6749 §4.1.2), or a form that posts it |
 * | `"token"` | tokens for a code, a refresh token, a device code, an exchanged token, or the client itself |
 * | `"device-authorization"` | codes for a device (RFC 8628 §3.2) |
 * | `"revocation"` | nothing (RFC 7009 §2.2) |
 * | `"end-session"` | redirect after the end of the session (OpenID Connect RP-Initiated Logout 1.0) |
 *
 * @category models
 * @since 0.1.0
 */
export type Endpoint =
  "openid-configuration" | "oauth-authorization-server" | "jwks" | "introspection" | ProtocolEndpoint

/**
 * Response of an endpoint, as set by `respond`.
 *
 * | answer | what the client receives |
 * |---|---|
 * | `"normal"` | the metadata, the key set, or the state of the token |
 * | `"unreachable"` | a connection error; a socket closes before the response |
 * | `"lost"` | a connection error after the request was carried out: a rotated refresh token is used up |
 * | `"never"` | a connection, but no response |
 * | an object | the normal response, changed by the members of the object |
 *
 * **Example** (Responding with HTML after three seconds)
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
export type IssuerResponse =
  | "normal"
  | "unreachable"
  | "lost"
  | "never"
  | {
      /** Time before the response, on the `Clock`. Must be finite and not negative. Default: no delay. */
      readonly delay?: Duration.Input
      /** Status code. The in-memory client does not follow redirects. Default: 200. */
      readonly status?: number
      /** Headers that replace or extend `content-type: application/json`. Default: none. */
      readonly headers?: Readonly<Record<string, string>>
      /** Body, sent unchanged. Default: the normal body. */
      readonly body?: string | Uint8Array
      /**
       * The only media type of the endpoint. It responds with 406 to a request that does not accept the type. Default:
       * every media type.
       */
      readonly mediaType?: string
    }

/**
 * Request that the issuer received.
 *
 * **Example** (Checking that two tokens cause one fetch of the keys)
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
  /** Requested endpoint. `"other"` is any other path, and any other origin if the request used the in-memory client. */
  readonly endpoint: Endpoint | "other"
  /** HTTP method, in capitals. */
  readonly method: string
  /** Whole URL, with the query. */
  readonly url: string
  /** Parameters of the form that a protocol endpoint received. */
  readonly parameters?: Readonly<Record<string, string>>
  /** Value of the `Cache-Control` header. */
  readonly cacheControl?: string
  /** Time of arrival on the `Clock`, in milliseconds since 1970. */
  readonly time: number
}

/**
 * Members of the `TestIssuer` service. You can destructure them: `const { mint } = yield* TestIssuer`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Issuer {
  /** Issuer identifier: the `iss` claim of the tokens. */
  readonly issuer: string
  /** `aud` claim of access tokens. */
  readonly audience: string | ReadonlyArray<string>
  /** URL of the key set. */
  readonly jwksUri: string
  /** URL of the introspection endpoint (RFC 7662 §2). Every client that sends credentials is accepted. */
  readonly introspectionEndpoint: string
  /** URLs of the protocol endpoints, as the metadata names them. */
  readonly endpoints: TestEndpoints
  /**
   * Returns the metadata that both discovery endpoints serve. Use it to build wrong metadata.
   *
   * **Example** (Serving metadata that names another issuer)
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
   * Mints a token that is valid from now on the `Clock`. The options change the token. Its `jti` is `token-1`,
   * `token-2`, …
   *
   * **Example** (Minting a token with two scopes)
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
   * Mints an opaque token for `TokenIntrospection`, such as `opaque-1`. No two opaque tokens are equal, also after
   * `reset`.
   *
   * **Details**
   *
   * The options change the introspection response, except its `active` member. A refresh token has no `token_type`:
   * pass `without: ["token_type"]`.
   *
   * **Example** (Minting a refresh token)
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
   * Revokes an access token: from now on, the introspection endpoint reports that it is not active.
   *
   * **Details**
   *
   * Works for opaque tokens and JWTs of this issuer. Dies if the issuer did not mint the token, or if the token is
   * already revoked.
   *
   * **Example** (Revoking a token that is cached)
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
   *   const outcome = { onFailure: (error: { readonly _tag: string }) => error._tag, onSuccess: () => "ok" }
   *   const verified = Effect.match(verify(Redacted.make(token)), outcome)
   *   const before = yield* verified
   *   yield* revoke(token)
   *   const cached = yield* verified
   *   yield* TokenVerifier.invalidate(Redacted.make(token))
   *   return [before, cached, yield* verified]
   * })
   *
   * const layers = Verifier.pipe(Layer.provideMerge(TestIssuer.layer({ keys: ["ES256"] })))
   *
   * await Effect.runPromise(Effect.provide(program, layers)) // => ["ok", "ok", "InvalidToken"]
   * ```
   */
  readonly revoke: (token: string) => Effect.Effect<void>
  /**
   * Mints a token of any bytes, and signs exactly those bytes. Use it for tokens that `mint` cannot express.
   *
   * **Example** (Minting a token whose payload is not JSON)
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
   * Signs a user in at the authorization endpoint, which redirects with a code of this user from now on. At the start,
   * `demo` is signed in.
   *
   * **Details**
   *
   * | parameter of the authorization request | effect |
   * |---|---|
   * | `login_hint` | the code is for this user, who is signed in if necessary |
   * | `prompt=login`, `max_age`, `acr_values` | the user signs in again if necessary: `auth_time` is now |
   * | `prompt=none` | `login_required` if the user would have to sign in |
   *
   * **Example** (Exchanging a code for tokens)
   *
   * ```ts import.meta.vitest
   * import { Effect } from "effect"
   * import { HttpClient, HttpClientRequest } from "effect/http"
   * import { TestIssuer } from "effect-oauth2/testing"
   *
   * const program = Effect.gen(function* () {
   *   const { endpoints, signIn } = yield* TestIssuer
   *   const client = yield* HttpClient.HttpClient
   *   yield* signIn({ subject: "alice" })
   *   const parameters = { client_id: "web", redirect_uri: "https://app.test/callback" }
   *   const redirect = yield* client.get(endpoints.authorization, {
   *     urlParams: { ...parameters, response_type: "code", scope: "openid items:read" }
   *   })
   *   const code = new URL(redirect.headers["location"] ?? "").searchParams.get("code")
   *   const response = yield* client.execute(
   *     HttpClientRequest.post(endpoints.token).pipe(
   *       HttpClientRequest.bodyUrlParams({ ...parameters, grant_type: "authorization_code", code })
   *     )
   *   )
   *   return Object.keys((yield* response.json) as object).join()
   * })
   *
   * await Effect.runPromise(Effect.provide(program, TestIssuer.layer({ keys: ["ES256"] }))) // => "access_token,token_type,expires_in,scope,refresh_token,id_token"
   * ```
   */
  readonly signIn: (user?: TestUser) => Effect.Effect<TestSession>
  /**
   * Ends the session of the user who is signed in, and all its tokens. The authorization endpoint answers
   * `access_denied` until a user signs in, or `login_required` to `prompt=none`.
   *
   * **Example** (Asking whether a user is signed in)
   *
   * ```ts import.meta.vitest
   * import { Effect } from "effect"
   * import { HttpClient } from "effect/http"
   * import { TestIssuer } from "effect-oauth2/testing"
   *
   * const program = Effect.gen(function* () {
   *   const { endpoints, signOut } = yield* TestIssuer
   *   const client = yield* HttpClient.HttpClient
   *   yield* signOut
   *   const redirect = yield* client.get(endpoints.authorization, {
   *     urlParams: { client_id: "web", redirect_uri: "https://app.test/callback", response_type: "code", prompt: "none" }
   *   })
   *   return new URL(redirect.headers["location"] ?? "").searchParams.get("error")
   * })
   *
   * await Effect.runPromise(Effect.provide(program, TestIssuer.layer({ keys: ["ES256"] }))) // => "login_required"
   * ```
   */
  readonly signOut: Effect.Effect<void>
  /**
   * Approves the device with this user code (RFC 8628 §3.3). Dies if no device waits with the code.
   *
   * **Example** (Approving a television)
   *
   * ```ts import.meta.vitest
   * import { Effect, Schema } from "effect"
   * import { HttpClient, HttpClientRequest } from "effect/http"
   * import { TestIssuer } from "effect-oauth2/testing"
   *
   * const Codes = Schema.Struct({ device_code: Schema.String, user_code: Schema.String })
   *
   * const program = Effect.gen(function* () {
   *   const { approveDevice, endpoints } = yield* TestIssuer
   *   const client = yield* HttpClient.HttpClient
   *   const post = (url: string, parameters: Record<string, string>) =>
   *     client.execute(
   *       HttpClientRequest.post(url).pipe(HttpClientRequest.bodyUrlParams({ client_id: "tv", ...parameters }))
   *     )
   *   const started = yield* (yield* post(endpoints.deviceAuthorization, {})).json
   *   const { device_code, user_code } = yield* Schema.decodeUnknownEffect(Codes)(started)
   *   yield* approveDevice(user_code, { subject: "alice" })
   *   const grant_type = "urn:ietf:params:oauth:grant-type:device_code"
   *   return (yield* post(endpoints.token, { grant_type, device_code })).status
   * })
   *
   * await Effect.runPromise(Effect.provide(program, TestIssuer.layer({ keys: ["ES256"] }))) // => 200
   * ```
   */
  readonly approveDevice: (userCode: string, user?: TestUser) => Effect.Effect<void>
  /**
   * Refuses the device with this user code: its next poll gets `access_denied`. Dies if no device waits with the code.
   *
   * **Example** (Refusing an unknown device)
   *
   * ```ts import.meta.vitest
   * import { Cause, Effect, Exit } from "effect"
   * import { TestIssuer } from "effect-oauth2/testing"
   *
   * const program = Effect.gen(function* () {
   *   const { denyDevice } = yield* TestIssuer
   *   const exit = yield* Effect.exit(denyDevice("USER-0007"))
   *   return Exit.isFailure(exit) && Cause.hasDies(exit.cause)
   * })
   *
   * await Effect.runPromise(Effect.provide(program, TestIssuer.layer({ keys: ["ES256"] }))) // => true
   * ```
   */
  readonly denyDevice: (userCode: string) => Effect.Effect<void>
  /**
   * Mints a logout token (OpenID Connect Back-Channel Logout 1.0 §2.4). Your test sends it to the app.
   *
   * **Example** (Minting the logout token of a session)
   *
   * ```ts import.meta.vitest
   * import { Effect } from "effect"
   * import { TestIssuer } from "effect-oauth2/testing"
   *
   * const program = Effect.gen(function* () {
   *   const { mintLogoutToken, signIn } = yield* TestIssuer
   *   const { sessionId } = yield* signIn({ subject: "alice" })
   *   const token = yield* mintLogoutToken({ sessionId, audience: "web" })
   *   return JSON.parse(atob(token.split(".")[1] ?? "")).sid
   * })
   *
   * await Effect.runPromise(Effect.provide(program, TestIssuer.layer({ keys: ["ES256"] }))) // => "session-2"
   * ```
   */
  readonly mintLogoutToken: (options?: LogoutTokenOptions) => Effect.Effect<string>

  /**
   * Returns all keys of the issuer, including unpublished keys.
   *
   * **Example** (Listing the keys after a rotation)
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
   * Returns the key that signs new tokens.
   *
   * **Example** (Signing with a key other than the header names)
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
   * Publishes a key and signs with it from now on. The earlier keys stay published.
   *
   * **Details**
   *
   * Without an argument, `rotate` generates a key for the algorithm of the current key. Dies if the current key is an
   * HMAC secret.
   *
   * **Example** (Changing the algorithm)
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
   * Removes all keys of this name from the key set. They can still sign. Dies if no published key has the name.
   *
   * **Example** (Removing the old key after a rotation)
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
   * Adds any JSON to the key set, such as a foreign key or a value that is not a key.
   *
   * **Example** (Publishing a secret)
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
   * Sets the response of an endpoint from the next request on. `"discovery"` sets both metadata endpoints, and
   * `"other"` sets every other path, such as for a server that redirects unknown paths to a login page.
   *
   * **Example** (Removing the OpenID Connect metadata)
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
  readonly respond: (endpoint: Endpoint | "discovery" | "other", answer: IssuerResponse) => Effect.Effect<void>
  /**
   * Returns the requests that the issuer received, oldest first.
   *
   * **Example** (Checking that no request fetched the keys)
   *
   * ```ts import.meta.vitest
   * import { Effect } from "effect"
   * import { HttpClient } from "effect/http"
   * import { TestIssuer } from "effect-oauth2/testing"
   *
   * const program = Effect.gen(function* () {
   *   const { issuer, requests } = yield* TestIssuer
   *   yield* HttpClient.get(`${issuer}/login`)
   *   return (yield* requests).map(({ endpoint, method }) => [method, endpoint])
   * })
   *
   * await Effect.runPromise(Effect.provide(program, TestIssuer.layer({ keys: ["ES256"] }))) // => [["GET", "other"]]
   * ```
   */
  readonly requests: Effect.Effect<ReadonlyArray<IssuerRequest>>
  /**
   * Restores the initial state: the first keys, normal responses, no requests, no minted tokens. The next `jti` is
   * `token-1`.
   *
   * **Example** (Sharing one issuer between tests)
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
   * HTTP app of the issuer, for your own server. Every path that is not an endpoint gets `404`.
   *
   * **Example** (Making a web handler)
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
