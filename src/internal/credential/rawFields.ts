/** The fields of a request as Node received them: name, value, name, value, … */

/** `undefined` for a request that is not one of Node's. */
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
