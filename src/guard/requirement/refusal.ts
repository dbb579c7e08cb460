/** Pairs an error with its challenge settings, and caches the failure that both make. */
import type * as Effect from "effect/Effect"
import * as Challenge from "../../core/Challenge.ts"
import { frozenFailure } from "../../core/lib/exit.ts"
import type { SecurityError } from "../../core/SecurityError.ts"

/** The refusal of one part of a policy. */
export class Refusal {
  readonly error: SecurityError
  readonly settings: Challenge.Settings
  #failure: Effect.Effect<never, SecurityError> | undefined

  constructor(error: SecurityError, settings: Challenge.Settings) {
    this.error = error
    this.settings = settings
  }

  /** Fails with this refusal alone. Created once, because many requests share a constant refusal. */
  get failure(): Effect.Effect<never, SecurityError> {
    return (this.#failure ??= frozenFailure(Challenge.within(this.error, this.settings)))
  }
}
