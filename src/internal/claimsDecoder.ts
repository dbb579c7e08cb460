import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { VerifiedToken } from "../AccessToken.ts"
import { InvalidToken } from "../SecurityError.ts"

/** Puts decoded claims in the place of a token's own; refuses a token whose claims do not decode. */
export const claimsDecoder = (
  schema: Schema.Decoder<object> | undefined
): ((token: VerifiedToken) => Effect.Effect<VerifiedToken, InvalidToken>) => {
  if (schema === undefined) return Effect.succeed
  const decode = Schema.decodeUnknownEffect(schema)
  return (token) =>
    Effect.matchEffect(decode(token.claims), {
      // The text may hold what a claim holds: only that a claim was refused is told.
      onFailure: () => Effect.fail(new InvalidToken({ reason: "Claim" })),
      // Sound: they are an object, of whose properties this says nothing; what the schema knows of them is in the type of its scheme.
      onSuccess: (claims) => Effect.succeed({ ...token, claims: claims as VerifiedToken["claims"] })
    })
}
