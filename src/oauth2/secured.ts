/** `OAuth2.secured` and `OAuth2.route`: nothing is open without saying so, for the compiler and when the program runs. */
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import { HttpServerRequest } from "effect/http/HttpServerRequest"
import type { HttpServerResponse } from "effect/http/HttpServerResponse"
import * as HttpApi from "effect/http-api/HttpApi"
import type * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import type * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as registry from "../guard/requirement/registry.ts"
import * as Origin from "../guard/scheme/origin.ts"
import type { Needs, NoLayer, OfRequest } from "./proven.ts"
import { isPublic, type PublicEndpoint } from "./public.ts"
import { type RecordedRoute, recorded } from "../guard/middleware/routeRecorder.ts"
import type { Seal } from "../guard/middleware/securityRequirement.ts"

/** The sentence about an endpoint that is open without saying so, or says that it is and is not. */
type OpenEndpoint<Endpoint> = Endpoint extends HttpApiEndpoint.Constraint
  ? [Has<Endpoint, PublicEndpoint>, Has<Endpoint, AnyAuthentication>] extends [infer IsPublic, infer IsSecured]
    ? [IsPublic, IsSecured] extends [false, false]
      ? NeitherSentence<HttpApiEndpoint.Identifier<Endpoint>>
      : [IsPublic, IsSecured] extends [true, true]
        ? BothSentence<HttpApiEndpoint.Identifier<Endpoint>>
        : never
    : never
  : never

type Has<Endpoint extends HttpApiEndpoint.Constraint, Middleware> = [
  Extract<HttpApiEndpoint.Middleware<Endpoint>, Middleware>
] extends [never]
  ? false
  : true

interface AnyAuthentication {
  readonly "~effect-oauth2/Authentication": unknown
}

type OpenGroup<Group> = Group extends HttpApiGroup.Constraint ? OpenEndpoint<HttpApiGroup.Endpoints<Group>> : never

type UnsecuredRoute<R> =
  R extends Seal<infer Route>
    ? RouteSentence<Route>
    : R extends NoLayer
      ? "OAuth2.secured takes an api or a layer of routes"
      : never

type Open<T> =
  T extends HttpApi.HttpApi<infer _Id, infer Groups> ? OpenGroup<Groups> : UnsecuredRoute<OfRequest<Needs<T>>>

type NeitherSentence<Name extends string> =
  `The endpoint \`${Name}\` is neither secured nor Public: give it auth.require, auth.optional or OAuth2.Public`

type BothSentence<Name extends string> =
  `The endpoint \`${Name}\` is Public inside of a requirement, which closes it: add it after .middleware(), or take Public away`

type RouteSentence<Name extends string> =
  `The route \`${Name}\` is neither secured nor Public: give it auth.require, auth.optional or OAuth2.Public`

/**
 * The sentence that says which endpoint or route is open without saying so; nothing where none is.
 *
 * @category utility types
 * @since 0.1.0
 */
export type Secured<T> = [Open<T>] extends [never] ? unknown : Open<T>

