/** A real Redis that is killed, frozen, restarted, full, demoted and replaced, while processes use its stores. */
import { assert, describe, it } from "@effect/vitest"
import { Context, DateTime, Duration, Effect, Exit, Layer, Logger, Metric, Redacted, type Scope } from "effect"
import type * as Redis from "effect/persistence/Redis"
import { type HttpClient, HttpRouter, HttpServerResponse } from "effect/http"
import { JwtVerifier, OAuth2 } from "effect-oauth2"
import { ReplayStore } from "effect-oauth2/ReplayStore"
import * as Revocations from "effect-oauth2/Revocations"
import { TestIssuer } from "effect-oauth2/testing"
import { authorizationServer } from "../support/authorizationServer.ts"
import { eventually } from "../support/eventually.ts"
import * as introspection from "../support/introspection.ts"
import * as nodeSqlite from "../support/nodeSqlite.ts"
import { Address, layerClient, missing, RedisServer } from "../support/redisServer.ts"
import { type Answer, serve } from "../support/web.ts"
import * as SqlClient from "effect/sql/SqlClient"

const { issuer } = introspection
const auth = OAuth2.authorizationCode("OAuth2", { ...authorizationServer, scopes: { a: "" } })
const Me = HttpRouter.add("GET", "/", Effect.succeed(HttpServerResponse.text("me"))).pipe(auth.require("a"))
const jwts = JwtVerifier.layer({ issuer, audience: introspection.audience })

const timeout = "250 millis"
const inAnHour = () => DateTime.addDuration(DateTime.nowUnsafe(), "1 hour")

/** Everything that is logged, with all annotations and causes. */
const logs: Array<string> = []
const Logs = Logger.layer([Logger.make((entry) => void logs.push(Logger.formatJson.log(entry)))])

/** One process: a replay store, revocations, and an app. `maxAge` is that of the local copy. */
const process = (
  client: Layer.Layer<Redis.Redis>,
  localCopy: Revocations.SharedOptions["localCopy"],
  whenUnavailable: "refuse" | "acceptRevokedTokens" = "refuse"
) =>
  Effect.gen(function* () {
    const shared = yield* Layer.build(
      Layer.fresh(
        Layer.merge(
          Revocations.layerRedis({ localCopy: localCopy ?? {}, timeout, whenUnavailable }),
          ReplayStore.layerRedis({ timeout })
        ).pipe(Layer.provide(client))
      )
    )
    const http = yield* Effect.context<HttpClient.HttpClient>()
    const send = yield* serve(
      Me.pipe(
        Layer.provide(auth.layer(jwts.pipe(Revocations.enforce))),
        Layer.provide(Layer.merge(Layer.succeedContext(shared), Layer.succeedContext(http))),
        Layer.provide(Logs)
      ),
      "caller"
    )
    return {
      send: (token: string) => send("/", token),
      replays: Context.get(shared, ReplayStore),
      revocations: Context.get(shared, Revocations.Revocations)
    }
  })

type Process = Effect.Success<ReturnType<typeof process>>

const mint = (subject = "alice") => TestIssuer.use(({ mint }) => mint({ scopes: ["a"], subject, lifetime: "1 hour" }))

const status = ({ status }: Answer) => status

/** Runs a test with two processes, and then searches all logs for the texts that identify a token or a user. */
const test = (
  name: string,
  localCopy: Revocations.SharedOptions["localCopy"],
  body: (fleet: {
    readonly server: RedisServer
    readonly first: Process
    readonly second: Process
  }) => Effect.Effect<void, unknown, TestIssuer | HttpClient.HttpClient | Scope.Scope>
) =>
  it.live.skipIf(missing)(
    name,
    () =>
      Effect.gen(function* () {
        const server = yield* RedisServer.make
        const start = process(layerClient(server.port), localCopy)
        yield* body({ server, first: yield* start, second: yield* start })
      }).pipe(
        Effect.scoped,
        Effect.provide(introspection.Issuer),
        Effect.provide(Logs),
        Effect.provideService(Metric.MetricRegistry, new Map())
      ),
    60_000
  )

