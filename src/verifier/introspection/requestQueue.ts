/**
 * Decides when an introspection request starts, and which request ends early so that another one can start.
 *
 * | circuit | a request starts | a waiting request is refused |
 * |---|---|---|
 * | `closed` | if fewer than 64 are in progress | after 5 seconds, by its time limit |
 * | `half-open` | if also fewer than 4 of them are younger than 400 ms | after 1 second |
 * | `open` | never | at once |
 *
 * The probes of a half-open circuit never stop. If the server drops 4 probes, the next ones start at once. If the
 * server does not respond, the next ones start after 400 ms. Each probe may last for the whole time limit of 5 seconds:
 * in this time 52 probes start, which is fewer than 64.
 *
 * Tokens to which the server never responds could occupy all 64 slots. If a request waits and no slot is free, the
 * oldest request in progress ends early. That request must be late, and one of these conditions must be true:
 *
 * - The next answer is not overdue. The server answers other requests, but not this one. If the whole server becomes
 *   slow, the next answer is overdue, and this condition is false.
 * - Fewer than 4 requests are younger than 400 ms. Without new requests, the queue cannot see whether the server
 *   answers.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import type { AuthorizationServerUnavailable } from "../../core/SecurityError.ts"
import { elapsed, type Instant, readInstant } from "../../core/lib/instant.ts"
import type { CircuitBreaker } from "./circuitBreaker.ts"
import { ResponseTimes } from "./responseTimes.ts"

/** Maximum number of requests in progress. */
const slots = 64
const maxWaiting = 1000

/** Maximum number of young requests while the circuit is half-open. */
const probes = 4
/** Age at which a request is no longer young, in milliseconds. */
const youngUntil = 400
/** Longest wait while the circuit is half-open, in milliseconds. */
const maxWait = 1000

/** A request that is older has lost its timers, in milliseconds. Its slot, or its place in the queue, is free. */
const maxAge = 6000

/** The first waiting request checks this often for changes that only time causes. */
const tick = "50 millis"

type Decision = Effect.Effect<void, AuthorizationServerUnavailable>

/** State of one request, from the queue to its end. */
export class Ticket {
  readonly joinedAt: Instant
  readonly latch = Latch.makeUnsafe()
  decision: Decision | undefined
  startedAt: Instant | undefined
  readonly endEarly = Latch.makeUnsafe()

  constructor(joinedAt: Instant) {
    this.joinedAt = joinedAt
  }
}

export class RequestQueue {
  readonly #breaker: CircuitBreaker
  readonly #unavailable: (reason: AuthorizationServerUnavailable["reason"], millis?: number) => Decision
  /** In the order in which they started. */
  readonly #inProgress = new Set<Ticket>()
  /** Requests that must end early, and have not ended yet. */
  readonly #ending = new Set<Ticket>()
  readonly #waiting = new Set<Ticket>()
  #first: Ticket | undefined
  readonly #times = new ResponseTimes()

  constructor(
    breaker: CircuitBreaker,
    unavailable: (reason: AuthorizationServerUnavailable["reason"], millis?: number) => Decision
  ) {
    this.#breaker = breaker
    this.#unavailable = unavailable
  }

