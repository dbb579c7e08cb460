/**
 * Represents requirements as data, and derives the decision, the challenge and the OpenAPI alternatives from the data.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import type { VerifiedToken } from "../../core/AccessToken.ts"
import { confirmationOf } from "../../core/confirmation.ts"
import { no, stepUp, yes } from "../../core/lib/exit.ts"
import type * as schemes from "../scheme/scheme.ts"

/** A requirement as data. */
export type Expression = Scope | Template | All | Any | Check | Authentication | SenderConstrained

export interface Scope {
  readonly _tag: "Scope"
  readonly scope: string
  /**
   * The declared scope with placeholders that a request has filled. `undefined` if the scope has none. Always an own
   * property: an inherited value would change what a proof contains.
   */
  readonly template: string | undefined
}

/** A declared scope with placeholders, such as `read:{org}`. Each request replaces it by a scope or a failed check. */
export interface Template {
  readonly _tag: "Template"
  readonly scope: string
  /** The values of the placeholders. `undefined`: the path parameters of the route. */
  readonly values: Effect.Effect<unknown> | undefined
}

export interface All {
  readonly _tag: "All"
  readonly of: ReadonlyArray<Expression>
}

export interface Any {
  readonly _tag: "Any"
  readonly of: ReadonlyArray<Expression>
}

export interface Check {
  readonly _tag: "Check"
  readonly name: string
  // The type of the requirement that contains this expression has the services and errors.
  readonly holds: (token: VerifiedToken) => Effect.Effect<boolean, never>
  /** What documents say about the check. `undefined` if the check stays on the server. */
  readonly publicName: string | undefined
  readonly error: Schema.Top | undefined
  /** The scheme whose claims the check reads. `undefined` if the check works with every scheme. */
  readonly scheme: schemes.Scheme | undefined
  /**
   * `true` if an inner guard runs the check. The check then counts as passed here. This is always an own property,
   * because an inherited value would skip the check.
   */
  readonly isDeferred: boolean
}

/** A condition on the user's authentication (RFC 9470). Either `acrValues` or `maxAge` is set. */
export interface Authentication {
  readonly _tag: "Authentication"
  /** The accepted values of `acr`, in order of preference. */
  readonly acrValues: ReadonlyArray<string> | undefined
  /** The maximum time since the authentication, in milliseconds. */
  readonly maxAge: number | undefined
  /** How much the clocks of the issuer and of the API may differ, in milliseconds. */
  readonly clockTolerance: number
  /** The maximum time in words, such as `5 minutes`. */
  readonly words: string
  /** `true` if an inner guard decides. This is always an own property, because an inherited value would skip it. */
  readonly isDeferred: boolean
}

/**
 * Returns the names under which a proof holds an authentication. A name contains a space, so it is no scope. A proof
 * holds the class that the token has, and the time as the requirement states it.
 */
export const authenticationNames = ({ acrValues, words }: Authentication): ReadonlyArray<string> =>
  acrValues === undefined ? [`authenticated within ${words}`] : acrValues.map((value) => `acr ${value}`)

/** Returns the name of a condition that a token does not satisfy, for logs. */
export const nameOf = (self: Check | Authentication): string =>
  self._tag === "Check" ? self.name : authenticationNames(self).join(" or ")

/** Returns `true` if the user's authentication satisfies the condition. `iat` never stands for `auth_time`. */
export const isAuthenticated = (self: Authentication, token: VerifiedToken, now: number): boolean => {
  const { acrValues, clockTolerance, maxAge = Infinity } = self
  if (acrValues !== undefined) return Option.isSome(token.acr) && acrValues.includes(token.acr.value)
  if (Option.isNone(token.authenticatedAt)) return false
  const age = now - token.authenticatedAt.value.epochMilliseconds
  // A time in the future is not a time of authentication.
  return age <= maxAge + clockTolerance && age >= -clockTolerance
}

/** Holds if the token is bound to a key or a certificate of the client, which the authenticator has verified. */
export interface SenderConstrained {
  readonly _tag: "SenderConstrained"
}

/** The name under which a proof holds that the token is bound. It contains a space, so it is no scope. */
export const boundTokenName = "bound token"

export const senderConstrained: SenderConstrained = { _tag: "SenderConstrained" }

/** Creates a scope without placeholders. */
export const scopeNamed = (scope: string): Scope => ({ _tag: "Scope", scope, template: undefined })

/** Creates a check that always passes or always fails. */
export const constantCheck = (name: string, passes: boolean): Check => ({
  _tag: "Check",
  name,
  holds: () => (passes ? yes : no),
  publicName: undefined,
  error: undefined,
  scheme: undefined,
  isDeferred: false
})

