/** Creates the OpenAPI document of the routes of an `HttpRouter` app. */
import * as Context from "effect/Context"
import * as HttpRouter from "effect/http/HttpRouter"
import type * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as OpenApi from "effect/http-api/OpenApi"
import * as Layer from "effect/Layer"
import { EndpointPolicy } from "../guard/decision/place.ts"
import { noteOperation, type RecordedRoute } from "../guard/middleware/routeRecorder.ts"
import type { Json } from "../core/lib/json.ts"
import { combine } from "../guard/requirement/policy.ts"
import type { Scheme } from "../guard/scheme/scheme.ts"
import * as openApiDocument from "./document.ts"
import * as pathTemplate from "./pathTemplate.ts"
import * as routeSchemas from "./routeSchemas.ts"
import * as proofParameter from "./proofParameter.ts"
import * as refusalResponses from "./refusalResponses.ts"
import { sentenceOf } from "./requirementDescription.ts"
import * as stepUp from "./stepUp.ts"
import { declare, ofPolicy } from "./securityRequirements.ts"

/** Creates a layer that adds fields to the operations of its routes. `undefined` leaves the routes out of documents. */
export const noting = (operation: Json | undefined): Layer.Layer<never> =>
  HttpRouter.middleware((handler) => {
    noteOperation(operation)
    return handler
  }).layer

/**
 * Title, version and other facts about an API (OpenAPI, "Info Object").
 *
 * @category models
 * @since 0.1.0
 */
export interface Info extends Readonly<OpenApi.OpenAPISpecInfo> {
  /** The people who answer questions about the API. Default: none. */
  readonly contact?: {
    /** The name of the people. Default: none. */
    readonly name?: string
    /** The URL of their page. Default: none. */
    readonly url?: string
    /** Their email address. Default: none. */
    readonly email?: string
  }
  /** The URL of the terms of service. Default: none. */
  readonly termsOfService?: string
}

/**
 * Fields of a new document besides its routes.
 *
 * @category models
 * @since 0.1.0
 */
export interface Head {
  /** Title and version of the API (OpenAPI, "Info Object"). */
  readonly info: Info
  /** URLs of the API. Default: `/`, which a documentation page replaces by the URL under which it is served. */
  readonly servers?: ReadonlyArray<OpenApi.OpenAPISpecServer>
  /** Descriptions of the tags that operations use. Tags that are missing here have no description. Default: none. */
  readonly tags?: ReadonlyArray<OpenApi.OpenAPISpecTag>
  /** Ends the description of each route with its requirement, such as "Requires `items:read`." Default: `true`. */
  readonly describeRequirements?: boolean
}

/**
 * An existing document, and what it says besides its operations.
 *
 * @category models
 * @since 0.1.0
 */
export interface Existing {
  /** The document to which routes are added. */
  readonly document: OpenApi.OpenAPISpec
  /** Fields that replace those of the document's `info`. Default: none. */
  readonly info?: Partial<Info>
  /** URLs that replace those of the document. Default: the document's. */
  readonly servers?: ReadonlyArray<OpenApi.OpenAPISpecServer>
  /** Descriptions of tags. They replace those of the document for tags of the same name. Default: none. */
  readonly tags?: ReadonlyArray<OpenApi.OpenAPISpecTag>
  /** Ends the description of each added route with its requirement, such as "Requires `items:read`." Default: `true`. */
  readonly describeRequirements?: boolean
}

const empty: OpenApi.OpenAPISpec = {
  openapi: "3.1.0",
  info: { title: "", version: "" },
  servers: [...openApiDocument.defaultServers],
  paths: {},
  components: { schemas: {}, securitySchemes: {} },
  security: [],
  tags: []
}

/** Returns the document to which routes are added. */
export const start = (options: Head | Existing): OpenApi.OpenAPISpec => {
  const { document = empty, info, servers, tags = [] } = options as Partial<Existing>
  const named = new Set(tags.map(({ name }) => name))
  return {
    ...document,
    info: document === empty ? (info as OpenApi.OpenAPISpecInfo) : { ...document.info, ...info },
    ...(servers === undefined ? {} : { servers: [...servers] }),
    tags: [...(document.tags ?? []).filter(({ name }) => !named.has(name)), ...tags]
  }
}

// OpenAPI 3.1, "Path Item Object".
const methods: ReadonlySet<string> = new Set(["GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE"])

/**
 * Adds routes to a document. Throws a `TypeError` if OpenAPI cannot describe a route, or if the document is wrong about
 * an endpoint of an `HttpApi`.
 */
export const add = (
  document: OpenApi.OpenAPISpec,
  routes: ReadonlyArray<RecordedRoute>,
  { describeRequirements = true }: Head | Existing
): OpenApi.OpenAPISpec => {
  const schemes = new Map<string, Scheme>()
  const described = routes.flatMap((route) => {
    const { method, operation } = route
    if (operation === undefined) return []
    const where = `${method} ${route.path}`
    if (route.endpoint !== undefined) {
      assertShown(document, route.endpoint, route, where)
      return []
    }
    if (!methods.has(method)) {
      throw new TypeError(
        `${where}: OpenAPI cannot describe this HTTP method. Provide OpenApiSecurity.hidden to leave out the route.`
      )
    }
    const path = pathTemplate.ofRoute(route.path)
    const policy = route.requirements.reduce(combine, [])
    declare(schemes, policy)
    return {
      ...path,
      where,
      method: method.toLowerCase(),
      operation,
      security: policy.length === 0 ? [] : ofPolicy(policy),
      sentence: sentenceOf(policy, describeRequirements),
      extensions: stepUp.of(policy),
      added: proofParameter.of(policy),
      refusals: refusalResponses.of(policy)
    }
  })
  const { components, operations } = routeSchemas.compile(described)
  return openApiDocument.add(openApiDocument.withSchemas(document, components), { schemes, operations })
}

/** Throws if the document does not show an endpoint of an `HttpApi` with its requirements. */
const assertShown = (
  document: OpenApi.OpenAPISpec,
  endpoint: HttpApiEndpoint.Top,
  route: RecordedRoute,
  where: string
): void => {
  if (Context.get(endpoint.annotations, OpenApi.Exclude)) return
  const operation = openApiDocument.operationOf(document, endpoint.method, endpoint.path)
  if (operation === undefined) {
    throw new TypeError(
      `${where} is an endpoint of an HttpApi, but the document lacks it. Set the option document of OpenApiSecurity.documented to the api's document, or add the api outside of OpenApiSecurity.documented.`
    )
  }
  if (route.requirements.length > 0) {
    throw new TypeError(
      `${where}: a requirement wraps the layer of the HttpApi, so the api's document does not show it. Add the requirement with api.middleware(…).`
    )
  }
  const { security } = operation
  if (EndpointPolicy.of(endpoint).policy.length > 0 && !(Array.isArray(security) && security.length > 0)) {
    throw new TypeError(
      `${where}: the document does not show the requirements of this endpoint. Create the document from the api that OAuth2.openApi returns.`
    )
  }
}
