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
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Headers from "effect/http/Headers"
import { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import { frozenSuccess } from "./internal/exit.ts"
import { rawFields } from "./internal/credential/rawFields.ts"
import { rendererOf } from "./internal/renderer.ts"
import * as raised from "./internal/scheme/raised.ts"
import type { SecurityError } from "./SecurityError.ts"

/**
 * The form of the answers: FastAPI's, byte for byte, or that of RFC 6750. What is accepted never depends on it.
 *
 * @category models
 * @since 0.1.0
 */
export type Responses = "fastapi" | "rfc6750"

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
 * An answer in plain data.
 *
 * @category models
 * @since 0.1.0
 */
export interface Answer {
  /** The status code (RFC 9110 §15). */
  readonly status: number
  /** `www-authenticate` or, of an outage, `retry-after` (in seconds), in lower case. */
  readonly headers: Readonly<Record<string, string>>
  /** JSON, with constant text. */
  readonly body: { readonly detail: string }
}

type Params = ReadonlyArray<readonly [name: string, value: string]>

// RFC 6750 §3: error and scope hold %x20-21 / %x23-5B / %x5D-7E; a realm is any quoted-string (RFC 9110 §5.6.4), of which we
// write the ASCII part. What is outside becomes "?", so that no value can end the string or the field.
const quote = (value: string): string =>
  `"${value.replace(/[^\x20-\x7E]/g, "?").replace(/["\\]/g, (character) => `\\${character}`)}"`

const restrict = (value: string): string => value.replace(/[^\x20\x21\x23-\x5B\x5D-\x7E]/g, "?")

/**
 * Writes a challenge of the scheme `Bearer` with the given parameters, in their order.
 *
 * **Example** (Writing a challenge)
 *
 * ```ts import.meta.vitest
 * import { Challenge } from "effect-oauth2"
 *
 * Challenge.bearer([]) // => 'Bearer'
 * Challenge.bearer([["realm", 'a "b"'], ["scope", "items:read me"]]) // => 'Bearer realm="a \\"b\\"", scope="items:read me"'
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const bearer = (params: Params): string =>
  params.length === 0
    ? "Bearer"
    : `Bearer ${params.map(([name, value]) => `${name}=${quote(name === "realm" ? value : restrict(value))}`).join(", ")}`

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
export const answer = (error: SecurityError, settings: Settings): Answer => {
  const fastapi = settings.responses === "fastapi"
  const scope: Params = settings.scopes.length === 0 ? [] : [["scope", settings.scopes.join(" ")]]
  const challenge = (status: number, detail: string, params: Params): Answer => ({
    status,
    headers: { "www-authenticate": bearer(params) },
    body: { detail }
  })
  switch (error._tag) {
    case "NotAuthenticated":
      return challenge(401, "Not authenticated", fastapi ? [] : [["realm", settings.realm], ...scope])
    case "InvalidRequest":
      return fastapi
        ? challenge(401, "Not authenticated", [])
        : challenge(400, "Malformed credentials", [["error", "invalid_request"]])
    case "InvalidToken":
      return challenge(401, "Could not validate credentials", fastapi ? scope : [["error", "invalid_token"], ...scope])
    case "InsufficientScope": {
      // A client that has all scopes, and is told which, asks for them again, and again.
      const missing = Object.hasOwn(error, "checks") && error.missing.length === 0 ? [] : scope
      return fastapi
        ? challenge(401, "Not enough permissions", missing)
        : challenge(403, "Not enough permissions", [["error", "insufficient_scope"], ...missing])
    }
    case "AuthorizationServerUnavailable":
      return {
        status: 503,
        headers: { "retry-after": delaySeconds(error.retryAfter) },
        body: { detail: "Authorization server unavailable" }
      }
  }
}

// RFC 9110 §10.2.3: delay-seconds = 1*DIGIT. At least one, so that nobody asks again at once; at most what a signed 32-bit number holds.
const delaySeconds = (delay: Duration.Duration): string =>
  String(Math.min(Math.max(Math.ceil(Duration.toSeconds(delay)), 1), 2_147_483_647))

// One field for each challenge: a client may not split a list of challenges right (RFC 9110 §11.6.1). Effect's headers are typed as strings, and
// those of a response are handed on to Node as they are, which writes a field for each member of an array. Elsewhere a list is joined.
const severalFields = (challenges: ReadonlyArray<string>, onNode: boolean): Readonly<Record<string, string>> => ({
  "www-authenticate": onNode ? (challenges as unknown as string) : challenges.join(", ")
})

const isNode = (context: Context.Context<never>): boolean => {
  const request = Context.getOrUndefined(context, HttpServerRequest)
  return request !== undefined && rawFields(request.source) !== undefined
}

/** How an error answers that was raised outside every scheme. */
const outside: raised.Raised = {
  settings: { responses: "fastapi", realm: "OAuth2", scopes: [], renderers: {} },
  challenges: [],
  response: undefined
}

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
export const within = <E extends SecurityError>(
  error: E,
  settings: Settings,
  challenges: ReadonlyArray<string> = []
): E => {
  // The prototype carries the class, the own properties its fields: a copy, since one error value may serve several schemes. Its stack is
  // the one line that a log should show: where in this library a request was refused helps nobody.
  const copy: E = Object.assign(Object.create(Object.getPrototypeOf(error)), error)
  Object.defineProperty(copy, "stack", { value: `${error._tag}: ${error.message}` })
  raised.note(copy, { settings, challenges, response: undefined })
  // It may serve many requests.
  return Object.freeze(copy)
}

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
export const respond = (error: SecurityError): Effect.Effect<HttpServerResponse.HttpServerResponse> => {
  if (raised.isReceived(error)) return Effect.die(raised.notHandled)
  const known = raised.of(error) ?? outside
  if (known.response !== undefined) return known.response
  const { challenges, settings } = known
  if (challenges.length <= 1) {
    const response = rendered(error, settings, standard(error, settings, {}))
    if (known !== outside) known.response = response
    return response
  }
  return Effect.withFiber((fiber) =>
    rendered(error, settings, standard(error, settings, severalFields(challenges, isNode(fiber.context))))
  )
}

const rendered = (
  error: SecurityError,
  { renderers }: Settings,
  { fields, response }: Standard
): Effect.Effect<HttpServerResponse.HttpServerResponse> => {
  const renderer = rendererOf(renderers, error)
  return renderer === undefined ? response : render(renderer, error, fields, response)
}

interface Standard {
  readonly fields: ReadonlyArray<[string, string]>
  readonly response: Effect.Effect<HttpServerResponse.HttpServerResponse>
}

const standard = (error: SecurityError, settings: Settings, more: Readonly<Record<string, string>>): Standard => {
  const { body, headers, status } = answer(error, settings)
  const fields = Object.entries({ ...headers, ...more })
  const response = HttpServerResponse.jsonUnsafe(body, { status, headers: fields })
  // It may serve many requests. The body encodes its text at the first use, and keeps the bytes.
  if (response.body._tag === "Uint8Array") void response.body.body
  for (const part of [response.headers, response.body, response]) Object.freeze(part)
  return { fields, response: frozenSuccess(response) }
}

/** The user's response, with the fields that it lacks; the standard one where the renderer fails. */
const render = (
  renderer: (error: SecurityError) => unknown,
  error: SecurityError,
  fields: ReadonlyArray<[string, string]>,
  standard: Effect.Effect<HttpServerResponse.HttpServerResponse>
): Effect.Effect<HttpServerResponse.HttpServerResponse> =>
  Effect.sync(() => {
    const own = renderer(error)
    if (!HttpServerResponse.isHttpServerResponse(own)) throw new TypeError("A renderer returns an HttpServerResponse.")
    return HttpServerResponse.setHeaders(
      own,
      fields.filter(([name]) => !Headers.has(own.headers, name))
    )
  }).pipe(
    Effect.catchDefect((defect) =>
      Effect.andThen(
        Effect.logError(`The renderer for ${error._tag} failed; the standard response was sent`, defect),
        standard
      )
    )
  )
