/** Counts how often a program has invalidated a token: what a request verified before the last time is verified anew. */

// One count for all verifiers: a verifier may be wrapped by another one, and its `invalidate` by a function of the user's.
let invalidations = 0

export const count = (): void => {
  invalidations++
}

export const soFar = (): number => invalidations
