/** Remembers used identifiers in memory. */
import { elapsed, type Instant } from "../core/lib/instant.ts"

/** Minimum time between two searches of a full store for expired entries, in milliseconds. */
const searchInterval = 1000

export class ReplayMemory {
  readonly #capacity: number
  /** Hashes, with the time at which each expires. The oldest entry is the first. */
  readonly #entries = new Map<string, number>()
  #searchedAt: Instant | undefined

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  /** Returns `undefined` if the store is full. */
  addOnce(hash: string, millis: number, now: Instant): boolean | undefined {
    const expires = this.#entries.get(hash)
    if (expires !== undefined && expires > now.wall) return false
    this.#entries.delete(hash)
    if (this.#entries.size >= this.#capacity) this.#deleteExpired(now)
    if (this.#entries.size >= this.#capacity) return
    this.#entries.set(hash, now.wall + millis)
    return true
  }

  #deleteExpired(now: Instant): void {
    for (const [hash, expires] of this.#entries) {
      // Entries usually live equally long, so the expired entries are the first.
      if (expires > now.wall) break
      this.#entries.delete(hash)
    }
    if (this.#entries.size < this.#capacity) return
    // Searching the whole store for each request would let an attacker slow it down.
    if (this.#searchedAt !== undefined && elapsed(this.#searchedAt, now) < searchInterval) return
    this.#searchedAt = now
    for (const [hash, expires] of this.#entries) if (expires <= now.wall) this.#entries.delete(hash)
  }
}
