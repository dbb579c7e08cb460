/** Defines `OAuth2.secured` and `OAuth2.route`, which refuse unprotected endpoints at compile time and at run time. */
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import { HttpServerRequest } from "effect/http/HttpServerRequest"
import type { HttpServerResponse } from "effect/http/HttpServerResponse"
import * as HttpApi from "effect/http-api/HttpApi"
import * as HttpApiMiddleware from "effect/http-api/HttpApiMiddleware"
import type * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import type * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import type * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as Layer from "effect/Layer"
import type * as Rpc from "effect/rpc/Rpc"
import type * as RpcGroup from "effect/rpc/RpcGroup"
import * as rpc from "../core/effect/rpc.ts"
import { isHandlers } from "../core/effect/routeContext.ts"
import type * as Scope from "effect/Scope"
import * as registry from "../guard/requirement/registry.ts"
import * as words from "../guard/requirement/words.ts"
import { SchemeNames } from "../guard/requirement/schemeNames.ts"
import * as Origin from "../guard/scheme/origin.ts"
import { missingParameter } from "../guard/decision/fill.ts"
import { isPublic, type PublicEndpoint } from "./public.ts"
import { type RecordedRoute, recorded } from "../guard/middleware/routeRecorder.ts"
import type {
  Granted,
  GrantSentence,
  NeedsSeal,
  PublicMark,
  RouteSentence,
  Seal,
  TokenSentence,
  Verified
} from "../guard/middleware/securityRequirement.ts"
import type { AccessToken, OptionalAccessToken } from "../core/AccessToken.ts"

// Endpoint `list` without middleware -> "The endpoint `list` has neither …". Endpoint with a requirement -> never
type UnprotectedEndpoint<Endpoint> = Endpoint extends HttpApiEndpoint.Constraint
  ? [Extract<HttpApiEndpoint.Middleware<Endpoint>, PublicEndpoint>] extends [never]
    ? [Protecting<HttpApiEndpoint.Middleware<Endpoint>>] extends [never]
      ? NeitherSentence<HttpApiEndpoint.Identifier<Endpoint>>
      : never
    : // A requirement around `Public` has provided the mark that `Public` needs.
      [Extract<HttpApiEndpoint.MiddlewareServices<Endpoint>, PublicMark>] extends [never]
      ? InsideSentence<HttpApiEndpoint.Identifier<Endpoint>>
      : never
  : never

// Protecting<Requires<…> | Log | ApiKey> -> Requires<…> | ApiKey. A middleware with `HttpApiSecurity` is a record with
// one function for each credential. Any other middleware is a function.
type Protecting<Middleware> = Middleware extends AnyAuthentication
  ? Middleware
  : Middleware extends { readonly Service: infer Service }
    ? Service extends (...args: never) => unknown
      ? never
      : Service extends Readonly<Record<string, (handler: never, options: never) => unknown>>
        ? [keyof Service] extends [never]
          ? never
          : TakesCredentials<Service[keyof Service]> extends true
            ? Middleware
            : never
        : never
    : never

// TakesCredentials<(handler, options: { credential, … }) => …> -> true
type TakesCredentials<Handle> = Handle extends (handler: never, options: infer Options) => unknown
  ? Options extends { readonly credential: unknown }
    ? true
    : false
  : false

interface AnyAuthentication {
  readonly "~effect-oauth2/Authentication": unknown
}

type UnprotectedGroup<Group> = Group extends HttpApiGroup.Constraint
  ? UnprotectedEndpoint<HttpApiGroup.Endpoints<Group>>
  : never

// Procedure `List` without middleware -> "The procedure `List` has neither …". Procedure with a requirement -> never
type UnprotectedProcedure<Procedure> = Procedure extends Rpc.Any
  ? [IsPublicProcedure<Procedure>, IsProtectedProcedure<Procedure>] extends [infer IsPublic, infer IsProtected]
    ? [IsPublic, IsProtected] extends [false, false]
      ? `The procedure \`${Procedure["_tag"]}\` has neither a requirement nor OAuth2.Public. Add auth.require(…).rpc, auth.optional(…).rpc or OAuth2.Public(…).rpc.`
      : [IsPublic, IsProtected] extends [true, true]
        ? `The procedure \`${Procedure["_tag"]}\` is Public, but a requirement protects it. Add the procedure after .middleware(), or remove OAuth2.Public.`
        : never
    : never
  : never

