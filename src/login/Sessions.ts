/**
 * Keeps the sessions of signed-in users.
 *
 * **Details**
 *
 * A cookie contains a random identifier and a random key. The store has the SHA-256 digest of the identifier, and the
 * session encrypted with the key by AES-256-GCM. A copy of the store therefore gives access to nothing.
 *
 * | time-out | default | what it means |
 * |---|---|---|
 * | `idleTimeout` | 1 day | the session ends without a request in this time |
 * | `absoluteTimeout` | 7 days | the session ends, however often it is used |
 *
 * @since 0.2.0
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import { ownProperties } from "../core/lib/ownProperties.ts"
import { refuseOption } from "../core/refuseOption.ts"
import type { ConfigurationError } from "../core/SecurityError.ts"
import type { StoreUnavailable } from "../stores/storeUnavailable.ts"
import * as memory from "./sessions/memory.ts"
import type { Session, SessionData, SessionOwner, SignedOut } from "./sessions/model.ts"
import { readTimeouts, type TimeoutOptions } from "./sessions/options.ts"
import * as serverSide from "./sessions/serverSide.ts"

export { StoreUnavailable } from "../stores/storeUnavailable.ts"
export { type Session, type SessionData, type SessionOwner, SignedOut } from "./sessions/model.ts"
export type { TimeoutOptions } from "./sessions/options.ts"

/**
 * Options for `Sessions.layerMemory`.
 *
 * @category models
 * @since 0.2.0
 */
export interface MemoryOptions extends TimeoutOptions {
  /** Number of sessions. A full store ends the session that was not used for the longest time. Default: 50 000. */
  readonly capacity?: number
}

/**
 * Service that keeps the sessions of signed-in users.
 *
 * **Example** (Ending all sessions of a user)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Sessions } from "effect-oauth2/login"
 *
 * export const disable = Effect.fn("disable")(function* (subject: string) {
 *   const sessions = yield* Sessions
 *   return yield* sessions.destroyBy({ issuer: "https://idp.example.com", subject })
 * })
 * ```
 *
 * @category services
 * @since 0.2.0
 */
export class Sessions extends Context.Service<
  Sessions,
  {
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
    /**
     * Replaces the data of a session that exists and has this version. Returns `false` otherwise. An ended session does
     * not come back.
     */
    readonly replace: (
      cookie: Redacted.Redacted,
      version: number,
      data: SessionData
    ) => Effect.Effect<boolean, StoreUnavailable>
    /** Ends a session. */
    readonly destroy: (cookie: Redacted.Redacted) => Effect.Effect<void, StoreUnavailable>
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
>()("effect-oauth2/login/Sessions") {
  /**
   * Layer with sessions in the memory of one process. They end when the process ends.
   *
   * **Example** (Ending sessions after 30 minutes without a request)
   *
   * ```ts
   * import { Sessions } from "effect-oauth2/login"
   *
   * export const Store = Sessions.layerMemory({ idleTimeout: "30 minutes", absoluteTimeout: "12 hours" })
   * ```
   *
   * @since 0.2.0
   */
  static layerMemory(given: MemoryOptions = {}): Layer.Layer<Sessions, ConfigurationError> {
    return Layer.effect(
      Sessions,
      Effect.gen(function* () {
        const options = ownProperties(given)
        const { capacity = 50_000 } = options
        if (!Number.isSafeInteger(capacity) || capacity < 1 || capacity > 10_000_000) {
          return yield* refuseOption("capacity", "must be a whole number of sessions between 1 and 10000000")
        }
        return Sessions.of(serverSide.make(memory.make(capacity), yield* readTimeouts(options)))
      })
    )
  }
}
