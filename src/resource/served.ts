/** Serves a metadata document on a router (RFC 9728 §3). */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import { toMillis } from "../core/duration.ts"
import { refuseOption } from "../core/refuseOption.ts"
import * as resourceIdentifier from "../core/resourceIdentifier.ts"
import type { ConfigurationError } from "../core/SecurityError.ts"
import { unlisted } from "../guard/middleware/unlisted.ts"
import { type Description, make } from "./metadata.ts"

interface Options extends Description {
  readonly maxAge?: Duration.Input
  readonly atRoot?: boolean
}

const year = 365 * 24 * 60 * 60

const secondsOf = (maxAge: Duration.Input): Effect.Effect<number, ConfigurationError> => {
  const seconds = Math.floor(toMillis(maxAge) / 1000)
  return seconds >= 0 && seconds <= year
    ? Effect.succeed(seconds)
    : refuseOption("maxAge", 'must be a duration between 0 seconds and 1 year, such as "1 hour"')
}

// A browser asks first, because MCP clients send the header MCP-Protocol-Version with the request.
const preflight = HttpServerResponse.empty({
  status: 204,
  headers: {
    "access-control-allow-origin": "*",
    "access-control-allow-methods": "GET, HEAD",
    "access-control-allow-headers": "*",
    "access-control-max-age": "86400"
  }
})

const notFound = HttpServerResponse.empty({ status: 404 })

const queryOf = (url: string): string => {
  const start = url.indexOf("?")
  return start === -1 ? "" : url.slice(start)
}

export const layer = (options: Options): Layer.Layer<never, ConfigurationError, HttpRouter.HttpRouter> =>
  HttpRouter.use(
    Effect.fnUntraced(function* (router) {
      const document = yield* make(options)
      const { atRoot = false, maxAge = "1 hour" } = options
      const seconds = yield* secondsOf(maxAge)
      const found = HttpServerResponse.text(JSON.stringify(document), {
        contentType: "application/json",
        headers: {
          "access-control-allow-origin": "*",
          "cache-control": `public, max-age=${seconds}`,
          "x-content-type-options": "nosniff"
        }
      })
      const { path, query } = resourceIdentifier.metadataPath(document.resource)
      const routes = [[path, query] as const, ...(atRoot ? [[resourceIdentifier.wellKnown, ""] as const] : [])]
      const unique = new Map(routes)
      yield* Effect.catchDefect(
        router.addAll(Array.from(unique).flatMap(([path, query]) => routesAt(path, query, found))),
        (defect) =>
          defect instanceof Error && defect.message.includes("already declared")
            ? refuseOption(
                "resource",
                `or atRoot gives the document the path of another route. Serve each identifier once. Router error: ${defect.message}`
              )
            : Effect.die(defect)
      )
    })
  ).pipe(Layer.provide(unlisted))

const routesAt = (
  path: string,
  query: string,
  found: HttpServerResponse.HttpServerResponse
): ReadonlyArray<HttpRouter.Route> => {
  // A colon begins a parameter. Safe cast: the path begins with a slash.
  const pattern = path.replaceAll(":", "::") as HttpRouter.PathInput
  // The router ignores the query, but the query is a part of the identifier.
  const get = Effect.map(HttpServerRequest.HttpServerRequest, (request) =>
    query === "" || queryOf(request.originalUrl) === query ? found : notFound
  )
  return [HttpRouter.route("GET", pattern, get), HttpRouter.route("OPTIONS", pattern, Effect.succeed(preflight))]
}
