/** Represents what a route or an endpoint requires of a request: expressions, each with its scheme. */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import type { VerifiedToken } from "../../core/AccessToken.ts"
import type * as Challenge from "../../core/Challenge.ts"
import type { InsufficientScope, SecurityError } from "../../core/SecurityError.ts"
import type { CallingFiber } from "../../verifier/cache/directVerifier.ts"
import { own } from "../../core/lib/ownProperties.ts"
import { no, yes } from "../../core/lib/exit.ts"
import * as expression from "./expression.ts"
import { responding } from "./ownErrors.ts"
import { satisfies } from "../scheme/implication.ts"
import type { Refusal } from "./refusal.ts"
import * as requiredScopes from "../../core/requiredScopes.ts"
import type { RequiredScopes } from "../../core/requiredScopes.ts"
import * as scope from "../../core/scope.ts"
import type { Scheme } from "../scheme/scheme.ts"

/** A service that a requirement adds to the context of its handlers, and the effect that finds it for a request. */
export interface Lookup {
  readonly service: Context.Key<unknown, unknown>
  // The type of the requirement holds the errors and services.
  readonly find: Effect.Effect<unknown>
  readonly error: Schema.Top | undefined
}

/** A requirement of one scheme. Everything that does not depend on the request is computed when the route is built. */
export interface Part {
  readonly scheme: Scheme
  readonly expression: expression.Expression
  /** `true` if a request without a token satisfies this part. */
  readonly optional: boolean
  /** The services that the part provides, outermost first. A look-up may use the services of earlier ones. */
  readonly lookups: ReadonlyArray<Lookup>
  /** The `SecurityScopes` inside this part, if no outer guard requires scopes. */
  readonly required: RequiredScopes
  /** The challenge settings, if no outer guard requires scopes. */
  readonly settings: Challenge.Settings
  /** Whether each request must compute scopes of this part before the decision (`fill.ts`). */
  readonly isTemplate: boolean
  /** The scopes that every accepted token has. `undefined` if they depend on the token. */
  readonly proves: ReadonlySet<string> | undefined
  /** The required scopes. `undefined` if the expression has alternatives, checks or conditions on the authentication. */
  readonly scopes: ReadonlyArray<string> | undefined
  /** The errors created so far, by their missing scopes. */
  readonly insufficient: Map<string, InsufficientScope>
  /** The refusals created so far for constant errors, if no outer guard requires scopes. */
  readonly refusals: Map<SecurityError, Refusal>
  /** The same for requests with the scheme `DPoP`, whose challenge names the error. */
  readonly refusalsOfProofs: Map<SecurityError, Refusal>
}

export const part = (options: Pick<Part, "scheme" | "expression" | "optional" | "lookups">): Part => {
  assertSatisfiable(options)
  return partOf(options)
}

/** Throws if no token can satisfy a part, because its requirements accept different values of `acr`. */
const assertSatisfiable = ({ expression: self, scheme }: Pick<Part, "scheme" | "expression">): void => {
  const all = expression.necessaryAuthentications(self)
  if (expression.authenticationRequest(all) !== undefined) return
  const lists = all.flatMap(({ acrValues }) => (acrValues === undefined ? [] : [JSON.stringify(acrValues)]))
  throw new TypeError(
    `Requirements of the scheme ${JSON.stringify(scheme.name)} accept different acr values, ${lists.join(" and ")}, so no token could satisfy all of them. A token has one acr value. Use values that all requirements have in common.`
  )
}

const partOf = (options: Pick<Part, "scheme" | "expression" | "optional" | "lookups">): Part => ({
  ...options,
  required: requiredScopes.extend(requiredScopes.none, expression.necessary(options.expression), options.scheme),
  settings: formOf(options, scopesToRequest(options, [])),
  isTemplate: expression.templates(options.expression).length > 0,
  proves: expression.isConjunction(options.expression)
    ? scope.setOf(expression.scopes(options.expression).map(provenName))
    : undefined,
  scopes:
    expression.isConjunction(options.expression) &&
    expression.checks(options.expression).length === 0 &&
    expression.authentications(options.expression).length === 0 &&
    !expression.mentionsConstraint(options.expression)
      ? expression.mentioned(options.expression)
      : undefined,
  insufficient: new Map(),
  refusals: new Map(),
  refusalsOfProofs: new Map()
})

/** The name under which a proof holds a scope: `read:{org}` for the scope `read:acme` that a request has computed. */
export const provenName = ({ scope, template = scope }: expression.Scope): string => template

