/** Reports mistakes in tests. */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { toMillis } from "../../core/duration.ts"

// A mistake in a test is a defect, so that the error types of the issuer stay `never`.
export const mistake = (message: string) => Effect.die(new Error(`TestIssuer: ${message}`))

/** Returns a duration option in milliseconds. */
export const millis = (option: string, input: Duration.Input, minimum = -Infinity): Effect.Effect<number> => {
  const value = toMillis(input)
  const kind = minimum === 0 ? "finite duration that is not negative" : "finite duration"
  return Number.isFinite(value) && value >= minimum
    ? Effect.succeed(value)
    : mistake(`${option} must be a ${kind}, such as "5 seconds".`)
}
