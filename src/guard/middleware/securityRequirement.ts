/**
 * Defines the result of `auth.require`: the types of a requirement, and the middleware for `HttpApi` and `HttpRouter`.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as HttpRouter from "effect/http/HttpRouter"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import type { HttpServerResponse } from "effect/http/HttpServerResponse"
import * as HttpApiMiddleware from "effect/http-api/HttpApiMiddleware"
import * as Layer from "effect/Layer"
import type * as RpcMiddleware from "effect/rpc/RpcMiddleware"
import type * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Types from "effect/Types"
import type { AccessToken, OptionalAccessToken } from "../../core/AccessToken.ts"
import type { BearerToken } from "../../core/BearerToken.ts"
import type { RequestError } from "../../core/clientErrors.ts"
import type { MiddlewareTypes, RpcMiddlewareKey, RpcMiddlewareTypes } from "../../core/effect/middlewareTypes.ts"
import type { IsUnion, Listed } from "../../core/lib/types.ts"
import type { Missing } from "../../core/missing.ts"
import type { SecurityError } from "../../core/SecurityError.ts"
import { ownProperties } from "../../core/lib/ownProperties.ts"
import * as registry from "../requirement/registry.ts"
import {
  bindToRoute,
  custom,
  type Lookup,
  type RequirementPolicy,
  runsUserCode,
  withLookup
} from "../requirement/policy.ts"
import { SchemeNames } from "../requirement/schemeNames.ts"
import * as guard from "../decision/guard.ts"
import * as placement from "./placement.ts"
import * as rpc from "./rpc.ts"
import * as routeRecorder from "./routeRecorder.ts"
import * as schemesOfApp from "./schemesOfApp.ts"
import type { ErrorSchemas } from "../scheme/errorSchemas.ts"
import type { Scheme } from "../scheme/scheme.ts"

/**
 * Service that authenticates requests for the scheme `Name`.
 *
 * **Details**
 *
 * `auth.layer` provides the service. Requirements and `auth.authorize` need it.
 *
 * @category services
 * @since 0.1.0
 */
export interface Authentication<in out Name extends string> {
  readonly "~effect-oauth2/Authentication": Types.Invariant<Name>
}

/**
 * Proof that the request's token has at least one of the scopes `Scope` of the scheme `Name`.
 *
 * **Details**
 *
 * A requirement provides the proof. `auth.granted` needs it. A proof of `"a"` is also a proof of `"a" | "b"`.
 *
 * `Requirement.acr("mfa")` proves `"acr mfa"`, and `Requirement.authenticatedWithin("5 minutes")` proves
 * `"authenticated within 5 minutes"`. `Requirement.senderConstrained` proves `"bound token"`.
 *
 * **Example** (Requiring a proof from callers of a service)
 *
 * ```ts
 * import { Context, type Effect } from "effect"
 * import type { OAuth2 } from "effect-oauth2"
 *
 * export class Items extends Context.Service<
 *   Items,
 *   { readonly remove: (id: number) => Effect.Effect<void, never, OAuth2.Granted<"OAuth2", "items:write">> }
 * >()("app/Items") {}
 * ```
 *
 * @category services
 * @since 0.1.0
 */
export interface Granted<in out Name extends string, in Scope extends string> {
  readonly "~effect-oauth2/Granted": {
    readonly scheme: Types.Invariant<Name>
    readonly scope: Types.Contravariant<Scope>
  }
}

/**
 * Proof that the scheme `Name` verified the request's token.
 *
 * **Details**
 *
 * A requirement that is not optional provides the proof. `auth.token` needs it.
 *
 * @category services
 * @since 0.1.0
 */
export interface Verified<in out Name extends string> {
  readonly "~effect-oauth2/Verified": Types.Invariant<Name>
}

/**
 * Proof that a requirement or `OAuth2.Public` wraps a route of `OAuth2.route`. `Route` is the method and the path.
 *
 * @category services
 * @since 0.1.0
 */
export interface Seal<out Route extends string> {
  readonly "~effect-oauth2/Seal": Route
}

/**
 * Mark of `OAuth2.Public` in the types of an endpoint. `Public` needs the mark and a requirement provides it. The
 * compiler removes what outer middleware provides, so the mark is left over only if no requirement wraps `Public`.
 */
export interface PublicMark {
  readonly "~effect-oauth2/Public": true
}

