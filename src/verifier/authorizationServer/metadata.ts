/** Finds URLs in the metadata of an authorization server (OpenID Connect Discovery 1.0 §4, RFC 8414 §3). */
import * as Effect from "effect/Effect"
import type { Json } from "../../core/lib/json.ts"
import { nearness } from "../../core/nearness.ts"
import { isSecure, parseHttpUrl } from "../../core/url.ts"
import { Failure } from "./failure.ts"
import { readDocument, type Reader } from "./http.ts"

/** Statuses of an overloaded server, or of a gateway that cannot reach it. The document may be there. */
const overloaded: ReadonlySet<number> = new Set([429, 500, 502, 503, 504])

/** Advice for an `IssuerMismatch`. */
export const otherIssuer =
  "its metadata names another issuer. Set the issuer option to the exact string in the metadata, including a trailing slash"

/** Advice for metadata such as that of the tenants `organizations` and `common` of Microsoft Entra ID. */
const manyTenants =
  "its metadata is for many tenants. Name one tenant in the issuer option, or set tenants with JwtVerifier.layerKeySet and KeySet.layerRemote"

/**
 * Returns the URLs that may have the metadata, in the order of the requests:
 *
 * 1. OpenID Connect Discovery 1.0 §4 appends the well-known path to the issuer.
 * 2. RFC 8414 §3.1 inserts it before the issuer's path.
 * 3. RFC 8414 §5 also inserts the path of OpenID Connect.
 * 4. Some servers append the path of RFC 8414, as OpenID Connect does.
 */
const addressesOf = (issuer: URL): ReadonlyArray<URL> => {
  const path = issuer.pathname.replace(/\/$/, "")
  const openId = "/.well-known/openid-configuration"
  const oauth = "/.well-known/oauth-authorization-server"
  const inserted = path === "" ? [] : [openId + path, path + oauth]
  return [path + openId, oauth + path, ...inserted].map((pathname) => Object.assign(new URL(issuer), { pathname }))
}

/**
 * Returns `true` if the server responded, but not with metadata. Many servers respond to an unknown path
 * with a page or a redirect.
 */
export const isMissing = ({ reason, status }: Failure): boolean =>
  status === undefined ? reason === "BadResponse" : !overloaded.has(status)

const isNotFound = ({ status }: Failure): boolean => status === 404 || status === 410

/** Fetches the issuer's metadata and returns the URL with the given name. */
export const discover = (
  reader: Reader,
  issuer: URL,
  identifier: string,
  name: "jwks_uri" | "introspection_endpoint",
  httpHosts: ReadonlySet<string>
): Effect.Effect<URL, Failure> =>
  Effect.flatMap(readMetadata(reader, issuer, identifier, httpHosts), ({ urlOf }) => urlOf(name))

/** The metadata of an issuer, whose `issuer` is checked. */
export interface Metadata {
  readonly json: Json
  /**
   * Returns the URL with the given name, or fails if it is missing or must not be requested. `from` is an object in the
   * metadata that has the URL. Default: the metadata.
   */
  readonly urlOf: (name: string, from?: Json) => Effect.Effect<URL, Failure>
}

/** Fetches the metadata of an issuer. */
export const readMetadata = (
  reader: Reader,
  issuer: URL,
  identifier: string,
  httpHosts: ReadonlySet<string>
): Effect.Effect<Metadata, Failure> => {
  const metadataAt = (url: URL) =>
    Effect.flatMap(readDocument(reader, "metadata", url, "application/json"), ({ json }) => {
      const fail = (reason: Failure["reason"], detail?: string) =>
        Effect.fail(new Failure(reason, { detail }).of("metadata", url))
      // A response without an issuer is no metadata, but for example an error. Whatever path it comes from, its issuer
      // must be identical (RFC 8414 §3.3).
      return typeof json["issuer"] === "string"
        ? Effect.succeed({ json, fail })
        : fail("BadResponse", "it has no issuer")
    })
  const [first, ...others] = addressesOf(issuer)
  if (first === undefined) return Effect.fail(new Failure("BadResponse"))
  return others
    .reduce(
      (found, url) =>
        Effect.catch(found, (before) =>
          isMissing(before)
            ? // Report the response that says more than that nothing is there.
              Effect.mapError(metadataAt(url), (after) =>
                isMissing(after) && (!isNotFound(before) || isNotFound(after)) ? before : after
              )
            : Effect.fail(before)
        ),
      metadataAt(first)
    )
    .pipe(
      Effect.flatMap(({ fail, json }): Effect.Effect<Metadata, Failure> => {
        const named = json["issuer"]
        return named === identifier
          ? Effect.succeed({ json, urlOf: (name, from = json) => urlIn(from, name, issuer, httpHosts, fail) })
          : fail("IssuerMismatch", typeof named === "string" && named.includes("{tenantid}") ? manyTenants : undefined)
      })
    )
}

/** Takes metadata that a program has already. Its URLs are checked as if the issuer had sent them. */
export const givenMetadata = (json: Json, issuer: URL, httpHosts: ReadonlySet<string>): Metadata => ({
  json,
  urlOf: (name) =>
    urlIn(json, name, issuer, httpHosts, (reason, detail) => Effect.fail(new Failure(reason, { detail })))
})

const urlIn = (
  json: Json,
  name: string,
  issuer: URL,
  httpHosts: ReadonlySet<string>,
  fail: (reason: Failure["reason"], detail?: string) => Effect.Effect<never, Failure>
): Effect.Effect<URL, Failure> => {
  const value = json[name]
  if (typeof value !== "string") return fail("BadResponse", `it has no ${name}`)
  const url = parseHttpUrl(value)
  if (url === undefined) return fail("BadResponse", `its ${name} is not a valid URL`)
  // Server-side request forgery: a remote issuer must not direct requests to this machine, to the cloud's
  // metadata service, or to an unencrypted URL.
  const isAllowedHttp = issuer.protocol === "http:" || httpHosts.has(url.host)
  if (!isSecure(url, httpHosts) || (url.protocol === "http:" && !isAllowedHttp)) {
    return fail("BadResponse", `its ${name} is ${url.protocol.slice(0, -1)}, not https`)
  }
  return nearness(url) <= nearness(issuer)
    ? Effect.succeed(url)
    : fail("BadResponse", `its ${name} is on this machine or its link, and the issuer is not`)
}
