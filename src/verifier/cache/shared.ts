/** Runs an effect once for all fibers that need its outcome, and can remember the outcome for a while. */
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { elapsed, type Instant, readInstant } from "../../core/lib/instant.ts"

// All verifiers share the count, because a verifier may wrap another, and a program may wrap `invalidate`.
let invalidations = 0

/** Counts an invalidation of a token. Outcomes from before the invalidation are not used again. */
export const countInvalidation = (): void => {
  invalidations++
}

/**
 * No fiber joins a run that is older, in milliseconds. Its timers may have stopped, so it might never end. Each request
 * to an authorization server takes less time.
 */
const maxAge = 10_000

/** One run of the effect. The first fiber that waits creates `outcome`. */
interface Run<A, E> {
  readonly startedAt: Instant
  outcome: Deferred.Deferred<Exit.Exit<A, E>> | undefined
}

/** No member is optional, because an absent member would be inherited from a polluted `Object.prototype`. */
export interface SharedOptions<A, E> {
  /** If `true`, each fiber runs the effect itself, and only a remembered outcome is shared. */
  readonly isIsolated: boolean
  /** Runs when a run starts. */
  readonly onStart: (() => void) | undefined
  /** Runs when a run has ended, before the waiting fibers continue. */
  readonly onEnd: ((exit: Exit.Exit<A, E>) => void) | undefined
  /** How long later fibers get the same outcome. `undefined`: not at all. */
  readonly memory: Memory<A, E> | undefined
}

/** Options of a `Shared` that only joins fibers. */
export const joining = { isIsolated: false, onStart: undefined, onEnd: undefined, memory: undefined } as const

export interface Memory<A, E> {
  readonly clock: Clock.Clock
  /** Returns the time at which an outcome expires. Times are in milliseconds since the epoch. */
  readonly expiryOf: (exit: Exit.Exit<A, E>, now: number) => number
}

interface RememberedExit<A, E> {
  readonly exit: Exit.Exit<A, E>
  readonly validUntil: number
  readonly invalidationsBefore: number
}

/**
 * Shares one run of an effect between fibers. The first fiber runs the effect, and the others wait for the outcome. If
 * the first fiber is interrupted, the next fiber runs the effect again. So if a client disconnects, other requests with
 * the same token still complete. The next fiber also runs the effect again if the first fiber takes 10 seconds.
 *
 * With a `memory`, later fibers get the same outcome until it expires, or until the program invalidates a token.
 */
export class Shared<A, E> {
  readonly #effect: Effect.Effect<A, E>
  readonly #options: SharedOptions<A, E>
  #run: Run<A, E> | undefined
  #remembered: RememberedExit<A, E> | undefined

  constructor(effect: Effect.Effect<A, E>, options: SharedOptions<A, E>) {
    this.#effect = effect
    this.#options = options
  }

  /** Returns the outcome, and runs the effect if necessary. */
  readonly outcome: Effect.Effect<A, E> = Clock.clockWith((clock) => {
    if (this.#remembered !== undefined && this.#isCurrent(this.#remembered)) return this.#remembered.exit
    const joined = this.#joined(clock)
    if (joined !== undefined) return this.#wait(joined)
    let own: Run<A, E> | undefined
    let invalidationsBefore = 0
    return Effect.onExitPrimitive(
      // Start inside `onExit`, so an interrupt cannot skip the end of the run. A fiber may pause between two effects,
      // so another fiber may have started a run in the meantime.
      Effect.suspend(() => {
        const joined = this.#joined(clock)
        if (joined !== undefined) return this.#wait(joined)
        const forgotten = this.#options.isIsolated ? undefined : this.#run
        this.#run = own = { startedAt: readInstant(clock), outcome: undefined }
        invalidationsBefore = invalidations
        this.#options.onStart?.()
        // The fibers that wait for the forgotten run join this run.
        if (forgotten?.outcome !== undefined) Deferred.doneUnsafe(forgotten.outcome, Effect.succeed(Exit.interrupt()))
        return this.#effect
      }),
      (exit) => {
        if (own !== undefined) this.#end(own, exit, invalidationsBefore)
        return undefined
      }
    )
  })

  #joined(clock: Clock.Clock): Run<A, E> | undefined {
    const run = this.#run
    if (run === undefined || this.#options.isIsolated) return
    return elapsed(run.startedAt, readInstant(clock)) < maxAge ? run : undefined
  }

  #wait(run: Run<A, E>): Effect.Effect<A, E> {
    run.outcome ??= Deferred.makeUnsafe()
    return Effect.flatMap(Deferred.await(run.outcome), (exit) => (Exit.hasInterrupts(exit) ? this.outcome : exit))
  }

  #end(own: Run<A, E>, exit: Exit.Exit<A, E>, invalidationsBefore: number): void {
    const { isIsolated, memory, onEnd } = this.#options
    // Fibers no longer wait for this run.
    if (this.#run !== own && !isIsolated) return
    if (memory !== undefined) {
      const validUntil = memory.expiryOf(exit, memory.clock.currentTimeMillisUnsafe())
      this.#remembered = { exit, validUntil, invalidationsBefore }
    }
    onEnd?.(exit)
    // Clear this before the waiting fibers continue, because the first of them may start the next run.
    this.#run = undefined
    if (own.outcome !== undefined) Deferred.doneUnsafe(own.outcome, Effect.succeed(exit))
  }

  #isCurrent({ invalidationsBefore, validUntil }: RememberedExit<A, E>): boolean {
    const now = this.#options.memory?.clock.currentTimeMillisUnsafe() ?? Infinity
    return now < validUntil && invalidations === invalidationsBefore
  }
}