// Three types hold one requirement. For auth.require("a") of the scheme "OAuth2":
// SecurityRequirementTypes -> the type parameters, which OAuth2.either reads
// Requires -> the identifier of the middleware key, which HttpApi reads
// SecurityRequirement -> the value: both of these, the function of layers, and `route`

/**
 * Service of one requirement, which the scheme's `Authentication` implements.
 *
 * @category services
 * @since 0.1.0
 */
export interface Requires<in out Name extends string, Provides, E, R>
  extends
    Authentication<Name>,
    MiddlewareTypes<
      Provides | PublicMark,
      Exclude<R, HttpRouter.Provided>,
      readonly [...ErrorSchemas, ...([E] extends [never] ? [] : [Schema.Codec<E, unknown>])],
      true,
      RequestError
    > {}

/**
 * Service of one requirement of a procedure, which the scheme's `Authentication` implements.
 *
 * @category services
 * @since 0.1.0
 */
export interface RpcRequires<in out Name extends string, Provides, E, R>
  extends
    Authentication<Name>,
    RpcMiddlewareTypes<
      Provides,
      Exclude<R, HttpServerRequest | Scope.Scope>,
      Schema.Codec<SecurityError | E, unknown>,
      RequestError
    > {}

/**
 * Middleware that protects procedures of `effect/rpc`.
 *
 * @category models
 * @since 0.1.0
 */
export interface RpcRequirement<Name extends string, Provides, E = never, R = never>
  extends
    Context.Key<
      Name extends string ? Missing<SchemeSentence<Name>> & RpcRequires<Name, Provides, E, R> : never,
      RpcMiddleware.RpcMiddleware<Provides, SecurityError | E, R>
    >,
    // A client of OAuth2.either would need a layer of both schemes in one, so the compiler does not ask for it.
    RpcMiddlewareKey<
      Schema.Codec<SecurityError | E, unknown>,
      IsUnion<Name> extends true ? false : true,
      RequestError
    > {}

// AuthenticationsOf<"OAuth2"> -> never; AuthenticationsOf<"A" | "B"> -> NeedsAuthentication<"A" | "B">. `effect/rpc`
// finds one scheme by its key. The guard finds the others in the context of the handlers.
type AuthenticationsOf<Name extends string> = IsUnion<Name> extends true ? NeedsAuthentication<Name> : never

/**
 * Types of a requirement: the names of its schemes, the services that it provides to handlers, and the errors and
 * services of its checks.
 *
 * @category models
 * @since 0.1.0
 */
export interface SecurityRequirementTypes<out Name, in Provides, out E, out R> {
  readonly "~effect-oauth2/SecurityRequirement": {
    readonly name: Name
    // A requirement that provides more is assignable to one that provides less.
    readonly provides: Types.Contravariant<Provides>
    readonly error: E
    readonly services: R
  }
}

// The compiler shows the result of a conditional type, and the name of an alias. Therefore each of these types is
// conditional.

// NeedsAuthentication<"OAuth2"> -> Missing<"the layer of the scheme `OAuth2`: …"> & Authentication<"OAuth2">
export type NeedsAuthentication<Name extends string> = Name extends string
  ? Missing<SchemeSentence<Name>> & Authentication<Name>
  : never

// The compiler finds no common type for two sentences, so one sentence names the layers of servers and of typed clients.
type SchemeSentence<Name extends string> =
  `the layer of the scheme \`${Name}\`: auth.layer(JwtVerifier.layer({ … })) in a server, auth.client(source) in a client`

// NeedsGrant<"OAuth2", "me"> -> Missing<"A handler needs the scope `me` …"> & Granted<"OAuth2", "me">
export type NeedsGrant<Name extends string, Scope extends string> = [Scope] extends [never]
  ? Missing<GrantSentence<Name, Scope>> & Granted<Name, Scope>
  : Missing<GrantSentence<Name, Scope>> & Granted<Name, Scope>

export type GrantSentence<Name extends string, Scope extends string> = [Scope] extends [never]
  ? `A handler needs a scope of the scheme \`${Name}\`, but the types do not know which. Write the scope as a literal.`
  : [Scope] extends [`${string} ${string}`]
    ? `A handler needs the authentication \`${Listed<Scope>}\` of the scheme \`${Name}\`, but no requirement around it proves this. Use auth.require.`
    : `A handler needs ${IsUnion<Scope> extends true ? "one of the scopes" : "the scope"} \`${Listed<Scope>}\` of the scheme \`${Name}\`, but no requirement around it proves this. Use auth.require.`

