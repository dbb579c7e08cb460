/** A security scheme as users see it: what its members need, give and prove. */
import type * as Effect from "effect/Effect"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import type * as Layer from "effect/Layer"
import type * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import type { AccessToken, OptionalAccessToken, VerifiedToken } from "../core/AccessToken.ts"
import type { BearerToken } from "../core/BearerToken.ts"
import type { Clause, Item, Requirement } from "../guard/requirement/item.ts"
import type { SecurityError } from "../core/SecurityError.ts"
import type { TokenVerifier } from "../verifier/TokenVerifier.ts"
import type { PublicEndpoint } from "./public.ts"
import type { ImpliedBy } from "../guard/scheme/implication.ts"
import type {
  Authenticated,
  Authentication,
  Granted,
  SecurityRequirement,
  Verified
} from "../guard/middleware/securityRequirement.ts"
import type { IsLiteral, IsUnion } from "../core/lib/types.ts"
import type { ErrorSchemasByTag } from "../guard/scheme/errorSchemas.ts"
import type { Flows } from "../guard/scheme/securitySchemeObject.ts"

/** The claims of a scheme without a schema for them. */
export type UnknownClaims = Readonly<Record<string, unknown>>

/**
 * The grants of the scheme `Name` that proven clauses give.
 *
 * @category utility types
 * @since 0.1.0
 */
export type Grants<Name extends string, Proves> = Proves extends Clause<infer Scope> ? Granted<Name, Scope> : never

/**
 * A token for tests. Default: the subject `demo`, no scopes, and no claims.
 *
 * @category models
 * @since 0.1.0
 */
export interface TestToken<Scope extends string> {
  /** Who acts (`sub`). */
  readonly subject?: string
  /** What the token may do: scopes that the scheme declares. */
  readonly scopes?: ReadonlyArray<Scope>
  /** As an issuer writes them: the scheme's schema decodes them. */
  readonly claims?: Readonly<Record<string, unknown>>
}

/**
 * A security scheme with the declared scopes `Scope`, of which some imply others.
 *
 * @category models
 * @since 0.1.0
 */
export interface OAuth2Scheme<
  in out Name extends string,
  in out Scope extends string,
  in out Implies = {},
  out Claims extends object = UnknownClaims