  /** Succeeds when the request may start. Call `leave` when the request has ended, even if it has not started. */
  turn(ticket: Ticket): Decision {
    return Clock.clockWith((clock) => {
      const now = readInstant(clock)
      this.#forgetOld(now)
      if (this.#waiting.size >= maxWaiting) return this.#unavailable("Timeout")
      this.#waiting.add(ticket)
      this.#advance(now)
      return this.#wait(ticket, clock)
    })
  }

  /** Succeeds at once, unless the circuit is open. The request takes no slot, so no other request waits for it. */
  turnAlone(ticket: Ticket): Decision {
    return Clock.clockWith((clock) => {
      const now = readInstant(clock)
      if (this.#breaker.state(now) === "open") return this.#unavailable("Unreachable", this.#breaker.opensFor(now))
      ticket.startedAt = now
      return Effect.void
    })
  }

  answered({ startedAt }: Ticket, now: Instant): void {
    if (startedAt !== undefined) this.#times.answered(startedAt, now)
  }

  leave(ticket: Ticket, now: Instant): void {
    this.#waiting.delete(ticket)
    this.#inProgress.delete(ticket)
    this.#ending.delete(ticket)
    this.#advance(now)
  }

  #wait(ticket: Ticket, clock: Clock.Clock): Decision {
    return Effect.suspend(() => {
      if (ticket.decision !== undefined) return ticket.decision
      ticket.latch.closeUnsafe()
      const woken =
        ticket === this.#first ? Effect.raceFirst(ticket.latch.await, this.#tick(clock)) : ticket.latch.await
      // A latch resumes a waiting fiber at once. Without the yield, each refused request would refuse the next one on
      // the same stack.
      return woken.pipe(Effect.andThen(Effect.yieldNow), Effect.andThen(this.#wait(ticket, clock)))
    })
  }

  #tick(clock: Clock.Clock): Effect.Effect<void> {
    return Effect.andThen(
      Effect.sleep(tick),
      Effect.sync(() => this.#advance(readInstant(clock)))
    )
  }

  #advance(now: Instant): void {
    this.#forgetOld(now)
    for (const ticket of this.#waiting) {
      const decision = this.#decide(ticket, now)
      if (decision === undefined) break
      this.#waiting.delete(ticket)
      ticket.decision = decision
      ticket.latch.openUnsafe()
    }
    this.#endEarly(now)
    const [first] = this.#waiting
    if (first === this.#first) return
    this.#first = first
    first?.latch.openUnsafe()
  }

  /** Each set has its oldest request first. */
  #forgetOld(now: Instant): void {
    const isOld = (ticket: Ticket) => elapsed(ticket.startedAt ?? ticket.joinedAt, now) >= maxAge
    for (const started of [this.#inProgress, this.#ending]) {
      for (const ticket of started) {
        if (!isOld(ticket)) break
        started.delete(ticket)
      }
    }
    for (const ticket of this.#waiting) {
      if (!isOld(ticket)) break
      this.#waiting.delete(ticket)
      ticket.decision = this.#unavailable("Timeout")
      ticket.latch.openUnsafe()
    }
  }

  #decide(ticket: Ticket, now: Instant): Decision | undefined {
    const state = this.#breaker.state(now)
    if (state === "open") return this.#unavailable("Unreachable", this.#breaker.opensFor(now))
    if (this.#inProgress.size + this.#ending.size < slots && (state === "closed" || this.#countYoung(now) < probes)) {
      ticket.startedAt = now
      this.#inProgress.add(ticket)
      return Effect.void
    }
    return state === "half-open" && elapsed(ticket.joinedAt, now) >= maxWait
      ? this.#unavailable("Unreachable")
      : undefined
  }

  /**
   * Ends at most as many requests as are waiting. Each slot is free when its request has ended. Ends no request if a
   * slot is free, if no request waits, or if 4 probes are in progress.
   */
  #endEarly(now: Instant): void {
    for (const ticket of this.#inProgress) {
      if (this.#ending.size >= this.#waiting.size || !this.#mayEndEarly(ticket, now)) return
      this.#inProgress.delete(ticket)
      this.#ending.add(ticket)
      ticket.endEarly.openUnsafe()
    }
  }

  #mayEndEarly({ startedAt }: Ticket, now: Instant): boolean {
    return (
      startedAt !== undefined &&
      this.#times.isLate(startedAt, now) &&
      (!this.#times.isOverdue(now) || this.#countYoung(now) + this.#ending.size < probes)
    )
  }

  #countYoung(now: Instant): number {
    let count = 0
    for (const { startedAt } of this.#inProgress) {
      if (startedAt !== undefined && elapsed(startedAt, now) < youngUntil) count++
    }
    return count
  }
}
