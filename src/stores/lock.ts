/**
 * Locks for the processes of a fleet: one effect under a key at a time.
 *
 * A lock ends by itself, so that a crashed process does not keep it. A process that was paused for longer, such as a
 * suspended machine, therefore runs on without its lock. No lock over a network can prevent that, so the version of what
 * the lock protects is the fencing number. Under the lock, a holder writes twice:
 *
 * 1. It claims the version that it has read, before the step that must not happen twice. The store compares the version
 *    and changes it in one step, so a former holder that wakes up later cannot claim its old version.
 * 2. It writes the result with the claimed version. If another holder has claimed since, the store refuses the result.
 *
 * A number of the lock itself would add nothing: the version already changes with each claim, and is in the same entry.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import { randomText } from "./seal.ts"
import { StoreUnavailable } from "./storeUnavailable.ts"

export interface Lock {
  /** Runs an effect while no other process runs one under this key. Calls of one process come one at a time. */
  readonly withLock: <A, E, R>(key: string, effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | StoreUnavailable, R>
}

/** How a store keeps a lock. `holder` is random, so no process can renew or end the lock of another one. */
export interface Leases {
  /** Returns `false` if another holder has the lock. Succeeds again for the same holder, whose answer may be lost. */
  readonly acquire: (key: string, holder: string, timeToLive: number) => Effect.Effect<boolean, StoreUnavailable>
  /** Returns `false` if the holder has lost the lock. */
  readonly renew: (key: string, holder: string, timeToLive: number) => Effect.Effect<boolean, StoreUnavailable>
  readonly release: (key: string, holder: string) => Effect.Effect<void, StoreUnavailable>
}

/** Times in milliseconds. */
export interface Times {
  /** A lock outlives a process that has crashed by this time. */
  readonly timeToLive: number
  /** Time after which a call gives up. It must be longer than the lock of a crashed process. */
  readonly maxWait: number
}

/** Time between two attempts to get the lock, in milliseconds. Grows to `maxPause`. */
const firstPause = 10
const maxPause = 200

/** Keeps one semaphore for each key in use, so that the calls of one process do not poll the store. */
class Queues {
  readonly #queues = new Map<string, { readonly semaphore: Semaphore.Semaphore; users: number }>()

  readonly within = <A, E, R>(key: string, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.acquireUseRelease(
      Effect.sync(() => {
        const queue = this.#queues.get(key) ?? { semaphore: Semaphore.makeUnsafe(1), users: 0 }
        queue.users += 1
        this.#queues.set(key, queue)
        return queue
      }),
      ({ semaphore }) => semaphore.withPermits(1)(effect),
      (queue) =>
        Effect.sync(() => {
          queue.users -= 1
          if (queue.users === 0) this.#queues.delete(key)
        })
    )
}

/** Locks for one process. */
export const memory = (): Lock => ({ withLock: new Queues().within })

/** Locks for the processes that share a store. */
export const make = (
  store: StoreUnavailable["store"],
  { acquire, release, renew }: Leases,
  { maxWait, timeToLive }: Times
): Lock => {
  const queues = new Queues()
  const busy = Effect.fail(new StoreUnavailable({ store, reason: "Timeout", retryAfter: Duration.seconds(1) }))

  const acquired = (
    key: string,
    holder: string,
    waited = 0,
    pause = firstPause
  ): Effect.Effect<void, StoreUnavailable> =>
    Effect.flatMap(acquire(key, holder, timeToLive), (isMine) => {
      if (isMine) return Effect.void
      if (waited >= maxWait) return busy
      return Effect.andThen(
        Effect.sleep(Duration.millis(pause)),
        Effect.suspend(() => acquired(key, holder, waited + pause, Math.min(pause * 2, maxPause)))
      )
    })

  // A lock that is lost does not stop the effect, which may have sent a request. The version decides.
  const renewing = (key: string, holder: string): Effect.Effect<never> =>
    Effect.forever(
      Effect.andThen(Effect.sleep(Duration.millis(timeToLive / 3)), Effect.ignore(renew(key, holder, timeToLive)))
    )

  return {
    withLock: (key, effect) =>
      queues.within(
        key,
        Effect.suspend(() => {
          const holder = randomText()
          return Effect.acquireUseRelease(
            // An attempt whose answer was lost may have taken the lock, so it is released like a lock.
            Effect.onError(Effect.interruptible(acquired(key, holder)), () => Effect.ignore(release(key, holder))),
            () => Effect.raceFirst(effect, renewing(key, holder)),
            // The lock ends by itself if the store is unavailable.
            () => Effect.ignore(release(key, holder))
          )
        })
      )
  }
}
