/** What `auth.require` gives: the types of a requirement, and the middleware for `HttpApi` and `HttpRouter`. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import type { HttpServerResponse } from "effect/http/HttpServerResponse"
import * as HttpApiMiddleware from "effect/http-api/HttpApiMiddleware"
import * as Layer from "effect/Layer"
import type * as Schema from "effect/Schema"
import type * as Types from "effect/Types"
import type { AccessToken, OptionalAccessToken } from "../../AccessToken.ts"
import type { BearerToken } from "../../BearerToken.ts"
import type { SecurityError } from "../../SecurityError.ts"
import * as endpoints from "../guard/endpoint.ts"
import { bindChecks, type Demand } from "./demand.ts"
import { checks } from "./expression.ts"
import * as guard from "../guard/guard.ts"
import * as recording from "../guard/recording.ts"
import type { ErrorSchemas } from "../scheme/errorSchemas.ts"
import type { Scheme } from "../scheme/scheme.ts"

/**
 * The service that authenticates requests for the scheme `Name`: `auth.layer` provides it, requirements and `auth.authorize` need it.
 *
 * @category services
 * @since 0.1.0
 */
export interface Authentication<in out Name extends string> {
  readonly "~effect-oauth2/Authentication": Types.Invariant<Name>
}

/**
 * Proof that the request's token has at least one of the scopes `Scope` of the scheme `Name`: what `auth.granted` needs, and what a requirement
 * provides. A proof of `"a"` is one of `"a" | "b"` too.
 *
 * **Example** (A service that demands proof of its callers)
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
 * Proof that the request's token was verified by the scheme `Name`: what `auth.accessToken` needs, and what a requirement that is not optional provides.
 *
 * @category services
 * @since 0.1.0
 */
export interface Verified<in out Name extends string> {
  readonly "~effect-oauth2/Verified": Types.Invariant<Name>
}

/**
 * What a sealed route needs: that a requirement or `Public` stands around it. `Route` is its method and path.
 *
 * @category services
 * @since 0.1.0
 */
export interface Seal<out Route extends string> {
  readonly "~effect-oauth2/Seal": Route
}

/**
 * The service of one requirement. Its layer is that of its scheme: whatever a requirement of the scheme demands, an `Authentication` of the
 * scheme serves it.
 *
 * @category services
 * @since 0.1.0
 */
export interface Requires<in out Name extends string, Provides, E, R> extends Authentication<Name> {
  // What `HttpApi` reads off a middleware's identifier.
  readonly "~effect/http-api/HttpApiMiddleware": {
    readonly provides: Provides
    readonly requires: Exclude<R, HttpRouter.Provided>
    readonly error: readonly [...ErrorSchemas, ...([E] extends [never] ? [] : [Schema.Codec<E, unknown>])]
    readonly clientError: never
    readonly requiredForClient: false
  }
}

/**
 * The types of a requirement: its schemes' names, what it provides to handlers, the errors of its checks, and the services that these need.
 *
 * @category models
 * @since 0.1.0
 */
export interface SecurityRequirementTypes<out Name, in Provides, out E, out R> {
  readonly "~effect-oauth2/SecurityRequirement": {
    readonly name: Name
    // What provides more can stand for what provides less, never the other way.
    readonly provides: Types.Contravariant<Provides>
    readonly error: E
    readonly services: R
  }
}

/**
 * What an endpoint or a route demands of a request.
 *
 * **Details**
 *
 * It is a middleware of `HttpApi`: `endpoint.middleware(auth.require("a"))`, and likewise for a group and an api. `route` is the same for
 * `HttpRouter`. Requirements accumulate, outermost first, and are decided together.
 *
 * @category models
 * @since 0.1.0
 */
export interface SecurityRequirement<Name extends string, Provides, E = never, R = never>
  extends
    SecurityRequirementTypes<Name, Provides, E, R>,
    // One identifier for each scheme: all of their layers are needed.
    Context.Key<
      Name extends string ? Requires<Name, Provides, E, R> : never,
      HttpApiMiddleware.HttpApiMiddleware<Provides, ErrorSchemas, R>
    > {
  /**
   * Middleware for `HttpRouter`: `Layer.provide(requirement.route.layer)`.
   *
   * **Gotchas**
   *
   * Of nested `Layer.provide` the later is the outer one, of the members of `Layer.provide([a, b])` the first. Requirements that stand next to each
   * other become one; with other middleware between them (`HttpRouter.provideRequest` too) the outer one answers first, with its own scopes. The same
   * requirement twice around a route stands there once, as every middleware of `HttpRouter` does.
   *
   * **Example** (One requirement around several routes)
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
   * ).pipe(Layer.provide(auth.require("jobs:run").route.layer))
   * ```
   */
  readonly route: HttpRouter.Middleware<{
    provides: Provides | Seal<string>
    handles: never
    error: SecurityError | E
    requires: never
    layerError: never
    layerRequires: (Name extends string ? Authentication<Name> : never) | Exclude<R, HttpRouter.Provided>
  }>
}

/**
 * What every requirement that cannot be anonymous gives to handlers.
 *
 * @category utility types
 * @since 0.1.0
 */
export type Authenticated<Name extends string> =
  AccessToken | OptionalAccessToken | BearerToken | Authentication<Name> | Verified<Name>

export const make = <Name extends string, Provides, E, R>(
  demand: Demand
): SecurityRequirement<Name, Provides, E, R> => {
  const schemes = Array.from(new Set(demand.flat().map(({ scheme }) => scheme)))
  const [first] = schemes
  if (first === undefined) throw new TypeError("A requirement is of at least one scheme.")
  const ownChecks = demand.flat().flatMap((part) => checks(part.expression))
  const declared = ownChecks.flatMap((check) => check.error ?? [])
  // Every requirement of a scheme has the same key, that of the scheme's `Authentication`.
  const key = HttpApiMiddleware.Service<never>()(first.service.key, {
    error: [...new Set([...schemes.flatMap((scheme) => Object.values(scheme.errors)), ...declared])]
  })
  endpoints.register(key, demand)
  const route = HttpRouter.middleware(
    Effect.gen(function* () {
      const bound = ownChecks.length === 0 ? demand : bindChecks(demand, yield* Effect.context<never>())
      const authentications = new Map<Scheme, Scheme["service"]["Service"]>()
      for (const scheme of schemes) authentications.set(scheme, yield* scheme.service)
      return (handler: Effect.Effect<HttpServerResponse, Types.unhandled>) => {
        recording.noteRequirement(demand)
        // Sound: the guard gives what the handler gives.
        return guard.make(bound, authentications, handler) as Effect.Effect<HttpServerResponse, Types.unhandled>
      }
    })
  )
  // Sound: the demand is the one that the type parameters are computed from, by the caller (`OAuth2`).
  return Object.assign(key, { route: fresh(route) }) as unknown as SecurityRequirement<Name, Provides, E, R>
}

interface Parts {
  readonly layer: Layer.Layer<never>
  readonly layerFn: Layer.Layer<never>
  readonly combine: (other: never) => object
}

/**
 * A middleware that is built anew wherever it is provided, alone or combined: one build may hold several apps, and a layer that is remembered would guard all
 * of them with the authentication of the first.
 */
const fresh = <M extends object>(middleware: M): M => {
  const { combine, layer, layerFn } = middleware as M & Parts
  return Object.assign(middleware, {
    layer: Layer.fresh(layer),
    layerFn: Layer.fresh(layerFn),
    combine: (other: never) => fresh(combine.call(middleware, other))
  })
}
