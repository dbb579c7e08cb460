/** Keeps locks in the table `effect_oauth2_locks` of a database: a row with its holder, which expires. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as SqlClient from "effect/sql/SqlClient"
import type { ConfigurationError } from "../core/SecurityError.ts"
import type { Commands } from "./commands.ts"
import type { Leases } from "./lock.ts"
import * as sqlTable from "./sqlTable.ts"
import type { StoreUnavailable } from "./storeUnavailable.ts"

const name = "effect_oauth2_locks"

export const make = Effect.fnUntraced(function* (
  commands: Commands
): Effect.fn.Return<Leases, ConfigurationError | StoreUnavailable, SqlClient.SqlClient | Scope.Scope> {
  const sql = yield* sqlTable.make(name, commands, ", holder TEXT NOT NULL")
  const locks = sql(name)
  const one = (command: (now: number) => Effect.Effect<ReadonlyArray<unknown>, unknown>) =>
    Effect.flatMap(Clock.currentTimeMillis, (now) =>
      Effect.map(commands.run(command(now)), (rows) => rows.length === 1)
    )
  const end = (now: number, timeToLive: number): number => now + Math.ceil(timeToLive)
  const leases: Leases = {
    acquire: (key, holder, timeToLive) =>
      one(
        (now) => sql`INSERT INTO ${locks} (id, expires, holder) VALUES (${key}, ${end(now, timeToLive)}, ${holder})
          ON CONFLICT (id) DO UPDATE SET expires = excluded.expires, holder = excluded.holder
            WHERE ${locks}.expires <= ${now} OR ${locks}.holder = ${holder}
          RETURNING id`
      ),
    renew: (key, holder, timeToLive) =>
      one(
        (now) => sql`UPDATE ${locks} SET expires = ${end(now, timeToLive)}
          WHERE id = ${key} AND holder = ${holder} RETURNING id`
      ),
    release: (key, holder) =>
      Effect.asVoid(commands.run(sql`DELETE FROM ${locks} WHERE id = ${key} AND holder = ${holder}`))
  }
  return leases
})
