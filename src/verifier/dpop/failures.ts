/** The errors of proofs. Created once, because anyone can send invalid proofs. */
import { constant } from "../../core/constantErrors.ts"
import { InvalidDpopProof, InvalidToken } from "../../core/SecurityError.ts"

const of = (reason: InvalidDpopProof["reason"], claim?: string): InvalidDpopProof =>
  constant(new InvalidDpopProof(claim === undefined ? { reason } : { reason, claim }))

export const proofErrors = {
  missing: of("Missing"),
  malformed: of("Malformed"),
  typ: of("Claim", "typ"),
  alg: of("Algorithm", "alg"),
  crit: of("Claim", "crit"),
  jwk: of("Key", "jwk"),
  jti: of("Claim", "jti"),
  htm: of("Claim", "htm"),
  htu: of("Claim", "htu"),
  iat: of("Claim", "iat"),
  exp: of("Claim", "exp"),
  nbf: of("Claim", "nbf"),
  ath: of("Claim", "ath"),
  signature: of("Signature"),
  expired: of("Expired", "iat"),
  replayed: of("Replayed", "jti")
} as const

/** The token is bound to another key, or to none, or in a way that the library does not verify. */
export const wrongBinding: InvalidToken = constant(new InvalidToken({ reason: "Claim", claim: "cnf" }))
