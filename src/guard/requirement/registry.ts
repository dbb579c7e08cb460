/** What the middleware keys of an `HttpApi` demand. */
import type * as Context from "effect/Context"
import { combine, type Policy } from "./policy.ts"

type AnyKey = Context.Key<unknown, unknown>

const policies = new WeakMap<object, Policy>()
const copies = new WeakMap<object, () => AnyKey>()

/** Notes what a middleware key demands, and how to make another key that demands the same. */
export const register = (key: object, policy: Policy, newKey: () => AnyKey): void => {
  policies.set(key, policy)
  copies.set(key, newKey)
}

/** Another key that demands the same, for a second place at one endpoint; `undefined` for a key that is not a requirement. */
export const another = (key: object): AnyKey | undefined => {
  const [policy, newKey] = [policies.get(key), copies.get(key)]
  if (policy === undefined || newKey === undefined) return
  const copy = newKey()
  register(copy, policy, newKey)
  return copy
}

/** What a middleware key of this library demands; `undefined` for every other. */
export const ofKey = (key: object): Policy | undefined => policies.get(key)

export const combineAll = (of: ReadonlyArray<Policy>): Policy => of.reduce(combine, [])

/** What several keys demand together, outermost first. */
export const ofKeys = (keys: Iterable<object>): Policy => combineAll(policiesOf(keys))

export const policiesOf = (keys: Iterable<object>): ReadonlyArray<Policy> =>
  Array.from(keys).flatMap((key) => {
    const policy = policies.get(key)
    return policy === undefined ? [] : [policy]
  })
