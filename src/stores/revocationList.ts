/** The list of revocations in the memory of a process. */
import { type Entry, type Identity, idsOf, merged, revoked, revokes } from "./revocationEntry.ts"

/** What the list says about a token. An invalidated token must be verified again. */
export type Outcome = "valid" | "revoked" | "invalidated"

interface ListedEntry {
  value: string
  expires: number
  /** The number of the last change. */
  changed: number
}

/** Minimum time between two searches for expired entries, in milliseconds. */
const searchInterval = 1000

export class RevocationList {
  readonly #capacity: number
  readonly #entries = new Map<string, ListedEntry>()
  #changes = 0
  #searchedAt = -Infinity

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  /** The number of changes so far. */
  get changes(): number {
    return this.#changes
  }

  get size(): number {
    return this.#entries.size
  }

  /** Adds an entry. Returns `false` if the list is full. No entry leaves the list before it expires. */
  add({ expires, id, value }: Entry, now: number): boolean {
    if (expires <= now) return true
    const listed = this.#entries.get(id)
    if (listed !== undefined) {
      listed.expires = Math.max(listed.expires, expires)
      const next = merged(id, listed.value, value)
      if (next === listed.value) return true
      listed.value = next
      listed.changed = ++this.#changes
      return true
    }
    if (this.#entries.size >= this.#capacity) this.deleteExpired(now)
    if (this.#entries.size >= this.#capacity) return false
    this.#entries.set(id, { value, expires, changed: ++this.#changes })
    return true
  }

  deleteExpired(now: number): void {
    // A clock that was set back must not stop the searches.
    if (Math.abs(now - this.#searchedAt) < searchInterval) return
    this.#searchedAt = now
    for (const [id, { expires }] of this.#entries) if (expires <= now) this.#entries.delete(id)
  }

  /** Returns the entries that others do not have. */
  *without(ids: ReadonlySet<string>, now: number): Generator<Entry> {
    for (const [id, { expires, value }] of this.#entries)
      if (!ids.has(id) && expires > now) yield { id, value, expires }
  }

  check(identity: Identity): Outcome {
    // Nothing has changed since the token was found valid, so a cached token costs one comparison.
    if (identity.checkedAt === this.#changes) return "valid"
    let isInvalidated = false
    for (const id of idsOf(identity)) {
      const listed = this.#entries.get(id)
      if (listed === undefined) continue
      if (revokes(id, listed.value, identity)) return "revoked"
      // Entries of the token itself that do not revoke it are invalidations.
      if (id === identity.tok && listed.value !== revoked && listed.changed > identity.since) isInvalidated = true
    }
    if (isInvalidated) return "invalidated"
    identity.checkedAt = this.#changes
    return "valid"
  }
}
