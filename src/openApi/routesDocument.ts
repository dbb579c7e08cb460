/** The document of the routes of an `HttpRouter` app. */
import * as Context from "effect/Context"
import * as HttpRouter from "effect/http/HttpRouter"
import type * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as OpenApi from "effect/http-api/OpenApi"
import * as Layer from "effect/Layer"
import { Guarded } from "../guard/decision/place.ts"
import { noteOperation, type Recorded } from "../guard/middleware/routeRecorder.ts"
import type { Json } from "../core/lib/json.ts"
import { combine } from "../guard/requirement/policy.ts"
import type { Scheme } from "../guard/scheme/scheme.ts"
import * as openApiDocument from "./document.ts"
import * as pathTemplate from "./pathTemplate.ts"
import * as refusalResponses from "./refusalResponses.ts"
import { declare, ofDemand } from "./securityRequirements.ts"

/** Tells of the operation of each route that it is provided to; `undefined`: no document is to show it. */
export const noting = (operation: Json | undefined): Layer.Layer<never> =>
  HttpRouter.middleware((handler) => {
    noteOperation(operation)
    return handler
  }).layer

export const empty = (info: OpenApi.OpenAPISpecInfo): OpenApi.OpenAPISpec => ({
  openapi: "3.1.0",
  info,
  paths: {},
  components: { schemas: {}, securitySchemes: {} },
  security: [],
  tags: []
})

// OpenAPI 3.1, "Path Item Object".
const methods: ReadonlySet<string> = new Set(["GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE"])

/** The document with the routes that it does not have yet. Throws a `TypeError` about one that cannot be written as it is. */
export const add = (document: OpenApi.OpenAPISpec, routes: ReadonlyArray<Recorded>): OpenApi.OpenAPISpec => {
  const schemes = new Map<string, Scheme>()
  const operations = routes.flatMap((route) => {
    const { method, operation } = route
    if (operation === undefined) return []
    const where = `${method} ${route.path}`
    if (route.endpoint !== undefined) {
      assertShown(document, route.endpoint, route, where)
      return []
    }
    if (!methods.has(method)) {
      throw new TypeError(`${where}: OpenAPI has no such method. OpenApiSecurity.hidden leaves it out.`)
    }
    const path = pathTemplate.ofRoute(route.path)
    const demand = route.requirements.reduce(combine, [])
    declare(schemes, demand)
    return {
      ...path,
      method: method.toLowerCase(),
      operation,
      security: demand.length === 0 ? [] : ofDemand(demand),
      refusals: refusalResponses.of(demand)
    }
  })
  return openApiDocument.add(document, { schemes, operations })
}

/** An endpoint of an `HttpApi` is in the document already, with what it demands. */
const assertShown = (
  document: OpenApi.OpenAPISpec,
  endpoint: HttpApiEndpoint.Top,
  route: Recorded,
  where: string
): void => {
  if (Context.get(endpoint.annotations, OpenApi.Exclude)) return
  const operation = openApiDocument.operationOf(document, endpoint.method, endpoint.path)
  if (operation === undefined) {
    throw new TypeError(
      `${where} is an endpoint of an HttpApi: give OpenApiSecurity.documented its document, or put it outside.`
    )
  }
  if (route.requirements.length > 0) {
    throw new TypeError(
      `${where}: a requirement stands around the layer of its HttpApi, whose document does not know of it. Give it to the api: api.middleware(…).`
    )
  }
  const { security } = operation
  if (Guarded.of(endpoint).demand.length > 0 && !(Array.isArray(security) && security.length > 0)) {
    throw new TypeError(
      `${where}: the document does not show what it demands. Make it of the api that OAuth2.openApi gives.`
    )
  }
}