// NeedsToken<"OAuth2"> -> Missing<"A handler needs a token of the scheme `OAuth2`, …"> & Verified<"OAuth2">
export type NeedsToken<Name extends string> = Name extends string
  ? Missing<TokenSentence<Name>> & Verified<Name>
  : never

export type TokenSentence<Name extends string> =
  `A handler needs a token of the scheme \`${Name}\`, but no requirement around it proves this. Use auth.require.`

// NeedsSeal<"GET /x"> -> Missing<"The route `GET /x` has neither …"> & Seal<"GET /x">
export type NeedsSeal<Route extends string> = Route extends string ? Missing<RouteSentence<Route>> & Seal<Route> : never

export type RouteSentence<Route extends string> =
  `The route \`${Route}\` has neither a requirement nor OAuth2.Public. Add auth.require, auth.optional or OAuth2.Public.`

// A layer that adds routes needs the router. Handlers of an HttpApi and services do not.
// NeedsRoutes<HttpRouter | Users> -> never; NeedsRoutes<Users> -> Missing<"…">
export type NeedsRoutes<R> = [Extract<R, HttpRouter.HttpRouter>] extends [never]
  ? Missing<"routes inside the requirement: HttpRouter.add(…).pipe(auth.require(…)), before HttpRouter.serve. A layer without routes applies no requirement">
  : never

/**
 * Middleware of a requirement for `HttpRouter`.
 *
 * @category models
 * @since 0.1.0
 */
export interface RequirementMiddleware<
  Name extends string,
  Provides,
  E = never,
  R = never
> extends HttpRouter.Middleware<{
  provides: Provides | Seal<string>
  handles: never
  error: SecurityError | E
  requires: never
  layerError: never
  layerRequires: NeedsAuthentication<Name> | Exclude<R, HttpRouter.Provided>
}> {
  readonly layer: Layer.Layer<
    | HttpRouter.Request.From<"Requires", Provides | Seal<string>>
    // Handlers of `RpcServer.layerHttp` run within the request, but their types do not say this. If the layer is provided
    // to handlers alone, the program does not start.
    | Exclude<Provides, Authentication<Name>>,
    never,
    NeedsAuthentication<Name> | Exclude<R, HttpRouter.Provided> | HttpRouter.Request.From<"Error", SecurityError | E>
  >
}

