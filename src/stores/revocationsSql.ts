/** Keeps revocations in a table of a database. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as SqlClient from "effect/sql/SqlClient"
import type { ConfigurationError } from "../core/SecurityError.ts"
import type { Commands } from "./commands.ts"
import type { Backend } from "./revocationBackend.ts"
import type { Entry } from "./revocationEntry.ts"
import * as sqlTable from "./sqlTable.ts"
import type { StoreUnavailable } from "./storeUnavailable.ts"

const name = "effect_oauth2_revocations"

/** Number of rows that one statement reads. */
const pageSize = 1000

/** The id of the row with the mark. No entry has such an id. */
const markId = "mark"

/** The mark does not expire. */
const never = Number.MAX_SAFE_INTEGER

interface Row {
  readonly id: string
  readonly value: string
  readonly expires: number | bigint | string
}

export const make = Effect.fnUntraced(function* (
  commands: Commands
): Effect.fn.Return<Backend, ConfigurationError | StoreUnavailable, SqlClient.SqlClient | Scope.Scope> {
  const sql = yield* sqlTable.make(name, commands, ", value TEXT NOT NULL")
  const table = sql(name)
  const upsert = ({ expires, id, value }: Entry) =>
    id.startsWith("sub.")
      ? sql`INSERT INTO ${table} (id, expires, value) VALUES (${id}, ${expires}, ${value})
          ON CONFLICT (id) DO UPDATE SET
            value = CASE WHEN CAST(excluded.value AS BIGINT) > CAST(${table}.value AS BIGINT)
              THEN excluded.value ELSE ${table}.value END,
            expires = CASE WHEN excluded.expires > ${table}.expires THEN excluded.expires ELSE ${table}.expires END`
      : sql`INSERT INTO ${table} (id, expires, value) VALUES (${id}, ${expires}, ${value})
          ON CONFLICT (id) DO UPDATE SET
            value = CASE WHEN ${table}.value = 'revoked' THEN ${table}.value ELSE excluded.value END,
            expires = CASE WHEN excluded.expires > ${table}.expires THEN excluded.expires ELSE ${table}.expires END`
  const select = (ids: ReadonlyArray<string>) =>
    Effect.flatMap(
      Clock.currentTimeMillis,
      (now) => sql<Row>`SELECT id, value, expires FROM ${table} WHERE ${sql.in("id", ids)} AND expires > ${now}`
    )
  return {
    write: (entry) => Effect.andThen(upsert(entry), upsert({ id: markId, value: crypto.randomUUID(), expires: never })),
    find: (ids) => Effect.map(select(ids), (rows) => ids.map((id) => rows.find((row) => row.id === id)?.value)),
    mark: Effect.map(select([markId]), ([row]) => row?.value),
    page: (cursor = "") =>
      Effect.flatMap(Clock.currentTimeMillis, (now) =>
        Effect.map(
          sql<Row>`SELECT id, value, expires FROM ${table}
            WHERE id > ${cursor} AND id <> ${markId} AND expires > ${now} ORDER BY id LIMIT ${pageSize}`,
          (rows) => ({
            entries: rows.map(({ expires, id, value }) => ({ id, value, expires: Number(expires) })),
            next: rows.length < pageSize ? undefined : rows.at(-1)?.id
          })
        )
      ),
    notifications: undefined
  }
})
