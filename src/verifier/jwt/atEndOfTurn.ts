/** Starts asynchronous work at the end of a turn of the event loop. */
import * as Effect from "effect/Effect"

/**
 * Starts `begin` at the end of the turn, so that requests of one turn start their verifications together. This wakes
 * the threads of the pool once instead of once per request. `Effect.yieldNow` would suspend the fiber twice.
 */
export const atEndOfTurn = <A, E>(
  begin: (resume: (effect: Effect.Effect<A, E>) => void) => void
): Effect.Effect<A, E> =>
  Effect.withFiber((fiber) =>
    Effect.callback((resume) => {
      fiber.currentDispatcher.scheduleTask(() => {
        try {
          begin(resume)
        } catch (defect) {
          resume(Effect.die(defect))
        }
      }, 0)
    })
  )
