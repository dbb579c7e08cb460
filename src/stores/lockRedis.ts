/** Keeps locks in Redis: a key with its holder, which expires. */
import * as Effect from "effect/Effect"
import type { Commands } from "./commands.ts"
import type { Leases } from "./lock.ts"
import type { RedisCommands } from "./redisCommands.ts"

const renew = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])`

const release = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])`

const millis = (duration: number): string => String(Math.max(1, Math.ceil(duration)))

export const make = ({ run }: Commands, { key: keyOf, onPrimary }: RedisCommands): Leases => {
  const send = (...command: readonly [string, ...ReadonlyArray<string>]) =>
    run(onPrimary((connection) => connection.send(...command)))
  const evaluate = (script: string, key: string, ...args: ReadonlyArray<string>) =>
    Effect.map(send("EVAL", script, "1", keyOf("lock", key), ...args), (reply) => Number(reply) === 1)
  return {
    acquire: (key, holder, timeToLive) =>
      Effect.map(
        send("SET", keyOf("lock", key), holder, "NX", "GET", "PX", millis(timeToLive)),
        (before) => before === null || before === undefined || before === holder
      ),
    renew: (key, holder, timeToLive) => evaluate(renew, key, holder, millis(timeToLive)),
    release: (key, holder) => Effect.asVoid(evaluate(release, key, holder))
  }
}
