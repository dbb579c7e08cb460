/** Advice for who runs the service, where tokens are refused that should not be. */
import * as Effect from "effect/Effect"
import type { InvalidToken } from "../../core/SecurityError.ts"

const given = new WeakMap<object, Set<string>>()

/** Refuses a token, and the log says once for this `policy` what to look at. Advice holds nothing of the token. */
export const refuse = (
  error: InvalidToken,
  advice: string | undefined,
  policy: object
): Effect.Effect<never, InvalidToken> => {
  const refused = Effect.fail(error)
  const before = given.get(policy) ?? new Set()
  if (advice === undefined || before.has(advice)) return refused
  given.set(policy, before.add(advice))
  return Effect.andThen(Effect.logWarning(advice), refused)
}
