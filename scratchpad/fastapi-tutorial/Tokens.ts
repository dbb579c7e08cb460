/** Signs and verifies the tokens of the tutorial. The app is its own issuer, with one key pair in memory. */
import { Clock, Context, Effect, Layer } from "effect"
import { JwtVerifier, KeySet } from "effect-oauth2"
import * as jose from "jose"

// The verifier discovers nothing, so the issuer can be any text.
const issuer = "fastapi-tutorial"
const audience = "fastapi-tutorial"
const algorithm = "ES256"
const lifetimeInSeconds = 30 * 60

export class Tokens extends Context.Service<
  Tokens,
  {
    /** Signs an access token (RFC 9068). */
    readonly sign: (username: string, scope: string) => Effect.Effect<string>
    /** Public key of the tokens. */
    readonly publicKey: jose.JWK
  }
>()("fastapi-tutorial/Tokens") {
  static readonly layer = Layer.effect(
    Tokens,
    Effect.gen(function* () {
      const { privateKey, publicKey } = yield* Effect.promise(() => jose.generateKeyPair(algorithm))
      return {
        publicKey: { ...(yield* Effect.promise(() => jose.exportJWK(publicKey))), alg: algorithm },
        sign: Effect.fnUntraced(function* (username, scope) {
          const now = Math.floor((yield* Clock.currentTimeMillis) / 1000)
          const claims = {
            iss: issuer,
            aud: audience,
            sub: username,
            scope,
            client_id: username,
            jti: crypto.randomUUID(),
            iat: now,
            exp: now + lifetimeInSeconds
          }
          return yield* Effect.promise(() =>
            new jose.SignJWT(claims).setProtectedHeader({ alg: algorithm, typ: "at+jwt" }).sign(privateKey)
          )
        })
      }
    })
  )
}

/** Verifies the tokens with the public key. */
export const Verifier = JwtVerifier.layerKeySet({ issuer, audience }).pipe(
  Layer.provide(Layer.unwrap(Effect.map(Tokens, ({ publicKey }) => KeySet.layerStatic({ keys: [publicKey] }))))
)
