/** Tells long connections that their token was invalidated. */
import * as Effect from "effect/Effect"

// All verifiers share the lists, because a verifier may wrap another, and a program may wrap `invalidate`.
const listeners = new Map<string, Set<() => void>>()

/** The number of each token's last invalidation. The oldest token is the first. */
const last = new Map<string, number>()

// Bounds the memory. A connection whose token may have been forgotten ends.
const maxTokens = 1000

let count = 0

/** Returns the number of invalidations so far. */
export const soFar = (): number => count

export const add = (text: string): void => {
  count++
  last.delete(text)
  last.set(text, count)
  for (const oldest of last.keys()) {
    if (last.size <= maxTokens) break
    last.delete(oldest)
  }
  for (const listener of listeners.get(text) ?? []) listener()
}

/** Returns `true` if a token was invalidated after the first `since` invalidations. */
export const isInvalidated = (text: string, since: number): boolean => {
  const isForgotten = !last.has(text) && count - since > maxTokens
  return isForgotten || (last.get(text) ?? 0) > since
}

/** Completes when a token is invalidated, or at once if that happened after the first `since` invalidations. */
export const next = (text: string, since: number): Effect.Effect<void> =>
  Effect.callback((resume) => {
    if (isInvalidated(text, since)) return resume(Effect.void)
    const listener = () => resume(Effect.void)
    const own = listeners.get(text) ?? new Set()
    listeners.set(text, own.add(listener))
    return Effect.sync(() => {
      own.delete(listener)
      if (own.size === 0) listeners.delete(text)
    })
  })
