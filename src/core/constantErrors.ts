/** Errors that many requests get. */
import type * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { SecurityError } from "./SecurityError.ts"
import { freezeError, frozenFailure } from "./lib/exit.ts"

const failures = new WeakMap<SecurityError, Exit.Exit<never, SecurityError>>()

/** An error that is made once and serves many requests: its response is computed once, too. */
export const constant = <E extends SecurityError>(error: E): E => {
  failures.set(error, frozenFailure(error))
  return freezeError(error)
}

export const isConstant = (error: SecurityError): boolean => failures.has(error)

/** Fails with an error now. The failure of a constant error is made once. */
export const failWith = <E extends SecurityError>(error: E): Exit.Exit<never, E> =>
  // Safe cast: it is the failure of this error.
  (failures.get(error) as Exit.Exit<never, E> | undefined) ?? Exit.fail(error)

/** Fails with an error that is made once. */
export const failConstant = <E extends SecurityError>(error: E): Effect.Effect<never, E> => failWith(constant(error))
