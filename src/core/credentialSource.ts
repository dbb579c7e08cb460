/** Reads credentials that are not bearer tokens: API keys, and user names with passwords. */
import * as Cookies from "effect/http/Cookies"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as authorizationHeader from "./authorizationHeader.ts"
import { constant } from "./constantErrors.ts"
import { crossSite, isCrossSite } from "./crossSite.ts"
import { countFields, fieldOf } from "./effect/receivedRequest.ts"
import { InvalidRequest, type NotAuthenticated } from "./SecurityError.ts"

/** The place of a scheme's credential in a request. */
export interface CredentialSource {
  /** The name of the place in messages to operators, such as `cookie session`. */
  readonly place: string
  /** The name of the header in lower case, if a message of a connection may set the credential. */
  readonly header?: string
  /** The form of a credential in messages to operators. */
  readonly form: string
  /** Returns the credential, or the reason why there is none. Never throws. */
  readonly read: (request: HttpServerRequest, maxLength: number) => string | NotAuthenticated | InvalidRequest
}

/** The place of an API key in a request (OpenAPI, "Security Scheme Object"). */
export type ApiKeyPlace = "header" | "query" | "cookie"

const tooLong = constant(new InvalidRequest({ reason: "TooLong" }))
export const several = constant(new InvalidRequest({ reason: "SeveralCredentials" }))

// Visible ASCII characters without a comma. Servers join repeated header fields with a comma (RFC 9110 §5.3).
const key = /^[\x21-\x2B\x2D-\x7E]+$/

const judge = (values: ReadonlyArray<string>, maxLength: number): string | NotAuthenticated | InvalidRequest => {
  const [value = "", ...others] = values
  if (others.length > 0) return several
  if (value === "") return authorizationHeader.noCredentials
  // If `maxLength` is NaN, the comparison is false and the key is refused.
  if (!(value.length <= maxLength)) return tooLong
  return key.test(value) ? value : authorizationHeader.malformed
}

const valuesInHeader = (request: HttpServerRequest, name: string): ReadonlyArray<string> => {
  const value = fieldOf(request, name)
  if (value === undefined) return []
  return countFields(request.source, name) > 1 ? [value, value] : [value]
}

const valuesInQuery = (request: HttpServerRequest, name: string): ReadonlyArray<string> => {
  const start = request.originalUrl.indexOf("?")
  return start === -1 ? [] : new URLSearchParams(request.originalUrl.slice(start)).getAll(name)
}

export const valuesInCookies = (request: HttpServerRequest, name: string): ReadonlyArray<string> => {
  const header = fieldOf(request, "cookie")
  if (header === undefined) return []
  // A subdomain or an http page can set a second cookie of the same name, and nothing tells the two apart.
  return header.split(";").flatMap((pair) => {
    const cookies = Cookies.parseHeader(pair)
    return Object.hasOwn(cookies, name) ? [cookies[name] ?? ""] : []
  })
}

/** Reads an API key. A key in a cookie is refused if another site has sent the request. */
export const apiKey = (place: ApiKeyPlace, name: string, trustedOrigins: ReadonlySet<string>): CredentialSource => {
  const form = "visible ASCII characters without a comma"
  const field = name.toLowerCase()
  switch (place) {
    case "header":
      return {
        place: `${name} header`,
        header: field,
        form,
        read: (request, maxLength) => judge(valuesInHeader(request, field), maxLength)
      }
    case "query":
      return {
        place: `query parameter ${name}`,
        form,
        read: (request, maxLength) => judge(valuesInQuery(request, name), maxLength)
      }
    case "cookie":
      return {
        place: `cookie ${name}`,
        form,
        read: (request, maxLength) => {
          const found = judge(valuesInCookies(request, name), maxLength)
          return typeof found === "string" && isCrossSite(request, trustedOrigins) ? crossSite : found
        }
      }
  }
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

// RFC 7617 §2: neither the user name nor the password contains control characters.
const isUserPass = (text: string): boolean => text.includes(":") && !/\p{Cc}/u.test(text)

// RFC 4648 §4. `atob` also accepts white space and missing padding.
const base64 =
  /^(?:[A-Za-z0-9+/]{4})+(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$|^[A-Za-z0-9+/]{2}==$|^[A-Za-z0-9+/]{3}=$/

const decodeUserPass = (credentials: string): string | undefined => {
  if (!base64.test(credentials)) return
  try {
    const text = utf8.decode(Uint8Array.from(atob(credentials), (character) => character.charCodeAt(0)))
    return isUserPass(text) ? text : undefined
  } catch {
    return
  }
}

/** Reads `user:password` from the credentials of the scheme `Basic` (RFC 7617). */
export const basic: CredentialSource = {
  place: "Authorization header",
  header: "authorization",
  form: "Basic, a space, and user:password in base64",
  read: (request, maxLength) => {
    const header = authorizationHeader.presented(request, maxLength)
    if (typeof header !== "string") return header
    const credentials = authorizationHeader.parse(header, "Basic ")
    if (typeof credentials !== "string") return credentials
    return decodeUserPass(credentials) ?? authorizationHeader.malformed
  }
}
