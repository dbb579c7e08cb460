import type * as OpenApi from "effect/http-api/OpenApi"
import type { Scheme } from "./scheme.ts"

type Json = Readonly<Record<string, unknown>>
type Security = ReadonlyArray<Readonly<Record<string, ReadonlyArray<string>>>>

const isJson = (value: unknown): value is Json => typeof value === "object" && value !== null && !Array.isArray(value)

const mapValues = (object: unknown, f: (value: unknown, key: string) => unknown): Json =>
  isJson(object) ? Object.fromEntries(Object.entries(object).map(([key, value]) => [key, f(value, key)])) : {}

/** The document with the definitions of these schemes. Another one under the name of one of them is a mistake. */
const withSchemes = (document: Json, schemes: ReadonlyMap<string, Scheme>): Json => {
  const version = typeof document["openapi"] === "string" ? document["openapi"] : "3.1.0"
  const components = isJson(document["components"]) ? document["components"] : {}
  const existing = isJson(components["securitySchemes"]) ? components["securitySchemes"] : {}
  const ours = Object.fromEntries(Array.from(schemes, ([name, scheme]) => [name, scheme.definition(version)]))
  const taken = Object.keys(ours).find(
    (name) => Object.hasOwn(existing, name) && JSON.stringify(existing[name]) !== JSON.stringify(ours[name])
  )
  if (taken !== undefined) {
    throw new TypeError(`The document has another security scheme under the name ${JSON.stringify(taken)}: rename one.`)
  }
  return { ...document, components: { ...components, securitySchemes: { ...existing, ...ours } } }
}

/** What is enforced at an operation, and how its declared errors differ from what can happen there. */
export interface OperationSecurity {
  readonly security: Security
  /** Statuses that do not happen. */
  readonly impossible: ReadonlySet<string>
  /** The responses that the user renders, by status. */
  readonly rendered: Json
  /** The statuses that something else declares, too. */
  readonly others: ReadonlySet<string>
}

/** The document with these schemes, and with the security of the operations that have one here. */
export const secure = (
  document: Json,
  options: {
    readonly schemes: ReadonlyMap<string, Scheme>
    readonly ofOperation: (operationId: string) => OperationSecurity | undefined
  }
): Json => {
  const operation = (value: unknown): unknown => {
    if (!isJson(value) || typeof value["operationId"] !== "string") return value
    const own = options.ofOperation(value["operationId"])
    if (own === undefined) return value
    const responses = isJson(value["responses"]) ? value["responses"] : {}
    return {
      ...value,
      security: both(value["security"], own.security),
      responses: {
        ...Object.fromEntries(Object.entries(responses).filter(([status]) => !own.impossible.has(status))),
        ...mapValues(own.rendered, (response, status) =>
          own.others.has(status) ? together(responses[status], response) : response
        )
      }
    }
  }
  return {
    ...withSchemes(document, options.schemes),
    // The methods that OpenAPI 3.1 has no field for, such as QUERY, stand in an extension of the path item.
    paths: mapValues(document["paths"], (item) =>
      mapValues(item, (value, key) =>
        key === "x-oai-additionalOperations" ? mapValues(value, operation) : operation(value)
      )
    )
  }
}

/** A response of this status that is one or the other. Of a media type that both have nothing more is said. */
const together = (one: unknown, other: unknown): unknown => {
  const content = (response: unknown) => (isJson(response) && isJson(response["content"]) ? response["content"] : {})
  const types = { ...content(one), ...content(other) }
  const both = Object.keys(content(one)).filter((type) => Object.hasOwn(content(other), type))
  return {
    ...(isJson(one) ? one : {}),
    content: { ...types, ...Object.fromEntries(both.map((type) => [type, { schema: {} }])) }
  }
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
  for (const { method, operation, parameters, path, refusals, security } of options.operations) {
    const item = paths.get(path) ?? {}
    if (Object.hasOwn(item, method)) throw new TypeError(`The document has ${method.toUpperCase()} ${path} already.`)
    const { responses, ...rest } = operation
    paths.set(path, {
      ...item,
      [method]: {
        operationId: `${method} ${path}`,
        tags: ["default"],
        parameters: parameters.map((name) => ({ name, in: "path", required: true, schema: { type: "string" } })),
        ...rest,
        security,
        responses: { ...(isJson(responses) ? responses : { "200": { description: "Success" } }), ...refusals }
      }
    })
  }
  // Sound: the path items are made above as OpenAPI describes them.
  return {
    ...withSchemes({ ...document }, options.schemes),
    paths: Object.fromEntries(paths)
  } as unknown as OpenApi.OpenAPISpec
}

/** What Effect wrote for its own security middleware is needed too. */
const both = (own: unknown, ours: Security): ReadonlyArray<Json> => {
  const alternatives: ReadonlyArray<unknown> = Array.isArray(own) && own.length > 0 ? own : [{}]
  return alternatives.filter(isJson).flatMap((left) => ours.map((right) => ({ ...left, ...right })))
}
