/** Runs the effects of one request once, however many requirements and schemes need their outcomes. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"

interface Run {
  readonly owner: object
  readonly key: string
  exit: Exit.Exit<unknown, unknown> | undefined
  readonly done: Deferred.Deferred<unknown, unknown>
}

// The source of a request is the same for all its copies (`modify`), and for all messages of its connection.
const runs = new WeakMap<object, Array<Run>>()

/**
 * Runs an effect for the source of a request. Later calls with the same owner and key get the same outcome. A proof
 * would otherwise count as replayed when a second requirement of the request verifies it.
 */
export const oncePerSource = <A, E>(
  source: object,
  owner: object,
  key: string,
  effect: Effect.Effect<A, E>
): Effect.Effect<A, E> => {
  const ofSource = runs.get(source) ?? []
  const found = ofSource.find((run) => run.owner === owner && run.key === key)
  // Safe casts: the owner decides what it runs under a key, so the types are those of this call.
  if (found !== undefined) return (found.exit ?? Deferred.await(found.done)) as Effect.Effect<A, E>
  const run: Run = { owner, key, exit: undefined, done: Deferred.makeUnsafe() }
  ofSource.push(run)
  runs.set(source, ofSource)
  return Effect.onExit(effect, (exit) =>
    Effect.sync(() => {
      run.exit = exit
      // After an interruption, the next requirement of the request tries again.
      if (Exit.hasInterrupts(exit)) ofSource.splice(ofSource.indexOf(run), 1)
      Deferred.doneUnsafe(run.done, exit)
    })
  )
}
