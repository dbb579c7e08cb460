/** Errors that are created once and shared by many requests. */
import type * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { SecurityError } from "./SecurityError.ts"
import { freezeError, frozenFailure } from "./lib/exit.ts"

const failures = new WeakMap<SecurityError, Exit.Exit<never, SecurityError>>()

/** Marks an error as shared and freezes it. Its response is then computed once, too. */
export const constant = <E extends SecurityError>(error: E): E => {
  failures.set(error, frozenFailure(error))
  return freezeError(error)
}

export const isConstant = (error: SecurityError): boolean => failures.has(error)

/** Fails with an error now. The failure of a constant error is made once. */
export const failWith = <E extends SecurityError>(error: E): Exit.Exit<never, E> =>
  // Safe cast: it is the failure of this error.
  (failures.get(error) as Exit.Exit<never, E> | undefined) ?? Exit.fail(error)

/** Fails with a shared error. */
export const failConstant = <E extends SecurityError>(error: E): Effect.Effect<never, E> => failWith(constant(error))
