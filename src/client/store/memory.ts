/** Keeps a grant in the memory of the process. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Semaphore from "effect/Semaphore"
import type { Store, VersionedGrant } from "./model.ts"

export const make = Effect.map(Semaphore.make(1), (semaphore): Store => {
  let stored: VersionedGrant | undefined
  return {
    read: Effect.sync(() => Option.fromUndefinedOr(stored)),
    write: (grant, expected) =>
      Effect.sync(() => {
        if (stored?.version !== expected) return Option.none()
        const version = crypto.randomUUID()
        stored = { grant, version }
        return Option.some(version)
      }),
    remove: (version) =>
      Effect.sync(() => {
        if (stored === undefined || (version !== undefined && stored.version !== version)) return false
        stored = undefined
        return true
      }),
    withLock: semaphore.withPermits(1)
  }
})
