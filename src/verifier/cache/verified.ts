/** What a verification found, and for how long it holds. */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { VerifiedToken } from "../../core/AccessToken.ts"
import type { Rejection } from "./directVerifier.ts"

export interface Verified {
  readonly token: VerifiedToken
  /** From then on, in milliseconds since the epoch, the token is verified anew. */
  readonly until: number
  readonly standing: Standing
}

/** Whether what does not depend on time alone still holds: the key that signed. `stands` itself where that is known at once. */
export type Standing = (clock: Clock.Clock, now: number) => Effect.Effect<boolean, Rejection>

export const stands: Effect.Effect<boolean> = Effect.succeed(true)

export const always: Standing = () => stands
