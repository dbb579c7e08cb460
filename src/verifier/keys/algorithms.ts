/** Supported JWS signature algorithms and their keys. */

/** Required members of a public key. */
export interface KeyType {
  readonly kty: string
  readonly crv: string | undefined
}

/** Key type of each asymmetric algorithm (RFC 7518 §3.1, RFC 8037 §3.1, RFC 9864 §2.2). */
export const asymmetric = {
  RS256: { kty: "RSA", crv: undefined },
  RS384: { kty: "RSA", crv: undefined },
  RS512: { kty: "RSA", crv: undefined },
  PS256: { kty: "RSA", crv: undefined },
  PS384: { kty: "RSA", crv: undefined },
  PS512: { kty: "RSA", crv: undefined },
  ES256: { kty: "EC", crv: "P-256" },
  ES384: { kty: "EC", crv: "P-384" },
  ES512: { kty: "EC", crv: "P-521" },
  EdDSA: { kty: "OKP", crv: "Ed25519" },
  Ed25519: { kty: "OKP", crv: "Ed25519" }
} as const satisfies Readonly<Record<string, KeyType>>

// RFC 9864 §2.2 renamed EdDSA with the curve Ed25519. An issuer may use the old name for its key and the new name for
// its tokens, or the reverse. The key and the signature are the same.
const namesOfEd25519: ReadonlyArray<string> = ["EdDSA", "Ed25519"] satisfies ReadonlyArray<keyof typeof asymmetric>

/** Returns the names of an algorithm. Ed25519 has two names. */
export const namesOf = (algorithm: string): ReadonlyArray<string> =>
  namesOfEd25519.includes(algorithm) ? namesOfEd25519 : [algorithm]

/** Minimum length of a shared secret in bytes, which is the size of the hash (RFC 7518 §3.2). */
export const secretBytes = { HS256: 32, HS384: 48, HS512: 64 } as const

/** Maximum length of a `kid` in a key or a header, in characters. */
export const maxKidLength = 256

/**
 * Supported asymmetric signature algorithms (RFC 7518 §3.1, RFC 8037, RFC 9864).
 *
 * @category models
 * @since 0.1.0
 */
export type Algorithm = keyof typeof asymmetric

/**
 * Supported HMAC algorithms (RFC 7518 §3.2). Every holder of the shared secret can also create tokens.
 *
 * @category models
 * @since 0.1.0
 */
export type SymmetricAlgorithm = keyof typeof secretBytes
