/** Locks a session for the processes of a fleet. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import { StoreUnavailable } from "../../stores/storeUnavailable.ts"
import { randomText } from "./seal.ts"
import type { SessionBackend } from "./backend.ts"

/** How a store keeps a lock. `holder` is random, so no process can renew or end the lock of another one. */
export interface Leases {
  /** Returns `false` if another holder has the lock. */
  readonly acquire: (key: string, holder: string, timeToLive: number) => Effect.Effect<boolean, StoreUnavailable>
  /** Returns `false` if the holder has lost the lock. */
  readonly renew: (key: string, holder: string, timeToLive: number) => Effect.Effect<boolean, StoreUnavailable>
  readonly release: (key: string, holder: string) => Effect.Effect<void, StoreUnavailable>
}

/** A lock outlives a process that has crashed by this time, in milliseconds. */
const timeToLive = 10_000

/** Time between two attempts to get the lock, in milliseconds. Grows to `maxPause`. */
const firstPause = 10
const maxPause = 200

/** Time after which a call gives up, in milliseconds. Longer than the lock of a crashed process. */
const maxWait = 15_000

const busy = Effect.fail(
  new StoreUnavailable({ store: "SessionStore", reason: "Timeout", retryAfter: Duration.seconds(1) })
)

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

export const withLock = ({ acquire, release, renew }: Leases): SessionBackend["withLock"] => {
  const queues = new Queues()

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

  // A lock that is lost does not stop the effect, which may have sent a request. The version of the session decides.
  const renewing = (key: string, holder: string): Effect.Effect<never> =>
    Effect.forever(
      Effect.andThen(Effect.sleep(Duration.millis(timeToLive / 3)), Effect.ignore(renew(key, holder, timeToLive)))
    )

  return (key, effect) =>
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
