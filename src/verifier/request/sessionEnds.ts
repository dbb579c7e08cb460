/**
 * Tells long connections that the session of a signed-in user has ended. The credential of such a connection is an object
 * that the library made for one request, so no other connection has it.
 */
import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import * as invalidations from "../cache/invalidations.ts"

/** How often a connection asks the store, in milliseconds. Another process may have ended the session. */
const interval = 30_000

export interface LiveSession {
  /** The identifier with which `end` was called, if this process ends the session. */
  readonly id: string
  /** The number of invalidations before the session was read. */
  readonly since: number
  /** Asks the store. A store that does not answer has ended no session. */
  readonly exists: Effect.Effect<boolean, unknown>
}

const sessions = new WeakMap<Redacted.Redacted, LiveSession>()

/** Remembers the session of a credential. */
export const remember = (credential: Redacted.Redacted, session: LiveSession): void => {
  sessions.set(credential, session)
}

/** Ends the connections of a session in this process. An identifier of a session is a digest, and no token. */
export const end = (id: string): void => invalidations.add(id)

/** Returns an effect that completes when the session of a credential ends, or `undefined` without a session. */
export const endOf = (credential: Redacted.Redacted): Effect.Effect<void> | undefined => {
  const session = sessions.get(credential)
  return session && Effect.raceFirst(invalidations.next(session.id, session.since), absence(session))
}

const absence = (session: LiveSession): Effect.Effect<void> =>
  Effect.flatMap(
    Effect.andThen(
      Effect.sleep(interval),
      Effect.orElseSucceed(session.exists, () => true)
    ),
    (isAlive) => (isAlive ? absence(session) : Effect.void)
  )
