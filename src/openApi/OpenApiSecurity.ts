/**
 * Functions and layers that write security into OpenAPI documents.
 *
 * The documents and the enforcement read the same values, so a document cannot contradict the server.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as HttpRouter from "effect/http/HttpRouter"
import type * as OpenApi from "effect/http-api/OpenApi"
import * as Layer from "effect/Layer"
import * as registry from "../guard/requirement/registry.ts"
import { recorded } from "../guard/middleware/routeRecorder.ts"
import * as routeSchemas from "./routeSchemas.ts"
import type { Schemas } from "./routeSchemas.ts"
import * as routesDocument from "./routesDocument.ts"
import type { Existing, Head } from "./routesDocument.ts"
import { ofPolicy, type SecurityRequirementObject } from "./securityRequirements.ts"
import * as expression from "../guard/requirement/expression.ts"
import type { SecurityRequirementTypes } from "../guard/middleware/securityRequirement.ts"
import { ConfigurationError } from "../core/SecurityError.ts"
import { ownProperties } from "../core/lib/ownProperties.ts"

export { DescribeRequirements } from "./requirementDescription.ts"
export type { Existing, Head, Info } from "./routesDocument.ts"
export type { Schemas } from "./routeSchemas.ts"
export type { SecurityRequirementObject } from "./securityRequirements.ts"

/**
 * Maximum number of alternatives that a document shows for one operation.
 *
 * **Details**
 *
 * A requirement with more alternatives is enforced, but creating its document throws a `TypeError`. Declare a scope
 * that implies several others (option `implies`), and require that scope.
 *
 * **Example** (Reading the limit)
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
 * Returns the Security Requirement Objects of one or more nested requirements, outermost first.
 *
 * **Details**
 *
 * - Each object is an alternative (disjunctive normal form). Scopes that imply a required scope are alternatives, too.
 * - If two schemes are both required, one object contains both.
 * - `{}` means that an anonymous request is authorized.
 * - More than `maxAlternatives` alternatives throw a `TypeError`.
 *
 * **Gotchas**
 *
 * Custom checks do not appear in the result.
 *
 * **Example** (Showing alternatives)
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
 * @see {@link documented} for the document of all routes
 * @category constructors
 * @since 0.1.0
 */
export const of = (
  // Outermost first.
  ...requirements: ReadonlyArray<SecurityRequirementTypes<string, never, unknown, unknown>>
): ReadonlyArray<SecurityRequirementObject> => ofPolicy(registry.policyOfKeys(requirements))

/**
 * Creates a layer that adds fields to the documented operations of the routes to which you provide it.
 *
 * **Details**
 *
 * - The fields are those of an OpenAPI operation, such as `summary` and `tags` (OpenAPI 3.1, "Operation Object").
 * - If two layers set the same field, the inner layer wins.
 * - Without an `operationId`, a route is named after its method and path: `getUsersMe` for `GET /users/me`.
 * - The route's requirement is its `security`. A `security` of your own is refused with a `TypeError`.
 * - The layer has no cost per request.
 *
 * **Example** (Adding a summary to a route and a tag to a group)
 *
 * ```ts
 * import { Layer } from "effect"
 * import { HttpRouter, HttpServerResponse } from "effect/http"
 * import { OpenApiSecurity } from "effect-oauth2"
 *
 * const Me = HttpRouter.add("GET", "/users/me", HttpServerResponse.empty()).pipe(
 *   Layer.provide(OpenApiSecurity.operation({ summary: "Who am I?" }))
 * )
 * const Settings = HttpRouter.add("GET", "/users/me/settings", HttpServerResponse.empty())
 *
 * export const Users = Layer.mergeAll(Me, Settings).pipe(Layer.provide(OpenApiSecurity.operation({ tags: ["users"] })))
 * ```
 *
 * @see {@link schemas} to describe requests and responses
 * @see {@link hidden} to leave routes out of the document
 * @category layers
 * @since 0.1.0
 */
export const operation = (
  fields: Readonly<Record<string, unknown>> & { readonly security?: never }
): Layer.Layer<never> => {
  if (Object.hasOwn(fields, "security")) {
    throw new TypeError(
      "OpenApiSecurity.operation: the requirement of a route is its security in documents, so the field security cannot be set. Add auth.require or auth.optional to the route."
    )
  }
  return routesDocument.noting(ownProperties(fields))
}

/**
 * Creates a layer that describes the requests and responses of the routes to which you provide it, by Effect schemas.
 *
 * **Details**
 *
 * - The options are those of `HttpApiEndpoint.make`, and the document shows them as it shows an endpoint.
 * - If two layers describe a route, the inner layer wins.
 * - The layer has no cost per request, and it does not decode. Use the same schemas in the handler, for example with
 *   `HttpServerRequest.schemaBodyJson`.
 *
 * **Example** (Describing the body of a request)
 *
 * ```ts
 * import { Effect, Layer, Schema } from "effect"
 * import { HttpServerRequest, HttpServerResponse } from "effect/http"
 * import { OAuth2, OpenApiSecurity } from "effect-oauth2"
 * import { auth } from "./auth.ts"
 *
 * const Item = Schema.Struct({ name: Schema.NonEmptyString }).annotate({ identifier: "Item" })
 *
 * export const Create = OAuth2.route(
 *   "POST",
 *   "/items",
 *   Effect.map(HttpServerRequest.schemaBodyJson(Item), (item) => HttpServerResponse.jsonUnsafe(item))
 * ).pipe(
 *   auth.require("items:write"),
 *   Layer.provide(OpenApiSecurity.schemas({ payload: Item, success: Item }))
 * )
 * ```
 *
 * @see {@link operation} to add other fields, such as a summary
 * @category layers
 * @since 0.1.0
 */
