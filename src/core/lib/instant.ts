/** Elapsed time that neither a clock set back nor a suspended machine shortens. */
import type * as Clock from "effect/Clock"

export interface Instant {
  readonly wall: number
  readonly monotonic: bigint
}

export const readInstant = (clock: Clock.Clock): Instant => ({
  wall: clock.currentTimeMillisUnsafe(),
  monotonic: clock.monotonicTimeNanosUnsafe()
})

/** In milliseconds. The wall clock may be set back, the monotonic one may stand still while the machine sleeps: the later of the two counts. */
export const elapsed = (from: Instant, to: Instant): number =>
  Math.max(to.wall - from.wall, Number(to.monotonic - from.monotonic) / 1e6)
