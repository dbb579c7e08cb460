/** Keeps sessions in tables of a database: the sessions, their locks, and entries such as marks of logouts. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as SqlClient from "effect/sql/SqlClient"
import type { ConfigurationError } from "../../core/SecurityError.ts"
import type { Commands } from "../../stores/commands.ts"
import * as lock from "../../stores/lock.ts"
import * as lockSql from "../../stores/lockSql.ts"
import * as sqlTable from "../../stores/sqlTable.ts"
import type { StoreUnavailable } from "../../stores/storeUnavailable.ts"
import { lockTimes, type SessionBackend } from "./backend.ts"

const sessionTable = "effect_oauth2_sessions"
const entryTable = "effect_oauth2_session_entries"

/** Drivers return a BIGINT as a number, a bigint or a text. */
type Integer = number | bigint | string

interface Row {
  readonly version: Integer
  readonly sealed: string
  readonly subject: string
  readonly session: string | null
  readonly created: Integer
  readonly used: Integer
  readonly ends: Integer
}

const columns = `,
  version BIGINT NOT NULL,
  sealed TEXT NOT NULL,
  subject TEXT NOT NULL,
  session TEXT,
  created BIGINT NOT NULL,
  used BIGINT NOT NULL,
  ends BIGINT NOT NULL`

export const make = Effect.fnUntraced(function* (
  commands: Commands
): Effect.fn.Return<SessionBackend, ConfigurationError | StoreUnavailable, SqlClient.SqlClient | Scope.Scope> {
  const { run } = commands
  const sql = yield* sqlTable.make(sessionTable, commands, columns)
  yield* sqlTable.make(entryTable, commands, ", value TEXT NOT NULL")
  const locks = lock.make("SessionStore", yield* lockSql.make(commands), lockTimes)
  const sessions = sql(sessionTable)
  const entries = sql(entryTable)
  for (const owner of ["subject", "session"]) {
    yield* run(sql`CREATE INDEX IF NOT EXISTS ${sql(`${sessionTable}_${owner}`)} ON ${sessions} (${sql(owner)})`)
  }
  const withNow = <A>(command: (now: number) => Effect.Effect<A, unknown>) =>
    Effect.flatMap(Clock.currentTimeMillis, (now) => run(command(now)))
  const end = (now: number, timeToLive: number): number => now + Math.ceil(timeToLive)
  const one = <A>(command: (now: number) => Effect.Effect<ReadonlyArray<A>, unknown>) =>
    Effect.map(withNow(command), (rows) => rows.length === 1)

  return {
    insert: (key, { createdAt, expiresAt, lastUsedAt, owners: [subject = "", session], sealed, version }, timeToLive) =>
      Effect.asVoid(
        withNow(
          (now) => sql`INSERT INTO ${sessions} (id, expires, version, sealed, subject, session, created, used, ends)
            VALUES (${key}, ${end(now, timeToLive)}, ${version}, ${sealed}, ${subject}, ${session ?? null},
              ${createdAt}, ${lastUsedAt}, ${expiresAt})`
        )
      ),
    find: (key) =>
      Effect.map(
        withNow((now) => sql<Row>`SELECT * FROM ${sessions} WHERE id = ${key} AND expires > ${now}`),
        ([row]) =>
          row && {
            version: Number(row.version),
            sealed: row.sealed,
            owners: row.session === null ? [row.subject] : [row.subject, row.session],
            createdAt: Number(row.created),
            lastUsedAt: Number(row.used),
            expiresAt: Number(row.ends)
          }
      ),
    touch: (key, lastUsedAt, timeToLive) =>
      Effect.asVoid(
        withNow(
          (now) => sql`UPDATE ${sessions} SET used = ${lastUsedAt}, expires = ${end(now, timeToLive)}
            WHERE id = ${key} AND used < ${lastUsedAt}`
        )
      ),
    replace: (key, version, sealed) =>
      one(
        (now) => sql`UPDATE ${sessions} SET sealed = ${sealed}, version = version + 1
          WHERE id = ${key} AND version = ${version} AND expires > ${now} RETURNING id`
      ),
    remove: (key, version) =>
      Effect.map(
        run(
          version === undefined
            ? sql`DELETE FROM ${sessions} WHERE id = ${key} RETURNING id`
            : sql`DELETE FROM ${sessions} WHERE id = ${key} AND version = ${version} RETURNING id`
        ),
        (rows) => rows.length > 0
      ),
    removeOwned: (owner) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) =>
        Effect.map(
          run(
            sql<{ readonly id: string; readonly expires: Integer }>`DELETE FROM ${sessions}
              WHERE subject = ${owner} OR session = ${owner} RETURNING id, expires`
          ),
          (rows) => rows.filter(({ expires }) => Number(expires) > now).map(({ id }) => id)
        )
      ),
    addOnce: (key, timeToLive) =>
      one(
        (now) => sql`INSERT INTO ${entries} (id, expires, value) VALUES (${`once.${key}`}, ${end(now, timeToLive)}, '')
          ON CONFLICT (id) DO UPDATE SET expires = excluded.expires WHERE ${entries}.expires <= ${now}
          RETURNING id`
      ),
    mark: (owner, at, timeToLive) =>
      Effect.asVoid(
        withNow(
          (now) => sql`INSERT INTO ${entries} (id, expires, value)
            VALUES (${`mark.${owner}`}, ${end(now, timeToLive)}, ${String(at)})
            ON CONFLICT (id) DO UPDATE SET
              value = CASE WHEN CAST(excluded.value AS BIGINT) > CAST(${entries}.value AS BIGINT)
                THEN excluded.value ELSE ${entries}.value END,
              expires = CASE WHEN excluded.expires > ${entries}.expires THEN excluded.expires
                ELSE ${entries}.expires END`
        )
      ),
    findMark: (owner) =>
      Effect.map(
        withNow(
          (now) =>
            sql<{ readonly value: string }>`SELECT value FROM ${entries}
              WHERE id = ${`mark.${owner}`} AND expires > ${now}`
        ),
        ([row]) => (row === undefined ? undefined : Number(row.value))
      ),
    ...locks
  }
})
