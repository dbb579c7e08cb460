/** The errors of DPoP proofs. Created once, because anyone can send invalid proofs. */
import * as Duration from "effect/Duration"
import { constant } from "../../core/constantErrors.ts"
import { AuthorizationServerUnavailable, InvalidToken } from "../../core/SecurityError.ts"

/** The part of a proof that can be wrong: the header field, a header parameter, a claim, or the signature. */
export type Part =
  | "DPoP"
  | "typ"
  | "alg"
  | "jwk"
  | "crit"
  | "jti"
  | "htm"
  | "htu"
  | "iat"
  | "exp"
  | "nbf"
  | "ath"
  | "signature"

const of = (claim: Part): InvalidToken => constant(new InvalidToken({ reason: "Proof", claim }))

export const proofErrors: Readonly<Record<Part, InvalidToken>> = {
  DPoP: of("DPoP"),
  typ: of("typ"),
  alg: of("alg"),
  jwk: of("jwk"),
  crit: of("crit"),
  jti: of("jti"),
  htm: of("htm"),
  htu: of("htu"),
  iat: of("iat"),
  exp: of("exp"),
  nbf: of("nbf"),
  ath: of("ath"),
  signature: of("signature")
}

export const nonceRequired: InvalidToken = constant(new InvalidToken({ reason: "Nonce" }))

/** The token and the proof do not belong together: another key, or a token without a key. */
export const wrongBinding: InvalidToken = constant(new InvalidToken({ reason: "Claim", claim: "cnf" }))

export const storeUnavailable: AuthorizationServerUnavailable = constant(
  new AuthorizationServerUnavailable({ reason: "ReplayStore", retryAfter: Duration.seconds(1) })
)