/**
 * Requirement that protects endpoints and routes.
 *
 * **Details**
 *
 * In an `HttpApi`, add the requirement to an endpoint, a group or an api: `endpoint.middleware(auth.require("a"))`. For
 * `HttpRouter`, apply it to a layer of routes: `routes.pipe(auth.require("a"))`. In both, a later requirement wraps an
 * earlier requirement. Nested requirements accumulate, outermost first, and are decided together.
 *
 * **Gotchas**
 *
 * - The requirement does not compile if it is provided to a layer that adds no routes, such as the handlers of an
 *   `HttpApi`.
 * - If other middleware separates two requirements, the outer one is checked first, and its challenge names only its
 *   own scopes. `HttpRouter.provideRequest` counts as middleware.
 * - The program does not start if `HttpRouter` would run a middleware outside the requirement that the program provides
 *   inside. This happens with `a.combine(b)`.
 *
 * **Example** (Protecting several routes with one requirement)
 *
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { HttpRouter, HttpServerResponse } from "effect/http"
 * import { OAuth2 } from "effect-oauth2"
 *
 * const auth = OAuth2.clientCredentials("Jobs", {
 *   tokenUrl: "https://idp.example.com/token",
 *   scopes: { "jobs:run": "Run jobs" }
 * })
 * const accepted = Effect.succeed(HttpServerResponse.empty({ status: 202 }))
 *
 * export const Jobs = Layer.mergeAll(
 *   HttpRouter.add("POST", "/jobs/backup", accepted),
 *   HttpRouter.add("POST", "/jobs/report", accepted)
 * ).pipe(auth.require("jobs:run"))
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export interface SecurityRequirement<Name extends string, Provides, E = never, R = never>
  extends
    SecurityRequirementTypes<Name, Provides, E, R>,
    // One identifier for each scheme, so that the program must provide the layer of every scheme.
    Context.Key<
      Name extends string ? Missing<SchemeSentence<Name>> & Requires<Name, Provides, E, R> : never,
      HttpApiMiddleware.HttpApiMiddleware<Provides, ErrorSchemas, R>
    > {
  /** Applies the requirement to a layer of routes: `routes.pipe(auth.require("a"))`. */
  <A, LayerError, LayerServices>(
    routes: Layer.Layer<A, LayerError, LayerServices>
  ): Layer.Layer<
    A,
    LayerError,
    | Exclude<
        LayerServices,
        | HttpRouter.Request.From<"Requires", Provides | Seal<string>>
        // Handlers of `RpcServer.layerHttp` run within the request, but their types do not say this.
        | Exclude<Provides, Authentication<Name>>
      >
    | HttpRouter.Request.From<"Error", SecurityError | E>
    | NeedsAuthentication<Name>
    | Exclude<R, HttpRouter.Provided>
    | NeedsRoutes<LayerServices>
  >

  /**
   * Creates the requirement that also provides a service to handlers, such as the current user.
   *
   * **Details**
   *
   * The effect runs once per request, after all nested requirements have accepted it. It can use the token, the proven
   * scopes, and services of the program. It refuses the request if it fails with a `SecurityError`: the response is that
   * of the scheme, and the challenge names all scopes. Every other error needs the `error` option: the schema gives the
   * status and the body of the response.
   *
   * Services of the effect come from the program, or from an earlier `provide` of the same requirement.
   *
   * **Example** (Providing the current user, like FastAPI's `Depends(get_current_user)`)
   *
   * ```ts
   * import { Context, Effect } from "effect"
   * import { HttpRouter, HttpServerResponse } from "effect/http"
   * import { SecurityError } from "effect-oauth2"
   * import { auth } from "./auth.ts"
   *
   * class Users extends Context.Service<Users, { readonly find: (id: string) => string | undefined }>()("app/Users") {}
   * class CurrentUser extends Context.Service<CurrentUser, string>()("app/CurrentUser") {}
   *
   * const currentUser = Effect.gen(function* () {
   *   const { subject } = yield* auth.token
   *   const user = (yield* Users).find(subject)
   *   return user ?? (yield* Effect.fail(new SecurityError.InvalidToken({ reason: "Rejected" })))
   * })
   *
   * const signedIn = auth.require("me").provide(CurrentUser, currentUser)
   *
   * export const Me = HttpRouter.add("GET", "/users/me", Effect.map(CurrentUser, HttpServerResponse.text)).pipe(signedIn)
   * ```
   */
  readonly provide: <Identifier, Shape, Services, Error extends Schema.Top = never>(
    service: Context.Key<Identifier, Shape>,
    find: Effect.Effect<Shape, SecurityError | Error["Type"], Services>,
    options?: { readonly error: Error }
  ) => SecurityRequirement<
    Name,
    Provides | Identifier,
    E | Error["Type"],
    R | Exclude<Services, Provides | HttpRouter.Provided>
  >

  /**
   * Middleware for `HttpRouter`, to combine with other middleware: `middleware.combine(requirement.route).layer`.
   *
   * **Details**
   *
   * `Layer.provide(requirement.route.layer)` protects a layer of routes, and proves its scopes to the handlers of
   * `RpcServer.layerHttp`.
   *
   * **Gotchas**
   *
   * - The program does not start if this layer is provided to handlers or to another middleware, because these do not
   *   apply the requirement.
   * - The layer of `a.combine(requirement.route)` does not prove its scopes to handlers of `effect/rpc`. Provide `a.layer`
   *   and `requirement.route.layer` one by one.
   */
  readonly route: RequirementMiddleware<Name, Provides, E, R>

  /**
   * Middleware for `effect/rpc`: `Rpc.make("List").middleware(requirement.rpc)`, or for a whole `RpcGroup`.
   *
   * **Details**
   *
   * - Each call is decided anew, over HTTP and over a WebSocket. The credential comes from the headers of the call. A
   *   call without its own header uses that of the upgrade request, or of the HTTP request.
   * - Handlers can use `auth.granted`, `auth.token` and `AccessToken`, as on a route. `HttpServerRequest` is the request
   *   of the connection with the credential of the call. The client receives the errors of
   *   the scheme. Nested requirements are decided together, outermost first.
   * - A stream fails with `InvalidToken` when its token expires or is invalidated.
   * - If a requirement around the connection accepted another user's token, the call fails with `InvalidToken`.
   *
   * **Gotchas**
   *
   * - `group.middleware` covers only the procedures that were added before it. `OAuth2.secured(group)` finds the others.
   * - `effect/rpc` decodes the payload and calls the handler's function before the requirement runs. Only the effect
   *   that the function returns is protected.
   * - `OAuth2.either` needs the layer of every scheme around the handlers, too.
   *
   * **Example** (Protecting procedures)
   *
   * ```ts
   * import { Effect, Schema } from "effect"
   * import { Rpc, RpcGroup } from "effect/rpc"
   * import { OAuth2 } from "effect-oauth2"
   * import { auth } from "./auth.ts"
   *
   * export const Items = OAuth2.secured(
   *   RpcGroup.make(
   *     Rpc.make("Owner", { success: Schema.String }).middleware(auth.require("items:write").rpc)
   *   ).middleware(auth.require("items:read").rpc)
   * )
   *
   * export const Handlers = Items.toLayer({
   *   Owner: () => Effect.map(auth.granted("items:read", "items:write"), ({ subject }) => subject)
   * })
   * ```
   */
  readonly rpc: RpcRequirement<Name, Provides | HttpServerRequest, E, R | AuthenticationsOf<Name>>
}

