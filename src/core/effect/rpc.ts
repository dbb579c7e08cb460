/** Reads and creates the values of `effect/rpc` without importing it, so that programs without RPC do not load it. */
import * as Context from "effect/Context"
import type * as Rpc from "effect/rpc/Rpc"
import type * as RpcGroup from "effect/rpc/RpcGroup"
import type * as RpcMiddleware from "effect/rpc/RpcMiddleware"
import type * as Schema from "effect/Schema"

const middlewareTypeId: RpcMiddleware.TypeId = "~effect/rpc/RpcMiddleware"
const streamTypeId = "~effect/rpc/RpcSchema/StreamSchema"

/** The second argument of a middleware for a call. All middleware of one call receives the same object. */
export type Call = Parameters<RpcMiddleware.Any>[1]

/** Returns `true` if a middleware was called with the options of `effect/rpc`. */
export const isCall = (options: object): options is Call => Object.hasOwn(options, "rpc")

/** Returns `true` if a procedure returns a stream. */
export const isStream = ({ successSchema }: Pick<Rpc.AnyWithProps, "successSchema">): boolean =>
  streamTypeId in successSchema

/** Returns `true` for an `RpcGroup`, which has no type id at run time. */
export const isGroup = (self: unknown): self is RpcGroup.RpcGroup<Rpc.AnyWithProps> =>
  typeof self === "function" &&
  Object.hasOwn(self, "toLayerHandler") &&
  Object.hasOwn(self, "requests") &&
  "requests" in self &&
  self.requests instanceof Map

/** The service that `RpcGroup.toLayer` provides for each procedure. */
export interface ProcedureHandler {
  readonly handler: unknown
}

const handlerPrefix = "effect/rpc/Rpc/"

/** Returns `true` for the key of a service that `RpcGroup.toLayer` provides. */
export const isHandlerKey = (key: string): boolean => key.startsWith(handlerPrefix)

/** Returns the handlers of procedures in a context, by the names of the procedures. */
export const handlersIn = (context: Context.Context<never>): ReadonlyMap<string, ProcedureHandler> =>
  new Map(
    Array.from(context.mapUnsafe).flatMap(([key, value]) =>
      isHandlerKey(key) ? [[key.slice(handlerPrefix.length), value as ProcedureHandler]] : []
    )
  )

/** Adds the fields that `effect/rpc` reads from the key of a middleware. */
export const middlewareKey = (key: Context.Key<never, unknown>, error: () => Schema.Top): RpcMiddleware.AnyService =>
  // Safe cast: these are all fields of `AnyService`. `~ClientError` exists only in types.
  Object.defineProperty(
    Object.assign(key, { [middlewareTypeId]: middlewareTypeId, requiredForClient: false }),
    "error",
    {
      get: error,
      enumerable: true
    }
  ) as unknown as RpcMiddleware.AnyService
