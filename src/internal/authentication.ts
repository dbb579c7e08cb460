import type * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import type { Authenticator } from "./authenticator.ts"
import { combine, type Demand } from "./demand.ts"
import * as guard from "./guard.ts"
import type { Authentication, Scheme } from "./scheme.ts"

const demands = new WeakMap<object, Demand>()

/** Notes what a middleware key demands. */
export const register = (key: object, demand: Demand): void => {
  demands.set(key, demand)
}

/** What a middleware key of this library demands; `undefined` for every other. */
export const ofKey = (key: object): Demand | undefined => demands.get(key)

const endpoints = new WeakMap<object, Demand>()

/** What several keys demand together, outermost first. */
export const ofKeys = (keys: Iterable<object>): Demand =>
  Array.from(keys).reduce<Demand>((outer, key) => combine(outer, demands.get(key) ?? []), [])

/** What an endpoint demands: of the api, of its group, and its own, outermost first. One value for each endpoint. */
export const ofEndpoint = (endpoint: HttpApiEndpoint.Top): Demand => {
  const known = endpoints.get(endpoint)
  if (known !== undefined) return known
  // The set of middlewares has the innermost first.
  const demand = ofKeys(Array.from(endpoint.middlewares).toReversed())
  endpoints.set(endpoint, demand)
  return demand
}

/**
 * The middleware that `HttpApi` calls for each requirement of the scheme on an endpoint. Each call guards with the demand of the whole endpoint:
 * directly around one another they are one guard, and with other middleware between them the inner ones know that it was decided.
 */
export const make = (scheme: Scheme, authenticator: Authenticator): Authentication => {
  const self: Authentication = Object.assign(
    (...[handler, { endpoint }]: Parameters<Authentication>) =>
      guard.make(ofEndpoint(endpoint), new Map([[scheme, self]]), handler),
    { scheme, authenticator }
  )
  return self
}
