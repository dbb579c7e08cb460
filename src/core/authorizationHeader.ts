/** Finds the bearer token in the `Authorization` header (RFC 6750 §2.1, RFC 9110 §11.4). */
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as Redacted from "effect/Redacted"
import { InvalidRequest, NotAuthenticated } from "./SecurityError.ts"
import { constant } from "./constantErrors.ts"
import { authorizationOf, hasSeveralAuthorizations } from "./effect/receivedRequest.ts"

// RFC 9110 §11.2: token68 = 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"=". Searching for any other
// character is faster than matching all.
const notToken68 = /[^\w.~+/=-]/
const padding = /^[^=]+=*$/

// FastAPI strips these characters at both ends of the credentials. The list has only characters of Latin-1, because
// headers are decoded as Latin-1.
const isSpace = (code: number): boolean =>
  code === 0x20 || (code >= 0x09 && code <= 0x0d) || (code >= 0x1c && code <= 0x1f) || code === 0x85 || code === 0xa0

// By index, because a regular expression for the end of the string takes quadratic time: it is tried at each space.
const trim = (value: string, from: number): string => {
  let start = from
  let end = value.length
  while (start < end && isSpace(value.charCodeAt(start))) start++
  while (end > start && isSpace(value.charCodeAt(end - 1))) end--
  return value.slice(start, end)
}

export const noCredentials = constant(new NotAuthenticated({ reason: "NoCredentials" }))
export const otherScheme = constant(new NotAuthenticated({ reason: "OtherScheme" }))
export const malformed = constant(new InvalidRequest({ reason: "Malformed" }))
export const tooLong = constant(new InvalidRequest({ reason: "TooLong" }))
export const severalCredentials = constant(new InvalidRequest({ reason: "SeveralCredentials" }))

type CredentialError = NotAuthenticated | InvalidRequest

/** The usual text before the token in the header. */
export const prefix = "Bearer "

/** The usual text before a token that is bound to a key (RFC 9449 §7.1). */
export const boundPrefix = "DPoP "

/**
 * Returns the text after the scheme, which may not be a token, or the reason why there is none. `usual` is the scheme
 * and a space. Never throws.
 */
export const parse = (value: string, usual: string = prefix): string | CredentialError => {
  if (value.startsWith(usual)) return trim(value, usual.length)
  if (value === "") return noCredentials
  const space = value.indexOf(" ")
  const scheme = space === -1 ? value : value.slice(0, space)
  if (scheme.length !== usual.length - 1 || `${scheme.toLowerCase()} ` !== usual.toLowerCase()) return otherScheme
  return space === -1 ? "" : trim(value, space + 1)
}

/** Returns `true` if the credentials of a request have the scheme `DPoP`. */
export const usesDpop = (request: HttpServerRequest): boolean =>
  typeof parse(authorizationOf(request) ?? "", boundPrefix) === "string"

/** Returns the value of the only `Authorization` header of a request, or the reason why it is refused. */
export const presented = (request: HttpServerRequest, maxLength: number): string | CredentialError => {
  const value = authorizationOf(request)
  if (value === undefined) return noCredentials
  if (hasSeveralAuthorizations(request.source)) return severalCredentials
  // If `maxLength` is NaN, the comparison is false and the header is refused.
  return value.length <= maxLength ? value : tooLong
}

/** Returns `true` if a text has the form of a bearer token. */
export const isToken = (presented: string): boolean =>
  !notToken68.test(presented) && (presented.includes("=") ? padding.test(presented) : presented !== "")

/**
 * Returns the reason why a text is not a token. A web-standard `Request` joins several `Authorization` headers with a
 * comma.
 */
export const malformedOf = (presented: string): InvalidRequest =>
  /,\s*(?:bearer|dpop)\s/i.test(presented) ? severalCredentials : malformed

/** Returns the bearer token of a request, or the reason why there is none. */
export const fromRequest = (request: HttpServerRequest, maxLength: number): string | CredentialError =>
  tokenIn(presented(request, maxLength))

/** Returns the token of a request, which is a bearer token or a token with the scheme `DPoP`. */
export const fromRequestWithProof = (request: HttpServerRequest, maxLength: number): string | CredentialError => {
  const value = presented(request, maxLength)
  if (typeof value !== "string") return value
  const bound = parse(value, boundPrefix)
  if (typeof bound !== "string") return tokenIn(value)
  return isToken(bound) ? bound : malformedOf(bound)
}

/** Returns the bearer token in headers that are not those of a request, or the reason why there is none. */
export const fromHeaders = (
  headers: Readonly<Record<string, unknown>>,
  maxLength: number
): string | CredentialError => {
  const values = Object.entries(headers)
    .filter(([name]) => name.toLowerCase() === "authorization")
    .flatMap(([, value]) => value)
    .filter((value) => value !== undefined)
  const [value] = values
  if (value === undefined) return noCredentials
  if (values.length > 1) return severalCredentials
  if (typeof value !== "string") return malformed
  // If `maxLength` is NaN, the comparison is false and the header is refused.
  return tokenIn(value.length <= maxLength ? value : tooLong)
}

const tokenIn = (value: string | CredentialError): string | CredentialError => {
  const text = typeof value === "string" ? parse(value) : value
  return typeof text !== "string" || isToken(text) ? text : malformed
}

/** Makes the redacted token that a program gets. The token prints as `<redacted:access_token>`. */
export const redact = (token: string): Redacted.Redacted =>
  // Frozen, since all requests with a cached token get the same one.
  Object.freeze(Redacted.make(token, { label: "access_token" }))
