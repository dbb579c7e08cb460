/** Lists of alternatives in OpenAPI: combined, and without what is too much. */
import { minimal } from "../requirement/expression.ts"
import { union } from "../requirement/scope.ts"

/** Schemes with their scopes, all of which are needed (OpenAPI, "Security Requirement Object"). */
export type Alternative = Readonly<Record<string, ReadonlyArray<string>>>

// A scheme may be called "constructor".
const scopesOf = (alternative: Alternative, scheme: string): ReadonlyArray<string> | undefined =>
  Object.hasOwn(alternative, scheme) ? alternative[scheme] : undefined

const includes = (left: Alternative, right: Alternative): boolean =>
  Object.entries(right).every(([name, scopes]) => {
    const own = scopesOf(left, name)
    return own !== undefined && scopes.every((scope) => own.includes(scope))
  })

const merge = (left: Alternative, right: Alternative): Alternative => ({
  ...left,
  ...Object.fromEntries(
    Object.entries(right).map(([name, scopes]) => [name, union(scopesOf(left, name) ?? [], scopes)])
  )
})

/** One of these, and one of those. */
export const both = (left: ReadonlyArray<Alternative>, right: ReadonlyArray<Alternative>): ReadonlyArray<Alternative> =>
  left.flatMap((one) => right.map((other) => merge(one, other)))

/** Without alternatives that another one includes. */
export const least = (of: ReadonlyArray<Alternative>): ReadonlyArray<Alternative> => minimal(of, includes)
