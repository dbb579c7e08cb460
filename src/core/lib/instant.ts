/** Measures elapsed time, also if the clock is set back or the machine is suspended. */
import type * as Clock from "effect/Clock"

export interface Instant {
  readonly wall: number
  readonly monotonic: bigint
}

export const readInstant = (clock: Clock.Clock): Instant => ({
  wall: clock.currentTimeMillisUnsafe(),
  monotonic: clock.monotonicTimeNanosUnsafe()
})

/**
 * Returns the elapsed milliseconds by the clock that advanced further. The wall clock can be set back, and the
 * monotonic clock can stop while the machine sleeps.
 */
export const elapsed = (from: Instant, to: Instant): number =>
  Math.max(to.wall - from.wall, Number(to.monotonic - from.monotonic) / 1e6)
