/** Reads to which keys a token is bound (RFC 7800 §3.1). */
import { hasOwnOrOfClass } from "./lib/ownProperties.ts"

/**
 * Keys to which a token is bound (RFC 7800). Only the holder of all named keys can use the token.
 *
 * @category models
 * @since 0.1.0
 */
export interface Confirmation {
  /** The SHA-256 thumbprint of the client's public key, in base64url (RFC 9449 §6.1). Default: none. */
  readonly jkt?: string
  /** The SHA-256 thumbprint of the client's certificate, in base64url (RFC 8705 §3.1). Default: none. */
  readonly "x5t#S256"?: string
}

/**
 * Returns the confirmation of a token, or `undefined` if the token is not bound. Prototype pollution: a member of
 * `Object.prototype` does not bind a token, but a getter of a class does.
 */
export const confirmationOf = (token: { readonly confirmation?: Confirmation }): Confirmation | undefined =>
  hasOwnOrOfClass(token, "confirmation") ? token.confirmation : undefined

/** The length of a SHA-256 hash in base64url. */
const thumbprint = /^[\w-]{43}$/

const isThumbprint = (value: unknown): value is string => typeof value === "string" && thumbprint.test(value)

/**
 * Reads the claim `cnf`. Returns `undefined` unless its members are thumbprints of a key, of a certificate, or of both:
 * with another member, the token is bound in a way that the library does not verify.
 */
export const fromClaim = (cnf: unknown): Confirmation | undefined => {
  if (typeof cnf !== "object" || cnf === null || Array.isArray(cnf)) return
  const members = Object.entries(cnf) as ReadonlyArray<readonly [string, unknown]>
  return members.length > 0 &&
    members.every(([name, value]) => (name === "jkt" || name === "x5t#S256") && isThumbprint(value))
    ? Object.fromEntries(members)
    : undefined
}

/** What a token is bound to. Without a key and a certificate, no request can satisfy the binding. */
export interface Binding {
  readonly key: string | undefined
  readonly certificate: string | undefined
}

/** Bindings of tokens that cannot change. Avoids reading the confirmation of a cached token for each request. */
const bindings = new WeakMap<Confirmation, Binding>()

const unverifiable: Binding = { key: undefined, certificate: undefined }

/** Returns what a token is bound to, or `undefined` if the token is not bound. */
export const bindingOf = (token: { readonly confirmation?: Confirmation }): Binding | undefined => {
  const confirmation = confirmationOf(token)
  if (confirmation === undefined) return
  const known = typeof confirmation === "object" && confirmation !== null ? bindings.get(confirmation) : undefined
  if (known !== undefined) return known
  // A custom verifier may return any value.
  const read = fromClaim(confirmation)
  if (read === undefined) return unverifiable
  const binding = { key: ownText(read, "jkt"), certificate: ownText(read, "x5t#S256") }
  if (Object.isFrozen(confirmation)) bindings.set(confirmation, Object.freeze(binding))
  return binding
}

const ownText = (confirmation: Confirmation, name: keyof Confirmation): string | undefined =>
  Object.hasOwn(confirmation, name) ? confirmation[name] : undefined
