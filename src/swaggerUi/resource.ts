/** Serves bytes with an `ETag` and a `Cache-Control` header. */
import * as Effect from "effect/Effect"
import * as Hex from "effect/encoding/Hex"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import type { Path } from "./paths.ts"
import { canonical } from "./relative.ts"

export interface Resource {
  /** Path of the route. */
  readonly route: Path
  /** Version that the URL must contain. `undefined`: the URL contains no version. */
  readonly version: string | undefined
  readonly body: Uint8Array<ArrayBuffer>
  readonly contentType: string
  readonly cacheControl: string
  readonly headers: Readonly<Record<string, string>>
}

/** `Cache-Control` of a resource whose URL contains its version. */
export const immutable = "public, max-age=31536000, immutable"

/** `Cache-Control` of other resources. Browsers cache them and revalidate them before each use. */
export const revalidated = "no-cache"

const encoder = new TextEncoder()

export const encode = (text: string): Uint8Array<ArrayBuffer> => encoder.encode(text)

export const digest = (bytes: Uint8Array<ArrayBuffer>): Effect.Effect<string> =>
  Effect.map(
    Effect.promise(() => crypto.subtle.digest("SHA-256", bytes)),
    (hash) => Hex.encode(new Uint8Array(hash))
  )

/** Responds to a request whose URL contains this version. */
export type Respond = (
  request: HttpServerRequest.HttpServerRequest,
  version: string | undefined
) => HttpServerResponse.HttpServerResponse | undefined

/** Responds with 304 if the client has the current `ETag` (RFC 9110 §13.1.2), and not at all to another version. */
export const responder = (resource: Resource): Effect.Effect<readonly [Path, Respond]> =>
  Effect.map(digest(resource.body), (hash) => {
    const etag = `"${hash}"`
    const headers = {
      ...alwaysSent,
      ...resource.headers,
      "cache-control": resource.cacheControl,
      etag
    }
    const full = HttpServerResponse.uint8Array(resource.body, { contentType: resource.contentType, headers })
    const notModified = HttpServerResponse.empty({ status: 304, headers })
    return [
      resource.route,
      (request, version) =>
        version !== resource.version ? undefined : matches(request.headers["if-none-match"], etag) ? notModified : full
    ]
  })

const alwaysSent = { "x-content-type-options": "nosniff", "referrer-policy": "no-referrer" }

// Constant text, because a stranger may read it.
const unavailable = HttpServerResponse.text(
  "The documentation page is not available. The server's log contains the reason.",
  {
    status: 503,
    headers: { ...alwaysSent, "cache-control": "no-store" }
  }
)

// The router's own response to a path without a route.
const notFound = HttpServerResponse.empty({ status: 404 })

/** Creates a route that responds to GET and HEAD, with 503 if the contents are not available. */
export const route = (path: Path, contents: Effect.Effect<ReadonlyMap<Path, Respond>, unknown>): HttpRouter.Route =>
  HttpRouter.route(
    "GET",
    path,
    Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
      const location = canonical(path, request.originalUrl)
      if (location !== undefined) return Effect.succeed(HttpServerResponse.redirect(location, { status: 307 }))
      return Effect.match(Effect.zip(contents, HttpRouter.params), {
        onFailure: () => unavailable,
        onSuccess: ([contents, { version }]) => contents.get(path)?.(request, version) ?? notFound
      })
    })
  )

const matches = (field: string | undefined, etag: string): boolean =>
  field !== undefined &&
  (field.trim() === "*" || field.split(",").some((candidate) => candidate.trim().replace(/^W\//, "") === etag))
