/**
 * Combines scopes, custom checks and conditions on the user's authentication into requirements.
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
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import type { VerifiedToken } from "../core/AccessToken.ts"
import * as details from "../core/authorizationDetails.ts"
import { toMillis } from "../core/duration.ts"
import { ownProperties } from "../core/lib/ownProperties.ts"
import * as expression from "./requirement/expression.ts"
import type { Item, Requirement } from "./requirement/item.ts"
import * as requirements from "./requirement/item.ts"
import { assertScopeTokens, isScopeToken } from "../core/scope.ts"

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
 * - `true` accepts the token. `false` refuses it with `FailedCheck`, whose `checks` field holds `name`. Clients do
 *   not see the name. If the token lacks a scope, too, the error is `InsufficientScope` with the same field.
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
 * Creates a requirement on the class of the user's authentication, such as a second factor (RFC 9470).
 *
 * **When to use**
 *
 * Use for operations that need a stronger login than the rest of the API.
 *
 * **Details**
 *
 * - The claim `acr` of the token must be one of the values. List them in your order of preference.
 * - Otherwise, the request is refused with `InsufficientUserAuthentication`: a 401 whose challenge has `acr_values`. If
 *   scopes are missing, too, the same challenge names them.
 * - The token, its scopes and the checks are decided first. A user who fails a check is therefore not asked for a
 *   second factor.
 * - A token that no user has is refused with `FailedCheck` (see the option `isMachine` of schemes).
 * - Handlers can demand the authentication with `auth.granted(Requirement.acr("mfa"))`.
 *
 * **Gotchas**
 *
 * No standard orders the values. If `"phr"` is stronger than `"mfa"`, list both. A token has one value, so two
 * requirements must have a value in common.
 *
 * **Example** (Requiring a second factor)
 *
 * ```ts
 * import { HttpApiEndpoint } from "effect/http-api"
 * import { Requirement } from "effect-oauth2"
 * import { auth } from "./auth.ts"
 *
 * // The client should ask for "phr" (phishing-resistant), and "mfa" is accepted, too.
 * const secondFactor = Requirement.acr("phr", "mfa")
 *
 * export const pay = HttpApiEndpoint.post("pay", "/payments").middleware(auth.require("items:write", secondFactor))
 * ```
 *
 * @see {@link authenticatedWithin} for a recent login
 * @category constructors
 * @since 0.1.0
 */
export const acr = <const Values extends readonly [string, ...ReadonlyArray<string>]>(
  ...values: Values
): Requirement<never, Item.AcrOf<Values>, never, never, never> => {
  const invalid = values.filter((value) => !isScopeToken(value))
  if (values.length === 0 || invalid.length > 0) {
    const problem = values.length === 0 ? "there are no values" : `${JSON.stringify(invalid[0])} is not a value`
    throw new TypeError(
      `Requirement.acr: ${problem}. Pass values of the acr claim. A value has printable ASCII characters and no space, quotation mark or backslash.`
    )
  }
  return requirements.authentication({ acrValues: Object.freeze([...values]), maxAge: undefined, words: "" })
}

/**
 * Creates a requirement that the user authenticated recently (RFC 9470).
 *
 * **When to use**
 *
 * Use for operations that an open session must not perform, such as a payment or the change of a password.
 *
 * **Details**
 *
 * - The claim `auth_time` must be at most the duration ago. The requirement decides about each request with the `Clock`,
 *   so a cached token may satisfy it once and not a minute later.
 * - Otherwise, the request is refused with `InsufficientUserAuthentication`: a 401 whose challenge has `max_age`.
 * - A token without a numeric `auth_time`, or with a time in the future, is refused. `iat` does not count, because a
 *   refreshed token has a new `iat`.
 * - The duration has whole seconds, at least 1. `clockTolerance` is from 0 to 60 seconds.
 * - Order, tokens without a user, and proofs are as for `Requirement.acr`. The proof needs the duration as a literal
 *   text, such as `"5 minutes"`.
 *
 * **Gotchas**
 *
 * Types compare the text. A proof of `"1 minute"` is no proof of `"5 minutes"`. Share the requirement as a constant.
 *
 * **Example** (Requiring a recent login, also in domain code)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { HttpRouter, HttpServerResponse } from "effect/http"
 * import { Requirement } from "effect-oauth2"
 * import { auth } from "./auth.ts"
 *
 * const recently = Requirement.authenticatedWithin("5 minutes")
 *
 * // Compiles only behind the requirement.
 * const pay = Effect.map(auth.granted(recently), ({ subject }) => HttpServerResponse.text(`paid by ${subject}`))
 *
 * export const Pay = HttpRouter.add("POST", "/payments", pay).pipe(auth.require("items:write", recently))
 * ```
 *
 * @see {@link acr} for the class of the authentication
 * @category constructors
 * @since 0.1.0
 */
