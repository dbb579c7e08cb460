/** Runs pending work without a clock. */
import { Effect } from "effect"

/** Runs every fiber and promise that does not wait for the clock. */
export const settle = Effect.promise(
  () => new Promise<void>((resolve) => setImmediate(() => setImmediate(() => setImmediate(resolve))))
)
