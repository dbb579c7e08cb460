/** Defines the public type of a security scheme. */
import type * as DateTime from "effect/DateTime"
import type * as Effect from "effect/Effect"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import type * as HttpApiMiddleware from "effect/http-api/HttpApiMiddleware"
import type * as Layer from "effect/Layer"
import type * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import type * as RpcMiddleware from "effect/rpc/RpcMiddleware"
import type * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { AccessToken, AuthorizationDetail, OptionalAccessToken, VerifiedToken } from "../core/AccessToken.ts"
import type { Confirmation } from "../core/confirmation.ts"
import type { BearerToken } from "../core/BearerToken.ts"
import type { Clause, Item, Requirement } from "../guard/requirement/item.ts"
import type { InvalidToken, SecurityError } from "../core/SecurityError.ts"
import type { TokenVerifier } from "../verifier/TokenVerifier.ts"
import type { PublicEndpoint } from "./public.ts"
import type { ImpliedBy, Requirable, WildcardOf, WithWildcards } from "../guard/scheme/implication.ts"
import type {
  Authenticated,
  Authentication,
  Granted,
  NeedsAuthentication,
  NeedsGrant,
  NeedsToken,
  SecurityRequirement,
  Verified
} from "../guard/middleware/securityRequirement.ts"
import type { IsLiteral, IsUnion } from "../core/lib/types.ts"
import type { ClientTokens } from "../core/clientToken.ts"
import type { ClientOptions } from "./client.ts"
import type { VerifiedCredential } from "../core/verifiedCredential.ts"
import type { ErrorSchemasByTag } from "../guard/scheme/errorSchemas.ts"
import type { Flows } from "../guard/scheme/securitySchemeObject.ts"

/** The claims of a scheme without a `claims` schema. */
export type UnknownClaims = Readonly<Record<string, unknown>>

/**
 * Proofs of scopes of the scheme `Name`, one for each clause that a requirement proves.
 *
 * @category utility types
 * @since 0.1.0
 */
export type Grants<Name extends string, Proves> = Proves extends Clause<infer Scope> ? Granted<Name, Scope> : never

/**
 * Token for tests.
 *
 * @category models
 * @since 0.1.0
 */
export interface TestToken<Scope extends string> {
  /** The subject (`sub`). Default: `"demo"`. */
  readonly subject?: string
  /** The granted scopes. The scheme must declare them. Default: none. */
  readonly scopes?: ReadonlyArray<Scope>
  /** The class of the user's authentication (`acr`). Default: none. */
  readonly acr?: string
  /** When the user authenticated (`auth_time`). Default: none. */
  readonly authenticatedAt?: DateTime.Utc
  /** The methods of the user's authentication (`amr`). Default: none. */
  readonly amr?: ReadonlyArray<string>
  /** The authorization details (RFC 9396). Default: none. */
  readonly authorizationDetails?: ReadonlyArray<AuthorizationDetail>
  /** The claims as the issuer encodes them. The scheme's `claims` schema decodes them. Default: none. */
  readonly claims?: Readonly<Record<string, unknown>>
  /** The key or the certificate to which the token is bound, as if the client had proven it. Default: none. */
  readonly confirmation?: Confirmation
}

/**
 * Support of a scheme for tokens that are bound to a key (DPoP), for metadata.
 *
 * @category models
 * @since 0.1.0
 */
export interface DpopSupport {
  /** The accepted algorithms of proofs. */
  readonly algorithms: ReadonlyArray<string>
  /** Whether the scheme accepts only tokens with a proof. */
  readonly isRequired: boolean
}

/**
 * Support of a scheme for tokens that are bound to a certificate (mutual TLS), for metadata.
 *
 * @category models
 * @since 0.1.0
 */
export interface MutualTlsSupport {
  /** Whether the scheme accepts only bound tokens. */
  readonly isRequired: boolean
}

/**
 * Security scheme with the declared scopes `Scope`.
 *
 * @category models
 * @since 0.1.0
 */
export interface OAuth2Scheme<
  in out Name extends string,
  in out Scope extends string,
  in out Implies = {},
  out Claims extends object = UnknownClaims,
  out LayerError = never,
  out LayerServices = never