/** Fails if an effect takes longer. Without the breaker, each of many commands would take its time limit. */
const within = <A, E, R>(limit: Duration.Input, self: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.timed(self), ([duration, value]) => {
    assert.isBelow(Duration.toMillis(duration), Duration.toMillis(Duration.fromInputUnsafe(limit)))
    return value
  })

const failureOf = (self: Effect.Effect<unknown, Revocations.StoreUnavailable>) =>
  Effect.map(Effect.flip(self), ({ reason }) => reason)

const outages = {
  killed: { begin: (server: RedisServer) => server.kill, end: (server: RedisServer) => server.start },
  frozen: { begin: (server: RedisServer) => server.freeze, end: (server: RedisServer) => server.thaw },
  demoted: {
    begin: (server: RedisServer) => server.command("REPLICAOF", "127.0.0.1", "1"),
    end: (server: RedisServer) => server.command("REPLICAOF", "NO", "ONE")
  }
}

for (const [name, { begin, end }] of Object.entries(outages)) {
  describe(`if Redis is ${name}`, () => {
    test(
      "addOnce accepts nothing, waits once, and works again when Redis is back",
      false,
      ({ first, second, server }) =>
        Effect.gen(function* () {
          assert.isTrue(yield* first.replays.addOnce("jti-0", Duration.minutes(1)))
          yield* begin(server)
          yield* within("2 seconds", failureOf(first.replays.addOnce("jti-1", Duration.minutes(1))))
          yield* within(
            "1 second",
            Effect.forEach(Array.from({ length: 100 }), (_, i) =>
              failureOf(first.replays.addOnce(`x-${i}`, Duration.minutes(1)))
            )
          )
          yield* end(server)
          const again = yield* eventually(
            Effect.exit(first.replays.addOnce("jti-2", Duration.minutes(1))),
            Exit.isSuccess
          )
          assert.isTrue(yield* again)
          const other = yield* eventually(
            Effect.exit(second.replays.addOnce("jti-2", Duration.minutes(1))),
            Exit.isSuccess
          )
          assert.isFalse(yield* other)
        })
    )

    test(
      "a lookup per request gets 503 with Retry-After, never 401, and works again",
      false,
      ({ first, second, server }) =>
        Effect.gen(function* () {
          const [good, revoked] = [yield* mint("alice"), yield* mint("bob")]
          for (const token of [good, revoked]) assert.strictEqual((yield* first.send(token)).status, 200)
          yield* second.revocations.revoke({ issuer, subject: "bob" })
          assert.strictEqual((yield* first.send(revoked)).status, 401)
          yield* begin(server)
          const answer = yield* within("2 seconds", first.send(good))
          assert.strictEqual(answer.status, 503)
          assert.strictEqual(answer.headers.get("retry-after"), "1")
          assert.isNull(answer.challenge)
          const answers = yield* within(
            "2 seconds",
            Effect.forEach(Array.from({ length: 100 }), () => first.send(revoked))
          )
          assert.deepStrictEqual(Array.from(new Set(answers.map(status))), [503])
          yield* end(server)
          yield* eventually(first.send(good), ({ status }) => status === 200)
        })
    )

    test(
      "a local copy accepts until its maxAge, then gets 503, and is read again before it accepts",
      { maxAge: "1 second" },
      ({ first, second, server }) =>
        Effect.gen(function* () {
          const [good, revoked] = [yield* mint("alice"), yield* mint("bob")]
          for (const { send } of [first, second])
            for (const token of [good, revoked]) assert.strictEqual((yield* send(token)).status, 200)
          yield* second.revocations.revoke({ issuer, subject: "bob" })
          yield* eventually(first.send(revoked), ({ status }) => status === 401)
          yield* begin(server)
          const seen = new Set<number>()
          yield* eventually(
            Effect.tap(first.send(good), ({ status }) => Effect.sync(() => seen.add(status))),
            ({ status }) => status === 503
          )
          assert.deepStrictEqual(Array.from(seen), [200, 503])
          assert.include([401, 503], (yield* first.send(revoked)).status)
          yield* failureOf(second.revocations.revoke({ issuer, subject: "carol" }))
          yield* end(server)
          yield* eventually(first.send(good), ({ status }) => status === 200)
          // A restarted server has lost its data. The processes still know the revocation, and write it again.
          assert.strictEqual((yield* first.send(revoked)).status, 401)
          const third = yield* process(layerClient(server.port), { maxAge: "1 second" })
          yield* eventually(third.send(revoked), ({ status }) => status === 401)
        })
    )
  })
}

