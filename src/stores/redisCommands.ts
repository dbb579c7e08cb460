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
export type Kind = "jti" | "rev" | "intro" | "sess" | "owner" | "once" | "mark" | "lock" | "grant"

/** A connection. */
export type Sender = Pick<Redis.Connection, "send">

export interface RedisCommands {
  /** The braces are a hash tag, which selects the slot in a Redis Cluster. */
  readonly key: (kind: Kind, hash: string) => string
  readonly channel: (kind: Kind) => string
  /**
   * Runs commands on one connection. The first command must be a write, or one that Redis counts as a write, because a
   * replica refuses only writes. A demoted server would answer reads with old data.
   *
   * After a failover, an open connection may still lead to the demoted server. A new connection leads to the server that
   * the address names now, so the commands run again on a new connection.
   */
  readonly onPrimary: <A>(
    commands: (connection: Sender) => Effect.Effect<A, Redis.RedisError>
  ) => Effect.Effect<A, Redis.RedisError>
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
    onPrimary: (commands) =>
      Effect.catchIf(commands(redis), isReadOnly, () => Effect.scoped(Effect.flatMap(redis.reserve, commands)))
  }
})
