/** Describes a requirement in words, for people who read logs. */
import type { Expression } from "./expression.ts"
import type { PolicyClause, Part, RequirementPolicy } from "./policy.ts"

/** Returns a description such as `a token of the scheme "OAuth2" with "a" and ("b" or "c")`. */
export const describe = (policy: RequirementPolicy): string => policy.map((clause) => ofClause(clause)).join(", and ")

const ofClause = (clause: PolicyClause): string => clause.map(ofPart).join(", or ")

const ofPart = ({ expression, optional, scheme }: Part): string => {
  const credential = scheme.source === undefined ? "token" : "credential"
  const condition = ofExpression(expression)
  return `${optional ? `no ${credential}, or ` : ""}a ${credential} of the scheme ${JSON.stringify(scheme.name)}${condition === undefined ? "" : ` with ${condition}`}`
}

/** Returns `undefined` if every token satisfies the expression. */
const ofExpression = (self: Expression): string | undefined => {
  switch (self._tag) {
    case "Scope":
    case "Template":
      return JSON.stringify(self.scope)
    case "Check":
      return `the check ${JSON.stringify(self.name)}`
    case "SenderConstrained":
      return "a key or certificate of the client"
    case "Authentication":
      return self.acrValues === undefined
        ? `an authentication within ${self.words}`
        : `the acr ${self.acrValues.map((value) => JSON.stringify(value)).join(", ")}`
    case "All": {
      const parts = self.of.flatMap((part) => (ofExpression(part) === undefined ? [] : [nested(part)]))
      return parts.length === 0 ? undefined : parts.join(" and ")
    }
    case "Any": {
      const parts = self.of.map(ofExpression)
      return parts.includes(undefined) ? undefined : self.of.map(nested).join(" or ")
    }
  }
}

const nested = (self: Expression): string => {
  const words = ofExpression(self) ?? ""
  return / (?:and|or) /.test(words) && (self._tag === "All" || self._tag === "Any") ? `(${words})` : words
}
