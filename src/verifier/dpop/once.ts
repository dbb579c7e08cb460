/** Runs the effects of one request once, however many requirements and schemes need their outcomes. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { exitOf } from "../../core/lib/exit.ts"

interface Run {
  readonly owner: object
  readonly key: string
  exit: Exit.Exit<unknown, unknown> | undefined
  /** Created when a second requirement waits for the outcome. */
  waiting: Deferred.Deferred<unknown, unknown> | undefined
}

// A subclass defines its private fields on the target itself.
const ReturnOverride = function (target: object) {
  return target
} as unknown as new (target: object) => object

/**
 * The runs of a request, in a private field of its source. The source is the same for all copies of the request
 * (`modify`), and for all messages of its connection. A `WeakMap` with one key per request would cost the garbage
 * collector more than the checks.
 */
class Runs extends ReturnOverride {
  readonly #runs: Array<Run> = []

  static of(source: object): Array<Run> {
    // The constructor returns the source, which then has the field.
    const owner = #runs in source ? source : new Runs(source)
    return owner.#runs
  }
}

/**
 * Runs an effect for the source of a request. `begin` returns the effect. Later calls with the same owner and key get the same outcome. A proof
 * would otherwise count as replayed when a second requirement of the request verifies it.
 */
export const oncePerSource = <A, E>(
  source: object,
  owner: object,
  key: string,
  begin: () => Effect.Effect<A, E>
): Effect.Effect<A, E> => {
  const ofSource = Runs.of(source)
  const found = ofSource.find((run) => run.owner === owner && run.key === key)
  // Safe casts: the owner decides what it runs under a key, so the types are those of this call.
  if (found !== undefined)
    return (found.exit ?? Deferred.await((found.waiting ??= Deferred.makeUnsafe()))) as Effect.Effect<A, E>
  const effect = begin()
  const run: Run = { owner, key, exit: exitOf(effect), waiting: undefined }
  ofSource.push(run)
  if (run.exit !== undefined) return effect
  return Effect.onExit(effect, (exit) => {
    run.exit = exit
    // After an interruption, the next requirement of the request tries again.
    if (Exit.hasInterrupts(exit)) ofSource.splice(ofSource.indexOf(run), 1)
    if (run.waiting !== undefined) Deferred.doneUnsafe(run.waiting, exit)
    return Exit.void
  })
}
