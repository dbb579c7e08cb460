/**
 * Security in OpenAPI documents (OpenAPI 3.1, "Security Scheme Object" and "Security Requirement Object"), read from the same values that are
 * enforced.
 *
 * @since 0.1.0
 */
import type * as OpenApi from "effect/http-api/OpenApi"
import * as endpoints from "./internal/guard/endpoint.ts"
import * as openApiDocument from "./internal/openApi/openApiDocument.ts"
import * as pathTemplate from "./internal/openApi/pathTemplate.ts"
import * as refusalResponses from "./internal/openApi/refusalResponses.ts"
import { declare, ofDemand } from "./internal/openApi/securityRequirements.ts"
import * as expression from "./internal/requirement/expression.ts"
import type { SecurityRequirementTypes } from "./internal/requirement/securityRequirement.ts"
import type { Scheme } from "./internal/scheme/scheme.ts"

/**
 * The schemes of one alternative with their scopes: all of them are needed. `{}` is the anonymous request.
 *
 * @category models
 * @since 0.1.0
 */
export type SecurityRequirementObject = Readonly<Record<string, ReadonlyArray<string>>>

/**
 * The most alternatives that are written out for one operation. A requirement that has more is enforced all the same, and its document throws a `TypeError`:
 * declare a scope that implies several (`implies`), and require that one.
 *
 * **Example** (The bound)
 *
 * ```ts import.meta.vitest
 * import { OpenApiSecurity } from "effect-oauth2"
 *
 * OpenApiSecurity.maxAlternatives // => 64
 * ```
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

/**
 * A route of an `HttpRouter` app, for a document.
 *
 * @category models
 * @since 0.1.0
 */
export interface Route {
  /** As the router has it. */
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
