/** A map for short-lived entries. */

const maxDeleted = 1000

/**
 * A map that replaces its `Map` with a copy after every 1000 deletions. A `Map` with many insertions and deletions
 * replaces its table from time to time, and the old tables point to the new ones. When an old table reaches V8's old
 * generation, deleted entries look alive to the collector of young objects, which moves them there, too. This cost 2 kB
 * per token that was used once.
 */
export class TransientMap<A> {
  #map = new Map<string, A>()
  #deleted = 0

  get(text: string): A | undefined {
    return this.#map.size === 0 ? undefined : this.#map.get(text)
  }

  set(text: string, value: A): void {
    this.#map.set(text, value)
  }

  delete(text: string): void {
    if (!this.#map.delete(text) || ++this.#deleted < maxDeleted) return
    this.#map = new Map(this.#map)
    this.#deleted = 0
  }
}
