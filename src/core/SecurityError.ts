/**
 * Tagged errors of requests that do not reach their handler.
 *
 * Each error has typed details for your server. Clients get constant text from `Challenge`. `HttpRouter` converts the
 * errors to responses. Error reporters ignore them, because a refused request is not a defect.
 *
 * | error | meaning |
 * |---|---|
 * | `NotAuthenticated` | the request has no bearer token |
 * | `InvalidRequest` | the credentials are malformed |
 * | `InvalidToken` | the token was refused |
 * | `InvalidDpopProof` | the proof that the client holds the token's key was refused |
 * | `UseDpopNonce` | the proof lacks a nonce of this server |
 * | `InsufficientScope` | the token lacks a required scope |
 * | `FailedCheck` | a custom check refused the valid token |
 * | `InsufficientUserAuthentication` | the user must authenticate again, or in a stronger way |
 * | `AuthorizationServerUnavailable` | the token could not be verified because of an outage |
 *
 * A typed client of an `HttpApi` receives the same classes, with the `challenge` of the response and the reason
 * `"Unspecified"`. The classes are not schemas. If your own endpoint or middleware fails with such an error, declare
 * the schema of its scheme, such as `auth.errors.InvalidToken`.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import type * as Effect from "effect/Effect"
import * as Duration from "effect/Duration"
import * as ErrorReporter from "effect/ErrorReporter"
import * as HttpServerRespondable from "effect/http/HttpServerRespondable"
import type { HttpServerResponse } from "effect/http/HttpServerResponse"
import { hasProperty } from "effect/Predicate"
import { respond } from "./response.ts"

interface Received {
  /** The `WWW-Authenticate` header that a typed client received. */
  readonly challenge?: string
}

