/** A requirement as users hold it: types that say what it proves, around an expression that only this module finds. */
import { ownProperties } from "../../core/lib/ownProperties.ts"
import type * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import type * as Types from "effect/Types"
import type { IsLiteral, IsUnion } from "../../core/lib/types.ts"
import type * as schemes from "../scheme/scheme.ts"
import type { Check, Expression } from "./expression.ts"

/**
 * That at least one of `Scope` is proven. A requirement proves a union of clauses: each of them holds.
 *
 * @category models
 * @since 0.1.0
 */
export interface Clause<in out Scope extends string> {
  readonly "~effect-oauth2/Clause": (_: Scope) => Scope
}

/**
 * A requirement that mentions the scopes `Scope`, proves the clauses `Proves`, and whose checks fail with `E` and need `R`. `Scheme` is the name of
 * the scheme that its checks are of; `never` where they are for every one (see `auth.check`).
 *
 * @category models
 * @since 0.1.0
 */
export interface Requirement<
  out Scope extends string = string,
  in Proves = never,
  out E = unknown,
  out R = unknown,
  out Scheme extends string = never
> {
  readonly "~effect-oauth2/Requirement": {
    readonly scope: Scope
    // What proves more can stand for what proves less, never the other way.
    readonly proves: Types.Contravariant<Proves>
    readonly error: E
    readonly services: R
    readonly scheme: Scheme
  }
}

/**
 * A scope, or a requirement whose checks are for every scheme or for the scheme `Scheme`.
 *
 * @category models
 * @since 0.1.0
 */
export type Item<Scope extends string = string, Scheme extends string = never> =
  Scope | Requirement<Scope, never, unknown, unknown, Scheme>

/**
 * Types that are read off items.
 *
 * @category utility types
 * @since 0.1.0
 */
export declare namespace Item {
  /** The scopes that an item mentions. */
  export type Scopes<I> = I extends string
    ? I
    : I extends Requirement<infer Scope, never, unknown, unknown, string>
      ? Scope
      : never

  /** The errors of an item's checks. */
  export type Error<I> = I extends Requirement<string, never, infer E, unknown, string> ? E : never

  /** The services that an item's checks need. */
  export type Services<I> = I extends Requirement<string, never, unknown, infer R, string> ? R : never

  /** The name of the scheme that an item's checks are of; `never` where they are for every one. */
  export type Scheme<I> = I extends Requirement<string, never, unknown, unknown, infer Name> ? Name : never

  /**
   * The clauses that one item proves. A scope held in a variable of a union type proves "one of them", and no more; a requirement held in one proves
   * nothing.
   */
  export type Proves<I> = [I] extends [string]
    ? AreLiterals<I> extends true
      ? Clause<I>
      : never
    : IsUnion<I> extends false
      ? I extends Requirement<string, infer Proves, unknown, unknown, string>
        ? Proves
        : never
      : never

  /** Whether each member of a union is a literal: a scope of a name that the types do not know proves nothing. */
  type AreLiterals<S> = false extends (S extends string ? IsLiteral<S> : never) ? false : true

  /** The clauses that hold where all items do. A list that may be longer or shorter, or one of several, proves nothing. */
  export type AllOf<Items extends ReadonlyArray<unknown>> = number extends Items["length"]
    ? never
    : IsUnion<Items> extends false
      ? { readonly [K in keyof Items]: Proves<Items[K]> }[number]
      : never

  /** The clauses that hold where any item does: one of each item's, joined. */
  export type AnyOf<Items extends ReadonlyArray<unknown>> = IsUnion<Items> extends false ? AnyOfThese<Items> : never

  type AnyOfThese<Items> = Items extends readonly [infer Only]
    ? Proves<Only>
    : Items extends readonly [infer First, ...infer Rest]
      ? Join<Proves<First>, AnyOfThese<Rest>>
      : never

  type Join<Left, Right> =
    Left extends Clause<infer L> ? (Right extends Clause<infer R> ? Clause<L | R> : never) : never
}

const expressions = new WeakMap<object, Expression>()

/** A requirement is opaque to users: its type parameters are chosen by the constructor that calls this. */
export const wrap = <Scope extends string, Proves, E, R, Scheme extends string>(
  expression: Expression
): Requirement<Scope, Proves, E, R, Scheme> => {
  const requirement = Object.freeze({}) as Requirement<Scope, Proves, E, R, Scheme>
  expressions.set(requirement, expression)
  return requirement
}

/** A check. Sound: what it fails with and needs is in the requirement's type, and what is of a scheme is given that scheme's tokens only. */
export const check = <E, R, Scheme extends string>(
  name: string,
  holds: (token: never) => Effect.Effect<boolean, E, R>,
  options: { readonly error: Schema.Top } | undefined,
  scheme: schemes.Scheme | undefined
): Requirement<never, never, E, R, Scheme> =>
  wrap({
    _tag: "Check",
    name,
    holds: holds as unknown as Check["holds"],
    error: options && ownProperties(options).error,
    scheme,
    isDeferred: false
  })

export const ofItem = (item: Item<string, string>): Expression => {
  if (typeof item === "string") return { _tag: "Scope", scope: item }
  const expression = expressions.get(item)
  if (expression === undefined)
    throw new TypeError("A requirement is made by Requirement.all, any or check, or by a scheme's check.")
  return expression
}
