/** Keeps a grant in a table of a database, encrypted. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as SqlClient from "effect/sql/SqlClient"
import type { ConfigurationError } from "../../core/SecurityError.ts"
import * as commands from "../../stores/commands.ts"
import * as lockSql from "../../stores/lockSql.ts"
import * as sqlTable from "../../stores/sqlTable.ts"
import type { StoreUnavailable } from "../../stores/storeUnavailable.ts"
import type { Store } from "./model.ts"
import * as shared from "./shared.ts"

const name = "effect_oauth2_grants"

/** The lifetime of a refresh token is not known. */
const never = Number.MAX_SAFE_INTEGER

export const make = Effect.fnUntraced(function* (
  options: shared.SharedOptions
): Effect.fn.Return<Store, ConfigurationError | StoreUnavailable, SqlClient.SqlClient | Scope.Scope> {
  const settings = yield* shared.read(options)
  const sender = yield* commands.make("TokenStore", options)
  const sql = yield* sqlTable.make(name, sender, ", version TEXT NOT NULL, content TEXT NOT NULL")
  const grants = sql(name)
  const { id } = settings
  const one = (command: Effect.Effect<ReadonlyArray<unknown>, unknown>) =>
    Effect.map(sender.run(command), (rows) => rows.length === 1)
  return shared.make(
    settings,
    {
      find: Effect.map(
        Effect.suspend(() =>
          sender.run(sql<{ readonly content: string }>`SELECT content FROM ${grants} WHERE id = ${id}`)
        ),
        ([row]) => row?.content
      ),
      replace: (expected, version, text) =>
        one(
          expected === undefined
            ? sql`INSERT INTO ${grants} (id, expires, version, content) VALUES (${id}, ${never}, ${version}, ${text})
                ON CONFLICT (id) DO NOTHING RETURNING id`
            : sql`UPDATE ${grants} SET version = ${version}, content = ${text}
                WHERE id = ${id} AND version = ${expected} RETURNING id`
        ),
      remove: (version) =>
        one(
          version === undefined
            ? sql`DELETE FROM ${grants} WHERE id = ${id} RETURNING id`
            : sql`DELETE FROM ${grants} WHERE id = ${id} AND version = ${version} RETURNING id`
        )
    },
    yield* lockSql.make(sender)
  )
})
