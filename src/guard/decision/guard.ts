/** Runs a handler only if the request satisfies the policy. No other module grants access. */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Challenge from "../../core/Challenge.ts"
import { isSecurityError } from "../../core/SecurityError.ts"
import { logIn } from "../scheme/decisionLog.ts"
import type { CallingFiber } from "../../verifier/cache/directVerifier.ts"
import { combine, type RequirementPolicy } from "../requirement/policy.ts"
import { type Authentications, decide, type Guard, GuardedRequest, type Handler } from "./decide.ts"
import type { Place } from "./place.ts"
import { provide } from "./provide.ts"
import { adopt, type Decider } from "./report.ts"

// Directly nested guards are merged into one guard with both policies, so there is one decision, and the challenge
// names all scopes. Routes are built from the inside out, so the inner guard is found here.
const guards = new WeakMap<Handler, Guard>()

/**
 * Runs `handler` only if the request, or the token of a program without HTTP, satisfies the policy and the scopes that
 * outer guards require.
 *
 * If the token is cached, the decision takes one step of the fiber.
 */
export const make = (
  policy: RequirementPolicy,
  authentications: Authentications,
  handler: Handler,
  decidedBy: Decider["decidedBy"] = "require"
): Handler => {
  const inner = guards.get(handler)
  return inner !== undefined && inner.place === undefined && agree(inner.authentications, authentications)
    ? guarding({
        ...inner,
        policy: combine(policy, inner.policy),
        authentications: both(inner.authentications, authentications)
      })
    : guarding({
        policy,
        authentications,
        handler: adopting(handler, policy),
        place: undefined,
        decider: { decidedBy, endpoint: undefined, log: surroundingLog() }
      })
}

/** Guards the handler of an endpoint for one of its requirements. `outermost` wraps the guard that is the outermost. */
export const atPlace = (
  place: Place,
  authentications: Authentications,
  handler: Handler,
  outermost: (guarded: Handler) => Handler = answering
): Handler => {
  const inner = guards.get(handler)
  const isNext = inner?.place?.endpoint === place.endpoint && agree(inner.authentications, authentications)
  const decider: Decider = { decidedBy: "require", endpoint: place.name, log: surroundingLog() }
  const guard = isNext
    ? {
        place: place.join(inner.place),
        authentications: both(inner.authentications, authentications),
        handler: inner.handler
      }
    : { place, authentications, handler: adopting(handler, place.policy) }
  const guarded = guarding({ ...guard, policy: guard.place.policy, decider })
  return place.outer === 0 ? outermost(guarded) : guarded
}

/** Responds to a security error that the handler created as to an error of the scheme. */
const adopting = (handler: Handler, policy: RequirementPolicy): Handler => {
  const scheme = policy[0]?.[0]?.scheme
  return scheme === undefined ? handler : adopt(handler, scheme)
}

/**
 * Responds to the security errors of an endpoint as a route does. Otherwise, Effect would encode them with the first
 * matching error schema of the endpoint, and they match every schema that has only a `message`.
 */
const answering = (guarded: Handler): Handler =>
  Effect.catchIf(guarded, isSecurityError, (error) => Challenge.respond(error))

/** Returns the log around the layer that is being built, which handlers and routes do not have in their context. */
const surroundingLog = (): Decider["log"] => {
  const context = Fiber.getCurrent()?.context
  return context === undefined ? undefined : logIn(context)
}

const guarding = (guard: Guard): Handler => {
  const effect: Handler = Effect.withFiber((fiber) => run(guard, fiber))
  guards.set(effect, guard)
  return effect
}

const both = (inner: Authentications, outer: Authentications): Authentications => new Map([...inner, ...outer])

/** Returns `false` if the guards have different layers for the same scheme. Then each guard uses its own layer. */
const agree = (left: Authentications, right: Authentications): boolean =>
  Array.from(left).every(([scheme, authentication]) => (right.get(scheme) ?? authentication) === authentication)

const run = (guard: Guard, fiber: CallingFiber): Handler => {
  const policy = guard.place === undefined ? guard.policy : guard.place.policyOf(fiber.context)
  if (policy === undefined) return unreachable
  const request = new GuardedRequest(guard, policy, fiber)
  return Effect.flatMapEager(decide(request), provide(request))
}

const unreachable = Effect.die(
  new Error(
    "An inner requirement of an endpoint or procedure ran, but the outer requirements did not. A middleware between them removed their services. Keep the services in the context of the handler."
  )
)
