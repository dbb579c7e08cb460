/** Verifies signatures with jose, which needs Web Cryptography only. */
import * as Effect from "effect/Effect"
import { JOSEError, JWSSignatureVerificationFailed } from "jose/errors"
import { compactVerify } from "jose/jws/compact/verify"
import { failConstant } from "../../core/constantErrors.ts"
import { InvalidToken } from "../../core/SecurityError.ts"
import { atEndOfTurn } from "./atEndOfTurn.ts"
import type { SignatureCheck } from "./check.ts"

export const check: SignatureCheck = (token, key, algorithm) =>
  atEndOfTurn((resume) => {
    compactVerify(token, key, { algorithms: [algorithm] }).then(
      ({ payload }) => resume(Effect.succeed(payload)),
      // The message of a jose error may contain token content, so only the reason is reported.
      (error: unknown) => resume(refusalOf(error))
    )
  })

// Shared, because a flood of bad signatures must not pay for new errors with their stack traces and responses.
const wrongSignature = failConstant(new InvalidToken({ reason: "Signature" }))
const malformed = failConstant(new InvalidToken({ reason: "Malformed" }))
const unsuitableKey = failConstant(new InvalidToken({ reason: "UnknownKey" }))

const refusalOf = (error: unknown): Effect.Effect<never, InvalidToken> => {
  if (error instanceof JWSSignatureVerificationFailed) return wrongSignature
  // jose throws a TypeError for an unsuitable key, such as one with a short RSA modulus.
  return error instanceof JOSEError ? malformed : unsuitableKey
}
