/** Verifies signatures with jose, or with a replacement from the context. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { JOSEError, JWSSignatureVerificationFailed } from "jose/errors"
import { compactVerify } from "jose/jws/compact/verify"
import { InvalidToken } from "../../core/SecurityError.ts"
import { atEndOfTurn } from "./atEndOfTurn.ts"

/** Public key, or shared secret as bytes. */
export type Key = CryptoKey | Uint8Array

/**
 * Verifies a token's signature with one key and returns the payload. The caller checked the compact form and the
 * algorithm. Fails with `"Signature"` if another key made the signature, and with `"UnknownKey"` if the key does not
 * fit the algorithm.
 */
export type Check = (token: string, key: Key, algorithm: string) => Effect.Effect<Uint8Array, InvalidToken>

const jose: Check = (token, key, algorithm) =>
  atEndOfTurn((resume) => {
    compactVerify(token, key, { algorithms: [algorithm] }).then(
      ({ payload }) => resume(Effect.succeed(payload)),
      // The message of a jose error may contain token content, so only the reason is reported.
      (error: unknown) => resume(Effect.fail(new InvalidToken({ reason: reasonOf(error) })))
    )
  })

const reasonOf = (error: unknown): InvalidToken["reason"] => {
  if (error instanceof JWSSignatureVerificationFailed) return "Signature"
  // jose throws a TypeError for an unsuitable key, such as one with a short RSA modulus.
  return error instanceof JOSEError ? "Malformed" : "UnknownKey"
}

/** Reference to the function that verifies signatures. Default: jose. */
export const Signatures = Context.Reference<Check>("effect-oauth2/Signatures", { defaultValue: () => jose })
