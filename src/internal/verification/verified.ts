/** What a verification found, and for how long it holds. */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { VerifiedToken } from "../../AccessToken.ts"
import type { Rejection } from "./directVerifier.ts"
import { freeze } from "../freeze.ts"

export interface Verified extends FrozenToken {
  /** From then on, in milliseconds since the epoch, the token is verified anew. */
  readonly until: number
  readonly standing: Standing
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

/** Whether what does not depend on time alone still holds: the key that signed. `stands` itself where that is known at once. */
export type Standing = (clock: Clock.Clock, now: number) => Effect.Effect<boolean, Rejection>

export const stands: Effect.Effect<boolean> = Effect.succeed(true)

export const always: Standing = () => stands
