/** Connects a scheme's authenticator to `HttpApi`. */
import * as Context from "effect/Context"
import * as Fiber from "effect/Fiber"
import type { Authenticator } from "../../verifier/request/authenticator.ts"
import { throwWithinRequest, Place } from "../decision/place.ts"
import * as guard from "../decision/guard.ts"
import * as schemesOfApp from "./schemesOfApp.ts"
import type { Reporter } from "../scheme/decisionLog.ts"
import type { Authentication, Scheme } from "../scheme/scheme.ts"

/** Creates the middleware that `HttpApi` calls for each requirement of the scheme on an endpoint. */
export const make = (scheme: Scheme, authenticator: Authenticator, reporter: Reporter): Authentication => {
  const self: Authentication = Object.assign(
    (...[handler, options]: Parameters<Authentication>) => {
      throwWithinRequest()
      const place = Place.next(options)
      schemesOfApp.note(place.policy, Fiber.getCurrent()?.context ?? Context.empty())
      return guard.atPlace(place, new Map([[scheme, self]]), handler)
    },
    { scheme, authenticator, reporter }
  )
  return schemesOfApp.registerAuthentication(self)
}
