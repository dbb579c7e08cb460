/** Tells whether a request shows the headers that Node received, so that one header can be read from Node. */
import type { HttpServerRequest } from "effect/http/HttpServerRequest"

// Where a request's `headers` are first asked for, Effect makes an object of all fields, which takes as long as a decision. A request of Node's adapter that
// `modify` gave no other headers would have those of Node's own object, so that one is asked. Whatever else shows a request (a copy, one with a property of
// its own, a proxy) is asked for its `headers`.
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

/** Whether the objects of a prototype have the headers of their source, as long as they have no others: of the adapter's own, which `modify` them, too. */
const isOfAdapter = (prototype: object): boolean => {
  const known = adapters.get(prototype)
  if (known !== undefined) return known
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

// Where nobody can say, everything may be one.
const isProxy = (globalThis as Runtime).process?.getBuiltinModule?.("node:util")?.types.isProxy ?? (() => true)

/** The fields as they were received, name, value, name, value, …; `undefined` where the source of a request is not Node's. */
export const rawFields = (source: object): ReadonlyArray<unknown> | undefined => {
  const fields: unknown = hasRawHeaders(source) ? source.rawHeaders : undefined
  return Array.isArray(fields) ? fields : undefined
}

// A request of HTTP/1 has `rawHeaders` itself, one of HTTP/2 has them by its class. What every object inherits says nothing of a request.
const hasRawHeaders = (source: object): source is { readonly rawHeaders: unknown } => {
  let owner: object | null = source
  while (owner !== null && owner !== Object.prototype) {
    if (Object.hasOwn(owner, "rawHeaders")) return true
    owner = Object.getPrototypeOf(owner) as object | null
  }
  return false
}