type IsPublicProcedure<Procedure extends Rpc.Any> = [Extract<Rpc.Middleware<Procedure>, PublicEndpoint>] extends [never]
  ? false
  : true

type IsProtectedProcedure<Procedure extends Rpc.Any> = [Extract<Rpc.Middleware<Procedure>, AnyAuthentication>] extends [
  never
]
  ? false
  : true

/** The services that a layer of routes or handlers needs, or the handlers of a group. */
type Needs<T> =
  T extends Layer.Layer<infer _A, infer _E, infer R>
    ? R
    : T extends HttpApiBuilder.Handlers<infer R, infer _Endpoints, infer _Handled>
      ? R
      : NoLayer

/** Stands for the needs of a value that is neither a layer nor handlers. */
interface NoLayer {
  readonly "~effect-oauth2/NoLayer": never
}

// OfRequest<HttpRouter.Request<"Requires", Db>> -> Db. `any` -> never, because `HttpRouter.addAll` infers `any` from
// some lists.
type OfRequest<R> = R extends HttpRouter.Request<"Requires", infer T> ? (0 extends 1 & T ? never : T) : R

// Granted<"OAuth2", "me"> -> "A handler needs the scope `me` of the scheme `OAuth2`, …". Other services -> never
type Unproven<R> =
  R extends Granted<infer Name, infer Scope>
    ? GrantSentence<Name, Scope>
    : R extends Verified<infer Name>
      ? TokenSentence<Name>
      : R extends AccessToken
        ? "A handler needs the `AccessToken`, but its route or endpoint does not require a token. Use auth.require."
        : R extends OptionalAccessToken
          ? "A handler needs the `OptionalAccessToken`, but no requirement is around it. Use auth.optional."
          : never

type UnprotectedRoute<R> =
  R extends Seal<infer Route>
    ? RouteSentence<Route>
    : R extends NoLayer
      ? "OAuth2.secured: the argument is neither an HttpApi, nor a layer of routes, nor an RpcGroup. Pass one of these."
      : never

type Unprotected<T> =
  T extends HttpApi.HttpApi<infer _Id, infer Groups>
    ? UnprotectedGroup<Groups>
    : T extends RpcGroup.RpcGroup<infer Procedures>
      ? UnprotectedProcedure<Procedures>
      : UnprotectedRoute<OfRequest<Needs<T>>> | Unproven<OfRequest<Needs<T>>>

type NeitherSentence<Name extends string> =
  `The endpoint \`${Name}\` has neither a requirement nor OAuth2.Public. Add auth.require, auth.optional or OAuth2.Public.`

type InsideSentence<Name extends string> =
  `The endpoint \`${Name}\` is Public, but a requirement around it protects it. Add the endpoint after .middleware(), or remove OAuth2.Public.`

/**
 * Messages about unprotected endpoints or routes, and about missing proofs, as a type. It is `unknown` if every endpoint
 * is protected or public, and requirements prove everything that the handlers of routes need.
 *
 * @category utility types
 * @since 0.1.0
 */
export type Secured<T> = [Unprotected<T>] extends [never] ? unknown : Unprotected<T>

