/** Stores tickets until they are redeemed. Holds digests instead of tickets, so that a lookup cannot leak a ticket by its time. */
import type * as Redacted from "effect/Redacted"

export interface Entry {
  readonly credential: Redacted.Redacted
  /** Identifies the user, for the limit of tickets of one user. */
  readonly owner: string
  /** The origin of the page that received the ticket. */
  readonly origin: string | undefined
  /** In milliseconds. */
  readonly expiresAt: number
  /** The number of invalidations when the ticket was issued. */
  readonly invalidations: number
}

export interface Bounds {
  readonly capacity: number
  readonly perUser: number
}

export class Tickets {
  readonly #bounds: Bounds
  /** By digest. The oldest ticket is the first. */
  readonly #entries = new Map<string, Entry>()
  readonly #digestsOf = new Map<string, Set<string>>()

  constructor(bounds: Bounds) {
    this.#bounds = bounds
  }

  add(digest: string, entry: Entry, now: number): void {
    for (const [oldest, { expiresAt }] of this.#entries) {
      if (expiresAt > now && this.#entries.size < this.#bounds.capacity) break
      this.take(oldest)
    }
    const own = this.#digestsOf.get(entry.owner) ?? new Set()
    for (const oldest of own) {
      if (own.size < this.#bounds.perUser) break
      this.take(oldest)
    }
    this.#digestsOf.set(entry.owner, own.add(digest))
    this.#entries.set(digest, entry)
  }

  /** Removes a ticket, so that no second call finds it. */
  take(digest: string): Entry | undefined {
    const entry = this.#entries.get(digest)
    if (entry === undefined) return
    this.#entries.delete(digest)
    const own = this.#digestsOf.get(entry.owner)
    own?.delete(digest)
    if (own?.size === 0) this.#digestsOf.delete(entry.owner)
    return entry
  }
}