> {
  /** The scheme's name in OpenAPI's `components.securitySchemes`. */
  readonly name: Name
  /** The scheme's flows. Empty if the scheme uses OpenID Connect Discovery. Throws if a `provider` is not available yet. */
  readonly flows: Flows
  /** The declared scopes with their descriptions. */
  readonly scopes: Readonly<Record<Scope | WildcardOf<Implies>, string>>
  /** The scheme's description in OpenAPI documents. */
  readonly description: string | undefined
  /** The identifier of the API as a protected resource, unchanged (RFC 9728 §1.2). */
  readonly resource: string | undefined
  /** The support for tokens that are bound to a key (RFC 9449). `undefined` if the scheme refuses such tokens. */
  readonly dpop: DpopSupport | undefined
  /** The name of the session cookie, if the scheme accepts sessions of browsers. */
  readonly sessionCookie: string | undefined
  /** The support for tokens that are bound to a certificate (RFC 8705). `undefined` if the scheme refuses such tokens. */
  readonly mutualTls: MutualTlsSupport | undefined

  /**
   * Requires a valid token that satisfies all of the given scopes and requirements.
   *
   * **Details**
   *
   * Without arguments, every valid token is accepted. Handlers can use `AccessToken`, `token`, and `granted` with
   * the proven scopes.
   *
   * A scope with placeholders, such as `read:{org}`, takes the path parameters of the route. For `/orgs/acme`, the token
   * needs `read:acme`, and `granted("read:{org}")` is proven. The value is the parameter as the router decodes it, before
   * a schema of an `HttpApi` changes it. Do not treat two values as one organization if their scopes differ.
   *
   * **Example** (Protecting a route and an endpoint)
   *
   * ```ts
   * import { Effect, Layer } from "effect"
   * import { HttpRouter, HttpServerResponse } from "effect/http"
   * import { HttpApiEndpoint } from "effect/http-api"
   * import { auth } from "./auth.ts"
   *
   * export const route = HttpRouter.add("GET", "/items", Effect.succeed(HttpServerResponse.jsonUnsafe([]))).pipe(
   *   auth.require("items:read")
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
   * Requires the token of a request to satisfy everything given, but accepts requests without a token, too.
   *
   * **Details**
   *
   * Handlers can use `auth.optionalToken`. It is `None` if the request has no bearer token. An invalid token is
   * refused; the request does not become anonymous.
   *
   * **Gotchas**
   *
   * - Nested with `require`, the token is not optional anymore.
   * - The service `OptionalAccessToken` serves all schemes. Its claims have no types.
   *
   * **Example** (Greeting users and anonymous visitors)
   *
   * ```ts
   * import { Effect, Layer, Option } from "effect"
   * import { HttpRouter, HttpServerResponse } from "effect/http"
   * import { auth } from "./auth.ts"
   *
   * export const Home = HttpRouter.add(
   *   "GET",
   *   "/",
   *   Effect.map(auth.optionalToken, (token) =>
   *     HttpServerResponse.text(Option.isSome(token) ? `Welcome back, ${token.value.subject}` : "Welcome")
   *   )
   * ).pipe(auth.optional())
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
   * Requires that the caller's token has all of the given scopes, and returns the verified token.
   *
   * **When to use**
   *
   * Use in domain code that must run only for callers with certain scopes, at any distance from the route. To require
   * the user's authentication, pass `Requirement.acr` or `Requirement.authenticatedWithin`. To require a bound token, pass
   * `Requirement.senderConstrained`.
   *
   * **Details**
   *
   * The scopes appear in the effect's type as `Granted<Scheme, Scope>`. A requirement on the route provides them.
   * Without it, the program does not compile.
   *
   * If types were cast away, the effect dies with a defect. The log names the missing scope, and the code after
   * `granted` does not run.
   *
   * **Example** (Requiring a scope in domain code)
   *
   * ```ts
   * import { Effect } from "effect"
   * import { OAuth2 } from "effect-oauth2"
   * import { auth } from "./auth.ts"
   *
   * // Effect<string, never, Granted<"OAuth2", "items:write">>
   * export const deleteItem = Effect.fn("Items.delete")(function* (id: number) {
   *   const token = yield* auth.granted("items:write")
   *   return `${token.subject} deleted ${id}`
   * })
   * ```
   */
  readonly granted: <
    const Scopes extends readonly [Scope | AuthenticationItem, ...ReadonlyArray<Scope | AuthenticationItem>]
  >(
    ...scopes: Scopes
  ) => Effect.Effect<VerifiedToken<Claims>, never, GrantOfEach<Name, Implies, Scopes[number]>>

  /**
   * Requires that the caller's token has at least one of the given scopes, and returns the first proven one.
   *
   * **Example** (Choosing by scope)
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
   * Effect.runSync(Effect.provide(mayModify, auth.layerTestGranted({ scopes: ["items:write"] }))) // => "own"
   * ```
   */
  readonly grantedAny: <const Scopes extends readonly [Scope, ...ReadonlyArray<Scope>]>(
    ...scopes: Scopes
  ) => Effect.Effect<Scopes[number], never, GrantOfAny<Name, Implies, Scopes>>

  /**
   * Returns the token that this scheme verified, with claims typed by the scheme's `claims` schema.
   *
   * **When to use**
   *
   * Use when you need typed claims, or the token of a certain scheme. The service `AccessToken` serves all schemes, and
   * its claims are `unknown`.
   *
   * **Details**
   *
   * A requirement of this scheme provides the token, unless it is optional. Without it, the program does not compile.
   *
   * **Example** (Reading typed claims)
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
   * const tenant = Effect.map(auth.token, ({ claims }) => claims.tenant)
   *
   * Effect.runSync(Effect.provide(tenant, auth.layerTestGranted({ claims: { tenant: "t1" } }))) // => "t1"
   * ```
   */
  readonly token: Effect.Effect<VerifiedToken<Claims>, never, NeedsToken<Name>>

  /**
   * Returns the credential of the current request, after this scheme has verified it.
   *
   * **When to use**
   *
   * Use to exchange the user's token for a token of another API, with `TokenExchange` of `effect-oauth2/client`.
   *
   * **Gotchas**
   *
   * A token for your API is not for another API (RFC 6750 §5.2). Do not forward it. Dies in tests with `layerTest` or
   * `layerTestGranted`, because no request has brought a credential.
   *
   * **Example** (Exchanging the token of a request)
   *
   * ```ts
   * import { Redacted } from "effect"
   * import { ClientAuthentication, TokenExchange } from "effect-oauth2/client"
   * import { auth } from "./auth.ts"
   *
   * export const exchange = TokenExchange.make({
   *   issuer: "https://idp.example.com",
   *   clientId: "orders",
   *   authentication: ClientAuthentication.secret(Redacted.make("the secret of orders")),
   *   subject: auth.credential,
   *   audience: "https://stock.example.com"
   * })
   * ```
   */
  readonly credential: Effect.Effect<VerifiedCredential, never, NeedsToken<Name>>

  /**
   * Fails with `InvalidToken` when the request's token expires, or when `TokenVerifier.invalidate` is called for it.
   *
   * **When to use**
   *
   * Use to end a WebSocket or a stream with its token. A requirement decides only when the connection opens.
   *
   * **Details**
   *
   * The reason is `Expired` or `Rejected`. The exact `expiresAt` applies, without the verifier's clock tolerance. Calls of
   * `invalidate` in other processes are not noticed.
   *
   * If the credential is a session cookie, the effect also fails when the session ends: at once in this process, and
   * within 30 seconds if another process or a time-out has ended the session.
   *
   * **Example** (Closing a WebSocket with a code)
   *
   * ```ts
   * import { Effect } from "effect"
   * import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
   * import { Socket } from "effect/socket"
   * import { auth } from "./auth.ts"
   *
   * const echo = Effect.gen(function* () {
   *   const request = yield* HttpServerRequest.HttpServerRequest
   *   const socket = yield* request.upgrade
   *   const { pull } = yield* socket.reader
   *   const { write } = yield* socket.writer
   *   yield* Effect.forever(Effect.flatMap(pull, (messages) => Effect.forEach(messages, write))).pipe(
   *     Effect.raceFirst(auth.expiry),
   *     // 4401 is a private code of this application (RFC 6455 §7.4.2).
   *     Effect.catchTag("InvalidToken", () => write(new Socket.CloseEvent(4401, "token expired"))),
   *     Effect.catchTag("SocketError", () => Effect.void)
   *   )
   *   return HttpServerResponse.empty()
   * }).pipe(Effect.scoped)
   *
   * export const Echo = HttpRouter.add("GET", "/echo", echo).pipe(auth.require("items:read"))
   * ```
   */
  readonly expiry: Effect.Effect<never, InvalidToken, NeedsToken<Name>>

  /**
   * Returns the token that this scheme verified, or `None` if the request is anonymous.
   *
   * **When to use**
   *
   * Use inside `auth.optional`, when you need typed claims. The service `OptionalAccessToken` serves all schemes.
   *
   * **Example** (Choosing the language of a page)
   *
   * ```ts
   * import { Effect, Option, Schema } from "effect"
   * import { HttpRouter, HttpServerResponse } from "effect/http"
   * import { OAuth2 } from "effect-oauth2"
   *
   * const auth = OAuth2.authorizationCode("OAuth2", {
   *   authorizationUrl: "https://idp.example.com/authorize",
   *   tokenUrl: "https://idp.example.com/token",
   *   scopes: { me: "Read your profile" },
   *   claims: Schema.Struct({ locale: Schema.String })
   * })
   *
   * const locale = Effect.map(auth.optionalToken, (token) => (Option.isSome(token) ? token.value.claims.locale : "en"))
   *
   * export const Home = HttpRouter.add("GET", "/", Effect.map(locale, HttpServerResponse.text)).pipe(auth.optional())
   * ```
   */
  readonly optionalToken: Effect.Effect<
    Option.Option<VerifiedToken<Claims>>,
    never,
    OptionalAccessToken | NeedsAuthentication<Name>
  >

  /**
   * Creates a requirement like `Requirement.check`, whose check receives the typed claims of this scheme.
   *
   * **Gotchas**
   *
   * Use the requirement only with this scheme. With another scheme, the program does not compile. If types were cast
   * away, the other scheme throws a `TypeError`.
   *
   * **Example** (Accepting the tokens of one tenant)
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
   * Creates a requirement of a declared scope with placeholders, whose values an effect computes for each request.
   *
   * **When to use**
   *
   * Use for values that are not path parameters, such as a header. For path parameters, pass the scope to `require`.
   *
   * **Details**
   *
   * - The effect runs before the token is verified, so that the challenge names the computed scope. It can use
   *   `HttpServerRequest`, and the services that are available where you add the requirement.
   * - A value is 1 to 256 printable ASCII characters without a space, `"`, `\`, `:`, `*`, `{` or `}`. With any other
   *   value, or without a value, the request is refused with `FailedCheck`, whose `checks` field holds the declared
   *   scope. The challenge does not contain the value.
   *
   * **Gotchas**
   *
   * If other middleware of an `HttpApi` separates two requirements, the outer challenge lacks the scopes that the inner
   * requirement computes with `scopeOf`.
   *
   * **Example** (Requiring the scope of the tenant in a header)
   *
   * ```ts
   * import { Effect } from "effect"
   * import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
   * import { OAuth2 } from "effect-oauth2"
   *
   * const auth = OAuth2.authorizationCode("OAuth2", {
   *   authorizationUrl: "https://idp.example.com/authorize",
   *   tokenUrl: "https://idp.example.com/token",
   *   scopes: { "read:{tenant}": "Read the items of one tenant" }
   * })
   * const tenant = Effect.map(HttpServerRequest.HttpServerRequest, ({ headers }) => ({ tenant: headers["x-tenant"] }))
   *
   * // Without a token: WWW-Authenticate: Bearer realm="OAuth2", scope="read:acme" (option responses: "rfc6750")
   * export const Items = HttpRouter.add("GET", "/items", HttpServerResponse.empty()).pipe(
   *   auth.require(auth.scopeOf("read:{tenant}", tenant))
   * )
   * ```
   */
  readonly scopeOf: <const Template extends TemplateOf<Scope>, R = never>(
    template: Template,
    values: Effect.Effect<{ readonly [Key in Placeholder<Template>]: string | undefined }, never, R>
  ) => Requirement<Template, Item.Proves<Template>, never, R, Name>

  /**
   * Verifies the `BearerToken` in the context, and requires the `SecurityScopes` in force.
   *
   * **When to use**
   *
   * Use to write your own guard, with or without HTTP.
   *
   * **Details**
   *
   * In an `HttpRouter` app, the errors are responses (`HttpServerRespondable`).
   *
   * **Example** (Loading the current user, like FastAPI's `get_current_user`)
   *
   * ```ts
   * import { Effect } from "effect"
   * import { SecurityScopes } from "effect-oauth2"
   * import { auth } from "./auth.ts"
   *
   * const currentUser = Effect.map(auth.authorize, (token) => token.subject)
   *
   * export const reader = currentUser.pipe(SecurityScopes.require("items:read"))
   * ```
   */
  readonly authorize: Effect.Effect<VerifiedToken<Claims>, SecurityError, BearerToken | Authentication<Name>>

  /**
   * Authorizes the request in the context like `authorize`, and returns `None` if the request has no bearer token.
   *
   * **Details**
   *
   * An invalid token is refused; the request does not become anonymous.
   *
   * **Example** (Choosing the size of a page)
   *
   * ```ts
   * import { Effect, Option } from "effect"
   * import { auth } from "./auth.ts"
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
   * Adds scopes of this scheme to the `SecurityScopes` in force, for your own guards.
   *
   * **Details**
   *
   * Works like `SecurityScopes.require`, but only for tokens of this scheme. An undeclared scope does not compile, and
   * throws a
   * `TypeError` at run time.
   *
   * **Example** (Requiring a scope, like FastAPI's `Security(get_current_user, scopes=["items:read"])`)
   *
   * ```ts
   * import { Effect } from "effect"
   * import { auth } from "./auth.ts"
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
   * Fails with a `SecurityError` of your own guard, and responds as this scheme does.
   *
   * **Details**
   *
   * The response uses the scheme's options, such as `renderers`. The challenge names the `SecurityScopes` in force.
   *
   * **Example** (Refusing a valid token of an unknown user)
   *
   * ```ts
   * import { Effect } from "effect"
   * import { SecurityError } from "effect-oauth2"
   * import { auth } from "./auth.ts"
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
   * Schemas of the scheme's errors by tag, for your own endpoints and middleware of an `HttpApi` that fail with these
   * errors.
   *
   * **Details**
   *
   * The errors respond like those of the scheme's requirements. The typed client receives the errors without a reason.
   *
   * **Example** (Writing middleware that loads the current user)
   *
   * ```ts
   * import { Context, Effect, Layer } from "effect"
   * import { HttpApiMiddleware } from "effect/http-api"
   * import { OAuth2, SecurityError } from "effect-oauth2"
   * import { auth } from "./auth.ts"
   *
   * class CurrentUser extends Context.Service<CurrentUser, { readonly name: string }>()("app/CurrentUser") {}
   *
   * const currentUser = Effect.flatMap(auth.token, ({ subject }) =>
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
   * Runs an effect only if the token satisfies the given requirements.
   *
   * **When to use**
   *
   * Use for code outside `HttpRouter`, such as queue workers. For routes and endpoints, use `require`.
   *
   * **Details**
   *
   * The effect can use `granted` with the proven scopes. Without HTTP, the token is the `BearerToken` in the context.
   * During an HTTP request, the token is always that of the request.
   *
   * **Example** (Handling a message that carries a token)
   *
   * ```ts
   * import { Effect } from "effect"
   * import { OAuth2 } from "effect-oauth2"
   * import { auth } from "./auth.ts"
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
   * Runs an effect like `prove`, but only if the given token satisfies the requirements.
   *
   * **When to use**
   *
   * Use for a token that came in a message, such as the first message of a WebSocket. `prove` always decides about the
   * token of the request.
   *
   * **Details**
   *
   * Inside the effect, the given token is the credential of the current request: for `granted`, for `authorizeOption`
   * and for nested requirements. The proof counts for this effect only, and not for another message of the connection.
   *
   * If a requirement around the connection accepted another user's token, the effect fails with `InvalidToken`. Scopes
   * that such a requirement has proven stay proven if the given token has them.
   *
   * **Example** (Authorizing the first message of a WebSocket)
   *
   * ```ts
   * import { Effect, Redacted } from "effect"
   * import { auth } from "./auth.ts"
   *
   * // Browsers cannot send an Authorization header with a WebSocket.
   * export const onFirstMessage = (text: string) =>
   *   Effect.map(auth.token, ({ subject }) => `hello ${subject}`).pipe(
   *     auth.proveToken(Redacted.make(text), "items:read")
   *   )
   * ```
   *
   * @see {@link BearerToken.fromHeaders} to read the token from the headers of a message
   */
  readonly proveToken: <const Items extends ReadonlyArray<Item<Scope, Name>>>(
    token: Redacted.Redacted,
    ...items: Items
  ) => <A, E, R>(
    self: Effect.Effect<A, E, R>
  ) => Effect.Effect<
    A,
    E | SecurityError | Item.Error<Items[number]>,
    | Exclude<R, Authenticated<Name> | Grants<Name, Item.AllOf<Items>>>
    | Authentication<Name>
    | Item.Services<Items[number]>
  >

  /**
   * Creates the layer that authenticates requests with the given verifier.
   *
   * **Details**
   *
   * Requirements, `authorize` and `OAuth2.Public` need this layer. A program builds one verifier for each verifier
   * layer. Give the same layer to several schemes, or to `Layer.provide` for `TokenVerifier.invalidate`, and all of them
   * share one verifier.
   *
   * If the scheme's `provider` option is a `Config`, the layer reads it, and fails with a `ConfigError` if a value is
   * missing. If the option is another effect, such as `Provider.discover`, the layer runs it, and has its failures.
   *
   * **Example** (Providing a verifier to a scheme)
   *
   * ```ts
   * import { Layer } from "effect"
   * import { FetchHttpClient } from "effect/http"
   * import { JwtVerifier } from "effect-oauth2"
   * import { auth } from "./auth.ts"
   *
   * export const Authentication = auth
   *   .layer(JwtVerifier.layer({ issuer: "https://idp.example.com", audience: "https://api.example.com" }))
   *   .pipe(Layer.provide(FetchHttpClient.layer))
   * ```
   */
  readonly layer: <E, R>(
    verifier: Layer.Layer<TokenVerifier, E, R>
  ) => Layer.Layer<Authentication<Name> | PublicEndpoint, E | LayerError, R | LayerServices>

  /**
   * Layer that gives typed clients a token of a source, with exactly the scopes of each endpoint or procedure.
   *
   * **When to use**
   *
   * Use for `HttpApiClient` and `RpcClient` of an api with requirements of this scheme. A client does not compile without
   * the layer of each scheme. With `"anonymous"`, the client sends no token.
   *
   * **Details**
   *
   * | response | what happens |
   * |---|---|
   * | 401 with `invalid_token`, or with a challenge without an error | the token is forgotten, and the request is sent once more |
   * | 401 `use_dpop_nonce` | the request is sent once more, with the nonce |
   * | 401 `insufficient_user_authentication` (RFC 9470) | the call fails with `StepUpRequired` |
   * | 403 `insufficient_scope`, within `ceiling` | the request is sent once more with a token that has these scopes, too |
   * | 403 `insufficient_scope`, beyond `ceiling` | the call fails with `ScopesRequired` |
   *
   * Nested requirements cause one more request at most. A public endpoint gets no token, and neither does a call with its
   * own `Authorization` header.
   *
   * **Gotchas**
   *
   * - Of `OAuth2.either`, the client uses the source of the first scheme.
   * - The client asks for a scope with placeholders of the path. If a scope comes from `scopeOf`, name it in `ceiling`.
   * - A call of `effect/rpc` is not sent again, because its client shows a middleware no response. It fails with the
   *   error of the scheme. Call `forget` of the source, and repeat the call.
   * - The layer ends with its scope. Provide it around the calls, and not only around `HttpApiClient.make`.
   * - The responses must be those of `"rfc6750"`, because FastAPI's form has no `insufficient_scope`.
   *
   * **Example** (Calling a protected api from a worker)
   *
   * ```ts
   * import { Effect, Layer, Redacted } from "effect"
   * import { FetchHttpClient } from "effect/http"
   * import { HttpApi, HttpApiClient, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
   * import { ClientAuthentication, ClientCredentials } from "effect-oauth2/client"
   * import { auth } from "./auth.ts"
   *
   * const Api = HttpApi.make("api")
   *   .add(HttpApiGroup.make("items").add(HttpApiEndpoint.get("list", "/items")))
   *   .middleware(auth.require("items:read"))
   *
   * const Client = auth.client(
   *   ClientCredentials.make({
   *     issuer: "https://idp.example.com",
   *     clientId: "worker",
   *     authentication: ClientAuthentication.secret(Redacted.make("the worker's secret"))
   *   })
   * )
   *
   * export const list = Effect.gen(function* () {
   *   const { items } = yield* HttpApiClient.make(Api, { baseUrl: "https://api.example.com" })
   *   return yield* items.list()
   * }).pipe(Effect.provide(Client.pipe(Layer.provideMerge(FetchHttpClient.layer))))
   * ```
   */
  readonly client: <E = never, R = never>(
    source: ClientTokens | Effect.Effect<ClientTokens, E, R> | "anonymous",
    options?: ClientOptions
  ) => Layer.Layer<
    RpcMiddleware.ForClient<Authentication<Name>> | HttpApiMiddleware.ForClient<Authentication<Name>>,
    E,
    Exclude<R, Scope.Scope>
  >

  /**
   * Creates the layer that sends a token with each request of a typed client, for `RpcClient` and `HttpApiClient`.
   *
   * **Details**
   *
   * - The effect runs for each call, so it can return a renewed token. Public endpoints and procedures get no token.
   * - A header that the program sets for one call takes precedence.
   * - Of the schemes of `OAuth2.either`, the layer of the first one sends the token.
   * - A scheme with passwords, or with an API key in a query or a cookie, throws a `TypeError`.
   *
   * **Example** (Calling procedures over a WebSocket)
   *
   * ```ts
   * import { Effect, Layer, Redacted, Schema } from "effect"
   * import { Rpc, RpcClient, RpcGroup, RpcSerialization } from "effect/rpc"
   * import { Socket } from "effect/socket"
   * import { auth } from "./auth.ts"
   *
   * const Items = RpcGroup.make(
   *   Rpc.make("Owner", { success: Schema.String }).middleware(auth.require("items:read").rpc)
   * )
   *
   * const Client = Layer.mergeAll(
   *   auth.layerClient({ token: Effect.succeed(Redacted.make("token")) }),
   *   RpcClient.layerProtocolSocket().pipe(
   *     Layer.provide(Socket.layerWebSocket("wss://api.example.com/rpc")),
   *     Layer.provide([Socket.layerWebSocketConstructorGlobal, RpcSerialization.layerJson])
   *   )
   * )
   *
   * export const owner = Effect.gen(function* () {
   *   const client = yield* RpcClient.make(Items)
   *   return yield* client.Owner()
   * }).pipe(Effect.scoped, Effect.provide(Client))
   * ```
   */
  readonly layerClient: <R = never>(options: {
    /** Returns the token for a call. */
    readonly token: Effect.Effect<Redacted.Redacted, never, R>
  }) => Layer.Layer<
    RpcMiddleware.ForClient<Authentication<Name>> | HttpApiMiddleware.ForClient<Authentication<Name>>,
    never,
    R
  >

  /**
   * Layer that authorizes the request in the context, and provides `BearerToken` and `AccessToken`.
   *
   * **Details**
   *
   * The token must have the `SecurityScopes` in force. The layer is not memoized.
   *
   * **Example** (Authorizing in a handler)
   *
   * ```ts
   * import { Effect } from "effect"
   * import { HttpRouter, HttpServerResponse } from "effect/http"
   * import { AccessToken } from "effect-oauth2"
   * import { auth } from "./auth.ts"
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
   * Layer for tests that replaces `layer`, and authenticates every request with the given token.
   *
   * **Details**
   *
   * - The credentials of the request do not matter, and no signature is verified. Scopes and checks are decided as
   *   usual.
   * - With `"anonymous"`, every request is treated as a request without a token.
   * - If the scheme's `claims` schema cannot decode the claims, the layer dies with a defect.
   *
   * **Gotchas**
   *
   * `BearerToken.layer` still reads the request. If your own guard uses it, send an `Authorization` header in the test.
   *
   * **Example** (Testing a route)
   *
   * ```ts import.meta.vitest
   * import { Effect, Layer } from "effect"
   * import { HttpEffect, HttpRouter, HttpServerResponse } from "effect/http"
   * import { OAuth2 } from "effect-oauth2"
   *
   * const auth = OAuth2.authorizationCode("OAuth2", {
   *   authorizationUrl: "https://idp.example.com/authorize",
   *   tokenUrl: "https://idp.example.com/token",
   *   scopes: { me: "Read your profile" }
   * })
   * const Me = HttpRouter.add(
   *   "GET",
   *   "/me",
   *   Effect.map(auth.token, ({ subject }) => HttpServerResponse.text(subject))
   * ).pipe(auth.require("me"))
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
  readonly layerTest: (
    token: TestToken<Scope | WildcardOf<Implies> | Filled<Scope | WildcardOf<Implies>>> | "anonymous"
  ) => Layer.Layer<Authentication<Name> | PublicEndpoint>

  /**
   * Layer for tests of domain code without HTTP that proves the scopes of the given token.
   *
   * **Details**
   *
   * To prove the user's authentication, pass the requirements after the token, such as `Requirement.acr("mfa")`. They
   * are proven whatever the token says.
   *
   * **Gotchas**
   *
   * HTTP requests do not accept this proof.
   *
   * **Example** (Testing domain code)
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
   * Effect.runSync(Effect.provide(owner, auth.layerTestGranted({ subject: "demo", scopes: ["items:write"] }))) // => "demo"
   * ```
   */
  readonly layerTestGranted: <
    const S extends Scope | WildcardOf<Implies> = never,
    const Authentications extends ReadonlyArray<AuthenticationItem> = readonly []
  >(
    token: TestToken<S>,
    ...authentications: Authentications
  ) => Layer.Layer<
    | AccessToken
    | Verified<Name>
    | (S extends string ? Granted<Name, S> : never)
    | Grants<Name, Item.AllOf<Authentications>>
  >
}

