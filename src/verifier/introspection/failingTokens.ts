/** Remembers tokens whose introspection request failed without an answer, so that the next request waits. */
import type { AuthorizationServerUnavailable } from "../../core/SecurityError.ts"
import { elapsed, type Instant } from "../../core/lib/instant.ts"

/** Bounds the memory for tokens that an attacker invents. If the map is full, it evicts the oldest entry. */
const capacity = 256

interface FailedRequest {
  readonly error: AuthorizationServerUnavailable
  readonly at: Instant
  /** In milliseconds. */
  readonly coolDown: number
  /**
   * Number of answers at the time of the failure. `undefined` if other requests were answered while this one was not.
   */
  readonly answers: number | undefined
}

export class FailingTokens {
  readonly #failures = new Map<string, FailedRequest>()

  /**
   * Returns the error of the token's last request during its cool-down. If no other request was answered during that
   * request, the server may have caused the failure. The next answer then ends the cool-down.
   */
  get(token: string, now: Instant, answers: number): AuthorizationServerUnavailable | undefined {
    const failure = this.#failures.get(token)
    if (failure === undefined) return
    const isOver =
      elapsed(failure.at, now) >= failure.coolDown || (failure.answers !== undefined && failure.answers !== answers)
    return isOver ? undefined : failure.error
  }

  add(token: string, failure: FailedRequest): void {
    // A map keeps the order in which keys were added: the token becomes the newest one.
    this.#failures.delete(token)
    this.#failures.set(token, failure)
    const [oldest = token] = this.#failures.keys()
    if (this.#failures.size > capacity) this.#failures.delete(oldest)
  }
}
