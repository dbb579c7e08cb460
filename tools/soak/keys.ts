/** Keys and tokens of the issuer. Every process can make tokens, because it gets the private keys. */
import { createPrivateKey, generateKeyPairSync, type JsonWebKey, randomUUID, sign } from "node:crypto"

export interface Signer {
  readonly kid: string
  readonly privateKey: JsonWebKey
  readonly publicKey: JsonWebKey
}

export const audience = "https://api.example.com"

export const makeSigner = (kid: string = randomUUID()): Signer => {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519")
  return { kid, privateKey: privateKey.export({ format: "jwk" }), publicKey: publicKey.export({ format: "jwk" }) }
}

const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url")

const hour = 3600

/** Returns a function that signs the claims of a token which is valid for 12 hours before and after now. */
export const minter = ({ kid, privateKey }: Signer, issuer: string) => {
  const key = createPrivateKey({ key: privateKey, format: "jwk" })
  const header = encode({ alg: "EdDSA", typ: "at+jwt", kid })
  return (subject: string, claims: Readonly<Record<string, unknown>> = {}): string => {
    const now = Math.floor(Date.now() / 1000)
    const payload = encode({
      iss: issuer,
      sub: subject,
      aud: audience,
      client_id: "soak",
      scope: "items:read",
      iat: now - 12 * hour,
      exp: now + 12 * hour,
      jti: randomUUID(),
      ...claims
    })
    const input = `${header}.${payload}`
    return `${input}.${sign(null, Buffer.from(input), key).toString("base64url")}`
  }
}
