/** Keeps sessions in the memory of one process. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as lock from "../../stores/lock.ts"
import type { SessionBackend, SessionRecord } from "./backend.ts"

interface Entry {
  readonly record: SessionRecord
  /** Milliseconds since 1970. */
  readonly endsAt: number
}

/**
 * Entries that end by themselves. A full map forgets the oldest entry. If it refused new entries instead, strangers who
 * begin many sign-ins would keep everybody from signing in.
 */
class Ending<A> {
  readonly #capacity: number
  readonly #entries = new Map<string, { readonly value: A; readonly endsAt: number }>()

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  get(key: string, now: number): A | undefined {
    const entry = this.#entries.get(key)
    return entry !== undefined && entry.endsAt > now ? entry.value : undefined
  }

  set(key: string, value: A, endsAt: number, now: number): void {
    this.#entries.delete(key)
    for (const [oldest, entry] of this.#entries) {
      if (this.#entries.size < this.#capacity && entry.endsAt > now) break
      this.#entries.delete(oldest)
    }
    this.#entries.set(key, { value, endsAt })
  }
}

export const make = (capacity: number): SessionBackend => {
  /** The least recently used session is the first. */
  const sessions = new Map<string, Entry>()
  const byOwner = new Map<string, Set<string>>()
  const used = new Ending<true>(capacity)
  const marks = new Ending<number>(capacity)

  const remove = (key: string): void => {
    for (const owner of sessions.get(key)?.record.owners ?? []) {
      const keys = byOwner.get(owner)
      keys?.delete(key)
      if (keys?.size === 0) byOwner.delete(owner)
    }
    sessions.delete(key)
  }

  const withNow = <A>(run: (now: number) => A): Effect.Effect<A> => Effect.map(Clock.currentTimeMillis, run)

  return {
    insert: (key, record, timeToLive) =>
      withNow((now) => {
        for (const [oldest, { endsAt }] of sessions) {
          if (sessions.size < capacity && endsAt > now) break
          remove(oldest)
        }
        sessions.set(key, { record, endsAt: now + timeToLive })
        for (const owner of record.owners) {
          const keys = byOwner.get(owner) ?? new Set()
          byOwner.set(owner, keys.add(key))
        }
      }),
    find: (key) =>
      withNow((now) => {
        const entry = sessions.get(key)
        if (entry === undefined || entry.endsAt > now) return entry?.record
        remove(key)
        return
      }),
    touch: (key, lastUsedAt, timeToLive) =>
      withNow((now) => {
        const entry = sessions.get(key)
        if (entry === undefined) return
        sessions.delete(key)
        sessions.set(key, { record: { ...entry.record, lastUsedAt }, endsAt: now + timeToLive })
      }),
    replace: (key, version, sealed) =>
      Effect.sync(() => {
        const entry = sessions.get(key)
        if (entry?.record.version !== version) return false
        sessions.set(key, { ...entry, record: { ...entry.record, sealed, version: version + 1 } })
        return true
      }),
    remove: (key, version) =>
      Effect.sync(() => {
        const entry = sessions.get(key)
        if (entry === undefined || (version !== undefined && entry.record.version !== version)) return false
        remove(key)
        return true
      }),
    removeOwned: (owner) =>
      Effect.sync(() => {
        const keys = Array.from(byOwner.get(owner) ?? [])
        for (const key of keys) remove(key)
        return keys
      }),
    addOnce: (key, timeToLive) =>
      withNow((now) => {
        if (used.get(key, now) === true) return false
        used.set(key, true, now + timeToLive, now)
        return true
      }),
    mark: (owner, at, timeToLive) => withNow((now) => marks.set(owner, at, now + timeToLive, now)),
    findMark: (owner) => withNow((now) => marks.get(owner, now)),
    withLock: lock.memory().withLock
  }
}
