/**
 * Builds each guard at the place where the program provides it, with the verifier of its own app.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as HttpRouter from "effect/http/HttpRouter"
import * as routeContext from "../../core/effect/routeContext.ts"
import type { Group, RouteMiddleware, Stack } from "../../core/effect/routeContext.ts"
import { handlersIn, isHandlerKey, type ProcedureHandler } from "../../core/effect/rpc.ts"
import type { Memoization } from "../../core/effect/layerMemoization.ts"
import { describe, type RequirementPolicy } from "../requirement/policy.ts"
import { DecisionLog } from "../scheme/decisionLog.ts"
import type { Authentication } from "../scheme/scheme.ts"
import { isAuthentication, noteEndpoints } from "./schemesOfApp.ts"

type Services = Context.Context<never>

const requirements = new WeakMap<RouteMiddleware, RequirementPolicy>()

/** Registers the function that a requirement applies to routes. */
export const registerRequirement = (middleware: RouteMiddleware, policy: RequirementPolicy): void => {
  requirements.set(middleware, policy)
}

const markers = new WeakSet<RouteMiddleware>()

/** Registers a middleware that only marks routes. Such a middleware may run outside a requirement. */
export const registerMarker = <M extends RouteMiddleware>(middleware: M): M => {
  markers.add(middleware)
  return middleware
}

const authenticationsIn = (context: Services): ReadonlyArray<Authentication> =>
  Array.from(context.mapUnsafe.values()).filter(isAuthentication)

const requirementsOf = (stack: Stack): ReadonlyArray<RequirementPolicy> =>
  stack.flatMap((middleware) => {
    const requirement = requirements.get(middleware)
    return requirement === undefined ? [] : [requirement]
  })

const requirementsIn = (context: Services): ReadonlyArray<RequirementPolicy> =>
  routeContext.stacksIn(context).flatMap(requirementsOf)

/**
 * Throws if `HttpRouter` would run a middleware outside the requirement, although the program provides the middleware
 * inside. The requirement calls this function when `HttpRouter` applies the requirement to a route.
 */
export const assertOrder = (requirement: RouteMiddleware): void =>
  assertInside(requirement, routeContext.stacksIn(Fiber.getCurrent()?.context ?? Context.empty()))

const assertInside = (requirement: RouteMiddleware, stacks: ReadonlyArray<Stack>): void => {
  if (stacks.every((stack) => stack.length === 1)) return
  const declared = routeContext.declaredOrder(stacks)
  const applied = routeContext.appliedOrder(stacks)
  const inside = declared.slice(declared.indexOf(requirement) + 1)
  const misplaced = applied
    .slice(0, Math.max(0, applied.indexOf(requirement)))
    .find((middleware) => inside.includes(middleware) && !requirements.has(middleware) && !markers.has(middleware))
  if (misplaced === undefined) return
  throw new TypeError(
    `HttpRouter would run the middleware ${nameOf(misplaced, stacks)} outside the requirement ${describe(requirements.get(requirement) ?? [])}, although the program provides it inside. HttpRouter puts the members of a.combine(b) around all middleware that is not combined. Provide the members one by one, Layer.provide(a.layer), Layer.provide(b.layer), and then the requirement. Or combine the requirement too: a.combine(b).combine(requirement.route).`
  )
}

const nameOf = (middleware: RouteMiddleware, stacks: ReadonlyArray<Stack>): string => {
  const stack = stacks.find((stack) => stack.includes(middleware)) ?? [middleware]
  const place = `number ${stack.indexOf(middleware) + 1} of ${stack.length} that are combined`
  return middleware.name === "" ? `(${place})` : `${JSON.stringify(middleware.name)} (${place})`
}

/** A service that does not apply requirements itself: handlers, or a middleware. */
type Receiver = Group | ProcedureHandler | Stack

/** The requirements that are provided to the layer of handlers or of a middleware. */
const expected = new WeakMap<Receiver, ReadonlyArray<RequirementPolicy>>()