/**
 * Checks that every endpoint of an `HttpApi`, every route of a layer, or every procedure of an `RpcGroup` has a
 * requirement or is marked `OAuth2.Public`.
 *
 * **When to use**
 *
 * Use with every api and every layer of routes, so that an unprotected endpoint does not compile.
 *
 * **Details**
 *
 * Returns the given api, or a layer of the same type.
 *
 * | argument | when an unprotected endpoint is found |
 * |---|---|
 * | an `HttpApi` | at compile time, and again by a `TypeError` when you call the function |
 * | an `RpcGroup` | at compile time, and again by a `TypeError` when you call the function |
 * | handlers of a group | never: their api is checked. Missing proofs are found at compile time |
 * | routes of `OAuth2.route` | at compile time, and at start-up |
 * | other routes of `HttpRouter`, an `HttpApi` in a layer | at start-up: the program stops with a `TypeError` as defect |
 *
 * Each message names the endpoint, route or procedure. For a layer, the compiler also checks that requirements prove every scope and
 * token that handlers and their services need. The last line of its message names the missing scope or scheme.
 *
 * A `Public` mark inside a requirement is an error, too, because the endpoint is protected. `Public` around a requirement
 * is no error: the requirement still protects its endpoints.
 *
 * An endpoint with a middleware of Effect's `HttpApiSecurity` (API key, Basic, bearer) counts as protected. Your
 * implementation of that middleware decides about the credential.
 *
 * For the document that `HttpApiBuilder.layer(api, { openapiPath })` adds, apply `OAuth2.Public` to that layer. Or serve
 * `OpenApi.fromApi(api)` as a route of its own, inside a requirement.
 *
 * **Gotchas**
 *
 * - In an `HttpApi`, call `secured` last. `.middleware()` covers only the endpoints that were added before it.
 * - Build handlers (`HttpApiBuilder.group`) for the api that `secured` returns. Handlers of an earlier api with the
 *   same names run without the later middleware.
 * - For routes, call `secured` inside `HttpRouter.serve`. If it finds no route, the program does not start.
 * - A layer does not start either if a route requires a scope such as `read:{org}`, and its path has no parameter `org`.
 * - An unprotected route that is added after start-up is not served.
 * - To see what each route requires, set the log level to `Debug`. The descriptions of `OAuth2.describe` are logged at
 *   start-up.
 * - An `RpcGroup` of Effect 4.1 has no `pipe` method at run time. Call `OAuth2.secured(group)`.
 * - The route of `RpcServer.layerHttp` is a route like others. If each procedure has its own requirement, mark the route
 *   with `OAuth2.Public`.
 * - Other middleware is not checked. A middleware outside a requirement can respond before the requirement runs.
 *
 * **Example** (Checking an api)
 *
 * ```ts
 * import { HttpApi, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
 * import { OAuth2 } from "effect-oauth2"
 * import { auth } from "./auth.ts"
 *
 * export const Api = HttpApi.make("api")
 *   .add(
 *     HttpApiGroup.make("items")
 *       .add(HttpApiEndpoint.get("list", "/items"))
 *       .middleware(auth.require("items:read"))
 *       .add(HttpApiEndpoint.get("health", "/health").middleware(OAuth2.Public("the load balancer has no credentials")))
 *   )
 *   .pipe(OAuth2.secured)
 * ```
 *
 * **Example** (Checking routes)
 *
 * ```ts
 * import { Layer } from "effect"
 * import { HttpRouter, HttpServerResponse } from "effect/http"
 * import { OAuth2 } from "effect-oauth2"
 * import { auth } from "./auth.ts"
 *
 * const List = HttpRouter.add("GET", "/items", HttpServerResponse.jsonUnsafe([])).pipe(
 *   auth.require("items:read")
 * )
 *
 * export const Routes = Layer.mergeAll(List).pipe(OAuth2.secured)
 * ```
 *
 * @see {@link Public} to mark a public endpoint
 * @category combinators
 * @since 0.1.0
 */
export const secured = <T>(self: T & Secured<T>): T => {
  if (HttpApi.isHttpApi(self)) {
    assertSecured(self)
    return self
  }
  if (rpc.isGroup(self)) {
    assertProceduresSecured(self)
    return self
  }
  if (!Layer.isLayer(self)) {
    // The compiler has checked the proofs. The handlers' api says which endpoints are protected.
    if (isHandlers(self)) return self
    throw new TypeError(
      "OAuth2.secured: the argument is neither an HttpApi, nor a layer of routes, nor an RpcGroup. Pass one of these."
    )
  }
  // Safe cast: the layer gives and needs the same services. It is only checked while it is built.
  return recorded(
    self,
    (routes) =>
      Layer.effectDiscard(
        Effect.suspend(() => {
          assertRoutesSecured(routes)
          return Effect.forEach(routes, (route) => Effect.logDebug(describe(route)), { discard: true })
        })
      ),
    (route) => {
      const { isProtected, isPublic, isPublicInside, name } = foundOf(route)
      return (isProtected || isPublic) && !isPublicInside
        ? undefined
        : new Error(
            `The route ${JSON.stringify(name)} is not served. Give it a requirement, or OAuth2.Public outside every requirement.`
          )
    }
  ) as T
}