/**
 * The same api, or the same layer of routes; where an endpoint carries neither a requirement nor `Public`, it does not compile, and the message
 * names the endpoint.
 *
 * **Details**
 *
 * An api is looked at again when the program runs, in case types were cast away: an open endpoint throws a `TypeError` that names it. So is each route of a
 * layer, and each endpoint of an `HttpApi` in it, while the layer is built: then the program ends at its start, with the same `TypeError` for a defect. The
 * compiler knows of routes that `OAuth2.route` made. What is `Public` inside of a requirement is closed, which its code does not say: it is refused, too.
 *
 * **Gotchas**
 *
 * Put it inside of `HttpRouter.serve`, around the routes: where it sees none, the program does not start. An open route that is added later is not served. It sees what
 * stands around a route, and not what other middleware does: one that answers by itself, in the place of the handler, answers before a requirement inside of it.
 *
 * In `HttpApi`, `.middleware()` covers only the endpoints that were added before it. Call `secured` last, and build handlers (`HttpApiBuilder.group`) for
 * the api that it gives: an api that was made before some middleware is another one with the same names, and its handlers run without it.
 *
 * **Example** (A sealed api)
 *
 * ```ts
 * import { HttpApi, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
 * import { OAuth2 } from "effect-oauth2"
 *
 * const auth = OAuth2.authorizationCode("OAuth2", {
 *   authorizationUrl: "https://idp.example.com/authorize",
 *   tokenUrl: "https://idp.example.com/token",
 *   scopes: { "items:read": "Read your items" }
 * })
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
 * **Example** (Routes, of which none is open)
 *
 * ```ts
 * import { Layer } from "effect"
 * import { HttpRouter, HttpServerResponse } from "effect/http"
 * import { OAuth2 } from "effect-oauth2"
 *
 * const auth = OAuth2.authorizationCode("OAuth2", {
 *   authorizationUrl: "https://idp.example.com/authorize",
 *   tokenUrl: "https://idp.example.com/token",
 *   scopes: { "items:read": "Read your items" }
 * })
 *
 * const List = HttpRouter.add("GET", "/items", HttpServerResponse.jsonUnsafe([])).pipe(
 *   Layer.provide(auth.require("items:read").route.layer)
 * )
 *
 * export const Routes = Layer.mergeAll(List).pipe(OAuth2.secured)
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const secured = <T>(self: T & Secured<T>): T => {
  if (HttpApi.isHttpApi(self)) {
    assertSecured(self)
    return self
  }
  if (!Layer.isLayer(self)) throw new TypeError("OAuth2.secured takes an api or a layer of routes.")
  // Sound: it is the same layer, looked at while it is built.
  return recorded(
    self,
    (routes) => Layer.effectDiscard(Effect.sync(() => assertRoutesSecured(routes))),
    (route) => {
      const { isPublic, isSecured, name } = foundOf(route)
      return isSecured !== isPublic
        ? undefined
        : new Error(`The route ${JSON.stringify(name)} is neither secured nor Public.`)
    }
  ) as T
}

const assertRoutesSecured = (routes: ReadonlyArray<RecordedRoute>): void => assertEach(routes.map(foundOf))

const foundOf = ({ endpoint, isPublic: isPublicRoute, method, path, requirements }: RecordedRoute): Found => {
  const keys = Array.from(endpoint?.middlewares ?? [])
  return {
    name: `${method} ${path}`,
    isSecured: requirements.length > 0 || keys.some(isSecuring),
    isPublic: isPublicRoute || keys.some(isPublic)
  }
}

const assertSecured = (api: HttpApi.Top): void => {
  const found: Array<Found> = []
  HttpApi.reflect(api, {
    onGroup: () => {},
    onEndpoint: ({ endpoint, group, middleware }) => {
      const keys = Array.from(middleware)
      const name = `${group.identifier}.${endpoint.identifier}`
      found.push({ name, isSecured: keys.some(isSecuring), isPublic: keys.some(isPublic) })
    }
  })
  assertEach(found)
}

const isSecuring = (key: object): boolean => registry.ofKey(key) !== undefined

/** An endpoint or a route, and what it says. */
interface Found {
  readonly name: string
  readonly isSecured: boolean
  readonly isPublic: boolean
}

/** Each says one of the two. */
const assertEach = (found: ReadonlyArray<Found>): void => {
  const named = (are: (one: Found) => boolean) => found.filter(are).map(({ name }) => JSON.stringify(name))
  const open = named(({ isPublic, isSecured }) => !isSecured && !isPublic)
  const closed = named(({ isPublic, isSecured }) => isSecured && isPublic)
  if (closed.length > 0) {
    throw new TypeError(
      `OAuth2.secured: Public inside of a requirement, which closes them: ${closed.join(", ")}. Put them outside of it (in an api, add them after .middleware()), or take Public away.`
    )
  }
  if (open.length > 0) {
    throw new TypeError(
      `OAuth2.secured: neither secured nor Public: ${open.join(", ")}. Give each auth.require, auth.optional or OAuth2.Public.`
    )
  }
}

/**
 * A sealed route: as `HttpRouter.add`, and it is served only where a requirement or `Public` stands around it. `OAuth2.secured` says so in words.
 *
 * **Details**
 *
 * At run time, where types were cast away, a request to an open route is a defect that the log explains, and the handler does not run.
 *
 * **Example** (Every route says who may use it)
 *
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { HttpServerResponse } from "effect/http"
 * import { OAuth2 } from "effect-oauth2"
 *
 * export const Routes = OAuth2.route("GET", "/health", Effect.succeed(HttpServerResponse.text("ok"))).pipe(
 *   Layer.provide(OAuth2.Public("the load balancer has no credentials").route.layer),
 *   OAuth2.secured
 * )
 * ```
 *
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
  | HttpRouter.Request<"Requires", Seal<`${Method} ${Path}`>>
  | HttpRouter.Request.From<"Requires", Exclude<R, HttpRouter.Provided | Scope.Scope>>
  | HttpRouter.Request.From<"Error", E>
> => {
  const sealed = Effect.flatMap(Effect.all([HttpServerRequest, Effect.context<never>()]), ([request, context]) => {
    const decision = Origin.lastStamp(context)
    if (decision !== undefined && Origin.same(decision.origin, Origin.of(request))) return handler
    const defect = new Error(
      `The route "${method} ${path}" is neither secured nor Public: no requirement stands around it.`
    )
    return Effect.andThen(Effect.logError(defect.message), Effect.die(defect))
  })
  // Sound: `Seal` is a demand on the route's layer alone; nothing reads it at run time.
  return HttpRouter.add(method, path, sealed)
}
