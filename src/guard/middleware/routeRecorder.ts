/** Records which requirements, `Public` marks and operation fields wrap each route, while a router adds the route. */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import type * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { type Group, groupsIn, hasOnlyGroups } from "../../core/effect/routeContext.ts"
import { field, type Json, membersOf } from "../../core/lib/json.ts"
import type { RequirementPolicy } from "../requirement/policy.ts"

/** A route with everything that wraps it. */
export interface RecordedRoute {
  readonly method: string
  /** The path with the router's prefixes. */
  readonly path: string
  /** The requirements that guard the route, outermost first. */
  readonly requirements: ReadonlyArray<RequirementPolicy>
  /** The fields of the OpenAPI operation. `undefined` if documents must not show the route. */
  readonly operation: Json | undefined
  /** `true` if the route is marked `Public`. */
  readonly isPublic: boolean
  /** Whether a requirement wraps a `Public` mark. */
  readonly isPublicInside: boolean
  /** The endpoint, with its own requirements, if the route belongs to an `HttpApi`. */
  readonly endpoint: HttpApiEndpoint.Top | undefined
  /** Whether the layer of the route could serve the handlers of an `HttpApi`, so that the route may be its document. */
  readonly isBesideApi: boolean
}

interface Notes {
  readonly route: object
  requirements: ReadonlyArray<RequirementPolicy>
  operation: Json | undefined
  isPublic: boolean
  isPublicInside: boolean
}

// A module variable works, because a router applies all middleware of a route synchronously, the innermost first.
let current: Notes | undefined

export const noteRequirement = (policy: RequirementPolicy): void => {
  if (current === undefined) return
  current.requirements = [policy, ...current.requirements]
  current.isPublicInside = current.isPublic
}

export const notePublic = (): void => {
  if (current !== undefined) current.isPublic = true
}

/** Adds fields to the operation, and responses to its responses. What the inner middleware adds wins. */
export const noteOperation = (fields: Json | undefined): void => {
  if (current === undefined) return
  const inner = current.operation
  if (fields === undefined || inner === undefined) {
    current.operation = undefined
    return
  }
  const [outerResponses, innerResponses] = [field(fields, "responses"), field(inner, "responses")]
  current.operation = {
    ...fields,
    ...inner,
    ...(outerResponses !== undefined &&
      innerResponses !== undefined && { responses: { ...membersOf(outerResponses), ...membersOf(innerResponses) } })
  }
}

const newNotes = (route: object): Notes => ({
  route,
  requirements: [],
  operation: {},
  isPublic: false,
  isPublicInside: false
})

const notesOf = (route: object, add: () => void): Notes => {
  const outer = current
  // Two nested recording routers add the same route, and both need its notes.
  const notes = outer?.route === route ? outer : newNotes(route)
  current = notes
  try {
    add()
    return notes
  } finally {
    current = outer
  }
}

type Endpoints = ReadonlyMap<unknown, HttpApiEndpoint.Top>

const endpoints = new WeakMap<Group, Endpoints>()

const endpointsOf = (group: Group): Endpoints => {
  const cached = endpoints.get(group)
  if (cached !== undefined) return cached
  const found = new Map(Array.from(group.handlers.values(), ({ endpoint }, i) => [group.routes[i], endpoint]))
  endpoints.set(group, found)
  return found
}

/** Returns the endpoint of a route that belongs to an `HttpApi`. */
const endpointOf = (route: object, context: Context.Context<never>): HttpApiEndpoint.Top | undefined => {
  for (const group of groupsIn(context)) {
    const endpoint = endpointsOf(group).get(route)
    if (endpoint !== undefined) return endpoint
  }
  return
}

/** Receives the routes that are added. */
interface Recorder {
  readonly record: (route: RecordedRoute) => void
  /** Returns an error if a route that is added after the layer was built must not be served. */
  readonly refuseLate: (route: RecordedRoute) => Error | undefined
  isBuilt: boolean
}

/** Wraps a router, so that a recorder receives each added route. */
const recording = (
  router: HttpRouter.HttpRouter,
  recorder: Recorder,
  pathOf: (path: string) => string = (path) => path
): HttpRouter.HttpRouter => {
  const addAll = (routes: ReadonlyArray<HttpRouter.Route<unknown, unknown>>): Effect.Effect<void> =>
    Effect.contextWith((context: Context.Context<never>) => {
      for (const route of routes) {
        let refusal: Error | undefined
        // The router shows the middleware of a route only while it adds the route. So add a late route, but block its
        // handler if the route is refused.
        const added = recorder.isBuilt
          ? { ...route, handler: Effect.suspend(() => (refusal === undefined ? route.handler : Effect.die(refusal))) }
          : route
        const { isPublic, isPublicInside, operation, requirements } = notesOf(added, () =>
          Effect.runSyncWith(context)(router.addAll([added]) as Effect.Effect<void>)
        )
        const recorded: RecordedRoute = {
          method: route.method,
          path: pathOf(route.path) || "/",
          requirements,
          operation,
          isPublic,
          isPublicInside,
          endpoint: endpointOf(route, context),
          isBesideApi: groupsIn(context).length > 0
        }
        if (recorder.isBuilt) refusal = recorder.refuseLate(recorded)
        else recorder.record(recorded)
      }
      return Effect.void
    })
  // Safe cast: the wrapped router receives the routes unchanged.
  return HttpRouter.HttpRouter.of({
    ...router,
    addAll,
    add: (method, path, handler, options) => addAll([HttpRouter.route(method, path, handler, options)]),
    prefixed: (prefix) =>
      recording(router.prefixed(prefix), recorder, (path) => pathOf(HttpRouter.prefixPath(path, prefix)))
  } as HttpRouter.HttpRouter)
}

/** Builds a layer of routes, and then a layer from the recorded routes. Dies if no route was recorded. */
export const recorded = <A, E, R, A2, E2, R2>(
  routes: Layer.Layer<A, E, R>,
  then: (routes: ReadonlyArray<RecordedRoute>) => Layer.Layer<A2, E2, R2>,
  refuseLate: Recorder["refuseLate"] = () => undefined
): Layer.Layer<A | A2, E | E2, Exclude<R, HttpRouter.HttpRouter> | R2 | HttpRouter.HttpRouter> =>
  Layer.unwrap(
    Effect.map(Effect.serviceOption(HttpRouter.HttpRouter), (router) => {
      if (Option.isNone(router)) return noRoutes
      const found: Array<RecordedRoute> = []
      const recorder: Recorder = { record: (route) => found.push(route), refuseLate, isBuilt: false }
      return routes.pipe(
        Layer.provide(Layer.succeed(HttpRouter.HttpRouter, recording(router.value, recorder))),
        Layer.flatMap((context) => {
          recorder.isBuilt = true
          // The handlers of an HttpApi are not routes. The layer that serves the api adds the routes.
          return found.length === 0 && !hasOnlyGroups(context)
            ? noRoutes
            : Layer.merge(Layer.succeedContext(context), then(found))
        })
      )
    })
    // Safe cast: the result type requires the router. It is read as an option to give an explanation if it is missing.
  ) as Layer.Layer<A | A2, E | E2, Exclude<R, HttpRouter.HttpRouter> | R2 | HttpRouter.HttpRouter>

const noRoutes = Layer.effectDiscard(
  Effect.die(
    new TypeError(
      "OAuth2.secured or OpenApiSecurity.documented found no route. It does not find routes that have their own router or that are also built outside it. Put it around the layer of routes, inside HttpRouter.serve."
    )
  )
)
