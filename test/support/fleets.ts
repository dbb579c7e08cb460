/** Runs one conformance suite against each adapter of a store: in memory, in a real Redis, and in a real SQLite. */
import { type Context, Effect, Layer, type Scope } from "effect"
import type * as Redis from "effect/persistence/Redis"
import type * as SqlClient from "effect/sql/SqlClient"
import * as nodeSqlite from "./nodeSqlite.ts"
import * as redisServer from "./redisServer.ts"

export interface Fleet<S> {
  readonly name: string
  readonly isMissing: boolean
  /** The stores of two processes. In memory, both are the store of one process. */
  readonly stores: Effect.Effect<readonly [S, S], never, Scope.Scope>
}

export const fleets = <I, S>(
  key: Context.Key<I, S>,
  layers: {
    readonly memory: Layer.Layer<I, unknown>
    readonly redis: Layer.Layer<I, unknown, Redis.Redis>
    readonly sql: Layer.Layer<I, unknown, SqlClient.SqlClient>
  }
): ReadonlyArray<Fleet<S>> => {
  const build = (layer: Layer.Layer<I, unknown>) =>
    Effect.map(Effect.orDie(Layer.build(Layer.fresh(layer))), (context) => context.mapUnsafe.get(key.key) as S)
  const two = (layer: Layer.Layer<I, unknown>) => Effect.all([build(layer), build(layer)])
  return [
    { name: "memory", isMissing: false, stores: Effect.map(build(layers.memory), (store) => [store, store]) },
    {
      name: "Redis",
      isMissing: redisServer.missing,
      stores: Effect.flatMap(redisServer.RedisServer.make, (server) =>
        two(layers.redis.pipe(Layer.provide(Layer.fresh(redisServer.layerClient(server.port)))))
      )
    },
    {
      name: "SQLite",
      isMissing: false,
      stores: Effect.flatMap(nodeSqlite.file, (file) =>
        two(layers.sql.pipe(Layer.provide(Layer.fresh(nodeSqlite.layer(file)))))
      )
    }
  ]
}
