/** Describes a policy in sentences, for people who read a document. Writes names as code of CommonMark. */
import type { Authentication, Expression } from "./expression.ts"
import type { Part, PolicyClause, RequirementPolicy } from "./policy.ts"

/** Returns sentences such as "Requires `items:read` and `items:write`." Returns `undefined` for an empty policy. */
export const of = (policy: RequirementPolicy): string | undefined => {
  if (policy.length === 0) return
  const isNamed = new Set(policy.flat().map(({ scheme }) => scheme)).size > 1
  const sources = new Set(policy.flat().map(({ scheme }) => scheme.source))
  // A request is anonymous for all schemes that read the same credential, or for none.
  const optional = sources.size > 1 || policy.every(isOptional) ? policy.filter(isOptional) : []
  const required = policy.filter((clause) => !optional.includes(clause))
  const credential = sources.size === 1 && sources.has(undefined) ? "token" : "credential"
  if (required.length === 0) {
    const condition = !isNamed && optional.flat().every(isPlain) ? undefined : words(optional, isNamed)
    const more = condition === undefined ? "" : ` A request with a ${credential} requires ${condition}.`
    return `Authentication is optional.${more}`
  }
  const more = optional.length === 0 ? "" : ` Optional: ${words(optional, isNamed)}.`
  return `Requires ${words(required, isNamed)}.${more}`
}

const words = (clauses: RequirementPolicy, isNamed: boolean): string =>
  clauses
    .map((clause) => {
      const parts = clause.map((part) => ofPart(part, isNamed)).join(", or ")
      return clauses.length > 1 && clause.length > 1 ? `(${parts})` : parts
    })
    .join(", and ")

const isOptional = (clause: PolicyClause): boolean => clause.some((part) => part.optional)

const isPlain = ({ expression }: Part): boolean => ofExpression(expression) === undefined

const ofPart = ({ expression, scheme }: Part, isNamed: boolean): string => {
  const condition = ofExpression(expression)
  const name = isNamed ? ` of ${code(scheme.name)}` : ""
  if (condition !== undefined && condition !== otherCondition) return `${condition}${name}`
  const credential = `a ${scheme.source === undefined ? "token" : "credential"}${name}`
  return condition === undefined ? credential : `${credential} and ${condition}`
}

// The names of checks stay on the server, because a document is public.
const otherCondition = "another condition"

/** Returns `undefined` if every token satisfies the expression. */
const ofExpression = (self: Expression): string | undefined => {
  switch (self._tag) {
    case "Scope":
    case "Template":
      return code(self.scope)
    case "Check":
      return self.publicName === undefined
        ? otherCondition
        : `authorization details of the type ${code(self.publicName)}`
    case "Authentication":
      return authentication(self)
    case "SenderConstrained":
      return "a token that is bound to the client"
    case "All":
      return joined(
        self.of.flatMap((part) => nested(part, "All") ?? []),
        "and"
      )
    case "Any": {
      const parts = self.of.map((part) => nested(part, "Any"))
      return parts.includes(undefined)
        ? undefined
        : joined(
            parts.flatMap((part) => part ?? []),
            "or"
          )
    }
  }
}

/** Returns words without "and" and "or", so that they need no brackets. */
const authentication = ({ acrValues, words }: Authentication): string => {
  if (acrValues === undefined) return `an authentication within the last ${words}`
  const values = acrValues.map(code).join(", ")
  return acrValues.length === 1
    ? `an authentication of the class ${values}`
    : `an authentication of a class among ${values}`
}

/** Puts alternatives inside a conjunction into brackets, and a conjunction inside alternatives. */
const nested = (self: Expression, outer: "All" | "Any"): string | undefined => {
  const words = ofExpression(self)
  return words !== undefined && self._tag === (outer === "All" ? "Any" : "All") && / (?:and|or) /.test(words)
    ? `(${words})`
    : words
}

/** `a`, `b` and `c`. Each condition appears once, and the condition without a name appears last. */
const joined = (parts: ReadonlyArray<string>, word: "and" | "or"): string | undefined => {
  const distinct = new Set(parts)
  const hasOther = distinct.delete(otherCondition)
  const all = [...distinct, ...(hasOther ? [otherCondition] : [])]
  const last = all.at(-1)
  return all.length < 2 ? last : `${all.slice(0, -1).join(", ")} ${word} ${last}`
}

// A scope may contain a backtick, which would end the code (CommonMark 0.31.2 §6.1).
const code = (name: string): string => {
  const longest = Math.max(0, ...Array.from(name.matchAll(/`+/g), ([run]) => run.length))
  const fence = "`".repeat(longest + 1)
  return longest === 0 ? `${fence}${name}${fence}` : `${fence} ${name} ${fence}`
}
