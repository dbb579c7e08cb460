import * as Duration from "effect/Duration"
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

/** How a scheme answers each of the errors. */
export const answersOf = (part: Part): ReadonlyArray<readonly [SecurityError["_tag"], Challenge.Answer]> =>
  tags.map((tag) => [tag, Challenge.answer(example(tag), part.scheme.settings([]))])

const descriptions: Readonly<Record<number, string>> = {
  400: "The credentials are malformed",
  401: "Not authenticated",
  403: "Not enough permissions",
  503: "The authorization server is unavailable"
}

/** The responses (OpenAPI, "Responses Object") with which a demand can refuse a request. */
export const refusals = (demand: Demand): Readonly<Record<string, unknown>> => {
  const answers = demand.flat().flatMap((part) =>
    answersOf(part)
      .filter(([tag]) => errorsOf(part).includes(tag))
      .map(([, answer]) => answer)
  )
  const statuses = Array.from(new Set(answers.map(({ status }) => status))).toSorted((a, b) => a - b)
  return Object.fromEntries(
    statuses.map((status) => {
      const same = answers.filter((answer) => answer.status === status)
      const details = Array.from(new Set(same.map(({ body }) => body.detail)))
      const header = { required: true, schema: { type: "string" } }
      return [
        String(status),
        {
          description: descriptions[status] ?? "Refused",
          headers: Object.fromEntries(
            same.flatMap(({ headers }) => Object.keys(headers)).map((name) => [name, header])
          ),
          content: {
            "application/json": {
              schema: {
                type: "object",
                properties: { detail: { type: "string", enum: details } },
                required: ["detail"],
                additionalProperties: false
              }
            }
          }
        }
      ]
    })
  )
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
