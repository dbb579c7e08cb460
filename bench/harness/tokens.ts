/** Mints access tokens as providers issue them (RFC 9068). An RS256 token has about 850 characters. */
import { createPrivateKey, randomUUID, sign } from "node:crypto"
import { audience, type Minter } from "./issuer.ts"

export interface Token {
  readonly compact: string
  readonly subject: string
}

const hour = 3600

const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url")

export const minting = (
  { algorithm, issuer, key, kid }: Minter,
  scopes: ReadonlyArray<string> = ["items:read", "items:write"],
  claims: Readonly<Record<string, unknown>> = {}
): ((index: number) => Token) => {
  const privateKey = createPrivateKey({ key, format: "jwk" })
  const header = encode({ alg: algorithm, typ: "at+jwt", kid })
  const now = Math.floor(Date.now() / 1000)
  return (index) => {
    const subject = subjectOf(index)
    const payload = encode({
      iss: issuer,
      sub: subject,
      aud: audience,
      client_id: "items-web-application",
      scope: ["openid", "profile", ...scopes].join(" "),
      iat: now,
      auth_time: now,
      exp: now + 24 * hour,
      jti: randomUUID(),
      sid: randomUUID(),
      ...claims
    })
    const input = `${header}.${payload}`
    const signature = sign(algorithm === "EdDSA" ? null : "sha256", Buffer.from(input), {
      key: privateKey,
      dsaEncoding: "ieee-p1363"
    })
    return { compact: `${input}.${signature.toString("base64url")}`, subject }
  }
}

// Has the length of the subject that the open route returns, so that all bodies have the same length.
const subjectOf = (index: number): string => `user-${String(index).padStart(7, "0")}`
