/** Finds cache entries by their text, in the time that a hash of a few characters takes. */
import { sampleHash } from "./sampleHash.ts"

interface Indexed {
  readonly text: string
}

/**
 * An index of entries with different texts. Entries whose texts have the same hash share a map by the whole text. So no
 * entry takes the place of another entry, also if an attacker chooses texts that have the same hash. A lookup of such
 * an entry hashes the whole text.
 */
export class TextIndex<A extends Indexed> {
  readonly #byHash = new Map<number, A | Map<string, A>>()

  /** The only entry that can have the text which begins at `start`. The caller compares the texts. */
  candidate(text: string, start: number): A | undefined {
    const found = this.#byHash.get(sampleHash(text, start))
    return found instanceof Map ? found.get(text.slice(start)) : found
  }

  /** The caller has made sure that there is no entry with this text. */
  add(entry: A): void {
    const hash = sampleHash(entry.text, 0)
    const found = this.#byHash.get(hash)
    if (found === undefined) this.#byHash.set(hash, entry)
    else if (found instanceof Map) found.set(entry.text, entry)
    else {
      this.#byHash.set(
        hash,
        new Map([
          [found.text, found],
          [entry.text, entry]
        ])
      )
    }
  }

  /** The caller has made sure that the entry is here. */
  delete({ text }: A): void {
    const hash = sampleHash(text, 0)
    const found = this.#byHash.get(hash)
    if (found instanceof Map && found.size > 1) found.delete(text)
    else this.#byHash.delete(hash)
  }
}
