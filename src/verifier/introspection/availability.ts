/** Whether the authorization server answers at all: where it does not, nobody asks it for a while. */
import { elapsed, type Instant } from "../../core/lib/instant.ts"

export const coolDown = 1000

export class Availability {
  #answers = 0
  #silentSince: Instant | undefined
  /** How many questions in a row were not answered. */
  #silences = 0

  /** How many questions it has answered: what a question notes when it is asked. */
  get answers(): number {
    return this.#answers
  }

  /** It answered, if with an error. */
  heard(): void {
    this.#answers++
    this.#silences = 0
  }

  /** It answered a question; gives whether it was silent before. */
  answered(): boolean {
    const wasSilent = this.#silentSince !== undefined
    this.#answers++
    this.#silences = 0
    this.#silentSince = undefined
    return wasSilent
  }

  /** A question was not answered. Where others were meanwhile, that is this question's trouble alone; and nothing is known where it was not even asked. */
  silent(answersBefore: number | undefined, now: Instant, isCertain: boolean): void {
    if (this.#answers !== answersBefore) return
    this.#silences++
    // A gateway may say so of one token alone.
    if (isCertain || this.#silences > 1) this.#silentSince = now
  }

  mayAsk(now: Instant): boolean {
    return this.#silentSince === undefined || elapsed(this.#silentSince, now) >= coolDown
  }
}