/**
 * The request has no bearer token: it has no `Authorization` header, or the header uses another scheme.
 *
 * **Example** (Redirecting browsers to a login page)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { HttpServerResponse } from "effect/http"
 * import { BearerToken } from "effect-oauth2"
 *
 * export const page = BearerToken.extract.pipe(
 *   Effect.as(HttpServerResponse.text("Signed in")),
 *   Effect.catchTag("NotAuthenticated", () => Effect.succeed(HttpServerResponse.redirect("/login")))
 * )
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class NotAuthenticated extends Data.TaggedError("NotAuthenticated")<
  Received & { readonly reason: "NoCredentials" | "OtherScheme" | "Unspecified" }
> {
  override readonly [ErrorReporter.ignore] = true
  override get message(): string {
    switch (this.reason) {
      case "NoCredentials":
        return "The request has no credentials"
      case "OtherScheme":
        return "The request has credentials of another scheme, and no bearer token"
      case "Unspecified":
        return "The request is not authenticated"
    }
  }
  [HttpServerRespondable.symbol](): Effect.Effect<HttpServerResponse> {
    return respond(this)
  }
}

/**
 * The credentials of the request are malformed (RFC 6750 §3.1).
 *
 * **Details**
 *
 * | reason | cause |
 * |---|---|
 * | `Malformed` | no token68 follows `Bearer` |
 * | `TooLong` | the `Authorization` header is longer than `BearerToken.MaxLength` |
 * | `SeveralCredentials` | the request has several `Authorization` headers, an API key twice, or a session cookie and a bearer token |
 * | `CrossSite` | a page of another site has sent the request, and the credential is in a cookie |
 * | `CsrfHeader` | the request has a session cookie, and lacks the header of `csrfHeader` |
 * | `Unspecified` | a typed client received the error |
 *
 * **Example** (Logging malformed credentials)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { BearerToken } from "effect-oauth2"
 *
 * export const extract = BearerToken.extract.pipe(
 *   Effect.tapErrorTag("InvalidRequest", ({ reason }) => Effect.logWarning("Malformed credentials", reason))
 * )
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidRequest extends Data.TaggedError("InvalidRequest")<
  Received & {
    readonly reason: "Malformed" | "TooLong" | "SeveralCredentials" | "CrossSite" | "CsrfHeader" | "Unspecified"
  }
> {
  override readonly [ErrorReporter.ignore] = true
  override get message(): string {
    switch (this.reason) {
      case "Malformed":
        return "The credentials do not have the form that their scheme requires"
      case "Unspecified":
        return "The credentials are malformed"
      case "TooLong":
        return "The credentials are longer than BearerToken.MaxLength"
      case "SeveralCredentials":
        return "The request has several credentials of one kind"
      case "CrossSite":
        return "A page of another site has sent the request"
      case "CsrfHeader":
        return "The request has a session cookie, but not the header that scripts of the app send"
    }
  }
  [HttpServerRespondable.symbol](): Effect.Effect<HttpServerResponse> {
    return respond(this)
  }
}

/**
 * The token was refused (RFC 6750 §3.1).
 *
 * **Details**
 *
 * `claim` is the name of the JWT claim that failed its check, such as `"aud"`.
 *
 * | reason | cause |
 * |---|---|
 * | `Malformed` | the token cannot be parsed |
 * | `Algorithm` | the signature algorithm is not accepted (RFC 7515 §4.1.1) |
 * | `UnknownKey` | the issuer has no matching key (RFC 7515 §4.1.4) |
 * | `Signature` | the signature is invalid (RFC 7515 §5.2) |
 * | `Claim` | a claim is missing or not accepted (RFC 9068 §2.2) |
 * | `Expired` | the token is expired |
 * | `Rejected` | a verifier, or your own code, refused the token |
 * | `Unspecified` | a typed client received the error |
 *
 * **Example** (Comparing the log message with the response)
 *
 * ```ts import.meta.vitest
 * import { Challenge, SecurityError } from "effect-oauth2"
 *
 * const error = new SecurityError.InvalidToken({ reason: "Claim", claim: "aud" })
 * const settings = { responses: "rfc6750", realm: "api", scopes: [], renderers: {} } as const
 *
 * error.message // => "The access token was refused: Claim (aud)"
 * Challenge.answer(error, settings).body // => { detail: "Could not validate credentials" }
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidToken extends Data.TaggedError("InvalidToken")<
  Received & {
    readonly reason:
      "Malformed" | "Algorithm" | "UnknownKey" | "Signature" | "Claim" | "Expired" | "Rejected" | "Unspecified"
    readonly claim?: string
  }
> {
  override readonly [ErrorReporter.ignore] = true
  override get message(): string {
    return `The access token was refused: ${this.reason}${Object.hasOwn(this, "claim") ? ` (${this.claim})` : ""}`
  }
  [HttpServerRespondable.symbol](): Effect.Effect<HttpServerResponse> {
    return respond(this)
  }
}

/**
 * The token is valid but lacks a required scope (RFC 6750 §3.1).
 *
 * **Details**
 *
 * | field | value |
 * |---|---|
 * | `required` | the scopes that the client should request |
 * | `missing` | the required scopes that the token lacks. If it is empty, the challenge names no scopes |
 * | `checks` | the names of the custom checks, if a check refused the token, too |
 *
 * **Example** (Listing the missing scopes in the response)
 *
 * ```ts
 * import { HttpServerResponse } from "effect/http"
 * import { OAuth2 } from "effect-oauth2"
 *
 * export const auth = OAuth2.authorizationCode("OAuth2", {
 *   authorizationUrl: "https://idp.example.com/authorize",
 *   tokenUrl: "https://idp.example.com/token",
 *   scopes: { "items:read": "Read your items" },
 *   renderers: {
 *     InsufficientScope: ({ missing }) =>
 *       HttpServerResponse.jsonUnsafe({ detail: "Not enough permissions", missing }, { status: 403 })
 *   }
 * })
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class InsufficientScope extends Data.TaggedError("InsufficientScope")<
  Received & {
    readonly required: ReadonlyArray<string>
    readonly missing: ReadonlyArray<string>
    readonly checks?: ReadonlyArray<string>
  }
> {
  override readonly [ErrorReporter.ignore] = true
  override get message(): string {
    return this.missing.length > 0
      ? `The access token lacks a required scope: ${this.missing.join(" ")}`
      : `The access token does not satisfy a requirement${Object.hasOwn(this, "checks") ? `: ${this.checks?.join(", ")}` : ""}`
  }
  [HttpServerRespondable.symbol](): Effect.Effect<HttpServerResponse> {
    return respond(this)
  }
}

/**
 * The token is valid and has the required scopes, but a custom check refused it. Another scope does not help.
 *
 * **Details**
 *
 * `checks` holds the names of the checks that refused the token. Clients do not see the names.
 *
 * With `responses: "rfc6750"`, the response is a 403 whose challenge has no `error`, because RFC 6750 has no code that
 * fits. With `"fastapi"`, status and body are those of `InsufficientScope`. Typed clients with `"fastapi"` therefore
 * receive `InsufficientScope`, whose `required` field is empty.
 *
 * **Example** (Refusing another owner)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { OAuth2, SecurityError } from "effect-oauth2"
 *
 * const auth = OAuth2.bearer("Session", { scopes: { "items:write": "Modify your items" }, responses: "rfc6750" })
 *
 * export const requireOwner = (owner: string) =>
 *   Effect.flatMap(auth.granted("items:write"), ({ subject }) =>
 *     subject === owner ? Effect.void : auth.refuse(new SecurityError.FailedCheck({ checks: ["owner"] }))
 *   )
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class FailedCheck extends Data.TaggedError("FailedCheck")<
  Received & { readonly checks: ReadonlyArray<string> }
> {
  override readonly [ErrorReporter.ignore] = true
  override get message(): string {
    return `The access token does not satisfy a requirement${this.checks.length > 0 ? `: ${this.checks.join(", ")}` : ""}`
  }
  [HttpServerRespondable.symbol](): Effect.Effect<HttpServerResponse> {
    return respond(this)
  }
}

/**
 * The DPoP proof was refused (RFC 9449 §7.1).
 *
 * **Details**
 *
 * `claim` is the name of the header parameter or claim that failed its check, such as `"htu"`.
 *
 * | reason | cause |
 * |---|---|
 * | `Missing` | the request has no `DPoP` header |
 * | `Malformed` | the proof cannot be parsed, or the request has several proofs |
 * | `Algorithm` | the signature algorithm is not accepted |
 * | `Key` | the public key of the proof is not accepted |
 * | `Signature` | the signature is invalid |
 * | `Claim` | a header parameter or a claim is missing or not accepted |
 * | `Expired` | the proof is too old |
 * | `Replayed` | the proof was used before |
 * | `Unspecified` | a typed client received the error |
 *
 * **Example** (Reading the response)
 *
 * ```ts import.meta.vitest
 * import { Challenge, SecurityError } from "effect-oauth2"
 *
 * const error = new SecurityError.InvalidDpopProof({ reason: "Claim", claim: "htu" })
 * const settings = { responses: "rfc6750", realm: "api", scopes: [], renderers: {}, algs: ["ES256"] } as const
 *
 * Challenge.answer(error, settings).headers["www-authenticate"] // => 'DPoP error="invalid_dpop_proof", algs="ES256"'
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidDpopProof extends Data.TaggedError("InvalidDpopProof")<
  Received & {
    readonly reason:
      "Missing" | "Malformed" | "Algorithm" | "Key" | "Signature" | "Claim" | "Expired" | "Replayed" | "Unspecified"
    readonly claim?: string
  }
> {
  override readonly [ErrorReporter.ignore] = true
  override get message(): string {
    return `The DPoP proof was refused: ${this.reason}${Object.hasOwn(this, "claim") ? ` (${this.claim})` : ""}`
  }
  [HttpServerRespondable.symbol](): Effect.Effect<HttpServerResponse> {
    return respond(this)
  }
}

/**
 * The DPoP proof has no nonce of this server, or an old nonce (RFC 9449 §9).
 *
 * **Details**
 *
 * The response has the nonce in the header `DPoP-Nonce`. The client sends the request again with a proof that contains
 * the nonce.
 *
 * **Example** (Reading the response)
 *
 * ```ts import.meta.vitest
 * import { Challenge, SecurityError } from "effect-oauth2"
 *
 * const error = new SecurityError.UseDpopNonce({ reason: "Missing", nonce: "eyJ7S_zG" })
 * const settings = { responses: "rfc6750", realm: "api", scopes: [], renderers: {} } as const
 *
 * Challenge.answer(error, settings).headers["dpop-nonce"] // => "eyJ7S_zG"
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class UseDpopNonce extends Data.TaggedError("UseDpopNonce")<
  Received & {
    readonly reason: "Missing" | "Unknown" | "Unspecified"
    /** The nonce for the next proof. */
    readonly nonce?: string
  }
