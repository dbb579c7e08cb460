/**
 * Tells what comes for the first time from what comes again, in a bound of memory (the "doorkeeper" of TinyLFU: G. Einziger, R. Friedman, B. Manes, 2017).
 */

/** Which tokens came of late, by their hashes: about as many as there are places. Where two have one place, the later has it. */
export class AdmissionFilter {
  readonly #places: Int32Array

  /** With a power of two places. */
  constructor(places: number) {
    this.#places = new Int32Array(places)
  }

  isNew(hash: number): boolean {
    const place = hash & (this.#places.length - 1)
    const isNew = this.#places[place] !== hash
    this.#places[place] = hash
    return isNew
  }
}
