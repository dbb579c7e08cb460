/** Logs advice for operators if tokens are refused that may be valid. */
import * as Effect from "effect/Effect"
import type { InvalidToken } from "../../core/SecurityError.ts"

const given = new WeakMap<object, Set<string>>()

/** Refuses a token and logs the advice once per `policy`. The advice must not contain token content. */
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
