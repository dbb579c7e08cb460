/** Caches verified tokens, within a number of tokens and a number of bytes. */
import { prefix } from "../../core/authorizationHeader.ts"
import { AdmissionFilter } from "./admission.ts"
import { TextIndex } from "./textIndex.ts"

export interface CacheBounds {
  /** Tokens. */
  readonly capacity: number
  /** Bytes, as `freeze` estimates them. */
  readonly maxBytes: number
}

/** The time in which a cached value is valid, in milliseconds since the epoch. */
export interface Lifetime {
  readonly validFrom: number
  readonly validUntil: number
}

/** A cached value with the data that the cache needs. */
export interface CacheEntry<E extends Lifetime> {
  readonly text: string
  /** The value of the `Authorization` header with the token. */
  readonly field: string
  readonly value: E
  readonly bytes: number
  used: boolean
}

/**
 * A cache of verified tokens. A lookup hashes some characters and then compares the whole token, so it never returns
 * another token's entry. Tokens with the same hash do not evict each other (`TextIndex`).
 *
 * A full cache admits a token on its second use, and CLOCK eviction removes entries that were not used since its last
 * round. On its first use, a token replaces only an expired entry. This spares the garbage collector, because objects
 * that live for a while cost it more than short-lived objects.
 */
export class TokenCache<E extends Lifetime> {
  readonly #bounds: CacheBounds
  readonly #entries = new Set<CacheEntry<E>>()
  readonly #index = new TextIndex<CacheEntry<E>>()
  readonly #admission = new AdmissionFilter(2 ** 14)
  #evictionCursor: SetIterator<CacheEntry<E>> | undefined
  #bytes = 0
  /** The length of the shortest token that was ever cached. */
  #shortest = Infinity

  constructor(bounds: CacheBounds) {
    this.#bounds = bounds
  }

  get size(): number {
    return this.#entries.size
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Returns the entry of a token. The entry may have expired, so pass it to `current`. */
  find(text: string): CacheEntry<E> | undefined {
    if (text.length < this.#shortest) return
    const entry = this.#index.candidate(text, 0)
    return entry?.text === text ? entry : undefined
  }

  /** Returns the entry of the token in an `Authorization` header, without a copy of the token. */
  findPresented(field: string): CacheEntry<E> | undefined {
    if (field.length < this.#shortest + prefix.length || !field.startsWith(prefix)) return
    const entry = this.#index.candidate(field, prefix.length)
    return entry?.field === field ? entry : undefined
  }

  /**
   * Returns the value if it is valid now. If the clock was set back, an entry that is newer than the clock is invalid.
   */
  current(entry: CacheEntry<E>, now: number): E | undefined {
    const { value } = entry
    if (now < value.validFrom || now >= value.validUntil) {
      this.#evict(entry)
      return
    }
    entry.used = true
    return value
  }

  /**
   * Adds an entry. `make` runs only if the token is admitted, because it takes as long as reading the claims. If it
   * returns `undefined`, nothing is cached.
   */
  set(text: string, now: number, make: () => { readonly value: E; readonly bytes: number } | undefined): void {
    this.delete(text)
    const isNew = this.#admission.isNew(text)
    if (isNew && !this.#fits(this.#averageBytes())) {
      const next = this.#nextCandidate()
      if (next === undefined || next.value.validUntil > now) return
      this.#evict(next)
    }
    const made = make()
    if (made === undefined || made.bytes > this.#bounds.maxBytes) return
    const { bytes, value } = made
    if (this.#fits(bytes)) {
      // An unused iterator holds all later tables of the set in memory.
      this.#evictionCursor = undefined
    } else if (isNew) {
      return
    }
    while (!this.#fits(bytes)) {
      const next = this.#nextCandidate()
      if (next === undefined) return
      if (next.used) next.used = false
      else this.#evict(next)
    }
    this.#shortest = Math.min(this.#shortest, text.length)
    const entry = { text, field: prefix + text, value, bytes, used: false }
    this.#entries.add(entry)
    this.#index.add(entry)
    this.#bytes += bytes
  }

  delete(text: string): void {
    const entry = this.find(text)
    if (entry !== undefined) this.#evict(entry)
  }

  #evict(entry: CacheEntry<E>): void {
    this.#entries.delete(entry)
    this.#index.delete(entry)
    this.#bytes -= entry.bytes
  }

  /** Returns the average number of bytes per entry. */
  #averageBytes(): number {
    return this.#entries.size === 0 ? 0 : this.#bytes / this.#entries.size
  }

  #fits(bytes: number): boolean {
    return this.#entries.size < this.#bounds.capacity && this.#bytes + bytes <= this.#bounds.maxBytes
  }

  /** Returns the next candidate for eviction. After the last entry, continues with the first. */
  #nextCandidate(): CacheEntry<E> | undefined {
    const next = this.#evictionCursor?.next().value
    if (next !== undefined) return next
    this.#evictionCursor = this.#entries.values()
    return this.#evictionCursor.next().value
  }
}
