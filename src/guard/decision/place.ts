/** Which of the requirements of an endpoint of an `HttpApi` a guard stands for. */
import * as Context from "effect/Context"
import * as Fiber from "effect/Fiber"
import { HttpServerRequest } from "effect/http/HttpServerRequest"
import type * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import { deferChecks, type Policy } from "../requirement/policy.ts"
import { combineAll, policiesOf } from "../requirement/registry.ts"
import * as Origin from "../scheme/origin.ts"

/** An endpoint's requirements: of the api, of its group, and its own, outermost first. */
export class EndpointPolicy {
  readonly requirements: ReadonlyArray<Policy>
  /** All of them together. */
  readonly policy: Policy

  private constructor(endpoint: HttpApiEndpoint.Top) {
    // The set of middlewares has the innermost first.
    this.requirements = policiesOf(Array.from(endpoint.middlewares).toReversed())
    this.policy = combineAll(this.requirements)
  }

  static readonly #known = new WeakMap<HttpApiEndpoint.Top, EndpointPolicy>()

  static of(endpoint: HttpApiEndpoint.Top): EndpointPolicy {
    const known = EndpointPolicy.#known.get(endpoint) ?? new EndpointPolicy(endpoint)
    EndpointPolicy.#known.set(endpoint, known)
    return known
  }
}

/**
 * The requirements of an endpoint that one guard stands for: with other middleware between them there are several guards. Each asks for all scopes of the
 * endpoint, so that the outermost challenge names them; a check is asked where its requirement stands, with the services that are there.
 */
export class Place {
  readonly endpoint: EndpointPolicy
  /** How many requirements stand further out. */
  readonly outer: number
  readonly count: number
  readonly policy: Policy

  private constructor(endpoint: EndpointPolicy, outer: number, count: number) {
    this.endpoint = endpoint
    this.outer = outer
    this.count = count
    const isOwn = (i: number) => i >= outer && i < outer + count
    this.policy =
      count === endpoint.requirements.length
        ? endpoint.policy
        : combineAll(endpoint.requirements.map((policy, i) => (isOwn(i) ? policy : deferChecks(policy))))
  }

  static readonly #applied = new WeakMap<object, number>()

  /** The place of the next requirement that `HttpApi` applies: it begins with the innermost, and gives all of an endpoint the same options. */
  static next(options: { readonly endpoint: HttpApiEndpoint.Top }): Place {
    const endpoint = EndpointPolicy.of(options.endpoint)
    const applied = Place.#applied.get(options) ?? 0
    Place.#applied.set(options, applied + 1)
    const outer = endpoint.requirements.length - 1 - applied
    if (outer < 0) throw new Error("A requirement was applied that the endpoint does not have.")
    return new Place(endpoint, outer, 1)
  }

  /** With that of a guard directly inside. */
  join(inner: Place): Place {
    return new Place(this.endpoint, this.outer, this.count + inner.count)
  }

  /**
   * What is demanded here: of another request, or of other credentials, than those that the guards further out have decided about, all that the endpoint
   * demands. `undefined` where those have not decided: a check of theirs would be left out.
   */
  policyOf(context: Context.Context<never>): Policy | undefined {
    if (this.outer === 0) return this.policy
    const passed = DecidedPolicies.of(context, this.endpoint)
    if (passed?.count !== this.outer) return
    return Origin.same(passed.origin, originOf(context)) ? this.policy : this.endpoint.policy
  }

  /** What the guards further in are to know. */
  passed(context: Context.Context<never>): DecidedPolicies | undefined {
    const count = this.outer + this.count
    return count === this.endpoint.requirements.length
      ? undefined
      : new DecidedPolicies(this.endpoint, originOf(context), count)
  }
}

/** How many of an endpoint's requirements have been met, and for which request. */
export class DecidedPolicies {
  // What this constructor has not made is nothing, however alike it looks: it lacks the private name.
  readonly #genuine = true
  readonly endpoint: EndpointPolicy
  readonly origin: Origin.Origin
  readonly count: number

  constructor(endpoint: EndpointPolicy, origin: Origin.Origin, count: number) {
    this.endpoint = endpoint
    this.origin = origin
    this.count = count
  }

  static readonly Reference = Context.Reference<DecidedPolicies | undefined>("effect-oauth2/Passed", {
    defaultValue: () => undefined
  })

  static of(context: Context.Context<never>, endpoint: EndpointPolicy): DecidedPolicies | undefined {
    // Whatever somebody has put there.
    const passed: unknown = Context.get(context, DecidedPolicies.Reference)
    return typeof passed === "object" &&
      passed !== null &&
      #genuine in passed &&
      passed.#genuine &&
      passed.endpoint === endpoint
      ? passed
      : undefined
  }
}

/** `HttpApiBuilder` gives handlers the context in which they are built: a request in it would take the place of every later one. */
export const assertOutsideOfRequests = (): void => {
  const context = Fiber.getCurrent()?.context
  if (context === undefined || Context.getOrUndefined(context, HttpServerRequest) === undefined) return
  throw new Error(
    "An HttpApi is built within a request: for as long as it lives its handlers would be given this one. Build it once, outside (HttpRouter.toWebHandler, HttpRouter.serve)."
  )
}

const originOf = (context: Context.Context<never>): Origin.Origin =>
  Origin.of(Context.getOrUndefined(context, HttpServerRequest))
