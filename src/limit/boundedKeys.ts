/** Maps an unbounded number of clients to a bounded number of keys, because Effect's memory store keeps every key. */

interface Slot {
  readonly key: string
  /** The time from which another client may use the key, in milliseconds. */
  freeAt: number
}

export class BoundedKeys {
  readonly #capacity: number
  readonly #window: number
  /** The client that used its key longest ago is the first. */
  readonly #slots = new Map<string, Slot>()

  /** `window` is the time after which Effect's store has forgotten what it counted for a key, in milliseconds. */
  constructor(capacity: number, window: number) {
    this.#capacity = capacity
    this.#window = window
  }

  /** Returns the key of a client, or `undefined` if every key is in use. */
  keyOf(client: string, now: number): string | undefined {
    const slot = this.#slots.get(client) ?? this.#free(now)
    if (slot === undefined) return
    slot.freeAt = now + this.#window
    this.#slots.delete(client)
    this.#slots.set(client, slot)
    return slot.key
  }

  #free(now: number): Slot | undefined {
    if (this.#slots.size < this.#capacity) return { key: String(this.#slots.size), freeAt: 0 }
    for (const [oldest, slot] of this.#slots) {
      if (slot.freeAt > now) return
      this.#slots.delete(oldest)
      return slot
    }
    return
  }
}