describe("if Redis is at its memory limit", () => {
  test("new entries are refused and counted, and lookups go on", false, ({ first, server }) =>
    Effect.gen(function* () {
      const token = yield* mint()
      yield* server.command("CONFIG", "SET", "maxmemory", "1")
      assert.strictEqual(yield* failureOf(first.replays.addOnce("jti-1", Duration.minutes(1))), "OutOfMemory")
      assert.strictEqual(yield* failureOf(first.revocations.revoke({ issuer, subject: "alice" })), "OutOfMemory")
      assert.strictEqual((yield* first.send(token)).status, 200)
      yield* server.command("CONFIG", "SET", "maxmemory", "0")
      assert.isTrue(yield* first.replays.addOnce("jti-1", Duration.minutes(1)))
      yield* first.revocations.revoke({ issuer, subject: "alice" })
      assert.strictEqual((yield* first.send(token)).status, 401)
      const failures = (yield* Metric.snapshot).filter(({ id }) => id === "oauth2_store_failures_total")
      assert.deepStrictEqual(
        failures.map(({ attributes }) => ({ ...attributes })),
        [
          { store: "ReplayStore", reason: "OutOfMemory" },
          { store: "Revocations", reason: "OutOfMemory" }
        ]
      )
    })
  )
})

describe("if Redis refuses writes and answers lookups", () => {
  test("the logs have one warning, and no end of the outage", false, ({ first, server }) =>
    Effect.gen(function* () {
      const token = yield* mint()
      yield* server.command("CONFIG", "SET", "maxmemory", "1")
      const before = logs.length
      for (let i = 0; i < 20; i++) {
        yield* failureOf(first.revocations.revoke({ issuer, subject: "alice" }))
        assert.strictEqual((yield* first.send(token)).status, 200)
      }
      const count = (text: string) => logs.slice(before).filter((entry) => entry.includes(text)).length
      assert.strictEqual(count("A shared store is unavailable"), 1)
      assert.strictEqual(count("A shared store is available again"), 0)
      yield* server.command("CONFIG", "SET", "maxmemory", "0")
      yield* eventually(
        Effect.map(first.send(token), () => count("A shared store is available again")),
        (count) => count === 1
      )
    })
  )
})

describe("if the subscription is cut", () => {
  test("a revocation arrives with the next poll", { maxAge: "2 seconds" }, ({ first, second, server }) =>
    Effect.gen(function* () {
      const token = yield* mint("bob")
      assert.strictEqual((yield* first.send(token)).status, 200)
      // From now on, no process can subscribe.
      yield* server.command("ACL", "SETUSER", "default", "-subscribe")
      yield* server.command("CLIENT", "KILL", "TYPE", "pubsub")
      yield* second.revocations.revoke({ issuer, subject: "bob" })
      yield* within(
        "4 seconds",
        eventually(first.send(token), ({ status }) => status === 401)
      )
    })
  )

  test(
    "later revocations arrive by the subscription again, long before the next poll",
    { maxAge: "1 hour" },
    ({ first, second, server }) =>
      Effect.gen(function* () {
        const token = yield* mint("bob")
        assert.strictEqual((yield* first.send(token)).status, 200)
        yield* server.command("CLIENT", "KILL", "TYPE", "pubsub")
        const subscribers = Effect.map(server.command("PUBSUB", "NUMSUB", "effect-oauth2:v1:rev"), String)
        yield* eventually(subscribers, (text) => text.endsWith(",2"))
        yield* second.revocations.revoke({ issuer, subject: "bob" })
        yield* eventually(first.send(token), ({ status }) => status === 401)
      })
  )
})

