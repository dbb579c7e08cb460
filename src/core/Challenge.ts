/**
 * What the errors become: status, `WWW-Authenticate` field (RFC 9110 §11.6.1, RFC 6750 §3) and body. The only place where a challenge is built.
 *
 * | error | `"fastapi"` (default) | `"rfc6750"` |
 * |---|---|---|
 * | `NotAuthenticated` | 401, `Bearer` | 401, `Bearer realm="…", scope="…"` |
 * | `InvalidRequest` | 401, `Bearer` | 400, `Bearer error="invalid_request"` |
 * | `InvalidToken` | 401, `Bearer` or `Bearer scope="…"` | 401, `Bearer error="invalid_token", scope="…"` |
 * | `InsufficientScope` | 401, `Bearer scope="…"` | 403, `Bearer error="insufficient_scope", scope="…"` |
 * | `AuthorizationServerUnavailable` | 503, `Retry-After` | 503, `Retry-After` |
 *
 * Bodies are `{"detail": …}` with constant text. `scope` names every scope that the operation needs. It is left out where none is needed,
 * and where the token has them all and a check has refused it.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import type * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as answers from "./answer.ts"
import type { Answer, Responses } from "./answer.ts"
import * as response from "./response.ts"
import type { SecurityError } from "./SecurityError.ts"

export { type Answer, bearer, type Responses } from "./answer.ts"

/**
 * The user's own response for an error, by its tag. Status and body are the user's; the library adds the fields `WWW-Authenticate` and
 * `Retry-After` unless the response already has them.
 *
 * **Example** (Problem details, RFC 9457)
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
 * @category models
 * @since 0.1.0
 */
export type Renderers = {
  readonly [Tag in SecurityError["_tag"]]?: (
    error: Extract<SecurityError, { readonly _tag: Tag }>
  ) => HttpServerResponse.HttpServerResponse
}

/**
 * What an answer depends on besides the error itself.
 *
 * @category models
 * @since 0.1.0
 */
export interface Settings {
  /** The form of the answer. */
  readonly responses: Responses
  /** The protection space (RFC 9110 §11.5). */
  readonly realm: string
  /** All the scopes that the operation needs, outermost first. */
  readonly scopes: ReadonlyArray<string>
  /** The user's own responses; `{}` for none. */
  readonly renderers: Renderers
}

/**
 * The answer to an error.
 *
 * **Example** (A token without a required scope)
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
 * @category constructors
 * @since 0.1.0
 */
export const answer: (error: SecurityError, settings: Settings) => Answer = answers.answer

/**
 * A copy of an error that responds with the given settings, and with `challenges`, one field each, where several schemes refused.
 *
 * **Example** (With settings of one's own)
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
 * The response to an error, with the settings of the scheme that raised it; FastAPI's where none did. It is what the errors answer with by themselves.
 *
 * **Gotchas**
 *
 * What another server has refused is no refusal of this one: an error that a typed client received, and that the handler did not handle, is a defect. To hand
 * it on, fail with an error of one's own (`auth.refuse`).
 *
 * **Example** (An error that no scheme raised)
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
