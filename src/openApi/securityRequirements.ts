/** Converts a policy to Security Requirement Objects, one for each alternative (OpenAPI 3.1). */
import {
  alternatives as alternativesOf,
  type PolicyClause,
  type RequirementPolicy
} from "../guard/requirement/policy.ts"
import { maxAlternatives, minimal } from "../guard/requirement/expression.ts"
import { union } from "../core/scope.ts"
import type { Scheme } from "../guard/scheme/scheme.ts"

/**
 * Schemes of one alternative with their scopes, all of which are required. `{}` is an anonymous request.
 *
 * @category models
 * @since 0.1.0
 */
export type SecurityRequirementObject = Readonly<Record<string, ReadonlyArray<string>>>

export const ofPolicy = (policy: RequirementPolicy): ReadonlyArray<SecurityRequirementObject> => {
  const isOptional = (clause: PolicyClause) => clause.some((part) => part.optional)
  // A request is anonymous for all schemes that read the same credential, or for none. It may have an API key and no
  // bearer token.
  const isOneCredential = new Set(policy.flat().map(({ scheme }) => scheme.source)).size === 1
  const authenticated = policy.reduce<ReadonlyArray<SecurityRequirementObject>>(
    (outer, clause) => {
      const own = ofClause(clause)
      const anonymous = !isOneCredential && isOptional(clause) ? [{}] : []
      return bounded(unique(withoutBoth(combinations(outer, [...own, ...anonymous]), policy), anonymous.length > 0))
    },
    [{}]
  )
  return isOneCredential && policy.every(isOptional) ? [...authenticated, {}] : authenticated
}

// If a requirement has an anonymous alternative, the other alternatives stay in the document. They tell clients which
// credentials the API accepts.
const unique = (
  of: ReadonlyArray<SecurityRequirementObject>,
  isAnonymous: boolean
): ReadonlyArray<SecurityRequirementObject> =>
  isAnonymous
    ? [...new Map(of.map((alternative) => [JSON.stringify(alternative), alternative])).values()]
    : withoutRedundant(of)

const ofClause = (clause: PolicyClause): ReadonlyArray<SecurityRequirementObject> =>
  clause.flatMap((part) => {
    const alternatives = bounded(alternativesOf(part))
    const session = sessionName(part.scheme)
    return [part.scheme.name, ...(session === undefined ? [] : [session])].flatMap((name) =>
      alternatives.map((scopes) => ({ [name]: scopes }))
    )
  })

/** Returns the name under which documents show the session cookie of a scheme that also accepts bearer tokens. */
export const sessionName = ({ name, session, source }: Scheme): string | undefined =>
  session !== undefined && source === undefined ? `${name}Session` : undefined

/** A request with the cookie and the bearer token of one scheme is refused, so no alternative names both. */
const withoutBoth = (
  of: ReadonlyArray<SecurityRequirementObject>,
  policy: RequirementPolicy
): ReadonlyArray<SecurityRequirementObject> => {
  const pairs = policy.flat().flatMap(({ scheme }) => {
    const session = sessionName(scheme)
    return session === undefined ? [] : [[scheme.name, session] as const]
  })
  return pairs.length === 0
    ? of
    : of.filter((one) => !pairs.some((pair) => pair.every((name) => Object.hasOwn(one, name))))
}

const bounded = <A>(of: ReadonlyArray<A> | undefined): ReadonlyArray<A> => {
  if (of === undefined || of.length > maxAlternatives) {
    throw new TypeError(
      `A requirement has more than ${maxAlternatives} alternatives, so an OpenAPI document cannot show it. Use fewer alternatives, or require a scope that implies several others (option implies).`
    )
  }
  return of
}

/** Adds the schemes of a policy to `schemes`. Throws if two different schemes have the same name. */
export const declare = (schemes: Map<string, Scheme>, policy: RequirementPolicy): void => {
  for (const { scheme } of policy.flat()) {
    if ((schemes.get(scheme.name) ?? scheme) !== scheme) {
      throw new TypeError(
        `Two different schemes are named ${JSON.stringify(scheme.name)}, but a document can show only one of them. Rename the other.`
      )
    }
    schemes.set(scheme.name, scheme)
  }
}

// A scheme may have the name "constructor", which every object inherits.
const scopesOf = (alternative: SecurityRequirementObject, scheme: string): ReadonlyArray<string> | undefined =>
  Object.hasOwn(alternative, scheme) ? alternative[scheme] : undefined

const includes = (left: SecurityRequirementObject, right: SecurityRequirementObject): boolean =>
  Object.entries(right).every(([name, scopes]) => {
    const own = scopesOf(left, name)
    return own !== undefined && scopes.every((scope) => own.includes(scope))
  })

const merge = (left: SecurityRequirementObject, right: SecurityRequirementObject): SecurityRequirementObject => ({
  ...left,
  ...Object.fromEntries(
    Object.entries(right).map(([name, scopes]) => [name, union(scopesOf(left, name) ?? [], scopes)])
  )
})

// [{ A: ["a"] }, { B: [] }] and [{ A: ["c"] }] -> [{ A: ["a", "c"] }, { B: [], A: ["c"] }]
export const combinations = (
  left: ReadonlyArray<SecurityRequirementObject>,
  right: ReadonlyArray<SecurityRequirementObject>
): ReadonlyArray<SecurityRequirementObject> => left.flatMap((one) => right.map((other) => merge(one, other)))

// [{ A: ["a"] }, { A: ["a", "b"] }] -> [{ A: ["a"] }]
const withoutRedundant = (of: ReadonlyArray<SecurityRequirementObject>): ReadonlyArray<SecurityRequirementObject> =>
  minimal(of, includes)
