/** Connects a scheme's authenticator to `HttpApi` and `effect/rpc`. */
import * as Context from "effect/Context"
import * as Fiber from "effect/Fiber"
import { isCall } from "../../core/effect/rpc.ts"
import type { Authenticator } from "../../verifier/request/authenticator.ts"
import { throwWithinRequest, Place } from "../decision/place.ts"
import * as guard from "../decision/guard.ts"
import * as schemesOfApp from "./schemesOfApp.ts"
import * as rpc from "./rpc.ts"
import type { Reporter } from "../scheme/decisionLog.ts"
import type { Authentication, Scheme } from "../scheme/scheme.ts"

/** Creates the middleware that `HttpApi` and `effect/rpc` call for each requirement of the scheme on an endpoint. */
export const make = (scheme: Scheme, authenticator: Authenticator, reporter: Reporter): Authentication => {
  const self: Authentication = Object.assign(
    (...[handler, options]: Parameters<Authentication>) => {
      const authentications = new Map([[scheme, self]])
      if (isCall(options)) return rpc.apply(handler, options, authentications)
      throwWithinRequest()
      const { endpoint, group } = options
      const place = Place.next(options, endpoint, `${group.identifier}.${endpoint.identifier}`)
      schemesOfApp.note(place.policy, Fiber.getCurrent()?.context ?? Context.empty())
      return guard.atPlace(place, authentications, handler)
    },
    { scheme, authenticator, reporter }
  )
  return schemesOfApp.registerAuthentication(self)
}
