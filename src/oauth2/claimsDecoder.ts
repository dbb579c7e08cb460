/** Decodes the claims of a token with the `claims` schema of a scheme. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { VerifiedToken } from "../core/AccessToken.ts"
import { InvalidToken } from "../core/SecurityError.ts"
import { copyOfData } from "../verifier/cache/customVerifier.ts"

export type ClaimsSchema = Schema.Decoder<object>

/** Removes prototypes: an absent claim then reads as `undefined`, whatever a program adds to `Object.prototype`. */
const withoutPrototype = (claims: object): object => {
  try {
    return copyOfData(claims)
  } catch {
    // A proxy may throw. The claims then stay as the schema returned them, and no other request gets them.
    return claims
  }
}

/** Replaces the claims of a token by the decoded claims. */
const decode = (schema: ClaimsSchema | undefined) => {
  if (schema === undefined) return Effect.succeed<VerifiedToken>
  const decode = Schema.decodeUnknownEffect(schema)
  return (token: VerifiedToken) =>
    // Safe cast: the decoded claims are an object, and the scheme's type holds the schema's output type.
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
  // The text of the issue may contain a claim's value, so the error does not contain the issue.
  return (token) => Effect.mapError(decoded(token), () => new InvalidToken({ reason: "Claim" }))
}

/** Decodes the claims of a test token. Dies with an explanation if the schema cannot decode the claims. */
export const testClaims = (
  schema: ClaimsSchema | undefined,
  where: string
): ((token: VerifiedToken) => Effect.Effect<VerifiedToken>) => {
  const decoded = decode(schema)
  return (token) =>
    Effect.catch(decoded(token), (issue) =>
      Effect.die(
        new Error(
          `The claims schema cannot decode the claims given to ${where}. Pass claims as the issuer encodes them. ${issue.message}`
        )
      )
    )
}