describe("if a process is cut off", () => {
  it.live.skipIf(missing)(
    "it accepts no token that was revoked in the meantime, because it reads the list before it accepts any token again",
    () =>
      Effect.gen(function* () {
        const server = yield* RedisServer.make
        const address = yield* Address.make(server.port)
        const cutOff = yield* process(layerClient(address.port), { maxAge: "1 second" })
        const other = yield* process(layerClient(server.port), { maxAge: "1 second" })
        const [good, revoked] = [yield* mint("alice"), yield* mint("bob")]
        for (const token of [good, revoked]) assert.strictEqual((yield* cutOff.send(token)).status, 200)
        // No server has this port, so new connections fail.
        yield* address.moveTo(1)
        yield* address.cut
        yield* other.revocations.revoke({ issuer, subject: "bob" })
        assert.strictEqual((yield* other.send(revoked)).status, 401)
        yield* eventually(cutOff.send(revoked), ({ status }) => status === 503)
        yield* address.moveTo(server.port)
        const seen = new Set<number>()
        yield* eventually(
          Effect.tap(cutOff.send(revoked), ({ status }) => Effect.sync(() => seen.add(status))),
          ({ status }) => status === 401
        )
        assert.notInclude(Array.from(seen), 200)
        assert.strictEqual((yield* cutOff.send(good)).status, 200)
      }).pipe(Effect.scoped, Effect.provide(introspection.Issuer), Effect.provide(Logs)),
    60_000
  )
})

describe("after a failover", () => {
  it.live.skipIf(missing)(
    "open connections lead to the old server, and commands reach the new one",
    () =>
      Effect.gen(function* () {
        const [old, next] = [yield* RedisServer.make, yield* RedisServer.make]
        const address = yield* Address.make(old.port)
        const perRequest = yield* process(layerClient(address.port), false)
        const withCopy = yield* process(layerClient(address.port), { maxAge: "1 second" })
        const revoked = yield* mint("bob")
        for (const { send } of [perRequest, withCopy]) assert.strictEqual((yield* send(revoked)).status, 200)
        yield* withCopy.revocations.revoke({ issuer, subject: "bob" })
        assert.isTrue(yield* perRequest.replays.addOnce("jti-1", Duration.minutes(1)))
        // The new server has not received the last writes.
        yield* old.command("REPLICAOF", "127.0.0.1", String(next.port))
        yield* address.moveTo(next.port)
        yield* eventually(Effect.exit(perRequest.replays.addOnce("jti-2", Duration.minutes(1))), Exit.isSuccess)
        assert.isFalse(yield* perRequest.replays.addOnce("jti-2", Duration.minutes(1)))
        // The process with the local copy writes the lost revocation again.
        yield* eventually(perRequest.send(revoked), ({ status }) => status === 401)
        assert.strictEqual((yield* withCopy.send(revoked)).status, 401)
      }).pipe(Effect.scoped, Effect.provide(introspection.Issuer), Effect.provide(Logs)),
    60_000
  )
})

describe("if a database fails", () => {
  it.live("its stores accept nothing, and work again", () =>
    Effect.gen(function* () {
      const client = yield* Layer.build(nodeSqlite.layer(yield* nodeSqlite.file))
      const sql = Context.get(client, SqlClient.SqlClient)
      const stores = yield* Layer.build(
        Layer.merge(ReplayStore.layerSql(), Revocations.layerSql({ localCopy: false })).pipe(
          Layer.provide(Layer.succeedContext(client))
        )
      )
      const replays = Context.get(stores, ReplayStore)
      const revocations = Context.get(stores, Revocations.Revocations)
      for (const table of ["effect_oauth2_replays", "effect_oauth2_revocations"])
        yield* sql`ALTER TABLE ${sql(table)} RENAME TO ${sql(`${table}_moved`)}`
      assert.strictEqual(yield* failureOf(replays.addOnce("jti-1", Duration.minutes(1))), "Unreachable")
      assert.strictEqual(
        yield* failureOf(revocations.revoke({ token: Redacted.make("secret-of-sql"), expiresAt: inAnHour() })),
        "Unreachable"
      )
      for (const table of ["effect_oauth2_replays", "effect_oauth2_revocations"])
        yield* sql`ALTER TABLE ${sql(`${table}_moved`)} RENAME TO ${sql(table)}`
      assert.isTrue(yield* replays.addOnce("jti-1", Duration.minutes(1)))
      yield* revocations.revoke({ token: Redacted.make("secret-of-sql"), expiresAt: inAnHour() })
    }).pipe(Effect.scoped, Effect.provide(Logs))
  )
})

