/** Finds the requirements of an endpoint of an `HttpApi`, or of a procedure of `effect/rpc`, that a guard enforces. */
import * as Context from "effect/Context"
import * as Fiber from "effect/Fiber"
import { HttpServerRequest } from "effect/http/HttpServerRequest"
import { deferCustom, type RequirementPolicy } from "../requirement/policy.ts"
import { combineAll, policiesOf } from "../requirement/registry.ts"
import * as Origin from "../scheme/origin.ts"

/** An endpoint of an `HttpApi`, or a procedure of `effect/rpc`. */
type Endpoint = {
  /** The middleware keys, innermost first. */
  readonly middlewares: ReadonlySet<object>
}

/** The requirements of an endpoint, outermost first: of the api, of the group, and of the endpoint itself. */
export class EndpointPolicy {
  readonly requirements: ReadonlyArray<RequirementPolicy>
  /** All requirements together. */
  readonly policy: RequirementPolicy
  /** The places that were created so far, because `effect/rpc` applies the requirements for each call. */
  readonly places = new Map<string, Place>()

  private constructor(endpoint: Endpoint) {
    this.requirements = policiesOf(Array.from(endpoint.middlewares).toReversed())
    this.policy = combineAll(this.requirements)
  }

  static readonly #policies = new WeakMap<Endpoint, EndpointPolicy>()

  static of(endpoint: Endpoint): EndpointPolicy {
    const existing = EndpointPolicy.#policies.get(endpoint) ?? new EndpointPolicy(endpoint)
    EndpointPolicy.#policies.set(endpoint, existing)
    return existing
  }
}

/**
 * The requirements of an endpoint that one guard enforces. If other middleware separates the requirements, there are
 * several guards. Each guard requires all scopes of the endpoint, so the outermost challenge names them. A check runs
 * only in the guard of its requirement, with the services available there.
 */
export class Place {
  readonly endpoint: EndpointPolicy
  /** The number of requirements that outer guards enforce. */
  readonly outer: number
  readonly count: number
  readonly policy: RequirementPolicy
  /** The group and the name of the endpoint, or the name of the procedure. */
  readonly name: string

  private constructor(endpoint: EndpointPolicy, outer: number, count: number, name: string) {
    this.endpoint = endpoint
    this.name = name
    this.outer = outer
    this.count = count
    const isOwn = (i: number) => i >= outer && i < outer + count
    this.policy =
      count === endpoint.requirements.length
        ? endpoint.policy
        : combineAll(endpoint.requirements.map((policy, i) => (isOwn(i) ? policy : deferCustom(policy))))
  }

  static of(endpoint: EndpointPolicy, outer: number, count: number, name: string): Place {
    const key = `${outer} ${count} ${name}`
    const existing = endpoint.places.get(key) ?? new Place(endpoint, outer, count, name)
    endpoint.places.set(key, existing)
    return existing
  }

  static readonly #applied = new WeakMap<object, number>()

  /**
   * Returns the place of the next requirement that Effect applies. Effect begins with the innermost, and passes the
   * same `options` for all middleware of an endpoint or a call.
   */
  static next(options: object, of: Endpoint, name: string): Place {
    const endpoint = EndpointPolicy.of(of)
    const applied = Place.#applied.get(options) ?? 0
    Place.#applied.set(options, applied + 1)
    const outer = endpoint.requirements.length - 1 - applied
    if (outer < 0) throw new Error("Effect applied a requirement that the endpoint does not have.")
    return Place.of(endpoint, outer, 1, name)
  }

  /** Merges this place with the place of the directly nested guard. */
  join(inner: Place): Place {
    return Place.of(this.endpoint, this.outer, this.count + inner.count, this.name)
  }

  /**
   * Returns the policy that this guard must enforce. Returns the policy of the whole endpoint if the outer guards
   * accepted a different request or different credentials. Returns `undefined` if the outer guards did not run, because
   * their checks did not run, either.
   */
  policyOf(context: Context.Context<never>): RequirementPolicy | undefined {
    if (this.outer === 0) return this.policy
    const passed = DecidedPolicies.of(context, this.endpoint)
    if (passed?.count !== this.outer) return
    return Origin.same(passed.origin, originOf(context)) ? this.policy : this.endpoint.policy
  }

  /** Returns the decision for inner guards. */
  passed(context: Context.Context<never>): DecidedPolicies | undefined {
    const count = this.outer + this.count
    return count === this.endpoint.requirements.length
      ? undefined
      : new DecidedPolicies(this.endpoint, originOf(context), count)
  }
}

/** How many requirements of an endpoint a request satisfies. */
export class DecidedPolicies {
  // A look-alike object must not pass as a decision: only the constructor sets #genuine.
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
    // Typed as unknown, because a program can put any value into the context.
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

/**
 * Throws within a request. `HttpApiBuilder` captures the context in which handlers are built, and its request would
 * replace every later request.
 */
export const throwWithinRequest = (): void => {
  const context = Fiber.getCurrent()?.context
  if (context === undefined || Context.getOrUndefined(context, HttpServerRequest) === undefined) return
  throw new Error(
    "An HttpApi is built within a request. Its handlers would receive this request for every later request. Build the HttpApi once, at start-up (HttpRouter.toWebHandler, HttpRouter.serve)."
  )
}

const originOf = (context: Context.Context<never>): Origin.Origin =>
  Origin.of(Context.getOrUndefined(context, HttpServerRequest))
