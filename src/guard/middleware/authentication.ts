/** Connects a scheme's authenticator to `HttpApi` and `effect/rpc`. */
import { isCall } from "../../core/effect/rpc.ts"
import type { Authenticator } from "../../verifier/request/authenticator.ts"
import { throwWithinRequest, Place } from "../decision/place.ts"
import * as guard from "../decision/guard.ts"
import { registerAuthentication } from "./placement.ts"
import * as rpc from "./rpc.ts"
import type { Authentication, Scheme } from "../scheme/scheme.ts"

/** Creates the middleware that `HttpApi` and `effect/rpc` call for each requirement of the scheme on an endpoint. */
export const make = (scheme: Scheme, authenticator: Authenticator): Authentication => {
  const self: Authentication = Object.assign(
    (...[handler, options]: Parameters<Authentication>) => {
      const authentications = new Map([[scheme, self]])
      if (isCall(options)) return rpc.apply(handler, options, authentications)
      throwWithinRequest()
      return guard.atPlace(Place.next(options, options.endpoint), authentications, handler)
    },
    { scheme, authenticator }
  )
  return registerAuthentication(self)
}
