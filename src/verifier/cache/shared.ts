/** One run of an effect for all who ask for it at the same time. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"

/** One run, and how it ends for those who wait for it. */
interface Run<A, E> {
  outcome: Deferred.Deferred<Exit.Exit<A, E>> | undefined
}

/**
 * Runs once for all who ask at the same time. Who asks first runs it, in its own fiber; the others wait for the outcome. Where the first is interrupted the
 * next one runs it anew: one request's end is no other's.
 */
export const shared = <A, E>(self: Effect.Effect<A, E>): Effect.Effect<A, E> => {
  let current: Run<A, E> | undefined
  // A fiber may stand still between any two effects: whom it waits for is decided in the one in which it is seen that somebody runs.
  const wait = (run: Run<A, E>): Effect.Effect<A, E> => {
    run.outcome ??= Deferred.makeUnsafe()
    return Effect.flatMap(Deferred.await(run.outcome), (exit) => (Exit.hasInterrupts(exit) ? ask : exit))
  }
  const ask: Effect.Effect<A, E> = Effect.suspend(() => {
    if (current !== undefined) return wait(current)
    let own: Run<A, E> | undefined
    return Effect.onExitPrimitive(
      // Begun where the end is already sure to be noticed.
      Effect.suspend(() => {
        if (current !== undefined) return wait(current)
        current = own = { outcome: undefined }
        return self
      }),
      (exit) => {
        if (own === undefined) return undefined
        // First: those who wait go on at once, and the first of them may be the next to run it.
        current = undefined
        if (own.outcome !== undefined) Deferred.doneUnsafe(own.outcome, Effect.succeed(exit))
        return undefined
      }
    )
  })
  return ask
}
