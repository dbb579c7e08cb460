/**
 * How an error responds, and who says so: the scheme of this server that raised it, or another server, which has sent it. It knows of an error what `answer`
 * reads, so that the classes of the errors can use it.
 */
import * as Effect from "effect/Effect"
import * as Headers from "effect/http/Headers"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import { type Renderers, rendererOf } from "./renderer.ts"
import { frozenSuccess } from "./lib/exit.ts"
import { answer, type Failure, type Form } from "./answer.ts"
import { severalFields } from "./effect/severalFields.ts"

/** `Challenge.Settings`, whose renderers take the errors themselves. */
interface Settings extends Form {
  readonly renderers: Renderers
}

/** How a scheme answers an error that it has raised. */
export interface Raised {
  readonly settings: Settings
  readonly challenges: ReadonlyArray<string>
  /** Once it was asked for, where it is the same each time. */
  response: Effect.Effect<HttpServerResponse.HttpServerResponse> | undefined
}

// Beside the error: where it was raised is not known to whoever constructed it (a verifier, say).
const raised = new WeakMap<Failure, Raised>()

export const note = (error: Failure, how: Raised): void => {
  raised.set(error, how)
}

export const of = (error: Failure): Raised | undefined => raised.get(error)

/** Whether a scheme of this server raised the error. */
export const isRaised = (error: Failure): boolean => raised.has(error)

const received = new WeakSet<Failure>()

/** Notes that another server has answered with it. */
export const receive = <E extends Failure>(error: E): E => {
  received.add(error)
  return error
}

/** Whether another server has answered with it. */
export const isReceived = (error: Failure): boolean => received.has(error)

/** The defect of a handler that lets the refusal of another server pass. */
export const notHandled = new Error(
  "Another server has refused a request of this one, and no handler has handled that."
)

/** How an error answers that was raised outside every scheme. */
const outside: Raised = {
  settings: { responses: "fastapi", realm: "OAuth2", scopes: [], renderers: {} },
  challenges: [],
  response: undefined
}

/** A copy of an error that responds with the given settings, as `Challenge.within` describes it. */
export const within = <E extends Failure & Error>(
  error: E,
  settings: Settings,
  challenges: ReadonlyArray<string> = []
): E => {
  // The prototype carries the class, the own properties its fields: a copy, since one error value may serve several schemes. Its stack is
  // the one line that a log should show: where in this library a request was refused helps nobody.
  const copy: E = Object.assign(Object.create(Object.getPrototypeOf(error)), error)
  Object.defineProperty(copy, "stack", { value: `${error._tag}: ${error.message}` })
  note(copy, { settings, challenges, response: undefined })
  // It may serve many requests.
  return Object.freeze(copy)
}

/** The response to an error, as `Challenge.respond` describes it. */
export const respond = (error: Failure): Effect.Effect<HttpServerResponse.HttpServerResponse> => {
  if (isReceived(error)) return Effect.die(notHandled)
  const known = of(error) ?? outside
  if (known.response !== undefined) return known.response
  const { challenges, settings } = known
  if (challenges.length <= 1) {
    const response = rendered(error, settings, standard(error, settings, {}))
    if (known !== outside) known.response = response
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
  error: Failure,
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

const standard = (error: Failure, settings: Settings, more: Readonly<Record<string, string>>): Standard => {
  const { body, headers, status } = answer(error, settings)
  const fields = Object.entries({ ...headers, ...more })
  const response = HttpServerResponse.jsonUnsafe(body, { status, headers: fields })
  // Many requests may get this response. Its body encodes the text when it is first read, and keeps the bytes.
  if (response.body._tag === "Uint8Array") void response.body.body
  for (const part of [response.headers, response.body, response]) Object.freeze(part)
  return { fields, response: frozenSuccess(response) }
}

/** The user's response, with the fields that it lacks; the standard one where the renderer fails. */
const render = (
  renderer: (error: Failure) => unknown,
  error: Failure,
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
