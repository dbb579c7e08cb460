/** Reads the compact form of a JWS (RFC 7515 §7.1), strictly. */
import * as base64url from "jose/base64url"
import { maxKidLength } from "../keys/algorithms.ts"
import { own } from "../../core/lib/ownProperties.ts"
import { parseObject } from "../claims/strictJson.ts"

/** What a header says (RFC 7515 §4.1). */
interface Header {
  /** `""` where the header has none, which no allow-list names. */
  readonly alg: string
  readonly kid: string | undefined
  /** `typ` without the prefix `application/`, in lower case (RFC 7515 §4.1.9); `undefined` where there is none. */
  readonly typ: string | undefined
}

/** A token in the compact form (RFC 7515 §7.1), of which nothing is verified. */
export interface Compact {
  readonly header: Header
  /** The payload's segment. */
  readonly payload: string
}

// What would change which key, which bytes or which rules count (RFC 8725 §3.10, RFC 7515 §4.1.11, RFC 7797, RFC 7516): a token with one of these is
// refused before anything is looked up.
const refused = ["crit", "b64", "zip", "enc", "jku", "jwk", "x5u", "x5c"]

/** The longest header that is parsed, in characters of base64url: 1024 bytes. Issuers write some 100 bytes. */
const maxHeaderLength = 1366

/**
 * The strict form: three segments of canonical, unpadded base64url, and a header of at most 1024 bytes in strict JSON.
 * So what is signed has one spelling only; an ECDSA signature has two values. `undefined` for everything else. Only the
 * header is looked at.
 */
export const parse = (token: string, maxLength: number): Compact | undefined => {
  if (token.length > maxLength) return
  const first = token.indexOf(".")
  const second = token.indexOf(".", first + 1)
  if (first <= 0 || first > maxHeaderLength || second === -1 || token.indexOf(".", second + 1) !== -1) return
  const encoded = token.slice(0, first)
  const payload = token.slice(first + 1, second)
  const signature = token.slice(second + 1)
  if (!endsCanonically(encoded) || !endsCanonically(payload) || !endsCanonically(signature)) return
  if (!isBase64url(encoded) || !isBase64url(payload) || !isBase64url(signature)) return
  const header = headerOf(encoded)
  return header && { header, payload }
}

// An issuer's tokens have few headers: one for each key. The last ones are kept as they were read.
const maxHeaders = 64
const headers = new Map<string, Header>()

const headerOf = (encoded: string): Header | undefined => {
  const known = headers.get(encoded)
  if (known !== undefined) return known
  const header = readHeader(encoded)
  if (header === undefined || encoded.length > maxKeptHeaderLength) return header
  if (headers.size >= maxHeaders) headers.clear()
  headers.set(encoded, header)
  return header
}

const maxKeptHeaderLength = 512

const readHeader = (encoded: string): Header | undefined => {
  const header = parseObject(base64url.decode(encoded))
  if (header === undefined || refused.some((name) => Object.hasOwn(header, name))) return
  const alg = own(header, "alg")
  const kid = own(header, "kid")
  const typ = own(header, "typ")
  if (kid !== undefined && (typeof kid !== "string" || kid.length > maxKidLength)) return
  if (typ !== undefined && typeof typ !== "string") return
  return { alg: typeof alg === "string" ? alg : "", kid, typ: typ?.toLowerCase().replace(/^application\//, "") }
}

/** The claims in strict JSON; `undefined` for everything else. */
export const claimsOf = (compact: Compact): Readonly<Record<string, unknown>> | undefined =>
  parseObject(base64url.decode(compact.payload))

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// The last character of a segment may hold bits that no byte takes: they are zero in the one canonical spelling (RFC 4648 §3.5).
const endsCanonically = (segment: string): boolean => {
  if (segment === "") return false
  const last = alphabet.indexOf(segment.charAt(segment.length - 1))
  switch (segment.length % 4) {
    case 0:
      return true
    case 2:
      return (last & 0b1111) === 0
    case 3:
      return (last & 0b11) === 0
    default:
      return false
  }
}

const otherCharacter = /[^\w-]/

const isBase64url = (segment: string): boolean => !otherCharacter.test(segment)
