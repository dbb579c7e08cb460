/**
 * Tells new tokens from tokens that have come before, in bounded memory (the "doorkeeper" of TinyLFU: G. Einziger, R.
 * Friedman, B. Manes, 2017).
 */

/** Remembers the hashes of recent tokens. If the hashes of two tokens have the same slot, the later token has it. */
export class AdmissionFilter {
  readonly #slots: Int32Array

  /** The number of slots is a power of two. */
  constructor(slots: number) {
    this.#slots = new Int32Array(slots)
  }

  /** Returns `true` if the token has not come before, and remembers it. */
  isNew(text: string): boolean {
    const hash = hashOf(text)
    const slot = hash & (this.#slots.length - 1)
    const isNew = this.#slots[slot] !== hash
    this.#slots[slot] = hash
    return isNew
  }
}

// Hashes every character, because tokens that differ in one character must not pass for one token that comes again. The
// caller pays for a verification anyway.
const hashOf = (text: string): number => {
  let hash = text.length
  for (let i = text.length - 1; i >= 0; i--) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return hash
}