export const authenticatedWithin = <const D extends Duration.Input>(
  duration: D,
  options: {
    /** How much the clocks of the issuer and of the API may differ, from 0 to 60 seconds. @default "5 seconds" */
    readonly clockTolerance?: Duration.Input
  } = {}
): Requirement<never, Item.RecentOf<D>, never, never, never> => {
  const maxAge = toMillis(duration)
  const clockTolerance = toMillis(ownProperties(options).clockTolerance ?? "5 seconds")
  if (!(maxAge >= 1000 && maxAge % 1000 === 0 && maxAge < Infinity)) {
    throw new TypeError(
      'Requirement.authenticatedWithin: the duration must be a whole number of seconds, at least 1, such as "5 minutes".'
    )
  }
  if (!(clockTolerance >= 0 && clockTolerance <= 60_000)) {
    throw new TypeError(
      'Requirement.authenticatedWithin: clockTolerance must be a duration between 0 and 60 seconds, such as "5 seconds".'
    )
  }
  const words = typeof duration === "string" ? duration : `${maxAge / 1000} seconds`
  return requirements.authentication({ acrValues: undefined, maxAge, words, clockTolerance })
}

/**
 * Creates a requirement that the token has authorization details of a type that allow the request (RFC 9396).
 *
 * **Details**
 *
 * The token needs one object of the type, in the claim `authorization_details` or in the introspection response, that
 * the schema decodes and that `allows` accepts. `allows` returns `true`, or an effect of `true`, and can use the services
 * of `Requirement.check`.
 *
 * The schema decodes the members other than `type` and `locations`. An object grants nothing if it has other members, if
 * it does not decode, or if its `locations` do not name this API. The token stays valid.
 *
 * Otherwise, the request is refused with `FailedCheck`, whose `checks` field names the type. The challenge has no error,
 * because no standard parameter asks for authorization details.
 *
 * **Gotchas**
 *
 * Each object is a grant of its own. `allows` gets one object at a time, so members of two objects never combine.
 *
 * **Example** (Allowing a payment up to the granted amount)
 *
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { HttpApiEndpoint } from "effect/http-api"
 * import { HttpServerRequest } from "effect/http"
 * import { Requirement } from "effect-oauth2"
 * import { auth } from "./auth.ts"
 *
 * const Payment = Schema.Struct({ actions: Schema.Array(Schema.String), creditor: Schema.String })
 *
 * const mayPay = Requirement.authorizationDetails("payment", Payment, ({ actions, creditor }) =>
 *   Effect.map(
 *     HttpServerRequest.HttpServerRequest,
 *     ({ headers }) => actions.includes("initiate") && creditor === headers["x-creditor"]
 *   )
 * )
 *
 * export const pay = HttpApiEndpoint.post("pay", "/payments").middleware(auth.require(mayPay))
 * ```
 *
 * @see {@link AccessToken.authorizationDetails} to read the objects in a handler
 * @category constructors
 * @since 0.1.0
 */
export const authorizationDetails = <A, R = never>(
  type: string,
  schema: Schema.Decoder<A>,
  allows: (detail: A, token: VerifiedToken) => boolean | Effect.Effect<boolean, never, R>,
  options?: details.Options
): Requirement<never, never, never, R, never> => {
  if (typeof type !== "string" || type === "")
    throw new TypeError("Requirement.authorizationDetails: the type must be a text that is not empty.")
  const decode = details.ofType(type, schema, options)
  const holds = (token: VerifiedToken): Effect.Effect<boolean, never, R> =>
    Effect.flatMap(decode(token.authorizationDetails), (objects) => someAllowed(objects, token, allows))
  return requirements.check(`authorization_details ${type}`, holds, undefined, undefined, type)
}

/** Asks about one object after the other. Only `true` allows. */
const someAllowed = <A, R>(
  objects: ReadonlyArray<A>,
  token: VerifiedToken,
  allows: (detail: A, token: VerifiedToken) => boolean | Effect.Effect<boolean, never, R>
): Effect.Effect<boolean, never, R> => {
  const [first, ...others] = objects
  if (first === undefined && objects.length === 0) return Effect.succeed(false)
  // Safe cast: the list is not empty.
  const allowed = allows(first as A, token)
  const result: Effect.Effect<unknown, never, R> = Effect.isEffect(allowed) ? allowed : Effect.succeed(allowed)
  return Effect.flatMap(result, (isAllowed) =>
    isAllowed === true ? Effect.succeed(true) : someAllowed(others, token, allows)
  )
}

/**
 * Requirement that holds if the token is bound to a key (RFC 9449) or a certificate (RFC 8705) of the client. The client
 * must have proven that it holds the key.
 *
 * **When to use**
 *
 * Use for routes where a stolen token would do much harm, in a scheme that also accepts bearer tokens.
 *
 * **Details**
 *
 * - Another token is refused with `InvalidToken`. If the scheme has no `mutualTls`, the challenge names only `DPoP`.
 * - The scheme needs the option `dpop` or `mutualTls`. Otherwise, `auth.require` throws a `TypeError`.
 * - Handlers get a proof: `auth.granted(Requirement.senderConstrained)` compiles only behind the requirement.
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
 * @since 0.1.0
 */
export const senderConstrained: Requirement<never, Item.BoundToken, never, never> = requirements.wrap(
  expression.senderConstrained
)

const assertScopes = (where: string, items: ReadonlyArray<Item<string, string>>): void =>
  assertScopeTokens(
    where,
    items.filter((item) => typeof item === "string")
  )
