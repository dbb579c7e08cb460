/** Serves bytes, with their `ETag` and their rules for caches. */
import * as Effect from "effect/Effect"
import * as Hex from "effect/encoding/Hex"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import { canonical } from "./relative.ts"

/** Bytes with what their URL promises of them. */
export interface Resource {
  readonly path: `/${string}`
  readonly body: Uint8Array<ArrayBuffer>
  readonly contentType: string
  readonly cacheControl: string
  readonly headers: Readonly<Record<string, string>>
}

/** For what has its version in its URL. */
export const immutable = "public, max-age=31536000, immutable"

/** For what does not: it is kept, and asked about each time. */
export const revalidated = "no-cache"

const encoder = new TextEncoder()

export const encode = (text: string): Uint8Array<ArrayBuffer> => encoder.encode(text)

export const digest = (bytes: Uint8Array<ArrayBuffer>): Effect.Effect<string> =>
  Effect.map(
    Effect.promise(() => crypto.subtle.digest("SHA-256", bytes)),
    (hash) => Hex.encode(new Uint8Array(hash))
  )

/** A route that answers GET and HEAD, and what was not modified with 304 (RFC 9110 §13.1.2). */
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
