/** Computes a value when the first request needs it. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { RequestIsolation } from "../core/RequestIsolation.ts"

export interface Options<A, E> {
  readonly compute: Effect.Effect<A, E>
  /** Runs after the first failure, but not after the failures that follow. */
  readonly onFailure: (error: E) => Effect.Effect<void>
  /** Runs if a success follows a failure. */
  readonly onRecovery: Effect.Effect<void>
}

/**
 * Returns an effect that computes the value once. It computes the value again after a failure.
 *
 * Requests that need the value at the same time compute it together, and an interrupted request does not stop the
 * others. Isolated requests cannot wait for each other, so each computes the value until one of them has finished.
 */
export const make = Effect.fnUntraced(function* <A, E>({ compute, onFailure, onRecovery }: Options<A, E>) {
  const context = yield* Effect.context<never>()
  const isIsolated = Context.get(context, RequestIsolation) !== undefined
  const fork = Effect.runForkWith(context)
  let value: Exit.Success<A> | undefined
  let pending: Fiber.Fiber<A, E> | undefined
  let isReported = false

  const attempt = compute.pipe(
    Effect.tap((computed) =>
      Effect.suspend(() => {
        // Safe cast: `Exit.succeed` returns a success.
        value ??= Exit.succeed(computed) as Exit.Success<A>
        if (!isReported) return Effect.void
        isReported = false
        return onRecovery
      })
    ),
    Effect.tapError((error) =>
      Effect.suspend(() => {
        if (isReported) return Effect.void
        isReported = true
        return onFailure(error)
      })
    ),
    Effect.ensuring(Effect.sync(() => (pending = undefined)))
  )
  yield* Effect.addFinalizer(() => (pending === undefined ? Effect.void : Fiber.interrupt(pending)))
  return Effect.suspend((): Effect.Effect<A, E> => {
    if (value !== undefined) return value
    if (isIsolated) return Effect.provideContext(attempt, context)
    // A synchronous attempt ends before `fork` returns, and must not stay pending.
    const fiber = pending ?? fork(attempt)
    if (fiber.pollUnsafe() === undefined) pending = fiber
    return Fiber.join(fiber)
  })
})
