/** Remembers which clients are over the limit, so that a request needs no command. */

export class Blocked {
  readonly #capacity: number
  readonly #until = new Map<string, number>()

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  /** Returns the time until the client may try again, in milliseconds, or `undefined` if it may try now. */
  find(client: string, now: number): number | undefined {
    const until = this.#until.get(client)
    if (until === undefined) return
    if (until > now) return until - now
    this.#until.delete(client)
    return
  }

  add(client: string, until: number): void {
    this.#until.delete(client)
    this.#until.set(client, until)
    if (this.#until.size <= this.#capacity) return
    for (const oldest of this.#until.keys()) {
      this.#until.delete(oldest)
      return
    }
  }
}
