/** Defines `OAuth2.Public`, which marks public endpoints and routes. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import { HttpServerRequest } from "effect/http/HttpServerRequest"
import type { HttpServerResponse } from "effect/http/HttpServerResponse"
import type * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiMiddleware from "effect/http-api/HttpApiMiddleware"
import type * as Layer from "effect/Layer"
import type * as RpcMiddleware from "effect/rpc/RpcMiddleware"
import * as Schema from "effect/Schema"
import type * as Types from "effect/Types"
import * as Challenge from "../core/Challenge.ts"
import type { MiddlewareTypes, RpcMiddlewareKey, RpcMiddlewareTypes } from "../core/effect/middlewareTypes.ts"
import { middlewareKey } from "../core/effect/rpc.ts"
import * as errorSchemas from "../guard/scheme/errorSchemas.ts"
import * as response from "../core/response.ts"
import { isSecurityError } from "../core/SecurityError.ts"
import { throwWithinRequest } from "../guard/decision/place.ts"
import * as Origin from "../guard/scheme/origin.ts"
import { registerMarker } from "../guard/middleware/placement.ts"
import * as routeRecorder from "../guard/middleware/routeRecorder.ts"
import { callable, type PublicMark, type Seal } from "../guard/middleware/securityRequirement.ts"

/**
 * Identifier of the `Public` middleware, which every scheme's layer provides.
 *
 * @category models
 * @since 0.1.0
 */
export interface PublicEndpoint extends PublicMark, MiddlewareTypes<never, PublicEndpoint, never> {}

/**
 * Identifier of the `Public` middleware for procedures, which every scheme's layer provides.
 *
 * @category models
 * @since 0.1.0
 */
export interface PublicProcedure extends PublicEndpoint, RpcMiddlewareTypes<never, never, Schema.Never> {}

/**
 * Mark of a public endpoint, group, api, route or procedure.
 *
 * @category models
 * @since 0.1.0
 */
export interface Public extends Context.Key<PublicEndpoint, HttpApiMiddleware.HttpApiMiddleware<never, never, never>> {
  /** The reason why the endpoint is public, for readers of the code. */
  readonly reason: string
  /** Marks a layer of routes: `routes.pipe(OAuth2.Public("…"))`. */
  <A, E, R>(
    routes: Layer.Layer<A, E, R>
  ): Layer.Layer<A, E, Exclude<R, HttpRouter.Request.From<"Requires", Seal<string>>>>
  /** The mark as middleware, to combine with other middleware. */
  readonly route: HttpRouter.Middleware<{
    provides: Seal<string>
    handles: never
    error: never
    requires: never
    layerError: never
    layerRequires: never
  }>
  /** The mark as middleware for `effect/rpc`: `Rpc.make("Health").middleware(OAuth2.Public("…").rpc)`. */
  readonly rpc: Context.Key<PublicProcedure, RpcMiddleware.RpcMiddleware<never, never, never>> &
    RpcMiddlewareKey<Schema.Never>
}

const reasons = new WeakMap<object, string>()

/** Returns `true` if a middleware key is `Public`. */
export const isPublic = (key: object): boolean => reasons.has(key)

const authorizeAnyone = <E, R>(handler: Effect.Effect<HttpServerResponse, E, R>) =>
  Effect.flatMap(HttpServerRequest, (request) =>
    Effect.provideService(handler, Origin.LastStamp, new Origin.Stamp(Origin.of(request)))
  )

/**
 * Responds to the `SecurityError` of a custom guard inside `Public`. Otherwise, Effect would encode the error with any
 * declared error schema that happens to match, for example every schema with a `message`.
 */
const authorizeAnyoneAt = <E, R>(
  handler: Effect.Effect<HttpServerResponse, E, R>,
  { endpoint }: { readonly endpoint: HttpApiEndpoint.Top }
) => {
  throwWithinRequest()
  const declared = Array.from(endpoint.error).flatMap((schema) => errorSchemas.settingsOf(schema) ?? [])[0]
  return Effect.catch(authorizeAnyone(handler), (error) => {
    if (!isSecurityError(error)) return Effect.fail(error)
    const isHandlersOwn = !response.isFromScheme(error) && !response.isFromUpstream(error)
    return Challenge.respond(isHandlersOwn && declared !== undefined ? Challenge.within(error, declared) : error)
  })
}

/**
 * Marks an endpoint, a group, an api or a route as public, with a reason.
 *
 * **When to use**
 *
 * Use for endpoints without a requirement, because `OAuth2.secured` refuses unprotected endpoints without this mark.
 *
 * **Details**
 *
 * An empty reason throws a `TypeError`.
 *
 * `Public` authorizes no request that a requirement protects:
 *
 * | order | effect |
 * |---|---|
 * | `Public` around a layer, api, group or endpoint with requirements | the requirements still protect their endpoints |
 * | `Public` inside a requirement | `OAuth2.secured` refuses it, because the endpoint is protected |
 *
 * Around `HttpApiBuilder.layer`, `Public` marks the document (`openapiPath`), and no endpoint. Mark the endpoints in the
 * api.
 *
 * **Example** (Marking a health check)
 *
 * ```ts
 * import { HttpApiEndpoint } from "effect/http-api"
 * import { OAuth2 } from "effect-oauth2"
 *
 * export const health = HttpApiEndpoint.get("health", "/health").middleware(
 *   OAuth2.Public("the load balancer has no credentials")
 * )
 * ```
 *
 * **Example** (Publishing the document of a protected api)
 *
 * ```ts
 * import { Layer } from "effect"
 * import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup, HttpApiSwagger } from "effect/http-api"
 * import { OAuth2 } from "effect-oauth2"
 * import { auth } from "./auth.ts"
 *
 * const Api = HttpApi.make("api")
 *   .add(HttpApiGroup.make("items").add(HttpApiEndpoint.get("list", "/items")))
 *   .middleware(auth.require("items:read"))
 *   .pipe(OAuth2.openApi)
 * const documentation = OAuth2.Public("the documentation has no secrets")
 *
 * export const Routes = Layer.merge(
 *   HttpApiBuilder.layer(Api, { openapiPath: "/openapi.json" }).pipe(documentation),
 *   HttpApiSwagger.layer(Api).pipe(documentation)
 * ).pipe(OAuth2.secured)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const Public = (reason: string): Public => {
  if (reason.trim() === "") {
    throw new TypeError(
      'OAuth2.Public: the reason must not be empty. Pass a short explanation, such as OAuth2.Public("health check").'
    )
  }
  // A reference has a default value, so `HttpApi` finds the middleware without a layer.
  const key = Object.assign(
    Context.Reference<typeof authorizeAnyoneAt>("effect-oauth2/Public", { defaultValue: () => authorizeAnyoneAt }),
    HttpApiMiddleware.Service<never>()("effect-oauth2/Public")
  )
  const route = HttpRouter.middleware(
    registerMarker((handler: Effect.Effect<HttpServerResponse, Types.unhandled>) => {
      routeRecorder.notePublic()
      // Safe cast: the handler additionally needs only the request, which every route has.
      return authorizeAnyone(handler) as Effect.Effect<HttpServerResponse, Types.unhandled>
    })
  )
  const rpc = middlewareKey(
    Context.Reference<(handler: unknown) => unknown>("effect-oauth2/PublicProcedure", {
      defaultValue: () => (handler) => handler
    }),
    () => Schema.Never
  )
  const self = Object.assign(callable(key, route), { reason, rpc })
  reasons.set(self, reason)
  reasons.set(rpc, reason)
  // Safe cast: `callable` adds the members of the middleware to the key.
  return self as unknown as Public
}
