/** Writes schemes, requirements and refusals into an OpenAPI document. */
import type * as OpenApi from "effect/http-api/OpenApi"
import { isReadonlyObject } from "effect/Predicate"
import { field, type Json, mapValues, membersOf } from "../core/lib/json.ts"
import { ownProperties } from "../core/lib/ownProperties.ts"
import * as pathTemplate from "./pathTemplate.ts"
import { combinations, type SecurityRequirementObject } from "./securityRequirements.ts"
import type { Scheme } from "../guard/scheme/scheme.ts"

type Security = ReadonlyArray<SecurityRequirementObject>

/** Adds the definitions of the schemes, in the syntax of the document's OpenAPI version. Throws if a name is taken. */
export const withSchemes = (document: Json, schemes: ReadonlyMap<string, Scheme>): Json => {
  const version = typeof document["openapi"] === "string" ? document["openapi"] : "3.1.0"
  const components = membersOf(document["components"])
  const existing = membersOf(components["securitySchemes"])
  const ours = Object.fromEntries(Array.from(schemes, ([name, scheme]) => [name, scheme.definition(version)]))
  const taken = Object.keys(ours).find(
    (name) => Object.hasOwn(existing, name) && JSON.stringify(existing[name]) !== JSON.stringify(ours[name])
  )
  if (taken !== undefined) {
    throw new TypeError(
      `The document already defines a different security scheme named ${JSON.stringify(taken)}. Rename one of the two schemes.`
    )
  }
  return { ...document, components: { ...components, securitySchemes: { ...existing, ...ours } } }
}

/** Requirements of an endpoint of an `HttpApi`, and its refusals. */
export interface SecuredOperation {
  readonly method: string
  /** Path in the syntax of `HttpApi`, such as `/items/:id`. */
  readonly path: string
  readonly security: Security
  readonly refusals: Json
  /** Statuses of refusals with a custom renderer. */
  readonly rendered: ReadonlySet<string>
  /** Statuses that the error schemas of the endpoint's schemes declare. */
  readonly declared: ReadonlySet<string>
  /** Statuses that other schemas declare. */
  readonly others: ReadonlySet<string>
}

// `addHttpApi` copies an api's annotations to its groups. Effect then passes the tag of a group to the transformation.
export const isDocument = (value: Json): boolean => Object.hasOwn(value, "openapi") && Object.hasOwn(value, "paths")

/** Adds the security of the endpoints. Throws if the document lacks the operation of an endpoint. */
export const secure = (document: Json, endpoints: ReadonlyArray<SecuredOperation>): Json => {
  const paths: Record<string, unknown> = { ...membersOf(document["paths"]) }
  for (const endpoint of endpoints) {
    const path = pathTemplate.find(endpoint.path, paths)
    const item = path === undefined ? undefined : withOperation(paths[path], endpoint)
    if (path === undefined || item === undefined) {
      const where = `${endpoint.method} ${endpoint.path}`
      throw new TypeError(
        `OAuth2.openApi: the document has no operation for ${where}. Call OAuth2.openApi last, after the api is complete.`
      )
    }
    paths[path] = item
  }
  return { ...document, paths }
}

// Effect writes methods that OpenAPI 3.1 does not have, such as QUERY, into this extension of the path item.
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
  // A scheme's error schemas declare every refusal of the scheme. If no other schema declares a status, show only the
  // refusals that this endpoint can send.
  const isOurs = (status: string) => declared.has(status) && !others.has(status) && isRefusal(responses[status])
  return {
    ...operation,
    security: withExistingSecurity(operation["security"], security),
    responses: {
      ...Object.fromEntries(Object.entries(responses).filter(([status]) => !isOurs(status))),
      ...mapValues(refusals, (refusal, status) => {
        const before = responses[status]
        if (before === undefined || isOurs(status)) return refusal
        return rendered.has(status) ? mergeResponses(before, refusal) : before
      })
    }
  }
}

// A response without these headers is the app's own, even if its status is that of a refusal.
const isRefusal = (response: unknown): boolean => {
  const headers = membersOf(field(response, "headers"))
  return Object.hasOwn(headers, "www-authenticate") || Object.hasOwn(headers, "retry-after")
}

// A media type that both responses have gets the schema `{}`, because its body may come from either response.
const mergeResponses = (one: unknown, other: unknown): unknown => {
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

/** Finds the operation of an endpoint of an `HttpApi`. */
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

/** Adds operations. Throws if the document already has an operation for the same method and path. */
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
    if (Object.hasOwn(item, method)) {
      throw new TypeError(
        `The document already has ${where}. Remove the route, or provide OpenApiSecurity.hidden to it.`
      )
    }
    if (same !== path) {
      throw new TypeError(`${where} has the same path as ${same} in OpenAPI. Give the parameters the same names.`)
    }
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
            Object.hasOwn(given, status) ? mergeResponses(given[status], refusal) : refusal
          )
        }
      }
    })
  }
  // Safe cast: the loop above writes the path items in the format of OpenAPI.
  return {
    ...withSchemes({ ...document }, options.schemes),
    paths: Object.fromEntries(paths)
  } as unknown as OpenApi.OpenAPISpec
}

/** Adds the parameters of the path that the operation does not describe. */
const withPath = (names: ReadonlyArray<string>, own: ReadonlyArray<unknown>): ReadonlyArray<unknown> => [
  ...names
    .filter((name) => !own.some((other) => field(other, "in") === "path" && field(other, "name") === name))
    .map((name) => ({ name, in: "path", required: true, schema: { type: "string" } })),
  ...own
]

// Requires both if Effect's own security middleware wrote requirements. Equal requirements come from an earlier
// `OAuth2.openApi`, and are written once.
const withExistingSecurity = (own: unknown, ours: Security): Security =>
  Array.isArray(own) && own.length > 0 && JSON.stringify(own) !== JSON.stringify(ours)
    ? combinations(own as Security, ours)
    : ours
