/** Keeps revocations in Redis: a key for each entry, an index with all entries, and a mark. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Redis from "effect/persistence/Redis"
import * as Queue from "effect/Queue"
import type { ConfigurationError } from "../core/SecurityError.ts"
import * as redisCommands from "./redisCommands.ts"
import type { Backend } from "./revocationBackend.ts"
import { type Entry, isEntry } from "./revocationEntry.ts"

/**
 * Writes an entry that may only become stricter: the script compares the old value with the new one, and returns the
 * value that it has written. It is sent with each command, because a server after a failover has no loaded scripts.
 */
const raise = `
local value = ARGV[1]
local current = redis.call('GET', KEYS[1])
if current == 'revoked' or (ARGV[3] == 'max' and current and tonumber(current) > tonumber(value)) then
  value = current
end
local millis = math.max(tonumber(ARGV[2]), redis.call('PTTL', KEYS[1]))
redis.call('SET', KEYS[1], value, 'PX', string.format('%.0f', millis))
return value`

/** Number of entries that one command reads. */
const pageSize = "1000"

const encode = ({ expires, id, value }: Entry): string => `${id} ${value} ${expires}`

const decode = (text: string): Entry | undefined => {
  const [id = "", value = "", expires] = text.split(" ")
  return isEntry(id, value, Number(expires)) ? { id, value, expires: Number(expires) } : undefined
}

export const make = Effect.fnUntraced(function* (
  options: redisCommands.RedisOptions
): Effect.fn.Return<Backend, ConfigurationError, Redis.Redis> {
  const redis = yield* Redis.Redis
  const { channel, key, onPrimary } = yield* redisCommands.make(options)
  const index = key("rev", "index")
  const marked = key("rev", "mark")
  const deleteExpired = ({ send }: redisCommands.Sender) =>
    Effect.flatMap(Clock.currentTimeMillis, (now) => send("ZREMRANGEBYSCORE", index, "-inf", String(now)))
  return {
    write: Effect.fnUntraced(function* (entry) {
      const millis = String(Math.max(1, Math.ceil(entry.expires - (yield* Clock.currentTimeMillis))))
      const rule = entry.id.startsWith("sub.") ? "max" : "last"
      yield* onPrimary(
        Effect.fnUntraced(function* (connection) {
          const value = yield* connection.send<string>(
            "EVAL",
            raise,
            "1",
            key("rev", entry.id),
            entry.value,
            millis,
            rule
          )
          const written = encode({ ...entry, value })
          yield* connection.send("ZADD", index, String(entry.expires), written)
          yield* connection.send("SET", marked, crypto.randomUUID())
          // The message comes last: a process that receives it finds the entry in the index.
          yield* connection.send("PUBLISH", channel("rev"), written)
        })
      )
    }),
    // GETEX without options reads like GET, and Redis counts it as a write.
    find: (ids) =>
      onPrimary(({ send }) =>
        Effect.forEach(
          ids,
          (id) => Effect.map(send("GETEX", key("rev", id)), (value) => (typeof value === "string" ? value : undefined)),
          { concurrency: "unbounded" }
        )
      ),
    mark: onPrimary(
      Effect.fnUntraced(function* (connection) {
        yield* deleteExpired(connection)
        const mark = yield* connection.send("GET", marked)
        return typeof mark === "string" ? mark : undefined
      })
    ),
    // Unlike pages by rank, ZSCAN returns every entry that stays in the index while other processes delete some.
    page: (cursor = "0") =>
      onPrimary(
        Effect.fnUntraced(function* (connection) {
          yield* deleteExpired(connection)
          const reply = yield* connection.send("ZSCAN", index, cursor, "COUNT", pageSize)
          const [next, members] = Array.isArray(reply) ? (reply as ReadonlyArray<unknown>) : []
          const texts = Array.isArray(members) ? (members as ReadonlyArray<unknown>).filter((_, i) => i % 2 === 0) : []
          const entries = texts.flatMap((text) => (typeof text === "string" ? (decode(text) ?? []) : []))
          return { entries, next: String(next) === "0" ? undefined : String(next) }
        })
      ),
    notifications: (onEntry) =>
      Effect.flatMap(redis.subscribe(channel("rev")), (queue) =>
        Effect.forever(
          Effect.map(Queue.take(queue), ({ message }) => {
            const entry = decode(message)
            if (entry !== undefined) onEntry(entry)
          })
        )
      )
  }
})
