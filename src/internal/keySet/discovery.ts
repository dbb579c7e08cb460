/** Where an issuer's key set is (OpenID Connect Discovery 1.0 §4, RFC 8414 §3), and the set itself. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { requireSecureUrl } from "../url.ts"
import { type Bounds, freshFor } from "./cacheControl.ts"
import type { Reader, Unavailable } from "./http.ts"

const Metadata = Schema.Struct({ issuer: Schema.String, jwks_uri: Schema.String })
const JwkSet = Schema.Struct({ keys: Schema.Array(Schema.Unknown) })

export interface Published {
  readonly keys: ReadonlyArray<unknown>
  /** In milliseconds. */
  readonly freshFor: number
}

const absentIsBad = (reason: Unavailable | "NotFound"): Unavailable => (reason === "NotFound" ? "BadResponse" : reason)

/** The key set at a URL. */
export const fetchKeys = (reader: Reader, url: URL, bounds: Bounds): Effect.Effect<Published, Unavailable> =>
  reader.json(JwkSet, url).pipe(
    Effect.map(({ headers, value }) => ({ keys: value.keys, freshFor: freshFor(headers, bounds) })),
    Effect.mapError(absentIsBad)
  )

/** The URL of the key set of an issuer. */
export const discover = (reader: Reader, issuer: URL, identifier: string): Effect.Effect<URL, Unavailable> => {
  const path = issuer.pathname.replace(/\/$/, "")
  // OpenID Connect Discovery appends the well-known path to the issuer; RFC 8414 §3.1 inserts it before the issuer's path.
  const at = (pathname: string): URL => Object.assign(new URL(issuer), { pathname })
  const openId = at(`${path}/.well-known/openid-configuration`)
  const oauth = at(`/.well-known/oauth-authorization-server${path}`)
  return reader.json(Metadata, openId).pipe(
    Effect.catch((reason) => (reason === "NotFound" ? reader.json(Metadata, oauth) : Effect.fail(reason))),
    Effect.mapError(absentIsBad),
    Effect.map(({ value }) => value),
    // RFC 8414 §3.3: exactly the issuer that was asked for, or else nothing of it is used.
    Effect.filterOrFail(
      (metadata) => metadata.issuer === identifier,
      (): Unavailable => "IssuerMismatch"
    ),
    Effect.flatMap((metadata) =>
      Effect.mapError(requireSecureUrl("jwks_uri", metadata.jwks_uri), (): Unavailable => "BadResponse")
    ),
    // An issuer on the network cannot send its reader to a port of this machine.
    Effect.filterOrFail(
      (url) => url.protocol === "https:" || issuer.protocol === "http:",
      (): Unavailable => "BadResponse"
    )
  )
}