> {
  override readonly [ErrorReporter.ignore] = true
  override get message(): string {
    switch (this.reason) {
      case "Missing":
        return "The DPoP proof has no nonce"
      case "Unknown":
        return "The nonce of the DPoP proof is not a current nonce of this server"
      case "Unspecified":
        return "The DPoP proof needs a nonce of the server"
    }
  }
  [HttpServerRespondable.symbol](): Effect.Effect<HttpServerResponse> {
    return respond(this)
  }
}

/**
 * The token is valid, but the user must authenticate again, or in a stronger way (RFC 9470 §3).
 *
 * **Details**
 *
 * The client sends the user to the authorization server again, with the values of the challenge. A refresh does not
 * help, because a refreshed token keeps the time and the class of the old authentication.
 *
 * | field | value |
 * |---|---|
 * | `reason` | `TooWeak`, `TooOld`, or `TooWeakAndTooOld`. `Unspecified` if a typed client received the error |
 * | `acrValues` | the accepted values of `acr`, in order of preference. Empty if every value is accepted |
 * | `maxAge` | the maximum time since the authentication, in whole seconds |
 * | `required` | the scopes that the client should request |
 * | `missing` | the required scopes that the token lacks. If it is empty, the challenge names no scopes |
 *
 * **Example** (Reading the response)
 *
 * ```ts import.meta.vitest
 * import { Duration } from "effect"
 * import { Challenge, SecurityError } from "effect-oauth2"
 *
 * const error = new SecurityError.InsufficientUserAuthentication({
 *   reason: "TooOld",
 *   acrValues: [],
 *   maxAge: Duration.minutes(5),
 *   required: [],
 *   missing: []
 * })
 * const settings = { responses: "rfc6750", realm: "api", scopes: [], renderers: {} } as const
 *
 * const { headers, status } = Challenge.answer(error, settings)
 *
 * status // => 401
 * headers["www-authenticate"] // => 'Bearer error="insufficient_user_authentication", max_age="300"'
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class InsufficientUserAuthentication extends Data.TaggedError("InsufficientUserAuthentication")<
  Received & {
    readonly reason: "TooWeak" | "TooOld" | "TooWeakAndTooOld" | "Unspecified"
    readonly acrValues: ReadonlyArray<string>
    readonly maxAge?: Duration.Duration
    readonly required: ReadonlyArray<string>
    readonly missing: ReadonlyArray<string>
  }
> {
  override readonly [ErrorReporter.ignore] = true
  override get message(): string {
    switch (this.reason) {
      case "TooWeak":
        return "The user authenticated with a class (acr) that is not accepted"
      case "TooOld":
        return "The user authenticated too long ago (auth_time)"
      case "TooWeakAndTooOld":
        return "The user authenticated with a class (acr) that is not accepted, and too long ago (auth_time)"
      case "Unspecified":
        return "The authentication of the user is too weak or too old"
    }
  }
  [HttpServerRespondable.symbol](): Effect.Effect<HttpServerResponse> {
    return respond(this)
  }
}

/**
 * The token could not be verified, because the authorization server is unreachable or sent an invalid response.
 *
 * **Details**
 *
 * The response is a 503 with `Retry-After`, never a 401 (RFC 9110 §10.2.3).
 *
 * **Example** (Reporting a database timeout)
 *
 * ```ts import.meta.vitest
 * import { Duration } from "effect"
 * import { Challenge, SecurityError } from "effect-oauth2"
 *
 * const error = new SecurityError.AuthorizationServerUnavailable({
 *   reason: "Timeout",
 *   retryAfter: Duration.seconds(2.5)
 * })
 * const settings = { responses: "fastapi", realm: "api", scopes: [], renderers: {} } as const
 *
 * Challenge.answer(error, settings).headers // => { "retry-after": "3" }
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class AuthorizationServerUnavailable extends Data.TaggedError("AuthorizationServerUnavailable")<{
  /** The issuer whose authorization server is unavailable. */
  readonly issuer?: string
  /**
   * The cause. `IssuerMismatch` means that the metadata names another issuer (RFC 8414 §3.3). `StoreUnavailable` means
   * that a store of your fleet, such as that of `Revocations` or of used DPoP proofs, is unavailable.
   */
  readonly reason: "Unreachable" | "Timeout" | "BadResponse" | "IssuerMismatch" | "StoreUnavailable" | "Unspecified"
  /** The time until a retry makes sense. `Retry-After` has whole seconds: rounded up, at least 1. */
  readonly retryAfter: Duration.Duration
}> {
  override readonly [ErrorReporter.ignore] = true
  override get message(): string {
    if (this.reason === "StoreUnavailable") {
      return `A store that decides about tokens is unavailable (retry after ${Duration.format(this.retryAfter)})`
    }
    return `The authorization server${Object.hasOwn(this, "issuer") ? ` ${this.issuer}` : ""} is unavailable: ${this.reason} (retry after ${Duration.format(this.retryAfter)})`
  }
  [HttpServerRespondable.symbol](): Effect.Effect<HttpServerResponse> {
    return respond(this)
  }
}

