/** The signature algorithms of JWS that are known here, each with what it takes. */

/** What a public key must be. */
export interface KeyType {
  readonly kty: string
  readonly crv: string | undefined
}

/** Which key each asymmetric algorithm takes (RFC 7518 §3.1, RFC 8037 §3.1, RFC 9864 §2.2). */
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

/** The shortest secret that each symmetric one takes, in bytes (RFC 7518 §3.2: the size of the hash). */
export const secretBytes = { HS256: 32, HS384: 48, HS512: 64 } as const

/** The longest `kid` that a key or a header may have, in characters: a longer one names nothing. */
export const maxKidLength = 256

/**
 * The asymmetric signature algorithms of JWS that jose verifies (RFC 7518 §3.1, RFC 8037, RFC 9864).
 *
 * @category models
 * @since 0.1.0
 */
export type Algorithm = keyof typeof asymmetric

/**
 * The HMAC algorithms of JWS (RFC 7518 §3.2). Whoever verifies with the secret can make tokens too.
 *
 * @category models
 * @since 0.1.0
 */
export type SymmetricAlgorithm = keyof typeof secretBytes
