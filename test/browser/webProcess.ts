/** One process of the web app whose clock a test moves: each message has the number of milliseconds. */
import { NodeRuntime } from "@effect/platform-node"
import { Clock, Effect, Layer } from "effect"
import { WebProcess } from "../../scratchpad/web-app/WebProcess.ts"

let offset = 0
process.on("message", (millis: number) => {
  offset = millis
  process.send?.("moved")
})

Effect.gen(function* () {
  const clock = yield* Clock.Clock
  const moved: Clock.Clock = {
    currentTimeMillisUnsafe: () => clock.currentTimeMillisUnsafe() + offset,
    currentTimeMillis: Effect.map(clock.currentTimeMillis, (now) => now + offset),
    currentTimeNanosUnsafe: () => clock.currentTimeNanosUnsafe() + BigInt(offset) * 1_000_000n,
    currentTimeNanos: Effect.map(clock.currentTimeNanos, (now) => now + BigInt(offset) * 1_000_000n),
    monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe(),
    monotonicTimeNanos: clock.monotonicTimeNanos,
    sleep: (duration) => clock.sleep(duration)
  }
  return yield* Effect.provideService(Layer.launch(WebProcess), Clock.Clock, moved)
}).pipe(NodeRuntime.runMain)
