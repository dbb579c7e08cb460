/** Measures how fast the authorization server usually answers, and when its next answer is overdue. */
import { elapsed, type Instant } from "../../core/lib/instant.ts"

/** A request is late after this many times the usual response time, but not before 250 ms. */
const patience = 4
const minPatience = 250

/** The next answer is overdue after this many times the usual gap, and at the latest after 3 seconds. */
const expectancy = 8
const maxExpectancy = 3000

/** Weight of the last answer in the moving averages. */
const weight = 1 / 8

export class ResponseTimes {
  #answeredAt: Instant | undefined
  /** Moving average of the response times in milliseconds. The first value is a guess. */
  #usual = 250
  /**
   * Response time of the last answer in milliseconds. One slow answer must be enough to raise the limit in `isLate`.
   */
  #last = 0
  /** Moving average of the time between two answers in milliseconds. */
  #gap = maxExpectancy

  answered(startedAt: Instant, now: Instant): void {
    const gap = this.#answeredAt === undefined ? maxExpectancy : Math.min(elapsed(this.#answeredAt, now), maxExpectancy)
    this.#answeredAt = now
    this.#last = elapsed(startedAt, now)
    this.#usual += (this.#last - this.#usual) * weight
    this.#gap += (gap - this.#gap) * weight
  }

  /** Returns `true` if a request takes much longer than usual. */
  isLate(startedAt: Instant, now: Instant): boolean {
    return elapsed(startedAt, now) > Math.max(minPatience, patience * Math.max(this.#usual, this.#last))
  }

  /** Returns `true` if the server should have answered some request by now. */
  isOverdue(now: Instant): boolean {
    return (
      this.#answeredAt === undefined ||
      elapsed(this.#answeredAt, now) >= Math.min(expectancy * this.#gap, maxExpectancy)
    )
  }
}
