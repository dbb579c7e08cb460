/**
 * Remembers identifiers that may be used once, such as the `jti` of a DPoP proof, for all processes of a fleet.
 *
 * **When to use**
 *
 * Use if several processes must refuse what one of them has already accepted.
 *
 * **Details**
 *
 * | adapter | shared by | needs |
 * |---|---|---|
 * | `ReplayStore.layerMemory` | one process | nothing |
 * | `ReplayStore.layerRedis` | all processes with one Redis | the service `Redis` of `effect/persistence` |
 * | `ReplayStore.layerSql` | all processes with one database | an `SqlClient` for SQLite or PostgreSQL |
 *
 * Stores contain SHA-256 digests of the identifiers. If a store cannot answer, `addOnce` fails with `StoreUnavailable`
 * and accepts nothing. The counter `oauth2_store_failures_total` counts these failures by `store` and `reason`.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Redis from "effect/persistence/Redis"
import type * as SqlClient from "effect/sql/SqlClient"
import { readInstant } from "../core/lib/instant.ts"
import { ownProperties } from "../core/lib/ownProperties.ts"
import { refuseOption } from "../core/refuseOption.ts"
import type { ConfigurationError } from "../core/SecurityError.ts"
import * as commands from "./commands.ts"
import * as hash from "./hash.ts"
import * as redisCommands from "./redisCommands.ts"
import * as replayKey from "./replayKey.ts"
import { ReplayMemory } from "./replayMemory.ts"
import * as sqlTable from "./sqlTable.ts"
import type { StoreUnavailable } from "./storeUnavailable.ts"

export { StoreUnavailable } from "./storeUnavailable.ts"

/**
 * Options for an adapter that waits for a server.
 *
 * @category models
 * @since 0.1.0
 */
export type CommandOptions = commands.CommandOptions

/**
 * Options for the keys in Redis.
 *
 * @category models
 * @since 0.1.0
 */
export type RedisOptions = redisCommands.RedisOptions

/**
 * Service that remembers identifiers for a time.
 *
 * **Example** (Accepting a link once)
 *
 * ```ts
 * import { Duration, Effect } from "effect"
 * import { ReplayStore } from "effect-oauth2/ReplayStore"
 *
 * export const isFirstUse = Effect.fn("isFirstUse")(function* (linkId: string) {
 *   const store = yield* ReplayStore
 *   return yield* store.addOnce(linkId, Duration.minutes(10))
 * })
 * ```
 *
 * @category services
 * @since 0.1.0
 */
export class ReplayStore extends Context.Service<
  ReplayStore,
  {
    /**
     * Adds an identifier. Returns `true` if the identifier is new, and `false` if it was added before and its
     * `timeToLive` has not ended. Of several calls at the same time, one returns `true`.
     *
     * If the store does not answer in time, it may have added the identifier. A retry may then return `false`.
     */
    readonly addOnce: (key: string, timeToLive: Duration.Duration) => Effect.Effect<boolean, StoreUnavailable>
  }
