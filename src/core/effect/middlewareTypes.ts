import type * as RpcMiddleware from "effect/rpc/RpcMiddleware"
import type * as Schema from "effect/Schema"

/**
 * The types that `HttpApi` reads from the identifier of a middleware. Effect does not export the name of this property,
 * and a middleware whose identifier is an interface must declare it.
 */
export interface MiddlewareTypes<Provides, Requires, Errors, ForClient extends boolean = false, ClientError = never> {
  readonly "~effect/http-api/HttpApiMiddleware": {
    readonly provides: Provides
    readonly requires: Requires
    readonly error: Errors
    readonly clientError: ClientError
    readonly requiredForClient: ForClient
  }
}

/** The types that `effect/rpc` reads from the identifier of a middleware. */
export interface RpcMiddlewareTypes<Provides, Requires, Error extends Schema.Top, ClientError = never> {
  readonly "~effect/rpc/RpcMiddleware": {
    readonly provides: Provides
    readonly requires: Requires
    readonly error: Error
    readonly clientError: ClientError
  }
}

/** The members that `effect/rpc` reads from the key of a middleware. */
export interface RpcMiddlewareKey<Error extends Schema.Top, ForClient extends boolean = false, ClientError = never> {
  readonly "~effect/rpc/RpcMiddleware": RpcMiddleware.TypeId
  /** The schema of the errors, which `RpcClient` decodes. */
  readonly error: Error
  readonly requiredForClient: ForClient
  readonly "~ClientError": ForClient extends true ? ClientError : never
}
