/** Reads the session cookie of a request, and protects it: a browser adds the cookie also to requests of other sites. */
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import { constant } from "./constantErrors.ts"
import { crossSite, isOwnOrigin, isSafe } from "./crossSite.ts"
import { several, valuesInCookies } from "./credentialSource.ts"
import { authorizationOf, fieldOf } from "./effect/receivedRequest.ts"
import { isNavigation, targetOf } from "./navigation.ts"
import { InvalidRequest } from "./SecurityError.ts"

/**
 * Session cookie as a credential.
 *
 * **Details**
 *
 * A request with the cookie must come from the app's own pages. Otherwise, it fails with `InvalidRequest`:
 *
 * | request | required |
 * |---|---|
 * | opens a page in a tab (`GET`, `HEAD`) | nothing, because links of other sites may lead to a page |
 * | sends a form of a page | `Sec-Fetch-Site: same-origin`, or an `Origin` of the app |
 * | of a script, or unknown | the same, and the header `X-CSRF: 1`, also for `GET` |
 * | opens a WebSocket | an `Origin` of the app |
 * | has an `Authorization` header, too | the request is refused, because it has two credentials |
 *
 * The app's own origin is that of the `Host` header, in addition to `trustedOrigins`.
 *
 * @category models
 * @since 0.1.0
 */
export interface SessionCookie {
  /** The name of the cookie. Default: `"__Host-session"`. */
  readonly cookie?: string
  /**
   * The name of the header that scripts send with the value `1`. `false` relies on `Sec-Fetch-Site` and `Origin` alone,
   * which suits `EventSource`, images and documentation pages. Default: `"X-CSRF"`.
   */
  readonly csrfHeader?: string | false
  /** Other origins whose pages may send requests, such as `"https://app.example.com"`. Default: none. */
  readonly trustedOrigins?: ReadonlyArray<string>
  /**
   * The path of the login. If a browser opens a page without a session, the response is a redirect (303) to this path with
   * `return_to`. `false` responds with 401. Default: `"/login"`.
   */
  readonly login?: string | false
  /** Returns whether the route at a path is a page, so that the redirect makes sense. Default: every route. */
  readonly isPage?: (path: string) => boolean
}

/** A session cookie with all options. */
export interface SessionSource {
  /** The name of the credential in messages to operators. */
  readonly place: string
  readonly form: string
  readonly cookie: string
  /** Returns `undefined` if the request has no session cookie. Never throws. */
  readonly read: (request: HttpServerRequest) => string | InvalidRequest | undefined
  /** Returns the redirect to the login, if a browser opens a page. */
  readonly signIn: (request: HttpServerRequest) => HttpServerResponse.HttpServerResponse | undefined
}

export const defaultCookie = "__Host-session"

const noCsrfHeader = constant(new InvalidRequest({ reason: "CsrfHeader" }))

// RFC 6265 §4.1.1: cookie-octet. Browsers keep at most 4096 bytes.
const octets = /^[\x21\x23-\x2B\x2D-\x3A\x3C-\x5B\x5D-\x7E]{1,4096}$/

/** `hasBearer`: the scheme accepts a bearer token, too. */
export const make = (options: SessionCookie, hasBearer: boolean): SessionSource => {
  const { cookie = defaultCookie, csrfHeader = "X-CSRF", isPage = () => true, login = "/login" } = options
  const trusted = new Set(options.trustedOrigins ?? [])
  const header = csrfHeader === false ? undefined : csrfHeader.toLowerCase()

  const problemOf = (request: HttpServerRequest): InvalidRequest | undefined => {
    const site = fieldOf(request, "sec-fetch-site")
    const sent = fieldOf(request, "origin")
    // A page with the policy `no-referrer` sends `Origin: null`. No page can set Sec-Fetch-Site, so it decides alone.
    const origin = sent === "null" && site === "same-origin" ? undefined : sent
    const isOwn = origin !== undefined && isOwnOrigin(request, origin, trusted)
    // No preflight protects a WebSocket, and every browser sends the header.
    if (fieldOf(request, "upgrade") !== undefined) return isOwn ? undefined : crossSite
    const isPageRequest = isNavigation(request)
    if (isSafe(request) && isPageRequest) return
    const isTrusted = isOwn && trusted.has(origin)
    if (origin !== undefined && !isOwn) return crossSite
    if (site !== undefined && site !== "same-origin" && !isTrusted) return crossSite
    const isProven = isOwn || site === "same-origin"
    if (isProven && isPageRequest) return
    if (header === undefined) return isProven || isSafe(request) ? undefined : crossSite
    return fieldOf(request, header) === "1" ? undefined : noCsrfHeader
  }

  return {
    place: `cookie ${cookie}`,
    form: "the value of a session cookie",
    cookie,
    read: (request) => {
      const [value, ...others] = valuesInCookies(request, cookie)
      if (value === undefined) return
      if (others.length > 0 || (hasBearer && authorizationOf(request) !== undefined)) return several
      const problem = problemOf(request)
      if (problem !== undefined) return problem
      return octets.test(value) ? value : ""
    },
    signIn: (request) => {
      if (login === false || !(request.method === "GET" || request.method === "HEAD") || !isNavigation(request)) return
      const target = targetOf(request)
      const path = target.replace(/[?#].*$/s, "")
      // A login that requires a session would send the browser in circles.
      if (path === login || !isPage(path)) return
      // The login checks the address, too. A path that begins with two slashes names another host.
      const isReturnable = /^\/(?![/\\])[^\\\s]*$/.test(target) && target.length <= 2000
      const query = isReturnable ? `?return_to=${encodeURIComponent(target)}` : ""
      return HttpServerResponse.empty({
        status: 303,
        headers: { location: `${login}${query}`, "cache-control": "no-store", "referrer-policy": "no-referrer" }
      })
    }
  }
}
