/** Which public keys are too weak, or no keys at all: what neither jose nor WebCrypto refuses. */
import * as Hex from "effect/encoding/Hex"
import * as base64url from "jose/base64url"
import { hasRocaFingerprint, smallPrimes } from "./roca.ts"

export type Weakness =
  | "Malformed" // not canonical base64url, or of the wrong length
  | "ModulusSize" // RFC 7518 §3.3: at least 2048 bits; over 8192 a verification takes too long
  | "ModulusFactor" // divisible by a small prime
  | "Roca" // CVE-2017-15361
  | "Exponent" // even, 1, or over 32 bits
  | "SmallOrder" // an Ed25519 key under which signatures can be made for any message

const minModulusBits = 2048
const maxModulusBits = 8192
const maxExponent = 0xffff_ffffn
/** The longest member of a key: a modulus with the zero octet in front that some libraries write (RFC 7518 §6.3.1.1). */
const maxLength = Math.ceil(((maxModulusBits / 8 + 1) * 4) / 3)

/** The octets of canonical base64url (RFC 7515 §2): no padding, no white space, no stray bits, so that one key has one text. */
const octets = (text: string): Uint8Array | undefined => {
  if (text === "" || text.length > maxLength || !/^[\w-]+$/.test(text)) return undefined
  const bytes = base64url.decode(text)
  return base64url.encode(bytes) === text ? bytes : undefined
}

const unsigned = (bytes: Uint8Array): bigint => BigInt(`0x${Hex.encode(bytes)}`)

/** The same text for the same number, with or without leading zero octets. */
export const plain = (text: string): string => {
  const bytes = octets(text)
  return bytes === undefined ? text : unsigned(bytes).toString(16)
}

/** What an RSA public key's members say against it. */
export const rsaWeakness = (n: string, e: string): Weakness | undefined => {
  if (n.length > maxLength) return "ModulusSize"
  const modulusOctets = octets(n)
  const exponentOctets = octets(e)
  if (modulusOctets === undefined || exponentOctets === undefined) return "Malformed"
  const modulus = unsigned(modulusOctets)
  const exponent = unsigned(exponentOctets)
  const bits = modulus.toString(2).length
  if (bits < minModulusBits || bits > maxModulusBits) return "ModulusSize"
  if (exponent < 3n || exponent > maxExponent || exponent % 2n === 0n) return "Exponent"
  if ([2, ...smallPrimes].some((prime) => modulus % BigInt(prime) === 0n)) return "ModulusFactor"
  return hasRocaFingerprint(modulus) ? "Roca" : undefined
}

/** The length of a coordinate in octets, for each curve: full, with leading zeros (RFC 7518 §6.2.1.2, RFC 8037 §2). */
const coordinateLength: ReadonlyMap<string, number> = new Map([
  ["P-256", 32],
  ["P-384", 48],
  ["P-521", 66],
  ["Ed25519", 32]
])

/** What an elliptic-curve key's coordinates say against it. Whether the point is on the curve is for WebCrypto's import to say. */
export const curveWeakness = (crv: string, coordinates: ReadonlyArray<string>): Weakness | undefined => {
  const points = coordinates.map(octets)
  if (points.some((point) => point?.length !== coordinateLength.get(crv))) return "Malformed"
  return crv === "Ed25519" && points[0] !== undefined && hasSmallOrder(points[0]) ? "SmallOrder" : undefined
}

const prime = 2n ** 255n - 19n
/** The y-coordinates of the eight points whose order divides 8 (RFC 8032 §5.1): 0, 1, -1, and those of order 8 with both signs. */
const order8 = 2707385501144840649318225287225658788936804267575313519463743609750303402022n
const smallOrder: ReadonlySet<bigint> = new Set([0n, 1n, prime - 1n, order8, prime - order8])

const hasSmallOrder = (point: Uint8Array): boolean => {
  const y = unsigned(point.toReversed()) & (2n ** 255n - 1n)
  // y may be written unreduced: RFC 8032 §5.1.3 refuses that, not every library does.
  return y >= prime || smallOrder.has(y)
}
