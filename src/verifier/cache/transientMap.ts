/** A map whose members come and go. */

const maxEnded = 1000

/**
 * A map that is made anew every thousand ends. One whose members come and go makes a new table every so often, and its old tables point to the new ones: once
 * one of them is in the old generation, what has long ended looks alive to the collector of young objects, and is moved there, too. That cost 2 kB for each
 * token that came once.
 */
export class TransientMap<A> {
  #map = new Map<string, A>()
  #ended = 0

  get(text: string): A | undefined {
    return this.#map.size === 0 ? undefined : this.#map.get(text)
  }

  set(text: string, value: A): void {
    this.#map.set(text, value)
  }

  delete(text: string): void {
    if (!this.#map.delete(text) || ++this.#ended < maxEnded) return
    this.#map = new Map(this.#map)
    this.#ended = 0
  }
}
