/** The errors of clients, which typed clients of protected APIs declare, too. */
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"

/**
 * The authorization server gives no token now. A cached token stays in use until it expires.
 *
 * **Example** (Retrying when the server may be back)
 *
 * ```ts import.meta.vitest
 * import { Duration } from "effect"
 * import { ClientError } from "effect-oauth2/client"
 *
 * const error = new ClientError.TokenUnavailable({
 *   issuer: "https://idp.example.com",
 *   reason: "Timeout",
 *   retryAfter: Duration.seconds(1)
 * })
 *
 * error.message // => "No token is available from https://idp.example.com: Timeout (retry after 1s)"
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class TokenUnavailable extends Data.TaggedError("TokenUnavailable")<{
  /** The issuer that was asked. */
  readonly issuer: string
  /**
   * The cause. `"ServerError"` is a status of 500 or more, 429, `temporarily_unavailable` or `server_error`. `"Store"`
   * means that the store of the grant does not work. `"Credential"` means that the effect of
   * `ClientAuthentication.secretFrom` or `ClientAuthentication.assertion` failed.
   */
  readonly reason: "Unreachable" | "Timeout" | "BadResponse" | "IssuerMismatch" | "ServerError" | "Store" | "Credential"
  /** The time until a retry makes sense. */
  readonly retryAfter: Duration.Duration
}> {
  override get message(): string {
    return `No token is available from ${this.issuer}: ${this.reason} (retry after ${Duration.format(this.retryAfter)})`
  }
}

/**
 * The authorization server refuses the client or its request (RFC 6749 §5.2). A retry does not help.
 *
 * **Example** (Reading the error code)
 *
 * ```ts import.meta.vitest
 * import { ClientError } from "effect-oauth2/client"
 *
 * const error = new ClientError.TokenRefused({ issuer: "https://idp.example.com", error: "invalid_client" })
 *
 * error.message // => "https://idp.example.com refuses the token request: invalid_client"
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class TokenRefused extends Data.TaggedError("TokenRefused")<{
  /** The issuer that was asked. */
  readonly issuer: string
  /** The error code of the response, such as `invalid_client` or `invalid_scope`. */
  readonly error: string
}> {
  override get message(): string {
    return `${this.issuer} refuses the token request: ${this.error}`
  }
}

/**
 * The grant of the user has ended: the refresh token is not valid any more, or the user must act again.
 *
 * **Example** (Reading the error code)
 *
 * ```ts import.meta.vitest
 * import { ClientError } from "effect-oauth2/client"
 *
 * const error = new ClientError.ReauthenticationRequired({ issuer: "https://idp.example.com", error: "invalid_grant" })
 *
 * error.message // => "The user must sign in at https://idp.example.com again: invalid_grant"
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class ReauthenticationRequired extends Data.TaggedError("ReauthenticationRequired")<{
  /** The issuer that was asked. */
  readonly issuer: string
  /** The error code of the response, such as `invalid_grant` or `interaction_required`. */
  readonly error: string
  /** `claims` of a conditional access policy of Microsoft Entra ID, for the next authorization request. */
  readonly claims?: string
}> {
  override get message(): string {
    return `The user must sign in at ${this.issuer} again: ${this.error}`
  }
}

/**
 * An API answered 403 `insufficient_scope`, and the missing scopes are beyond what the source may ask for (RFC 6750
 * §3.1).
 *
 * **Example** (Reading the scopes)
 *
 * ```ts import.meta.vitest
 * import { ClientError } from "effect-oauth2/client"
 *
 * new ClientError.ScopesRequired({ scopes: ["items:write"] }).message // => "The API requires the scopes items:write. Ask the user for consent, or add them to ceiling."
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class ScopesRequired extends Data.TaggedError("ScopesRequired")<{
  /** The scopes of the challenge. */
  readonly scopes: ReadonlyArray<string>
}> {
  override get message(): string {
    return `The API requires the scopes ${this.scopes.join(" ")}. Ask the user for consent, or add them to ceiling.`
  }
}

/**
 * An API requires a stronger or more recent authentication of the user (RFC 9470). A refresh cannot satisfy it.
 *
 * **Example** (Building the next authorization request)
 *
 * ```ts import.meta.vitest
 * import { ClientError } from "effect-oauth2/client"
 *
 * const error = new ClientError.StepUpRequired({ acrValues: ["mfa"], maxAge: 60, scopes: [] })
 *
 * new URLSearchParams({ acr_values: error.acrValues.join(" "), max_age: String(error.maxAge) }).toString() // => "acr_values=mfa&max_age=60"
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class StepUpRequired extends Data.TaggedError("StepUpRequired")<{
  /** Authentication contexts, of which one is required. Empty if the API names none. */
  readonly acrValues: ReadonlyArray<string>
  /** Seconds since the authentication at most. */
  readonly maxAge: number | undefined
  /** Scopes that are missing, too. */
  readonly scopes: ReadonlyArray<string>
}> {
  override get message(): string {
    return "The API requires another authentication of the user. Let the user sign in with acrValues and maxAge."
  }
}

/**
 * The store of a grant does not work. The grant is unchanged, or the next request for a token writes it again.
 *
 * **Example** (Reading the operation)
 *
 * ```ts import.meta.vitest
 * import { ClientError } from "effect-oauth2/client"
 *
 * new ClientError.TokenStoreError({ operation: "write", cause: undefined }).message // => "The token store failed: write"
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class TokenStoreError extends Data.TaggedError("TokenStoreError")<{
  /** The operation that failed. */
  readonly operation: "read" | "write" | "remove" | "lock"
  /** The error of the store. */
  readonly cause: unknown
}> {
  override get message(): string {
    return `The token store failed: ${this.operation}`
  }
}

/**
 * The user did not sign in.
 *
 * **Details**
 *
 * | reason | meaning |
 * |---|---|
 * | `Denied` | the user refused |
 * | `Expired` | the time limit has passed |
 * | `Refused` | the authorization server refuses the request, with the code in `error` |
 * | `BadResponse` | the response is not for this request: another issuer, or a parameter that occurs twice |
 * | `NoPort` | every port of the options is in use |
 * | `PkceUnsupported` | the metadata of the server names methods of PKCE, but not S256 (RFC 7636 §4.2) |
 *
 * **Example** (Reading the reason)
 *
 * ```ts import.meta.vitest
 * import { ClientError } from "effect-oauth2/client"
 *
 * const error = new ClientError.SignInFailed({ issuer: "https://idp.example.com", reason: "Denied" })
 *
 * error.message // => "The sign-in at https://idp.example.com failed: Denied"
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class SignInFailed extends Data.TaggedError("SignInFailed")<{
  /** The issuer where the user was to sign in. */
  readonly issuer: string
  /** The cause. */
  readonly reason: "Denied" | "Expired" | "Refused" | "BadResponse" | "NoPort" | "PkceUnsupported"
  /** The error code of the response. */
  readonly error?: string
}> {
  override get message(): string {
    const code = this.error === undefined ? "" : ` (${this.error})`
    return `The sign-in at ${this.issuer} failed: ${this.reason}${code}`
  }
}

/**
 * Errors of getting a token.
 *
 * @category errors
 * @since 0.1.0
 */
export type TokenError = TokenUnavailable | TokenRefused | ReauthenticationRequired

/**
 * Errors of sending a request with a token.
 *
 * @category errors
 * @since 0.1.0
 */
export type RequestError = TokenError | ScopesRequired | StepUpRequired
