/**
 * What `HttpApi` reads off the identifier of a middleware. Effect exports the types that read it, and not the name of the property, which a middleware has to
 * know whose identifier is an interface.
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
