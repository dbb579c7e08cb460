/** Defines what a verification of a signature is. */
import type * as Effect from "effect/Effect"
import type { InvalidToken } from "../../core/SecurityError.ts"

/** Public key, or shared secret as bytes. */
export type Key = CryptoKey | Uint8Array

/**
 * Verifies a token's signature with one key and returns the payload. The caller checked the compact form and the
 * algorithm. Fails with `"Signature"` if another key made the signature, and with `"UnknownKey"` if the key does not
 * fit the algorithm.
 */
export type SignatureCheck = (token: string, key: Key, algorithm: string) => Effect.Effect<Uint8Array, InvalidToken>
