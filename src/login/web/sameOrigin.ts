/** Decides whether a page of the app itself sent a request. */
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import { fieldOf } from "../../core/effect/receivedRequest.ts"

/**
 * Returns `true` if a page of this origin sent the request. A sibling subdomain is the same site, and not this origin.
 * Without the headers of a browser, a request needs the header `X-CSRF`, which no page of another origin can send.
 */
export const isSameOrigin = (request: HttpServerRequest, origin: string): boolean => {
  const site = fieldOf(request, "sec-fetch-site")
  // A page with the policy `no-referrer` sends `Origin: null`, so this header decides alone.
  if (site !== undefined) return site === "same-origin" || site === "none"
  const sender = fieldOf(request, "origin")
  if (sender !== undefined) return sender === origin
  return fieldOf(request, "x-csrf") === "1"
}
