/** Finds cache entries by their text, in the time that a hash of a few characters takes. */

interface Indexed {
  readonly text: string
}

/**
 * An index of entries with different texts. Entries whose texts have the same hash share a map by the whole text. An
 * entry never evicts another entry, even if an attacker chooses texts that have the same hash. A lookup of such an
 * entry hashes the whole text.
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

/**
 * How many characters at the end of a token are all hashed. These characters belong to the signature, so they differ
 * between tokens.
 */
const ending = 16

/**
 * Hashes the text from `start` on: the last 16 characters, and 16 to 31 characters that are spread over the rest. Texts
 * of less than 48 characters are hashed as a whole. A bounded number of characters bounds the time of a lookup: to hash
 * a whole token takes longer than the rest of a lookup.
 */
const sampleHash = (text: string, start: number): number => {
  const length = text.length - start
  const rest = Math.max(start, text.length - ending)
  const step = Math.max(1, (rest - start) >> 4)
  let hash = length
  let i = text.length - 1
  for (; i >= rest; i--) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  for (; i >= start; i -= step) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return hash
}
