/**
 * Keeps sessions in Redis: a key for each session, and an index for each owner. A session and its index have different
 * slots of a cluster, so no script uses both.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Redis from "effect/persistence/Redis"
import type { ConfigurationError } from "../../core/SecurityError.ts"
import type { Commands } from "../../stores/commands.ts"
import * as lock from "../../stores/lock.ts"
import * as lockRedis from "../../stores/lockRedis.ts"
import * as redisCommands from "../../stores/redisCommands.ts"
import { lockTimes, type SessionBackend, type SessionRecord } from "./backend.ts"

// The scripts are sent with each command, because a server after a failover has no loaded scripts.

/** Replaces the sealed data of one version. A session that was removed meanwhile stays removed. */
const replace = `
local value = redis.call('GET', KEYS[1])
local version, rest = string.match(value or '', '^(%d+) (.+) [^ ]*$')
if version ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], (tonumber(version) + 1) .. ' ' .. rest .. ' ' .. ARGV[2], 'KEEPTTL')
return 1`

/** Changes the time of use, and postpones the end. The time and the end never go back. */
const touch = `
local value = redis.call('GET', KEYS[1])
local before, used, after = string.match(value or '', '^(%d+ %d+ )(%d+)( .+)$')
if not before then return 0 end
if tonumber(used) >= tonumber(ARGV[1]) then return 1 end
local millis = math.max(tonumber(ARGV[2]), redis.call('PTTL', KEYS[1]))
redis.call('SET', KEYS[1], before .. ARGV[1] .. after, 'PX', string.format('%.0f', millis))
return 1`

/** Adds a session to the index of an owner. The index lives as long as its last session. */
const index = `
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[4])
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[3]) then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
return 1`

/** Remembers the latest time. */
const mark = `
local millis = math.max(tonumber(ARGV[2]), redis.call('PTTL', KEYS[1]))
local latest = math.max(tonumber(ARGV[1]), tonumber(redis.call('GET', KEYS[1]) or '0'))
redis.call('SET', KEYS[1], string.format('%.0f', latest), 'PX', string.format('%.0f', millis))
return 1`

/** Removes a session, if it has the version. Returns the removed session. */
const remove = `
local value = redis.call('GET', KEYS[1])
if ARGV[1] ~= '' and string.match(value or '', '^(%d+) ') ~= ARGV[1] then return false end
redis.call('DEL', KEYS[1])
return value`

const encode = ({ createdAt, expiresAt, lastUsedAt, owners, sealed, version }: SessionRecord): string =>
  [version, createdAt, lastUsedAt, expiresAt, owners.join(","), sealed].join(" ")

const decode = (value: unknown): SessionRecord | undefined => {
  if (typeof value !== "string") return
  const [version, createdAt, lastUsedAt, expiresAt, owners = "", sealed = ""] = value.split(" ")
  return {
    version: Number(version),
    createdAt: Number(createdAt),
    lastUsedAt: Number(lastUsedAt),
    expiresAt: Number(expiresAt),
    owners: owners.split(","),
    sealed
  }
}

const millis = (duration: number): string => String(Math.max(1, Math.ceil(duration)))

export const make = Effect.fnUntraced(function* (
  commands: Commands,
  options: redisCommands.RedisOptions
): Effect.fn.Return<SessionBackend, ConfigurationError, Redis.Redis> {
  const { run } = commands
  const redis = yield* redisCommands.make(options)
  const { key: keyOf, onPrimary } = redis
  const locks = lock.make("SessionStore", lockRedis.make(commands, redis), lockTimes)
  const sessionKey = (key: string) => keyOf("sess", key)
  const send = (...command: readonly [string, ...ReadonlyArray<string>]) =>
    run(onPrimary((connection) => connection.send(...command)))
  const evaluate = (script: string, key: string, ...args: ReadonlyArray<string>) =>
    Effect.map(send("EVAL", script, "1", key, ...args), (reply) => Number(reply) === 1)
  const leave = (owner: string, keys: ReadonlyArray<string>) => send("ZREM", keyOf("owner", owner), ...keys)

  return {
    insert: Effect.fnUntraced(function* (key, record, timeToLive) {
      const now = yield* Clock.currentTimeMillis
      // The index comes first: a logout that meets only the entry removes a session that does not exist yet.
      for (const owner of record.owners) {
        const [end, life] = [String(record.expiresAt), millis(record.expiresAt - now)]
        yield* evaluate(index, keyOf("owner", owner), key, end, life, String(now))
      }
      yield* send("SET", sessionKey(key), encode(record), "PX", millis(timeToLive))
    }),
    // GETEX without options reads like GET, and Redis counts it as a write, which a replica refuses.
    find: (key) => Effect.map(send("GETEX", sessionKey(key)), decode),
    touch: (key, lastUsedAt, timeToLive) =>
      Effect.asVoid(evaluate(touch, sessionKey(key), String(lastUsedAt), millis(timeToLive))),
    replace: (key, version, sealed) => evaluate(replace, sessionKey(key), String(version), sealed),
    remove: (key, version) =>
      Effect.flatMap(
        send("EVAL", remove, "1", sessionKey(key), version === undefined ? "" : String(version)),
        (value) => {
          const removed = decode(value)
          if (removed === undefined) return Effect.succeed(false)
          return Effect.as(
            Effect.forEach(removed.owners, (owner) => leave(owner, [key]), { discard: true }),
            true
          )
        }
      ),
    removeOwned: Effect.fnUntraced(function* (owner) {
      const now = String(yield* Clock.currentTimeMillis)
      const members = yield* run(
        onPrimary(({ send }) =>
          Effect.andThen(
            send("ZREMRANGEBYSCORE", keyOf("owner", owner), "-inf", now),
            send("ZRANGE", keyOf("owner", owner), "0", "-1")
          )
        )
      )
      const keys = Array.isArray(members) ? members.map(String) : []
      const counts = yield* Effect.forEach(keys, (key) => send("DEL", sessionKey(key)), { concurrency: 16 })
      // The sessions end before the index forgets them, so a failed logout can be sent again.
      if (keys.length > 0) yield* leave(owner, keys)
      return keys.filter((_, i) => Number(counts[i]) === 1)
    }),
    addOnce: (key, timeToLive) =>
      Effect.map(send("SET", keyOf("once", key), "", "NX", "PX", millis(timeToLive)), (reply) => reply === "OK"),
    mark: (owner, at, timeToLive) =>
      Effect.asVoid(evaluate(mark, keyOf("mark", owner), String(at), millis(timeToLive))),
    findMark: (owner) =>
      Effect.map(send("GETEX", keyOf("mark", owner)), (at) => (typeof at === "string" ? Number(at) : undefined)),
    ...locks
  }
})
