/** Lets this library take part when Effect decides whether a layer that was built already is built again. */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"

type Services = Context.Context<never>

type AnyLayer = Layer.Layer<never, unknown, unknown>

type Build = (memoMap: Layer.MemoMap, scope: Scope.Scope) => Effect.Effect<Services, unknown, unknown>

type Memoize = (
  this: Layer.MemoMap,
  layer: AnyLayer,
  scope: Scope.Scope,
  build: Build
) => Effect.Effect<Services, unknown, unknown>

/** What decides whether a built layer may stand at a second place. `Place` is what is remembered of the first one. */
export interface Memoization<Place> {
  /** Wraps the construction of a layer in this context. */
  readonly building: (build: ReturnType<Build>, context: Services) => ReturnType<Build>
  /** Returns what the services depend on in the context that they were built in; `undefined` if they fit everywhere. */
  readonly placeOf: (services: Services, context: Services) => Place | undefined
  /** Returns what tells another context from the place; `undefined` if the services fit in there. */
  readonly difference: (place: Place, context: Services) => ReadonlyArray<object> | undefined
  /** Returns the services for this context. */
  readonly provided: (services: Services, place: Place, context: Services) => Services
}

/** The keys under which a memo map holds one layer as it was built for different places. */
class Variants {
  readonly #next = new WeakMap<object, Variants>()
  #key: AnyLayer | undefined

  static readonly #all = new WeakMap<AnyLayer, Variants>()

  static keyOf(layer: AnyLayer, difference: ReadonlyArray<object>): AnyLayer {
    const root = Variants.#all.get(layer) ?? new Variants()
    Variants.#all.set(layer, root)
    let variants = root
    for (const part of difference) {
      const next = variants.#next.get(part) ?? new Variants()
      variants.#next.set(part, next)
      variants = next
    }
    // A memo map only compares keys: this one is the layer in everything but its identity.
    return (variants.#key ??= Object.create(layer) as AnyLayer)
  }
}

/**
 * Extends the memo maps of Effect: a layer whose services depend on the place where they stand is built once for each such place.
 *
 * Effect remembers a layer by its reference alone. The services of a shared layer therefore belong to the place that was built first, and no other
 * part of Effect tells a library that its layer was found instead of built. The change is one method on the prototype that all memo maps share.
 */
export const extendMemoization = <Place>(memoization: Memoization<Place>): void => {
  const prototype: unknown = Object.getPrototypeOf(Layer.makeMemoMapUnsafe())
  if (!hasMemoize(prototype)) {
    throw new Error(
      "This version of Effect has no method MemoMap.getOrElseMemoize, which effect-oauth2 extends to keep the guards of several apps apart. Use a version of effect that effect-oauth2 supports (peerDependencies)."
    )
  }
  const memoize = prototype.getOrElseMemoize
  const places = new WeakMap<Services, Map<AnyLayer, Place>>()

  const note = (services: Services, layer: AnyLayer, context: Services): Services => {
    const place = memoization.placeOf(services, context)
    if (place !== undefined) {
      const ofLayers = places.get(services) ?? new Map<AnyLayer, Place>()
      places.set(services, ofLayers.set(layer, place))
    }
    return services
  }

  prototype.getOrElseMemoize = function (layer, scope, build) {
    return Effect.contextWith((context: Services) => {
      let isBuiltHere = false
      const found = memoize.call(this, layer, scope, (memoMap, scope) => {
        isBuiltHere = true
        const built = memoization.building(build(memoMap, scope), context)
        return Effect.map(built, (services) => note(services, layer, context))
      })
      return Effect.flatMap(found, (services) => {
        const place = places.get(services)?.get(layer)
        if (place === undefined) return Effect.succeed(services)
        const difference = isBuiltHere ? undefined : memoization.difference(place, context)
        return difference === undefined
          ? Effect.succeed(memoization.provided(services, place, context))
          : prototype.getOrElseMemoize.call(this, Variants.keyOf(layer, difference), scope, build)
      })
    })
  }
}

const hasMemoize = (prototype: unknown): prototype is { getOrElseMemoize: Memoize } =>
  typeof prototype === "object" &&
  prototype !== null &&
  "getOrElseMemoize" in prototype &&
  typeof prototype.getOrElseMemoize === "function"
