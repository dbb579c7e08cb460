/** Describes the responses with which a policy refuses a request, as OpenAPI responses. */
import { type HttpServerResponse, isHttpServerResponse } from "effect/http/HttpServerResponse"
import * as Challenge from "../core/Challenge.ts"
import type { SecurityError } from "../core/SecurityError.ts"
import { type RequirementPolicy, errorsOf, type Part } from "../guard/requirement/policy.ts"
import { exampleErrors } from "../core/exampleErrors.ts"
import { rendererOf } from "../core/renderer.ts"

/** Response of a scheme to an error. */
interface RefusalResponse {
  readonly tag: SecurityError["_tag"]
  readonly status: number
  readonly headers: ReadonlyArray<string>
  /** Media type of the body and `detail` of a standard body. The `detail` of a custom renderer's body is unknown. */
  readonly content: readonly [mediaType: string, detail: string | undefined] | undefined
  readonly isRendered: boolean
}

/** Returns the response to each kind of error. Custom renderers run with an example of the error. */
const responsesOf = ({ scheme }: Part): ReadonlyArray<RefusalResponse> => {
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
    // If a custom renderer throws, the scheme sends the standard response.
    return
  }
}

const contentOf = ({ body, headers }: HttpServerResponse): RefusalResponse["content"] => {
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

/** Returns the possible refusals. For example, a requirement without scopes cannot fail with `InsufficientScope`. */
const possible = (policy: RequirementPolicy): ReadonlyArray<RefusalResponse> =>
  policy.flat().flatMap((part) => responsesOf(part).filter(({ tag }) => errorsOf(part).includes(tag)))

/** Returns the possible refusals by status (OpenAPI 3.1, "Responses Object"). */
export const of = (policy: RequirementPolicy): Readonly<Record<string, unknown>> =>
  Object.fromEntries(
    Array.from(Map.groupBy(possible(policy), ({ status }) => status))
      .toSorted(([a], [b]) => a - b)
      .map(([status, responses]) => [String(status), responseOf(status, responses)])
  )

/** Returns the statuses of refusals with a custom renderer. */
export const renderedStatuses = (policy: RequirementPolicy): ReadonlySet<string> =>
  new Set(possible(policy).flatMap(({ isRendered, status }) => (isRendered ? [String(status)] : [])))

const responseOf = (status: number, responses: ReadonlyArray<RefusalResponse>): unknown => {
  const names = new Set(responses.flatMap(({ headers }) => headers))
  const header = (name: string) => ({
    required: responses.every(({ headers }) => headers.includes(name)),
    schema: { type: "string" }
  })
  const types = Map.groupBy(
    responses.flatMap(({ content }) => (content === undefined ? [] : [content])),
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

export const schemaOf = (details: ReadonlyArray<string | undefined>): unknown =>
  details.includes(undefined)
    ? {}
    : {
        type: "object",
        properties: { detail: { type: "string", enum: Array.from(new Set(details)) } },
        required: ["detail"],
        additionalProperties: false
      }