export const schemas = (schemas: Schemas): Layer.Layer<never> => routesDocument.noting(routeSchemas.note(schemas))

/**
 * Layer that leaves the routes to which you provide it out of documents. Equivalent to FastAPI's
 * `include_in_schema=False`.
 *
 * **When to use**
 *
 * Use for internal routes, and for routes that OpenAPI cannot describe, such as routes with wildcards.
 *
 * **Example** (Hiding the route of static files)
 *
 * ```ts
 * import { Layer } from "effect"
 * import { HttpRouter, HttpServerResponse } from "effect/http"
 * import { OpenApiSecurity } from "effect-oauth2"
 *
 * export const Files = HttpRouter.add("GET", "/files/*", HttpServerResponse.empty()).pipe(
 *   Layer.provide(OpenApiSecurity.hidden)
 * )
 * ```
 *
 * @see {@link operation} to add fields to the documented operations
 * @category layers
 * @since 0.1.0
 */
export const hidden: Layer.Layer<never> = routesDocument.noting(undefined)

/**
 * Adds a layer that uses the OpenAPI document of the given routes, such as a documentation page.
 *
 * **Details**
 *
 * The document is created while the routes are added to the router. It contains their methods, paths and requirements.
 *
 * | option | document |
 * |---|---|
 * | `info` | new document with the routes, and with `servers` (default: `/`) and `tags` if you set them |
 * | `document` | your document with the routes added; required if the routes include an `HttpApi` |
 * | `document`, `info` | your document, with these fields of `info`; `servers` and `tags` work in the same way |
 *
 * A route without a response of a client error gets the response `4XX`. The description of a route ends with its
 * requirement, such as "Requires `items:read`." The option `describeRequirements` turns the sentence off.
 *
 * Building the layer can fail:
 *
 * | failure | cause |
 * |---|---|
 * | `ConfigurationError` | OpenAPI cannot describe a route. The message names the route; `hidden` leaves it out. |
 * | `ConfigurationError` | two operations have the same `operationId` |
 * | `ConfigurationError` | `document` contradicts a route, or lacks an endpoint of an `HttpApi` or its requirements |
 * | defect | the layer adds no route, for example because another `documented` has already built it |
 *
 * **Gotchas**
 *
 * - `operation`, `schemas` and `hidden` do not affect the endpoints of an `HttpApi`. Use `OpenApi.Exclude` to leave out an
 *   endpoint.
 * - Spectral's rule `oas3-operation-security-defined` reports scopes of schemes without flows, such as `OAuth2.bearer` and
 *   `OAuth2.openIdConnect`. OpenAPI 3.1 allows them ("Security Requirement Object").
 *
 * **Example** (Serving a documentation page for routes)
 *
 * ```ts
 * import { Layer } from "effect"
 * import { HttpRouter, HttpServerResponse } from "effect/http"
 * import { OAuth2, OpenApiSecurity, SwaggerUi } from "effect-oauth2"
 * import { auth } from "./auth.ts"
 *
 * const Me = HttpRouter.add("GET", "/users/me", HttpServerResponse.empty()).pipe(
 *   auth.require("me"),
 *   Layer.provide(OpenApiSecurity.operation({ summary: "Who am I?" }))
 * )
 *
 * export const App = Me.pipe(
 *   OAuth2.secured,
 *   OpenApiSecurity.documented({ info: { title: "Profiles", version: "1.0.0" } }, (document) => SwaggerUi.layer(document))
 * )
 * ```
 *
 * **Example** (Writing a document that linters accept)
 *
 * ```ts
 * import { Layer } from "effect"
 * import { HttpRouter, HttpServerResponse } from "effect/http"
 * import { OAuth2, OpenApiSecurity, SwaggerUi } from "effect-oauth2"
 *
 * export const App = HttpRouter.add("GET", "/health", HttpServerResponse.empty()).pipe(
 *   OAuth2.Public("monitoring tools have no credentials"),
 *   Layer.provide(
 *     OpenApiSecurity.operation({ summary: "Check the service", description: "Succeeds if the service runs.", tags: ["health"] })
 *   ),
 *   OAuth2.secured,
 *   OpenApiSecurity.documented(
 *     {
 *       info: {
 *         title: "Profiles",
 *         version: "1.0.0",
 *         description: "Profiles of users.",
 *         license: { name: "MIT", url: "https://opensource.org/license/mit" },
 *         contact: { name: "Support", email: "support@example.com" }
 *       },
 *       tags: [{ name: "health", description: "For monitoring tools" }]
 *     },
 *     (document) => SwaggerUi.layer(document)
 *   )
 * )
 * ```
 *
 * @see {@link operation} to add a summary or tags
 * @category combinators
 * @since 0.1.0
 */
export const documented =
  <A2, E2, R2>(options: Head | Existing, use: (document: OpenApi.OpenAPISpec) => Layer.Layer<A2, E2, R2>) =>
  <A, E, R>(
    routes: Layer.Layer<A, E, R>
  ): Layer.Layer<A | A2, E | E2 | ConfigurationError, R | R2 | HttpRouter.HttpRouter> =>
    recorded(routes, (found) => {
      const document = Effect.try({
        try: () => {
          const own = ownProperties(options)
          return routesDocument.add(routesDocument.start(own), found, own)
        },
        catch: (error) => error
      })
      return Layer.unwrap(
        Effect.map(
          Effect.catch(document, (error) =>
            error instanceof TypeError
              ? Effect.fail(new ConfigurationError({ setting: "routes", message: error.message }))
              : Effect.die(error)
          ),
          use
        )
      )
    })
