/** Reads a proof, and runs the checks that need neither a key nor a clock (RFC 9449 §4.3). */
import type { InvalidDpopProof } from "../../core/SecurityError.ts"
import { split } from "../jwt/compact.ts"
import { type Claims, parseText } from "../claims/strictJson.ts"
import { proofErrors } from "./failures.ts"
import type { TextOf } from "./segment.ts"
import { normalize } from "./uri.ts"

/** The request that a proof must fit. */
export interface ProofTarget {
  readonly method: string
  /** The normalized URIs of the request. Several public origins give several URIs. */
  readonly uris: ReadonlyArray<string>
}

/** The two parts of a proof. Both are canonical base64url. */
export interface ProofText {
  readonly text: string
  readonly header: string
  readonly payload: string
}

/** The claims of a proof whose form is valid. Times are in seconds. */
export interface ProofClaims {
  readonly jti: string
  readonly iat: number
  readonly exp: number | undefined
  readonly nbf: number | undefined
  readonly ath: string
  readonly nonce: string | undefined
}

/** Maximum length of a proof in characters. A proof with an RSA key of 8192 bits has about 3500. */
export const maxLength = 8192

/** Maximum length of `jti` in characters. A UUID has 36. */
const maxIdLength = 256

const maxMarks = 128

export const read = (field: string): ProofText | InvalidDpopProof => {
  const segments = field.length > maxLength ? undefined : split(field)
  return segments === undefined ? proofErrors.malformed : { text: field, ...segments }
}

// A JavaScript `Date` cannot represent more seconds.
const isTime = (value: unknown): value is number => typeof value === "number" && Math.abs(value) <= 8.64e12

const isText = (value: unknown): value is string => typeof value === "string" && value !== ""

/** Checks the claims, except for `ath`, the times and the nonce. */
export const readClaims = (
  { payload }: ProofText,
  { method, uris }: ProofTarget,
  textOf: TextOf
): ProofClaims | InvalidDpopProof => {
  const text = textOf(payload)
  const claims = text === undefined ? undefined : parseText(text, maxMarks)
  if (claims === undefined) return proofErrors.malformed
  const { ath, htm, htu, iat, jti } = claims
  if (!isText(jti) || jti.length > maxIdLength) return proofErrors.jti
  if (!isText(htm)) return proofErrors.htm
  if (!isText(htu)) return proofErrors.htu
  if (!isTime(iat)) return proofErrors.iat
  if (!isText(ath)) return proofErrors.ath
  const exp = timeIn(claims, "exp")
  const nbf = timeIn(claims, "nbf")
  if (exp === null) return proofErrors.exp
  if (nbf === null) return proofErrors.nbf
  if (htm !== method) return proofErrors.htm
  if (!uris.includes(htu) && !uris.includes(normalize(htu) ?? "")) return proofErrors.htu
  const { nonce } = claims
  // A nonce of another type counts as missing, so the client gets a new one.
  return { jti, iat, exp, nbf, ath, nonce: typeof nonce === "string" ? nonce : undefined }
}

/** Returns `null` if the claim is not a time. */
const timeIn = (claims: Claims, name: string): number | undefined | null => {
  const value = claims[name]
  return value === undefined ? undefined : isTime(value) ? value : null
}
