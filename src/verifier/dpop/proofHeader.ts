/** Reads the JOSE header of a proof, and its public key (RFC 9449 §4.2 and §4.3). */
import * as Effect from "effect/Effect"
import * as base64url from "jose/base64url"
import type { InvalidDpopProof } from "../../core/SecurityError.ts"
import { parseObject } from "../claims/strictJson.ts"
import { type PublicKey, privateMembers, readJwk } from "../keys/jwk.ts"
import { importFor } from "../keys/keys.ts"
import { proofErrors } from "./failures.ts"
import type { Sha256 } from "./sha256.ts"

/** A header that passed its checks. */
export interface ProofHeader {
  readonly alg: string
  readonly key: PublicKey
}

/** The header with its imported key. */
export interface ProofKey {
  readonly alg: string
  readonly key: CryptoKey
  /** The thumbprint of the key (RFC 7638), which `cnf.jkt` of a bound token names. */
  readonly thumbprint: string
}

/** Limits the work of the parser. A header with an RSA key and ten parameters has 30 marks. */
const maxMarks = 128

/** Checks the header. `algorithms` lists the accepted algorithms. */
export const read = (encoded: string, algorithms: ReadonlySet<string>): ProofHeader | InvalidDpopProof => {
  const header = parseObject(base64url.decode(encoded), maxMarks)
  if (header === undefined) return proofErrors.malformed
  const { alg, jwk, typ } = header
  if (typeof typ !== "string" || typ.toLowerCase().replace(/^application\//, "") !== "dpop+jwt") return proofErrors.typ
  if (typeof alg !== "string" || !algorithms.has(alg)) return proofErrors.alg
  // A critical parameter changes the meaning of the proof (RFC 7515 §4.1.11). `b64` changes the signed bytes (RFC 7797).
  if (["crit", "b64", "enc"].some((name) => Object.hasOwn(header, name))) return proofErrors.crit
  if (typeof jwk !== "object" || jwk === null) return proofErrors.jwk
  // Stricter than for published keys: a client that sends a private member at all has lost its key.
  if (privateMembers.some((name) => Object.hasOwn(jwk, name))) return proofErrors.jwk
  const { algorithms: fitting, key, refusal } = readJwk(jwk)
  return refusal === undefined && fitting.includes(alg) ? { alg, key } : proofErrors.jwk
}

/** Returns the text whose hash is the thumbprint: the required members in lexicographic order (RFC 7638 §3.2). */
export const thumbprintInput = ({ crv, e, kty, n, x, y }: PublicKey): string =>
  JSON.stringify(kty === "RSA" ? { e, kty, n } : kty === "EC" ? { crv, kty, x, y } : { crv, kty, x })

/** Imports the key, and computes its thumbprint. */
export const importKey = ({ alg, key }: ProofHeader, sha256: Sha256): Effect.Effect<ProofKey, InvalidDpopProof> =>
  Effect.flatMap(importFor(key, alg), (imported) =>
    imported === undefined
      ? Effect.fail(proofErrors.jwk)
      : Effect.mapEager(sha256(thumbprintInput(key)), (thumbprint) => ({ alg, key: imported, thumbprint }))
  )
