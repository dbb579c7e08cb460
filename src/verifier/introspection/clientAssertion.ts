/** Authenticates an API with its private key (RFC 7523 §2.2, OpenID Connect Core 1.0 §9: `private_key_jwt`). */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { own } from "../../core/lib/ownProperties.ts"
import type { Credentials } from "./options.ts"

/** Lifetime of an assertion, in seconds. */
const lifetime = 60

/** Returns the signature algorithm of a private key, or `undefined` if the key cannot sign. */
export const algorithmOf = (key: unknown): string | undefined => {
  if (!(key instanceof CryptoKey) || key.type !== "private" || !key.usages.includes("sign")) return
  const { name } = key.algorithm
  const bits = /^SHA-(256|384|512)$/.exec(String(own(own(key.algorithm, "hash"), "name")))?.[1]
  switch (name) {
    case "ECDSA":
      return algorithmsOfCurves.get(own(key.algorithm, "namedCurve"))
    case "Ed25519":
      return "EdDSA"
    case "RSASSA-PKCS1-v1_5":
      return bits === undefined ? undefined : `RS${bits}`
    case "RSA-PSS":
      return bits === undefined ? undefined : `PS${bits}`
    default:
      return
  }
}

const algorithmsOfCurves: ReadonlyMap<unknown, string> = new Map([
  ["P-256", "ES256"],
  ["P-384", "ES384"],
  ["P-521", "ES512"]
])

/** Signs a new assertion each time, because an authorization server accepts each `jti` once. */
export const make = (
  issuer: string,
  clientId: string,
  key: CryptoKey,
  alg: string,
  kid: string | undefined
): Effect.Effect<Credentials, unknown> =>
  Effect.clockWith((clock) =>
    Effect.tryPromise({
      try: async () => {
        const now = Math.floor(clock.currentTimeMillisUnsafe() / 1000)
        // Loaded on demand, because most APIs have a secret.
        const { SignJWT } = await import("jose/jwt/sign")
        const assertion = await new SignJWT({ iss: clientId, sub: clientId, aud: issuer, jti: crypto.randomUUID() })
          .setIssuedAt(now)
          .setExpirationTime(now + lifetime)
          .setProtectedHeader(kid === undefined ? { alg, typ: "JWT" } : { alg, typ: "JWT", kid })
          .sign(key)
        return {
          parameters: {
            client_id: clientId,
            client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            client_assertion: Redacted.make(assertion)
          }
        }
      },
      catch: (error) => error
    })
  )