/** Holds if one part holds. */
export type PolicyClause = ReadonlyArray<Part>

/** Holds if every clause holds. The outermost clause is the first. */
export type RequirementPolicy = ReadonlyArray<PolicyClause>

/**
 * Combines two policies. Two clauses with a single part of the same scheme become one clause, at the outer clause's
 * index.
 */
export const combine = (outer: RequirementPolicy, inner: RequirementPolicy): RequirementPolicy =>
  inner.reduce((policy, clause) => {
    const index = policy.findIndex((other) => sole(other)?.scheme === sole(clause)?.scheme)
    const [before, own] = [index === -1 ? undefined : sole(policy[index] ?? []), sole(clause)]
    if (before === undefined || own === undefined) return [...policy, clause]
    const joined = part({
      scheme: own.scheme,
      expression: expression.all([before.expression, own.expression]),
      optional: before.optional && own.optional,
      lookups: [...before.lookups, ...own.lookups]
    })
    return policy.with(index, [joined])
  }, outer)

const sole = (clause: PolicyClause): Part | undefined => (clause.length === 1 ? clause[0] : undefined)

/** Returns the scopes for a part's challenge: first the scopes that outer guards require, then those of the part. */
export const scopesToRequest = (
  part: Pick<Part, "scheme" | "expression">,
  outer: ReadonlyArray<string>
): ReadonlyArray<string> =>
  part.scheme.implication.minimal(scope.union(outer, expression.scopesToRequest(part.expression)))

/** Returns the challenge settings of a part, including the scopes that outer guards require. */
export const settingsOf = (part: Part, outer: ReadonlyArray<string>): Challenge.Settings =>
  outer.length === 0 ? part.settings : formOf(part, scopesToRequest(part, outer))

/** Returns `true` if only a token with a proof satisfies the part. */
export const isProofNeeded = ({ expression: self, scheme }: Pick<Part, "scheme" | "expression">): boolean =>
  scheme.dpop !== undefined &&
  (scheme.dpop.isRequired || (scheme.mutualTls === undefined && expression.needsConstraint(self)))

/** Returns the challenge settings for the given scopes. If only a token with a proof helps, the challenge is that of DPoP. */
export const formOf = (
  { expression: self, scheme }: Pick<Part, "scheme" | "expression">,
  scopes: ReadonlyArray<string>
): Challenge.Settings => {
  const settings = scheme.settings(scopes)
  return isProofNeeded({ expression: self, scheme }) ? { ...settings, authScheme: "DPoP", otherSchemes: [] } : settings
}

/** Returns the challenge settings for a request with the scheme `DPoP`. */
export const withProof = (settings: Challenge.Settings): Challenge.Settings =>
  own(settings, "authScheme") === "DPoP" ? settings : { ...settings, authScheme: "DPoP", otherSchemes: ["Bearer"] }

/**
 * Decides whether a token satisfies the part and has the `outer` scopes. Adds what the decision finds out to
 * `findings`.
 */
export const holds = (
  part: Part,
  outer: ReadonlyArray<string>,
  token: VerifiedToken,
  findings: expression.Findings,
  fiber: CallingFiber
): Effect.Effect<expression.Outcome> => {
  const { implication } = part.scheme
  const has = (name: string) => satisfies(implication, token.scopes, name)
  if (outer.length > 0 && !outer.every(has)) return no
  if (part.scopes === undefined) {
    const facts = { holds: has, token, now: () => nowOf(fiber), isMachine: part.scheme.isMachine, findings }
    return expression.decide(part.expression, facts)
  }
  for (const name of part.scopes) {
    if (!token.scopes.has(name) && !has(name)) return no
  }
  return yes
}

export const nowOf = (fiber: CallingFiber): number => fiber.getRef(Clock.Clock).currentTimeMillisUnsafe()

/** Code of the user that runs for a request, and that may fail with errors of a schema. */
type Custom = expression.Check | Lookup

const map = (
  policy: RequirementPolicy,
  leaf: Parameters<typeof expression.mapLeaves>[1],
  lookups: (lookups: ReadonlyArray<Lookup>) => ReadonlyArray<Lookup>
): RequirementPolicy =>
  policy.map((clause) =>
    clause.map((one) =>
      part({ ...one, expression: expression.mapLeaves(one.expression, leaf), lookups: lookups(one.lookups) })
    )
  )

/**
 * Prepares the user code of a requirement for a route: provides the services around the requirement, and makes errors
 * respond with the status of their schemas. Services of the request take precedence.
 */
