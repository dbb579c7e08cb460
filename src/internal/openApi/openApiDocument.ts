/** Puts security and refusals into the operations of an OpenAPI document. */
import type * as OpenApi from "effect/http-api/OpenApi"
import { isReadonlyObject } from "effect/Predicate"
import type { SecurityRequirementObject } from "../../OpenApiSecurity.ts"
import { field, type Json, mapValues, membersOf } from "../json.ts"
import { ownProperties } from "../ownProperties.ts"
import * as pathTemplate from "./pathTemplate.ts"
import { both } from "./securityRequirements.ts"
import type { Scheme } from "../scheme/scheme.ts"

type Security = ReadonlyArray<SecurityRequirementObject>

/** The document with the definitions of these schemes, as its version has them. Another one under the name of one of them is a mistake. */
export const withSchemes = (document: Json, schemes: ReadonlyMap<string, Scheme>): Json => {
  const version = typeof document["openapi"] === "string" ? document["openapi"] : "3.1.0"
  const components = membersOf(document["components"])
  const existing = membersOf(components["securitySchemes"])
  const ours = Object.fromEntries(Array.from(schemes, ([name, scheme]) => [name, scheme.definition(version)]))
  const taken = Object.keys(ours).find(
    (name) => Object.hasOwn(existing, name) && JSON.stringify(existing[name]) !== JSON.stringify(ours[name])
  )
  if (taken !== undefined) {
    throw new TypeError(`The document has another security scheme under the name ${JSON.stringify(taken)}: rename one.`)
  }
  return { ...document, components: { ...components, securitySchemes: { ...existing, ...ours } } }
}

/** What is enforced at an endpoint of an `HttpApi`, and how it can refuse. */
export interface SecuredOperation {
  readonly method: string
  /** As the endpoint has it. */
  readonly path: string
  readonly security: Security
  readonly refusals: Json
  /** The statuses of refusals that the user renders. */
  readonly rendered: ReadonlySet<string>
  /** The statuses that the schemes of the endpoint declare. */
  readonly declared: ReadonlySet<string>
  /** The statuses that something else declares. */
  readonly others: ReadonlySet<string>
}

/** A document, as opposed to the tag of a group: an api that is added to another one gives its annotations to its groups. */
export const isDocument = (value: Json): boolean => Object.hasOwn(value, "openapi") && Object.hasOwn(value, "paths")

/** The document with the security of these endpoints, each of which must be there. */
export const secure = (document: Json, endpoints: ReadonlyArray<SecuredOperation>): Json => {
  const paths: Record<string, unknown> = { ...membersOf(document["paths"]) }
  for (const endpoint of endpoints) {
    const path = pathTemplate.find(endpoint.path, paths)
    const item = path === undefined ? undefined : withOperation(paths[path], endpoint)
    if (path === undefined || item === undefined) {
      const where = `${endpoint.method} ${endpoint.path}`
      throw new TypeError(`The document has no operation for ${where}, whose security it is to show.`)
    }
    paths[path] = item
  }
  return { ...document, paths }
}

// The methods that OpenAPI 3.1 has no field for, such as QUERY, stand in an extension of the path item.
const additional = "x-oai-additionalOperations"

const withOperation = (item: unknown, endpoint: SecuredOperation): Json | undefined => {
  if (!isReadonlyObject(item)) return
  const { method } = endpoint
  const operation = item[method.toLowerCase()]
  if (isReadonlyObject(operation)) return { ...item, [method.toLowerCase()]: secured(operation, endpoint) }
  const others = item[additional]
  const other = field(others, method)
  return isReadonlyObject(others) && isReadonlyObject(other)
    ? { ...item, [additional]: { ...others, [method]: secured(other, endpoint) } }
    : undefined
}

const secured = (operation: Json, { declared, others, refusals, rendered, security }: SecuredOperation): Json => {
  const responses = membersOf(operation["responses"])
  // A status is ours where nothing else declares it. What the schemes declare is what any requirement of theirs could answer.
  const isOurs = (status: string) => declared.has(status) && !others.has(status) && isRefusal(responses[status])
  return {
    ...operation,
    security: all(operation["security"], security),
    responses: {
      ...Object.fromEntries(Object.entries(responses).filter(([status]) => !isOurs(status))),
      ...mapValues(refusals, (refusal, status) => {
        const before = responses[status]
        if (before === undefined || isOurs(status)) return refusal
        return rendered.has(status) ? either(before, refusal) : before
      })
    }
  }
}

