/** The verifications that are under way: a token that many present at once is verified once. */
import * as Effect from "effect/Effect"
import type { VerifiedToken } from "../../core/AccessToken.ts"
import { freeze } from "./freeze.ts"
import { shared } from "./shared.ts"
import { TransientMap } from "./transientMap.ts"
import type { Rejection, Verified } from "./verified.ts"

interface Flight {
  readonly verified: Effect.Effect<VerifiedToken, Rejection>
  /** Whether several requests wait for it: they are given the same token. */
  isShared: boolean
}

export class InFlight {
  readonly #flights = new TransientMap<Flight>()

  /** What is under way already for the token: for one more request. */
  join(text: string): Effect.Effect<VerifiedToken, Rejection> | undefined {
    const flight = this.#flights.get(text)
    if (flight === undefined) return
    flight.isShared = true
    return flight.verified
  }

  /** A verification that others can join from when it is run until it ends. */
  begin(
    text: string,
    verified: Effect.Effect<Verified, Rejection>,
    keep: (verified: Verified) => VerifiedToken
  ): Effect.Effect<VerifiedToken, Rejection> {
    const isOwn = () => this.#flights.get(text) === flight
    const flight: Flight = {
      isShared: false,
      verified: shared(
        Effect.onExitPrimitive(
          Effect.suspend(() => {
            this.#flights.set(text, flight)
            return Effect.map(verified, (verified) => {
              if (flight.isShared) freeze(verified.token)
              // What was invalidated meanwhile is not kept.
              return isOwn() ? keep(verified) : verified.token
            })
          }),
          () => {
            if (isOwn()) this.#flights.delete(text)
            return undefined
          }
        )
      )
    }
    return flight.verified
  }

  /** Nobody joins it any more, and what it says is not kept. */
  invalidate(text: string): void {
    this.#flights.delete(text)
  }
}
