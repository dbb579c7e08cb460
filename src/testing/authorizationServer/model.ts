/** The public types of the protocol endpoints of `TestIssuer`: clients, users, refresh tokens and logout tokens. */
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type { JWK } from "jose"

/**
 * Client that is registered at a `TestIssuer` (RFC 7591 §2).
 *
 * **Example** (Registering a web app)
 *
 * ```ts import.meta.vitest
 * import { Effect } from "effect"
 * import { HttpClient, HttpClientRequest } from "effect/http"
 * import { TestIssuer } from "effect-oauth2/testing"
 *
 * const Issuer = TestIssuer.layer({ keys: ["ES256"], clients: [{ clientId: "web", clientSecret: "web-secret" }] })
 *
 * const program = Effect.gen(function* () {
 *   const { endpoints } = yield* TestIssuer
 *   const client = yield* HttpClient.HttpClient
 *   const request = HttpClientRequest.post(endpoints.token).pipe(
 *     HttpClientRequest.basicAuth("web", "wrong"),
 *     HttpClientRequest.bodyUrlParams({ grant_type: "client_credentials" })
 *   )
 *   return (yield* client.execute(request)).status
 * })
 *
 * await Effect.runPromise(Effect.provide(program, Issuer)) // => 401
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export interface TestClient {
  /** Client identifier (RFC 6749 §2.2). */
  readonly clientId: string
  /** Secret for `client_secret_basic` and `client_secret_post`. Default: none. */
  readonly clientSecret?: string
  /**
   * Public key for `private_key_jwt` (RFC 7523 §2.2). Default: none.
   *
   * A client with neither secret nor key is public: it authenticates by its identifier, and must use PKCE.
   */
  readonly jwk?: JWK
  /** Redirect URIs. A loopback URI matches with any port (RFC 8252 §7.3). Default: any. */
  readonly redirectUris?: ReadonlyArray<string>
  /** URIs to which the end session endpoint may redirect. Default: any. */
  readonly postLogoutRedirectUris?: ReadonlyArray<string>
  /**
   * Address of the client for front-channel logout. The end session endpoint loads it in a frame with `iss` and `sid`
   * before it redirects, if the client has tokens of the session. Default: none.
   */
  readonly frontChannelLogoutUri?: string
  /**
   * Sends a logout token to the client, such as by a request to the app of the test (OpenID Connect Back-Channel Logout
   * 1.0 §2.5). Runs when a session ends in which the client has tokens, and its error is ignored. Default: none.
   */
  readonly backChannelLogout?: (logoutToken: string) => Effect.Effect<unknown, unknown>
  /** Scopes that the client may get. Asking for another one is an `invalid_scope` error. Default: any. */
  readonly scopes?: ReadonlyArray<string>
}

/**
 * Rules of the refresh tokens of a `TestIssuer` (RFC 9700 §4.14.2).
 *
 * @category models
 * @since 0.1.0
 */
export interface RefreshTokenOptions {
  /** Whether each use returns a new refresh token and ends the used one. Default: `true`. */
  readonly rotate?: boolean
  /**
   * Time in which a used refresh token still works. Afterwards, its use revokes every token of the grant.
   *
   * Default: 0.
   */
  readonly grace?: Duration.Input
  /** Time from the sign-in until refresh tokens end. Default: 30 days. */
  readonly lifetime?: Duration.Input
}

/**
 * User who signs in at a `TestIssuer`.
 *
 * @category models
 * @since 0.1.0
 */
export interface TestUser {
  /** `sub` claim. Default: `"demo"`. */
  readonly subject?: string
  /** Claims of ID tokens, such as `email`. Default: none. */
  readonly claims?: Readonly<Record<string, unknown>>
  /** Authentication context class of the sign-in. Default: the first of the request's `acr_values`, or none. */
  readonly acr?: string
  /** Authentication methods of the sign-in (RFC 8176). Default: none. */
  readonly amr?: ReadonlyArray<string>
}

/**
 * Session of a user at a `TestIssuer`.
 *
 * @category models
 * @since 0.1.0
 */
export interface TestSession {
  /** `sub` claim of the user. */
  readonly subject: string
  /** `sid` claim of the ID tokens and logout tokens: `session-1`, `session-2`, … */
  readonly sessionId: string
}

/**
 * URLs of the protocol endpoints of a `TestIssuer`.
 *
 * @category models
 * @since 0.1.0
 */
export interface TestEndpoints {
  /** Authorization endpoint (RFC 6749 §3.1). It has no pages: it redirects at once. */
  readonly authorization: string
  /** Token endpoint (RFC 6749 §3.2). */
  readonly token: string
  /** Device authorization endpoint (RFC 8628 §3.1). */
  readonly deviceAuthorization: string
  /** Revocation endpoint (RFC 7009 §2). */
  readonly revocation: string
  /** End session endpoint (OpenID Connect RP-Initiated Logout 1.0 §2). */
  readonly endSession: string
}

/**
 * Endpoint of the OAuth protocol that a `TestIssuer` serves.
 *
 * @category models
 * @since 0.1.0
 */
export type ProtocolEndpoint = "authorization" | "token" | "device-authorization" | "revocation" | "end-session"

/**
 * Options of a `TestIssuer` for its protocol endpoints.
 *
 * @category models
 * @since 0.1.0
 */
export interface AuthorizationServerOptions {
  /**
   * Clients that the protocol endpoints know. Default: every client exists, every credential is right, and every
   * redirect URI is registered.
   */
  readonly clients?: ReadonlyArray<TestClient>
  /** Rules of refresh tokens. Default: each use rotates the token, without a grace time. */
  readonly refreshTokens?: RefreshTokenOptions
  /** Lifetime of the access tokens of the token endpoint. Default: 10 minutes. */
  readonly accessTokenLifetime?: Duration.Input
  /**
   * Whether DPoP proofs at the token endpoint need a nonce (RFC 9449 §8). The nonce changes each minute, and the one of
   * the minute before still works. Default: `false`.
   */
  readonly dpopNonces?: boolean
}

/**
 * Options for `mintLogoutToken`: the differences from a valid token.
 *
 * @category models
 * @since 0.1.0
 */
export interface LogoutTokenOptions {
  /** `sub` claim. Default: none if `sessionId` is given, otherwise `"demo"`. */
  readonly subject?: string
  /** `sid` claim. Default: none. */
  readonly sessionId?: string
  /** `aud` claim: the client. Default: `"test-client"`. */
  readonly audience?: string | ReadonlyArray<string>
  /** Time from `iat` to `exp`. Default: 2 minutes. */
  readonly lifetime?: Duration.Input
  /** Claims that replace or extend all other claims. Default: none. */
  readonly claims?: Readonly<Record<string, unknown>>
  /** Names of claims to leave out. Default: none. */
  readonly without?: ReadonlyArray<string>
  /** Header parameters that replace or extend `typ: "logout+jwt"`. Default: none. */
  readonly header?: Readonly<Record<string, unknown>>
}
