/** Requirements as data, and all that is read off them: decision, challenge, document. */
import * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import type { VerifiedToken } from "../../core/AccessToken.ts"
import { no, yes } from "../../core/lib/exit.ts"
import type * as schemes from "../scheme/scheme.ts"

/** A requirement as data: the one value that the decision, the challenge and the document are read from. */
export type Expression = Scope | All | Any | Check

export interface Scope {
  readonly _tag: "Scope"
  readonly scope: string
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
  // The services and errors are in the type of the requirement that holds this expression.
  readonly holds: (token: VerifiedToken) => Effect.Effect<boolean, never>
  readonly error: Schema.Top | undefined
  /** The scheme whose claims it reads; `undefined` where it is for every scheme. */
  readonly scheme: schemes.Scheme | undefined
  /** It is asked further in, and holds until then. */
  readonly isDeferred?: boolean
}

export const all = (of: ReadonlyArray<Expression>): Expression =>
  of.length === 1 && of[0] !== undefined ? of[0] : { _tag: "All", of }

export const any = (of: ReadonlyArray<Expression>): Expression =>
  of.length === 1 && of[0] !== undefined ? of[0] : { _tag: "Any", of }

const concat = <A>(lists: ReadonlyArray<ReadonlyArray<A>>): ReadonlyArray<A> => Array.from(new Set(lists.flat()))

/** The scopes of all parts, in order; which of alternatives' count, `ofAny` says. */
const scopesOf = (
  self: Expression,
  ofAny: (of: ReadonlyArray<Expression>) => ReadonlyArray<string>
): ReadonlyArray<string> => {
  switch (self._tag) {
    case "Scope":
      return [self.scope]
    case "Check":
      return []
    case "All":
      return concat(self.of.map((part) => scopesOf(part, ofAny)))
    case "Any":
      return ofAny(self.of)
  }
}

/** Every scope that is mentioned, in order, each once. */
export const mentioned = (self: Expression): ReadonlyArray<string> => scopesOf(self, (of) => concat(of.map(mentioned)))

/** Whether a valid token may be refused. */
export const decides = (self: Expression): boolean =>
  self._tag === "Scope" ||
  self._tag === "Check" ||
  (self._tag === "All" ? self.of.some(decides) : self.of.every(decides))

/** Whether every part must hold, however it is nested. */
export const isConjunction = (self: Expression): boolean =>
  self._tag === "All" ? self.of.every(isConjunction) : self._tag !== "Any"

/** With one of several scopes in the place of each. */
export const mapScopes = (self: Expression, f: (scope: string) => ReadonlyArray<string>): Expression => {
  switch (self._tag) {
    case "Scope":
      return any(f(self.scope).map((scope) => ({ _tag: "Scope", scope })))
    case "Check":
      return self
    default:
      return { _tag: self._tag, of: self.of.map((part) => mapScopes(part, f)) }
  }
}

/** With the checks replaced. */
export const mapChecks = (self: Expression, f: (check: Check) => Check): Expression => {
  switch (self._tag) {
    case "Scope":
      return self
    case "Check":
      return f(self)
    default:
      return { _tag: self._tag, of: self.of.map((part) => mapChecks(part, f)) }
  }
}

/** The checks, in order. */
export const checks = (self: Expression): ReadonlyArray<Check> => {
  switch (self._tag) {
    case "Scope":
      return []
    case "Check":
      return [self]
    default:
      return self.of.flatMap(checks)
  }
}

/** The scopes without which it never holds, in order: what a guard further in may rely on. */
export const necessary = (self: Expression): ReadonlyArray<string> =>
  scopesOf(self, (of) => {
    const [first = [], ...others] = of.map(necessary)
    return first.filter((scope) => others.every((scopes) => scopes.includes(scope)))
  })

/** The scopes that a client should ask for: with them granted it holds, as far as scopes decide. Of alternatives, the first that scopes decide. */
export const asked = (self: Expression): ReadonlyArray<string> =>
  scopesOf(self, (of) => {
    const first = of.find((part) => checks(part).length === 0) ?? of[0]
    return first === undefined ? [] : asked(first)
  })

/** The most alternatives that are written out: an expression of n two-way choices has 2^n. */
export const maxAlternatives = 64

/** Disjunctive normal form, without alternatives that another one includes; `undefined` where there are over `maxAlternatives`. */
export const alternatives = (self: Expression): ReadonlyArray<ReadonlyArray<string>> | undefined => {
  switch (self._tag) {
    case "Scope":
      return [[self.scope]]
    case "Check":
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

/** The alternatives without those that include another one: who satisfies these satisfies that one too. Of equal ones the first. */
export const minimal = <A>(
  alternatives: ReadonlyArray<A>,
  includes: (left: A, right: A) => boolean
): ReadonlyArray<A> =>
  alternatives.filter((alternative, i) =>
    alternatives.every(
      (other, j) => i === j || !includes(alternative, other) || (includes(other, alternative) && i < j)
    )
  )

/**
 * The decision. The parts are asked in order, and only as far as they matter; the names of the checks that said no are put into `failed`.
 * Without a check, the decision is available now.
 */
export const decide = (
  self: Expression,
  holds: (scope: string) => boolean,
  token: VerifiedToken,
  failed: Array<string>
): Effect.Effect<boolean> => {
  switch (self._tag) {
    case "Scope":
      return holds(self.scope) ? yes : no
    case "Check":
      if (self.isDeferred === true) return yes
      // Only `true` is yes: claims are `unknown`, and a check that was made of them may give anything.
      return Effect.map(self.holds(token), (result: unknown) => {
        if (result !== true) failed.push(self.name)
        return result === true
      })
    case "All":
      return sequence(self.of, 0, false, (part) => decide(part, holds, token, failed))
    case "Any":
      return sequence(self.of, 0, true, (part) => decide(part, holds, token, failed))
  }
}

// Stops at the first part that decides: `false` of all, `true` of any.
const sequence = (
  of: ReadonlyArray<Expression>,
  from: number,
  decisive: boolean,
  decide: (part: Expression) => Effect.Effect<boolean>
): Effect.Effect<boolean> => {
  for (let i = from; i < of.length; i++) {
    const part = of[i]
    if (part === undefined) continue
    const result = decide(part)
    if (result !== yes && result !== no) {
      return Effect.flatMap(result, (result) =>
        result === decisive ? Effect.succeed(decisive) : sequence(of, i + 1, decisive, decide)
      )
    }
    if ((result === yes) === decisive) return result
  }
  return decisive ? no : yes
}
