/** A hash of at least 32 characters, spread over the whole token, which begins at `start`. */
export const sample = (text: string, start: number): number => {
  const length = text.length - start
  const step = Math.max(1, length >> 5)
  let hash = length
  for (let i = text.length - 1; i >= start; i -= step) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return hash
}

/** Which tokens came of late, by their samples: about as many as there are places. Where two have one place, the later has it. */
export class Seen {
  readonly #places: Int32Array

  /** With a power of two places. */
  constructor(places: number) {
    this.#places = new Int32Array(places)
  }

  isNew(sample: number): boolean {
    const place = sample & (this.#places.length - 1)
    const isNew = this.#places[place] !== sample
    this.#places[place] = sample
    return isNew
  }
}
