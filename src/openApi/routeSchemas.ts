/** Turns the schemas of routes into fields of operations and into components. */
import * as HttpApi from "effect/http-api/HttpApi"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as OpenApi from "effect/http-api/OpenApi"
import type * as Schema from "effect/Schema"
import { field, type Json, membersOf } from "../core/lib/json.ts"
import { ownProperties } from "../core/lib/ownProperties.ts"

/**
 * Schemas of the requests and responses of a route. The names are those of the options of `HttpApiEndpoint.make`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Schemas {
  /** The path parameters. Default: each is a string. */
  readonly params?: Schema.Top | Schema.Struct.Fields
  /** The query parameters. Default: none. */
  readonly query?: Schema.Top | Schema.Struct.Fields
  /** The headers of the request. Default: none. */
  readonly headers?: Schema.Top | Schema.Struct.Fields
  /** The body of the request. Default: none. */
  readonly payload?: Schema.Top | ReadonlyArray<Schema.Top>
  /** The successful responses. Default: status 200 without a body. */
  readonly success?: Schema.Top | ReadonlyArray<Schema.Top>
  /** The errors of the handler. Default: none. */
  readonly error?: Schema.Top | ReadonlyArray<Schema.Top>
}

const key = "~effect-oauth2/Schemas"

/** Returns operation fields that carry schemas. */
export const note = (schemas: Schemas): Json => ({ [key]: ownProperties(schemas) })

/** The operation fields of a route, and the names of its path parameters. */
interface Described {
  readonly where: string
  readonly method: string
  readonly parameters: ReadonlyArray<string>
  readonly operation: Json
}

/**
 * Replaces the schemas of operations by fields of OpenAPI. Effect compiles all of them in one document, so that two
 * schemas of one identifier get different names.
 */
export const compile = <A extends Described>(
  routes: ReadonlyArray<A>
): { readonly operations: ReadonlyArray<A>; readonly components: Json } => {
  const schemasOf = (route: A) => field(route.operation, key) as Schemas | undefined
  const endpoints = routes.flatMap((route, index) => {
    const schemas = schemasOf(route)
    // Safe cast: the options are those of an endpoint, without the relations between them that its types check.
    const make = HttpApiEndpoint.make(route.method.toUpperCase() as "POST") as unknown as (
      name: string,
      path: `/${string}`,
      options: object
    ) => HttpApiEndpoint.Top
    return schemas === undefined ? [] : [make(`${index}`, `/${index}`, schemas)]
  })
  const [first, ...others] = endpoints
  if (first === undefined) return { operations: routes, components: {} }
  const document = OpenApi.fromApi(HttpApi.make("routes").add(HttpApiGroup.make("routes").add(first, ...others)))
  return {
    components: { ...document.components.schemas },
    operations: routes.map((route, index) => {
      const schemas = schemasOf(route)
      const compiled = field(field(document.paths, `/${index}`), route.method)
      return schemas === undefined ? route : { ...route, operation: withCompiled(route, schemas, membersOf(compiled)) }
    })
  }
}

const listOf = (value: unknown): ReadonlyArray<unknown> => (Array.isArray(value) ? value : [])

const withCompiled = ({ operation, parameters, where }: Described, { success }: Schemas, compiled: Json): Json => {
  const { [key]: _, ...own } = operation
  const isSame = (one: unknown, other: unknown) =>
    field(one, "in") === field(other, "in") && field(one, "name") === field(other, "name")
  const explicit = listOf(own["parameters"])
  const found = listOf(compiled["parameters"])
  const unknown = found.find(
    (parameter) => field(parameter, "in") === "path" && !parameters.includes(String(field(parameter, "name")))
  )
  if (unknown !== undefined) {
    throw new TypeError(
      `${where}: OpenApiSecurity.schemas describes the path parameter ${JSON.stringify(field(unknown, "name"))}, which the path does not have.`
    )
  }
  // Without a success schema, Effect writes status 204. A route answers as its handler decides.
  const { "204": _none, ...errors } = membersOf(compiled["responses"])
  const responses =
    success === undefined ? { "200": { description: "Success" }, ...errors } : membersOf(compiled["responses"])
  return {
    ...(Object.hasOwn(compiled, "requestBody") ? { requestBody: compiled["requestBody"] } : {}),
    ...own,
    parameters: [...found.filter((one) => !explicit.some((other) => isSame(one, other))), ...explicit],
    responses: { ...responses, ...membersOf(own["responses"]) }
  }
}