> {
  /** The scheme's name in OpenAPI's `components.securitySchemes`. */
  readonly name: Name
  /** Its flows; none where it is found by OpenID Connect Discovery. */
  readonly flows: Flows
  /** The declared scopes with their descriptions. */
  readonly scopes: Readonly<Record<Scope, string>>
  /** What documents say of it. */
  readonly description: string | undefined

  /**
   * Requires a valid token with all of the given scopes and requirements; with none, any valid token. Handlers get the `AccessToken`, and grants of
   * what is proven.
   *
   * **Example** (On a route and on an endpoint)
   *
   * ```ts
   * import { Effect, Layer } from "effect"
   * import { HttpRouter, HttpServerResponse } from "effect/http"
   * import { HttpApiEndpoint } from "effect/http-api"
   * import { OAuth2 } from "effect-oauth2"
   *
   * const auth = OAuth2.authorizationCode("OAuth2", {
   *   authorizationUrl: "https://idp.example.com/authorize",
   *   tokenUrl: "https://idp.example.com/token",
   *   scopes: { "items:read": "Read your items" }
   * })
   *
   * export const route = HttpRouter.add("GET", "/items", Effect.succeed(HttpServerResponse.jsonUnsafe([]))).pipe(
   *   Layer.provide(auth.require("items:read").route.layer)
   * )
   *
   * export const endpoint = HttpApiEndpoint.get("list", "/items").middleware(auth.require("items:read"))
   * ```
   */
  readonly require: <const Items extends ReadonlyArray<Item<Scope, Name>>>(
    ...items: Items
  ) => SecurityRequirement<
    Name,
    Authenticated<Name> | Grants<Name, Item.AllOf<Items>>,
    Item.Error<Items[number]>,
    Item.Services<Items[number]>
  >

  /**
   * Takes anonymous requests too: handlers get an `OptionalAccessToken`, `None` where no bearer token was sent. A token that was sent must be
   * valid and have all that is given: a bad one is refused, never taken for none. Inside or outside of `require` it is not optional any more.
   * `authorizeOption` gives the same token with typed claims.
   *
   * **Example** (A page for everybody)
   *
   * ```ts
   * import { Effect, Layer, Option } from "effect"
   * import { HttpRouter, HttpServerResponse } from "effect/http"
   * import { OAuth2, OptionalAccessToken } from "effect-oauth2"
   *
   * const auth = OAuth2.authorizationCode("OAuth2", {
   *   authorizationUrl: "https://idp.example.com/authorize",
   *   tokenUrl: "https://idp.example.com/token",
   *   scopes: { me: "Read your profile" }
   * })
   *
   * export const Home = HttpRouter.add(
   *   "GET",
   *   "/",
   *   Effect.map(OptionalAccessToken, (token) =>
   *     HttpServerResponse.text(Option.isSome(token) ? `Welcome back, ${token.value.subject}` : "Welcome")
   *   )
   * ).pipe(Layer.provide(auth.optional().route.layer))
   * ```
   */
  readonly optional: <const Items extends ReadonlyArray<Item<Scope, Name>>>(
    ...items: Items
  ) => SecurityRequirement<
    Name,
    OptionalAccessToken | Authentication<Name>,
    Item.Error<Items[number]>,
    Item.Services<Items[number]>
  >

  /**
   * States that whoever calls this has proven all of the scopes, and gives the token. The route's requirement discharges it; without one the
   * program does not compile. At run time, where types were cast away, it is a defect that the log explains, and no answer.
   *
   * **Example** (Domain code)
   *
   * ```ts
   * import { Effect } from "effect"
   * import { OAuth2 } from "effect-oauth2"
   *
   * const auth = OAuth2.authorizationCode("OAuth2", {
   *   authorizationUrl: "https://idp.example.com/authorize",
   *   tokenUrl: "https://idp.example.com/token",
   *   scopes: { "items:write": "Modify your items" }
   * })
   *
   * // Effect<string, never, Granted<"OAuth2", "items:write">>
   * export const deleteItem = Effect.fn("Items.delete")(function* (id: number) {
   *   const token = yield* auth.granted("items:write")
   *   return `${token.subject} deleted ${id}`
   * })
   * ```
   */
  readonly granted: <const Scopes extends readonly [Scope, ...ReadonlyArray<Scope>]>(
    ...scopes: Scopes
  ) => Effect.Effect<VerifiedToken<Claims>, never, GrantOfEach<Name, Implies, Scopes[number]>>

  /**
   * The same for at least one of the scopes, and says which: the first that is proven.
   *
   * **Example** (Which of the two it was)
   *
   * ```ts import.meta.vitest
   * import { Effect } from "effect"
   * import { OAuth2 } from "effect-oauth2"
   *
   * const auth = OAuth2.authorizationCode("OAuth2", {
   *   authorizationUrl: "https://idp.example.com/authorize",
   *   tokenUrl: "https://idp.example.com/token",
   *   scopes: { "items:write": "Modify your items", admin: "Modify all items" }
   * })
   *
   * const mayModify = Effect.map(auth.grantedAny("admin", "items:write"), (scope) => (scope === "admin" ? "all" : "own"))
   *
   * Effect.runSync(Effect.provide(mayModify, auth.grant({ scopes: ["items:write"] }))) // => "own"
   * ```
   */
  readonly grantedAny: <const Scopes extends readonly [Scope, ...ReadonlyArray<Scope>]>(
    ...scopes: Scopes
  ) => Effect.Effect<Scopes[number], never, GrantOfAny<Name, Implies, Scopes>>

  /**
   * The request's token as this scheme verified it, with its claims typed by the scheme's schema. A requirement of this scheme that is not optional
   * discharges it; without one the program does not compile, as with `granted`.
   *
   * **When to use**
   *
   * Where the claims matter, or which scheme it was: the service `AccessToken` is one for all schemes, and its claims are `unknown`.
   *
   * **Example** (Typed claims)
   *
   * ```ts import.meta.vitest
   * import { Effect, Schema } from "effect"
   * import { OAuth2 } from "effect-oauth2"
   *
   * const auth = OAuth2.authorizationCode("OAuth2", {
   *   authorizationUrl: "https://idp.example.com/authorize",
   *   tokenUrl: "https://idp.example.com/token",
   *   scopes: { "items:read": "Read your items" },
   *   claims: Schema.Struct({ tenant: Schema.String })
   * })
   *
   * // Effect<string, never, Verified<"OAuth2">>
   * const tenant = Effect.map(auth.accessToken, ({ claims }) => claims.tenant)
   *
   * Effect.runSync(Effect.provide(tenant, auth.grant({ claims: { tenant: "t1" } }))) // => "t1"
   * ```
   */
  readonly accessToken: Effect.Effect<VerifiedToken<Claims>, never, Verified<Name>>

  /**
   * `Requirement.check` with this scheme's claims, typed: for requirements of this scheme. In one of another scheme it does not compile, and where types
   * were cast away it throws a `TypeError`.
   *
   * **Example** (Only for the tenant)
   *
   * ```ts
   * import { Effect, Schema } from "effect"
   * import { HttpApiEndpoint } from "effect/http-api"
   * import { OAuth2 } from "effect-oauth2"
   *
   * const auth = OAuth2.authorizationCode("OAuth2", {
   *   authorizationUrl: "https://idp.example.com/authorize",
   *   tokenUrl: "https://idp.example.com/token",
   *   scopes: { "items:read": "Read your items" },
   *   claims: Schema.Struct({ tenant: Schema.String })
   * })
   *
   * const ownTenant = auth.check("tenant", ({ claims }) => Effect.succeed(claims.tenant === "t1"))
   *
   * export const list = HttpApiEndpoint.get("list", "/items").middleware(auth.require("items:read", ownTenant))
   * ```
   */
  readonly check: <R = never, Error extends Schema.Top = never>(
    name: string,
    holds: (token: VerifiedToken<Claims>) => Effect.Effect<boolean, Error["Type"], R>,
    options?: { readonly error: Error }
  ) => Requirement<never, never, Error["Type"], R, Name>

  /**
   * Verifies the `BearerToken` in the context against the `SecurityScopes` in force: what guards are made of, in HTTP or not. The errors
   * respond by themselves in an `HttpRouter` app.
   *
   * **Example** (FastAPI's `get_current_user`)
   *
   * ```ts
   * import { Effect } from "effect"
   * import { OAuth2, SecurityScopes } from "effect-oauth2"
   *
   * const auth = OAuth2.authorizationCode("OAuth2", {
   *   authorizationUrl: "https://idp.example.com/authorize",
   *   tokenUrl: "https://idp.example.com/token",
   *   scopes: { "items:read": "Read your items" }
   * })
   *
   * const currentUser = Effect.map(auth.authorize, (token) => token.subject)
   *
   * export const reader = currentUser.pipe(SecurityScopes.require("items:read"))
   * ```
   */
  readonly authorize: Effect.Effect<VerifiedToken<Claims>, SecurityError, BearerToken | Authentication<Name>>

  /**
   * The same for the request in the context, `None` where it carries no bearer token. A bad token is refused, never taken for none.
   *
   * **Example** (How many results a page has)
   *
   * ```ts
   * import { Effect, Option } from "effect"
   * import { OAuth2 } from "effect-oauth2"
   *
   * const auth = OAuth2.authorizationCode("OAuth2", {
   *   authorizationUrl: "https://idp.example.com/authorize",
   *   tokenUrl: "https://idp.example.com/token",
   *   scopes: { me: "Read your profile" }
   * })
   *
   * export const pageSize = Effect.map(auth.authorizeOption, (token) => (Option.isSome(token) ? 100 : 10))
   * ```
   */
  readonly authorizeOption: Effect.Effect<
    Option.Option<VerifiedToken<Claims>>,
    SecurityError,
    HttpServerRequest | Authentication<Name>
  >

  /**
   * `SecurityScopes.require` with the scheme's declared scopes, for guards of one's own: this scheme's tokens must have them.
   *
   * **Example** (FastAPI's `Security(get_current_user, scopes=["items:read"])` in a dependency)
   *
   * ```ts
   * import { Effect } from "effect"
   * import { OAuth2 } from "effect-oauth2"
   *
   * const auth = OAuth2.authorizationCode("OAuth2", {
   *   authorizationUrl: "https://idp.example.com/authorize",
   *   tokenUrl: "https://idp.example.com/token",
   *   scopes: { "items:read": "Read your items" }
   * })
   *
   * const currentUser = Effect.map(auth.authorize, (token) => token.subject)
   *
   * export const reader = currentUser.pipe(auth.withScopes("items:read"))
   * ```
   */
  readonly withScopes: (
    ...scopes: ReadonlyArray<Scope>
  ) => <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

  /**
   * Fails with an error of a guard's own, answered as this scheme answers: with its settings, its renderers, and a challenge that names the
   * `SecurityScopes` in force.
   *
   * **Example** (A valid token of nobody)
   *
   * ```ts
   * import { Effect } from "effect"
   * import { OAuth2, SecurityError } from "effect-oauth2"
   *
   * const auth = OAuth2.authorizationCode("OAuth2", {
   *   authorizationUrl: "https://idp.example.com/authorize",
   *   tokenUrl: "https://idp.example.com/token",
   *   scopes: { me: "Read your profile" }
   * })
   *
   * export const currentUser = Effect.gen(function* () {
   *   const token = yield* auth.authorize
   *   if (token.subject === "demo") return { name: "Demo" }
   *   return yield* auth.refuse(new SecurityError.InvalidToken({ reason: "Rejected" }))
   * })
   * ```
   */
  readonly refuse: <E extends SecurityError>(error: E) => Effect.Effect<never, E>

  /**
   * The errors as an `HttpApi` declares them, by tag: for an endpoint or a middleware of one's own that fails with them. They are answered as those of the
   * scheme's requirements are, and the typed client receives them without a reason.
   *
   * **Example** (A middleware that knows the current user)
   *
   * ```ts
   * import { Context, Effect, Layer } from "effect"
   * import { HttpApiMiddleware } from "effect/http-api"
   * import { OAuth2, SecurityError } from "effect-oauth2"
   *
   * const auth = OAuth2.authorizationCode("OAuth2", {
   *   authorizationUrl: "https://idp.example.com/authorize",
   *   tokenUrl: "https://idp.example.com/token",
   *   scopes: { me: "Read your profile" }
   * })
   *
   * class CurrentUser extends Context.Service<CurrentUser, { readonly name: string }>()("app/CurrentUser") {}
   *
   * const currentUser = Effect.flatMap(auth.accessToken, ({ subject }) =>
   *   subject === "demo"
   *     ? Effect.succeed({ name: "Demo" })
   *     : auth.refuse(new SecurityError.InvalidToken({ reason: "Rejected" }))
   * )
   *
   * export class SignedIn extends HttpApiMiddleware.Service<
   *   SignedIn,
   *   { provides: CurrentUser; requires: OAuth2.Verified<"OAuth2"> }
   * >()("app/SignedIn", { error: auth.errors.InvalidToken }) {}
   *
   * export const SignedInLive = Layer.succeed(SignedIn, (handler) =>
   *   Effect.provideServiceEffect(handler, CurrentUser, currentUser)
   * )
   * ```
   */
  readonly errors: ErrorSchemasByTag

  /**
   * What `require` is to a route, for any effect: runs it only where the token has all that is given, and with the grants of what is proven. In
   * a program without HTTP the token is the `BearerToken` in the context; within a request it is the request's own, whatever the context has.
   *
   * **Example** (A message that carries a token)
   *
   * ```ts
   * import { Effect } from "effect"
   * import { OAuth2 } from "effect-oauth2"
   *
   * const auth = OAuth2.authorizationCode("OAuth2", {
   *   authorizationUrl: "https://idp.example.com/authorize",
   *   tokenUrl: "https://idp.example.com/token",
   *   scopes: { "items:write": "Modify your items" }
   * })
   *
   * const deleteItem = Effect.asVoid(auth.granted("items:write"))
   *
   * // Effect<void, SecurityError, BearerToken | Authentication<"OAuth2">>
   * export const onMessage = deleteItem.pipe(auth.prove("items:write"))
   * ```
   */
  readonly prove: <const Items extends ReadonlyArray<Item<Scope, Name>>>(
    ...items: Items
  ) => <A, E, R>(
    self: Effect.Effect<A, E, R>
  ) => Effect.Effect<
    A,
    E | SecurityError | Item.Error<Items[number]>,
    | Exclude<R, Authenticated<Name> | Grants<Name, Item.AllOf<Items>>>
    | BearerToken
    | Authentication<Name>
    | Item.Services<Items[number]>
  >

  /**
   * Authenticates requests with the `TokenVerifier` in the context: what requirements and `authorize` need. It serves `OAuth2.Public`, too.
   *
   * **Example** (A scheme and its verifier)
   *
   * ```ts
   * import { Layer } from "effect"
   * import { FetchHttpClient } from "effect/http"
   * import { JwtVerifier, OAuth2 } from "effect-oauth2"
   *
   * const auth = OAuth2.authorizationCode("OAuth2", {
   *   authorizationUrl: "https://idp.example.com/authorize",
   *   tokenUrl: "https://idp.example.com/token",
   *   scopes: { me: "Read your profile" }
   * })
   *
   * export const Authentication = auth.layer.pipe(
   *   Layer.provide(JwtVerifier.layer({ issuer: "https://idp.example.com", audience: "https://api.example.com" })),
   *   Layer.provide(FetchHttpClient.layer)
   * )
   * ```
   */
  readonly layer: Layer.Layer<Authentication<Name> | PublicEndpoint, never, TokenVerifier>

  /**
   * Authentication as a layer, for an effect that is given a request: `BearerToken` and `AccessToken`, verified against the
   * `SecurityScopes` in force. Built anew for each use.
   *
   * **Example** (A handler that authenticates by itself)
   *
   * ```ts
   * import { Effect } from "effect"
   * import { HttpRouter, HttpServerResponse } from "effect/http"
   * import { AccessToken, OAuth2 } from "effect-oauth2"
   *
   * const auth = OAuth2.authorizationCode("OAuth2", {
   *   authorizationUrl: "https://idp.example.com/authorize",
   *   tokenUrl: "https://idp.example.com/token",
   *   scopes: { me: "Read your profile" }
   * })
   *
   * const whoAmI = Effect.map(AccessToken, ({ subject }) => HttpServerResponse.text(subject))
   *
   * export const Me = HttpRouter.add(
   *   "GET",
   *   "/users/me",
   *   whoAmI.pipe(Effect.provide(auth.layerRequest), auth.withScopes("me"))
   * )
   * ```
   */
  readonly layerRequest: Layer.Layer<BearerToken | AccessToken, SecurityError, HttpServerRequest | Authentication<Name>>

  /**
   * For tests, in place of `layer`: every request is authenticated as the given token, without cryptography and whatever it carries; or every one is
   * `"anonymous"`. Scopes are decided as ever. Claims that the scheme's schema does not decode are a defect of the layer.
   *
   * **Gotchas**
   *
   * `BearerToken.layer`, with which guards of one's own read the credential, reads the request as ever: give it some `Authorization` header.
   *
   * **Example** (A test of a route)
   *
   * ```ts import.meta.vitest
   * import { Effect, Layer } from "effect"
   * import { HttpEffect, HttpRouter, HttpServerResponse } from "effect/http"
   * import { AccessToken, OAuth2 } from "effect-oauth2"
   *
   * const auth = OAuth2.authorizationCode("OAuth2", {
   *   authorizationUrl: "https://idp.example.com/authorize",
   *   tokenUrl: "https://idp.example.com/token",
   *   scopes: { me: "Read your profile" }
   * })
   * const Me = HttpRouter.add(
   *   "GET",
   *   "/me",
   *   Effect.map(AccessToken, ({ subject }) => HttpServerResponse.text(subject))
   * ).pipe(Layer.provide(auth.require("me").route.layer))
   *
   * const ask = (layer: ReturnType<typeof auth.layerTest>) =>
   *   Effect.gen(function* () {
   *     const handler = HttpEffect.toWebHandler(yield* HttpRouter.toHttpEffect(Layer.provide(Me, layer)))
   *     return (yield* Effect.promise(() => handler(new Request("http://localhost/me")))).status
   *   }).pipe(Effect.scoped, Effect.runPromise)
   *
   * await ask(auth.layerTest({ subject: "demo", scopes: ["me"] })) // => 200
   * await ask(auth.layerTest("anonymous")) // => 401
   * ```
   */
  readonly layerTest: (token: TestToken<Scope> | "anonymous") => Layer.Layer<Authentication<Name> | PublicEndpoint>

  /**
   * For tests of domain code without HTTP: proof of the token's scopes. A request does not take it for proof.
   *
   * **Example** (A unit test of domain code)
   *
   * ```ts import.meta.vitest
   * import { Effect } from "effect"
   * import { OAuth2 } from "effect-oauth2"
   *
   * const auth = OAuth2.authorizationCode("OAuth2", {
   *   authorizationUrl: "https://idp.example.com/authorize",
   *   tokenUrl: "https://idp.example.com/token",
   *   scopes: { "items:write": "Modify your items" }
   * })
   * const owner = Effect.map(auth.granted("items:write"), (token) => token.subject)
   *
   * Effect.runSync(Effect.provide(owner, auth.grant({ subject: "demo", scopes: ["items:write"] }))) // => "demo"
   * ```
   */
  readonly grant: <const S extends Scope = never>(
    token: TestToken<S>
  ) => Layer.Layer<AccessToken | Verified<Name> | (S extends string ? Granted<Name, S> : never)>
}

/** A scope whose name the types do not know is proven by nothing. */
type GrantOfEach<Name extends string, Implies, Scope extends string> = Scope extends string
  ? Granted<Name, IsLiteral<Scope> extends true ? ImpliedBy<Implies, Scope> : never>
  : never

/** One of them is enough where each is known; where one may be any of several, or not be there, whichever it is must be proven. */
type GrantOfAny<Name extends string, Implies, Scopes extends ReadonlyArray<string>> =
  AreCertain<Scopes> extends true
    ? Granted<Name, ImpliedBy<Implies, Scopes[number]>>
    : GrantOfEach<Name, Implies, Scopes[number]>

type AreCertain<Scopes extends ReadonlyArray<string>> = number extends Scopes["length"]
  ? false
  : true extends IsUnion<Scopes>
    ? false
    : false extends { readonly [K in keyof Scopes]: IsLiteral<Scopes[K]> }[number]
      ? false
      : true
