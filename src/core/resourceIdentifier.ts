/** Validates resource identifiers (RFC 9728 §1.2), and derives the URL of the resource's metadata. */
import { isSecure, parseHttpUrl } from "./url.ts"

/** The path that is inserted between the host and the path of an identifier (RFC 9728 §3). */
export const wellKnown = "/.well-known/oauth-protected-resource"

interface Parts {
  readonly origin: string
  readonly path: string
  /** With its question mark, or empty. */
  readonly query: string
}

// The parts are substrings. `URL` would normalize them, and clients compare identifiers code point by code point.
const partsOf = (resource: string): Parts | undefined => {
  const parts = /^(https?:\/\/[^/?#]+)([^?#]*)(\?[^#]*)?$/.exec(resource)
  return parts === null ? undefined : { origin: parts[1] ?? "", path: parts[2] ?? "", query: parts[3] ?? "" }
}

const noHosts: ReadonlySet<string> = new Set()

/** Returns what is wrong with an identifier, as the end of a sentence whose subject is the name of the option. */
export const problemOf = (resource: unknown): string | undefined => {
  const parts = typeof resource === "string" ? partsOf(resource) : undefined
  const url = typeof resource === "string" ? parseHttpUrl(resource) : undefined
  if (parts === undefined || url === undefined || !isSecure(url, noHosts) || !/^[\x21-\x7E]*$/.test(parts.origin)) {
    return "must be an https URL (http only on loopback) without credentials, fragment and white space, such as https://api.example.com/mcp"
  }
  if (parts.path.includes("/.well-known/oauth-protected-resource")) {
    return "must be the identifier of the API, not the URL of its metadata. Remove /.well-known/oauth-protected-resource"
  }
  // Clients resolve dot segments, and `HttpRouter` does not tell the other characters apart.
  if (!/^[\w.~!$&'()+,=:@/-]*$/.test(parts.path) || url.pathname !== (parts.path || "/") || parts.path.includes("//")) {
    return "must have a path of ASCII characters without %, *, ;, empty segments and dot segments, such as /mcp"
  }
  return /^[\w.~!$&'()*+,;=:@/?%-]*$/.test(parts.query)
    ? undefined
    : "must have a query of the characters that RFC 3986 allows"
}

/** Returns the URL of the metadata of a valid identifier: its path and query follow the well-known path. */
export const metadataUrl = (resource: string): string => {
  const { origin, path, query } = partsOf(resource) ?? { origin: "", path: "", query: "" }
  // RFC 9728 §3.1: a slash that directly follows the host is removed.
  return `${origin}${wellKnown}${path === "/" ? "" : path}${query}`
}

/** Returns the path and the query with which clients request the metadata. */
export const metadataPath = (resource: string): Pick<Parts, "path" | "query"> => {
  const { path, query } = partsOf(resource) ?? { path: "", query: "" }
  return { path: `${wellKnown}${path === "/" ? "" : path}`, query }
}
