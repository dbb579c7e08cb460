/** Keeps a grant in Redis, encrypted. */
import * as Effect from "effect/Effect"
import type * as Redis from "effect/persistence/Redis"
import type { ConfigurationError } from "../../core/SecurityError.ts"
import * as commands from "../../stores/commands.ts"
import * as lockRedis from "../../stores/lockRedis.ts"
import * as redisCommands from "../../stores/redisCommands.ts"
import type { Store } from "./model.ts"
import * as shared from "./shared.ts"

/**
 * Options for `TokenStore.layerRedis`.
 *
 * @category models
 * @since 0.1.0
 */
export interface RedisOptions extends shared.SharedOptions, redisCommands.RedisOptions {}

// The scripts are sent with each command, because a server after a failover has no loaded scripts.

const replace = `
local version = string.match(redis.call('GET', KEYS[1]) or '', '^([^ ]+) ') or ''
if version ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
return 1`

const remove = `
local version = string.match(redis.call('GET', KEYS[1]) or '', '^([^ ]+) ') or ''
if ARGV[1] ~= '' and version ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])`

export const make = Effect.fnUntraced(function* (
  options: RedisOptions
): Effect.fn.Return<Store, ConfigurationError, Redis.Redis> {
  const settings = yield* shared.read(options)
  const sender = yield* commands.make("TokenStore", options)
  const redis = yield* redisCommands.make(options)
  const key = redis.key("grant", settings.id)
  const send = (...command: readonly [string, ...ReadonlyArray<string>]) =>
    sender.run(redis.onPrimary((connection) => connection.send(...command)))
  const evaluate = (script: string, ...args: ReadonlyArray<string>) =>
    Effect.map(send("EVAL", script, "1", key, ...args), (reply) => Number(reply) === 1)
  return shared.make(
    settings,
    {
      // GETEX without options reads like GET, and Redis counts it as a write, which a replica refuses.
      find: Effect.map(send("GETEX", key), (value) => (typeof value === "string" ? value : undefined)),
      replace: (expected = "", _version, text) => evaluate(replace, expected, text),
      remove: (version = "") => evaluate(remove, version)
    },
    lockRedis.make(sender, redis)
  )
})
