/** Connects a scheme's authenticator to `HttpApi`. */
import type { Authenticator } from "../../verifier/request/authenticator.ts"
import { throwWithinRequest, Place } from "../decision/place.ts"
import * as guard from "../decision/guard.ts"
import { registerAuthentication } from "./placement.ts"
import type { Authentication, Scheme } from "../scheme/scheme.ts"

/** Creates the middleware that `HttpApi` calls for each requirement of the scheme on an endpoint. */
export const make = (scheme: Scheme, authenticator: Authenticator): Authentication => {
  const self: Authentication = Object.assign(
    (...[handler, options]: Parameters<Authentication>) => {
      throwWithinRequest()
      return guard.atPlace(Place.next(options), new Map([[scheme, self]]), handler)
    },
    { scheme, authenticator }
  )
  return registerAuthentication(self)
}
