/** Reads what `HttpRouter` and `HttpApiBuilder` put into the context in which routes are added. */
import type * as Context from "effect/Context"
import type { HttpServerResponse } from "effect/http/HttpServerResponse"
import type * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import type * as Effect from "effect/Effect"

/** The function that a middleware of `HttpRouter` applies to each route. */
export type RouteMiddleware = (handler: Effect.Effect<HttpServerResponse, never, never>) => object

/** The members of one `a.combine(b)`, innermost first; an array of one for a middleware that is not combined. */
export type Stack = ReadonlyArray<RouteMiddleware>

/** The service that `HttpApiBuilder.group` provides: its routes, and in the same order the handlers that they were made from. */
export interface Group {
  readonly routes: ReadonlyArray<object>
  readonly handlers: ReadonlyMap<string, { readonly endpoint: HttpApiEndpoint.Top }>
}

const stackPrefix = "effect/http/HttpRouter/Middleware-"
const functionKey = "effect/http/HttpRouter/MiddlewareFn"
const groupPrefix = "effect/http-api/HttpApiGroup/"

/** A key under which `HttpRouter` finds a stack. */
export const stackKey = (name: string): string => stackPrefix + name

export const isStackKey = (key: string): boolean => key.startsWith(stackPrefix)

export const isGroupKey = (key: string): boolean => key.startsWith(groupPrefix)

const withKey = (context: Context.Context<never>, is: (key: string) => boolean): ReadonlyArray<unknown> =>
  Array.from(context.mapUnsafe).flatMap(([key, value]) => (is(key) ? [value] : []))

/** The middleware stacks around a route, in the order in which they were provided: outermost first. */
export const stacksIn = (context: Context.Context<never>): ReadonlyArray<Stack> =>
  withKey(context, isStackKey) as ReadonlyArray<Stack>

/** The functions of all middleware that a layer provides, those of a middleware that is not put into a stack yet among them. */
export const middlewareIn = (context: Context.Context<never>): ReadonlyArray<RouteMiddleware> => [
  ...stacksIn(context).flat(),
  ...(withKey(context, (key) => key === functionKey) as ReadonlyArray<RouteMiddleware>)
]

export const groupsIn = (context: Context.Context<never>): ReadonlyArray<Group> =>
  withKey(context, isGroupKey) as ReadonlyArray<Group>

/** The order that the program declares, outermost first: in `a.combine(b)`, `b` is the outer one. */
export const declaredOrder = (stacks: ReadonlyArray<Stack>): ReadonlyArray<RouteMiddleware> =>
  Array.from(new Set(stacks.flatMap((stack) => stack.toReversed())))

/**
 * The order in which `HttpRouter` applies middleware, outermost first. It aligns all stacks by depth, so the last member of a combined middleware runs
 * outside of every middleware that is not combined, wherever that was provided.
 */
export const appliedOrder = (stacks: ReadonlyArray<Stack>): ReadonlyArray<RouteMiddleware> => {
  const depth = Math.max(0, ...stacks.map((stack) => stack.length))
  const levels = Array.from({ length: depth }, (_, i) => stacks.flatMap((stack) => stack[depth - 1 - i] ?? []))
  return Array.from(new Set(levels.flat()))
}
