/** Serves bytes with an `ETag` and a `Cache-Control` header. */
import * as Effect from "effect/Effect"
import * as Hex from "effect/encoding/Hex"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import { canonical } from "./relative.ts"

export interface Resource {
  readonly path: `/${string}`
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

/** Creates a route that responds to GET and HEAD, with 304 if the client has the current `ETag` (RFC 9110 §13.1.2). */
export const route = (resource: Resource): Effect.Effect<HttpRouter.Route> =>
  Effect.map(digest(resource.body), (hash) => {
    const etag = `"${hash}"`
    const headers = {
      "x-content-type-options": "nosniff",
      "referrer-policy": "no-referrer",
      ...resource.headers,
      "cache-control": resource.cacheControl,
      etag
    }
    const full = HttpServerResponse.uint8Array(resource.body, { contentType: resource.contentType, headers })
    const notModified = HttpServerResponse.empty({ status: 304, headers })
    return HttpRouter.route(
      "GET",
      resource.path,
      Effect.map(HttpServerRequest.HttpServerRequest, (request) => {
        const location = canonical(resource.path, request.originalUrl)
        if (location !== undefined) return HttpServerResponse.redirect(location, { status: 307 })
        return matches(request.headers["if-none-match"], etag) ? notModified : full
      })
    )
  })

const matches = (field: string | undefined, etag: string): boolean =>
  field !== undefined &&
  (field.trim() === "*" || field.split(",").some((candidate) => candidate.trim().replace(/^W\//, "") === etag))
