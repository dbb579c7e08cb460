/** Begins asynchronous work at the end of a turn of the event loop. */
import * as Effect from "effect/Effect"

/**
 * Begins at the end of the turn of the event loop, so that the requests that came in together begin their verifications together: the threads that work on
 * them are woken once, not for each. (`Effect.yieldNow` before an asynchronous effect would be the same, and would suspend the fiber twice.)
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
