/** Paths of Effect's router and of its `HttpApi`, written as OpenAPI writes them. */
import { escape } from "effect/RegExp"

/** A parameter of a router's path, from its colon to the end of its pattern and of the mark that it is optional. */
interface Parameter {
  readonly name: string
  readonly isOptional: boolean
  readonly start: number
  readonly end: number
}

// Two colons stand for one. A parameter's name ends in `HttpRouter` at one of these characters, in `HttpApi` with the word.
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

/** Where the pattern ends that begins here, which may hold parentheses itself. */
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
 * The router's path as OpenAPI writes it, with the names of its parameters. OpenAPI has neither optional parameters in a path, nor wildcards, nor a parameter
 * twice: a path that has throws, since what would be written is another one.
 */
export const ofRoute = (path: string): { readonly path: string; readonly parameters: ReadonlyArray<string> } => {
  const refuse = (what: string) => new TypeError(`${path}: a path in OpenAPI has no ${what}.`)
  const parameters = parametersOf(path, inRouter)
  const names = parameters.map(({ name }) => name)
  if (parameters.some(({ isOptional }) => isOptional)) {
    throw refuse("optional parameters: name a route for each of its two paths")
  }
  if (new Set(names).size < names.length) throw refuse("parameter twice")
  const template = replace(
    path,
    inRouter,
    ({ name }) => `{${name}}`,
    (text) => {
      if (text.includes("*")) throw refuse("wildcards: OpenApiSecurity.hidden leaves it out")
      return text.replaceAll("::", ":")
    }
  )
  return { path: template, parameters: names }
}

/** What templates have in common that are the same path for OpenAPI, whatever their parameters are called. */
export const normalize = (template: string): string => template.replace(/\{[^{}]*\}/g, "{}")

/** The path of an `HttpApi`'s endpoint as its document has it: a parameter that the endpoint does not declare is no parameter there. */
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
