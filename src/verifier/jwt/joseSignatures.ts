/** Verifies signatures with jose, which needs Web Cryptography only. */
import * as Effect from "effect/Effect"
import { JOSEError, JWSSignatureVerificationFailed } from "jose/errors"
import { compactVerify } from "jose/jws/compact/verify"
import { InvalidToken } from "../../core/SecurityError.ts"
import { atEndOfTurn } from "./atEndOfTurn.ts"
import type { SignatureCheck } from "./check.ts"

export const check: SignatureCheck = (token, key, algorithm) =>
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