export const all = (of: ReadonlyArray<Expression>): Expression =>
  of.length === 1 && of[0] !== undefined ? of[0] : { _tag: "All", of }

export const any = (of: ReadonlyArray<Expression>): Expression =>
  of.length === 1 && of[0] !== undefined ? of[0] : { _tag: "Any", of }

const concat = <A>(lists: ReadonlyArray<ReadonlyArray<A>>): ReadonlyArray<A> => Array.from(new Set(lists.flat()))

/** Returns the scopes of all parts, in order. `ofAny` chooses the scopes of alternatives. */
const scopesOf = (
  self: Expression,
  ofAny: (of: ReadonlyArray<Expression>) => ReadonlyArray<string>
): ReadonlyArray<string> => {
  switch (self._tag) {
    case "Scope":
    case "Template":
      return [self.scope]
    case "Check":
    case "Authentication":
    case "SenderConstrained":
      return []
    case "All":
      return concat(self.of.map((part) => scopesOf(part, ofAny)))
    case "Any":
      return ofAny(self.of)
  }
}

/** Returns every mentioned scope once, in order. */
export const mentioned = (self: Expression): ReadonlyArray<string> => scopesOf(self, (of) => concat(of.map(mentioned)))

/** Returns `true` if only a token that is bound to a key satisfies the expression. */
export const needsConstraint = (self: Expression): boolean => {
  switch (self._tag) {
    case "SenderConstrained":
      return true
    case "All":
      return self.of.some(needsConstraint)
    case "Any":
      return self.of.every(needsConstraint)
    default:
      return false
  }
}

/** Returns `true` if the expression, or a part of it, needs a token that is bound to a key. */
export const mentionsConstraint = (self: Expression): boolean =>
  leaves(self).some((leaf) => leaf._tag === "SenderConstrained")

/** Returns `true` if the expression can refuse a valid token. */
export const decides = (self: Expression): boolean =>
  self._tag === "Scope" ||
  self._tag === "Template" ||
  self._tag === "Check" ||
  self._tag === "Authentication" ||
  self._tag === "SenderConstrained" ||
  (self._tag === "All" ? self.of.some(decides) : self.of.every(decides))

/** Returns `true` if a custom check, or a condition that fails like a check, can refuse a token. */
export const canFailChecks = (self: Expression): boolean =>
  leaves(self).some(({ _tag }) => _tag === "Check" || _tag === "Authentication" || _tag === "Template")

/** Returns `true` if the expression mentions a scope, also a scope that a request computes. */
export const mentionsScopes = (self: Expression): boolean =>
  leaves(self).some(({ _tag }) => _tag === "Scope" || _tag === "Template")

/** Returns `true` if the expression has no alternatives at any depth. */
export const isConjunction = (self: Expression): boolean =>
  self._tag === "All" ? self.of.every(isConjunction) : self._tag !== "Any"

/** Replaces each scope by a choice of scopes. */
export const mapScopes = (self: Expression, f: (scope: string) => ReadonlyArray<string>): Expression => {
  switch (self._tag) {
    case "Scope":
    case "Template":
      return any(f(self.scope).map(scopeNamed))
    case "Check":
    case "Authentication":
    case "SenderConstrained":
      return self
    default:
      return { _tag: self._tag, of: self.of.map((part) => mapScopes(part, f)) }
  }
}

/** Replaces each scope and each check. */
export const mapLeaves = (self: Expression, f: (leaf: Leaf) => Expression): Expression =>
  isLeaf(self) ? f(self) : { _tag: self._tag, of: self.of.map((part) => mapLeaves(part, f)) }

type Leaf = Scope | Template | Check | Authentication | SenderConstrained

const isLeaf = (self: Expression): self is Leaf => self._tag !== "All" && self._tag !== "Any"

const leaves = (self: Expression): ReadonlyArray<Leaf> => (isLeaf(self) ? [self] : self.of.flatMap(leaves))

/** Returns the checks, in order. */
export const checks = (self: Expression): ReadonlyArray<Check> => leaves(self).filter((leaf) => leaf._tag === "Check")

/** Returns the conditions on the user's authentication, in order. */
export const authentications = (self: Expression): ReadonlyArray<Authentication> =>
  leaves(self).filter((leaf) => leaf._tag === "Authentication")

/**
 * Returns the parts that hold together for a client that chooses one alternative: the first that `prefers` accepts, or
 * else the first.
 */
export const chosen = (self: Expression, prefers: (part: Expression) => boolean): ReadonlyArray<Leaf> => {
  switch (self._tag) {
    case "All":
      return self.of.flatMap((part) => chosen(part, prefers))
    case "Any": {
      const part = self.of.find(prefers) ?? self.of[0]
      return part === undefined ? [] : chosen(part, prefers)
    }
    default:
      return [self]
  }
}

