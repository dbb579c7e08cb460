/** What documents say of the answers with which a demand refuses a request. */
import { type HttpServerResponse, isHttpServerResponse } from "effect/http/HttpServerResponse"
import * as Challenge from "../../Challenge.ts"
import type { SecurityError } from "../../SecurityError.ts"
import { type Demand, errorsOf, type Part } from "../requirement/demand.ts"
import { exampleErrors } from "../exampleErrors.ts"
import { rendererOf } from "../renderer.ts"

/** How a scheme answers an error, for a document. */
interface Answer {
  readonly tag: SecurityError["_tag"]
  readonly status: number
  readonly headers: ReadonlyArray<string>
  /** Media types, and the details that a standard body can have; nothing is known of a body that the user renders. */
  readonly content: readonly [mediaType: string, detail: string | undefined] | undefined
  readonly isRendered: boolean
}

/** How a scheme answers each of the errors. A renderer is asked for one of each, without detail. */
const answersOf = ({ scheme }: Part): ReadonlyArray<Answer> => {
  const settings = scheme.settings([])
  return Object.values(exampleErrors).map((error) => {
    const tag = error._tag
    const { body, headers, status } = Challenge.answer(error, settings)
    const own = render(settings.renderers, error)
    return own === undefined
      ? { tag, status, headers: Object.keys(headers), content: ["application/json", body.detail], isRendered: false }
      : { tag, status: own.status, headers: Object.keys(headers), content: contentOf(own), isRendered: true }
  })
}

const render = (renderers: Challenge.Renderers, error: SecurityError): HttpServerResponse | undefined => {
  try {
    const response = rendererOf(renderers, error)?.(error)
    return isHttpServerResponse(response) ? response : undefined
  } catch {
    // Where a renderer fails, the standard answer is sent.
    return
  }
}

const contentOf = ({ body, headers }: HttpServerResponse): Answer["content"] => {
  if (body._tag === "Empty") return
  const type = headers["content-type"] ?? body.contentType ?? "application/octet-stream"
  return [type.replace(/;.*$/, "").trim(), undefined]
}

const descriptions: Readonly<Record<number, string>> = {
  400: "The credentials are malformed",
  401: "Not authenticated",
  403: "Not enough permissions",
  503: "The authorization server is unavailable"
}

/** The answers with which a demand can refuse a request. */
const possible = (demand: Demand): ReadonlyArray<Answer> =>
  demand.flat().flatMap((part) => answersOf(part).filter(({ tag }) => errorsOf(part).includes(tag)))

/** The same as responses (OpenAPI, "Responses Object"). */
export const of = (demand: Demand): Readonly<Record<string, unknown>> =>
  Object.fromEntries(
    Array.from(Map.groupBy(possible(demand), ({ status }) => status))
      .toSorted(([a], [b]) => a - b)
      .map(([status, answers]) => [String(status), responseOf(status, answers)])
  )

/** The statuses of those that the user renders. */
export const renderedStatuses = (demand: Demand): ReadonlySet<string> =>
  new Set(possible(demand).flatMap(({ isRendered, status }) => (isRendered ? [String(status)] : [])))

const responseOf = (status: number, answers: ReadonlyArray<Answer>): unknown => {
  const names = new Set(answers.flatMap(({ headers }) => headers))
  const header = (name: string) => ({
    required: answers.every(({ headers }) => headers.includes(name)),
    schema: { type: "string" }
  })
  const types = Map.groupBy(
    answers.flatMap(({ content }) => (content === undefined ? [] : [content])),
    ([type]) => type
  )
  return {
    description: descriptions[status] ?? "Refused",
    headers: Object.fromEntries(Array.from(names, (name) => [name, header(name)])),
    ...(types.size === 0
      ? {}
      : {
          content: Object.fromEntries(
            Array.from(types, ([type, of]) => [type, { schema: schemaOf(of.map(([, detail]) => detail)) }])
          )
        })
  }
}

const schemaOf = (details: ReadonlyArray<string | undefined>): unknown =>
  details.includes(undefined)
    ? {}
    : {
        type: "object",
        properties: { detail: { type: "string", enum: Array.from(new Set(details)) } },
        required: ["detail"],
        additionalProperties: false
      }
