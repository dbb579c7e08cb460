/** Defines the service `Sessions`, which every store of sessions implements. */
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import type { StoreUnavailable } from "../../stores/storeUnavailable.ts"
import type { Session, SessionData, SessionOwner, SignedOut } from "./model.ts"

/**
 * Members of the service `Sessions`.
 *
 * **Example** (Ending all sessions of a user)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Sessions } from "effect-oauth2/login"
 *
 * export const block = (subject: string) =>
 *   Effect.flatMap(Sessions, (sessions) => sessions.destroyBy({ issuer: "https://idp.example.com", subject }))
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export interface SessionStore {
  /**
   * Whether the store can end, lock and replace sessions. A store in cookies cannot: `replace` returns `false`,
   * `destroyBy` ends nothing, and a login then neither refreshes tokens nor accepts back-channel logout.
   */
  readonly isServerSide: boolean
  /**
   * Creates a session, and returns the value of its cookie, which is new and random.
   *
   * `startedAt` is when the sign-in began, in milliseconds since 1970. Default: now. Fails with `SignedOut` if
   * `destroyBy` ended the session at the issuer meanwhile.
   */
  readonly create: (
    data: SessionData,
    startedAt?: number
  ) => Effect.Effect<Redacted.Redacted, StoreUnavailable | SignedOut>
  /** Returns the session of a cookie. Writes the time of use at most once a minute. */
  readonly read: (cookie: Redacted.Redacted) => Effect.Effect<Option.Option<Session>, StoreUnavailable>
  /** Returns whether a cookie has a session. Unlike `read`, this is no use of the session. */
  readonly exists: (cookie: Redacted.Redacted) => Effect.Effect<boolean, StoreUnavailable>
  /**
   * Replaces the data of a session that exists and has this version, and adds 1 to the version. Returns `false`
   * otherwise. An ended session does not come back.
   */
  readonly replace: (
    cookie: Redacted.Redacted,
    version: number,
    data: SessionData
  ) => Effect.Effect<boolean, StoreUnavailable>
  /** Ends a session. With a version, only if the session has this version. */
  readonly destroy: (cookie: Redacted.Redacted, version?: number) => Effect.Effect<void, StoreUnavailable>
  /**
   * Ends the sessions of a user, or of one session at the issuer, and returns their number. A sign-in of them that
   * has begun and not yet created its session fails with `SignedOut`.
   */
  readonly destroyBy: (owner: SessionOwner) => Effect.Effect<number, StoreUnavailable>
  /** Returns `true` for the first call with this key, and `false` for the others until the time ends. */
  readonly addOnce: (key: string, timeToLive: Duration.Duration) => Effect.Effect<boolean, StoreUnavailable>
  /** Runs an effect while no other call, of no process, runs one for this session. */
  readonly withLock: <A, E, R>(
    cookie: Redacted.Redacted,
    effect: Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | StoreUnavailable, R>
}
