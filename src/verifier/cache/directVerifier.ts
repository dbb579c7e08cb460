/** Asks a verifier without an effect: a cached token costs one lookup, and no steps of a fiber. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import type { VerifiedToken } from "../../core/AccessToken.ts"
import { redact } from "../../core/authorizationHeader.ts"
import { countInvalidation } from "./shared.ts"
import { copyUnexpired } from "./userVerifier.ts"
import type { Rejection, VerifierService } from "./verified.ts"

/** A credential and its verification. The verification is an `Exit` if its outcome is available now. */
export interface Verification<E = Rejection> {
  /** `undefined` if there is no token: the verification fails. */
  readonly token: Redacted.Redacted | undefined
  readonly verified: Effect.Effect<VerifiedToken, E>
}

/** The fiber that asks. */
export type Asker = Fiber.Fiber<unknown, unknown>

/** A verifier as the library asks it: by the text of the token. */
export interface DirectVerifier {
  /** Returns `undefined` if the token is not cached. */
  readonly lookUp: (token: string, fiber: Asker) => Verification | undefined
  /** Looks up the value of an `Authorization` header. Also finds the errors of tokens whose form was refused before. */
  readonly lookUpPresented: (header: string, fiber: Asker) => Verification | undefined
  /** Verifies a token that is not cached. */
  readonly verify: (token: string, fiber: Asker) => Effect.Effect<VerifiedToken, Rejection>
}

/** The lookups of a verifier without a cache. */
export const withoutCache = { lookUp: () => undefined, lookUpPresented: () => undefined }

// By the function that verifies: if a program replaces the function, the new one is asked for every token.
const directVerifiers = new WeakMap<VerifierService["verify"], DirectVerifier>()

export const directOf = ({ verify }: VerifierService): DirectVerifier =>
  directVerifiers.get(verify) ?? {
    ...withoutCache,
    verify: (token, fiber) =>
      Effect.mapEager(copyUnexpired(verify(redact(token)), fiber.getRef(Clock.Clock)), ({ token }) => token)
  }

/** Returns the service that asks a direct verifier. */
export const toService = (direct: DirectVerifier, forget: (text: string) => void): VerifierService => {
  const verify: VerifierService["verify"] = (token) =>
    Effect.withFiber((fiber) => {
      const text = Redacted.value(token)
      return direct.lookUp(text, fiber)?.verified ?? direct.verify(text, fiber)
    })
  const invalidate: VerifierService["invalidate"] = (token) =>
    Effect.sync(() => {
      forget(Redacted.value(token))
      countInvalidation()
    })
  directVerifiers.set(verify, direct)
  return { verify, invalidate }
}
