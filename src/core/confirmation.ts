/** Reads to which key a token is bound (RFC 7800 §3.1). */
import { hasOwnOrOfClass, own } from "./lib/ownProperties.ts"

/**
 * Key to which a token is bound (RFC 7800). Only the holder of the key can use the token.
 *
 * @category models
 * @since 0.1.0
 */
export interface Confirmation {
  /** The SHA-256 thumbprint of the public key, in base64url (RFC 9449 §6.1). */
  readonly jkt: string
}

/**
 * Returns the confirmation of a token, or `undefined` if the token is not bound. Prototype pollution: a member of
 * `Object.prototype` does not bind a token, but a getter of a class does.
 */
export const confirmationOf = (token: { readonly confirmation?: Confirmation }): Confirmation | undefined =>
  hasOwnOrOfClass(token, "confirmation") ? token.confirmation : undefined

/** The length of a SHA-256 hash in base64url. */
const thumbprint = /^[\w-]{43}$/

/**
 * Reads the claim `cnf`. Returns `undefined` unless its only member is the thumbprint of a key: with another member, the
 * token is bound in a way that the library does not verify.
 */
export const fromClaim = (cnf: unknown): Confirmation | undefined => {
  if (typeof cnf !== "object" || cnf === null || Array.isArray(cnf)) return
  const [[name, jkt] = [], ...others] = Object.entries(cnf) as ReadonlyArray<readonly [string, unknown]>
  return name === "jkt" && others.length === 0 && typeof jkt === "string" && thumbprint.test(jkt) ? { jkt } : undefined
}

/** Returns `true` if a token with this thumbprint is bound to the key. */
export const isBoundTo = (token: { readonly confirmation?: Confirmation }, thumbprint: string): boolean =>
  // A custom verifier may return any value. Without an own thumbprint, no key matches.
  own(confirmationOf(token), "jkt") === thumbprint