/**
 * Services that a requirement provides to handlers, unless it is optional.
 *
 * @category utility types
 * @since 0.1.0
 */
export type Authenticated<Name extends string> =
  AccessToken | OptionalAccessToken | BearerToken | Authentication<Name> | Verified<Name>

export const make = <Name extends string, Provides, E, R>(
  policy: RequirementPolicy
): SecurityRequirement<Name, Provides, E, R> => {
  const schemes = Array.from(new Set(policy.flat().map(({ scheme }) => scheme)))
  const [first] = schemes
  if (first === undefined) throw new TypeError("A requirement has no scheme. Pass at least one requirement.")
  new SchemeNames().add(policy)
  const ownCode = custom(policy)
  const declared = ownCode.flatMap(({ error }) => error ?? [])
  // Every requirement of a scheme has the key of the scheme's `Authentication`.
  const newKey = () =>
    HttpApiMiddleware.Service<never>()(first.service.key, {
      error: [...new Set([...schemes.flatMap((scheme) => Object.values(scheme.errors)), ...declared])]
    })
  const key = newKey()
  const route = HttpRouter.middleware(
    Effect.gen(function* () {
      schemesOfApp.note(policy, yield* Effect.context<never>())
      const bound = !runsUserCode(policy) ? policy : bindToRoute(policy, yield* Effect.context<never>())
      const authentications = new Map<Scheme, Scheme["service"]["Service"]>()
      for (const scheme of schemes) authentications.set(scheme, yield* scheme.service)
      const middleware = (handler: Effect.Effect<HttpServerResponse, Types.unhandled>) => {
        placement.assertOrder(middleware)
        schemesOfApp.note(policy, Fiber.getCurrent()?.context ?? Context.empty())
        routeRecorder.noteRequirement(policy)
        // Safe cast: the guard returns the handler's response.
        return guard.make(bound, authentications, handler) as Effect.Effect<HttpServerResponse, Types.unhandled>
      }
      placement.registerRequirement(middleware, policy)
      return middleware
    })
  )
  const provide = (service: Lookup["service"], find: Lookup["find"], options?: { readonly error: Schema.Top }) =>
    make(withLookup(policy, { service, find, error: options && ownProperties(options).error }))
  const requirement = Object.defineProperty(Object.assign(callable(key, route), { provide }), "rpc", {
    get: () => rpc.keyOf(policy, first.service.key),
    enumerable: true
  })
  registry.register(requirement, policy, newKey)
  // Safe cast: the caller computes the type parameters from the items of this policy.
  return requirement as unknown as SecurityRequirement<Name, Provides, E, R>
}

/** Makes a middleware key that is also a function of layers of routes. It inherits the members of the key. */
export const callable = (key: object, route: { readonly layer: unknown }): object => {
  const apply = (routes: Layer.Layer<never, unknown, unknown>) =>
    // Safe cast: a requirement of routes needs no other request-level service, so its layer is not a message.
    Layer.provide(routes, route.layer as Layer.Layer<never>)
  return Object.setPrototypeOf(Object.assign(apply, { route }), key) as object
}
