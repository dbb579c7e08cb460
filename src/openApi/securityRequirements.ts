/** What is demanded, as Security Requirement Objects (OpenAPI): a list of alternatives; and the schemes that they name. */
import { alternatives as alternativesOf, type Clause, type Demand } from "../guard/requirement/policy.ts"
import { maxAlternatives, minimal } from "../guard/requirement/expression.ts"
import { union } from "../core/scope.ts"
import type { Scheme } from "../guard/scheme/scheme.ts"

/**
 * The schemes of one alternative with their scopes: all of them are needed. `{}` is the anonymous request.
 *
 * @category models
 * @since 0.1.0
 */
export type SecurityRequirementObject = Readonly<Record<string, ReadonlyArray<string>>>

export const ofDemand = (demand: Demand): ReadonlyArray<SecurityRequirementObject> => {
  const authenticated = demand.reduce<ReadonlyArray<SecurityRequirementObject>>(
    (outer, clause) => bounded(least(both(outer, ofClause(clause)))),
    [{}]
  )
  // There is one bearer token in a request: it is anonymous to all schemes, or to none.
  return demand.every((clause) => clause.some((part) => part.optional)) ? [...authenticated, {}] : authenticated
}

const ofClause = (clause: Clause): ReadonlyArray<SecurityRequirementObject> =>
  clause.flatMap((part) => bounded(alternativesOf(part)).map((scopes) => ({ [part.scheme.name]: scopes })))

const bounded = <A>(of: ReadonlyArray<A> | undefined): ReadonlyArray<A> => {
  if (of === undefined || of.length > maxAlternatives) {
    throw new TypeError(
      `A requirement has more than ${maxAlternatives} alternatives: a document cannot show it. Name fewer, or a scope that implies several.`
    )
  }
  return of
}

/** Notes the schemes of a demand. */
export const declare = (schemes: Map<string, Scheme>, demand: Demand): void => {
  for (const { scheme } of demand.flat()) {
    if ((schemes.get(scheme.name) ?? scheme) !== scheme) {
      throw new TypeError(
        `Two schemes have the name ${JSON.stringify(scheme.name)}: a document can show one. Rename the other.`
      )
    }
    schemes.set(scheme.name, scheme)
  }
}

// A scheme may be called "constructor".
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

/** One of these, and one of those. */
export const both = (
  left: ReadonlyArray<SecurityRequirementObject>,
  right: ReadonlyArray<SecurityRequirementObject>
): ReadonlyArray<SecurityRequirementObject> => left.flatMap((one) => right.map((other) => merge(one, other)))

/** Without alternatives that another one includes. */
const least = (of: ReadonlyArray<SecurityRequirementObject>): ReadonlyArray<SecurityRequirementObject> =>
  minimal(of, includes)
