/** Checks signatures with jose, or with what stands in its place. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { JOSEError, JWSSignatureVerificationFailed } from "jose/errors"
import { compactVerify } from "jose/jws/compact/verify"
import { InvalidToken } from "../../core/SecurityError.ts"
import { atEndOfTurn } from "./atEndOfTurn.ts"

/** A public key as Web Cryptography imports it, or a shared secret. */
export type Key = CryptoKey | Uint8Array

/**
 * Checks the signature of a token in the strict compact form (`compact.ts`), under an algorithm of the allow-list, with one key. Gives the payload. What it
 * fails with is `"Signature"` where the signature is not this key's, and `"UnknownKey"` where the key is not for the algorithm.
 */
export type Check = (token: string, key: Key, algorithm: string) => Effect.Effect<Uint8Array, InvalidToken>

const jose: Check = (token, key, algorithm) =>
  atEndOfTurn((resume) => {
    compactVerify(token, key, { algorithms: [algorithm] }).then(
      ({ payload }) => resume(Effect.succeed(payload)),
      // What jose threw stays here: its text never leaves, only which check failed.
      (error: unknown) => resume(Effect.fail(new InvalidToken({ reason: reasonOf(error) })))
    )
  })

const reasonOf = (error: unknown): InvalidToken["reason"] => {
  if (error instanceof JWSSignatureVerificationFailed) return "Signature"
  // jose throws a TypeError for a key that it will not use, such as a short RSA modulus.
  return error instanceof JOSEError ? "Malformed" : "UnknownKey"
}

/** Who checks signatures: jose, unless a program says otherwise. */
export const Signatures = Context.Reference<Check>("effect-oauth2/Signatures", { defaultValue: () => jose })
