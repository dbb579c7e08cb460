/** What a verifier is, what a verification finds, and for how long that holds. */
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

/** The service that `TokenVerifier` is the key of. */
export interface VerifierService {
  /** What a credential says: fails with `InvalidToken` where it is refused, with `AuthorizationServerUnavailable` where nobody could tell. */
  readonly verify: Verify
  /** Forgets what is kept of a token: who presents it next has it verified anew. What is being decided about at this moment is decided. */
  readonly invalidate: (token: Redacted.Redacted) => Effect.Effect<void>
}

/** A token, frozen as far as `freeze` reaches. */
export interface FrozenToken {
  readonly token: VerifiedToken
  /** An estimate of what the token takes in memory; `Infinity` if a part of the token can still change. */
  readonly bytes: number
}

export const frozen = (token: VerifiedToken): FrozenToken => ({ token, bytes: freeze(token) })

/** Returns `true` if no request can change the token for another one. */
export const isImmutable = ({ bytes }: FrozenToken): boolean => bytes < Infinity

export interface Verified extends FrozenToken {
  /** From then on, in milliseconds since the epoch, the token is verified anew. */
  readonly until: number
  readonly standing: Validity
}

/** Whether what does not depend on time alone still holds: the key that signed. `stands` itself where that is known at once. */
export type Validity = (clock: Clock.Clock, now: number) => Effect.Effect<boolean, Rejection>

export const stands: Effect.Effect<boolean> = Effect.succeed(true)

export const always: Validity = () => stands
