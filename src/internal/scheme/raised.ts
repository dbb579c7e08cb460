/** Who says how an error is answered: the scheme of this server that raised it, or another server, which has sent it. */
import type * as Effect from "effect/Effect"
import type { HttpServerResponse } from "effect/http/HttpServerResponse"
import type * as Challenge from "../../Challenge.ts"
import type { SecurityError } from "../../SecurityError.ts"

/** How a scheme answers an error that it has raised. */
export interface Raised {
  readonly settings: Challenge.Settings
  readonly challenges: ReadonlyArray<string>
  /** Once it was asked for, where it is the same each time. */
  response: Effect.Effect<HttpServerResponse> | undefined
}

// Beside the error: where it was raised is not known to whoever constructed it (a verifier, say).
const raised = new WeakMap<SecurityError, Raised>()

export const note = (error: SecurityError, how: Raised): void => {
  raised.set(error, how)
}

export const of = (error: SecurityError): Raised | undefined => raised.get(error)

/** Whether a scheme of this server raised the error. */
export const isRaised = (error: SecurityError): boolean => raised.has(error)

const received = new WeakSet<SecurityError>()

/** Notes that another server has answered with it. */
export const receive = <E extends SecurityError>(error: E): E => {
  received.add(error)
  return error
}

/** Whether another server has answered with it. */
export const isReceived = (error: SecurityError): boolean => received.has(error)

/** The defect of a handler that lets the refusal of another server pass. */
export const notHandled = new Error(
  "Another server has refused a request of this one, and no handler has handled that."
)
