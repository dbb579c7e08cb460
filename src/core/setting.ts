/** Refuses a setting that cannot work, with a message that begins with its name. */
import * as Effect from "effect/Effect"
import { ConfigurationError } from "./SecurityError.ts"

export const refuseSetting = (setting: string, message: string): Effect.Effect<never, ConfigurationError> =>
  Effect.fail(new ConfigurationError({ setting, message: `${setting} ${message}` }))
