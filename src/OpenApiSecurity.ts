/**
 * Security in OpenAPI documents (OpenAPI 3.1, "Security Scheme Object" and "Security Requirement Object"), read from the same values that are
 * enforced.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as HttpRouter from "effect/http/HttpRouter"
import type * as OpenApi from "effect/http-api/OpenApi"
import * as Layer from "effect/Layer"
import * as endpoints from "./internal/guard/endpoint.ts"
import { ownProperties } from "./internal/ownProperties.ts"
import { recorded } from "./internal/guard/recording.ts"
import * as routesDocument from "./internal/openApi/routesDocument.ts"
import { ofDemand } from "./internal/openApi/securityRequirements.ts"
import * as expression from "./internal/requirement/expression.ts"
import type { SecurityRequirementTypes } from "./internal/requirement/securityRequirement.ts"
import { ConfigurationError } from "./SecurityError.ts"

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
 * What a document says of a route, or of all routes that it is provided to, beside their security: fields of an operation (OpenAPI, "Operation Object"). What
 * stands further in counts. It costs nothing when requests come.
 *
 * **Example** (A route with a summary, in a group with a tag)
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
 * @category layers
 * @since 0.1.0
 */
export const operation = (fields: Readonly<Record<string, unknown>>): Layer.Layer<never> =>
  routesDocument.noting(fields)

/**
 * Leaves the routes that it is provided to out of documents: FastAPI's `include_in_schema=False`. OpenAPI has no words for some, such as those with wildcards.
 *
 * **Example** (A page and its files)
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
 * @category layers
 * @since 0.1.0
 */
export const hidden: Layer.Layer<never> = routesDocument.noting(undefined)

/**
 * The routes of an `HttpRouter` app, and what is made of their document, such as a page that shows it.
 *
 * **Details**
 *
 * The document is read from the routes while they are added to the router: their methods and paths with the requirements that stand around them. So it cannot say
 * anything else than what is enforced. `operation` adds to it, `hidden` leaves a route out.
 *
 * With `document` the routes are added to that of an `HttpApi`, whose endpoints are there already. It has to be given where the routes have an `HttpApi` among them.
 *
 * **Gotchas**
 *
 * A route for which OpenAPI has no words fails at start-up with a `ConfigurationError` that names it: `hidden` leaves it out. The endpoints of an `HttpApi` stand in its own
 * document, whatever `operation` and `hidden` say around its layer (`OpenApi.Exclude` leaves one out). A layer of routes is built once: around the same one twice, the second
 * sees none, and does not start.
 *
 * **Example** (Routes with a docs page)
 *
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { HttpRouter, HttpServerResponse } from "effect/http"
 * import { OAuth2, OpenApiSecurity, SwaggerUi } from "effect-oauth2"
 *
 * const auth = OAuth2.authorizationCode("OAuth2", {
 *   authorizationUrl: "https://idp.example.com/authorize",
 *   tokenUrl: "https://idp.example.com/token",
 *   scopes: { me: "Read your profile" }
 * })
 *
 * const Me = HttpRouter.add("GET", "/users/me", HttpServerResponse.empty()).pipe(
 *   Layer.provide(auth.require("me").route.layer),
 *   Layer.provide(OpenApiSecurity.operation({ summary: "Who am I?" }))
 * )
 *
 * export const App = Me.pipe(
 *   OAuth2.secured,
 *   OpenApiSecurity.documented({ info: { title: "Profiles", version: "1.0.0" } }, (document) => SwaggerUi.layer(document))
 * )
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const documented =
  <A2, E2, R2>(
    options: { readonly info: OpenApi.OpenAPISpecInfo } | { readonly document: OpenApi.OpenAPISpec },
    use: (document: OpenApi.OpenAPISpec) => Layer.Layer<A2, E2, R2>
  ) =>
  <A, E, R>(
    routes: Layer.Layer<A, E, R>
  ): Layer.Layer<A | A2, E | E2 | ConfigurationError, R | R2 | HttpRouter.HttpRouter> =>
    recorded(routes, (found) => {
      const document = Effect.try({
        try: () => {
          const own = ownProperties(options)
          return routesDocument.add("document" in own ? own.document : routesDocument.empty(own.info), found)
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
