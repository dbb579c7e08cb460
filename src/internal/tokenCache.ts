import type { VerifiedToken } from "../AccessToken.ts"

export interface Bounds {
  /** Tokens. */
  readonly capacity: number
  /** Bytes, as `sizeOf` estimates them. */
  readonly maxBytes: number
}

/** What is kept of a token, from one instant until another, in milliseconds since the epoch. */
export interface Entry {
  readonly from: number
  readonly until: number
}

interface Kept<E extends Entry> {
  readonly text: string
  readonly entry: E
  readonly bytes: number
  used: boolean
}

/**
 * Verified tokens. What is kept of one is never another's: a token is found by a sample of its characters, and then compared as a whole. (To hash all of a
 * token takes longer than all else that is done about it.) Where two have the same sample, the later takes the place.
 *
 * It is bounded in tokens and in bytes; where there is no room, a hand goes round and drops what was not used since it came by last (the CLOCK algorithm):
 * tokens that come once drop one another.
 */
export class TokenCache<E extends Entry> {
  readonly #bounds: Bounds
  readonly #kept = new Map<number, Kept<E>>()
  #hand = this.#kept.values()
  #bytes = 0

  constructor(bounds: Bounds) {
    this.#bounds = bounds
  }

  get size(): number {
    return this.#kept.size
  }

  get bytes(): number {
    return this.#bytes
  }

  /** What is kept of a token at this time. A clock that was set back knows nothing of what came later. */
  get(text: string, now: number): E | undefined {
    const kept = this.#kept.get(sample(text))
    if (kept === undefined || kept.text !== text) return
    const { entry } = kept
    if (now < entry.from || now >= entry.until) {
      this.#drop(kept)
      return
    }
    kept.used = true
    return entry
  }

  set(text: string, entry: E, bytes: number): void {
    const key = sample(text)
    const before = this.#kept.get(key)
    if (before !== undefined) this.#drop(before)
    if (bytes > this.#bounds.maxBytes) return
    while (this.#kept.size >= this.#bounds.capacity || this.#bytes + bytes > this.#bounds.maxBytes) this.#turn()
    this.#kept.set(key, { text, entry, bytes, used: false })
    this.#bytes += bytes
  }

  delete(text: string): void {
    const kept = this.#kept.get(sample(text))
    if (kept?.text === text) this.#drop(kept)
  }

  #drop(kept: Kept<E>): void {
    this.#kept.delete(sample(kept.text))
    this.#bytes -= kept.bytes
  }

  #turn(): void {
    const { done, value } = this.#hand.next()
    if (done === true) this.#hand = this.#kept.values()
    else if (value.used) value.used = false
    else this.#drop(value)
  }
}

/** A hash of at least 32 characters, spread over the whole text. */
const sample = (text: string): number => {
  const step = Math.max(1, text.length >> 5)
  let hash = text.length
  for (let i = text.length - 1; i >= 0; i -= step) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return hash
}

const perEntry = 1024
const perValue = 32
const maxDepth = 16

/** About how many bytes a token takes with what was read from it. */
export const sizeOf = (text: string, token: VerifiedToken): number =>
  perEntry + text.length + sizeOfValue(Array.from(token.scopes), maxDepth) + sizeOfValue(token.claims, maxDepth)

const sizeOfValue = (value: unknown, depth: number): number => {
  if (typeof value === "string") return perValue + value.length
  if (typeof value !== "object" || value === null || depth === 0) return perValue
  return Object.entries(value).reduce(
    (sum, [name, member]) => sum + perValue + name.length + sizeOfValue(member, depth - 1),
    perValue
  )
}
