/** Recognizes requests that another site has sent. A browser adds cookies to them. */
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import { constant } from "./constantErrors.ts"
import { fieldOf } from "./effect/receivedRequest.ts"
import { InvalidRequest } from "./SecurityError.ts"

export const crossSite = constant(new InvalidRequest({ reason: "CrossSite" }))

// RFC 9110 §9.2.1. A browser does not show the response to another site without CORS.
const safeMethods: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS"])

export const isSafe = ({ method }: HttpServerRequest): boolean => safeMethods.has(method)

/**
 * Returns `true` if the request may come from a page of another site. Browsers send `Sec-Fetch-Site`, and older
 * browsers send `Origin`. A client that sends neither header is not a browser. A safe method passes, except for a
 * WebSocket, because a page can read the messages of a WebSocket.
 */
export const isCrossSite = (request: HttpServerRequest, trustedOrigins: ReadonlySet<string>): boolean => {
  if (isSafe(request) && fieldOf(request, "upgrade") === undefined) return false
  const origin = fieldOf(request, "origin")
  if (origin !== undefined && trustedOrigins.has(origin)) return false
  const site = fieldOf(request, "sec-fetch-site")
  if (site !== undefined) return site !== "same-origin" && site !== "none"
  return origin !== undefined && !isOwnOrigin(request, origin, trustedOrigins)
}

/** Returns `true` if an origin is trusted, or has the host of the request. */
export const isOwnOrigin = (
  request: HttpServerRequest,
  origin: string,
  trustedOrigins: ReadonlySet<string>
): boolean => {
  if (trustedOrigins.has(origin)) return true
  const host = fieldOf(request, "host") ?? fieldOf(request, ":authority")
  return host !== undefined && isOfHost(origin, host)
}

/** Compares the hosts as URLs, because a browser omits the default port of the protocol. */
const isOfHost = (origin: string, host: string): boolean => {
  // The origin of a page without one is "null".
  if (!URL.canParse(origin)) return false
  const page = new URL(origin)
  const server = `${page.protocol}//${host}`
  return URL.canParse(server) && new URL(server).host === page.host
}
