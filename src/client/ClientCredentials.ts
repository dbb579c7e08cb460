/**
 * Gets tokens for a service that acts for itself (RFC 6749 §4.4).
 *
 * **Details**
 *
 * | situation | what happens |
 * |---|---|
 * | several requests need a token at once | one token request for each set of scopes and resource |
 * | a token expires in less than 2 minutes | it is renewed in the background, and stays in use |
 * | a token expires in less than 30 seconds | requests wait for the new one |
 * | the authorization server does not answer | the token stays in use until it expires; then `TokenUnavailable` |
 * | a token request failed | the next one waits for 1 second, then 2, 4, … 30, minus up to a quarter by chance, or for `Retry-After` |
 * | the authorization server refuses | `TokenRefused`; the next token request is sent 30 seconds later |
 * | a request is interrupted | the token request goes on for the others |
 *
 * Times count from the moment when the token was requested.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { NeedsHttpClient } from "../core/missing.ts"
import type { ConfigurationError } from "../core/SecurityError.ts"
import type { Renewal } from "./cache/options.ts"
import type { Registration } from "./protocol/options.ts"
import * as tokensByScopes from "./cache/tokensByScopes.ts"
import { TokenSource } from "./TokenSource.ts"

/**
 * Options for `ClientCredentials`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends Registration, Renewal {
  /** Scopes to ask for. Default: none, which lets the authorization server choose. */
  readonly scopes?: ReadonlyArray<string>
  /** API that the token is for (RFC 8707). Default: none. */
  readonly resource?: string
  /** Other parameters of the token request, such as `audience` of Auth0. Default: none. */
  readonly parameters?: Readonly<Record<string, string>>
}

/**
 * Makes a source. It ends with the scope.
 *
 * **Example** (Getting a token)
 *
 * ```ts import.meta.vitest
 * import { Effect, Redacted } from "effect"
 * import { ClientAuthentication, ClientCredentials } from "effect-oauth2/client"
 * import { TestIssuer } from "effect-oauth2/testing"
 *
 * const program = Effect.gen(function* () {
 *   const source = yield* ClientCredentials.make({
 *     issuer: "https://issuer.test",
 *     clientId: "worker",
 *     authentication: ClientAuthentication.secret(Redacted.make("secret")),
 *     scopes: ["items:read"]
 *   })
 *   const { scopes } = yield* source.get()
 *   return Array.from(scopes)
 * })
 *
 * await Effect.runPromise(
 *   Effect.scoped(program).pipe(Effect.provide(TestIssuer.layer({ keys: ["ES256"] })))
 * ) // => ["items:read"]
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  options: Options
): Effect.Effect<TokenSource["Service"], ConfigurationError, NeedsHttpClient | Scope.Scope> =>
  tokensByScopes.make(options, "client_credentials", Effect.succeed({}))

/**
 * Layer that provides the source as `TokenSource`.
 *
 * **Example** (Calling an API from a worker)
 *
 * ```ts
 * import { Layer, Redacted } from "effect"
 * import { FetchHttpClient } from "effect/http"
 * import { ClientAuthentication, ClientCredentials } from "effect-oauth2/client"
 *
 * export const Source = ClientCredentials.layer({
 *   issuer: "https://idp.example.com",
 *   clientId: "worker",
 *   authentication: ClientAuthentication.secret(Redacted.make("the worker's secret")),
 *   scopes: ["items:read"]
 * }).pipe(Layer.provide(FetchHttpClient.layer))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<TokenSource, ConfigurationError, NeedsHttpClient> =>
  Layer.effect(TokenSource, make(options))
