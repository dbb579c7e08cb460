/** Keeps the local copy of a list of revocations up to date, and says how old the copy is. */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type { Commands } from "./commands.ts"
import type { Backend } from "./revocationBackend.ts"
import type { Entry } from "./revocationEntry.ts"
import type { RevocationList } from "./revocationList.ts"
import type { StoreUnavailable } from "./storeUnavailable.ts"

const ages = Metric.gauge("oauth2_revocations_age_seconds", {
  description: "Age of the local copy of the revocations, in seconds"
})
const sizes = Metric.gauge("oauth2_revocations", { description: "Revocations in the local copy" })

/** Most entries that one read of the list writes again after the server has lost them. */
const maxRestored = 1000

/** Pause before the next subscription or read after a failed one. */
const retryAfter = Duration.seconds(1)

export interface Copy {
  /** Returns `true` if the copy is not older than `maxAge`. `now` is in milliseconds. */
  readonly isFresh: (now: number) => boolean
  /** Returns the error of a copy that is too old. */
  readonly stale: () => StoreUnavailable
}

export const make = Effect.fnUntraced(function* (
  backend: Backend,
  list: RevocationList,
  commands: Commands,
  maxAge: number,
  onChange: () => void
): Effect.fn.Return<Copy, never, Scope.Scope> {
  /** When the last complete read of the list began, by the clock of the process. */
  let readAt = NaN
  let mark: string | undefined
  /** The number of changes of the copy after the last complete read. */
  let changes = -1

  const add = (entry: Entry, now: number): boolean => {
    const before = list.changes
    const isAdded = list.add(entry, now)
    if (list.changes !== before) onChange()
    return isAdded
  }

  const readAll = Effect.fnUntraced(function* (now: number) {
    const ids = new Set<string>()
    let cursor: string | undefined
    do {
      const page = yield* commands.run(backend.page(cursor))
      for (const entry of page.entries) {
        ids.add(entry.id)
        if (!add(entry, now)) return yield* Effect.fail(commands.unavailable("Full"))
      }
      cursor = page.next
    } while (cursor !== undefined)
    // A server that restarts without its data, or a replica that becomes the primary, has lost entries. The processes
    // still have them, and write them again. If this fails, the next poll tries again.
    const lost = Array.from(list.without(ids, now)).slice(0, maxRestored)
    yield* Effect.ignore(Effect.forEach(lost, (entry) => commands.run(backend.write(entry)), { discard: true }))
  })

  const poll = Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    const current = yield* commands.run(backend.mark)
    // The mark is read before the list, because an entry that is added in between changes the mark again. If this copy
    // has changed, the server must have the change, too: it may have lost the entry, and have the mark of before.
    if (current === undefined || current !== mark || list.changes !== changes) yield* readAll(now)
    mark = current
    changes = list.changes
    readAt = now
    list.deleteExpired(now)
  })

  const subscribe = (notifications: NonNullable<Backend["notifications"]>) =>
    Effect.clockWith((clock) =>
      Effect.scoped(notifications((entry) => void add(entry, clock.currentTimeMillisUnsafe())))
    )

  const context = yield* Effect.context<never>()
  const register = (metric: Metric.Gauge<number>, valueAt: (now: number) => number) =>
    Effect.acquireRelease(
      Effect.sync(() =>
        Metric.registerUnsafe(metric, context, {
          get: (reader) => ({ value: valueAt(Context.get(reader, Clock.Clock).currentTimeMillisUnsafe()) }),
          update: () => {},
          modify: () => {}
        })
      ),
      (registration) => Effect.sync(() => registration.remove())
    )
  yield* register(ages, (now) => (Number.isNaN(readAt) ? Infinity : Math.max(0, now - readAt) / 1000))
  yield* register(sizes, () => list.size)

  if (backend.notifications !== undefined) {
    yield* Effect.forkScoped(
      Effect.retry(Effect.sandbox(subscribe(backend.notifications)), Schedule.spaced(retryAfter))
    )
  }
  const interval = Duration.millis(Math.max(1, Math.floor(maxAge / 4)))
  // After a failure, requests may get 503 already, and must not wait for a long interval to end.
  const afterFailure = Duration.min(interval, retryAfter)
  const pollAndPause = Effect.match(poll, { onFailure: () => afterFailure, onSuccess: () => interval })
  let pause = yield* pollAndPause
  yield* Effect.forkScoped(
    Effect.forever(
      Effect.flatMap(
        Effect.suspend(() => Effect.andThen(Effect.sleep(pause), pollAndPause)),
        (next) =>
          Effect.sync(() => {
            pause = next
          })
      )
    )
  )

  return {
    // The comparison is false if the clock was set back, and before the first read.
    isFresh: (now) => now >= readAt && now - readAt <= maxAge,
    stale: () => commands.unavailable("Stale")
  }
})
