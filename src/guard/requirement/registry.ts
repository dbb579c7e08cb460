/** What the middleware keys of an `HttpApi` demand. */
import type * as Context from "effect/Context"
import { combine, type Demand } from "./policy.ts"

type AnyKey = Context.Key<unknown, unknown>

const demands = new WeakMap<object, Demand>()
const copies = new WeakMap<object, () => AnyKey>()

/** Notes what a middleware key demands, and how to make another key that demands the same. */
export const register = (key: object, demand: Demand, newKey: () => AnyKey): void => {
  demands.set(key, demand)
  copies.set(key, newKey)
}

/** Another key that demands the same, for a second place at one endpoint; `undefined` for a key that is not a requirement. */
export const another = (key: object): AnyKey | undefined => {
  const [demand, newKey] = [demands.get(key), copies.get(key)]
  if (demand === undefined || newKey === undefined) return
  const copy = newKey()
  register(copy, demand, newKey)
  return copy
}

/** What a middleware key of this library demands; `undefined` for every other. */
export const ofKey = (key: object): Demand | undefined => demands.get(key)

export const combineAll = (of: ReadonlyArray<Demand>): Demand => of.reduce(combine, [])

/** What several keys demand together, outermost first. */
export const ofKeys = (keys: Iterable<object>): Demand => combineAll(demandsOf(keys))

export const demandsOf = (keys: Iterable<object>): ReadonlyArray<Demand> =>
  Array.from(keys).flatMap((key) => {
    const demand = demands.get(key)
    return demand === undefined ? [] : [demand]
  })