export const bindToRoute = (policy: RequirementPolicy, services: Context.Context<never>): RequirementPolicy => {
  // The layer's scope lives as long as the program, so user code must use the request's scope.
  const own = Context.omit(Scope.Scope)(services)
  const bound = <A>(self: Effect.Effect<A>): Effect.Effect<A> =>
    Effect.updateContext(self, (request: Context.Context<never>) => Context.merge(own, request))
  const bind = <A>(self: Effect.Effect<A>, { error }: Custom): Effect.Effect<A> =>
    bound(error === undefined ? self : responding(self, error))
  return map(
    policy,
    (leaf) => {
      if (leaf._tag === "Check") return { ...leaf, holds: (token) => bind(leaf.holds(token), leaf) }
      return leaf._tag === "Template" && leaf.values !== undefined ? { ...leaf, values: bound(leaf.values) } : leaf
    },
    (lookups) => lookups.map((lookup) => ({ ...lookup, find: bind(lookup.find, lookup) }))
  )
}

/**
 * Leaves everything that runs user code to an inner guard, and the user's authentication, which is decided after the
 * checks. The other scopes stay.
 */
export const deferCustom = (policy: RequirementPolicy): RequirementPolicy =>
  runsUserCode(policy) || asksForAuthentication(policy)
    ? map(
        policy,
        (leaf) => {
          if (leaf._tag === "Check" || leaf._tag === "Authentication") return { ...leaf, isDeferred: true }
          return leaf._tag === "Template" && leaf.values !== undefined
            ? expression.constantCheck(leaf.scope, true)
            : leaf
        },
        () => []
      )
    : policy

/** Returns the custom checks and the look-ups of a policy. */
export const custom = (policy: RequirementPolicy): ReadonlyArray<Custom> =>
  policy.flatMap((clause) => clause.flatMap((part) => [...expression.checks(part.expression), ...part.lookups]))

/** Adds a service to every part of a policy. */
export const withLookup = (policy: RequirementPolicy, lookup: Lookup): RequirementPolicy =>
  policy.map((clause) => clause.map((one) => part({ ...one, lookups: [...one.lookups, lookup] })))

/** Returns the tags of the errors that a part can cause. */
export const errorsOf = (part: Part): ReadonlyArray<SecurityError["_tag"]> => [
  ...(part.optional ? [] : (["NotAuthenticated"] as const)),
  "InvalidRequest",
  "InvalidToken",
  ...(part.scheme.dpop === undefined ? [] : (["InvalidDpopProof"] as const)),
  ...(part.scheme.dpop?.nonces === true ? (["UseDpopNonce"] as const) : []),
  ...(expression.decides(part.expression) && expression.mentionsScopes(part.expression)
    ? (["InsufficientScope"] as const)
    : []),
  ...(expression.decides(part.expression) && expression.canFailChecks(part.expression)
    ? (["FailedCheck"] as const)
    : []),
  ...(expression.authentications(part.expression).length > 0 ? (["InsufficientUserAuthentication"] as const) : []),
  "AuthorizationServerUnavailable"
]

/** Returns the alternatives of a part, including implying scopes. Returns `undefined` if there are too many. */
export const alternatives = ({ expression: self, scheme }: Part): ReadonlyArray<ReadonlyArray<string>> | undefined =>
  expression.alternatives(expression.mapScopes(self, (name) => scheme.implication.impliedBy(name)))

/** Returns `true` if a policy runs user code: custom checks, look-ups, or values of placeholders. */
export const runsUserCode = (policy: RequirementPolicy): boolean =>
  custom(policy).length > 0 ||
  policy.some((clause) =>
    clause.some(({ expression: self }) => expression.templates(self).some(({ values }) => values !== undefined))
  )

/** Returns `true` if a policy has conditions on the user's authentication. */
const asksForAuthentication = (policy: RequirementPolicy): boolean =>
  policy.some((clause) => clause.some((part) => expression.authentications(part.expression).length > 0))

/** Describes a policy in messages: `"a", "b" of the scheme "OAuth2"`. */
export const describe = (policy: RequirementPolicy): string =>
  policy.map((clause) => clause.map(describePart).join(" or ")).join(" and ")

const describePart = ({ expression: self, optional, scheme }: Part): string => {
  const names = [
    ...expression.mentioned(self),
    ...[...expression.checks(self), ...expression.authentications(self)].map(expression.nameOf)
  ]
  const needed = names.length === 0 ? "a token" : names.map((name) => JSON.stringify(name)).join(", ")
  return `${needed} of the scheme ${JSON.stringify(scheme.name)}${optional ? ", optionally" : ""}`
}