const assertRoutesSecured = (routes: ReadonlyArray<RecordedRoute>): void => {
  assertEach(routes.map(foundOf))
  for (const { endpoint, method, path, requirements } of routes) {
    const missing = missingParameter([...requirements, ...registry.policiesOf(endpoint?.middlewares ?? [])], path)
    if (missing === undefined) continue
    throw new TypeError(
      `OAuth2.secured: ${JSON.stringify(`${method} ${path}`)} requires the scope ${JSON.stringify(missing.scope)}, but its path has no parameter ${JSON.stringify(missing.name)}. Give the placeholder the name of a path parameter, or compute its value with auth.scopeOf.`
    )
  }
}

/** Describes what a route requires: `GET /items requires a token of …`. */
const describe = ({ endpoint, isPublic: isPublicRoute, method, path, requirements }: RecordedRoute): string => {
  // The set of middlewares begins with the innermost.
  const own = registry.policiesOf(Array.from(endpoint?.middlewares ?? []).toReversed())
  const policy = registry.combineAll([...requirements, ...own])
  // A requirement guards the route also inside `Public`.
  if (policy.length > 0) return `${method} ${path} requires ${words.describe(policy)}`
  const isMarked = isPublicRoute || Array.from(endpoint?.middlewares ?? []).some(isPublic)
  return `${method} ${path} ${isMarked ? "is public" : "requires what its HttpApiSecurity middleware requires"}`
}

const foundOf = (route: RecordedRoute): Found => {
  const { endpoint, method, path, requirements } = route
  const own = foundOn(`${method} ${path}`, Array.from(endpoint?.middlewares ?? []))
  return {
    ...own,
    isProtected: own.isProtected || requirements.length > 0,
    // Public around the layer of an HttpApi marks only the document of the api. Otherwise, the mark would hide an
    // endpoint that lacks a requirement.
    isPublic: own.isPublic || (endpoint === undefined && route.isPublic),
    isPublicInside: own.isPublicInside || route.isPublicInside || (own.isPublic && requirements.length > 0),
    isDocument: endpoint === undefined && route.isBesideApi && method === "GET",
    isMarkedLayer: endpoint !== undefined && route.isPublic
  }
}

const assertSecured = (api: HttpApi.Top): void => {
  const found: Array<Found> = []
  const schemes = new SchemeNames()
  HttpApi.reflect(api, {
    onGroup: () => {},
    onEndpoint: ({ endpoint, group, middleware }) => {
      const keys = Array.from(middleware)
      for (const policy of registry.policiesOf(keys)) schemes.add(policy)
      found.push(foundOn(`${group.identifier}.${endpoint.identifier}`, keys))
    }
  })
  assertEach(found)
}

/** Reads the middleware of an endpoint, innermost first. */
const foundOn = (name: string, keys: ReadonlyArray<object>): Found => ({
  name,
  isProtected: keys.some(protects),
  isPublic: keys.some(isPublic),
  isPublicInside: keys.findIndex(isPublic) !== -1 && keys.slice(keys.findIndex(isPublic)).some(protects),
  isDocument: false,
  isMarkedLayer: false
})

/** Returns `true` for a requirement, and for a middleware of Effect's `HttpApiSecurity`. */
const protects = (key: object): boolean =>
  registry.policyOfKey(key) !== undefined || HttpApiMiddleware.isSecurity(key as HttpApiMiddleware.AnyService)

const assertProceduresSecured = ({ requests }: RpcGroup.RpcGroup<Rpc.AnyWithProps>): void =>
  assertEach(Array.from(requests, ([name, { middlewares }]) => foundOn(name, Array.from(middlewares))))

