/** What stands around a route: requirements, `Public` and the fields of its operation are told while it is added to a router. */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import type * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { type Group, groupsIn } from "../../core/effect/routeContext.ts"
import type { Json } from "../../core/lib/json.ts"
import type { Policy } from "../requirement/policy.ts"

/** Of one route. */
export interface RecordedRoute {
  readonly method: string
  /** As the router has it, with its prefixes. */
  readonly path: string
  /** Those of the route, outermost first. */
  readonly requirements: ReadonlyArray<Policy>
  /** The fields of its operation, `undefined` where no document is to show it. */
  readonly operation: Json | undefined
  /** Whether it says that it is open. */
  readonly isPublic: boolean
  /** Where it is one of an `HttpApi`, which has requirements of its own. */
  readonly endpoint: HttpApiEndpoint.Top | undefined
}

interface Notes {
  readonly route: object
  requirements: ReadonlyArray<Policy>
  operation: Json | undefined
  isPublic: boolean
}

/** A router puts middleware around a route while the route is added, the innermost first, in one go. */
let current: Notes | undefined

export const noteRequirement = (policy: Policy): void => {
  if (current !== undefined) current.requirements = [policy, ...current.requirements]
}

export const notePublic = (): void => {
  if (current !== undefined) current.isPublic = true
}

/** What stands further in counts. */
export const noteOperation = (fields: Json | undefined): void => {
  if (current === undefined) return
  current.operation =
    fields === undefined || current.operation === undefined ? undefined : { ...fields, ...current.operation }
}

const notesOf = (route: object, add: () => void): Notes => {
  const outer = current
  // A router that records may stand in front of another one: both add the same route.
  const notes = outer?.route === route ? outer : { route, requirements: [], operation: {}, isPublic: false }
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
  const known = endpoints.get(group)
  if (known !== undefined) return known
  const found = new Map(Array.from(group.handlers.values(), ({ endpoint }, i) => [group.routes[i], endpoint]))
  endpoints.set(group, found)
  return found
}

/** The endpoint that a route is of, where it is one of an `HttpApi`. */
const endpointOf = (route: object, context: Context.Context<never>): HttpApiEndpoint.Top | undefined => {
  for (const group of groupsIn(context)) {
    const endpoint = endpointsOf(group).get(route)
    if (endpoint !== undefined) return endpoint
  }
  return
}

/** What becomes of routes that are added. */
interface Recorder {
  readonly record: (route: RecordedRoute) => void
  /** Of one that is added when the layer was built: why it is not served, if so. */
  readonly refuseLate: (route: RecordedRoute) => Error | undefined
  isBuilt: boolean
}

/** The router, which tells of each route that is added to it. */
const recording = (
  router: HttpRouter.HttpRouter,
  recorder: Recorder,
  pathOf: (path: string) => string = (path) => path
): HttpRouter.HttpRouter => {
  const addAll = (routes: ReadonlyArray<HttpRouter.Route<unknown, unknown>>): Effect.Effect<void> =>
    Effect.contextWith((context: Context.Context<never>) => {
      for (const route of routes) {
        let refusal: Error | undefined
        // Middleware is seen only while the route is added, and then it is there: one that is refused does not run.
        const added = recorder.isBuilt
          ? { ...route, handler: Effect.suspend(() => (refusal === undefined ? route.handler : Effect.die(refusal))) }
          : route
        const { isPublic, operation, requirements } = notesOf(added, () =>
          Effect.runSyncWith(context)(router.addAll([added]) as Effect.Effect<void>)
        )
        const recorded: RecordedRoute = {
          method: route.method,
          path: pathOf(route.path) || "/",
          requirements,
          operation,
          isPublic,
          endpoint: endpointOf(route, context)
        }
        if (recorder.isBuilt) refusal = recorder.refuseLate(recorded)
        else recorder.record(recorded)
      }
      return Effect.void
    })
  // Sound: what a route needs is in the types of whoever adds it.
  return HttpRouter.HttpRouter.of({
    ...router,
    addAll,
    add: (method, path, handler, options) => addAll([HttpRouter.route(method, path, handler, options)]),
    prefixed: (prefix) =>
      recording(router.prefixed(prefix), recorder, (path) => pathOf(HttpRouter.prefixPath(path, prefix)))
  } as HttpRouter.HttpRouter)
}

/** The layer of routes, and what is made of their list, which is not empty: a layer that is built already, or elsewhere, adds none. */
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
          return found.length === 0 ? noRoutes : Layer.merge(Layer.succeedContext(context), then(found))
        })
      )
    })
    // Sound: the router is asked for as an option so that its absence can be told.
  ) as Layer.Layer<A | A2, E | E2, Exclude<R, HttpRouter.HttpRouter> | R2 | HttpRouter.HttpRouter>

const noRoutes = Layer.effectDiscard(
  Effect.die(
    new TypeError(
      "OAuth2.secured, or OpenApiSecurity.documented, has seen no route. Put it around the layer of routes, inside of HttpRouter.serve; routes that are built outside of it, too, or have a router of their own, are added without it."
    )
  )
)
