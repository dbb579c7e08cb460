/** Finds weak and malformed public keys that neither jose nor WebCrypto refuses. */
import * as Hex from "effect/encoding/Hex"
import * as base64url from "jose/base64url"
import { isOnCurve } from "./curves.ts"
import { hasRocaFingerprint, smallPrimes } from "./roca.ts"

export type Weakness =
  | "Malformed" // not canonical base64url
  | "CoordinateLength" // `x` or `y` is shorter or longer than its curve needs (RFC 7518 §6.2.1.2)
  | "ModulusSize" // under 2048 bits (RFC 7518 §3.3), or over 8192, where a verification takes too long
  | "ModulusFactor" // divisible by a small prime
  | "Roca" // CVE-2017-15361
  | "Exponent" // even, 1, or over 32 bits
  | "Invalid" // the point is not on the curve, or WebCrypto refuses the key
  | "SmallOrder" // Ed25519 point of small order: anybody can create signatures for it

const minModulusBits = 2048
const maxModulusBits = 8192
const maxExponent = 0xffff_ffffn
/** Length of the longest modulus. Some libraries add a leading zero octet (RFC 7518 §6.3.1.1). */
const maxLength = Math.ceil(((maxModulusBits / 8 + 1) * 4) / 3)

/** Decodes canonical base64url, in which one key has exactly one text (RFC 7515 §2). Otherwise returns `undefined`. */
const octets = (text: string): Uint8Array | undefined => {
  if (text === "" || text.length > maxLength || !/^[\w-]+$/.test(text)) return undefined
  const bytes = base64url.decode(text)
  return base64url.encode(bytes) === text ? bytes : undefined
}

const unsigned = (bytes: Uint8Array): bigint => BigInt(`0x${Hex.encode(bytes)}`)

/** Normalizes a base64url number to hex, without leading zero octets. */
export const plain = (text: string): string => {
  const bytes = octets(text)
  return bytes === undefined ? text : unsigned(bytes).toString(16)
}

/** Returns the weakness of an RSA public key, if any. */
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

/** Length of a coordinate in octets, with leading zeros (RFC 7518 §6.2.1.2, RFC 8037 §2). */
const coordinateLength: ReadonlyMap<string, number> = new Map([
  ["P-256", 32],
  ["P-384", 48],
  ["P-521", 66],
  ["Ed25519", 32]
])

/** Returns the weakness of an elliptic-curve key, if any. Deno imports points that are not on the curve. */
export const curveWeakness = (crv: string, coordinates: ReadonlyArray<string>): Weakness | undefined => {
  const points = coordinates.map(octets)
  if (points.includes(undefined)) return "Malformed"
  if (points.some((point) => point?.length !== coordinateLength.get(crv))) return "CoordinateLength"
  const [x, y] = points
  if (crv === "Ed25519") return x !== undefined && hasSmallOrder(x) ? "SmallOrder" : undefined
  return x !== undefined && y !== undefined && isOnCurve(crv, unsigned(x), unsigned(y)) ? undefined : "Invalid"
}

const prime = 2n ** 255n - 19n
/** y-coordinates of the eight points whose order divides 8: 0, 1, -1, and both signs of order 8 (RFC 8032 §5.1). */
const order8 = 2707385501144840649318225287225658788936804267575313519463743609750303402022n
const smallOrder: ReadonlySet<bigint> = new Set([0n, 1n, prime - 1n, order8, prime - order8])

const hasSmallOrder = (point: Uint8Array): boolean => {
  const y = unsigned(point.toReversed()) & (2n ** 255n - 1n)
  // RFC 8032 §5.1.3 forbids an unreduced y, but some libraries accept it.
  return y >= prime || smallOrder.has(y)
}
