/**
 * Security in OpenAPI documents (OpenAPI 3.1, "Security Scheme Object" and "Security Requirement Object"), read from the same values that are
 * enforced.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Schema from "effect/Schema"
import * as HttpApi from "effect/http-api/HttpApi"
import type * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as OpenApi from "effect/http-api/OpenApi"
import * as endpoints from "./internal/guard/endpoint.ts"
import { alternatives as alternativesOf, type Clause, type Demand } from "./internal/requirement/demand.ts"
import { isOurs } from "./internal/scheme/errorSchemas.ts"
import * as expression from "./internal/requirement/expression.ts"
import * as alternatives from "./internal/openApi/alternatives.ts"
import * as openApiDocument from "./internal/openApi/openApiDocument.ts"
import * as pathTemplate from "./internal/openApi/pathTemplate.ts"
import * as refusalResponses from "./internal/openApi/refusalResponses.ts"
import type { Scheme } from "./internal/scheme/scheme.ts"
import type { SecurityRequirementTypes } from "./internal/requirement/securityRequirement.ts"

/**
 * The schemes of one alternative with their scopes: all of them are needed. `{}` is the anonymous request.
 *
 * @category models
 * @since 0.1.0
 */
export type SecurityRequirementObject = Readonly<Record<string, ReadonlyArray<string>>>

/**
 * The most alternatives that are written out for one operation.
 *
 * @category constants
 * @since 0.1.0
 */
export const maxAlternatives: number = expression.maxAlternatives

/**
 * What a requirement, or the requirements of an endpoint together, look like in a document: a list of alternatives.
 *
 * **Details**
 *
 * It is the disjunctive normal form of what is enforced, scopes that imply a required one among the alternatives. Two schemes that are both needed stand in one object, alternatives in several, and an
 * anonymous request that is taken is `{}`. Checks of the user's own do not show. A requirement that has more than `maxAlternatives` alternatives throws a
 * `TypeError`.
 *
 * **Example** (Alternatives)
 *
 * ```ts import.meta.vitest
 * import { OAuth2, OpenApiSecurity, Requirement } from "effect-oauth2"
 *
 * const auth = OAuth2.authorizationCode("OAuth2", {
 *   authorizationUrl: "https://idp.example.com/authorize",
 *   tokenUrl: "https://idp.example.com/token",
 *   scopes: { read: "Read", write: "Write", admin: "Everything" }
 * })
 *
 * const security = OpenApiSecurity.of(auth.require("read", Requirement.any("write", "admin")))
 *
 * security // => [{ OAuth2: ["read", "write"] }, { OAuth2: ["read", "admin"] }]
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const of = (
  // Outermost first.
  ...requirements: ReadonlyArray<SecurityRequirementTypes<string, never, unknown, unknown>>
): ReadonlyArray<SecurityRequirementObject> => ofDemand(endpoints.ofKeys(requirements))

const ofDemand = (demand: Demand): ReadonlyArray<SecurityRequirementObject> => {
  const authenticated = demand.reduce<ReadonlyArray<SecurityRequirementObject>>(
    (outer, clause) => bounded(alternatives.least(alternatives.both(outer, ofClause(clause)))),
    [{}]
  )
  // There is one bearer token in a request: it is anonymous to all schemes, or to none.
  return demand.every((clause) => clause.some((part) => part.optional)) ? [...authenticated, {}] : authenticated
}

const ofClause = (clause: Clause): ReadonlyArray<SecurityRequirementObject> =>
  clause.flatMap((part) => bounded(alternativesOf(part)).map((scopes) => ({ [part.scheme.name]: scopes })))

const bounded = <A>(of: ReadonlyArray<A> | undefined): ReadonlyArray<A> => {
  if (of === undefined || of.length > maxAlternatives) {
    throw new TypeError(
      `A requirement has more than ${maxAlternatives} alternatives: a document cannot show it. Name fewer, or a scope that implies several.`
    )
  }
  return of
}

/**
 * Writes the security of an api into its document: the schemes with their declared scopes, and for each operation what is enforced there. It keeps
 * a transformation that the api has already.
 *
 * **Gotchas**
 *
 * Call it last, and on the outermost api: what is added to the api afterwards is not seen, and an api that is added to another one (`addHttpApi`) leaves its
 * document behind. It writes before a transformation (`OpenApi.Transform`) of the api's own does; an operation that it does not find throws a `TypeError`.
 *
 * **Example** (A document that tells the truth)
 *
 * ```ts import.meta.vitest
 * import { HttpApi, HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
 * import { OAuth2 } from "effect-oauth2"
 *
 * const auth = OAuth2.authorizationCode("OAuth2", {
 *   authorizationUrl: "https://idp.example.com/authorize",
 *   tokenUrl: "https://idp.example.com/token",
 *   scopes: { "items:read": "Read your items" }
 * })
 * const Api = HttpApi.make("api")
 *   .add(HttpApiGroup.make("items").add(HttpApiEndpoint.get("list", "/items")).middleware(auth.require("items:read")))
 *   .pipe(OAuth2.openApi)
 *
 * OpenApi.fromApi(Api).paths["/items"]?.get?.security // => [{ OAuth2: ["items:read"] }]
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const openApi = <Id extends string, Groups extends HttpApiGroup.Constraint>(
  api: HttpApi.HttpApi<Id, Groups>
): HttpApi.HttpApi<Id, Groups> => {
  const schemes = new Map<string, Scheme>()
  const guarded: Array<openApiDocument.SecuredOperation> = []
  HttpApi.reflect(api, {
    onGroup: () => {},
    onEndpoint: ({ endpoint, errors, mergedAnnotations, successes }) => {
      const { demand } = endpoints.Guarded.of(endpoint)
      if (demand.length === 0 || Context.get(mergedAnnotations, OpenApi.Exclude)) return
      declare(schemes, demand)
      guarded.push({
        method: endpoint.method,
        path: endpoint.path,
        security: ofDemand(demand),
        refusals: refusalResponses.of(demand),
        rendered: refusalResponses.renderedStatuses(demand),
        declared: statusesOf(errors, (schemas) => schemas.some(isOurs)),
        others: new Set([
          ...statusesOf(errors, (schemas) => !schemas.every(isOurs)),
          ...statusesOf(successes, () => true)
        ])
      })
    }
  })
  const previous = Context.getOrUndefined(api.annotations, OpenApi.Transform)
  return api.annotate(OpenApi.Transform, (document) => {
    const transformed = (document: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> =>
      previous === undefined ? document : previous(document)
    return openApiDocument.isDocument(document)
      ? openApiDocument.withSchemes(transformed(openApiDocument.secure(document, guarded)), schemes)
      : transformed(document)
  })
}

const statusesOf = (
  responses: ReadonlyMap<number, ReadonlyArray<Schema.Top>>,
  filter: (schemas: ReadonlyArray<Schema.Top>) => boolean
): ReadonlySet<string> =>
  new Set(Array.from(responses).flatMap(([status, schemas]) => (filter(schemas) ? [String(status)] : [])))

const declare = (schemes: Map<string, Scheme>, demand: Demand): void => {
  for (const { scheme } of demand.flat()) {
    if ((schemes.get(scheme.name) ?? scheme) !== scheme) {
      throw new TypeError(
        `Two schemes have the name ${JSON.stringify(scheme.name)}: a document can show one. Rename the other.`
      )
    }
    schemes.set(scheme.name, scheme)
  }
}

/**
 * A route of an `HttpRouter` app, for a document.
 *
 * @category models
 * @since 0.1.0
 */