>()(replayKey.key) {
  /**
   * Layer with a store in the memory of one process.
   *
   * **Details**
   *
   * A full store refuses new identifiers with `StoreUnavailable`, because an evicted identifier could be used again. An
   * entry takes about 150 bytes. `capacity` is a number of identifiers. Default: 100 000.
   *
   * **Gotchas**
   *
   * Several processes with a store in memory accept the same identifier once each.
   *
   * **Example** (Remembering up to 10 000 identifiers)
   *
   * ```ts
   * import { ReplayStore } from "effect-oauth2/ReplayStore"
   *
   * export const Replays = ReplayStore.layerMemory({ capacity: 10_000 })
   * ```
   *
   * @since 0.1.0
   */
  static layerMemory(
    options: {
      /** Maximum number of identifiers. A full store refuses new identifiers. Default: 100 000. */
      readonly capacity?: number
    } = {}
  ): Layer.Layer<ReplayStore, ConfigurationError> {
    return Layer.effect(
      ReplayStore,
      Effect.gen(function* () {
        const { capacity = 100_000 } = ownProperties(options)
        if (!Number.isSafeInteger(capacity) || capacity < 1 || capacity > 10_000_000) {
          return yield* refuseOption("capacity", "must be a whole number of identifiers between 1 and 10000000")
        }
        const failing = yield* commands.make("ReplayStore", {})
        const memory = new ReplayMemory(capacity)
        return ReplayStore.of({
          addOnce: (key, timeToLive) =>
            Effect.flatMap(hash.of(key), (hash) =>
              Effect.clockWith((clock) => {
                const isNew = memory.addOnce(hash, Duration.toMillis(timeToLive), readInstant(clock))
                return isNew === undefined ? Effect.fail(failing.unavailable("Full")) : Effect.succeed(isNew)
              })
            )
        })
      })
    )
  }

  /**
   * Layer with a store in Redis, or in a server with the protocol of Redis.
   *
   * **Details**
   *
   * One command for each identifier: `SET <prefix>:v1:jti:{<digest>} "" NX PX <timeToLive>`.
   *
   * **Gotchas**
   *
   * Set `maxmemory-policy noeviction`. Every other policy deletes identifiers before they expire, without an error.
   *
   * **Example** (Sharing identifiers over Redis)
   *
   * ```ts
   * import { NodeRedis } from "@effect/platform-node"
   * import { Layer } from "effect"
   * import { ReplayStore } from "effect-oauth2/ReplayStore"
   *
   * export const Replays = ReplayStore.layerRedis({ prefix: "items-api" }).pipe(
   *   Layer.provide(NodeRedis.layer({ url: "redis://127.0.0.1:6379", disableOfflineQueue: true }))
   * )
   * ```
   *
   * @since 0.1.0
   */
  static layerRedis(
    options: RedisOptions & CommandOptions = {}
  ): Layer.Layer<ReplayStore, ConfigurationError, Redis.Redis> {
    return Layer.effect(
      ReplayStore,
      Effect.gen(function* () {
        const own = ownProperties(options)
        const { run } = yield* commands.make("ReplayStore", own)
        const { key: keyOf, onPrimary } = yield* redisCommands.make(own)
        return ReplayStore.of({
          addOnce: (key, timeToLive) =>
            Effect.flatMap(hash.of(key), (hash) =>
              run(
                Effect.map(
                  onPrimary(({ send }) =>
                    send("SET", keyOf("jti", hash), "", "NX", "PX", String(wholeMillis(timeToLive)))
                  ),
                  (reply) => reply === "OK"
                )
              )
            )
        })
      })
    )
  }

  /**
   * Layer with a store in the table `effect_oauth2_replays` of a database. The layer creates the table.
   *
   * **Details**
   *
   * Expired rows are deleted once a minute. The clock of each process decides about expiry, so clocks must agree.
   *
   * **Example** (Sharing identifiers over SQL)
   *
   * ```ts
   * import { ReplayStore } from "effect-oauth2/ReplayStore"
   *
   * // Provide the SqlClient of your database.
   * export const Replays = ReplayStore.layerSql({ timeout: "500 millis" })
   * ```
   *
   * @since 0.1.0
   */
  static layerSql(
    options: CommandOptions = {}
  ): Layer.Layer<ReplayStore, ConfigurationError | StoreUnavailable, SqlClient.SqlClient> {
    return Layer.effect(
      ReplayStore,
      Effect.gen(function* () {
        const commandsOfStore = yield* commands.make("ReplayStore", ownProperties(options))
        const sql = yield* sqlTable.make(table, commandsOfStore, "")
        const replays = sql(table)
        return ReplayStore.of({
          addOnce: Effect.fnUntraced(function* (key, timeToLive) {
            const id = yield* hash.of(key)
            const now = yield* Clock.currentTimeMillis
            const rows = yield* commandsOfStore.run(
              sql`INSERT INTO ${replays} (id, expires) VALUES (${id}, ${now + wholeMillis(timeToLive)})
                ON CONFLICT (id) DO UPDATE SET expires = excluded.expires WHERE ${replays}.expires <= ${now}
                RETURNING id`
            )
            return rows.length === 1
          })
        })
      })
    )
  }
}

const table = "effect_oauth2_replays"

const wholeMillis = (duration: Duration.Duration): number =>
  Math.min(Math.max(1, Math.ceil(Duration.toMillis(duration))), Number.MAX_SAFE_INTEGER / 4)
