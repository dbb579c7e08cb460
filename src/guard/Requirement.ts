/**
 * Combines scopes and custom checks into requirements.
 *
 * **Details**
 *
 * A requirement decides whether a token is accepted. It also gives the scopes in the challenge and the alternatives in
 * OpenAPI documents.
 *
 * `auth.require("a", "b")` is `auth.require(Requirement.all("a", "b"))`.
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
 * Creates a requirement that holds if all of the items hold.
 *
 * **Example** (Nesting)
 *
 * ```ts
 * import { Requirement } from "effect-oauth2"
 *
 * // items:read and (items:write or admin)
 * export const edit = Requirement.all("items:read", Requirement.any("items:write", "admin"))
 * ```
 *
 * @see {@link any} for alternatives
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
 * Creates a requirement that holds if one of the items holds.
 *
 * **Details**
 *
 * The challenge names the scopes of the first item without checks, or else of the first item. So put the item first
 * whose scopes a client should request. After a failed check, items with this check do not count. Without an item, the
 * function throws a `TypeError`.
 *
 * **Example** (Accepting one of two scopes)
 *
 * ```ts
 * import { Requirement } from "effect-oauth2"
 *
 * // If a token has neither scope, the challenge names items:write.
 * export const edit = Requirement.any("items:write", "admin")
 * ```
 *
 * @see {@link all} for a requirement of several items at once
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
    throw new TypeError("Requirement.any: there are no items, so no token could be accepted. Pass at least one item.")
  return requirements.wrap(expression.any(items.map(requirements.ofItem)))
}

/**
 * Creates a requirement that runs your own check on the verified token.
 *
 * **When to use**
 *
 * Use for rules that scopes cannot express, such as roles, tenants, or the value of a claim.
 *
 * **Details**
 *
 * - The check runs for every request, also if the token is cached. The check runs after the scopes that come before it.
 * - The check can use the services that are available where you add the requirement. On routes and endpoints, it can
 *   use
 *   `HttpServerRequest`, too.
 * - `true` accepts the token. `false` refuses it with `InsufficientScope`, whose `checks` field holds `name`. Clients
 *   do not see the name.
 * - To fail with your own error, pass its schema as `error`. An `HttpApi` declares and encodes the error. On a route of
 *   `HttpRouter`, the error responds with its `HttpServerRespondable` response, or with 500 if it has none.
 *
 * **Gotchas**
 *
 * The claims of the token are `unknown`, because the check works with every scheme. Use `auth.check` for typed claims.
 *
 * **Example** (Accepting the tokens of one tenant)
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

/**
 * Requirement that holds if the token is bound to a key of the client (RFC 9449), and the client has proven that it
 * holds the key.
 *
 * **When to use**
 *
 * Use for routes where a stolen token would do much harm, in a scheme that also accepts bearer tokens.
 *
 * **Details**
 *
 * Another token is refused with `InvalidToken`, and the challenge names only the scheme `DPoP`. The scheme needs the
 * option `dpop`. Otherwise, `auth.require` throws a `TypeError`.
 *
 * **Example** (Requiring a bound token for payments)
 *
 * ```ts
 * import { Dpop, OAuth2, Requirement } from "effect-oauth2"
 *
 * const auth = OAuth2.authorizationCode("OAuth2", {
 *   authorizationUrl: "https://idp.example.com/authorize",
 *   tokenUrl: "https://idp.example.com/token",
 *   scopes: { pay: "Make payments" },
 *   dpop: Dpop.make({ origin: "https://api.example.com" })
 * })
 *
 * export const payment = auth.require("pay", Requirement.senderConstrained)
 * ```
 *
 * @see {@link all} to combine it with other requirements
 * @category requirements
 * @since 0.2.0
 */
export const senderConstrained: Requirement<never, never, never, never> = requirements.wrap(
  expression.senderConstrained
)

const assertScopes = (where: string, items: ReadonlyArray<Item<string, string>>): void =>
  assertScopeTokens(
    where,
    items.filter((item) => typeof item === "string")
  )
