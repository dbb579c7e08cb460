/** Waits for other processes, such as a Redis server, which no `TestClock` controls. */
import { Duration, Effect, Schedule } from "effect"

/** Runs an effect every 10 milliseconds until its result is accepted. Fails after the limit. */
export const eventually = <A, E, R>(
  self: Effect.Effect<A, E, R>,
  until: (value: A) => boolean,
  limit: Duration.Input = "10 seconds"
): Effect.Effect<A, E, R> =>
  Effect.repeat(self, { until, schedule: Schedule.spaced("10 millis") }).pipe(
    Effect.timeoutOrElse({
      duration: limit,
      orElse: () =>
        Effect.die(
          new Error(`The expected result did not come within ${Duration.format(Duration.fromInputUnsafe(limit))}.`)
        )
    })
  )
