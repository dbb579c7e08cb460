/** Turns the data of a session into JSON and back. */
import * as Redacted from "effect/Redacted"
import { ownProperties } from "../../core/lib/ownProperties.ts"
import type { SessionData } from "./model.ts"

const tokens = ["accessToken", "refreshToken", "idToken"] as const

/** Returns the data as JSON with the tokens in plain text, to be encrypted at once. */
export const toJson = (data: SessionData): unknown => ({
  ...data,
  ...Object.fromEntries(tokens.map((name) => [name, data[name] && Redacted.value(data[name])]))
})

/** Reads what `toJson` wrote. The text was authenticated, so its form is known. */
export const fromJson = (json: unknown): SessionData => {
  // JSON leaves out what is undefined, and an inherited property must not take its place.
  const stored = ownProperties(json as Readonly<Record<keyof SessionData, unknown>>)
  const redacted = (name: (typeof tokens)[number]) => {
    const value = stored[name]
    return typeof value === "string" ? Redacted.make(value) : undefined
  }
  // JSON has no `undefined`, so each field is named.
  return {
    issuer: stored.issuer,
    subject: stored.subject,
    sessionId: stored.sessionId,
    clientId: stored.clientId,
    claims: stored.claims,
    scopes: stored.scopes,
    accessToken: redacted("accessToken"),
    accessTokenExpiresAt: stored.accessTokenExpiresAt,
    refreshToken: redacted("refreshToken"),
    idToken: redacted("idToken"),
    authenticatedAt: stored.authenticatedAt,
    acr: stored.acr
  } as SessionData
}
