/** Errors that are made once. */
import type { SecurityError } from "./SecurityError.ts"

const constants = new WeakSet<SecurityError>()

/** An error that is made once and serves many requests: what it is answered with is computed once, too. */
export const constant = <E extends SecurityError>(error: E): E => {
  constants.add(error)
  return error
}

export const isConstant = (error: SecurityError): boolean => constants.has(error)