// TemplateOf<"read:{org}" | "me"> -> "read:{org}"
type TemplateOf<Scope extends string> = Extract<Scope, `${string}{${string}}${string}`>

// Placeholder<"read:{org}:{team}"> -> "org" | "team"
type Placeholder<Template extends string> = Template extends `${string}{${infer Key}}${infer Rest}`
  ? Key | Placeholder<Rest>
  : never

// Filled<"read:{org}"> -> `read:${string}`. Filled<"me"> -> "me"
type Filled<Scope extends string> = Scope extends `${infer Before}{${string}}${infer After}`
  ? `${Before}${string}${Filled<After>}`
  : Scope

/** The scheme that a constructor creates from its options. */
export type SchemeOf<
  Name extends string,
  Scope extends string,
  Implies,
  Claims extends object,
  Wildcards extends boolean,
  LayerError = never,
  LayerServices = never
> = OAuth2Scheme<
  Name,
  Requirable<Scope, Wildcards>,
  WithWildcards<Implies, Scope, Wildcards>,
  Claims,
  LayerError,
  LayerServices
>

/** `Requirement.acr`, `Requirement.authenticatedWithin`, `Requirement.senderConstrained`, or a combination of them. */
type AuthenticationItem = Requirement<never, never, never, never, never>

// GrantOfEach<"OAuth2", {}, "a" | "b"> -> NeedsGrant<"OAuth2", "a"> | NeedsGrant<"OAuth2", "b">. A scope of type
// `string` -> NeedsGrant<"OAuth2", never>
type GrantOfEach<Name extends string, Implies, Scope> = Scope extends string
  ? NeedsGrant<Name, IsLiteral<Scope> extends true ? ImpliedBy<Implies, Scope> : never>
  : Scope extends Requirement<never, infer Proves, never, never, never>
    ? GrantOfClauses<Name, Proves>
    : never

