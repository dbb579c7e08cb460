/** Names and attributes of the cookies. */
import type * as Duration from "effect/Duration"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"

export interface Cookies {
  /** Name of the session's cookie. */
  readonly session: string
  /** Beginning of the names of attempts. */
  readonly attempt: string
  /** Name of the cookie of a logout at the issuer. */
  readonly logout: string
  /** Adds a cookie to a response. */
  readonly set: (
    response: HttpServerResponse.HttpServerResponse,
    name: string,
    value: string,
    options?: { readonly maxAge?: Duration.Input | undefined; readonly sameSite?: "lax" | "none" | undefined }
  ) => HttpServerResponse.HttpServerResponse
  /** Tells the browser to remove a cookie. */
  readonly expire: (
    response: HttpServerResponse.HttpServerResponse,
    name: string
  ) => HttpServerResponse.HttpServerResponse
}

/**
 * `isSecure` adds the prefix `__Host-`: browsers then accept the cookie only over https, from this host, and for all
 * paths, so no other host and no path can plant one.
 */
export const make = (name: string, isSecure: boolean): Cookies => {
  const prefix = isSecure ? "__Host-" : ""
  const attributes = { path: "/", httpOnly: true, secure: isSecure } as const
  return {
    session: `${prefix}${name}`,
    attempt: `${prefix}${name}.login.`,
    logout: `${prefix}${name}.logout`,
    set: (response, cookie, value, { maxAge, sameSite = "lax" } = {}) =>
      HttpServerResponse.setCookieUnsafe(response, cookie, value, {
        ...attributes,
        // Browsers refuse `None` without https. Lax is not sent with the request of a provider's page.
        sameSite: isSecure ? sameSite : "lax",
        ...(maxAge !== undefined && { maxAge })
      }),
    expire: (response, cookie) =>
      HttpServerResponse.expireCookieUnsafe(response, cookie, { ...attributes, sameSite: "lax" })
  }
}

export const valueOf = ({ cookies }: HttpServerRequest, name: string): string | undefined =>
  Object.hasOwn(cookies, name) ? cookies[name] : undefined
