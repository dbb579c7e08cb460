/** Logs advice for operators if tokens are refused that may be valid. */
import * as Effect from "effect/Effect"
import { failWith } from "../../core/constantErrors.ts"
import type { InvalidToken } from "../../core/SecurityError.ts"

const given = new WeakMap<object, Set<string>>()

/** Returns `true` if advice of this kind was logged for the policy. */
export const isGiven = (policy: object, kind: string): boolean => given.get(policy)?.has(kind) === true

/** Logs advice once per `policy` and kind. The kind contains no values of tokens, so the number of kinds is limited. */
export const give = (advice: string, policy: object, kind = advice): Effect.Effect<void> =>
  Effect.suspend(() => {
    if (isGiven(policy, kind)) return Effect.void
    given.set(policy, (given.get(policy) ?? new Set()).add(kind))
    return Effect.logWarning(advice)
  })

/** Refuses a token and logs the advice as `give` does. Advice may contain values only from signed claims. */
export const refuse = (
  error: InvalidToken,
  advice: string | undefined,
  policy: object,
  kind = advice
): Effect.Effect<never, InvalidToken> => {
  const refused = failWith(error)
  return advice === undefined ? refused : Effect.andThen(give(advice, policy, kind), refused)
}
