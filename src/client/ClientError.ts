/**
 * Errors of a client that gets tokens and sends them.
 *
 * **Details**
 *
 * | error | meaning | what to do |
 * |---|---|---|
 * | `TokenUnavailable` | the authorization server does not answer, or answers with an error of its own | try again later |
 * | `TokenRefused` | the authorization server refuses the client or its request | correct the options |
 * | `ReauthenticationRequired` | the user's grant has ended | let the user sign in again |
 * | `ScopesRequired` | the API wants more scopes than the source may ask for | ask the user for consent, or raise the ceiling |
 * | `SignInFailed` | the user refused, or did not sign in in time | let the user try again |
 * | `TokenStoreError` | the store of the user's tokens does not work | repair the store |
 * | `StepUpRequired` | the API wants a more recent or stronger authentication | let the user sign in again, with these values |
 * | `DiscoveryFailed` | the authorization server of an API is not found, or must not be used | see its `reason` |
 * | `RegistrationFailed` | the authorization server does not register the client | register the client yourself |
 *
 * No error contains a token, a secret, or text that the server wrote freely.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"

export {
  ReauthenticationRequired,
  type RequestError,
  ScopesRequired,
  SignInFailed,
  StepUpRequired,
  type TokenError,
  TokenRefused,
  TokenStoreError,
  TokenUnavailable
} from "../core/clientErrors.ts"

/**
 * The authorization server of an API is not found, or must not be used.
 *
 * **Details**
 *
 * | reason | meaning |
 * |---|---|
 * | `Unreachable`, `Timeout` | the API or its authorization server does not respond |
 * | `NotFound` | the API publishes no metadata (RFC 9728) |
 * | `BadResponse` | a document is not valid, is too long, or names an address that must not be requested |
 * | `ResourceMismatch` | the metadata is for another resource (RFC 9728 §3.3) |
 * | `NoAuthorizationServer` | the metadata names no authorization server, or `select` accepted none |
 * | `IssuerMismatch` | the metadata of the authorization server names another issuer (RFC 8414 §3.3) |
 *
 * **Example** (Reading the reason)
 *
 * ```ts import.meta.vitest
 * import { ClientError } from "effect-oauth2/client"
 *
 * const error = new ClientError.DiscoveryFailed({ resource: "https://api.example.com/mcp", reason: "NotFound" })
 *
 * error.message // => "No authorization server is known for https://api.example.com/mcp: NotFound"
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class DiscoveryFailed extends Data.TaggedError("DiscoveryFailed")<{
  /** The API whose authorization server was to be found. */
  readonly resource: string
  /** The cause. */
  readonly reason:
    | "Unreachable"
    | "Timeout"
    | "NotFound"
    | "BadResponse"
    | "ResourceMismatch"
    | "NoAuthorizationServer"
    | "IssuerMismatch"
}> {
  override get message(): string {
    return `No authorization server is known for ${this.resource}: ${this.reason}`
  }
}

/**
 * The client has no registration at an authorization server.
 *
 * **Details**
 *
 * | reason | meaning |
 * |---|---|
 * | `Unsupported` | no registration of the options fits: the server accepts neither the metadata document nor new clients |
 * | `Refused` | the server refuses the registration, with the code in `error` (RFC 7591 §3.2.2) |
 * | `BadResponse` | the response gives no credential for a method that the client supports |
 * | `Store` | the store of the registrations does not work |
 *
 * **Example** (Reading the reason)
 *
 * ```ts import.meta.vitest
 * import { ClientError } from "effect-oauth2/client"
 *
 * const error = new ClientError.RegistrationFailed({ issuer: "https://idp.example.com", reason: "Unsupported" })
 *
 * error.message // => "The client has no registration at https://idp.example.com: Unsupported"
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class RegistrationFailed extends Data.TaggedError("RegistrationFailed")<{
  /** The issuer of the authorization server. */
  readonly issuer: string
  /** The cause. */
  readonly reason: "Unsupported" | "Refused" | "BadResponse" | "Store"
  /** The error code of the response, such as `invalid_redirect_uri`. */
  readonly error?: string
}> {
  override get message(): string {
    const code = this.error === undefined ? "" : ` (${this.error})`
    return `The client has no registration at ${this.issuer}: ${this.reason}${code}`
  }
}
