/** What the page has to know of the document that it shows. */
import { field, type Json, membersOf } from "../json.ts"
import { ownProperties } from "../ownProperties.ts"
import { relative } from "./relative.ts"

const values = (value: unknown): ReadonlyArray<unknown> =>
  Array.isArray(value) ? value : Object.values(membersOf(value))

/**
 * The document as it is served at a path. Where it names no servers, its server is found from where the document is (OpenAPI 3.1, "Server Object"),
 * so that it is right behind a prefix that the program does not know.
 */
export const servedAt = (path: string, document: object): object => {
  const { servers, ...rest } = ownProperties(document as Json)
  return Array.isArray(servers) && servers.length > 0
    ? document
    : { ...rest, servers: [{ url: relative(path, "/").replace(/\/$/, "") }] }
}

/** The origins that a page needs to call for what the document says: its servers, and the endpoints of its security schemes. */
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

/** The scopes that a page can ask for; `undefined` where the issuer says, and not the document. */
export const scopes = (document: object): ReadonlyArray<string> | undefined => {
  const schemes = values(field(field(document, "components"), "securitySchemes"))
  const flows = schemes.flatMap((scheme) => values(field(scheme, "flows")))
  return flows.length === 0 || schemes.some((scheme) => field(scheme, "type") === "openIdConnect")
    ? undefined
    : Array.from(new Set(flows.flatMap((flow) => Object.keys(Object(field(flow, "scopes"))))))
}

/** The origins of those that are absolute. */
export const unique = (urls: ReadonlyArray<unknown>): ReadonlyArray<string> =>
  Array.from(new Set(urls.flatMap((url) => origin(url) ?? [])))

/** Of an absolute http URL, if a policy can name it: a URL's host may have a `;` or `{` in it, which would end or spoil the directive. */
export const origin = (url: unknown): string | undefined => {
  if (typeof url !== "string" || !URL.canParse(url)) return undefined
  const { origin } = new URL(url)
  return /^https?:\/\/[\w.-]+(?::\d+)?$/.test(origin) ? origin : undefined
}
