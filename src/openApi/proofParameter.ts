/** Describes the header with the proof of a bound token, which no security scheme of OpenAPI can express. */
import { field, type Json } from "../core/lib/json.ts"
import { isProofNeeded, type Part, type RequirementPolicy } from "../guard/requirement/policy.ts"

const needsProof = (part: Part): boolean => !part.optional && isProofNeeded(part)

/** Returns the parameters of the operation: the header `DPoP`, if a scheme of the policy accepts bound tokens. */
export const of = (policy: RequirementPolicy): ReadonlyArray<Json> =>
  policy.flat().some(({ scheme }) => scheme.dpop !== undefined)
    ? [
        {
          name: "DPoP",
          in: "header",
          required: policy.some((clause) => clause.every(needsProof)),
          description: "Proof that the client holds the key of the token: a JWT for this request (RFC 9449 §4.2)",
          schema: { type: "string" }
        }
      ]
    : []

/** Adds parameters to those that an operation declares itself. */
export const add = (own: unknown, added: ReadonlyArray<Json>): ReadonlyArray<unknown> => {
  const declared: ReadonlyArray<unknown> = Array.isArray(own) ? own : []
  const nameOf = (parameter: unknown) => String(field(parameter, "name")).toLowerCase()
  return [
    ...declared,
    ...added.filter(
      (one) => !declared.some((other) => field(other, "in") === one["in"] && nameOf(other) === nameOf(one))
    )
  ]
}
