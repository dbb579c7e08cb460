/** Recognizes requests with which a browser opens a page in a tab. */
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import { fieldOf } from "./effect/receivedRequest.ts"

/**
 * Returns `true` if a browser opens the address in a tab. Scripts, frames, images and prefetches do not. A page cannot
 * set the headers that begin with `Sec-`.
 */
export const isNavigation = (request: HttpServerRequest): boolean => {
  if (fieldOf(request, "upgrade") !== undefined || fieldOf(request, "sec-purpose")?.includes("prefetch") === true) {
    return false
  }
  const mode = fieldOf(request, "sec-fetch-mode")
  if (mode !== undefined) return mode === "navigate" && fieldOf(request, "sec-fetch-dest") === "document"
  // Browsers send these headers over https only. Browsers without the headers ask for a page.
  return (
    fieldOf(request, "x-requested-with") === undefined && fieldOf(request, "accept")?.includes("text/html") === true
  )
}

/** Returns path and query of a request. Requests of some servers have a complete URL. */
export const targetOf = ({ originalUrl }: HttpServerRequest): string => originalUrl.replace(/^https?:\/\/[^/?#]*/i, "")
