/** Connects a scheme's authenticator to `HttpApi`. */
import * as Context from "effect/Context"
import * as Fiber from "effect/Fiber"
import { HttpServerRequest } from "effect/http/HttpServerRequest"
import type { Authenticator } from "../credential/authenticator.ts"
import { Place } from "./endpoint.ts"
import * as guard from "./guard.ts"
import type { Authentication, Scheme } from "../scheme/scheme.ts"

/** The middleware that `HttpApi` calls for each requirement of the scheme on an endpoint. */
export const make = (scheme: Scheme, authenticator: Authenticator): Authentication => {
  const self: Authentication = Object.assign(
    (...[handler, options]: Parameters<Authentication>) => {
      assertOutsideOfRequests()
      return guard.atPlace(Place.next(options), new Map([[scheme, self]]), handler)
    },
    { scheme, authenticator }
  )
  return self
}

/** `HttpApiBuilder` gives handlers the context in which they are built: a request in it would take the place of every later one. */
const assertOutsideOfRequests = (): void => {
  const context = Fiber.getCurrent()?.context
  if (context === undefined || Context.getOrUndefined(context, HttpServerRequest) === undefined) return
  throw new Error(
    "An HttpApi is built within a request, and would take every later request for this one: build it once, outside (HttpRouter.toWebHandler, HttpRouter.serve)."
  )
}