// GrantOfClauses<"OAuth2", Clause<"acr a" | "acr b"> | Clause<"c">> -> NeedsGrant<"OAuth2", "acr a" | "acr b"> |
// NeedsGrant<"OAuth2", "c">. Without clauses -> NeedsGrant<"OAuth2", never>
type GrantOfClauses<Name extends string, Proves> = [Proves] extends [never]
  ? NeedsGrant<Name, never>
  : Proves extends Clause<infer Scope>
    ? NeedsGrant<Name, Scope>
    : never

// GrantOfAny<"OAuth2", {}, ["a", "b"]> -> NeedsGrant<"OAuth2", "a" | "b">. A list of type Array<"a" | "b"> -> the result
// of GrantOfEach
type GrantOfAny<Name extends string, Implies, Scopes extends ReadonlyArray<string>> =
  AreCertain<Scopes> extends true
    ? NeedsGrant<Name, ImpliedBy<Implies, Scopes[number]>>
    : GrantOfEach<Name, Implies, Scopes[number]>

// AreCertain<["a", "b"]> -> true. AreCertain<Array<"a">>, AreCertain<["a" | "b"]> and AreCertain<["a"] | ["b"]> ->
// false
type AreCertain<Scopes extends ReadonlyArray<string>> = number extends Scopes["length"]
  ? false
  : true extends IsUnion<Scopes>
    ? false
    : false extends { readonly [K in keyof Scopes]: IsLiteral<Scopes[K]> }[number]
      ? false
      : true
