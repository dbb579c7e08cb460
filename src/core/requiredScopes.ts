/** The value of `SecurityScopes`, and the scheme that added each scope. */
import { union } from "./scope.ts"

/**
 * Required scopes of the running code.
 *
 * @category models
 * @since 0.1.0
 */
export interface RequiredScopes {
  /** Scope names without duplicates, outermost requirement first. */
  readonly scopes: ReadonlyArray<string>
  /** The scope names separated by single spaces, or `""` if there are none (RFC 6749 §3.3). */
  readonly scopeStr: string
}

/**
 * Scopes and the scheme that added them. `by` is `undefined` for `SecurityScopes.require`, which counts for each
 * scheme.
 */
interface Contribution {
  readonly by: object | undefined
  readonly scopes: ReadonlyArray<string>
}

const contributions = new WeakMap<RequiredScopes, ReadonlyArray<Contribution>>()

// A value from user code has no recorded contributions. All of its scopes count for every scheme.
const contributionsOf = (self: RequiredScopes): ReadonlyArray<Contribution> =>
  contributions.get(self) ?? [{ by: undefined, scopes: self.scopes }]

// Frozen, because all handlers share the value.
const make = (scopes: ReadonlyArray<string>): RequiredScopes =>
  Object.freeze({ scopes: Object.freeze(scopes), scopeStr: scopes.join(" ") })

export const none: RequiredScopes = make([])

/** Appends the scopes that `outer` lacks. */
export const extend = (
  outer: RequiredScopes,
  scopes: ReadonlyArray<string>,
  by: object | undefined
): RequiredScopes => {
  if (scopes.length === 0) return outer
  const extended = make(union(outer.scopes, scopes))
  contributions.set(extended, [...contributionsOf(outer), { by, scopes }])
  return extended
}

/** Returns the scopes that this scheme and user code require, without the scopes of other schemes. */
export const ofScheme = (self: RequiredScopes, scheme: object): ReadonlyArray<string> => {
  if (self.scopes.length === 0) return self.scopes
  const own = contributionsOf(self).filter(({ by }) => by === undefined || by === scheme)
  return own.reduce<ReadonlyArray<string>>((scopes, contribution) => union(scopes, contribution.scopes), [])
}