describe("whenUnavailable: acceptRevokedTokens", () => {
  it.live.skipIf(missing)("accepts tokens while Redis is down, and counts them", () =>
    Effect.gen(function* () {
      const server = yield* RedisServer.make
      const revocations = yield* Effect.map(
        Layer.build(
          Revocations.layerRedis({ localCopy: false, timeout, whenUnavailable: "acceptRevokedTokens" }).pipe(
            Layer.provide(layerClient(server.port))
          )
        ),
        (context) => Context.get(context, Revocations.Revocations)
      )
      const send = yield* serve(
        Me.pipe(
          Layer.provide(auth.layer(jwts.pipe(Revocations.enforce))),
          Layer.provide(Layer.succeed(Revocations.Revocations, revocations)),
          Layer.provide(Layer.succeedContext(yield* Effect.context<HttpClient.HttpClient>())),
          Layer.provide(Logs)
        ),
        "caller"
      )
      yield* server.kill
      assert.strictEqual((yield* send("/", yield* mint())).status, 200)
      const [check] = (yield* Metric.snapshot).filter(
        ({ attributes, id }) => id === "oauth2_revocation_checks_total" && attributes?.["outcome"] === "Unchecked"
      )
      assert.deepStrictEqual(check?.state, { count: 1, incremental: true })
    }).pipe(
      Effect.scoped,
      Effect.provide(introspection.Issuer),
      Effect.provide(Logs),
      Effect.provideService(Metric.MetricRegistry, new Map())
    )
  )
})

describe("whenUnavailable: acceptRevokedTokens with a local copy", () => {
  it.live.skipIf(missing)(
    "accepts tokens after maxAge, counts them, and still refuses the revoked tokens of its copy",
    () =>
      Effect.gen(function* () {
        const server = yield* RedisServer.make
        const app = yield* process(layerClient(server.port), { maxAge: "1 second" }, "acceptRevokedTokens")
        const [good, revoked] = [yield* mint("alice"), yield* mint("bob")]
        yield* app.revocations.revoke({ issuer, subject: "bob" })
        const unchecked = Effect.map(Metric.snapshot, (metrics) => {
          const check = metrics.find(
            ({ attributes, id }) => id === "oauth2_revocation_checks_total" && attributes?.["outcome"] === "Unchecked"
          )
          return check !== undefined && "count" in check.state ? Number(check.state.count) : 0
        })
        assert.strictEqual((yield* app.send(good)).status, 200)
        assert.strictEqual(yield* unchecked, 0)
        yield* server.kill
        const seen = new Set<number>()
        yield* eventually(
          Effect.andThen(
            Effect.map(app.send(good), ({ status }) => seen.add(status)),
            unchecked
          ),
          (count) => count > 0
        )
        assert.deepStrictEqual(Array.from(seen), [200])
        assert.strictEqual((yield* app.send(revoked)).status, 401)
        yield* server.start
        const fresh = Effect.gen(function* () {
          const before = yield* unchecked
          yield* app.send(good)
          return (yield* unchecked) === before
        })
        yield* eventually(fresh, (isFresh) => isFresh)
      }).pipe(
        Effect.scoped,
        Effect.provide(introspection.Issuer),
        Effect.provide(Logs),
        Effect.provideService(Metric.MetricRegistry, new Map())
      )
  )
})

describe("the logs of all these outages", () => {
  it("contain no identifier, token, subject or key", () => {
    const text = logs.join("\n")
    if (!missing) assert.include(text, "A shared store is unavailable")
    for (const secret of ["jti-1", "x-7", "alice", "bob", "carol", "secret-of-sql", "eyJ", "v1:rev", "v1:jti"])
      assert.notInclude(text, secret)
  })
})