/**
 * Union of all errors that a security scheme can fail with.
 *
 * @category errors
 * @since 0.1.0
 */
export type SecurityError =
  | NotAuthenticated
  | InvalidRequest
  | InvalidToken
  | InvalidDpopProof
  | UseDpopNonce
  | InsufficientScope
  | FailedCheck
  | InsufficientUserAuthentication
  | AuthorizationServerUnavailable

const classes: { readonly [Tag in SecurityError["_tag"]]: new (...args: never) => SecurityError } = {
  NotAuthenticated,
  InvalidRequest,
  InvalidToken,
  InvalidDpopProof,
  UseDpopNonce,
  InsufficientScope,
  FailedCheck,
  InsufficientUserAuthentication,
  AuthorizationServerUnavailable
}

const classOf: ReadonlyMap<unknown, new (...args: never) => SecurityError> = new Map(Object.entries(classes))

/**
 * Returns `true` if a value is a `SecurityError`.
 *
 * **Example** (Telling a refusal from another error)
 *
 * ```ts import.meta.vitest
 * import { SecurityError } from "effect-oauth2"
 *
 * SecurityError.isSecurityError(new SecurityError.NotAuthenticated({ reason: "NoCredentials" })) // => true
 * SecurityError.isSecurityError(new Error("No database")) // => false
 * ```
 *
 * @category guards
 * @since 0.1.0
 */
