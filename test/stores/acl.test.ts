/** The Redis user of docs/guides/fleet.md can do what the library does, and nothing to the keys of others. */
import { NodeRedis } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import { Context, DateTime, Duration, Effect, Exit, Layer, Redacted } from "effect"
import * as Persistence from "effect/persistence/Persistence"
import * as Redis from "effect/persistence/Redis"
import { AccessToken, TokenVerifier } from "effect-oauth2"
import { ReplayStore } from "effect-oauth2/ReplayStore"
import * as Revocations from "effect-oauth2/Revocations"
import * as SharedIntrospection from "effect-oauth2/SharedIntrospection"
import { readFileSync } from "node:fs"
import { eventually } from "../support/eventually.ts"
import * as introspection from "../support/introspection.ts"
import { missing, RedisServer } from "../support/redisServer.ts"

const guide = readFileSync(new URL("../../docs/guides/fleet.md", import.meta.url), "utf8")
const acl = guide.split("\n").find((line) => line.startsWith("ACL SETUSER")) ?? ""

it.live.skipIf(missing)("a Redis user with the documented rights is enough", () =>
  Effect.gen(function* () {
    const server = yield* RedisServer.make
    yield* server.command(...acl.split(" "))
    const client = yield* Layer.build(
      NodeRedis.layer({ username: "items-api", password: "password", socket: { host: "127.0.0.1", port: server.port } })
    )
    const options = { prefix: "items-api", timeout: "5 seconds" } as const
    const redis = Layer.succeedContext(client)
    const token = AccessToken.make({
      subject: "alice",
      scopes: "",
      issuer: introspection.issuer,
      expiresAt: DateTime.addDuration(DateTime.nowUnsafe(), "1 hour")
    })
    const revocations = (localCopy: { readonly maxAge: "1 second" } | false) =>
      Effect.map(
        Layer.build(Layer.fresh(Revocations.layerRedis({ ...options, localCopy })).pipe(Layer.provide(redis))),
        (context) => Context.get(context, Revocations.Revocations)
      )
    const [withCopy, withLookup] = [yield* revocations({ maxAge: "1 second" }), yield* revocations(false)]
    yield* withLookup.revoke({ issuer: introspection.issuer, subject: "alice" })
    assert.isTrue(yield* withLookup.isRevoked(token, Redacted.make("a")))
    yield* eventually(withCopy.isRevoked(token, Redacted.make("a")), (isRevoked) => isRevoked)

    const shared = yield* Layer.build(
      SharedIntrospection.layer({ ...introspection.options, ...options }).pipe(
        Layer.provideMerge(Layer.merge(Persistence.layerBackingRedis, ReplayStore.layerRedis(options))),
        Layer.provide(redis)
      )
    )
    const { addOnce } = Context.get(shared, ReplayStore)
    assert.isTrue(yield* addOnce("jti", Duration.minutes(1)))
    const opaque = Redacted.make(yield* introspection.mint())
    const verifier = Context.get(shared, TokenVerifier)
    yield* verifier.verify(opaque)
    const keys = yield* server.command("KEYS", "items-api.v1.intro:*")
    assert.lengthOf(keys as ReadonlyArray<unknown>, 1)
    yield* verifier.invalidate(opaque)
    assert.deepStrictEqual(yield* server.command("KEYS", "items-api.v1.intro:*"), [])

    const { send } = Context.get(client, Redis.Redis)
    const denied = [["SET", "other:v1:jti:{a}", ""], ["KEYS", "*"], ["FLUSHALL"], ["CONFIG", "GET", "*"]]
    for (const command of denied)
      assert.isTrue(Exit.isFailure(yield* Effect.exit(send(command[0]!, ...command.slice(1)))))
  }).pipe(Effect.scoped, Effect.provide(introspection.Issuer))
)
