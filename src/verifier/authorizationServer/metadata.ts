/** What an authorization server says of itself (OpenID Connect Discovery 1.0 §4, RFC 8414 §3). */
import * as Effect from "effect/Effect"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import { nearness } from "../../core/nearness.ts"
import { requireSecureUrl } from "../../core/url.ts"
import { parse, type Reader, type Status, type Unavailable } from "./http.ts"

/** How servers, and the gateways before them, answer for what they do not have. */
const notThere: ReadonlySet<number> = new Set([400, 403, 404, 405, 410])

/** What to do about an `IssuerMismatch`. */
export const otherIssuer =
  "its metadata names another issuer. issuer is compared as an exact string, to the slash at the end; write what the metadata says"

/** The URL that the metadata of an issuer has under this name. */
export const discover = (
  reader: Reader,
  issuer: URL,
  identifier: string,
  name: "jwks_uri" | "introspection_endpoint"
): Effect.Effect<URL, Unavailable | Status> => {
  const path = issuer.pathname.replace(/\/$/, "")
  // OpenID Connect Discovery appends the well-known path to the issuer; RFC 8414 §3.1 inserts it before the issuer's path.
  const metadataAt = (pathname: string) =>
    reader(HttpClientRequest.get(Object.assign(new URL(issuer), { pathname }), { acceptJson: true }))
  return metadataAt(`${path}/.well-known/openid-configuration`).pipe(
    Effect.catch((reason) =>
      typeof reason === "object" && notThere.has(reason.status)
        ? metadataAt(`/.well-known/oauth-authorization-server${path}`)
        : Effect.fail(reason)
    ),
    Effect.flatMap(parse),
    Effect.flatMap(({ issuer, [name]: url }): Effect.Effect<URL, Unavailable> => {
      if (typeof issuer !== "string" || typeof url !== "string") return Effect.fail("BadResponse")
      // RFC 8414 §3.3: exactly the issuer that was asked for, or else nothing of it is used.
      if (issuer !== identifier) return Effect.fail("IssuerMismatch")
      return Effect.mapError(requireSecureUrl(name, url), () => "BadResponse")
    }),
    // An issuer on the network cannot send its reader to a port of this machine, nor to the metadata service of this
    // machine's cloud, nor where nothing is encrypted.
    Effect.filterOrFail(
      (url) => (url.protocol === "https:" || issuer.protocol === "http:") && nearness(url) <= nearness(issuer),
      (): Unavailable => "BadResponse"
    )
  )
}
