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
  readonly entry: E
  readonly bytes: number
  used: boolean
}

/**
 * Verified tokens, by their whole text: what is kept of one is never another's. It is bounded in tokens and in bytes; a hit costs one look-up, and where there
 * is no room, a hand goes round and drops what was not used since it came by last (the CLOCK algorithm): tokens that come once drop one another.
 */
export class TokenCache<E extends Entry> {
  readonly #bounds: Bounds
  readonly #kept = new Map<string, Kept<E>>()
  #hand: MapIterator<[string, Kept<E>]> = this.#kept.entries()
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
  get(token: string, now: number): E | undefined {
    const kept = this.#kept.get(token)
    if (kept === undefined) return
    if (now < kept.entry.from || now >= kept.entry.until) {
      this.delete(token)
      return
    }
    kept.used = true
    return kept.entry
  }

  set(token: string, entry: E, bytes: number): void {
    this.delete(token)
    if (bytes > this.#bounds.maxBytes) return
    while (this.#kept.size >= this.#bounds.capacity || this.#bytes + bytes > this.#bounds.maxBytes) this.#turn()
    this.#kept.set(token, { entry, bytes, used: false })
    this.#bytes += bytes
  }

  delete(token: string): void {
    const kept = this.#kept.get(token)
    if (kept === undefined) return
    this.#kept.delete(token)
    this.#bytes -= kept.bytes
  }

  #turn(): void {
    const { done, value } = this.#hand.next()
    if (done === true) {
      this.#hand = this.#kept.entries()
      return
    }
    const [token, kept] = value
    if (kept.used) kept.used = false
    else this.delete(token)
  }
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