/**
 * Throws if a requirement is provided to the handlers of these routes, or to a middleware that wraps them, but not to
 * the routes.
 */
const assertApplied = (context: Services, routes: ReadonlyArray<object>): void => {
  const applied = requirementsIn(context)
  const missing = (of: Receiver) => expected.get(of)?.find((requirement) => !applied.includes(requirement))
  for (const group of routeContext.groupsIn(context)) {
    const requirement = group.routes.some((route) => routes.includes(route)) ? missing(group) : undefined
    if (requirement === undefined) continue
    const handlers = Array.from(group.handlers.keys(), (name) => JSON.stringify(name)).join(", ")
    throw new TypeError(
      `The layer of the requirement ${describe(requirement)} is provided to handlers (${handlers}). Handlers do not apply a requirement, so the routes would lack the requirement. Apply it to HttpApiBuilder.layer, outside the handlers: HttpApiBuilder.layer(api).pipe(requirement). Or give the requirement to the endpoint, the group or the api: .middleware(requirement).`
    )
  }
  for (const [name, handler] of handlersIn(context)) {
    const requirement = missing(handler)
    if (requirement === undefined) continue
    throw new TypeError(
      `The layer of the requirement ${describe(requirement)} is provided to the handler of the procedure ${JSON.stringify(name)}. Handlers do not apply a requirement, so the route would lack the requirement. Apply it to RpcServer.layerHttp, outside the handlers: RpcServer.layerHttp({ … }).pipe(Layer.provide(handlers), requirement). Or give it to the procedure or the group: .middleware(requirement.rpc).`
    )
  }
  for (const stack of routeContext.stacksIn(context)) {
    const requirement = missing(stack)
    if (requirement === undefined) continue
    throw new TypeError(
      `The layer of the requirement ${describe(requirement)} is provided to the layer of a middleware. A middleware does not apply a requirement, so the routes would lack the requirement. Apply both to the routes: routes.pipe(Layer.provide(middleware.layer), requirement).`
    )
  }
}

const isComplete = (context: Services): boolean => {
  const applied = requirementsIn(context)
  const receivers = [
    ...routeContext.groupsIn(context),
    ...routeContext.stacksIn(context),
    ...handlersIn(context).values()
  ]
  return receivers.every((one) => expected.get(one)?.every((requirement) => applied.includes(requirement)) ?? true)
}

/** Wraps a router, so that adding a route fails if a requirement is provided at the wrong place. */
const watched = (router: HttpRouter.HttpRouter): HttpRouter.HttpRouter => {
  const addAll = (routes: ReadonlyArray<HttpRouter.Route<unknown, unknown>>) =>
    Effect.contextWith((context: Services) => {
      assertApplied(context, routes)
      return router.addAll(routes)
    })
  // Safe cast: the wrapped router receives the routes unchanged.
  return HttpRouter.HttpRouter.of({
    ...router,
    addAll,
    add: (method, path, handler, options) => addAll([HttpRouter.route(method, path, handler, options)]),
    prefixed: (prefix) => watched(router.prefixed(prefix))
  } as HttpRouter.HttpRouter)
}

/** The guards that wrap a layer, as of the time when the layer was built. */
interface BuildPlace {
  /**
   * `true` if the layer provides a requirement of routes. The checks of this requirement use the services outside the
   * layer.
   */
  readonly holdsRequirement: boolean
  readonly authentications: ReadonlyArray<Authentication>
  readonly requirements: ReadonlyArray<RequirementPolicy>
  /** The log of the guards around the handlers. */
  readonly log: object
}

const nothing = {}

const ofScheme = (context: Services, { scheme }: Authentication): object =>
  Context.getOrUndefined(context, scheme.service) ?? nothing

/**
 * Builds handlers of an `HttpApi` once for each set of authentications that are provided to them. Builds a requirement
 * of routes at every place where it is provided. A guard then uses the innermost verifier that is provided to its
 * layer, and a check uses the services at that place.
 */
