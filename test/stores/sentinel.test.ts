/** A real Sentinel that promotes a replica after the primary has died. */
import { assert, it } from "@effect/vitest"
import { Context, DateTime, Duration, Effect, Exit, Layer, Logger, Redacted } from "effect"
import { AccessToken } from "effect-oauth2"
import { ReplayStore } from "effect-oauth2/ReplayStore"
import * as Revocations from "effect-oauth2/Revocations"
import { eventually } from "../support/eventually.ts"
import { missing, RedisServer, sentinel } from "../support/redisServer.ts"
import * as sentinelClient from "../support/sentinelClient.ts"

const issuer = "https://idp.example.com"

it.live.skipIf(missing)(
  "after a failover of Sentinel, the stores use the new primary by themselves",
  () =>
    Effect.gen(function* () {
      const [primary, replica] = [yield* RedisServer.make, yield* RedisServer.make]
      const info = Effect.map(replica.command("INFO", "replication"), String)
      yield* primary.command("CONFIG", "SET", "repl-diskless-sync-delay", "0")
      yield* replica.command("REPLICAOF", "127.0.0.1", String(primary.port))
      yield* eventually(info, (info) => info.includes("master_link_status:up"))
      const { port } = yield* sentinel(primary.port)
      const start = Effect.map(
        Layer.build(
          Layer.fresh(
            Layer.merge(Revocations.layerRedis({ localCopy: { maxAge: "1 second" } }), ReplayStore.layerRedis()).pipe(
              Layer.provide(sentinelClient.layer(port))
            )
          )
        ),
        (context) => ({
          ...Context.get(context, Revocations.Revocations),
          ...Context.get(context, ReplayStore)
        })
      )
      const [first, second] = [yield* start, yield* start]
      const expiresAt = DateTime.addDuration(yield* DateTime.now, "1 hour")
      const tokenOf = (subject: string) => AccessToken.make({ subject, scopes: "", issuer, expiresAt })
      const isRevoked = (of: typeof first, subject: string) =>
        Effect.exit(of.isRevoked(tokenOf(subject), Redacted.make(subject)))
      const isTrue = (exit: Exit.Exit<boolean, unknown>) => Exit.isSuccess(exit) && exit.value

      // On a busy machine, a command may take longer than its time limit.
      const succeeds = <A>(self: Effect.Effect<A, unknown>) =>
        Effect.flatten(eventually(Effect.exit(self), Exit.isSuccess, "30 seconds"))
      yield* succeeds(first.revoke({ issuer, subject: "alice" }))
      yield* succeeds(first.addOnce("jti-1", Duration.minutes(5)))
      yield* eventually(isRevoked(second, "alice"), isTrue)
      // The replica has both.
      const keysOf = (server: RedisServer) => Effect.map(server.command("DBSIZE"), Number)
      const keys = yield* keysOf(primary)
      yield* eventually(keysOf(replica), (count) => count === keys)

      yield* primary.kill
      assert.strictEqual((yield* Effect.flip(first.addOnce("jti-2", Duration.minutes(5)))).store, "ReplayStore")
      yield* succeeds(first.addOnce("jti-3", Duration.minutes(5)))
      assert.include(yield* info, "role:master")
      assert.isFalse(yield* succeeds(second.addOnce("jti-1", Duration.minutes(5))))
      yield* succeeds(first.revoke({ issuer, subject: "bob" }))
      for (const subject of ["alice", "bob"]) yield* eventually(isRevoked(second, subject), isTrue)
    }).pipe(Effect.scoped, Effect.provide(Logger.layer([Logger.make(() => {})]))),
  60_000
)
