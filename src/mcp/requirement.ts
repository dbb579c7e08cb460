/** Creates the MCP middleware that guards tools, resources and prompts with a requirement. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { McpErrorBase } from "effect/ai/McpSchema"
import * as McpServer from "effect/ai/McpServer"
import { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import { BearerToken } from "../core/BearerToken.ts"
import * as Challenge from "../core/Challenge.ts"
import { isSecurityError, NotAuthenticated } from "../core/SecurityError.ts"
import * as guard from "../guard/decision/guard.ts"
import type { Handler } from "../guard/decision/decide.ts"
import { bindToRoute, type RequirementPolicy } from "../guard/requirement/policy.ts"
import type { Authentication, Scheme } from "../guard/scheme/scheme.ts"
import * as refusal from "./refusal.ts"

/** The guarded effect inside each effect that a requirement returned. */
const guardedOf = new WeakMap<Handler, Handler>()

const isList = (method: string): boolean => method.endsWith("/list")

/** A policy at the place where the program provides it. */
interface Bound {
  readonly policy: RequirementPolicy
  readonly authentications: ReadonlyMap<Scheme, Authentication>
  /** The token of a server without HTTP. */
  readonly environment: Redacted.Redacted | undefined
}

const bind = (policy: RequirementPolicy) =>
  Effect.contextWith((context: Context.Context<never>) => {
    const schemes = Array.from(new Set(policy.flat().map(({ scheme }) => scheme)))
    const authentications = new Map(
      schemes.map((scheme) => [scheme, Context.getUnsafe(context, scheme.service)] as const)
    )
    const environment = Context.getOrUndefined(context, BearerToken)
    return Effect.succeed<Bound>({ policy: bindToRoute(policy, context), authentications, environment })
  })

/**
 * Runs the guard of a message. If the message did not come by HTTP, its token is that of the environment. Without a
 * token, the guard refuses the message like a request without a token.
 */
const withToken = (guarded: Handler, { environment, policy }: Bound): Handler =>
  Effect.withFiber(({ context }) => {
    if (Context.getOrUndefined(context, HttpServerRequest) !== undefined) return guarded
    if (environment !== undefined) return Effect.provideService(guarded, BearerToken, environment)
    const [part] = policy.flat()
    const error = new NotAuthenticated({ reason: "NoCredentials" })
    return Effect.fail(part === undefined ? error : Challenge.within(error, part.settings))
  })

const guardWith = (bound: Bound, effect: Handler): Handler => {
  // Directly nested requirements are decided together, so their challenge names all scopes.
  const guarded = guard.make(bound.policy, bound.authentications, guardedOf.get(effect) ?? effect)
  const result = Effect.catchIf(withToken(guarded, bound), isSecurityError, refusal.fail)
  guardedOf.set(result, guarded)
  return result
}

/** Returns `true` if a token may call the registration, without running it. */
const isGranted = (bound: Bound): Effect.Effect<boolean, refusal.Refused> => {
  // Safe cast: the types of the requirement state the errors of its checks.
  const guarded = guard.make(bound.policy, bound.authentications, Effect.succeed(true))
  return Effect.catchIf(withToken(guarded, bound), isSecurityError, (error) =>
    error._tag === "AuthorizationServerUnavailable" ? refusal.fail(error) : Effect.succeed(false)
  ) as Effect.Effect<boolean, refusal.Refused>
}

type Middleware = McpServer.Middleware<{
  provides: never
  error: McpErrorBase
  requires: never
  layerError: never
  layerRequires: never
}>

/** An effect as Effect passes it to middleware. Middleware cannot read the result. */
type Opaque = Effect.Effect<McpServer.MiddlewareSuccess, McpErrorBase>

/**
 * Builds the middleware at each place where the program provides it. A memoized layer would use the verifier of the
 * first server for every server.
 */
const perPlace = (middleware: Middleware): Middleware => {
  const combine = middleware.combine.bind(middleware)
  return Object.assign(middleware, {
    layer: Layer.fresh(middleware.layer),
    layerGlobal: Layer.fresh(middleware.layerGlobal),
    // Safe cast: only the types of the combination differ.
    combine: ((other: Middleware) => perPlace(combine(other))) as Middleware["combine"]
  })
}

export const make = (policy: RequirementPolicy, hideFromLists: boolean): Middleware => {
  const bound = bind(policy)
  // Safe casts: Effect runs the middleware with an opaque effect, and the public type names what it provides.
  const guarding = McpServer.middleware(
    Effect.map(
      bound,
      (bound) =>
        (effect: Opaque, { method }: McpServer.MiddlewareOptions): Opaque =>
          isList(method) ? effect : (guardWith(bound, effect) as Opaque)
    )
  )
  if (!hideFromLists) return perPlace(guarding)
  // Hides the registration only from lists. A call is refused with the scopes, so a client can request them.
  const hiding = McpServer.visibility(
    Effect.map(
      bound,
      (bound) =>
        ({ method }: McpServer.MiddlewareOptions) =>
          isList(method) ? isGranted(bound) : Effect.succeed(true)
    )
  )
  return perPlace(hiding.combine(guarding))
}