export const memoization: Memoization<BuildPlace> = {
  building: (build, context) => {
    const router = Context.getOrUndefined(context, HttpRouter.HttpRouter)
    if (router === undefined) return build
    noteEndpoints(context)
    return isComplete(context) ? build : Effect.provideService(build, HttpRouter.HttpRouter, watched(router))
  },
  placeOf: (services, context) => {
    const keys = Array.from(services.mapUnsafe.keys())
    const holdsRequirement = routeContext.middlewareIn(services).some((middleware) => requirements.has(middleware))
    const holdsGroup = keys.some(routeContext.isGroupKey)
    if (!holdsRequirement && !holdsGroup && !keys.some((key) => routeContext.isStackKey(key) || isHandlerKey(key)))
      return
    return {
      holdsRequirement,
      // Other middleware captures no authentication, so its layer stays memoized.
      authentications: holdsGroup ? authenticationsIn(context) : [],
      requirements: requirementsIn(context),
      log: holdsGroup ? Context.get(context, DecisionLog) : nothing
    }
  },
  difference: ({ authentications, holdsRequirement, log }, context) => {
    if (holdsRequirement) return [{}]
    const here = [
      log === nothing ? nothing : Context.get(context, DecisionLog),
      ...authentications.map((authentication) => ofScheme(context, authentication))
    ]
    return here.every((one, i) => one === (i === 0 ? log : authentications[i - 1])) ? undefined : here
  },
  provided: (services, place, context) => {
    const around = requirementsIn(context)
    assertProvidedInside(services, context)
    const entries = Array.from(services.mapUnsafe, ([key, value]): readonly [string, unknown] => {
      if (routeContext.isGroupKey(key)) return [key, expecting(value as Group, copyOfObject<Group>, place, around)]
      if (isHandlerKey(key)) {
        return [key, expecting(value as ProcedureHandler, copyOfObject<ProcedureHandler>, place, around)]
      }
      if (!routeContext.isStackKey(key)) return [key, value]
      const stack = expecting(value as Stack, copyOfStack, place, around)
      return [keyOf(key, stack), stack]
    })
    return Context.makeUnsafe(new Map(entries))
  }
}

/**
 * Throws like `assertOrder`, but before `combine` merges the stacks. The merged stack of `a.combine(b.combine(c))` no
 * longer shows which middleware was provided inside which.
 */
const assertProvidedInside = (services: Services, context: Services): void => {
  const outer = routeContext.stacksIn(context)
  for (const stack of routeContext.stacksIn(services)) {
    if (stack.length === 1) continue
    for (const requirement of outer.flat()) {
      if (requirements.has(requirement)) assertInside(requirement, [...outer, stack])
    }
  }
}

const copyOfObject = <T extends object>(object: T): T => ({ ...object })

const copyOfStack = (stack: Stack): Stack => Array.from(stack)

/** Copies handlers or a stack, and replaces the requirements of the first place by the requirements of this place. */
const expecting = <T extends Receiver>(
  original: T,
  copyOf: (original: T) => T,
  place: BuildPlace,
  around: ReadonlyArray<RequirementPolicy>
): T => {
  const before = expected.get(original) ?? []
  const inner = before.filter((requirement) => !place.requirements.includes(requirement))
  if (before.length === 0 && around.length === 0) return original
  const copy = copyOf(original)
  expected.set(copy, [...inner, ...around])
  return copy
}

const keys = new WeakMap<RouteMiddleware, string>()
let count = 0

/**
 * Returns a separate key for each built requirement. `HttpRouter` gives a middleware one key. With that key, a
 * requirement at a second place would replace the first one in the context, although their verifiers can differ.
 */
const keyOf = (key: string, stack: Stack): string => {
  const requirement = stack.find((middleware) => requirements.has(middleware))
  if (requirement === undefined) return key
  const own = keys.get(requirement) ?? routeContext.stackKey(`requirement-${++count}`)
  keys.set(requirement, own)
  return own
}
