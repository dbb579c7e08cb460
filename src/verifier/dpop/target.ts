/** Computes the URIs of a request, as its client sees them. */
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import { fieldOf, targetOf } from "../../core/effect/receivedRequest.ts"
import { normalize, normalizeBelow } from "./uri.ts"

/** A host with an optional port. A `Host` header with a slash could move a part of the path into the host. */
const authority = /^(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~-]+)(?::\d{1,5})?$/

/** Returns the path of the request target, as the client sent it. A router may have removed a prefix from `url`. */
const pathOf = (target: string): string | undefined => {
  // Most targets have neither. `includes` takes less time than a search with an expression.
  const whole = target.includes("?") || target.includes("#") ? target.slice(0, target.search(/[?#]/)) : target
  if (whole.startsWith("/")) return whole
  // RFC 9112 §3.2.2: the target of a request to a proxy, and the URL of a web-standard `Request`.
  const rest = /^https?:\/\/[^/]+(\/.*)?$/i.exec(whole)
  return rest === null ? undefined : (rest[1] ?? "/")
}

/**
 * Returns the normalized URIs of a request. Without fixed origins, the origin is that of the request: the `Host` header
 * and the protocol, which Effect's middleware for forwarded headers may have replaced.
 */
export const urisOf = (
  request: HttpServerRequest,
  origins: ReadonlyArray<string> | undefined
): ReadonlyArray<string> => {
  const target = targetOf(request)
  const path = pathOf(target)
  if (path === undefined) return []
  const bases = origins ?? originOf(request, target)
  return bases.flatMap((base) => normalizeBelow(base, path) ?? [])
}

const originOf = (request: HttpServerRequest, target: string): ReadonlyArray<string> => {
  const host = fieldOf(request, "host")
  // A web-standard `Request` may have no `Host` header. Its URL is absolute.
  const origin =
    host === undefined
      ? /^https?:\/\/[^/]+/i.exec(target)?.[0]
      : authority.test(host)
        ? `${request.protocol ?? (/^https:/i.test(request.originalUrl) ? "https" : "http")}://${host}`
        : undefined
  const normal = origin === undefined ? undefined : normalize(origin)
  // Removes the slash that is the path of an origin.
  return normal === undefined ? [] : [normal.slice(0, -1)]
}
