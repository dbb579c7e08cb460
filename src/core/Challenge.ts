/**
 * Responses to errors: status, `WWW-Authenticate` header and body (RFC 6750 §3). All challenges are built here.
 *
 * | error | `"fastapi"` (default) | `"rfc6750"` |
 * |---|---|---|
 * | `NotAuthenticated` | 401, `Bearer` | 401, `Bearer realm="…", scope="…"` |
 * | `InvalidRequest` | 401, `Bearer` | 400, `Bearer error="invalid_request"` |
 * | `InvalidToken` | 401, `Bearer` or `Bearer scope="…"` | 401, `Bearer error="invalid_token", scope="…"` |
 * | `InvalidDpopProof` | 401, `DPoP error="invalid_dpop_proof", algs="…"` | the same |
 * | `UseDpopNonce` | 401, `DPoP error="use_dpop_nonce", algs="…"`, `DPoP-Nonce` | the same |
 * | `InsufficientScope` | 401, `Bearer scope="…"` | 403, `Bearer error="insufficient_scope", scope="…"` |
 * | `FailedCheck` | 401, `Bearer` | 403, `Bearer realm="…"` |
 * | `InsufficientUserAuthentication` | 401, `Bearer error="insufficient_user_authentication", acr_values="…", max_age="…", scope="…"` | the same |
 * | `AuthorizationServerUnavailable` | 503, `Retry-After` | 503, `Retry-After` |
 *
 * Bodies are `{"detail": …}` with constant text. `scope` lists every required scope. It is omitted if no scope is
 * required, or if the token lacks no scope.
 *
 * Each parameter appears once, as a quoted string. Several challenges are sent in one header each, and only the
 * challenge of the scheme that the request used has an `error`. If the scheme has the option `resource`, every challenge
 * ends with `resource_metadata="…"` (RFC 9728 §5.1).
 *
 * A page of another origin reads `WWW-Authenticate` and `DPoP-Nonce` only if the server exposes them:
 * `HttpMiddleware.cors({ exposedHeaders: ["WWW-Authenticate", "DPoP-Nonce"] })`.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import type * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as answers from "./answer.ts"
import type { Answer, AuthScheme, Responses } from "./answer.ts"
import type { Rendered } from "./renderer.ts"
import * as response from "./response.ts"
import type { SecurityError } from "./SecurityError.ts"

export { type Answer, type AuthScheme, bearer, type Responses } from "./answer.ts"
export type { Rendered } from "./renderer.ts"

/**
 * Custom responses, by the tag of the error.
 *
 * **Details**
 *
 * A renderer gets the error and the request, and returns a response or an `Effect` of a response. The request is
 * `undefined` in a program without HTTP. The renderer chooses status and body. The library adds the headers
 * `WWW-Authenticate` and `Retry-After` unless the response already has them.
 *
 * If a renderer throws, fails, or takes longer than 5 seconds, the error is logged and the standard response is sent.
 *
 * Documents show the status and the media type of the response to an example: an error without details, and a `GET`
 * request without headers. If the effect of the renderer has to wait, documents show the standard response.
 *
 * **Example** (Responding with problem details, RFC 9457)
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
 *     NotAuthenticated: () =>
 *       HttpServerResponse.jsonUnsafe(
 *         { type: "about:blank", title: "Unauthorized", status: 401 },
 *         { status: 401, contentType: "application/problem+json" }
 *       )
 *   }
 * })
 * ```
 *
 * **Example** (Naming the request in the body)
 *
 * ```ts
 * import { Effect, Option } from "effect"
 * import { HttpServerResponse } from "effect/http"
 * import type { Challenge } from "effect-oauth2"
 *
 * export const renderers: Challenge.Renderers = {
 *   InsufficientScope: (error, request) =>
 *     Effect.gen(function* () {
 *       const span = yield* Effect.option(Effect.currentSpan)
 *       const isGerman = request?.headers["accept-language"]?.startsWith("de")
 *       return HttpServerResponse.jsonUnsafe(
 *         { message: isGerman ? "Keine Berechtigung" : "Not allowed", missing: error.missing, traceId: Option.getOrUndefined(span)?.traceId },
 *         { status: 403 }
 *       )
 *     })
 * }
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export type Renderers = {
  readonly [Tag in SecurityError["_tag"]]?: (
    error: Extract<SecurityError, { readonly _tag: Tag }>,
    request: HttpServerRequest | undefined
  ) => Rendered
}

/**
 * Options for the response to an error.
 *
 * @category models
 * @since 0.1.0
 */
