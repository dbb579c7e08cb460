/** What a part of a policy says where it refuses. */
import type * as Effect from "effect/Effect"
import * as Challenge from "../../core/Challenge.ts"
import { frozenFailure } from "../../core/lib/exit.ts"
import type { SecurityError } from "../../core/SecurityError.ts"

/** An error, and how it is answered. */
export class Refusal {
  readonly error: SecurityError
  readonly settings: Challenge.Settings
  #failure: Effect.Effect<never, SecurityError> | undefined

  constructor(error: SecurityError, settings: Challenge.Settings) {
    this.error = error
    this.settings = settings
  }

  /** Fails with it, where it is all that is to be said. */
  get failure(): Effect.Effect<never, SecurityError> {
    return (this.#failure ??= frozenFailure(Challenge.within(this.error, this.settings)))
  }
}
