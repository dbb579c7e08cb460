/** Lets user code refuse a request as a scheme does. */
import * as Effect from "effect/Effect"
import * as Challenge from "../../core/Challenge.ts"
import * as requiredScopes from "../../core/requiredScopes.ts"
import * as response from "../../core/response.ts"
import * as scope from "../../core/scope.ts"
import { isSecurityError, type SecurityError } from "../../core/SecurityError.ts"
import { SecurityScopes } from "../../core/SecurityScopes.ts"
import type { Scheme } from "../scheme/scheme.ts"

/**
 * Fails with an error of user code. The challenge names the `SecurityScopes` in force and the scopes that the error
 * requires.
 */
export const failWith = <E extends SecurityError>(scheme: Scheme, error: E): Effect.Effect<never, E> =>
  Effect.flatMap(SecurityScopes, (required) => {
    const own = error._tag === "InsufficientScope" ? error.required : []
    const scopes = scope.union(requiredScopes.ofScheme(required, scheme), own)
    return Effect.fail(Challenge.within(error, scheme.settings(scheme.implication.minimal(scopes))))
  })

/** Responds to a security error that user code created as to an error of the scheme. */
export const adopt = <A, E, R>(self: Effect.Effect<A, E, R>, scheme: Scheme): Effect.Effect<A, E, R> =>
  Effect.catchIf(
    self,
    (error): error is E & SecurityError =>
      isSecurityError(error) && !response.isFromScheme(error) && !response.isFromUpstream(error),
    (error) => failWith(scheme, error)
  )
