/** Converts paths of `HttpRouter` and `HttpApi` to path templates of OpenAPI. */
import { escape } from "effect/RegExp"

/** A parameter in a path, from its colon to the end of its pattern and its `?`. */
interface Parameter {
  readonly name: string
  readonly isOptional: boolean
  readonly start: number
  readonly end: number
}

// `::` is an escaped colon. In `HttpRouter`, a name ends at one of the listed characters; in `HttpApi`, after the word.
const inRouter = /::|:([^/.(?-]+)/g
const inApi = /::|:(\w+)/g

const parametersOf = (path: string, syntax: RegExp): ReadonlyArray<Parameter> => {
  const parameters: Array<Parameter> = []
  for (const { 0: text, 1: name, index: start } of path.matchAll(syntax)) {
    if (name === undefined || start < (parameters.at(-1)?.end ?? 0)) continue
    const end = endOfPattern(path, start + text.length)
    const isOptional = path[end] === "?"
    parameters.push({ name, isOptional, start, end: isOptional ? end + 1 : end })
  }
  return parameters
}

// A pattern may contain nested and escaped parentheses: "(^(a|\\(b)+$)".
const endOfPattern = (path: string, start: number): number => {
  if (path[start] !== "(") return start
  let depth = 0
  for (let i = start; i < path.length; i++) {
    if (path[i] === "\\") i++
    else if (path[i] === "(") depth++
    else if (path[i] === ")" && --depth === 0) return i + 1
  }
  return path.length
}

const replace = (
  path: string,
  syntax: RegExp,
  ofParameter: (parameter: Parameter) => string,
  ofText: (text: string) => string
): string => {
  let result = ""
  let last = 0
  for (const parameter of parametersOf(path, syntax)) {
    result += ofText(path.slice(last, parameter.start)) + ofParameter(parameter)
    last = parameter.end
  }
  return result + ofText(path.slice(last))
}

/**
 * Returns the path template of a route and the names of its parameters. Throws a `TypeError` if OpenAPI cannot describe
 * the path.
 */
export const ofRoute = (path: string): { readonly path: string; readonly parameters: ReadonlyArray<string> } => {
  const refuse = (what: string) => new TypeError(`${path}: OpenAPI cannot describe ${what}`)
  const parameters = parametersOf(path, inRouter)
  const names = parameters.map(({ name }) => name)
  if (parameters.some(({ isOptional }) => isOptional)) {
    throw refuse("optional path parameters. Add one route with the parameter and one without it.")
  }
  if (new Set(names).size < names.length) throw refuse("two path parameters of the same name. Rename one of them.")
  const template = replace(
    path,
    inRouter,
    ({ name }) => `{${name}}`,
    (text) => {
      if (text.includes("*")) throw refuse("wildcards. Provide OpenApiSecurity.hidden to leave out the route.")
      return text.replaceAll("::", ":")
    }
  )
  return { path: template, parameters: names }
}

/** Returns the same text for templates that differ only in the names of their parameters. */
export const normalize = (template: string): string => template.replace(/\{[^{}]*\}/g, "{}")

/**
 * Finds the template of an endpoint of an `HttpApi` among the document's templates.
 *
 * Effect writes a parameter that the endpoint does not declare as plain text, such as `:id` instead of `{id}`.
 */
export const find = (path: string, templates: Readonly<Record<string, unknown>>): string | undefined => {
  const template = replace(
    path,
    inApi,
    ({ name }) => `{${name}}`,
    (text) => text
  )
  if (Object.hasOwn(templates, template)) return template
  const either = replace(
    path,
    inApi,
    ({ end, name, start }) => `(?:\\{${name}\\}|${escape(path.slice(start, end))})`,
    escape
  )
  const pattern = new RegExp(`^${either}$`)
  return Object.keys(templates).find((template) => pattern.test(template))
}
