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
import type { VerifiedToken } from "../core/AccessToken.ts"
import * as expression from "./requirement/expression.ts"
import type { Item, Requirement } from "./requirement/item.ts"
import * as requirements from "./requirement/item.ts"
import { assertScopeTokens } from "../core/scope.ts"

export type { Clause, Item, Requirement } from "./requirement/item.ts"

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
  return requirements.wrap(expression.all(items.map(requirements.ofItem)))
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
  return requirements.wrap(expression.any(items.map(requirements.ofItem)))
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
): Requirement<never, never, Error["Type"], R, never> => requirements.check(name, holds, options, undefined)

const assertScopes = (where: string, items: ReadonlyArray<Item<string, string>>): void =>
  assertScopeTokens(
    where,
    items.filter((item) => typeof item === "string")
  )
