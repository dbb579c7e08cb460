/** `OAuth2.Public`: the mark of what is open on purpose. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import { HttpServerRequest } from "effect/http/HttpServerRequest"
import type { HttpServerResponse } from "effect/http/HttpServerResponse"
import type * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiMiddleware from "effect/http-api/HttpApiMiddleware"
import type * as Types from "effect/Types"
import * as Challenge from "../core/Challenge.ts"
import type { MiddlewareTypes } from "../core/effect/middlewareTypes.ts"
import * as errorSchemas from "../guard/scheme/errorSchemas.ts"
import * as raised from "../core/response.ts"
import { isSecurityError } from "../core/SecurityError.ts"
import { assertOutsideOfRequests } from "../guard/decision/place.ts"
import * as Origin from "../guard/scheme/origin.ts"
import { registerMarker } from "../guard/middleware/placement.ts"
import * as recording from "../guard/middleware/routeRecorder.ts"
import type { Seal } from "../guard/middleware/securityRequirement.ts"

/**
 * The identifier of `Public`. Every scheme's layer provides it.
 *
 * @category models
 * @since 0.1.0
 */
export interface PublicEndpoint extends MiddlewareTypes<never, never, never> {
  readonly "~effect-oauth2/Public": true
}

/**
 * An endpoint, group, api or route that is open on purpose.
 *
 * @category models
 * @since 0.1.0
 */
export interface Public extends Context.Key<PublicEndpoint, HttpApiMiddleware.HttpApiMiddleware<never, never, never>> {
  /** Why it is open, for the reader of the code. */
  readonly reason: string
  /** The same for routes of `OAuth2.route`: `Layer.provide(OAuth2.Public("…").route.layer)`. */
  readonly route: HttpRouter.Middleware<{
    provides: Seal<string>
    handles: never
    error: never
    requires: never
    layerError: never
    layerRequires: never
  }>
}

const reasons = new WeakMap<object, string>()

/** Whether a middleware key is `Public`. */
export const isPublic = (key: object): boolean => reasons.has(key)

const open = <E, R>(handler: Effect.Effect<HttpServerResponse, E, R>) =>
  Effect.flatMap(HttpServerRequest, (request) =>
    Effect.provideService(handler, Origin.LastStamp, new Origin.Stamp(Origin.of(request)))
  )

/** A guard of one's own may stand inside, and refuse: that is answered here, as `guard.ts` does and for the same reason. */
const openEndpoint = <E, R>(
  handler: Effect.Effect<HttpServerResponse, E, R>,
  { endpoint }: { readonly endpoint: HttpApiEndpoint.Top }
) => {
  assertOutsideOfRequests()
  const declared = Array.from(endpoint.error).flatMap((schema) => errorSchemas.settingsOf(schema) ?? [])[0]
  return Effect.catch(open(handler), (error) => {
    if (!isSecurityError(error)) return Effect.fail(error)
    const isHandlersOwn = !raised.isRaised(error) && !raised.isReceived(error)
    return Challenge.respond(isHandlersOwn && declared !== undefined ? Challenge.within(error, declared) : error)
  })
}

/**
 * Marks an endpoint, a group, an api or a sealed route as open on purpose, and says why.
 *
 * **Example** (A health check)
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
 * @category constructors
 * @since 0.1.0
 */
export const Public = (reason: string): Public => {
  if (reason.trim() === "") throw new TypeError("OAuth2.Public: say why it is open.")
  // A reference has a default, so that `HttpApi` finds the middleware without a layer of its own.
  const key = Object.assign(
    Context.Reference<typeof openEndpoint>("effect-oauth2/Public", { defaultValue: () => openEndpoint }),
    HttpApiMiddleware.Service<never>()("effect-oauth2/Public")
  )
  reasons.set(key, reason)
  const route = HttpRouter.middleware(
    registerMarker((handler: Effect.Effect<HttpServerResponse, Types.unhandled>) => {
      recording.notePublic()
      // Sound: what it needs is the request, which every route has.
      return open(handler) as Effect.Effect<HttpServerResponse, Types.unhandled>
    })
  )
  return Object.assign(key, { reason, route })
}
