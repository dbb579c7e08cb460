/** What Sign in with Apple does differently: a signed client secret, and claims in the form of the response. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { isReadonlyObject } from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import { importPKCS8 } from "jose/key/import"
import { SignJWT } from "jose/jwt/sign"
import { own } from "../../core/lib/ownProperties.ts"
import type { Claims } from "./model.ts"

export const issuer = "https://appleid.apple.com"

// Apple accepts up to 6 months. The secret is signed for each request, so a short time is enough.
const lifetime = 300

interface Keys {
  readonly clientId: string
  readonly teamId: string
  readonly keyId: string
  readonly privateKey: Redacted.Redacted
}

/** Returns the client secret: a JWT that the key of the developer signs. */
export const clientSecret = ({ clientId, keyId, privateKey, teamId }: Keys) =>
  Effect.flatMap(Clock.currentTimeMillis, (now) =>
    Effect.tryPromise(async () => {
      const key = await importPKCS8(Redacted.value(privateKey), "ES256")
      const issuedAt = Math.floor(now / 1000)
      const claims = { iss: teamId, sub: clientId, aud: issuer, iat: issuedAt, exp: issuedAt + lifetime }
      return Redacted.make(await new SignJWT(claims).setProtectedHeader({ alg: "ES256", kid: keyId }).sign(key))
    })
  )

/**
 * Turns the strings "true" and "false" into booleans, and adds the name. Apple sends the name once, at the first
 * consent, in the form of the response. It is not signed, so it must not decide anything.
 */
export const readClaims = (claims: Claims, form: Readonly<Record<string, string>>): Claims => {
  const name = nameIn(form["user"])
  return {
    ...claims,
    ...booleanOf(claims, "email_verified"),
    ...booleanOf(claims, "is_private_email"),
    ...(name !== undefined && { name })
  }
}

const booleanOf = (claims: Claims, name: string): Claims => {
  const value = claims[name]
  return value === "true" || value === "false" ? { [name]: value === "true" } : {}
}

const maxNameLength = 200

const nameIn = (user: string | undefined): string | undefined => {
  if (user === undefined || user.length > 2000) return
  try {
    const parsed: unknown = JSON.parse(user)
    const name = isReadonlyObject(parsed) ? own(parsed, "name") : undefined
    const parts = [own(name, "firstName"), own(name, "lastName")].filter((part) => typeof part === "string")
    const text = parts.join(" ").trim()
    return text === "" || text.length > maxNameLength ? undefined : text
  } catch {
    return
  }
}
