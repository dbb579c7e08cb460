/**
 * Why a request does not reach its handler: the tagged errors of the library.
 *
 * Each error carries typed detail for the server's own use; what the client is told is decided in `Challenge`, and is constant text. In an
 * `HttpRouter` app the errors respond by themselves. A refused request is not a defect: error reporters ignore these errors.
 *
 * | error | meaning |
 * |---|---|
 * | `NotAuthenticated` | no bearer token was sent |
 * | `InvalidRequest` | the credentials are malformed |
 * | `InvalidToken` | the token was refused |
 * | `InsufficientScope` | the token lacks a required scope |
 * | `AuthorizationServerUnavailable` | nobody could tell: an outage is not a rejection |
 *
 * A client that receives one of them from an `HttpApi` has the answer's `challenge`, and is not told the reason: `"Unspecified"`. So they are no schemas:
 * an endpoint or a middleware of one's own that fails with one declares the scheme's, `auth.errors.InvalidToken`, which answers as the scheme does.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import type * as Effect from "effect/Effect"
import * as Duration from "effect/Duration"
import * as ErrorReporter from "effect/ErrorReporter"
import * as HttpServerRespondable from "effect/http/HttpServerRespondable"
import type { HttpServerResponse } from "effect/http/HttpServerResponse"
import { respond } from "./response.ts"

interface Received {
  /** The `WWW-Authenticate` field as a client received it. */
  readonly challenge?: string
}

/**
 * No bearer token was sent: there is no `Authorization` field, or it is of another scheme.
 *
 * **Example** (Browsers are sent to a page of their own)
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
        return "The request carries no credentials"
      case "OtherScheme":
        return "The request carries no bearer token but credentials of another scheme"
      case "Unspecified":
        return "The request is not authenticated"
    }
  }
  [HttpServerRespondable.symbol](): Effect.Effect<HttpServerResponse> {
    return respond(this)
  }
}

/**
 * The credentials are malformed: no token68 after `Bearer`, a field over the length limit, or several `Authorization` fields (RFC 6750 §3.1).
 *
 * **Example** (Which clients write credentials wrongly)
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
  Received & { readonly reason: "Malformed" | "TooLong" | "SeveralCredentials" | "Unspecified" }
> {
  override readonly [ErrorReporter.ignore] = true
  override get message(): string {
    switch (this.reason) {
      case "Malformed":
        return "The credentials after the scheme are not a bearer token"
      case "Unspecified":
        return "The credentials are malformed"
      case "TooLong":
        return "The Authorization field is longer than BearerToken.MaxLength"
      case "SeveralCredentials":
        return "The request carries several Authorization fields"
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
 * `reason` says which check failed; `claim` is the name of the JWT claim where one did (`"exp"`, `"aud"`, …).
 *
 * | reason | check |
 * |---|---|
 * | `Malformed` | the token's form |
 * | `Algorithm`, `UnknownKey`, `Signature` | RFC 7515: the signature's algorithm, its key, the signature |
 * | `Claim` | RFC 7519 §4.1, RFC 9068 §2.2: a claim is missing or not as required |
 * | `Expired` | the token's time is over |
 * | `Rejected` | a verifier's or a program's own decision |
 *
 * **Example** (What the log says, and the client is not told)
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
 * The token is valid and does not grant all that is required (RFC 6750 §3.1).
 *
 * **Details**
 *
 * `required` are the scopes that a client should ask for, `missing` those of them that the token lacks, and `checks` the names of the
 * requirement's checks where a check, not a scope, refused the token.
 *
 * **Example** (Telling clients what is missing)
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
 * The token could be neither accepted nor refused, because the authorization server cannot be reached or does not answer as it
 * must. It becomes a 503 with `Retry-After` (RFC 9110 §10.2.3), never a 401.
 *
 * **Example** (A verifier whose database does not answer)
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
  /** Who could not be asked. */
  readonly issuer?: string
  /** `IssuerMismatch`: its metadata names another issuer (RFC 8414 §3.3). */
  readonly reason: "Unreachable" | "Timeout" | "BadResponse" | "IssuerMismatch" | "Unspecified"
  /** When to try again. A client is told whole seconds, rounded up, and at least 1. */
  readonly retryAfter: Duration.Duration
}> {
  override readonly [ErrorReporter.ignore] = true
  override get message(): string {
    return `The authorization server${Object.hasOwn(this, "issuer") ? ` ${this.issuer}` : ""} is unavailable: ${this.reason} (retry after ${Duration.format(this.retryAfter)})`
  }
  [HttpServerRespondable.symbol](): Effect.Effect<HttpServerResponse> {
    return respond(this)
  }
}

/**
 * Every error that a security scheme can fail with.
 *
 * @category errors
 * @since 0.1.0
 */
export type SecurityError =
  NotAuthenticated | InvalidRequest | InvalidToken | InsufficientScope | AuthorizationServerUnavailable

const classes = [NotAuthenticated, InvalidRequest, InvalidToken, InsufficientScope, AuthorizationServerUnavailable]

/**
 * Whether something is one of them.
 *
 * **Example** (Refusals, and what is broken)
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
export const isSecurityError = (value: unknown): value is SecurityError =>
  classes.some((errorClass) => value instanceof errorClass)

/**
 * A setting that cannot work: it fails the layer that is given it, at start-up, and its message says what to do.
 *
 * **Example** (What the log says at start-up)
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
  /** The option's name. */
  readonly setting: string
  /** Which option it is, and what to do. */
  readonly message: string
}> {}
