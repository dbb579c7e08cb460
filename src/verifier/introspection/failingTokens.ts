/** Remembers the tokens whose introspection request failed without an answer, so that they are not asked about again at once. */
import type { AuthorizationServerUnavailable } from "../../core/SecurityError.ts"
import { elapsed, type Instant } from "../../core/lib/instant.ts"

/** An attacker can make up any number of tokens. If the map is full, the oldest entry goes, and its token may be asked about again. */
const capacity = 256

interface Failure {
  readonly error: AuthorizationServerUnavailable
  readonly at: Instant
  /** In milliseconds. */
  readonly coolDown: number
  /** Number of answers at the time of the failure. `undefined` if other requests were answered while this one was not. */
  readonly answers: number | undefined
}

export class FailingTokens {
  readonly #failures = new Map<string, Failure>()

  /**
   * Returns the error of the last request for the token during its cool-down. If no other request was answered meanwhile, the failure may have been the
   * server's, and the next answer ends the cool-down.
   */
  get(token: string, now: Instant, answers: number): AuthorizationServerUnavailable | undefined {
    const failure = this.#failures.get(token)
    if (failure === undefined) return
    const isOver =
      elapsed(failure.at, now) >= failure.coolDown || (failure.answers !== undefined && failure.answers !== answers)
    return isOver ? undefined : failure.error
  }

  add(token: string, failure: Failure): void {
    // A map keeps the order in which keys were added: the token becomes the newest one.
    this.#failures.delete(token)
    this.#failures.set(token, failure)
    const [oldest = token] = this.#failures.keys()
    if (this.#failures.size > capacity) this.#failures.delete(oldest)
  }
}
