/** Reads servers, origins and scopes from the document that the page shows. */
import { field, type Json, membersOf } from "../core/lib/json.ts"
import { ownProperties } from "../core/lib/ownProperties.ts"
import { relative } from "./relative.ts"

// What a document means that has no servers.
const defaultServers = JSON.stringify([{ url: "/" }])

const values = (value: unknown): ReadonlyArray<unknown> =>
  Array.isArray(value) ? value : Object.values(membersOf(value))

/**
 * Adds a server URL relative to the document's path if the document has only the default server (OpenAPI 3.1, "Server
 * Object").
 *
 * A relative URL stays correct behind a prefix that the program cannot see.
 */
export const servedAt = (path: string, document: object): object => {
  const { servers, ...rest } = ownProperties(document as Json)
  return Array.isArray(servers) && servers.length > 0 && JSON.stringify(servers) !== defaultServers
    ? document
    : { ...rest, servers: [{ url: relative(path, "/").replace(/\/$/, "") }] }
}

/** Returns the origins of the document's servers and of the endpoints of its security schemes. */
export const origins = (document: object): ReadonlyArray<string> => {
  const operations = values(field(document, "paths")).flatMap((item) => [item, ...values(item)])
  const servers = [document, ...operations].flatMap((at) => values(field(at, "servers")))
  const schemes = values(field(field(document, "components"), "securitySchemes"))
  const flows = schemes.flatMap((scheme) => values(field(scheme, "flows")))
  return unique([
    ...servers.map((server) => field(server, "url")),
    ...flows.flatMap((flow) => [field(flow, "tokenUrl"), field(flow, "refreshUrl")]),
    ...schemes.map((scheme) => field(scheme, "openIdConnectUrl"))
  ])
}

/** Returns the declared scopes, or `undefined` if the document does not list them, as for OpenID Connect. */
export const scopes = (document: object): ReadonlyArray<string> | undefined => {
  const schemes = values(field(field(document, "components"), "securitySchemes"))
  const flows = schemes.flatMap((scheme) => values(field(scheme, "flows")))
  return flows.length === 0 || schemes.some((scheme) => field(scheme, "type") === "openIdConnect")
    ? undefined
    : Array.from(new Set(flows.flatMap((flow) => Object.keys(Object(field(flow, "scopes"))))))
}

/** Returns what is wrong with preselected scopes: the first that no scheme declares. `undefined` if each is declared. */
export const undeclared = (
  document: object,
  preselected: ReadonlyArray<string> = []
): { readonly scope: string; readonly instead: string } | undefined => {
  const declared = scopes(document)
  const scope = preselected.find((scope) => declared?.includes(scope) === false)
  return scope === undefined ? undefined : { scope: JSON.stringify(scope), instead: declared?.join(", ") ?? "" }
}

/** Returns the distinct origins of the absolute URLs. */
export const unique = (urls: ReadonlyArray<unknown>): ReadonlyArray<string> =>
  Array.from(new Set(urls.flatMap((url) => origin(url) ?? [])))

/**
 * Returns the origin of an absolute HTTP URL that a Content-Security-Policy can name.
 *
 * A host may contain `;`, which would end the directive and let a document add its own.
 */
export const origin = (url: unknown): string | undefined => {
  if (typeof url !== "string" || !URL.canParse(url)) return undefined
  const { origin } = new URL(url)
  return /^https?:\/\/[\w.-]+(?::\d+)?$/.test(origin) ? origin : undefined
}