/** The authentication that a client should request. */
export interface AuthenticationRequest {
  readonly acrValues: ReadonlyArray<string>
  /** Milliseconds. */
  readonly maxAge: number | undefined
}

/**
 * Combines conditions that must hold together. Returns `undefined` if no token can satisfy all of them, because a token
 * has one value of `acr`.
 */
export const authenticationRequest = (of: ReadonlyArray<Authentication>): AuthenticationRequest | undefined => {
  const [first, ...others] = of.flatMap(({ acrValues }) => (acrValues === undefined ? [] : [acrValues]))
  const acrValues = (first ?? []).filter((value) => others.every((values) => values.includes(value)))
  if (first !== undefined && acrValues.length === 0) return
  const ages = of.flatMap(({ maxAge }) => maxAge ?? [])
  return { acrValues, maxAge: ages.length === 0 ? undefined : Math.min(...ages) }
}

/** Returns the conditions on the authentication that hold together in every alternative. */
export const necessaryAuthentications = (self: Expression): ReadonlyArray<Authentication> =>
  self._tag === "All" ? self.of.flatMap(necessaryAuthentications) : self._tag === "Authentication" ? [self] : []

/** Returns the scopes that a request must compute. */
export const templates = (self: Expression): ReadonlyArray<Template> =>
  leaves(self).filter((leaf) => leaf._tag === "Template")

/** Returns the scopes, including those that a request has computed. */
export const scopes = (self: Expression): ReadonlyArray<Scope> => leaves(self).filter((leaf) => leaf._tag === "Scope")

/** Returns the alternatives that need none of these conditions. Returns `undefined` if there is none. */
export const without = (
  self: Expression,
  failed: ReadonlyArray<Check | Authentication | SenderConstrained>
): Expression | undefined => {
  switch (self._tag) {
    case "Scope":
    case "Template":
      return self
    case "Check":
    case "Authentication":
    case "SenderConstrained":
      return failed.includes(self) ? undefined : self
    case "All": {
      const parts = self.of.map((part) => without(part, failed))
      return parts.every((part) => part !== undefined) ? all(parts) : undefined
    }
    case "Any": {
      const parts = self.of.flatMap((part) => without(part, failed) ?? [])
      return parts.length === 0 ? undefined : any(parts)
    }
  }
}

/** Returns `true` if the scopes satisfy the expression, whatever its checks say. */
export const hasScopes = (self: Expression, holds: (scope: string) => boolean): boolean => {
  switch (self._tag) {
    case "Scope":
    case "Template":
      return holds(self.scope)
    case "Check":
    case "Authentication":
    case "SenderConstrained":
      return true
    case "All":
      return self.of.every((part) => hasScopes(part, holds))
    case "Any":
      return self.of.some((part) => hasScopes(part, holds))
  }
}

/** Returns the scopes that every accepted token has, in order. Inner guards may rely on these scopes. */
export const necessary = (self: Expression): ReadonlyArray<string> =>
  scopesOf(self, (of) => {
    const [first = [], ...others] = of.map(necessary)
    return first.filter((scope) => others.every((scopes) => scopes.includes(scope)))
  })

/**
 * Returns the scopes that a client should request. If there are alternatives, returns the scopes of the first
 * alternative without checks. If all have checks, returns the scopes of the first.
 */
export const scopesToRequest = (self: Expression): ReadonlyArray<string> =>
  scopesOf(self, (of) => {
    const first = of.find((part) => checks(part).length === 0) ?? of[0]
    return first === undefined ? [] : scopesToRequest(first)
  })

/** The maximum number of alternatives in a document. An expression of n two-way choices has 2^n alternatives. */
export const maxAlternatives = 64

/**
 * Returns the minimal disjunctive normal form. Returns `undefined` if it has more than `maxAlternatives` alternatives.
 */
export const alternatives = (self: Expression): ReadonlyArray<ReadonlyArray<string>> | undefined => {
  switch (self._tag) {
    case "Scope":
    case "Template":
      return [[self.scope]]
    case "Check":
    case "Authentication":
    case "SenderConstrained":
      return [[]]
    case "Any": {
      const parts = self.of.map(alternatives)
      return parts.includes(undefined) ? undefined : bounded(parts.flatMap((part) => part ?? []))
    }
    case "All": {
      let product: ReadonlyArray<ReadonlyArray<string>> | undefined = [[]]
      for (const part of self.of.map(alternatives)) {
        if (product === undefined || part === undefined) return undefined
        product = bounded(product.flatMap((left) => part.map((right) => concat([left, right]))))
      }
      return product
    }
  }
}

