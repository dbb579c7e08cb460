/** Reads from the headers of a request who sent it: a person who follows a link, a script, or another site. */
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import { fieldOf } from "../../core/effect/receivedRequest.ts"

/**
 * Returns `true` if a browser opens the address in a tab. A script cannot follow the redirect to another origin, and a
 * prefetch or a frame must not start a sign-in.
 */
export const isNavigation = (request: HttpServerRequest): boolean => {
  if (fieldOf(request, "sec-purpose")?.includes("prefetch") === true) return false
  const mode = fieldOf(request, "sec-fetch-mode")
  if (mode !== undefined) return mode === "navigate" && fieldOf(request, "sec-fetch-dest") === "document"
  // Browsers without these headers ask for a page.
  return (
    fieldOf(request, "x-requested-with") === undefined && fieldOf(request, "accept")?.includes("text/html") === true
  )
}

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
