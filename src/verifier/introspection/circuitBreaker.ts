/**
 * Decides from the outcomes of introspection requests whether the authorization server answers.
 *
 * | state | holds | introspection requests |
 * |---|---|---|
 * | `closed` | if no request has failed since the last answer, and for 3 seconds after each answer | start at once |
 * | `half-open` | if a request has failed, and the last answer is at least 3 seconds old | a few probes start at a time |
 * | `open` | after 30 seconds of refusals with `Retry-After`, until the last `Retry-After` ends | none starts |
 *
 * A failure alone does not open the circuit. A server or gateway may drop the connection for one kind of token only,
 * and any client can send such tokens. A failure therefore counts against its own token (`FailingTokens`).
 * Only the absence of answers counts against the server, and one answer closes the circuit.
 *
 * Three outcomes count:
 *
 * - The server has answered: it sent a valid introspection response (RFC 7662 §2.2).
 * - The request has failed without an answer.
 * - The request has failed with 429 or 503 and a `Retry-After` header.
 *
 * Other outcomes say nothing about the server's availability: a 500, a 401 that refuses this API's own credentials,
 * or credentials that cannot be read.
 */
import { elapsed, type Instant } from "../../core/lib/instant.ts"

export type State = "closed" | "half-open" | "open"

/**
 * Duration without an answer after which a failure makes the circuit half-open, in milliseconds.
 * If genuine tokens arrive more rarely than every 3 seconds, each one may have to be a probe.
 */
const silenceLimit = 3000

/**
 * Every failure must be a refusal with `Retry-After` for this long before one applies to all tokens, in milliseconds.
 */
const refusalPeriod = 30_000

/** Longest time for which `Retry-After` is respected, in milliseconds. */
export const maxRetryAfter = 60_000

export class CircuitBreaker {
  #answers = 0
  #answeredAt: Instant | undefined
  #hasFailed = false
  #refusingSince: Instant | undefined
  #opened: { readonly at: Instant; readonly millis: number } | undefined

  /** Number of answers so far. A request compares two values to see whether other requests were answered meanwhile. */
  get answers(): number {
    return this.#answers
  }

  state(now: Instant): State {
    if (!this.#hasFailed) return "closed"
    if (this.opensFor(now) > 0) return "open"
    return this.#answeredAt !== undefined && elapsed(this.#answeredAt, now) < silenceLimit ? "closed" : "half-open"
  }

  /** Remaining time of the state `open`, in milliseconds. */
  opensFor(now: Instant): number {
    return this.#opened === undefined ? 0 : Math.max(0, this.#opened.millis - elapsed(this.#opened.at, now))
  }

  answered(now: Instant): void {
    this.#answers++
    this.#answeredAt = now
    this.#hasFailed = false
    this.#refusingSince = undefined
    this.#opened = undefined
  }

  /** `retryAfter` is the refusal's `Retry-After` in milliseconds. */
  failed(now: Instant, retryAfter: number | undefined): void {
    this.#hasFailed = true
    if (retryAfter === undefined) {
      this.#refusingSince = undefined
      return
    }
    this.#refusingSince ??= now
    if (elapsed(this.#refusingSince, now) >= refusalPeriod) {
      this.#opened = { at: now, millis: Math.min(retryAfter, maxRetryAfter) }
    }
  }
}