const bounded = (of: ReadonlyArray<ReadonlyArray<string>>): ReadonlyArray<ReadonlyArray<string>> | undefined => {
  const least = minimal(of, (left, right) => right.every((scope) => left.includes(scope)))
  return least.length > maxAlternatives ? undefined : least
}

/**
 * Removes each alternative that includes another one, because the smaller alternative accepts more. If alternatives are
 * equal, the first remains.
 */
export const minimal = <A>(
  alternatives: ReadonlyArray<A>,
  includes: (left: A, right: A) => boolean
): ReadonlyArray<A> =>
  alternatives.filter((alternative, i) =>
    alternatives.every(
      (other, j) => i === j || !includes(alternative, other) || (includes(other, alternative) && i < j)
    )
  )

/** Whether a token satisfies an expression. `"StepUp"`: it would, if the user authenticated again. */
export type Outcome = boolean | "StepUp"

/** What a decision finds out about a token. */
export class Findings {
  /** The conditions that the token does not satisfy, and that a new authentication would not change. */
  readonly failed: Array<Check | Authentication> = []
  /** The names of the authentications that the token has. */
  readonly authentications: Array<string> = []
}

/** What a decision needs. */
export interface Facts {
  readonly holds: (scope: string) => boolean
  readonly token: VerifiedToken
  /** Returns the time in milliseconds. A check may take time. */
  readonly now: () => number
  /** Returns `true` if no user can authenticate for the token. */
  readonly isMachine: (token: VerifiedToken) => boolean
  readonly findings: Findings
}

/**
 * Decides whether a token satisfies the expression. Runs the parts in order and stops early. If only an authentication
 * is missing, the other parts still run, so that a user who fails a check is not asked to authenticate. Without a check,
 * the decision is available now.
 */
export const decide = (self: Expression, facts: Facts): Effect.Effect<Outcome> => {
  switch (self._tag) {
    case "Scope":
      return facts.holds(self.scope) ? yes : no
    case "Template":
      // The guard fills templates before it decides.
      return no
    case "Check": {
      if (self.isDeferred) return yes
      const { failed } = facts.findings
      // The check counts as failed until it returns `true`, so that it is known if it fails with an error.
      failed.push(self)
      // Only `true` passes: a check may return an unvalidated claim, such as the string "false".
      return Effect.map(self.holds(facts.token), (result: unknown) => {
        if (result === true) failed.splice(failed.lastIndexOf(self), 1)
        return result === true
      })
    }
    case "SenderConstrained":
      if (confirmationOf(facts.token) === undefined) return no
      facts.findings.authentications.push(boundTokenName)
      return yes
    case "Authentication":
      return self.isDeferred ? yes : decideAuthentication(self, facts)
    case "All":
      return sequence(self.of, 0, false, yes, facts)
    case "Any":
      return sequence(self.of, 0, true, no, facts)
  }
}

const decideAuthentication = (self: Authentication, facts: Facts): Effect.Effect<Outcome> => {
  const { findings, isMachine, now, token } = facts
  if (isAuthenticated(self, token, now())) {
    const acr = Option.getOrUndefined(token.acr)
    const names = authenticationNames(self)
    findings.authentications.push(...(self.acrValues === undefined ? names : [`acr ${acr}`]))
    return yes
  }
  if (!isMachine(token)) return stepUp
  findings.failed.push(self)
  return no
}

type Immediate = typeof yes | typeof stepUp

/** Returns the outcome if it is available now. */
export const immediate = (self: Effect.Effect<Outcome>): Immediate | undefined =>
  // Safe cast: the effect is one of these exits.
  self === yes || self === no || self === stepUp ? (self as Immediate) : undefined

// Stops at the first decisive part: `false` for All, `true` for Any. `soFar` is the outcome without a decisive part.
const sequence = (
  of: ReadonlyArray<Expression>,
  from: number,
  decisive: boolean,
  soFar: Immediate,
  facts: Facts
): Effect.Effect<Outcome> => {
  let outcome = soFar
  for (let i = from; i < of.length; i++) {
    const part = of[i]
    if (part === undefined) continue
    const decided = decide(part, facts)
    const result = immediate(decided)
    if (result === undefined) {
      const before = outcome
      return Effect.flatMap(decided, (result) =>
        result === decisive
          ? Effect.succeed<Outcome>(decisive)
          : sequence(of, i + 1, decisive, result === "StepUp" ? stepUp : before, facts)
      )
    }
    if (result === stepUp) outcome = stepUp
    else if ((result === yes) === decisive) return result
  }
  return outcome
}
