/** Provides an `SqlClient` for the SQLite of Node, in memory or in a file. */
import { Effect, Layer, type Scope, Semaphore, Stream } from "effect"
import * as Reactivity from "effect/reactivity/Reactivity"
import * as SqlClient from "effect/sql/SqlClient"
import type { Connection } from "effect/sql/SqlConnection"
import { classifySqliteError, SqlError } from "effect/sql/SqlError"
import * as Statement from "effect/sql/Statement"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync, type SQLInputValue } from "node:sqlite"

const toInput = (value: unknown): SQLInputValue => {
  if (value === null || typeof value === "string" || typeof value === "number" || typeof value === "bigint")
    return value
  throw new TypeError("SQLite has no such type.")
}

const connectionOf = (database: DatabaseSync): Connection => {
  const run = <A>(operation: () => A): Effect.Effect<A, SqlError> =>
    Effect.try({ try: operation, catch: (cause) => new SqlError({ reason: classifySqliteError(cause) }) })
  const rows = (sql: string, params: ReadonlyArray<unknown>) =>
    run(() => database.prepare(sql).all(...params.map(toInput)))
  const values = (sql: string, params: ReadonlyArray<unknown>) =>
    Effect.map(rows(sql, params), (rows) => rows.map((row) => Object.values(row)))
  return {
    execute: rows,
    executeRaw: rows,
    executeUnprepared: rows,
    executeValues: values,
    executeValuesUnprepared: values,
    executeStream: (sql, params) => Stream.fromIterableEffect(rows(sql, params))
  }
}

/** Opens a database file. Several clients of one file share its data, like several processes. */
export const layer = (file: string): Layer.Layer<SqlClient.SqlClient> =>
  Layer.effect(
    SqlClient.SqlClient,
    Effect.gen(function* () {
      const database = yield* Effect.acquireRelease(
        Effect.sync(() => new DatabaseSync(file)),
        (database) => Effect.sync(() => database.close())
      )
      database.exec("PRAGMA journal_mode = WAL; PRAGMA busy_timeout = 1000")
      const connection = connectionOf(database)
      const semaphore = yield* Semaphore.make(1)
      const { acquirer, borrower } = SqlClient.makeSqliteAcquirers({
        connection: Effect.succeed(connection),
        semaphore
      })
      return yield* SqlClient.make({
        acquirer,
        borrower,
        compiler: Statement.makeCompilerSqlite(),
        driver: "sqlite-node",
        spanAttributes: []
      }).pipe(Effect.provide(Reactivity.layer))
    })
  )

/** Creates a folder for a database file, and deletes the folder at the end. */
export const file: Effect.Effect<string, never, Scope.Scope> = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "sqlite-"))),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
  ),
  (folder) => join(folder, "fleet.db")
)
