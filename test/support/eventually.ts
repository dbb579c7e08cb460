/** Waits for other processes, such as a Redis server, which no `TestClock` controls. */
import { Effect, Schedule } from "effect"

/** Runs an effect every 10 milliseconds until its result is accepted. Fails after 10 seconds. */
export const eventually = <A, E, R>(
  self: Effect.Effect<A, E, R>,
  until: (value: A) => boolean
): Effect.Effect<A, E, R> =>
  Effect.repeat(self, { until, schedule: Schedule.spaced("10 millis") }).pipe(
    Effect.timeoutOrElse({
      duration: "10 seconds",
      orElse: () => Effect.die(new Error("The expected result did not come within 10 seconds."))
    })
  )
