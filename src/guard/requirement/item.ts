/** Defines the opaque `Requirement`: its types say what it proves, and only this module can read its expression. */
import { ownProperties } from "../../core/lib/ownProperties.ts"
import type * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import type * as Types from "effect/Types"
import type { IsLiteral, IsUnion } from "../../core/lib/types.ts"
import type * as schemes from "../scheme/scheme.ts"
import { type Authentication, type Check, type Expression, scopeNamed } from "./expression.ts"

/**
 * Type-level fact that a token has at least one of the scopes `Scope`. A requirement proves every clause of a union.
 *
 * @category models
 * @since 0.1.0
 */
export interface Clause<in out Scope extends string> {
  readonly "~effect-oauth2/Clause": (_: Scope) => Scope
}

/**
 * Requirement over the scopes `Scope` that proves the clauses `Proves`.
 *
 * **Details**
 *
 * The checks of the requirement fail with `E` and need the services `R`. `Scheme` is the name of the scheme whose
 * claims the checks read (see `auth.check`). `Scheme` is `never` if the checks work with every scheme.
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
    // A requirement that proves more is assignable to one that proves less.
    readonly proves: Types.Contravariant<Proves>
    readonly error: E
    readonly services: R
    readonly scheme: Scheme
  }
}

/**
 * Scope, or requirement whose checks work with every scheme or with the scheme `Scheme`.
 *
 * @category models
 * @since 0.1.0
 */
export type Item<Scope extends string = string, Scheme extends string = never> =
  Scope | Requirement<Scope, never, unknown, unknown, Scheme>

/**
 * Types that are derived from items.
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

  /** The name of the scheme whose claims an item's checks read. `never` if the checks work with every scheme. */
  export type Scheme<I> = I extends Requirement<string, never, unknown, unknown, infer Name> ? Name : never

  /**
   * The clauses that one item proves. A scope of type `"a" | "b"` proves only that the token has one of the two. A
   * requirement of a union type proves nothing.
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

  // AreLiterals<"a" | "b"> -> true; AreLiterals<string> -> false. A scope without a literal type proves nothing.
  type AreLiterals<S> = false extends (S extends string ? IsLiteral<S> : never) ? false : true

  /** The clauses that hold if all items hold. A list of unknown length or of a union type proves nothing. */
  export type AllOf<Items extends ReadonlyArray<unknown>> = number extends Items["length"]
    ? never
    : IsUnion<Items> extends false
      ? { readonly [K in keyof Items]: Proves<Items[K]> }[number]
      : never

  /** The clauses that hold if one item holds: `AnyOf<["a", "b"]>` is `Clause<"a" | "b">`. */
  export type AnyOf<Items extends ReadonlyArray<unknown>> = IsUnion<Items> extends false ? AnyOfThese<Items> : never

  // AnyOfThese<["a", "b", "c"]> -> Join<Clause<"a">, Join<Clause<"b">, Clause<"c">>> -> Clause<"a" | "b" | "c">
  type AnyOfThese<Items> = Items extends readonly [infer Only]
    ? Proves<Only>
    : Items extends readonly [infer First, ...infer Rest]
      ? Join<Proves<First>, AnyOfThese<Rest>>
      : never

  /** The clause of `Requirement.acr`. The name of an authentication contains a space, so it is no scope. */
  export type AcrOf<Values extends ReadonlyArray<string>> = number extends Values["length"]
    ? never
    : AreLiterals<Values[number]> extends true
      ? Clause<`acr ${Values[number]}`>
      : never

  /** The clause of `Requirement.authenticatedWithin`. A duration that is no literal text proves nothing. */
  export type RecentOf<D> = IsLiteral<D> extends true ? Clause<`authenticated within ${D & string}`> : never

  /** The clause of `Requirement.senderConstrained`. */
  export type BoundToken = Clause<"bound token">

  // Join<Clause<"a"> | Clause<"b">, Clause<"c">> -> Clause<"a" | "c"> | Clause<"b" | "c">
  type Join<Left, Right> =
    Left extends Clause<infer L> ? (Right extends Clause<infer R> ? Clause<L | R> : never) : never
}

const expressions = new WeakMap<object, Expression>()

/** Creates the opaque value for an expression. The calling constructor chooses the type parameters. */
export const wrap = <Scope extends string, Proves, E, R, Scheme extends string>(
  expression: Expression
): Requirement<Scope, Proves, E, R, Scheme> => {
  const requirement = Object.freeze({}) as Requirement<Scope, Proves, E, R, Scheme>
  expressions.set(requirement, expression)
  return requirement
}

/**
 * Creates a check. Safe cast: the requirement's type holds the errors and services. A check of a scheme receives only
 * tokens of that scheme.
 */
export const check = <E, R, Scheme extends string>(
  name: string,
  holds: (token: never) => Effect.Effect<boolean, E, R>,
  options: { readonly error: Schema.Top } | undefined,
  scheme: schemes.Scheme | undefined,
  publicName?: string
): Requirement<never, never, E, R, Scheme> =>
  wrap({
    _tag: "Check",
    name,
    holds: holds as unknown as Check["holds"],
    publicName,
    error: options && ownProperties(options).error,
    scheme,
    isDeferred: false
  })

/** Creates a condition on the user's authentication. */
export const authentication = <Proves>(
  options: Pick<Authentication, "acrValues" | "maxAge" | "words"> & { readonly clockTolerance?: number }
): Requirement<never, Proves, never, never, never> =>
  wrap(ownProperties({ clockTolerance: 0, ...options, _tag: "Authentication" as const, isDeferred: false }))

/** Creates a scope that each request computes. Safe cast: the requirement's type holds the services. */
export const scopeOf = (template: string, values: Effect.Effect<unknown>): Requirement<string, never> =>
  wrap({ _tag: "Template", scope: template, values })

export const ofItem = (item: Item<string, string>): Expression => {
  if (typeof item === "string") return scopeNamed(item)
  const expression = expressions.get(item)
  if (expression === undefined)
    throw new TypeError(
      "A value is neither a scope nor a requirement. Pass a string, or make a requirement with a function of Requirement, or with auth.check."
    )
  return expression
}
