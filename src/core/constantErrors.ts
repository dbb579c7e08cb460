/** Errors that many requests get. */
import type * as Effect from "effect/Effect"
import type { SecurityError } from "./SecurityError.ts"
import { freezeError, frozenFailure } from "./lib/exit.ts"

const constants = new WeakSet<SecurityError>()

/** An error that is made once and serves many requests: what it is answered with is computed once, too. */
export const constant = <E extends SecurityError>(error: E): E => {
  constants.add(error)
  return freezeError(error)
}

export const isConstant = (error: SecurityError): boolean => constants.has(error)

/** Fails with an error that is made once. */
export const failConstant = <E extends SecurityError>(error: E): Effect.Effect<never, E> =>
  frozenFailure(constant(error))
