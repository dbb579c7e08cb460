/** Reads DPoP proofs at the token endpoint (RFC 9449 §5), with nonces (§8). */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as Jose from "jose"
import { refuse } from "./answer.ts"

const maximumAge = 60_000

/** The nonce of a minute. The nonce of the minute before is still accepted. */
const nonceAt = (millis: number): string => `nonce-${Math.floor(millis / 60_000)}`

export const currentNonce = Effect.map(Clock.currentTimeMillis, nonceAt)

/** Returns the thumbprint of the proof's key (RFC 7638), or `undefined` for a request without a proof. */
export const thumbprint = Effect.fnUntraced(function* (
  request: HttpServerRequest,
  url: string,
  demandsNonce: boolean,
  usedProofs: Set<string>
) {
  const proof = request.headers["dpop"]
  if (proof === undefined) return
  const invalid = refuse("invalid_dpop_proof", "The DPoP proof is not valid.")
  const now = yield* Clock.currentTimeMillis
  const { payload, protectedHeader } = yield* Effect.tryPromise(() =>
    Jose.jwtVerify(proof, Jose.EmbeddedJWK, {
      typ: "dpop+jwt",
      currentDate: new Date(now),
      requiredClaims: ["jti", "htm", "htu", "iat"]
    })
  ).pipe(Effect.catch(() => invalid))
  const { htm, htu, iat = 0, jti, nonce } = payload
  if (htm !== request.method || htu !== url) return yield* invalid
  if (Math.abs(now - iat * 1000) > maximumAge) return yield* invalid
  if (demandsNonce && nonce !== nonceAt(now) && nonce !== nonceAt(now - 60_000)) {
    return yield* refuse("use_dpop_nonce", "The DPoP proof needs the nonce of this server.")
  }
  const { jwk } = protectedHeader
  if (typeof jti !== "string" || usedProofs.has(jti) || jwk === undefined) return yield* invalid
  usedProofs.add(jti)
  return yield* Effect.promise(() => Jose.calculateJwkThumbprint(jwk))
})
