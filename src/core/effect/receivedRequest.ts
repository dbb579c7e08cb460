/** Reads the `Authorization` header of a request, and avoids Effect's copy of all headers if possible. */
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import { hasOwnOrOfClass } from "../lib/ownProperties.ts"

/** Returns the value of the `Authorization` header. If there are several, Node returns the first. */
export const authorizationOf = (request: HttpServerRequest): string | undefined => {
  const headers = isAsReceived(request) ? request.source.headers : request.headers
  // Prototype pollution: Node's `headers` inherit from `Object.prototype`.
  const value = isInherited(headers, "authorization") ? undefined : headers["authorization"]
  return typeof value === "string" ? value : undefined
}

/**
 * Returns the value of any header, whose `name` is in lower case. Node joins the values of most repeated headers. The
 * host is that of Effect's headers, because the authority of an HTTP/2 request takes precedence over its `Host` header.
 */
export const fieldOf = (request: HttpServerRequest, name: string): string | undefined => {
  const headers = name !== "host" && isAsReceived(request) ? request.source.headers : request.headers
  const value = isInherited(headers, name) ? undefined : headers[name]
  return typeof value === "string" ? value : undefined
}

/**
 * Returns the request target as it was received: a path, or an absolute URL. Node's adapter puts the `Host` header into
 * `originalUrl`, and a router removes its prefix from `url`, so the target is read from the source.
 */
export const targetOf = (request: HttpServerRequest): string => {
  const { source } = request
  const url: unknown = "url" in source && !isInherited(source, "url") ? source.url : undefined
  return typeof url === "string" ? url : request.originalUrl
}

/** Returns how often a Node request has a header, whose `name` is in lower case. Returns 0 for other sources. */
export const countFields = (source: object, name: string): number =>
  (rawFields(source) ?? []).filter(
    (field, i) => i % 2 === 0 && typeof field === "string" && field.toLowerCase() === name
  ).length

/**
 * Returns `true` if a request has several `Authorization` headers. Node's `headers` has only the first, and
 * `rawHeaders` has all. A web-standard `Request` joins them with a comma, which no token may contain.
 */
export const hasSeveralAuthorizations = (source: object): boolean => {
  const fields = rawFields(source) ?? []
  let count = 0
  for (let i = 0; i < fields.length; i += 2) {
    if (isAuthorization(fields[i])) count++
  }
  return count > 1
}

// Compares the two usual spellings first, because a lower-case copy takes longer.
const isAuthorization = (name: unknown): boolean =>
  name === "Authorization" ||
  name === "authorization" ||
  (typeof name === "string" && name.length === 13 && name.toLowerCase() === "authorization")

/**
 * Returns `true` if the headers of a request can be read from Node's own object. The first read of Effect's `headers`
 * copies all headers, which takes as long as a decision. Some requests must be read through `headers`: the result of
 * `modify`, a copy, a request with its own `headers` property, and a proxy.
 */
export const isAsReceived = (
  request: HttpServerRequest & { readonly headersOverride?: unknown }
): request is HttpServerRequest & { readonly source: { readonly headers: Readonly<Record<string, unknown>> } } =>
  request.headersOverride === undefined &&
  Object.hasOwn(request, "headersOverride") &&
  !Object.hasOwn(request, "headers") &&
  isOfAdapter(Object.getPrototypeOf(request)) &&
  !isProxy(request) &&
  rawFields(request.source) !== undefined

const adapters = new WeakMap<object, boolean>()

/**
 * Returns `true` if requests with this prototype return the headers of their source, as those of Effect's Node adapter
 * do.
 */
const isOfAdapter = (prototype: object): boolean => {
  const isAdapter = adapters.get(prototype)
  if (isAdapter !== undefined) return isAdapter
  const is = Object.hasOwn(prototype, "modify") && Object.hasOwn(prototype, "headers") && showsSource(prototype)
  adapters.set(prototype, is)
  return is
}

const showsSource = (prototype: object): boolean => {
  const source = { value: { headers: { authorization: "sample" } } }
  const sample = Object.create(prototype, { source }) as { readonly headers?: Readonly<Record<string, unknown>> }
  try {
    return sample.headers?.["authorization"] === "sample"
  } catch {
    return false
  }
}

interface Runtime {
  readonly process?: {
    readonly getBuiltinModule?: (
      name: "node:util"
    ) => { readonly types: { readonly isProxy: (value: object) => boolean } } | undefined
  }
}

// If the runtime cannot detect proxies, every request may be a proxy.
const isProxy = (globalThis as Runtime).process?.getBuiltinModule?.("node:util")?.types.isProxy ?? (() => true)

/**
 * Returns the headers as Node received them: name, value, name, value. Returns `undefined` if the source is not a Node
 * request.
 */
export const rawFields = (source: object): ReadonlyArray<unknown> | undefined => {
  const fields: unknown = "rawHeaders" in source && !isInherited(source, "rawHeaders") ? source.rawHeaders : undefined
  return Array.isArray(fields) ? fields : undefined
}

/**
 * Returns `true` if an object has a member only from `Object.prototype`. An HTTP/1 request has its own `rawHeaders`,
 * and an HTTP/2 request inherits a getter from its class. Checks `Object.prototype` first, because it is hardly ever
 * polluted: this takes 90 ns less per request.
 */
const isInherited = (of: object, name: string): boolean => name in Object.prototype && !hasOwnOrOfClass(of, name)
