/** Maps middleware keys of an `HttpApi` to their policies. */
import type * as Context from "effect/Context"
import { combine, type RequirementPolicy } from "./policy.ts"

type AnyKey = Context.Key<unknown, unknown>

const policies = new WeakMap<object, RequirementPolicy>()
const copies = new WeakMap<object, () => AnyKey>()

/** Stores the policy of a middleware key, and how to create another key with the same policy. */
export const register = (key: object, policy: RequirementPolicy, newKey: () => AnyKey): void => {
  policies.set(key, policy)
  copies.set(key, newKey)
}

/**
 * Creates another key with the same policy, for a second use at one endpoint. Returns `undefined` if the key is not a
 * requirement.
 */
export const copyOfKey = (key: object): AnyKey | undefined => {
  const [policy, newKey] = [policies.get(key), copies.get(key)]
  if (policy === undefined || newKey === undefined) return
  const copy = newKey()
  register(copy, policy, newKey)
  return copy
}

/** Returns the policy of a middleware key. Returns `undefined` if the key is not a requirement. */
export const policyOfKey = (key: object): RequirementPolicy | undefined => policies.get(key)

export const combineAll = (of: ReadonlyArray<RequirementPolicy>): RequirementPolicy => of.reduce(combine, [])

/** Combines the policies of several keys, outermost first. */
export const policyOfKeys = (keys: Iterable<object>): RequirementPolicy => combineAll(policiesOf(keys))

export const policiesOf = (keys: Iterable<object>): ReadonlyArray<RequirementPolicy> =>
  Array.from(keys).flatMap((key) => {
    const policy = policies.get(key)
    return policy === undefined ? [] : [policy]
  })