/** An endpoint or a route, and whether it is protected and public. */
interface Found {
  readonly name: string
  readonly isProtected: boolean
  readonly isPublic: boolean
  /** Whether a requirement wraps a `Public` mark. */
  readonly isPublicInside: boolean
  /** Whether the route may be the document of an `HttpApi`. */
  readonly isDocument: boolean
  /** Whether `Public` wraps the layer of the endpoint's `HttpApi`. */
  readonly isMarkedLayer: boolean
}

/** Throws unless each endpoint is either protected or public. */
const assertEach = (found: ReadonlyArray<Found>): void => {
  const namesOf = (of: ReadonlyArray<Found>) => of.map(({ name }) => JSON.stringify(name)).join(", ")
  const unprotected = found.filter(({ isProtected, isPublic }) => !isProtected && !isPublic)
  const inside = found.filter(({ isPublicInside }) => isPublicInside)
  if (inside.length > 0) {
    throw new TypeError(
      `OAuth2.secured: a requirement or HttpApiSecurity around these Public endpoints protects them: ${namesOf(inside)}. Put them outside (in an HttpApi, add them after .middleware()), or remove OAuth2.Public.`
    )
  }
  if (unprotected.length === 0) return
  const advice = [
    unprotected.some(({ isDocument }) => isDocument)
      ? " If one of them is the document of an HttpApi (openapiPath), apply OAuth2.Public to its HttpApiBuilder.layer."
      : "",
    unprotected.some(({ isMarkedLayer }) => isMarkedLayer)
      ? " Around HttpApiBuilder.layer, OAuth2.Public marks no endpoint. Mark endpoints in the api: .middleware(OAuth2.Public(…))."
      : ""
  ].join("")
  throw new TypeError(
    `OAuth2.secured: these endpoints have neither a requirement nor OAuth2.Public: ${namesOf(unprotected)}. Add auth.require, auth.optional or OAuth2.Public to each.${advice}`
  )
}

/**
 * Adds a route that is served only inside a requirement or `OAuth2.Public`.
 *
 * **Details**
 *
 * The parameters are those of `HttpRouter.add`. An unprotected route does not compile. Pipe the routes through
 * `OAuth2.secured` for a message that names the route.
 *
 * If types were cast away, a request to an unprotected route dies with a defect. The log names the route, and the
 * handler does not run.
 *
 * **Example** (Adding a public route)
 *
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { HttpServerResponse } from "effect/http"
 * import { OAuth2 } from "effect-oauth2"
 *
 * export const Routes = OAuth2.route("GET", "/health", Effect.succeed(HttpServerResponse.text("ok"))).pipe(
 *   OAuth2.Public("the load balancer has no credentials"),
 *   OAuth2.secured
 * )
 * ```
 *
 * @see {@link secured} to check routes of `HttpRouter.add`, too
 * @category constructors
 * @since 0.1.0
 */
export const route = <
  const Method extends Parameters<typeof HttpRouter.add>[0],
  const Path extends HttpRouter.PathInput,
  E,
  R
>(
  method: Method,
  path: Path,
  handler: Effect.Effect<HttpServerResponse, E, R>
): Layer.Layer<
  never,
  never,
  | HttpRouter.HttpRouter
  | HttpRouter.Request<"Requires", NeedsSeal<`${Method} ${Path}`>>
  | HttpRouter.Request.From<"Requires", Exclude<R, HttpRouter.Provided | Scope.Scope>>
  | HttpRouter.Request.From<"Error", E>
> => {
  const guarded = Effect.flatMap(Effect.all([HttpServerRequest, Effect.context<never>()]), ([request, context]) => {
    const lastStamp = Origin.lastStamp(context)
    if (lastStamp !== undefined && Origin.same(lastStamp.origin, Origin.of(request))) return handler
    const defect = new Error(
      `The route "${method} ${path}" has neither a requirement nor OAuth2.Public. Add auth.require, auth.optional or OAuth2.Public.`
    )
    return Effect.andThen(Effect.logError(defect.message), Effect.die(defect))
  })
  // Safe cast: `Seal` exists only in types.
  return HttpRouter.add(method, path, guarded)
}
