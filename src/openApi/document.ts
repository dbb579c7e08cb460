/** Writes schemes, requirements and refusals into an OpenAPI document. */
import type * as OpenApi from "effect/http-api/OpenApi"
import { isReadonlyObject } from "effect/Predicate"
import { field, type Json, mapValues, membersOf } from "../core/lib/json.ts"
import { own as ownMember, ownProperties } from "../core/lib/ownProperties.ts"
import * as operationIds from "./operationIds.ts"
import * as pathTemplate from "./pathTemplate.ts"
import * as proofParameter from "./proofParameter.ts"
import * as requirementDescription from "./requirementDescription.ts"
import * as refusalResponses from "./refusalResponses.ts"
import * as responsesOf from "./responses.ts"
import { combinations, type SecurityRequirementObject, sessionName } from "./securityRequirements.ts"
import type { Scheme } from "../guard/scheme/scheme.ts"

type Security = ReadonlyArray<SecurityRequirementObject>

/** Adds the definitions of the schemes, in the syntax of the document's OpenAPI version. Throws if a name is taken. */
export const withSchemes = (document: Json, schemes: ReadonlyMap<string, Scheme>): Json => {
  const version = typeof document["openapi"] === "string" ? document["openapi"] : "3.1.0"
  const components = membersOf(document["components"])
  const existing = membersOf(components["securitySchemes"])
  const ours: Record<string, unknown> = Object.fromEntries(
    Array.from(schemes, ([name, scheme]) => [name, scheme.definition(version)])
  )
  for (const scheme of schemes.values()) {
    const name = sessionName(scheme)
    if (name === undefined) continue
    if (Object.hasOwn(ours, name)) {
      throw new TypeError(
        `The document shows the session cookie of the scheme ${JSON.stringify(scheme.name)} as ${JSON.stringify(name)}, which is the name of another scheme. Rename that scheme.`
      )
    }
    ours[name] = { type: "apiKey", in: "cookie", name: scheme.session?.cookie }
  }
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

/** Adds schemas. Throws if the document has a different schema of the same name. */
export const withSchemas = (document: OpenApi.OpenAPISpec, schemas: Json): OpenApi.OpenAPISpec => {
  const components = membersOf(document.components)
  const existing = membersOf(components["schemas"])
  const taken = Object.keys(schemas).find(
    (name) => Object.hasOwn(existing, name) && JSON.stringify(existing[name]) !== JSON.stringify(schemas[name])
  )
  if (taken !== undefined) {
    throw new TypeError(
      `The document already has a different schema named ${JSON.stringify(taken)}. Change the identifier of one of the two schemas.`
    )
  }
  // Safe cast: Effect wrote the schemas.
  return {
    ...document,
    components: { ...components, schemas: { ...existing, ...schemas } } as unknown as OpenApi.OpenAPIComponents
  }
}

/** Requirements of an endpoint of an `HttpApi`, and its refusals. */
export interface SecuredOperation {
  readonly method: string
  /** Path in the syntax of `HttpApi`, such as `/items/:id`. */
  readonly path: string
  readonly security: Security
  /** Sentence about the requirement, for the description. */
  readonly sentence: string | undefined
  /** Extensions of the operation. */
  readonly extensions: Json
  /** Parameters that the requirement needs, such as the header of a proof. */
  readonly added: ReadonlyArray<Json>
  readonly refusals: Json
  /** Statuses of refusals with a custom renderer. */
  readonly rendered: ReadonlySet<string>
  /** Details of the refusals that the error schemas of the endpoint's schemes declare, by status. */
  readonly declared: ReadonlyMap<string, ReadonlyArray<string>>
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

const secured = (operation: Json, endpoint: SecuredOperation): Json => {
  const { added, declared, others, refusals, rendered, security } = endpoint
  const before = membersOf(operation["responses"])
  const responses: Record<string, unknown> = {}
  for (const status of new Set([...Object.keys(before), ...Object.keys(refusals)])) {
    const [own, refusal, details] = [ownMember(before, status), ownMember(refusals, status), declared.get(status)]
    const isDeclared = details !== undefined && responsesOf.isRefusal(own)
    // A scheme's error schemas declare every refusal of the scheme. Show only those that this endpoint can send.
    if (isDeclared && !others.has(status)) {
      if (refusal !== undefined) responses[status] = refusal
    } else if (isDeclared) {
      const schemas = details.map((detail) => refusalResponses.schemaOf([detail]))
      responses[status] = responsesOf.merge(responsesOf.withoutDeclared(own, schemas), refusal)
    } else if (own === undefined) {
      responses[status] = refusal
    } else {
      responses[status] = rendered.has(status) ? responsesOf.merge(own, refusal) : own
    }
  }
  return requirementDescription.add(
    {
      ...operation,
      ...(added.length === 0 ? {} : { parameters: proofParameter.add(operation["parameters"], added) }),
      ...endpoint.extensions,
      security: withExistingSecurity(operation["security"], security),
      responses
    },
    endpoint.sentence
  )
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
  /** Sentence about the requirement, for the description. */
  readonly sentence: string | undefined
  /** Extensions of the operation. */
  readonly extensions: Json
  /** Parameters that the requirement needs, such as the header of a proof. */
  readonly added: ReadonlyArray<Json>
  readonly refusals: Json
}

/** The default of the field `servers` (OpenAPI 3.1, "OpenAPI Object"). Linters report a document without the field. */
export const defaultServers: ReadonlyArray<OpenApi.OpenAPISpecServer> = [{ url: "/" }]

/** Adds the default server to a document without servers. */
export const withServers = (document: Json): Json => {
  const servers = ownMember(document, "servers")
  return Array.isArray(servers) && servers.length > 0 ? document : { ...document, servers: defaultServers }
}

/** Adds the range of client errors to the operations that declare none. */
export const withClientErrors = (document: Json): Json => {
  const written = (operation: unknown): unknown =>
    isReadonlyObject(operation) && isReadonlyObject(operation["responses"])
      ? { ...operation, responses: responsesOf.withClientErrors(operation["responses"]) }
      : operation
  const ofItem = (item: unknown): unknown =>
    isReadonlyObject(item)
      ? mapValues(item, (member, name) =>
          name === additional ? mapValues(membersOf(member), written) : written(member)
        )
      : item
  return { ...document, paths: mapValues(membersOf(document["paths"]), ofItem) }
}

/** Returns the operations that a document already has. */
const operationsOf = (document: OpenApi.OpenAPISpec): ReadonlyArray<unknown> =>
  Object.values<unknown>(document.paths).flatMap((item) =>
    Object.values({ ...membersOf(item), ...membersOf(field(item, additional)) })
  )

/** Adds operations. Throws if the document already has an operation for the same method and path, or of the same id. */
export const add = (
  document: OpenApi.OpenAPISpec,
  options: { readonly schemes: ReadonlyMap<string, Scheme>; readonly operations: ReadonlyArray<Operation> }
): OpenApi.OpenAPISpec => {
  const paths = new Map(Object.entries<Json>({ ...document.paths }))
  const templates = new Map(Array.from(paths.keys(), (path) => [pathTemplate.normalize(path), path]))
  const ids = new Set(operationsOf(document).map((operation) => field(operation, "operationId")))
  for (const { method, operation, path } of options.operations) {
    const id = field(operation, "operationId")
    if (id === undefined) continue
    if (ids.has(id)) {
      throw new TypeError(
        `${method.toUpperCase()} ${path} has the operationId ${JSON.stringify(id)}, which another operation has. Rename one of the two.`
      )
    }
    ids.add(id)
  }
  const idOf = operationIds.allocate(ids)
  for (const {
    added,
    extensions,
    method,
    operation,
    parameters,
    path,
    refusals,
    security,
    sentence
  } of options.operations) {
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
    const { operationId, parameters: own, responses, ...rest } = ownProperties(operation)
    const given = isReadonlyObject(responses) ? responses : { "200": { description: "Success" } }
    paths.set(path, {
      ...item,
      [method]: {
        operationId: operationId ?? idOf(method, path),
        ...requirementDescription.add(rest, sentence),
        ...extensions,
        parameters: proofParameter.add(withPath(parameters, Array.isArray(own) ? own : []), added),
        security,
        responses: responsesOf.withClientErrors({
          ...given,
          ...mapValues(refusals, (refusal, status) =>
            Object.hasOwn(given, status) ? responsesOf.merge(given[status], refusal) : refusal
          )
        })
      }
    })
  }
  // Safe cast: the loop above writes the path items in the format of OpenAPI.
  return {
    ...withServers(withSchemes({ ...document }, options.schemes)),
    paths: Object.fromEntries(paths),
    tags: withTags(document.tags, options.operations)
  } as unknown as OpenApi.OpenAPISpec
}

/** Adds the tags of operations that the document does not describe. */
const withTags = (own: unknown, operations: ReadonlyArray<Operation>): ReadonlyArray<unknown> => {
  const tags = Array.isArray(own) ? own : []
  const described = new Set(tags.map((tag) => field(tag, "name")))
  const used = new Set(
    operations.flatMap(({ operation }) => {
      const names = field(operation, "tags")
      return Array.isArray(names) ? names : []
    })
  )
  return [...tags, ...Array.from(used.difference(described), (name) => ({ name }))]
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
