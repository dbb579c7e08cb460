/** Keeps verified tokens, in a bound of tokens and of bytes. */
import { prefix } from "../../core/authorizationHeader.ts"
import { AdmissionFilter } from "./admission.ts"
import { TextIndex } from "./textIndex.ts"

export interface Bounds {
  /** Tokens. */
  readonly capacity: number
  /** Bytes, as `freeze` estimates them. */
  readonly maxBytes: number
}

/** What is kept of a token, from one instant until another, in milliseconds since the epoch. */
export interface Entry {
  readonly from: number
  readonly until: number
}

/** An entry and its place. */
export interface Kept<E extends Entry> {
  readonly text: string
  /** The field that clients send it in. */
  readonly field: string
  readonly entry: E
  readonly bytes: number
  used: boolean
}

/**
 * Verified tokens. What is kept of one is never another's: a token is found by a hash of some of its characters, and
 * then compared as a whole. Tokens with the same hash do not evict each other (`TextIndex`).
 *
 * It is bounded in tokens and in bytes. Where there is no room, a token is kept when it comes for the second time: a hand goes round and drops what was not
 * used since it came by last (the CLOCK algorithm). Tokens that come once take no place but that of one whose time is over, and no time of the garbage
 * collector, for which what is kept for a while is dearer than what is not.
 */
export class TokenCache<E extends Entry> {
  readonly #bounds: Bounds
  readonly #kept = new Set<Kept<E>>()
  readonly #index = new TextIndex<Kept<E>>()
  readonly #admission = new AdmissionFilter(2 ** 14)
  #hand: SetIterator<Kept<E>> | undefined
  #bytes = 0
  /** What is shorter was never kept. */
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

  /** What was kept of a token, whenever that was: `current` says whether it counts. */
  find(text: string): Kept<E> | undefined {
    if (text.length < this.#shortest) return
    const kept = this.#index.candidate(text, 0)
    return kept?.text === text ? kept : undefined
  }

  /** The same by the value of an `Authorization` field, as clients write it: nothing is made of it to find the token. */
  findPresented(field: string): Kept<E> | undefined {
    if (field.length < this.#shortest + prefix.length || !field.startsWith(prefix)) return
    const kept = this.#index.candidate(field, prefix.length)
    return kept?.field === field ? kept : undefined
  }

  /** What is kept now. A clock that was set back knows nothing of what came later. */
  current(kept: Kept<E>, now: number): E | undefined {
    const { entry } = kept
    if (now < entry.from || now >= entry.until) {
      this.#drop(kept)
      return
    }
    kept.used = true
    return entry
  }

  /** What is to be kept is made only where there is a place for it: to make it takes as long as to read the claims. Nothing is kept where nothing is made. */
  set(text: string, now: number, make: () => { readonly entry: E; readonly bytes: number } | undefined): void {
    this.delete(text)
    const isNew = this.#admission.isNew(text)
    if (isNew && !this.#hasRoom(this.#bytesOfOne())) {
      const next = this.#turn()
      if (next === undefined || next.entry.until > now) return
      this.#drop(next)
    }
    const made = make()
    if (made === undefined || made.bytes > this.#bounds.maxBytes) return
    const { bytes, entry } = made
    if (this.#hasRoom(bytes)) {
      // An iterator that stands still keeps every table that the set has had since: where there is room, there is no hand.
      this.#hand = undefined
    } else if (isNew) {
      return
    }
    while (!this.#hasRoom(bytes)) {
      const next = this.#turn()
      if (next === undefined) return
      if (next.used) next.used = false
      else this.#drop(next)
    }
    this.#shortest = Math.min(this.#shortest, text.length)
    const kept = { text, field: prefix + text, entry, bytes, used: false }
    this.#kept.add(kept)
    this.#index.add(kept)
    this.#bytes += bytes
  }

  delete(text: string): void {
    const kept = this.find(text)
    if (kept !== undefined) this.#drop(kept)
  }

  #drop(kept: Kept<E>): void {
    this.#kept.delete(kept)
    this.#index.delete(kept)
    this.#bytes -= kept.bytes
  }

  /** On average. */
  #bytesOfOne(): number {
    return this.#kept.size === 0 ? 0 : this.#bytes / this.#kept.size
  }

  #hasRoom(bytes: number): boolean {
    return this.#kept.size < this.#bounds.capacity && this.#bytes + bytes <= this.#bounds.maxBytes
  }

  /** What the hand comes by next, round and round; nothing where nothing is kept. */
  #turn(): Kept<E> | undefined {
    const next = this.#hand?.next().value
    if (next !== undefined) return next
    this.#hand = this.#kept.values()
    return this.#hand.next().value
  }
}
