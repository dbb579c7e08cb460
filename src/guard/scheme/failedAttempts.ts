/** Tells a limit around the routes about each failed authentication. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { CallingFiber } from "../../verifier/cache/directVerifier.ts"

/** Runs for each failed authentication of a request. `undefined` if no limit wraps the route. */
export const FailedAttempts = Context.Reference<Effect.Effect<void> | undefined>("effect-oauth2/FailedAttempts", {
  defaultValue: () => undefined
})

/** Credentials that are refused. Absent credentials, missing scopes and outages are no failed authentications. */
const failures: ReadonlySet<string> = new Set(["InvalidToken", "InvalidRequest"])

/** Returns what remains to be done after a refusal, or `undefined`. */
export const noteRefusal = (reason: string, fiber: CallingFiber): Effect.Effect<void> | undefined =>
  failures.has(reason) ? fiber.getRef(FailedAttempts) : undefined
