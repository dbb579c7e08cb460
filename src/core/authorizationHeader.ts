/** Finds the bearer token in the `Authorization` field (RFC 6750 §2.1, RFC 9110 §11.4): the one place where it is read. */
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as Redacted from "effect/Redacted"
import { InvalidRequest, NotAuthenticated } from "./SecurityError.ts"
import { constant } from "./constantErrors.ts"
import { authorizationOf, hasSeveralAuthorizations } from "./effect/receivedRequest.ts"

// RFC 9110 §11.2: token68 = 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"=". To look for what is none of these is faster than to match all.
const notToken68 = /[^\w.~+/=-]/
const padding = /^[^=]+=*$/

// What FastAPI strips around the credentials, as far as a field value can hold it (fields are decoded as Latin-1).
const isSpace = (code: number): boolean =>
  code === 0x20 || (code >= 0x09 && code <= 0x0d) || (code >= 0x1c && code <= 0x1f) || code === 0x85 || code === 0xa0

// By index: a regular expression for the end of the string is tried at each of its spaces, which takes quadratic time.
const trim = (value: string, from: number): string => {
  let start = from
  let end = value.length
  while (start < end && isSpace(value.charCodeAt(start))) start++
  while (end > start && isSpace(value.charCodeAt(end - 1))) end--
  return value.slice(start, end)
}

export const noCredentials = constant(new NotAuthenticated({ reason: "NoCredentials" }))
const otherScheme = constant(new NotAuthenticated({ reason: "OtherScheme" }))
export const malformed = constant(new InvalidRequest({ reason: "Malformed" }))
const tooLong = constant(new InvalidRequest({ reason: "TooLong" }))
const severalCredentials = constant(new InvalidRequest({ reason: "SeveralCredentials" }))

type Refused = NotAuthenticated | InvalidRequest

/** What stands before the token in a field as clients write it. */
export const prefix = "Bearer "

/** What stands after `Bearer` in the value of an `Authorization` field, which may be no token yet; or why there is nothing. Total: no input throws. */
export const parse = (value: string): string | Refused => {
  if (value.startsWith(prefix)) return trim(value, prefix.length)
  if (value === "") return noCredentials
  const space = value.indexOf(" ")
  const scheme = space === -1 ? value : value.slice(0, space)
  if (scheme.length !== 6 || scheme.toLowerCase() !== "bearer") return otherScheme
  return space === -1 ? "" : trim(value, space + 1)
}

/** The value of the only `Authorization` field of a request, or why there is none to be read. */
export const presented = (request: HttpServerRequest, maxLength: number): string | Refused => {
  const value = authorizationOf(request)
  if (value === undefined) return noCredentials
  if (hasSeveralAuthorizations(request.source)) return severalCredentials
  // Of a bound that is no number none is shorter.
  return value.length <= maxLength ? value : tooLong
}

/** Whether what was presented is a bearer token, by its form. */
export const isToken = (presented: string): boolean =>
  !notToken68.test(presented) && (presented.includes("=") ? padding.test(presented) : presented !== "")

/** The bearer token of a request, or why there is none. */
export const fromRequest = (request: HttpServerRequest, maxLength: number): string | Refused => {
  const value = presented(request, maxLength)
  const text = typeof value === "string" ? parse(value) : value
  return typeof text !== "string" || isToken(text) ? text : malformed
}

/** A token as it travels through a program: it prints as `<redacted:access_token>`. */
export const redact = (token: string): Redacted.Redacted =>
  // Frozen, since all requests with a cached token get the same one.
  Object.freeze(Redacted.make(token, { label: "access_token" }))