export const isSecurityError = (value: unknown): value is SecurityError => {
  // Each refusal asks, and a look-up is faster than to compare with every class.
  const errorClass = hasProperty(value, "_tag") ? classOf.get(value._tag) : undefined
  return errorClass !== undefined && value instanceof errorClass
}

/**
 * An option has an invalid value. The layer that received the option fails with this error at start-up.
 *
 * **Example** (Reading the message of an invalid option)
 *
 * ```ts import.meta.vitest
 * import { Effect, Layer } from "effect"
 * import { FetchHttpClient } from "effect/http"
 * import { JwtVerifier } from "effect-oauth2"
 *
 * const Verifier = JwtVerifier.layer({
 *   issuer: "https://idp.example.com",
 *   audience: "https://api.example.com",
 *   clockTolerance: "2 minutes"
 * }).pipe(Layer.provide(FetchHttpClient.layer))
 *
 * const error = await Layer.build(Verifier).pipe(Effect.scoped, Effect.flip, Effect.runPromise)
 *
 * error.message // => 'clockTolerance must be a duration between 0 and 60 seconds, such as "5 seconds"'
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class ConfigurationError extends Data.TaggedError("ConfigurationError")<{
  /** The name of the option. */
  readonly setting: string
  /** The name of the option, and which values it accepts. */
  readonly message: string
}> {}