export interface Settings {
  /** The format of the response. */
  readonly responses: Responses
  /** The protection space (RFC 9110 §11.5). */
  readonly realm: string
  /** All required scopes, outermost requirement first. */
  readonly scopes: ReadonlyArray<string>
  /** Custom responses, or `{}`. */
  readonly renderers: Renderers
  /** The scheme that the request used. Its challenge is the first, and has the error. Default: `"Bearer"`. */
  readonly authScheme?: AuthScheme
  /**
   * Other schemes that the API accepts. Their challenges have no error, unless the request used several schemes.
   * Responses to a valid token, and to a proof, do not name them. Default: none.
   */
  readonly otherSchemes?: ReadonlyArray<AuthScheme>
  /** The signature algorithms for proofs, for the challenge of `DPoP` (RFC 9449 §7.1). Default: none. */
  readonly algs?: ReadonlyArray<string>
  /** The URL of the API's metadata, for the last parameter of a challenge (RFC 9728 §5.1). Default: none. */
  readonly resourceMetadata?: string
}

/**
 * Returns the response to an error as plain data.
 *
 * **Gotchas**
 *
 * The result ignores `renderers`.
 *
 * **Example** (Responding to a token that lacks a scope)
 *
 * ```ts import.meta.vitest
 * import { Challenge, SecurityError } from "effect-oauth2"
 *
 * const error = new SecurityError.InsufficientScope({ required: ["me"], missing: ["me"] })
 * const settings = { realm: "api", scopes: ["me"], renderers: {} }
 *
 * Challenge.answer(error, { ...settings, responses: "fastapi" }).headers["www-authenticate"] // => 'Bearer scope="me"'
 * Challenge.answer(error, { ...settings, responses: "rfc6750" }).status // => 403
 * ```
 *
 * @see {@link respond} for the response that clients get
 * @category constructors
 * @since 0.1.0
 */
export const answer: (error: SecurityError, settings: Settings) => Answer = answers.answer

/**
 * Returns a copy of an error that responds with the given settings.
 *
 * **Details**
 *
 * If several schemes refused the request, pass their `challenges`. The response then has one `WWW-Authenticate` header
 * for each of them.
 *
 * **Example** (Responding with your own settings)
 *
 * ```ts import.meta.vitest
 * import { Effect } from "effect"
 * import { Challenge, SecurityError } from "effect-oauth2"
 *
 * const error = Challenge.within(new SecurityError.InvalidToken({ reason: "Rejected" }), {
 *   responses: "rfc6750",
 *   realm: "jobs",
 *   scopes: ["jobs:run"],
 *   renderers: {}
 * })
 *
 * const { headers } = Effect.runSync(Challenge.respond(error))
 *
 * headers["www-authenticate"] // => 'Bearer error="invalid_token", scope="jobs:run"'
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const within: <E extends SecurityError>(error: E, settings: Settings, challenges?: ReadonlyArray<string>) => E =
  response.within

/**
 * Returns the response to an error, with the settings of the scheme that created the error.
 *
 * **Details**
 *
 * Errors that no scheme created use FastAPI's format. `HttpRouter` sends this response for an uncaught `SecurityError`.
 *
 * **Gotchas**
 *
 * If a typed client received the error from an upstream server, the effect dies. Catch the error in the handler. To
 * refuse the request yourself, use `auth.refuse`.
 *
 * **Example** (Responding to an error without a scheme)
 *
 * ```ts import.meta.vitest
 * import { Effect } from "effect"
 * import { Challenge, SecurityError } from "effect-oauth2"
 *
 * const response = Challenge.respond(new SecurityError.NotAuthenticated({ reason: "NoCredentials" }))
 *
 * const { headers, status } = Effect.runSync(response)
 *
 * status // => 401
 * headers["www-authenticate"] // => "Bearer"
 * ```
 *
 * @category responses
 * @since 0.1.0
 */
export const respond: (error: SecurityError) => Effect.Effect<HttpServerResponse.HttpServerResponse> = response.respond
