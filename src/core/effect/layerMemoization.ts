/** Builds a shared layer again if its services depend on the place where the layer is provided. */
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

/** Decides if a second place can reuse the services of a layer. `Place` describes the place where they were built. */
export interface Memoization<Place> {
  /** Wraps the construction of a layer in this context. */
  readonly building: (build: ReturnType<Build>, context: Services) => ReturnType<Build>
  /** Returns the place that the services depend on, or `undefined` if they can be used everywhere. */
  readonly placeOf: (services: Services, context: Services) => Place | undefined
  /** Returns objects that identify the other place, or `undefined` if it can reuse the services. */
  readonly difference: (place: Place, context: Services) => ReadonlyArray<object> | undefined
  /** Returns the reused services, adapted to this context. */
  readonly provided: (services: Services, place: Place, context: Services) => Services
}

/** Creates the keys for a memo map: one for each layer and each place that it is built for. */
class PlaceKeys {
  readonly #next = new WeakMap<object, PlaceKeys>()
  #key: AnyLayer | undefined

  static readonly #all = new WeakMap<AnyLayer, PlaceKeys>()

  static keyOf(layer: AnyLayer, difference: ReadonlyArray<object>): AnyLayer {
    const root = PlaceKeys.#all.get(layer) ?? new PlaceKeys()
    PlaceKeys.#all.set(layer, root)
    let keys = root
    for (const part of difference) {
      const next = keys.#next.get(part) ?? new PlaceKeys()
      keys.#next.set(part, next)
      keys = next
    }
    // Safe cast: the key inherits everything from the layer, and a memo map compares keys by identity only.
    return (keys.#key ??= Object.create(layer) as AnyLayer)
  }
}

/**
 * Extends the memo maps of Effect, so that a layer whose services depend on their place is built once for each place.
 *
 * Effect memoizes a layer by reference. The services of a shared layer therefore belong to the place that is built
 * first. No other part of Effect reports that a layer was reused. The extension replaces one method on the prototype
 * that all memo maps share.
 */
export const extendMemoization = <Place>(memoization: Memoization<Place>): void => {
  const prototype: unknown = Object.getPrototypeOf(Layer.makeMemoMapUnsafe())
  if (!hasMemoize(prototype)) {
    throw new Error(
      "MemoMap.getOrElseMemoize is missing in this version of Effect. effect-oauth2 extends this method to keep the guards of several apps apart. Install a version of effect that effect-oauth2 supports (peerDependencies)."
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
          : prototype.getOrElseMemoize.call(this, PlaceKeys.keyOf(layer, difference), scope, build)
      })
    })
  }
}

const hasMemoize = (prototype: unknown): prototype is { getOrElseMemoize: Memoize } =>
  typeof prototype === "object" &&
  prototype !== null &&
  "getOrElseMemoize" in prototype &&
  typeof prototype.getOrElseMemoize === "function"