export interface Route {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS"
  /** As the router has it: parameters are `:name`. */
  readonly path: `/${string}`
  /** The requirements that stand around it, outermost first: the very values whose `route.layer` is provided. None for a public route. */
  readonly requirements?: ReadonlyArray<SecurityRequirementTypes<string, never, unknown, unknown>>
  /** The operation's other fields (OpenAPI, "Operation Object"). */
  readonly operation?: Readonly<Record<string, unknown>>
}

/**
 * A document for the routes of an `HttpRouter` app, which declares no api, or a document of an api with such routes added to it. Security and refusals
 * come from the same requirement values that guard the routes.
 *
 * **Example** (A route and its document)
 *
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { HttpRouter, HttpServerResponse } from "effect/http"
 * import { OAuth2, OpenApiSecurity } from "effect-oauth2"
 *
 * const auth = OAuth2.authorizationCode("OAuth2", {
 *   authorizationUrl: "https://idp.example.com/authorize",
 *   tokenUrl: "https://idp.example.com/token",
 *   scopes: { me: "Read your profile" }
 * })
 * const me = auth.require("me")
 *
 * export const Me = HttpRouter.add("GET", "/users/me", Effect.succeed(HttpServerResponse.empty())).pipe(
 *   Layer.provide(me.route.layer)
 * )
 * export const document = OpenApiSecurity.fromRoutes({
 *   info: { title: "Profiles", version: "1.0.0" },
 *   routes: [{ method: "GET", path: "/users/me", requirements: [me], operation: { summary: "Who am I?" } }]
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromRoutes = (
  options: {
    readonly routes: ReadonlyArray<Route>
  } & ({ readonly info: OpenApi.OpenAPISpecInfo } | { readonly document: OpenApi.OpenAPISpec })
): OpenApi.OpenAPISpec => {
  const document: OpenApi.OpenAPISpec =
    "document" in options
      ? options.document
      : {
          openapi: "3.1.0",
          info: options.info,
          paths: {},
          components: { schemas: {}, securitySchemes: {} },
          security: [],
          tags: []
        }
  const schemes = new Map<string, Scheme>()
  const operations = options.routes.map(({ method, operation = {}, path, requirements = [] }) => {
    const demand = endpoints.ofKeys(requirements)
    declare(schemes, demand)
    return {
      ...pathTemplate.ofRoute(path),
      method: method.toLowerCase(),
      operation,
      security: demand.length === 0 ? [] : ofDemand(demand),
      refusals: refusalResponses.of(demand)
    }
  })
  return openApiDocument.add(document, { schemes, operations })
}
