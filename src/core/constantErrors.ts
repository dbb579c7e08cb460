/** Errors that are created once and shared by many requests. */
import type * as Effect from "effect/Effect"
import type { SecurityError } from "./SecurityError.ts"
import { freezeError, frozenFailure } from "./lib/exit.ts"

const constants = new WeakSet<SecurityError>()

/** Marks an error as shared and freezes it. Its response is then computed once, too. */
export const constant = <E extends SecurityError>(error: E): E => {
  constants.add(error)
  return freezeError(error)
}

export const isConstant = (error: SecurityError): boolean => constants.has(error)

/** Fails with a shared error. */
export const failConstant = <E extends SecurityError>(error: E): Effect.Effect<never, E> =>
  frozenFailure(constant(error))
