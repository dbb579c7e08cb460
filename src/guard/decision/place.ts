/** Which of the requirements of an endpoint of an `HttpApi` a guard stands for. */
import * as Context from "effect/Context"
import * as Fiber from "effect/Fiber"
import { HttpServerRequest } from "effect/http/HttpServerRequest"
import type * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import { deferChecks, type Demand } from "../requirement/policy.ts"
import { combineAll, demandsOf } from "../requirement/registry.ts"
import * as Origin from "../scheme/origin.ts"

/** An endpoint's requirements: of the api, of its group, and its own, outermost first. */
export class Guarded {
  readonly requirements: ReadonlyArray<Demand>
  /** All of them together. */
  readonly demand: Demand

  private constructor(endpoint: HttpApiEndpoint.Top) {
    // The set of middlewares has the innermost first.
    this.requirements = demandsOf(Array.from(endpoint.middlewares).toReversed())
    this.demand = combineAll(this.requirements)
  }

  static readonly #known = new WeakMap<HttpApiEndpoint.Top, Guarded>()

  static of(endpoint: HttpApiEndpoint.Top): Guarded {
    const known = Guarded.#known.get(endpoint) ?? new Guarded(endpoint)
    Guarded.#known.set(endpoint, known)
    return known
  }
}

/**
 * The requirements of an endpoint that one guard stands for: with other middleware between them there are several guards. Each asks for all scopes of the
 * endpoint, so that the outermost challenge names them; a check is asked where its requirement stands, with the services that are there.
 */
export class Place {
  readonly endpoint: Guarded
  /** How many requirements stand further out. */
  readonly outer: number
  readonly count: number
  readonly demand: Demand

  private constructor(endpoint: Guarded, outer: number, count: number) {
    this.endpoint = endpoint
    this.outer = outer
    this.count = count
    const isOwn = (i: number) => i >= outer && i < outer + count
    this.demand =
      count === endpoint.requirements.length
        ? endpoint.demand
        : combineAll(endpoint.requirements.map((demand, i) => (isOwn(i) ? demand : deferChecks(demand))))
  }

  static readonly #applied = new WeakMap<object, number>()

  /** The place of the next requirement that `HttpApi` applies: it begins with the innermost, and gives all of an endpoint the same options. */
  static next(options: { readonly endpoint: HttpApiEndpoint.Top }): Place {
    const endpoint = Guarded.of(options.endpoint)
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
  demandOf(context: Context.Context<never>): Demand | undefined {
    if (this.outer === 0) return this.demand
    const passed = Passed.of(context, this.endpoint)
    if (passed?.count !== this.outer) return
    return Origin.same(passed.origin, originOf(context)) ? this.demand : this.endpoint.demand
  }

  /** What the guards further in are to know. */
  passed(context: Context.Context<never>): Passed | undefined {
    const count = this.outer + this.count
    return count === this.endpoint.requirements.length ? undefined : new Passed(this.endpoint, originOf(context), count)
  }
}

/** How many of an endpoint's requirements have been met, and for which request. */
export class Passed {
  // What this constructor has not made is nothing, however alike it looks: it lacks the private name.
  readonly #genuine = true
  readonly endpoint: Guarded
  readonly origin: Origin.Origin
  readonly count: number

  constructor(endpoint: Guarded, origin: Origin.Origin, count: number) {
    this.endpoint = endpoint
    this.origin = origin
    this.count = count
  }

  static readonly Reference = Context.Reference<Passed | undefined>("effect-oauth2/Passed", {
    defaultValue: () => undefined
  })

  static of(context: Context.Context<never>, endpoint: Guarded): Passed | undefined {
    // Whatever somebody has put there.
    const passed: unknown = Context.get(context, Passed.Reference)
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
