import * as Duration from "effect/Duration"
import { type HttpServerResponse, isHttpServerResponse } from "effect/http/HttpServerResponse"
import * as Challenge from "../Challenge.ts"
import {
  AuthorizationServerUnavailable,
  InsufficientScope,
  InvalidRequest,
  InvalidToken,
  NotAuthenticated,
  type SecurityError
} from "../SecurityError.ts"
import { type Demand, errorsOf, type Part } from "./demand.ts"
import type { Scheme } from "./scheme.ts"

const example = (tag: SecurityError["_tag"]): SecurityError => {
  switch (tag) {
    case "NotAuthenticated":
      return new NotAuthenticated({ reason: "Unspecified" })
    case "InvalidRequest":
      return new InvalidRequest({ reason: "Unspecified" })
    case "InvalidToken":
      return new InvalidToken({ reason: "Unspecified" })
    case "InsufficientScope":
      return new InsufficientScope({ required: [], missing: [] })
    case "AuthorizationServerUnavailable":
      return new AuthorizationServerUnavailable({ reason: "Unspecified", retryAfter: Duration.seconds(1) })
  }
}

const tags = [
  "NotAuthenticated",
  "InvalidRequest",
  "InvalidToken",
  "InsufficientScope",
  "AuthorizationServerUnavailable"
] as const

/** How a scheme answers an error, for a document. */
interface Documented {
  readonly tag: SecurityError["_tag"]
  readonly status: number
  readonly headers: ReadonlyArray<string>
  /** Media types, and the details that a standard body can have; nothing is known of a body that the user renders. */
  readonly content: readonly [mediaType: string, detail: string | undefined] | undefined
  readonly isRendered: boolean
}

/** How a scheme answers each of the errors. A renderer is asked for one of each, without detail. */
export const answersOf = ({ scheme }: Part): ReadonlyArray<Documented> => {
  const settings = scheme.settings([])
  return tags.map((tag) => {
    const error = example(tag)
    const { body, headers, status } = Challenge.answer(error, settings)
    const own = renderedBy(settings.renderers, error)
    return own === undefined
      ? { tag, status, headers: Object.keys(headers), content: ["application/json", body.detail], isRendered: false }
      : { tag, status: own.status, headers: Object.keys(headers), content: contentOf(own), isRendered: true }
  })
}

/** The statuses of the errors that an `HttpApi` declares for a scheme: those of the standard answers. */
export const declaredBy = (scheme: Scheme): ReadonlyArray<string> =>
  tags.map((tag) => String(Challenge.answer(example(tag), scheme.settings([])).status))

const renderedBy = (renderers: Challenge.Renderers, error: SecurityError): HttpServerResponse | undefined => {
  const renderer = renderers[error._tag] as ((error: SecurityError) => unknown) | undefined
  try {
    const response = renderer?.(error)
    return isHttpServerResponse(response) ? response : undefined
  } catch {
    // Where a renderer fails, the standard answer is sent.
    return
  }
}

const contentOf = ({ body, headers }: HttpServerResponse): Documented["content"] => {
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
const possible = (demand: Demand): ReadonlyArray<Documented> =>
  demand.flat().flatMap((part) => answersOf(part).filter(({ tag }) => errorsOf(part).includes(tag)))

/** The same as responses (OpenAPI, "Responses Object"). */
export const refusals = (demand: Demand): Readonly<Record<string, unknown>> =>
  Object.fromEntries(
    Array.from(Map.groupBy(possible(demand), ({ status }) => status))
      .toSorted(([a], [b]) => a - b)
      .map(([status, answers]) => [String(status), responseOf(status, answers)])
  )

/** Those of them that the user renders. */
export const rendered = (demand: Demand): Readonly<Record<string, unknown>> => {
  const statuses = possible(demand).flatMap(({ isRendered, status }) => (isRendered ? [String(status)] : []))
  return Object.fromEntries(Object.entries(refusals(demand)).filter(([status]) => statuses.includes(status)))
}

const responseOf = (status: number, answers: ReadonlyArray<Documented>): unknown => {
  const header = { required: true, schema: { type: "string" } }
  const types = Map.groupBy(
    answers.flatMap(({ content }) => (content === undefined ? [] : [content])),
    ([type]) => type
  )
  return {
    description: descriptions[status] ?? "Refused",
    headers: Object.fromEntries(answers.flatMap(({ headers }) => headers).map((name) => [name, header])),
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

// A colon that stands for itself, a parameter (up to `/`, `-`, `.` or its pattern), what makes one optional, or a wildcard.
const special = /::|:([^/.(?:-]+)|\?|\*/g

/**
 * The router's path as OpenAPI writes it, with the names of its parameters. OpenAPI has neither optional parameters in a path nor wildcards: a path that has
 * throws, since what would be written is another one.
 */
export const pathOf = (path: string): { readonly path: string; readonly parameters: ReadonlyArray<string> } => {
  const parameters: Array<string> = []
  const template = withoutPatterns(path).replace(special, (text: string, name: string | undefined) => {
    if (text === "::") return ":"
    if (name === undefined) {
      const what =
        text === "?" ? "optional parameters: name a route for each of its two paths" : "wildcards: leave it out"
      throw new TypeError(`OpenApiSecurity.fromRoutes: ${path}: a path in OpenAPI has no ${what}.`)
    }
    parameters.push(name)
    return `{${name}}`
  })
  return { path: template, parameters }
}

/** Without the patterns that parameters have to match, which may hold parentheses themselves. */
const withoutPatterns = (path: string): string => {
  let depth = 0
  let isEscaped = false
  let rest = ""
  for (const character of path) {
    if (depth > 0 && isEscaped) isEscaped = false
    else if (depth > 0 && character === "\\") isEscaped = true
    else if (character === "(") depth++
    else if (character === ")" && depth > 0) depth--
    else if (depth === 0) rest += character
  }
  return rest
}
