/** Fails with a `ConfigurationError` whose message begins with the name of the option. */
import * as Effect from "effect/Effect"
import { ConfigurationError } from "./SecurityError.ts"

export const refuseOption = (option: string, message: string): Effect.Effect<never, ConfigurationError> =>
  Effect.fail(new ConfigurationError({ setting: option, message: `${option} ${message}` }))
