/** What stands around a route: requirements, `Public` and the fields of its operation are told while it is added to a router. */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import type * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as Layer from "effect/Layer"
import type { Json } from "../json.ts"
import type { Demand } from "../requirement/demand.ts"

/** Of one route. */
export interface Recorded {
  readonly method: string
  /** As the router has it, with its prefixes. */
  readonly path: string
  /** Those of the route, outermost first. */
  readonly requirements: ReadonlyArray<Demand>
  /** The fields of its operation, `undefined` where no document is to show it. */
  readonly operation: Json | undefined
  /** Whether it says that it is open. */
  readonly isPublic: boolean
  /** Where it is one of an `HttpApi`, which has requirements of its own. */
  readonly endpoint: HttpApiEndpoint.Top | undefined
}

interface Notes {
  requirements: ReadonlyArray<Demand>
  operation: Json | undefined
  isPublic: boolean
}

/** A router puts middleware around a route while the route is added, the innermost first, in one go. */
let current: Notes | undefined

export const noteRequirement = (demand: Demand): void => {
  if (current !== undefined) current.requirements = [demand, ...current.requirements]
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

const notesOf = (add: () => void): Notes => {
  const outer = current
  // A router that records may stand in front of another one: both add the same route.
  const notes = (current ??= { requirements: [], operation: {}, isPublic: false })
  try {
    add()
    return notes
  } finally {
    current = outer
  }
}

/** What `HttpApiBuilder.group` gives to `HttpApiBuilder.layer`: routes, and in the same order what they were made of. */
interface Group {
  readonly routes: ReadonlyArray<unknown>
  readonly handlers: ReadonlyMap<string, { readonly endpoint: HttpApiEndpoint.Top }>
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
  for (const [key, service] of context.mapUnsafe) {
    if (!key.startsWith("effect/http-api/HttpApiGroup/")) continue
    const endpoint = endpointsOf(service as Group).get(route)
    if (endpoint !== undefined) return endpoint
  }
  return
}

/** The router, which tells of each route that is added to it. */
const recording = (
  router: HttpRouter.HttpRouter,
  record: (route: Recorded) => void,
  pathOf: (path: string) => string = (path) => path
): HttpRouter.HttpRouter => {
  const addAll = (routes: ReadonlyArray<HttpRouter.Route<unknown, unknown>>): Effect.Effect<void> =>
    Effect.contextWith((context: Context.Context<never>) => {
      for (const route of routes) {
        const added = router.addAll([route]) as Effect.Effect<void>
        const { isPublic, operation, requirements } = notesOf(() => Effect.runSyncWith(context)(added))
        record({
          method: route.method,
          path: pathOf(route.path),
          requirements,
          operation,
          isPublic,
          endpoint: endpointOf(route, context)
        })
      }
      return Effect.void
    })
  // Sound: what a route needs is in the types of whoever adds it.
  return HttpRouter.HttpRouter.of({
    ...router,
    addAll,
    add: (method, path, handler, options) => addAll([HttpRouter.route(method, path, handler, options)]),
    prefixed: (prefix) =>
      recording(router.prefixed(prefix), record, (path) => pathOf(HttpRouter.prefixPath(path, prefix)))
  } as HttpRouter.HttpRouter)
}

/** The layer of routes, and what is made of their list. */
export const recorded = <A, E, R, A2, E2, R2>(
  routes: Layer.Layer<A, E, R>,
  then: (routes: ReadonlyArray<Recorded>) => Layer.Layer<A2, E2, R2>
): Layer.Layer<A | A2, E | E2, Exclude<R, HttpRouter.HttpRouter> | R2 | HttpRouter.HttpRouter> =>
  Layer.unwrap(
    Effect.map(HttpRouter.HttpRouter, (router) => {
      const found: Array<Recorded> = []
      const Recording = Layer.succeed(
        HttpRouter.HttpRouter,
        recording(router, (route) => found.push(route))
      )
      return routes.pipe(
        Layer.provide(Recording),
        Layer.flatMap((context) => Layer.merge(Layer.succeedContext(context), then(found)))
      )
    })
  )
