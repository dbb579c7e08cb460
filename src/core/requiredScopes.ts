/** The value of `SecurityScopes`, and which scheme's requirement added which of its scopes. */
import { union } from "./scope.ts"

/**
 * The scopes required at one point of a program.
 *
 * @category models
 * @since 0.1.0
 */
export interface RequiredScopes {
  /** Ordered (outermost requirement first) and free of duplicates. */
  readonly scopes: ReadonlyArray<string>
  /** The same, separated by single spaces (RFC 6749 §3.3); `""` when nothing is required. */
  readonly scopeStr: string
}

/** Scopes and the scheme whose route requirement added them; those that a program added itself are every scheme's. */
interface Contribution {
  readonly by: object | undefined
  readonly scopes: ReadonlyArray<string>
}

const contributions = new WeakMap<RequiredScopes, ReadonlyArray<Contribution>>()

// A value that a program made itself has no contributions on record: all of its scopes count, for every scheme.
const contributionsOf = (self: RequiredScopes): ReadonlyArray<Contribution> =>
  contributions.get(self) ?? [{ by: undefined, scopes: self.scopes }]

// Frozen: it is given to every handler.
const make = (scopes: ReadonlyArray<string>): RequiredScopes =>
  Object.freeze({ scopes: Object.freeze(scopes), scopeStr: scopes.join(" ") })

export const none: RequiredScopes = make([])

/** `outer`, then those of `scopes` that are new. */
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

/** What is required of a token of this scheme: what its own requirements and the program added, not what other schemes ask for. */
export const ofScheme = (self: RequiredScopes, scheme: object): ReadonlyArray<string> => {
  if (self.scopes.length === 0) return self.scopes
  const own = contributionsOf(self).filter(({ by }) => by === undefined || by === scheme)
  return own.reduce<ReadonlyArray<string>>((scopes, contribution) => union(scopes, contribution.scopes), [])
}
