/** Throws at start-up if an app has two different schemes with one name. */
import * as Context from "effect/Context"
import * as HttpRouter from "effect/http/HttpRouter"
import { groupsIn } from "../../core/effect/routeContext.ts"
import type { RequirementPolicy } from "../requirement/policy.ts"
import { policiesOf } from "../requirement/registry.ts"
import { sameName, SchemeNames } from "../requirement/schemeNames.ts"
import type { Authentication } from "../scheme/scheme.ts"

type Services = Context.Context<never>

const authentications = new WeakSet<object>()

/** Registers an `Authentication`, so that no other object is mistaken for one. */
export const registerAuthentication = (authentication: Authentication): Authentication => {
  authentications.add(authentication)
  return authentication
}

export const isAuthentication = (value: unknown): value is Authentication => authentications.has(value as object)

const apps = new WeakMap<object, SchemeNames>()

/** Adds the schemes of a policy to those of the app whose router is in the context. Throws if a name is taken. */
export const note = (policy: RequirementPolicy, context: Services): void => {
  for (const { scheme } of policy.flat()) {
    const provided: unknown = Context.getOrUndefined(context, scheme.service)
    if (isAuthentication(provided) && provided.scheme !== scheme) throw sameName(scheme)
  }
  const router = Context.getOrUndefined(context, HttpRouter.HttpRouter)
  if (router === undefined) return
  // The copies of a router, such as those with a prefix, share this function.
  const { asHttpEffect } = router
  const names = apps.get(asHttpEffect) ?? new SchemeNames()
  apps.set(asHttpEffect, names)
  names.add(policy)
}

/** Adds the schemes of the endpoints whose handlers are in the context. */
export const noteEndpoints = (context: Services): void => {
  for (const { handlers } of groupsIn(context)) {
    for (const { endpoint } of handlers.values())
      for (const policy of policiesOf(endpoint.middlewares)) note(policy, context)
  }
}
