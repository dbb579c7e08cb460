/** Decodes a token's claims by the schema of a scheme. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { VerifiedToken } from "../core/AccessToken.ts"
import { InvalidToken } from "../core/SecurityError.ts"
import { copyOfData } from "../verifier/cache/userVerifier.ts"

export type ClaimsSchema = Schema.Decoder<object>

/** A check may read a claim that is absent: it is `undefined`, whatever a program adds to `Object.prototype`. */
const withoutPrototype = (claims: object): object => {
  try {
    return copyOfData(claims)
  } catch {
    // A proxy may throw. Then the claims are as the schema gives them, and no other request gets them.
    return claims
  }
}

/** Puts decoded claims in the place of a token's own. */
const decode = (schema: ClaimsSchema | undefined) => {
  if (schema === undefined) return Effect.succeed<VerifiedToken>
  const decode = Schema.decodeUnknownEffect(schema)
  return (token: VerifiedToken) =>
    // Sound: they are an object, of whose properties this says nothing; what the schema knows of them is in the type of its scheme.
    Effect.map(decode(token.claims), (claims) => ({
      ...token,
      claims: withoutPrototype(claims) as VerifiedToken["claims"]
    }))
}

/** Refuses a token whose claims do not decode. */
export const claimsDecoder = (
  schema: ClaimsSchema
): ((token: VerifiedToken) => Effect.Effect<VerifiedToken, InvalidToken>) => {
  const decoded = decode(schema)
  // The issue's text may hold what a claim holds: only that a claim was refused is told.
  return (token) => Effect.mapError(decoded(token), () => new InvalidToken({ reason: "Claim" }))
}

/** Claims that a test gives, and that do not decode, are the test's mistake: a defect that says what is wrong with them. */
export const testClaims = (
  schema: ClaimsSchema | undefined,
  where: string
): ((token: VerifiedToken) => Effect.Effect<VerifiedToken>) => {
  const decoded = decode(schema)
  return (token) =>
    Effect.catch(decoded(token), (issue) =>
      Effect.die(new Error(`The claims given to ${where} are not those of the scheme: ${issue.message}`))
    )
}
