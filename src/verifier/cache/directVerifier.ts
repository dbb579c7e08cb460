/** Calls a verifier without an effect, so a cached token costs one lookup and no step of a fiber. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import type { VerifiedToken } from "../../core/AccessToken.ts"
import { redact } from "../../core/authorizationHeader.ts"
import { confirmationOf } from "../../core/confirmation.ts"
import { failConstant } from "../../core/constantErrors.ts"
import { InvalidToken } from "../../core/SecurityError.ts"
import * as invalidations from "./invalidations.ts"
import { countInvalidation } from "./shared.ts"
import { copyUnexpired } from "./customVerifier.ts"
import type { Rejection, VerifierService } from "./verified.ts"

/** A token and its verification. The verification is an `Exit` if its outcome is available now. */
export interface Verification<E = Rejection> {
  /** `undefined` if there is no token. Then the verification fails. */
  readonly token: Redacted.Redacted | undefined
  readonly verified: Effect.Effect<VerifiedToken, E>
}

/** The fiber that needs the verification. */
export type CallingFiber = Fiber.Fiber<unknown, unknown>

/** A verifier as the library calls it, with the text of the token. */
export interface DirectVerifier {
  /** Returns `undefined` if the token is not cached. */
  readonly lookUp: (token: string, fiber: CallingFiber) => Verification | undefined
  /** Looks up the value of an `Authorization` header. Also finds the errors of tokens with an invalid form. */
  readonly lookUpPresented: (header: string, fiber: CallingFiber) => Verification | undefined
  /** Verifies an uncached token. */
  readonly verify: (token: string, fiber: CallingFiber) => Effect.Effect<VerifiedToken, Rejection>
}

/** The lookups of a verifier without a cache. */
export const withoutCache = { lookUp: () => undefined, lookUpPresented: () => undefined }

// The key is the `verify` function. If a program replaces the function, the new function verifies every token.
const directVerifiers = new WeakMap<VerifierService["verify"], DirectVerifier>()

export const directOf = ({ verify }: VerifierService): DirectVerifier =>
  directVerifiers.get(verify) ?? {
    ...withoutCache,
    verify: (token, fiber) =>
      Effect.mapEager(copyUnexpired(verify(redact(token)), fiber.getRef(Clock.Clock)), ({ token }) => token)
  }

const bound = failConstant(new InvalidToken({ reason: "Claim", claim: "cnf" }))

/** Refuses a token that is bound to a key. */
const refuseBound = (token: VerifiedToken): Effect.Effect<VerifiedToken, InvalidToken> =>
  confirmationOf(token) === undefined ? Effect.succeed(token) : bound

/** Returns the service that calls a direct verifier. */
export const toService = (direct: DirectVerifier, forget: (text: string) => void): VerifierService => {
  const verify: VerifierService["verify"] = (token) =>
    Effect.withFiber((fiber) => {
      const text = Redacted.value(token)
      // Without a request, no proof can show that the client holds the key of a bound token.
      return Effect.flatMapEager(direct.lookUp(text, fiber)?.verified ?? direct.verify(text, fiber), refuseBound)
    })
  const invalidate: VerifierService["invalidate"] = (token) =>
    Effect.sync(() => {
      forget(Redacted.value(token))
      invalidations.add(Redacted.value(token))
      countInvalidation()
    })
  directVerifiers.set(verify, direct)
  return { verify, invalidate }
}
