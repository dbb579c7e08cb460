/**
 * What a route demands of a token: scopes, all or any of them, nested, and checks of the user's own. One value, three readings: the decision
 * (does a token satisfy it?), the challenge (which scopes should a client ask for?), and OpenAPI (which alternatives are there?).
 *
 * Plain strings mean all: `auth.require("a", "b")` is `auth.require(Requirement.all("a", "b"))`.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import type * as Types from "effect/Types"
import type { VerifiedToken } from "./AccessToken.ts"
import * as expression from "./internal/requirement/expression.ts"
import { assertScopeTokens } from "./internal/requirement/scope.ts"
import type { IsLiteral, IsUnion } from "./internal/types.ts"

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

/**
 * Holds where all of the items hold.
 *
 * **Example** (Nesting)
 *
 * ```ts
 * import { Requirement } from "effect-oauth2"
 *
 * // items:read, and one of items:write and admin
 * export const edit = Requirement.all("items:read", Requirement.any("items:write", "admin"))
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const all = <const Items extends ReadonlyArray<Item<string, string>>>(
  ...items: Items
): Requirement<
  Item.Scopes<Items[number]>,
  Item.AllOf<Items>,
  Item.Error<Items[number]>,
  Item.Services<Items[number]>,
  Item.Scheme<Items[number]>
> => {
  assertScopes("Requirement.all", items)
  return expression.wrap(expression.all(items.map(expression.ofItem)))
}

/**
 * Holds where one of the items holds. The challenge asks for the first: put the one first that a client should ask for. Without an item it throws a
 * `TypeError`.
 *
 * **Example** (Two ways in)
 *
 * ```ts
 * import { Requirement } from "effect-oauth2"
 *
 * // Whoever has neither is told to ask for items:write.
 * export const edit = Requirement.any("items:write", "admin")
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const any = <const Items extends readonly [Item<string, string>, ...ReadonlyArray<Item<string, string>>]>(
  ...items: Items
): Requirement<
  Item.Scopes<Items[number]>,
  Item.AnyOf<Items>,
  Item.Error<Items[number]>,
  Item.Services<Items[number]>,
  Item.Scheme<Items[number]>
> => {
  assertScopes("Requirement.any", items)
  if ((items as ReadonlyArray<unknown>).length === 0)
    throw new TypeError("Requirement.any: without an item it can never hold.")
  return expression.wrap(expression.any(items.map(expression.ofItem)))
}

/**
 * Holds where the user's own check of the token says so: for roles, tenants and claims. It runs after the scopes that stand before it.
 *
 * **Details**
 *
 * `false` is an `InsufficientScope` that names the check (to the server, not to the client). An error that the check fails with is kept, typed: give
 * its schema, by which an `HttpApi` declares and answers it. On a route of `HttpRouter` it is answered as every error of a handler: with the response that it
 * gives itself (`HttpServerRespondable`), else with 500. On routes and endpoints a check may read the `HttpServerRequest`.
 *
 * It runs where its requirement stands, with the services that are there, each time that the requirement is decided.
 *
 * It is for every scheme, so it knows nothing of the claims: where a scheme has a schema for them, `auth.check` is the same with its claims, typed.
 *
 * **Example** (Only for the tenant)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Requirement } from "effect-oauth2"
 *
 * export const ownTenant = Requirement.check("tenant", (token) => Effect.succeed(token.claims["tenant"] === "t1"))
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const check = <R = never, Error extends Schema.Top = never>(
  name: string,
  holds: (token: VerifiedToken) => Effect.Effect<boolean, Error["Type"], R>,
  options?: { readonly error: Error }
): Requirement<never, never, Error["Type"], R, never> => expression.check(name, holds, options, undefined)

const assertScopes = (where: string, items: ReadonlyArray<Item<string, string>>): void =>
  assertScopeTokens(
    where,
    items.filter((item) => typeof item === "string")
  )
