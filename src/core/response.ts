/**
 * Converts an error to an HTTP response, and records if a scheme created the error or an upstream server sent it. The
 * error classes import this module, so it reads only the fields that `answer` reads.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Headers from "effect/http/Headers"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as renderer from "./renderer.ts"
import { frozenSuccess } from "./lib/exit.ts"
import { own } from "./lib/ownProperties.ts"
import { answer, type ErrorFields, type Form } from "./answer.ts"
import { severalFields } from "./effect/severalFields.ts"

/** `Challenge.Settings` without the types of the error classes. */
interface Settings extends Form {
  readonly renderers: renderer.Renderers
  /** Returns the redirect of a browser to the login. Not a public option: schemes with a session cookie add it. */
  readonly signIn?: SignIn
}

export type SignIn = (request: HttpServerRequest) => HttpServerResponse.HttpServerResponse | undefined

/** How a scheme responds to an error that it has created. */
export interface SchemeResponse {
  readonly settings: Settings
  readonly challenges: ReadonlyArray<string>
  /** The response, if it was built once and is the same for each request. */
  response: Effect.Effect<HttpServerResponse.HttpServerResponse> | undefined
}

// Not a field of the error, because the code that constructs an error, such as a verifier, does not know the scheme.
const schemeResponses = new WeakMap<ErrorFields, SchemeResponse>()

export const setResponse = (error: ErrorFields, how: SchemeResponse): void => {
  schemeResponses.set(error, how)
}

export const responseOf = (error: ErrorFields): SchemeResponse | undefined => schemeResponses.get(error)

/** Returns `true` if a scheme of this server created the error. */
export const isFromScheme = (error: ErrorFields): boolean => schemeResponses.has(error)

const upstreamErrors = new WeakSet<ErrorFields>()

/** Records that an upstream server sent the error. */
export const markAsUpstream = <E extends ErrorFields>(error: E): E => {
  upstreamErrors.add(error)
  return error
}

/** Returns `true` if an upstream server sent the error. */
export const isFromUpstream = (error: ErrorFields): boolean => upstreamErrors.has(error)

/** Defect of a handler that does not catch an error from an upstream server. */
export const uncaughtUpstreamError = new Error(
  "An upstream server refused a request, and the handler did not catch the error. Catch it, or respond with auth.refuse."
)

/** The response to an error that no scheme created. */
const withoutScheme: SchemeResponse = {
  settings: { responses: "fastapi", realm: "OAuth2", scopes: [], renderers: {} },
  challenges: [],
  response: undefined
}

/** Returns a copy of an error that responds with the given settings, as `Challenge.within` describes it. */
export const within = <E extends ErrorFields & Error>(
  error: E,
  settings: Settings,
  challenges: ReadonlyArray<string> = []
): E => {
  // A copy, because several schemes may respond to one error. The stack is one line, because a log reader does not need
  // the position in this library.
  const copy: E = Object.assign(Object.create(Object.getPrototypeOf(error)), error)
  Object.defineProperty(copy, "stack", { value: `${error._tag}: ${error.message}` })
  setResponse(copy, { settings, challenges, response: undefined })
  // Frozen, because many requests may share the copy.
  return Object.freeze(copy)
}

/** Returns the response to an error, as `Challenge.respond` describes it. */
export const respond = (error: ErrorFields): Effect.Effect<HttpServerResponse.HttpServerResponse> => {
  if (isFromUpstream(error)) return Effect.die(uncaughtUpstreamError)
  const how = responseOf(error) ?? withoutScheme
  const signIn = error._tag === "NotAuthenticated" ? own(how.settings, "signIn") : undefined
  if (typeof signIn !== "function") return respondAs(error, how)
  return Effect.withFiber(({ context }) => {
    const request = Context.getOrUndefined(context, HttpServerRequest)
    // Safe cast: a scheme with a session cookie adds the function.
    const redirect = request && (signIn as SignIn)(request)
    return redirect === undefined ? respondAs(error, how) : Effect.succeed(redirect)
  })
}

const respondAs = (error: ErrorFields, how: SchemeResponse): Effect.Effect<HttpServerResponse.HttpServerResponse> => {
  if (how.response !== undefined) return how.response
  const { settings } = how
  const challenges = how.challenges.length > 0 ? how.challenges : answer(error, settings).challenges
  if (challenges.length <= 1) {
    const response = rendered(error, settings, standard(error, settings, {}))
    if (how !== withoutScheme) how.response = response
    return response
  }
  return Effect.withFiber((fiber) =>
    rendered(
      error,
      settings,
      standard(error, settings, { "www-authenticate": severalFields(challenges, fiber.context) })
    )
  )
}

const rendered = (
  error: ErrorFields,
  { renderers }: Settings,
  { fields, response }: Standard
): Effect.Effect<HttpServerResponse.HttpServerResponse> => {
  const own = renderer.rendererOf(renderers, error)
  return own === undefined ? response : render(own, error, fields, response)
}

interface Standard {
  readonly fields: ReadonlyArray<[string, string]>
  readonly response: Effect.Effect<HttpServerResponse.HttpServerResponse>
}

const standard = (error: ErrorFields, settings: Settings, more: Readonly<Record<string, string>>): Standard => {
  const { body, headers, status } = answer(error, settings)
  const fields = Object.entries({ ...headers, ...more })
  const response = HttpServerResponse.jsonUnsafe(body, { status, headers: fields })
  // Many requests may share this response. Reading the body encodes the text and stores the bytes, so read it before
  // freezing.
  if (response.body._tag === "Uint8Array") void response.body.body
  for (const part of [response.headers, response.body, response]) Object.freeze(part)
  return { fields, response: frozenSuccess(response) }
}

/** Returns the custom response with the missing headers, or the standard response if the renderer fails. */
const render = (
  own: renderer.Renderer,
  error: ErrorFields,
  fields: ReadonlyArray<[string, string]>,
  standard: Effect.Effect<HttpServerResponse.HttpServerResponse>
): Effect.Effect<HttpServerResponse.HttpServerResponse> =>
  Effect.contextWith((context: Context.Context<never>) =>
    renderer.render(own, error, Context.getOrUndefined(context, HttpServerRequest))
  ).pipe(
    Effect.map((custom) =>
      HttpServerResponse.setHeaders(
        custom,
        fields.filter(([name]) => !Headers.has(custom.headers, name))
      )
    ),
    Effect.catchCause((cause) =>
      Effect.andThen(
        Effect.logError(
          `The renderer for ${error._tag} failed, so the standard response was sent. Correct the renderers option.`,
          cause
        ),
        standard
      )
    )
  )
