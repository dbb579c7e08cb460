import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"

/**
 * Runs once for all who ask at the same time. Who asks first runs it, in its own fiber; the others wait for the outcome. Where the first is interrupted the
 * next one runs it anew: one request's end is no other's.
 */
export const shared = <A, E>(self: Effect.Effect<A, E>): Effect.Effect<A, E> => {
  let isRunning = false
  let outcome: Deferred.Deferred<Exit.Exit<A, E>> | undefined
  const wait = Effect.suspend(() => {
    outcome ??= Deferred.makeUnsafe()
    return Effect.flatMap(Deferred.await(outcome), (exit) => (Exit.hasInterrupts(exit) ? ask : exit))
  })
  const ask: Effect.Effect<A, E> = Effect.suspend(() => {
    if (isRunning) return wait
    let isOwn = false
    return Effect.onExitPrimitive(
      // Begun where the end is already sure to be noticed.
      Effect.suspend(() => {
        if (isRunning) return wait
        isOwn = true
        isRunning = true
        return self
      }),
      (exit) => {
        if (!isOwn) return undefined
        isRunning = false
        if (outcome !== undefined) Deferred.doneUnsafe(outcome, Effect.succeed(exit))
        outcome = undefined
        return undefined
      }
    )
  })
  return ask
}
