/** Turns a response of the token endpoint into a token that a client can send. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as base64url from "jose/base64url"
import { SignJWT } from "jose/jwt/sign"
import type { ClientToken, ProofRequest } from "../TokenSource.ts"
import type { TokenResponse } from "./tokenEndpoint.ts"

/** Returns the token of a response, and when it was asked for. */
export const issuedOf = (
  response: TokenResponse,
  asked: ReadonlyArray<string>,
  defaultLifetime: number,
  dpop: CryptoKeyPair | undefined
) => {
  const { accessToken, lifetime = defaultLifetime, scopes, sentAt, type } = response
  const token: ClientToken = {
    value: accessToken,
    type,
    scopes: scopes ?? new Set(asked),
    expiresAt: sentAt + lifetime,
    ...(type === "DPoP" && dpop !== undefined && { proof: proofWith(dpop, accessToken) })
  }
  return { token, sentAt }
}

/** Makes proofs of possession (RFC 9449 §4.2). */
export const proofWith =
  (keys: CryptoKeyPair, token: Redacted.Redacted) =>
  ({ method, nonce, url }: ProofRequest): Effect.Effect<string> =>
    Effect.flatMap(Clock.currentTimeMillis, (now) =>
      Effect.promise(async () => {
        const {
          alg: _alg,
          ext: _ext,
          key_ops: _operations,
          ...jwk
        } = await crypto.subtle.exportKey("jwk", keys.publicKey)
        const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(Redacted.value(token)))
        const claims = {
          jti: crypto.randomUUID(),
          htm: method,
          htu: url.origin + url.pathname,
          iat: Math.floor(now / 1000),
          ath: base64url.encode(new Uint8Array(digest)),
          ...(nonce !== undefined && { nonce })
        }
        return new SignJWT(claims)
          .setProtectedHeader({ typ: "dpop+jwt", alg: algorithmOf(keys.privateKey), jwk })
          .sign(keys.privateKey)
      })
    )

const algorithmOf = ({ algorithm }: CryptoKey): string => {
  const { hash, name, namedCurve } = algorithm as Partial<EcKeyAlgorithm & RsaHashedKeyAlgorithm>
  switch (name) {
    case "ECDSA":
      return `ES${namedCurve === "P-521" ? "512" : (namedCurve?.slice(2) ?? "")}`
    case "RSA-PSS":
      return `PS${hash?.name.slice(4) ?? ""}`
    case "RSASSA-PKCS1-v1_5":
      return `RS${hash?.name.slice(4) ?? ""}`
    default:
      return "EdDSA"
  }
}
