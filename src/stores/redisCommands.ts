/** Sends the commands of a store to Redis, and names the keys. */
import * as Effect from "effect/Effect"
import * as Redis from "effect/persistence/Redis"
import type { ConfigurationError } from "../core/SecurityError.ts"
import { refuseOption } from "../core/refuseOption.ts"
import { isReadOnly } from "./commands.ts"

export interface RedisOptions {
  /**
   * First part of every key and channel. Give each application its own prefix, and limit its Redis user to the keys and
   * channels `<prefix>:v1:*`.
   *
   * @default "effect-oauth2"
   */
  readonly prefix?: string
}

/** Kinds of keys. The version changes with the format of the values, so a fleet can run two versions at a time. */
export type Kind = "jti" | "rev" | "intro"

export interface RedisCommands {
  /** The braces are a hash tag, which selects the slot in a Redis Cluster. */
  readonly key: (kind: Kind, hash: string) => string
  readonly channel: (kind: Kind) => string
  readonly send: (command: string, ...args: ReadonlyArray<string>) => Effect.Effect<unknown, Redis.RedisError>
  readonly eval: Redis.Redis["Service"]["eval"]
}

export const make = Effect.fnUntraced(function* ({
  prefix = "effect-oauth2"
}: RedisOptions): Effect.fn.Return<RedisCommands, ConfigurationError, Redis.Redis> {
  if (typeof prefix !== "string" || !/^[\w.:-]{1,100}$/.test(prefix)) {
    return yield* refuseOption("prefix", "must have 1 to 100 letters, digits, or characters of ._:-")
  }
  const redis = yield* Redis.Redis
  return {
    key: (kind, hash) => `${prefix}:v1:${kind}:{${hash}}`,
    channel: (kind) => `${prefix}:v1:${kind}`,
    send: (command, ...args) =>
      onPrimary(redis, redis.send(command, ...args), (connection) => connection.send(command, ...args)),
    eval: (script) => {
      const run = redis.eval(script)
      return (...params) => onPrimary(redis, run(...params), (connection) => connection.eval(script)(...params))
    }
  }
})

/**
 * After a failover, an open connection may still lead to the demoted server, which is now a replica. A new connection
 * leads to the server that the address names now.
 */
const onPrimary = <A>(
  redis: Redis.Redis["Service"],
  command: Effect.Effect<A, Redis.RedisError>,
  again: (connection: Redis.Connection) => Effect.Effect<A, Redis.RedisError>
): Effect.Effect<A, Redis.RedisError> =>
  Effect.catchIf(command, isReadOnly, () => Effect.scoped(Effect.flatMap(redis.reserve, again)))
