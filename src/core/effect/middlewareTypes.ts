/**
 * The types that `HttpApi` reads from the identifier of a middleware. Effect does not export the name of this property,
 * and a middleware whose identifier is an interface must declare it.
 */
export interface MiddlewareTypes<Provides, Requires, Errors> {
  readonly "~effect/http-api/HttpApiMiddleware": {
    readonly provides: Provides
    readonly requires: Requires
    readonly error: Errors
    readonly clientError: never
    readonly requiredForClient: false
  }
}
