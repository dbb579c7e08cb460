/** Makes signing keys, and signs with them. */
import * as Effect from "effect/Effect"
import * as Jose from "jose"
import type { Algorithm, SymmetricAlgorithm } from "../verifier/keys/algorithms.ts"
import type { SigningAlgorithm, SigningKey } from "./issuerModel.ts"

export const makeKey = (kid: string, algorithm: Algorithm): Effect.Effect<SigningKey> =>
  Effect.gen(function* () {
    const { privateKey, publicKey } = yield* Effect.promise(() =>
      Jose.generateKeyPair(algorithm, { extractable: true })
    )
    const jwk = yield* Effect.promise(() => Jose.exportJWK(publicKey))
    return { kid, alg: algorithm, privateKey, jwk: { ...jwk, kid, alg: algorithm, use: "sig" } }
  })

export const makeSecretKey = (
  kid: string,
  secret: string | Uint8Array,
  algorithm: SymmetricAlgorithm
): Effect.Effect<SigningKey> => {
  const bytes = typeof secret === "string" ? new TextEncoder().encode(secret) : new Uint8Array(secret)
  const hash = `SHA-${algorithm.slice(2)}`
  return Effect.map(
    Effect.promise(() => crypto.subtle.importKey("raw", bytes, { name: "HMAC", hash }, false, ["sign"])),
    (privateKey) => ({
      kid,
      alg: algorithm,
      privateKey,
      jwk: { kty: "oct", k: Jose.base64url.encode(bytes), kid, alg: algorithm }
    })
  )
}

// The WebCrypto parameters of RFC 7518 §3 and RFC 8037 §3.1. WebCrypto signatures already have the JWS format.
const parameters = (algorithm: SigningAlgorithm): string | RsaPssParams | EcdsaParams => {
  const bits = algorithm.slice(2)
  switch (algorithm) {
    case "RS256":
    case "RS384":
    case "RS512":
      return "RSASSA-PKCS1-v1_5"
    case "PS256":
    case "PS384":
    case "PS512":
      return { name: "RSA-PSS", saltLength: Number(bits) / 8 }
    case "ES256":
    case "ES384":
    case "ES512":
      return { name: "ECDSA", hash: `SHA-${bits}` }
    case "EdDSA":
    case "Ed25519":
      return "Ed25519"
    case "HS256":
    case "HS384":
    case "HS512":
      return "HMAC"
  }
}

/** Signs the first two segments of a token. Uses WebCrypto, because jose refuses to sign the tokens of an attacker. */
export const sign = (key: SigningKey, input: string): Effect.Effect<string> =>
  Effect.map(
    Effect.promise(() => crypto.subtle.sign(parameters(key.alg), key.privateKey, new TextEncoder().encode(input))),
    (signature) => Jose.base64url.encode(new Uint8Array(signature))
  )
