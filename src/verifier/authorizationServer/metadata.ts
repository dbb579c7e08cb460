/** Finds URLs in the metadata of an authorization server (OpenID Connect Discovery 1.0 §4, RFC 8414 §3). */
import * as Effect from "effect/Effect"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import { nearness } from "../../core/nearness.ts"
import { requireSecureUrl } from "../../core/url.ts"
import { parse, type Reader, type Status, type Unavailable } from "./http.ts"

/** Statuses that servers and gateways use for a missing document. */
const missingStatuses: ReadonlySet<number> = new Set([400, 403, 404, 405, 410])

/** Advice for an `IssuerMismatch`. */
export const otherIssuer =
  "its metadata names another issuer. Set the issuer option to the exact string in the metadata, including a trailing slash"

/** Fetches the issuer's metadata and returns the URL with the given name. */
export const discover = (
  reader: Reader,
  issuer: URL,
  identifier: string,
  name: "jwks_uri" | "introspection_endpoint"
): Effect.Effect<URL, Unavailable | Status> => {
  const path = issuer.pathname.replace(/\/$/, "")
  // OpenID Connect Discovery appends the well-known path to the issuer. RFC 8414 §3.1 inserts it before the issuer's
  // path.
  const metadataAt = (pathname: string) =>
    reader(HttpClientRequest.get(Object.assign(new URL(issuer), { pathname }), { acceptJson: true }))
  return metadataAt(`${path}/.well-known/openid-configuration`).pipe(
    Effect.catch((reason) =>
      typeof reason === "object" && missingStatuses.has(reason.status)
        ? metadataAt(`/.well-known/oauth-authorization-server${path}`)
        : Effect.fail(reason)
    ),
    Effect.flatMap(parse),
    Effect.flatMap(({ issuer, [name]: url }): Effect.Effect<URL, Unavailable> => {
      if (typeof issuer !== "string" || typeof url !== "string") return Effect.fail("BadResponse")
      // The metadata must not be used unless its issuer is identical (RFC 8414 §3.3).
      if (issuer !== identifier) return Effect.fail("IssuerMismatch")
      return Effect.mapError(requireSecureUrl(name, url), () => "BadResponse")
    }),
    // Server-side request forgery: a remote issuer must not direct requests to this machine, to the cloud's metadata
    // service, or to an unencrypted URL.
    Effect.filterOrFail(
      (url) => (url.protocol === "https:" || issuer.protocol === "http:") && nearness(url) <= nearness(issuer),
      (): Unavailable => "BadResponse"
    )
  )
}
