/** Reads the services that `HttpRouter` and `HttpApiBuilder` provide while routes are added. */
import type * as Context from "effect/Context"
import type { HttpServerResponse } from "effect/http/HttpServerResponse"
import type * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import type * as Effect from "effect/Effect"

/** The function that a middleware of `HttpRouter` applies to each route. */
export type RouteMiddleware = (handler: Effect.Effect<HttpServerResponse, never, never>) => object

/** The members of one `a.combine(b)`, innermost first. A middleware that is not combined is a stack of one. */
export type Stack = ReadonlyArray<RouteMiddleware>

/** The service that `HttpApiBuilder.group` provides: its routes, and their handlers in the same order. */
export interface Group {
  readonly routes: ReadonlyArray<object>
  readonly handlers: ReadonlyMap<string, { readonly endpoint: HttpApiEndpoint.Top }>
}

const stackPrefix = "effect/http/HttpRouter/Middleware-"
const functionKey = "effect/http/HttpRouter/MiddlewareFn"
const handlersTypeId = "~effect/http-api/HttpApiBuilder/Handlers"
const groupPrefix = "effect/http-api/HttpApiGroup/"

/** Returns the key of a service that `HttpRouter` reads as a stack. */
export const stackKey = (name: string): string => stackPrefix + name

export const isStackKey = (key: string): boolean => key.startsWith(stackPrefix)

export const isGroupKey = (key: string): boolean => key.startsWith(groupPrefix)

const withKey = (context: Context.Context<never>, is: (key: string) => boolean): ReadonlyArray<unknown> =>
  Array.from(context.mapUnsafe).flatMap(([key, value]) => (is(key) ? [value] : []))

/** Returns the middleware stacks around a route in the order in which they were provided, outermost first. */
export const stacksIn = (context: Context.Context<never>): ReadonlyArray<Stack> =>
  withKey(context, isStackKey) as ReadonlyArray<Stack>

/** Returns the functions of all middleware that a layer provides, also of middleware that is not in a stack yet. */
export const middlewareIn = (context: Context.Context<never>): ReadonlyArray<RouteMiddleware> => [
  ...stacksIn(context).flat(),
  ...(withKey(context, (key) => key === functionKey) as ReadonlyArray<RouteMiddleware>)
]

export const groupsIn = (context: Context.Context<never>): ReadonlyArray<Group> =>
  withKey(context, isGroupKey) as ReadonlyArray<Group>

/** Returns middleware in declared order, outermost first. In `a.combine(b)`, `b` is outside of `a`. */
export const declaredOrder = (stacks: ReadonlyArray<Stack>): ReadonlyArray<RouteMiddleware> =>
  Array.from(new Set(stacks.flatMap((stack) => stack.toReversed())))

/**
 * Returns middleware in the order in which `HttpRouter` applies it, outermost first. `HttpRouter` aligns all stacks by
 * depth. The last member of a combined middleware therefore runs outside of every middleware that is not combined.
 */
export const appliedOrder = (stacks: ReadonlyArray<Stack>): ReadonlyArray<RouteMiddleware> => {
  const depth = Math.max(0, ...stacks.map((stack) => stack.length))
  const levels = Array.from({ length: depth }, (_, i) => stacks.flatMap((stack) => stack[depth - 1 - i] ?? []))
  return Array.from(new Set(levels.flat()))
}

/** Returns `true` if a context has the handlers of groups of an `HttpApi`, and nothing else. */
export const hasOnlyGroups = (context: Context.Context<never>): boolean =>
  context.mapUnsafe.size > 0 && context.mapUnsafe.size === Array.from(groupsIn(context)).length

/** Returns `true` for the value that `HttpApiBuilder.group` passes to its function: the handlers of a group. */
export const isHandlers = (self: unknown): boolean => {
  if (typeof self !== "object" || self === null) return false
  const prototype = Object.getPrototypeOf(self) as object | null
  // A polluted `Object.prototype` must not turn every object into handlers.
  return prototype !== Object.prototype && prototype !== null && Object.hasOwn(prototype, handlersTypeId)
}
