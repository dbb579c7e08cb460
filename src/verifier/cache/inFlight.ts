/** The verifications that are under way: a token that many present at once is verified once. */
import * as Effect from "effect/Effect"
import type { VerifiedToken } from "../../core/AccessToken.ts"
import { freezeFailure } from "../../core/lib/exit.ts"
import { shared } from "./shared.ts"
import { TransientMap } from "./transientMap.ts"
import { isImmutable, type Rejection, type Verified } from "./verified.ts"

interface Flight {
  readonly verified: Effect.Effect<Verified, Rejection>
  /** The outcome that one request has taken, if its token can change: no other request gets that one. */
  taken: Verified | undefined
}

type VerifyAlone = () => Effect.Effect<Verified, Rejection>

export class InFlight {
  readonly #flights = new TransientMap<Flight>()

  /** What is under way already for the token: for one more request. */
  join(text: string, verifyAlone: VerifyAlone): Effect.Effect<VerifiedToken, Rejection> | undefined {
    const flight = this.#flights.get(text)
    return flight && tokenOf(flight, verifyAlone)
  }

  /** A verification that others can join from when it is run until it ends. */
  begin(
    text: string,
    verified: Effect.Effect<Verified, Rejection>,
    keep: (verified: Verified) => void,
    verifyAlone: VerifyAlone
  ): Effect.Effect<VerifiedToken, Rejection> {
    const isOwn = () => this.#flights.get(text) === flight
    const flight: Flight = {
      taken: undefined,
      verified: shared(
        Effect.onExitPrimitive(
          Effect.suspend(() => {
            this.#flights.set(text, flight)
            return Effect.map(verified, (verified) => {
              // What was invalidated meanwhile is not kept.
              if (isOwn()) keep(verified)
              return verified
            })
          }),
          (exit) => {
            if (isOwn()) this.#flights.delete(text)
            freezeFailure(exit)
            return undefined
          }
        )
      )
    }
    return tokenOf(flight, verifyAlone)
  }

  /** Nobody joins it any more, and what it says is not kept. */
  invalidate(text: string): void {
    this.#flights.delete(text)
  }
}

/** The token for one request. One that can change is for the first request that gets it; each other request verifies for itself. */
const tokenOf = (flight: Flight, verifyAlone: VerifyAlone): Effect.Effect<VerifiedToken, Rejection> =>
  Effect.flatMap(flight.verified, (verified) => {
    if (isImmutable(verified)) return Effect.succeed(verified.token)
    if (flight.taken === verified) return Effect.map(verifyAlone(), ({ token }) => token)
    flight.taken = verified
    return Effect.succeed(verified.token)
  })
