/** Caches verified tokens, within a number of tokens and a number of bytes. */
import { prefix } from "../../core/authorizationHeader.ts"
import { AdmissionFilter } from "./admission.ts"
import { TextIndex } from "./textIndex.ts"

export interface Bounds {
  /** Tokens. */
  readonly capacity: number
  /** Bytes, as `freeze` estimates them. */
  readonly maxBytes: number
}

/** A cache entry counts from one time until another, in milliseconds since the epoch. */
export interface Entry {
  readonly from: number
  readonly until: number
}

/** An entry, with the data of the cache about it. */
export interface Kept<E extends Entry> {
  readonly text: string
  /** The value of the `Authorization` header in which clients send the token. */
  readonly field: string
  readonly entry: E
  readonly bytes: number
  used: boolean
}

/**
 * A cache of verified tokens. A lookup hashes some characters and then compares the whole token, so it never returns another token's entry. Tokens with the
 * same hash do not evict each other (`TextIndex`).
 *
 * If the cache is full, a token is admitted when it comes for the second time. CLOCK eviction removes entries that were not used since its last round. A
 * token that comes once replaces only an expired entry. It costs the garbage collector little, because objects that live for a while cost more.
 */
export class TokenCache<E extends Entry> {
  readonly #bounds: Bounds
  readonly #kept = new Set<Kept<E>>()
  readonly #index = new TextIndex<Kept<E>>()
  readonly #admission = new AdmissionFilter(2 ** 14)
  #evictionCursor: SetIterator<Kept<E>> | undefined
  #bytes = 0
  /** Shorter tokens were never cached. */
  #shortest = Infinity

  constructor(bounds: Bounds) {
    this.#bounds = bounds
  }

  get size(): number {
    return this.#kept.size
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Returns the entry of a token. It may have expired: `current` tells. */
  find(text: string): Kept<E> | undefined {
    if (text.length < this.#shortest) return
    const kept = this.#index.candidate(text, 0)
    return kept?.text === text ? kept : undefined
  }

  /** Returns the entry of the token in an `Authorization` header, without a copy of the token. */
  findPresented(field: string): Kept<E> | undefined {
    if (field.length < this.#shortest + prefix.length || !field.startsWith(prefix)) return
    const kept = this.#index.candidate(field, prefix.length)
    return kept?.field === field ? kept : undefined
  }

  /** Returns the entry if it counts now. If the clock was set back, an entry that is newer than the clock does not count. */
  current(kept: Kept<E>, now: number): E | undefined {
    const { entry } = kept
    if (now < entry.from || now >= entry.until) {
      this.#evict(kept)
      return
    }
    kept.used = true
    return entry
  }

  /** Adds an entry. `make` runs only if there is room, because it takes as long as reading the claims. It may return `undefined`: then nothing is cached. */
  set(text: string, now: number, make: () => { readonly entry: E; readonly bytes: number } | undefined): void {
    this.delete(text)
    const isNew = this.#admission.isNew(text)
    if (isNew && !this.#hasRoom(this.#bytesOfOne())) {
      const next = this.#nextCandidate()
      if (next === undefined || next.entry.until > now) return
      this.#evict(next)
    }
    const made = make()
    if (made === undefined || made.bytes > this.#bounds.maxBytes) return
    const { bytes, entry } = made
    if (this.#hasRoom(bytes)) {
      // An iterator that is not used keeps all tables that the set has had since in memory.
      this.#evictionCursor = undefined
    } else if (isNew) {
      return
    }
    while (!this.#hasRoom(bytes)) {
      const next = this.#nextCandidate()
      if (next === undefined) return
      if (next.used) next.used = false
      else this.#evict(next)
    }
    this.#shortest = Math.min(this.#shortest, text.length)
    const kept = { text, field: prefix + text, entry, bytes, used: false }
    this.#kept.add(kept)
    this.#index.add(kept)
    this.#bytes += bytes
  }

  delete(text: string): void {
    const kept = this.find(text)
    if (kept !== undefined) this.#evict(kept)
  }

  #evict(kept: Kept<E>): void {
    this.#kept.delete(kept)
    this.#index.delete(kept)
    this.#bytes -= kept.bytes
  }

  /** Returns the average number of bytes per entry. */
  #bytesOfOne(): number {
    return this.#kept.size === 0 ? 0 : this.#bytes / this.#kept.size
  }

  #hasRoom(bytes: number): boolean {
    return this.#kept.size < this.#bounds.capacity && this.#bytes + bytes <= this.#bounds.maxBytes
  }

  /** Returns the next candidate for eviction, in an endless round. */
  #nextCandidate(): Kept<E> | undefined {
    const next = this.#evictionCursor?.next().value
    if (next !== undefined) return next
    this.#evictionCursor = this.#kept.values()
    return this.#evictionCursor.next().value
  }
}
