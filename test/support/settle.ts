/** Runs pending work without a clock. */
import { Effect } from "effect"

/** Runs every fiber and promise that does not wait for the clock. */
export const settle = Effect.promise(
  () => new Promise<void>((resolve) => setImmediate(() => setImmediate(() => setImmediate(resolve))))
)

// In milliseconds. A thread pool signs tokens, and on a busy machine it may need thousands of turns of the event loop.
const patience = 8000

/** Runs pending work until the effect returns the value. */
export const until = <A, E, R>(effect: Effect.Effect<A, E, R>, expected: (value: A) => boolean) =>
  Effect.gen(function* () {
    const end = performance.now() + patience
    while (performance.now() < end) {
      if (expected(yield* effect)) return
      yield* settle
    }
    return yield* Effect.die(new Error("The value did not come."))
  })
