/** Tells the operator if tokens lack the claims about the user's authentication, so that a step-up cannot succeed. */
import type * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { VerifiedToken } from "../../core/AccessToken.ts"
import type { SecurityError } from "../../core/SecurityError.ts"
import type { Reporter } from "../scheme/decisionLog.ts"

/** Returns the log entry about a refusal. Returns `undefined` if there is nothing to say. */
export const advise = (
  error: SecurityError,
  token: VerifiedToken | undefined,
  reporter: Reporter
): Effect.Effect<void> | undefined => {
  if (error._tag !== "InsufficientUserAuthentication" || token === undefined) return
  const missing = [
    ...(error.acrValues.length > 0 && Option.isNone(token.acr) ? ["acr"] : []),
    ...(Object.hasOwn(error, "maxAge") && Option.isNone(token.authenticatedAt) ? ["auth_time"] : [])
  ].join(" and ")
  if (missing === "") return
  return reporter.warnOnce(
    missing,
    () =>
      `A token of ${token.issuer} was refused, because a requirement needs ${missing}, which the token lacks. If users are refused after a new login, too, configure the authorization server. It must write acr as a string, and auth_time in seconds, into access tokens.`
  )
}
