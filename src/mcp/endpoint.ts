/** Protects the endpoint of an MCP server: origins, responses, sessions and metadata. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import type * as Types from "effect/Types"
import { type InvalidToken, isSecurityError } from "../core/SecurityError.ts"
import type { Handler } from "../guard/decision/decide.ts"
import * as refusal from "./refusal.ts"
import * as sessions from "./sessions.ts"
import * as streams from "./streams.ts"

const forbidden = HttpServerResponse.empty({ status: 403 })

/** Headers of responses that a page of an allowed origin may read. */
const exposed = "WWW-Authenticate, DPoP-Nonce, Mcp-Session-Id, MCP-Protocol-Version"

const corsHeaders = (origin: string) => ({
  "access-control-allow-origin": origin,
  "access-control-expose-headers": exposed,
  vary: "Origin"
})

const preflight = (origin: string, request: HttpServerRequest) =>
  HttpServerResponse.empty({
    status: 204,
    headers: {
      ...corsHeaders(origin),
      "access-control-allow-methods": "GET, POST, DELETE",
      // `*` does not include Authorization (Fetch standard, "CORS non-wildcard request-header name").
      "access-control-allow-headers": request.headers["access-control-request-headers"] ?? "Authorization",
      "access-control-max-age": "7200",
      vary: "Origin, Access-Control-Request-Headers"
    }
  })

const isPreflight = ({ headers, method }: HttpServerRequest): boolean =>
  method === "OPTIONS" && headers["access-control-request-method"] !== undefined

/** Middleware outside the requirement: refuses other origins, and responds to refusals as MCP clients expect. */
const outside = (endpoint: refusal.Endpoint, allowedOrigins: ReadonlySet<string>) => {
  const answering = (handler: Handler): Handler =>
    Effect.provideService(
      Effect.catchIf(handler, isSecurityError, (error) => refusal.respond(error, endpoint)),
      refusal.CurrentEndpoint,
      endpoint
    )
  return middlewareOf((handler) => {
    const answered = answering(handler)
    return Effect.withFiber(({ context }) => {
      const request = Context.getUnsafe(context, HttpServerRequest)
      const { origin } = request.headers
      if (origin === undefined) return answered
      // A page of another origin may reach a server on loopback by DNS rebinding.
      if (!allowedOrigins.has(origin)) return Effect.succeed(forbidden)
      if (isPreflight(request)) return Effect.succeed(preflight(origin, request))
      return Effect.map(answered, (response) =>
        HttpServerResponse.isHttpServerResponse(response)
          ? HttpServerResponse.setHeaders(response, corsHeaders(origin))
          : response
      )
    })
  })
}

type RouteHandler = Effect.Effect<HttpServerResponse.HttpServerResponse, Types.unhandled>

// Safe cast: the public type of `Mcp.protect` states the errors and services of the handlers.
const middlewareOf = (wrap: (handler: Handler) => Handler): Layer.Layer<never> =>
  HttpRouter.middleware((handler: RouteHandler) => wrap(handler) as RouteHandler).layer

type AnyLayer = Layer.Layer<never, unknown, unknown>

/** The requirement of an endpoint, and the effect that fails when the token of a request ends. */
interface Requirement {
  readonly apply: (routes: AnyLayer) => AnyLayer
  readonly expiry: Effect.Effect<never, InvalidToken>
}

/** Applies everything that surrounds the routes of a server. */
export const protect = (
  server: AnyLayer,
  requirement: Requirement,
  endpoint: refusal.Endpoint,
  allowedOrigins: ReadonlySet<string>
): AnyLayer => {
  const [inSession, untilExpiry] = [sessions.make(), streams.make(requirement.expiry)]
  const inside = middlewareOf((handler) => inSession(untilExpiry(handler)))
  return requirement.apply(server.pipe(Layer.provide(inside))).pipe(Layer.provide(outside(endpoint, allowedOrigins)))
}
