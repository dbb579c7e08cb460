/** What a route or an endpoint asks of a request: requirements, with the schemes that they are of. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import type { VerifiedToken } from "../../core/AccessToken.ts"
import type * as Challenge from "../../core/Challenge.ts"
import type { InsufficientScope, SecurityError } from "../../core/SecurityError.ts"
import { no, yes } from "../../core/lib/exit.ts"
import * as expression from "./expression.ts"
import { satisfies } from "../scheme/implication.ts"
import type { Refusal } from "./refusal.ts"
import * as requiredScopes from "../../core/requiredScopes.ts"
import type { RequiredScopes } from "../../core/requiredScopes.ts"
import * as scope from "../../core/scope.ts"
import type { Scheme } from "../scheme/scheme.ts"

/**
 * What one scheme is asked: an expression over its scopes, of a token that may be absent where it is optional. What follows from that alone is computed
 * when the route is built.
 */
export interface Part {
  readonly scheme: Scheme
  readonly expression: expression.Expression
  readonly optional: boolean
  /** What `SecurityScopes` is inside, where nothing was required outside. */
  readonly required: RequiredScopes
  /** How a refusal is answered, where nothing was required outside. */
  readonly settings: Challenge.Settings
  /** What is proven by the very fact that it holds; `undefined` where that depends on the token. */
  readonly proves: ReadonlySet<string> | undefined
  /** The scopes that are all there is to it; `undefined` where alternatives or checks decide, too. */
  readonly scopes: ReadonlyArray<string> | undefined
  /** Its errors so far, by the scopes that were missing. */
  readonly insufficient: Map<string, InsufficientScope>
  /** Its refusals so far, of errors that are made once, where nothing was required outside. */
  readonly refusals: Map<SecurityError, Refusal>
}

export const part = (options: Pick<Part, "scheme" | "expression" | "optional">): Part => ({
  ...options,
  required: requiredScopes.extend(requiredScopes.none, expression.necessary(options.expression), options.scheme),
  settings: options.scheme.settings(asked(options, [])),
  proves: expression.isConjunction(options.expression)
    ? scope.setOf(expression.mentioned(options.expression))
    : undefined,
  scopes:
    expression.isConjunction(options.expression) && expression.checks(options.expression).length === 0
      ? expression.mentioned(options.expression)
      : undefined,
  insufficient: new Map(),
  refusals: new Map()
})

/** One of these parts. */
export type Clause = ReadonlyArray<Part>

/** All of these clauses, outermost first. */
export type Policy = ReadonlyArray<Clause>

/** Both demands as one: what is asked of the same scheme, alone, becomes one part at the place of the outermost. */
export const combine = (outer: Policy, inner: Policy): Policy =>
  inner.reduce((policy, clause) => {
    const index = policy.findIndex((other) => sole(other)?.scheme === sole(clause)?.scheme)
    const [before, own] = [sole(policy[index] ?? []), sole(clause)]
    if (before === undefined || own === undefined) return [...policy, clause]
    const joined = part({
      scheme: own.scheme,
      expression: expression.all([before.expression, own.expression]),
      optional: before.optional && own.optional
    })
    return policy.with(index, [joined])
  }, outer)

const sole = (clause: Clause): Part | undefined => (clause.length === 1 ? clause[0] : undefined)

/** The scopes that a part's challenge names, after those that were asked further out. */
export const asked = (part: Pick<Part, "scheme" | "expression">, outer: ReadonlyArray<string>): ReadonlyArray<string> =>
  part.scheme.implication.minimal(scope.union(outer, expression.asked(part.expression)))

/** How a refusal is answered, after what was required further out. */
export const settingsOf = (part: Part, outer: ReadonlyArray<string>): Challenge.Settings =>
  outer.length === 0 ? part.settings : part.scheme.settings(asked(part, outer))

/** Whether a verified token satisfies the part, and what was required further out. The names of the checks that said no are put into `failed`. */
export const holds = (
  part: Part,
  outer: ReadonlyArray<string>,
  token: VerifiedToken,
  failed: Array<string>
): Effect.Effect<boolean> => {
  const { implication } = part.scheme
  const has = (name: string) => satisfies(implication, token.scopes, name)
  if (outer.length > 0 && !outer.every(has)) return no
  if (part.scopes === undefined) return expression.decide(part.expression, has, token, failed)
  for (const name of part.scopes) {
    if (!token.scopes.has(name) && !has(name)) return no
  }
  return yes
}

const mapChecks = (policy: Policy, f: (check: expression.Check) => expression.Check): Policy =>
  policy.map((clause) => clause.map((one) => part({ ...one, expression: expression.mapChecks(one.expression, f) })))

/** Gives the checks the services that are there now: each requirement's own, whatever it is combined with. A request's context comes first. */
export const bindChecks = (policy: Policy, services: Context.Context<never>): Policy => {
  // The scope in which a layer is built is not that of a request.
  const own = Context.omit(Scope.Scope)(services)
  return mapChecks(policy, (check) => ({
    ...check,
    holds: (token) =>
      Effect.updateContext(check.holds(token), (request: Context.Context<never>) => Context.merge(own, request))
  }))
}

/** The same scopes, with the checks left to a guard further in. */
export const deferChecks = (policy: Policy): Policy =>
  hasChecks(policy) ? mapChecks(policy, (check) => ({ ...check, isDeferred: true })) : policy

/** The errors that can come of a part, by their tags. */
export const errorsOf = (part: Part): ReadonlyArray<SecurityError["_tag"]> => [
  ...(part.optional ? [] : (["NotAuthenticated"] as const)),
  "InvalidRequest",
  "InvalidToken",
  ...(expression.decides(part.expression) ? (["InsufficientScope"] as const) : []),
  "AuthorizationServerUnavailable"
]

/** The alternatives of a part, those by implied scopes among them; `undefined` where there are too many. */
export const alternatives = ({ expression: self, scheme }: Part): ReadonlyArray<ReadonlyArray<string>> | undefined =>
  expression.alternatives(expression.mapScopes(self, (name) => scheme.implication.impliedBy(name)))

/** Whether checks of the user's own decide too. */
export const hasChecks = (policy: Policy): boolean =>
  policy.some((clause) => clause.some((part) => expression.checks(part.expression).length > 0))

/** The demand in words, for messages to the programmer. */
export const describe = (policy: Policy): string =>
  policy.map((clause) => clause.map(describePart).join(" or ")).join(" and ")

const describePart = ({ expression: self, optional, scheme }: Part): string => {
  const names = [...expression.mentioned(self), ...expression.checks(self).map(({ name }) => name)]
  const needed = names.length === 0 ? "a token" : names.map((name) => JSON.stringify(name)).join(", ")
  return `${needed} of the scheme ${JSON.stringify(scheme.name)}${optional ? ", optionally" : ""}`
}
