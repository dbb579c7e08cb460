/** Remembers used identifiers in memory. */
import { elapsed, type Instant } from "../core/lib/instant.ts"

/** Minimum time between two searches of a full store for expired entries, in milliseconds. */
const searchInterval = 1000

/** The number of entries of one owner. */
interface Owner {
  readonly name: string
  count: number
}

interface Entry {
  readonly expires: number
  readonly owner: Owner | undefined
}

export class ReplayMemory {
  readonly #capacity: number
  readonly #capacityOfOwner: number
  /** Entries by their hashes. The oldest entry is the first. */
  readonly #entries = new Map<string, Entry>()
  readonly #owners = new Map<string, Owner>()
  #searchedAt: Instant | undefined

  /** An owner cannot fill the store for the other owners, if `capacityOfOwner` is less than the `capacity`. */
  constructor(capacity: number, capacityOfOwner = capacity) {
    this.#capacity = capacity
    this.#capacityOfOwner = capacityOfOwner
  }

  /** Returns `undefined` if the store is full, or the part of the owner. */
  addOnce(hash: string, millis: number, now: Instant, ownerName?: string): boolean | undefined {
    const found = this.#entries.get(hash)
    if (found !== undefined) {
      if (found.expires > now.wall) return false
      this.#delete(hash, found)
    }
    if (this.#isFull(ownerName)) this.#deleteExpired(now, ownerName)
    if (this.#isFull(ownerName)) return
    this.#entries.set(hash, { expires: now.wall + millis, owner: this.#counted(ownerName) })
    return true
  }

  #isFull(owner: string | undefined): boolean {
    const count = owner === undefined ? undefined : this.#owners.get(owner)?.count
    return this.#entries.size >= this.#capacity || (count !== undefined && count >= this.#capacityOfOwner)
  }

  #counted(name: string | undefined): Owner | undefined {
    if (name === undefined) return
    const owner = this.#owners.get(name) ?? { name, count: 0 }
    if (owner.count === 0) this.#owners.set(name, owner)
    owner.count++
    return owner
  }

  #delete(hash: string, { owner }: Entry): void {
    this.#entries.delete(hash)
    if (owner !== undefined && --owner.count === 0) this.#owners.delete(owner.name)
  }

  #deleteExpired(now: Instant, owner: string | undefined): void {
    for (const [hash, entry] of this.#entries) {
      // Entries usually live equally long, so the expired entries are the first.
      if (entry.expires > now.wall) break
      this.#delete(hash, entry)
    }
    if (!this.#isFull(owner)) return
    // Searching the whole store for each request would let an attacker slow it down.
    if (this.#searchedAt !== undefined && elapsed(this.#searchedAt, now) < searchInterval) return
    this.#searchedAt = now
    for (const [hash, entry] of this.#entries) if (entry.expires <= now.wall) this.#delete(hash, entry)
  }
}