// The fields of an answer that the user has written himself are his own.
const isRefusal = (response: unknown): boolean => {
  const headers = membersOf(field(response, "headers"))
  return Object.hasOwn(headers, "www-authenticate") || Object.hasOwn(headers, "retry-after")
}

/** A response of this status that is one or the other. The body of a media type that both have may be anything. */
const either = (one: unknown, other: unknown): unknown => {
  const content = (response: unknown) => membersOf(field(response, "content"))
  const types = { ...content(one), ...content(other) }
  const both = Object.keys(content(one)).filter((type) => Object.hasOwn(content(other), type))
  return {
    ...membersOf(one),
    ...(Object.keys(types).length === 0
      ? {}
      : { content: { ...types, ...Object.fromEntries(both.map((type) => [type, { schema: {} }])) } })
  }
}

/** The operation of an endpoint, by its method and path. */
export const operationOf = (document: OpenApi.OpenAPISpec, method: string, path: string): Json | undefined => {
  const paths: Json = { ...document.paths }
  const template = pathTemplate.find(path, paths)
  const item = template === undefined ? undefined : paths[template]
  const operation = field(item, method.toLowerCase()) ?? field(field(item, additional), method)
  return isReadonlyObject(operation) ? operation : undefined
}

interface Operation {
  readonly path: string
  readonly parameters: ReadonlyArray<string>
  readonly method: string
  readonly operation: Json
  readonly security: Security
  readonly refusals: Json
}

/** The document with operations added. */
export const add = (
  document: OpenApi.OpenAPISpec,
  options: { readonly schemes: ReadonlyMap<string, Scheme>; readonly operations: ReadonlyArray<Operation> }
): OpenApi.OpenAPISpec => {
  const paths = new Map(Object.entries<Json>({ ...document.paths }))
  const templates = new Map(Array.from(paths.keys(), (path) => [pathTemplate.normalize(path), path]))
  for (const { method, operation, parameters, path, refusals, security } of options.operations) {
    const same = templates.get(pathTemplate.normalize(path)) ?? path
    const item = paths.get(same) ?? {}
    const where = `${method.toUpperCase()} ${path}`
    if (Object.hasOwn(item, method)) throw new TypeError(`The document has ${where} already.`)
    if (same !== path) throw new TypeError(`${where} is ${same} for OpenAPI: give the parameters the same names.`)
    templates.set(pathTemplate.normalize(path), path)
    const { parameters: own, responses, ...rest } = ownProperties(operation)
    const given = isReadonlyObject(responses) ? responses : { "200": { description: "Success" } }
    paths.set(path, {
      ...item,
      [method]: {
        operationId: `${method} ${path}`,
        tags: ["default"],
        ...rest,
        parameters: withPath(parameters, Array.isArray(own) ? own : []),
        security,
        responses: {
          ...given,
          ...mapValues(refusals, (refusal, status) =>
            Object.hasOwn(given, status) ? either(given[status], refusal) : refusal
          )
        }
      }
    })
  }
  // Sound: the path items are made above as OpenAPI describes them.
  return {
    ...withSchemes({ ...document }, options.schemes),
    paths: Object.fromEntries(paths)
  } as unknown as OpenApi.OpenAPISpec
}

/** The user's parameters, and those of the path that are not among them. */
const withPath = (names: ReadonlyArray<string>, own: ReadonlyArray<unknown>): ReadonlyArray<unknown> => [
  ...names
    .filter((name) => !own.some((other) => field(other, "in") === "path" && field(other, "name") === name))
    .map((name) => ({ name, in: "path", required: true, schema: { type: "string" } })),
  ...own
]

/** What Effect wrote for its own security middleware is needed too. What is written here already is written once. */
const all = (own: unknown, ours: Security): Security =>
  Array.isArray(own) && own.length > 0 && JSON.stringify(own) !== JSON.stringify(ours)
    ? both(own as Security, ours)
    : ours
