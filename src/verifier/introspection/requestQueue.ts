/**
 * Decides when an introspection request starts, and which request ends early so that another one can start.
 *
 * | circuit | a request starts | a waiting request is refused |
 * |---|---|---|
 * | `closed` | if fewer than 64 are in progress | after 5 seconds, by its time limit |
 * | `half-open` | if also fewer than 4 of them are younger than 400 ms | after 1 second |
 * | `open` | never | at once |
 *
 * The 4 probes of a half-open circuit never stop: if the server drops them, the next ones start at once, and if it does not respond, the next ones start
 * after 400 ms. A probe has the whole time limit: 5 seconds of such probes are 52 requests, which are fewer than 64.
 *
 * Tokens to which the server never responds could occupy all 64 slots. If a request waits and no slot is free, the oldest request in progress ends early,
 * provided that it takes much longer than answers usually take, and that one of these holds:
 *
 * - The next answer is not overdue: the server answers, but not this request. A server that becomes slow misses the next answers, too, and its requests
 *   may take as long as they need.
 * - Fewer than 4 requests are younger than 400 ms. Nothing has started for a while, and nobody knows whether the server answers.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import type { AuthorizationServerUnavailable } from "../../core/SecurityError.ts"
import { elapsed, type Instant, readInstant } from "../../core/lib/instant.ts"
import type { CircuitBreaker } from "./circuitBreaker.ts"
import { ResponseTimes } from "./responseTimes.ts"

/** Requests in progress at a time. */
const slots = 64
const maxWaiting = 1000

/** Probes at a time while the circuit is half-open. */
const probes = 4
/** A request of this age no longer counts as a new probe, in milliseconds. */
const probeTime = 400
/** Longest wait for a turn while the circuit is half-open, in milliseconds. */
const maxWait = 1000

/** The first waiting request checks this often for what changes by time alone. */
const tick = "50 millis"

type Decision = Effect.Effect<void, AuthorizationServerUnavailable>

/** Place of one request in the queue. */
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

  /** Succeeds when the request may start. The caller must call `leave` when the request has ended, even if it has not started. */
  turn(ticket: Ticket): Decision {
    return Clock.clockWith((clock) => {
      if (this.#waiting.size >= maxWaiting) return this.#unavailable("Timeout")
      this.#waiting.add(ticket)
      this.#advance(readInstant(clock))
      return this.#wait(ticket, clock)
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
      // A latch runs who waits for it at once. Without the yield, each refused request would refuse the next one on the same stack.
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

  #decide(ticket: Ticket, now: Instant): Decision | undefined {
    const state = this.#breaker.state(now)
    if (state === "open") return this.#unavailable("Unreachable", this.#breaker.opensFor(now))
    if (this.#hasSlot && (state === "closed" || this.#young(now) < probes)) {
      ticket.startedAt = now
      this.#inProgress.add(ticket)
      return Effect.void
    }
    return state === "half-open" && elapsed(ticket.joinedAt, now) >= maxWait
      ? this.#unavailable("Unreachable")
      : undefined
  }

  get #hasSlot(): boolean {
    return this.#inProgress.size + this.#ending.size < slots
  }

  /** Ends at most as many requests as are waiting for a slot. Their slots are free when they have ended. */
  #endEarly(now: Instant): void {
    if (this.#hasSlot) return
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
      (!this.#times.isOverdue(now) || this.#young(now) + this.#ending.size < probes)
    )
  }

  #young(now: Instant): number {
    let count = 0
    for (const { startedAt } of this.#inProgress) {
      if (startedAt !== undefined && elapsed(startedAt, now) < probeTime) count++
    }
    return count
  }
}
