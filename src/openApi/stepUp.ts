/** Describes the user's authentication that an operation requires, for programs that read a document. */
import type { RequirementPolicy } from "../guard/requirement/policy.ts"
import * as expression from "../guard/requirement/expression.ts"
import type { Json } from "../core/lib/json.ts"

/**
 * Returns the extension `x-step-up`: for each scheme, the parameters of its challenge (RFC 9470 §3). OpenAPI has no field
 * for them. Alternatives collapse as in the challenge.
 */
export const of = (policy: RequirementPolicy): Json => {
  const schemes = policy.flat().flatMap(({ expression: self, scheme }) => {
    const chosen = expression.chosen(self, (one) => expression.checks(one).length === 0)
    const asked = chosen.filter((leaf) => leaf._tag === "Authentication")
    const request = expression.authenticationRequest(asked)
    if (asked.length === 0 || request === undefined) return []
    const { acrValues, maxAge } = request
    return [
      [
        scheme.name,
        {
          ...(acrValues.length === 0 ? {} : { acr_values: acrValues }),
          ...(maxAge === undefined ? {} : { max_age: maxAge / 1000 })
        }
      ] as const
    ]
  })
  return schemes.length === 0 ? {} : { "x-step-up": Object.fromEntries(schemes) }
}
