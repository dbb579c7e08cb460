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
 * A client that receives one of them from an `HttpApi` has the answer's `challenge`, and is not told the reason: `"Unspecified"`.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import * as Duration from "effect/Duration"
import * as ErrorReporter from "effect/ErrorReporter"
import * as HttpServerRespondable from "effect/http/HttpServerRespondable"
import type { HttpServerResponse } from "effect/http/HttpServerResponse"
import * as Schema from "effect/Schema"
import * as Challenge from "./Challenge.ts"

/** The `WWW-Authenticate` field as a client received it. */
const challenge = Schema.optionalKey(Schema.String)

/**
 * No bearer token was sent: there is no `Authorization` field, or it is of another scheme.
 *
 * @category errors
 * @since 0.1.0
 */
export class NotAuthenticated extends Schema.TaggedError<NotAuthenticated>()("NotAuthenticated", {
  reason: Schema.Literals(["NoCredentials", "OtherScheme", "Unspecified"]),
  challenge
}) {
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
    return Challenge.respond(this)
  }
}

/**
 * The credentials are malformed: no token68 after `Bearer`, a field over the length limit, or several `Authorization` fields (RFC 6750 §3.1).
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidRequest extends Schema.TaggedError<InvalidRequest>()("InvalidRequest", {
  reason: Schema.Literals(["Malformed", "TooLong", "SeveralCredentials", "Unspecified"]),
  challenge
}) {
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
    return Challenge.respond(this)
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
 * @category errors
 * @since 0.1.0
 */
export class InvalidToken extends Schema.TaggedError<InvalidToken>()("InvalidToken", {
  reason: Schema.Literals([
    "Malformed",
    "Algorithm",
    "UnknownKey",
    "Signature",
    "Claim",
    "Expired",
    "Rejected",
    "Unspecified"
  ]),
  claim: Schema.optionalKey(Schema.String),
  challenge
}) {
  override readonly [ErrorReporter.ignore] = true
  override get message(): string {
    return `The access token was refused: ${this.reason}${this.claim === undefined ? "" : ` (${this.claim})`}`
  }
  [HttpServerRespondable.symbol](): Effect.Effect<HttpServerResponse> {
    return Challenge.respond(this)
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
 * @category errors
 * @since 0.1.0
 */
export class InsufficientScope extends Schema.TaggedError<InsufficientScope>()("InsufficientScope", {
  required: Schema.Array(Schema.String),
  missing: Schema.Array(Schema.String),
  checks: Schema.optionalKey(Schema.Array(Schema.String)),
  challenge
}) {
  override readonly [ErrorReporter.ignore] = true
  override get message(): string {
    return this.missing.length > 0
      ? `The access token lacks a required scope: ${this.missing.join(" ")}`
      : `The access token does not satisfy a requirement${this.checks === undefined ? "" : `: ${this.checks.join(", ")}`}`
  }
  [HttpServerRespondable.symbol](): Effect.Effect<HttpServerResponse> {
    return Challenge.respond(this)
  }
}

/**
 * The token could be neither accepted nor refused, because the authorization server cannot be reached or does not answer as it
 * must. It becomes a 503 with `Retry-After` (RFC 9110 §10.2.3), never a 401.
 *
 * @category errors
 * @since 0.1.0
 */
export class AuthorizationServerUnavailable extends Schema.TaggedError<AuthorizationServerUnavailable>()(
  "AuthorizationServerUnavailable",
  {
    issuer: Schema.optionalKey(Schema.String),
    reason: Schema.Literals(["Unreachable", "Timeout", "BadResponse", "IssuerMismatch", "Unspecified"]),
    retryAfter: Schema.Duration
  }
) {
  override readonly [ErrorReporter.ignore] = true
  override get message(): string {
    return `The authorization server${this.issuer === undefined ? "" : ` ${this.issuer}`} is unavailable: ${this.reason} (retry after ${Duration.format(this.retryAfter)})`
  }
  [HttpServerRespondable.symbol](): Effect.Effect<HttpServerResponse> {
    return Challenge.respond(this)
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

/**
 * A setting that cannot work: it fails the layer that is given it, at start-up, and its message says what to do.
 *
 * @category errors
 * @since 0.1.0
 */
export class ConfigurationError extends Schema.TaggedError<ConfigurationError>()("ConfigurationError", {
  /** The option's name. */
  setting: Schema.String,
  message: Schema.String
}) {}
