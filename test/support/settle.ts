import { Effect } from "effect"

/** Lets every fiber and promise run that does not wait for the clock. */
export const settle = Effect.promise(
  () => new Promise<void>((resolve) => setImmediate(() => setImmediate(() => setImmediate(resolve))))
)
