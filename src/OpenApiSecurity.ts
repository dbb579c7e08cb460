/**
 * Security in OpenAPI documents (OpenAPI 3.1, "Security Scheme Object" and "Security Requirement Object"), read from the same values that are
 * enforced.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Schema from "effect/Schema"
import * as HttpApi from "effect/http-api/HttpApi"
import type * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import type * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as OpenApi from "effect/http-api/OpenApi"
import * as endpoints from "./internal/endpoint.ts"
import { alternatives as alternativesOf, type Clause, type Demand } from "./internal/demand.ts"
import { isOurs } from "./internal/errorSchemas.ts"
import * as expression from "./internal/expression.ts"
import * as openApiDocument from "./internal/openApiDocument.ts"
import * as routeDocument from "./internal/routeDocument.ts"
import type { Scheme } from "./internal/scheme.ts"
import { union } from "./internal/scope.ts"
import type { SecurityRequirementTypes } from "./internal/securityRequirement.ts"

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
  ...requirements: ReadonlyArray<SecurityRequirementTypes<string, unknown, unknown, unknown>>
): ReadonlyArray<SecurityRequirementObject> => ofDemand(endpoints.ofKeys(requirements))

const ofDemand = (demand: Demand): ReadonlyArray<SecurityRequirementObject> => {
  const authenticated = demand.reduce<ReadonlyArray<SecurityRequirementObject>>(
    (outer, clause) =>
      bounded(
        expression.minimal(
          outer.flatMap((left) => ofClause(clause).map((right) => merge(left, right))),
          includes
        )
      ),
    [{}]
  )
  // There is one bearer token in a request: it is anonymous to all schemes, or to none.
  return demand.every((clause) => clause.some((part) => part.optional)) ? [...authenticated, {}] : authenticated
}

const ofClause = (clause: Clause): ReadonlyArray<SecurityRequirementObject> =>
  clause.flatMap((part) => bounded(alternativesOf(part)).map((scopes) => ({ [part.scheme.name]: scopes })))

// A scheme may be called "constructor".
const scopesOf = (alternative: SecurityRequirementObject, scheme: string): ReadonlyArray<string> | undefined =>
  Object.hasOwn(alternative, scheme) ? alternative[scheme] : undefined

const includes = (left: SecurityRequirementObject, right: SecurityRequirementObject): boolean =>
  Object.entries(right).every(([name, scopes]) => {
    const own = scopesOf(left, name)
    return own !== undefined && scopes.every((scope) => own.includes(scope))
  })

const merge = (left: SecurityRequirementObject, right: SecurityRequirementObject): SecurityRequirementObject => ({
  ...left,
  ...Object.fromEntries(
    Object.entries(right).map(([name, scopes]) => [name, union(scopesOf(left, name) ?? [], scopes)])
  )
})

const bounded = <A>(alternatives: ReadonlyArray<A> | undefined): ReadonlyArray<A> => {
  if (alternatives === undefined || alternatives.length > maxAlternatives) {
    throw new TypeError(
      `A requirement has more than ${maxAlternatives} alternatives: a document cannot show it. Name fewer, or a scope that implies several.`
    )
  }
  return alternatives
}

/**
 * Writes the security of an api into its document: the schemes with their declared scopes, and for each operation what is enforced there. It keeps
 * a transformation that the api has already.
 *
 * **Gotchas**
 *
 * Call it last: what is added to the api afterwards is not seen.
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
  const operations = new Map<string, openApiDocument.OperationSecurity>()
  HttpApi.reflect(api, {
    onGroup: () => {},
    onEndpoint: ({ endpoint, errors, group }) => {
      const demand = endpoints.Guarded.of(endpoint).demand
      declare(schemes, demand)
      if (demand.length === 0) return
      const others = statusesOfOthers(errors)
      operations.set(operationId(group, endpoint), {
        security: ofDemand(demand),
        impossible: impossible(demand, others),
        rendered: routeDocument.rendered(demand),
        others
      })
    }
  })
  const previous = Context.getOrUndefined(api.annotations, OpenApi.Transform)
  return api.annotate(OpenApi.Transform, (document) =>
    openApiDocument.secure(previous === undefined ? document : previous(document), {
      schemes,
      ofOperation: (id) => operations.get(id)
    })
  )
}

/** The statuses that only our schemes declare and that cannot come of this demand: a scheme declares all of its standard errors everywhere. */
const impossible = (demand: Demand, others: ReadonlySet<string>): ReadonlySet<string> => {
  const possible = new Set(Object.keys(routeDocument.refusals(demand)))
  const declared = demand.flat().flatMap(({ scheme }) => routeDocument.declaredBy(scheme))
  return new Set(declared.filter((status) => !possible.has(status) && !others.has(status)))
}

/** The statuses that errors have which are no scheme's: the endpoint's own, other middleware's, and those of checks. */
const statusesOfOthers = (errors: ReadonlyMap<number, ReadonlyArray<Schema.Top>>): ReadonlySet<string> =>
  new Set(Array.from(errors).flatMap(([status, schemas]) => (schemas.every(isOurs) ? [] : [String(status)])))

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

// As Effect names operations.
const operationId = (group: HttpApiGroup.Top, endpoint: HttpApiEndpoint.Top): string =>
  Context.getOrElse(endpoint.annotations, OpenApi.Identifier, () =>
    group.topLevel ? endpoint.identifier : `${group.identifier}.${endpoint.identifier}`
  )

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
  readonly requirements?: ReadonlyArray<SecurityRequirementTypes<string, unknown, unknown, unknown>>
  /** What else the operation says (OpenAPI, "Operation Object"). */
  readonly operation?: Readonly<Record<string, unknown>>
}

/**
 * A document for the routes of an `HttpRouter` app, which declares no api, or a document of an api with such routes added to it. Security and refusals
 * come of the same requirement values that guard the routes.
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
      ...routeDocument.pathOf(path),
      method: method.toLowerCase(),
      operation,
      security: demand.length === 0 ? [] : ofDemand(demand),
      refusals: routeDocument.refusals(demand)
    }
  })
  return openApiDocument.add(document, { schemes, operations })
}
