/** Creates the table of a store, and deletes its expired rows. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as SqlClient from "effect/sql/SqlClient"
import type { ConfigurationError } from "../core/SecurityError.ts"
import { refuseOption } from "../core/refuseOption.ts"
import type { Commands } from "./commands.ts"
import type { StoreUnavailable } from "./storeUnavailable.ts"

/** Time between two deletions of expired rows. */
const pruneInterval = "1 minute"

/**
 * Creates the table if it does not exist, with these columns beside `id` and `expires`. `expires` is in milliseconds
 * since the epoch.
 */
export const make = Effect.fnUntraced(function* (
  name: string,
  commands: Commands,
  columns: string
): Effect.fn.Return<SqlClient.SqlClient, ConfigurationError | StoreUnavailable, SqlClient.SqlClient | Scope.Scope> {
  const sql = (yield* SqlClient.SqlClient).withoutTransforms()
  const isSupported = sql.onDialectOrElse({ sqlite: () => true, pg: () => true, orElse: () => false })
  if (!isSupported) return yield* refuseOption("SqlClient", "must be a client of SQLite or PostgreSQL")
  yield* commands.run(
    sql`CREATE TABLE IF NOT EXISTS ${sql(name)} (id TEXT PRIMARY KEY, expires BIGINT NOT NULL${sql.literal(columns)})`
  )
  const prune = Effect.flatMap(Clock.currentTimeMillis, (now) =>
    commands.run(sql`DELETE FROM ${sql(name)} WHERE expires <= ${now}`)
  )
  yield* Effect.forkScoped(Effect.repeat(Effect.ignore(prune), Schedule.spaced(pruneInterval)))
  return sql
})
