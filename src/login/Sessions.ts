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
 * | layer | for | limits |
 * |---|---|---|
 * | `layerMemory` | one process, tests | sessions end with the process |
 * | `layerRedis` | several processes | a Redis server with `noeviction` |
 * | `layerSql` | several processes | clocks of the processes must agree |
 * | `layerCookie` | apps without a store | 4096 bytes, no logout on the server, no refresh |
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Redis from "effect/persistence/Redis"
import type * as SqlClient from "effect/sql/SqlClient"
import { ownProperties } from "../core/lib/ownProperties.ts"
import { refuseOption } from "../core/refuseOption.ts"
import type { ConfigurationError } from "../core/SecurityError.ts"
import * as commands from "../stores/commands.ts"
import type { RedisOptions } from "../stores/redisCommands.ts"
import type { StoreUnavailable } from "../stores/storeUnavailable.ts"
import * as cookie from "./sessions/cookie.ts"
import type { SessionStore } from "./sessions/store.ts"
import * as keyRing from "../stores/keyRing.ts"
import * as memory from "./sessions/memory.ts"
import { readTimeouts, type TimeoutOptions } from "./sessions/options.ts"
import * as redis from "./sessions/redis.ts"
import * as serverSide from "./sessions/serverSide.ts"
import * as sql from "./sessions/sql.ts"

export { StoreUnavailable } from "../stores/storeUnavailable.ts"
export { type Session, type SessionData, type SessionOwner, SignedOut } from "./sessions/model.ts"
export type { SessionStore } from "./sessions/store.ts"
export type { TimeoutOptions } from "./sessions/options.ts"

/**
 * Options for `Sessions.layerMemory`.
 *
 * @category models
 * @since 0.1.0
 */
export interface MemoryOptions extends TimeoutOptions {
  /** Number of sessions. A full store ends the session that was not used for the longest time. Default: 50 000. */
  readonly capacity?: number
}

/**
 * Options for `Sessions.layerCookie`.
 *
 * @category models
 * @since 0.1.0
 */
export interface CookieOptions extends Pick<TimeoutOptions, "absoluteTimeout"> {
  /**
   * A secret of at least 32 bytes, such as the output of `openssl rand -base64 32`, or a list of them. The first one
   * encrypts, and all of them decrypt. To replace a secret, add the new one in front, and remove the old one after
   * `absoluteTimeout`.
   */
  readonly keys: keyRing.Secrets
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
 * @since 0.1.0
 */
export class Sessions extends Context.Service<Sessions, SessionStore>()("effect-oauth2/login/Sessions") {
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
   * @since 0.1.0
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

  /**
   * Layer with sessions in Redis, or in a server with the protocol of Redis, for several processes.
   *
   * **Details**
   *
   * | key | content |
   * |---|---|
   * | `<prefix>:v1:sess:{<digest>}` | one session, encrypted. It expires with the idle time-out |
   * | `<prefix>:v1:owner:{<digest>}` | the sessions of a user, or of a session at the issuer, by their ends |
   * | `<prefix>:v1:lock:{<digest>}` | a refresh in progress, for 10 seconds |
   * | `<prefix>:v1:mark:{<digest>}`, `<prefix>:v1:once:{<digest>}` | logouts of the last 15 minutes, used identifiers |
   *
   * If Redis does not answer in time, requests with a session get 503, and browsers keep their cookies.
   *
   * **Gotchas**
   *
   * Set `maxmemory-policy noeviction`. Every other policy ends sessions without an error.
   *
   * **Example** (Sharing sessions over Redis)
   *
   * ```ts
   * import { NodeRedis } from "@effect/platform-node"
   * import { Layer } from "effect"
   * import { Sessions } from "effect-oauth2/login"
   *
   * export const Store = Sessions.layerRedis({ prefix: "shop", idleTimeout: "8 hours" }).pipe(
   *   Layer.provide(NodeRedis.layer({ url: "redis://127.0.0.1:6379", disableOfflineQueue: true }))
   * )
   * ```
   *
   * @since 0.1.0
   */
  static layerRedis(
    given: TimeoutOptions & RedisOptions & commands.CommandOptions = {}
  ): Layer.Layer<Sessions, ConfigurationError, Redis.Redis> {
    return Layer.effect(
      Sessions,
      Effect.gen(function* () {
        const options = ownProperties(given)
        const timeouts = yield* readTimeouts(options)
        const backend = yield* redis.make(yield* commands.make("SessionStore", options), options)
        return Sessions.of(serverSide.make(backend, timeouts))
      })
    )
  }

  /**
   * Layer with sessions in a database, for several processes. The layer creates the tables `effect_oauth2_sessions`,
   * `effect_oauth2_session_entries` and `effect_oauth2_locks`.
   *
   * **Details**
   *
   * Rows of ended sessions are deleted once a minute. The clock of each process decides about expiry, so clocks must
   * agree. SQLite and PostgreSQL are supported.
   *
   * **Example** (Keeping sessions in a database)
   *
   * ```ts
   * import { Sessions } from "effect-oauth2/login"
   *
   * // Provide the SqlClient of your database.
   * export const Store = Sessions.layerSql({ timeout: "500 millis" })
   * ```
   *
   * @since 0.1.0
   */
  static layerSql(
    given: TimeoutOptions & commands.CommandOptions = {}
  ): Layer.Layer<Sessions, ConfigurationError | StoreUnavailable, SqlClient.SqlClient> {
    return Layer.effect(
      Sessions,
      Effect.gen(function* () {
        const options = ownProperties(given)
        const timeouts = yield* readTimeouts(options)
        const backend = yield* sql.make(yield* commands.make("SessionStore", options))
        return Sessions.of(serverSide.make(backend, timeouts))
      })
    )
  }

  /**
   * Layer with sessions in cookies, which needs no store.
   *
   * **When to use**
   *
   * Use for an app without Redis and without a database, whose sessions are small and short.
   *
   * **Details**
   *
   * The session is encrypted by AES-256-GCM. The server has no copy:
   *
   * - A logout deletes the cookie in the browser. A copy of the cookie stays valid until `absoluteTimeout`.
   * - `destroyBy` ends nothing, so back-channel logout is not possible.
   * - Tokens are not refreshed, because two responses would overwrite each other's cookie.
   * - There is no idle time-out.
   *
   * **Gotchas**
   *
   * A browser keeps at most 4096 bytes for a cookie. `create` dies with a message if a session is larger, for example
   * because an access token lists many groups.
   *
   * **Example** (Reading the secrets from the environment)
   *
   * ```ts
   * import { Config, Effect, Layer } from "effect"
   * import { Sessions } from "effect-oauth2/login"
   *
   * export const Store = Layer.unwrap(
   *   Effect.map(Config.Redacted("SESSION_KEY"), (key) =>
   *     Sessions.layerCookie({ keys: key, absoluteTimeout: "8 hours" })
   *   )
   * )
   * ```
   *
   * @since 0.1.0
   */
  static layerCookie(given: CookieOptions): Layer.Layer<Sessions, ConfigurationError> {
    return Layer.effect(
      Sessions,
      Effect.gen(function* () {
        const { absoluteTimeout, keys } = ownProperties(given)
        const { absolute } = yield* readTimeouts(absoluteTimeout === undefined ? {} : { absoluteTimeout })
        const ring = yield* keyRing.make("keys", keys, "effect-oauth2 session")
        return Sessions.of(cookie.make(ring, absolute, memory.make(100_000)))
      })
    )
  }
}
