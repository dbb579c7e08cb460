/** The way from a scheme to its verifier without an effect: what is known of a token costs a look-up, and no step of a fiber. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import type { VerifiedToken } from "../../core/AccessToken.ts"
import { InvalidToken } from "../../core/SecurityError.ts"
import { redact } from "../../core/authorizationHeader.ts"
import * as invalidations from "./invalidations.ts"
import { copyUnexpired } from "./userVerifier.ts"
import type { Rejection, VerifierService } from "./verified.ts"

/** A token that is kept, and what was verified of it: an `Exit` where that still stands, an effect where the key has to be waited for. */
export interface Known {
  readonly token: Redacted.Redacted
  readonly verified: Effect.Effect<VerifiedToken, Rejection>
}

/** The fiber that asks. */
export type Asker = Fiber.Fiber<unknown, unknown>

/** A verifier as the library asks it: by the token's text, and without an effect where there is nothing to wait for. */
export interface DirectVerifier {
  /** `undefined` where nothing is kept of the token. */
  readonly lookUp: (token: string, fiber: Asker) => Known | undefined
  /** The same by the value of an `Authorization` field; or the error of a token whose form was refused before. */
  readonly lookUpPresented: (field: string, fiber: Asker) => Known | InvalidToken | undefined
  /** Of a token of which nothing is kept. */
  readonly verify: (token: string, fiber: Asker) => Inspected<VerifiedToken>
}

/** What a look at the form says: the error of a token that it refuses, or else how to verify the token, an `Exit` where there is nothing to wait for. */
export type Inspected<A> = InvalidToken | (() => Effect.Effect<A, Rejection>)

export const toEffect = <A>(inspected: Inspected<A>): Effect.Effect<A, Rejection> =>
  inspected instanceof InvalidToken ? Effect.fail(inspected) : inspected()

/** What a verifier says that keeps nothing. */
export const withoutCache = { lookUp: () => undefined, lookUpPresented: () => undefined }

// By the function that verifies: whoever puts another one in its place is asked for every token.
const directVerifiers = new WeakMap<VerifierService["verify"], DirectVerifier>()

export const directOf = ({ verify }: VerifierService): DirectVerifier =>
  directVerifiers.get(verify) ?? {
    ...withoutCache,
    verify: (token, fiber) => () =>
      Effect.mapEager(copyUnexpired(verify(redact(token)), fiber.getRef(Clock.Clock)), ({ token }) => token)
  }

/** What is kept of a token, or else its verification. */
const find = (direct: DirectVerifier, token: string, fiber: Asker): Effect.Effect<VerifiedToken, Rejection> =>
  direct.lookUp(token, fiber)?.verified ?? toEffect(direct.verify(token, fiber))

/** The service that asks it. */
export const toService = (direct: DirectVerifier, forget: (text: string) => void): VerifierService => {
  const verify: VerifierService["verify"] = (token) =>
    Effect.withFiber((fiber) => find(direct, Redacted.value(token), fiber))
  const invalidate: VerifierService["invalidate"] = (token) =>
    Effect.sync(() => {
      forget(Redacted.value(token))
      invalidations.count()
    })
  directVerifiers.set(verify, direct)
  return { verify, invalidate }
}
