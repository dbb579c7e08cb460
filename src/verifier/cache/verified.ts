/** The types of verifiers and of verified tokens. */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import type { VerifiedToken } from "../../core/AccessToken.ts"
import { freeze } from "../../core/lib/freeze.ts"
import type { AuthorizationServerUnavailable, InvalidToken } from "../../core/SecurityError.ts"

export type Rejection = InvalidToken | AuthorizationServerUnavailable

export type Verify = (
  token: Redacted.Redacted
) => Effect.Effect<VerifiedToken, InvalidToken | AuthorizationServerUnavailable>

/** Service that verifies bearer tokens. `TokenVerifier` is its key. */
export interface VerifierService {
  /**
   * Verifies a token. Fails with `InvalidToken` if it is refused, and with `AuthorizationServerUnavailable` if it
   * cannot be verified now.
   */
  readonly verify: Verify
  /**
   * Removes a token from the cache, so the next request with the token verifies it again. A verification in progress
   * still completes.
   */
  readonly invalidate: (token: Redacted.Redacted) => Effect.Effect<void>
}

/** A token whose data is frozen (`freeze`). */
export interface FrozenToken {
  readonly token: VerifiedToken
  /** The estimated size of the token in memory, in bytes. `Infinity` if a part of the token can still change. */
  readonly bytes: number
}

export const frozen = (token: VerifiedToken): FrozenToken => ({ token, bytes: freeze(token) })

/** Returns `true` if no part of the token can change. Then requests can share the token. */
export const isImmutable = ({ bytes }: FrozenToken): boolean => bytes < Infinity

export interface Verified extends FrozenToken {
  /** The time from which the token must be verified again, in milliseconds since the epoch. */
  readonly validUntil: number
  readonly validity: Validity
}

/**
 * Checks if a verification is still valid for reasons other than time: the signing key must still be in the key set.
 * Returns the constant `stillValid` if the answer is `true` and needs no wait.
 */
export type Validity = (clock: Clock.Clock, now: number) => Effect.Effect<boolean, Rejection>

export const stillValid: Effect.Effect<boolean> = Effect.succeed(true)

export const alwaysValid: Validity = () => stillValid
