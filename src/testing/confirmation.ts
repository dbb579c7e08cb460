/** Writes the claim `cnf` of a bound token (RFC 7800). */
import * as Effect from "effect/Effect"
import * as Jose from "jose"
import { ownProperties } from "../core/lib/ownProperties.ts"
import type { MintOptions } from "./issuerModel.ts"
import { mistake } from "./lib/mistake.ts"

const pem = /^-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----/

const derOf = (certificate: Uint8Array<ArrayBuffer> | string): Effect.Effect<Uint8Array<ArrayBuffer>> => {
  if (typeof certificate !== "string") return Effect.succeed(certificate)
  const [, text] = pem.exec(certificate.trim()) ?? []
  return text === undefined
    ? mistake("boundTo received a certificate that is not in PEM. Pass the certificate in PEM, or its bytes in DER.")
    : Effect.sync(() => Uint8Array.from(atob(text.replaceAll(/\s/g, "")), (character) => character.charCodeAt(0)))
}

/** Returns the members, or `undefined` if the token is not bound. */
export const confirmationOf = (
  boundTo: MintOptions["boundTo"]
): Effect.Effect<Readonly<Record<string, string>> | undefined> => {
  const { certificate, jkt } = ownProperties(boundTo ?? {})
  const key = jkt === undefined ? {} : { jkt }
  if (certificate === undefined) return Effect.succeed(jkt === undefined ? undefined : key)
  return Effect.map(
    Effect.flatMap(derOf(certificate), (der) => Effect.promise(() => crypto.subtle.digest("SHA-256", der))),
    (hash) => ({ ...key, "x5t#S256": Jose.base64url.encode(new Uint8Array(hash)) })
  )
}
