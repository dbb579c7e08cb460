// One suite for every adapter of the sessions: memory, a real Redis, a real SQLite, and cookies as far as they go.
import { assert, describe, it } from "@effect/vitest"
import { Clock, Context, Duration, Effect, Layer, Option, Redacted, type Scope } from "effect"
import { type SessionData, Sessions } from "effect-oauth2/login"
import * as SqlClient from "effect/sql/SqlClient"
import { TestClock } from "effect/testing"
import type { StoreUnavailable } from "../../src/stores/storeUnavailable.ts"
import { eventually } from "../support/eventually.ts"
import { fleets } from "../support/fleets.ts"
import * as nodeSqlite from "../support/nodeSqlite.ts"
import { layerClient, missing, RedisServer } from "../support/redisServer.ts"

const data: SessionData = {
  issuer: "https://issuer.test",
  subject: "alice",
  sessionId: "session-1",
  clientId: "web",
  claims: { email: "alice@example.com" },
  scopes: ["openid"],
  accessToken: Redacted.make("access-1"),
  accessTokenExpiresAt: 600_000,
  refreshToken: Redacted.make("refresh-1"),
  idToken: Redacted.make("id-1"),
  authenticatedAt: 0,
  acr: undefined
}

type Store = Sessions["Service"]
const timeouts = { idleTimeout: "30 minutes", absoluteTimeout: "1 hour", timeout: "5 seconds" } as const
const keys = Redacted.make("a secret of the app with 32 chars")

const exists = (store: Store, cookie: Redacted.Redacted) => Effect.map(store.read(cookie), Option.isSome)
const buildWith = <E>(layer: Layer.Layer<Sessions, E>) =>
  Effect.map(Effect.orDie(Layer.build(Layer.fresh(layer))), (context) => Context.get(context, Sessions))

const serverSide = fleets(Sessions, {
  memory: Sessions.layerMemory(timeouts),
  redis: Sessions.layerRedis(timeouts),
  sql: Sessions.layerSql(timeouts)
})
const cookies = {
  name: "cookies",
  isMissing: false,
  stores: Effect.all([
    buildWith(Sessions.layerCookie({ keys, absoluteTimeout: "1 hour" })),
    buildWith(Sessions.layerCookie({ keys, absoluteTimeout: "1 hour" }))
  ])
}

for (const { isMissing, name, stores } of [...serverSide, cookies]) {
  const test = (name: string, body: (stores: readonly [Store, Store]) => Effect.Effect<void, unknown, Scope.Scope>) =>
    it.effect(name, () => Effect.scoped(Effect.flatMap(stores, body)))

  describe.skipIf(isMissing)(`every adapter: sessions in ${name}`, () => {
    test("another process reads what the session was created with", ([first, second]) =>
      Effect.gen(function* () {
        const cookie = yield* first.create(data)
        const session = Option.getOrThrow(yield* second.read(cookie))
        const { createdAt, expiresAt, id, lastUsedAt, version, ...rest } = session
        assert.deepStrictEqual(rest, data)
        assert.deepStrictEqual([createdAt, lastUsedAt, expiresAt, version], [0, 0, 3_600_000, 1])
        assert.isFalse(Redacted.value(cookie).includes(id))
      }))

    test("each session has its own cookie, also if its data is the same", ([first, second]) =>
      Effect.gen(function* () {
        const cookies = yield* Effect.all([first.create(data), first.create(data), second.create(data)])
        assert.strictEqual(new Set(cookies.map(Redacted.value)).size, 3)
      }))

    test("a session ends at the absolute time-out, however often it is used", ([first, second]) =>
      Effect.gen(function* () {
        const cookie = yield* first.create(data)
        for (let minute = 10; minute < 60; minute += 10) {
          yield* TestClock.adjust("10 minutes")
          assert.isTrue(yield* exists(second, cookie))
        }
        yield* TestClock.adjust("10 minutes")
        assert.isFalse(yield* exists(first, cookie))
      }))

    test("a changed, shortened or empty cookie has no session", ([first]) =>
      Effect.gen(function* () {
        const cookie = Redacted.value(yield* first.create(data))
        const swapped = cookie.slice(0, 40) + (cookie[40] === "A" ? "B" : "A") + cookie.slice(41)
        for (const value of ["", "x", "%", cookie.slice(1), `${cookie}A`, swapped, "a".repeat(64), "a".repeat(5000)]) {
          assert.isFalse(yield* exists(first, Redacted.make(value)), value.slice(0, 10))
        }
        assert.isTrue(yield* exists(first, Redacted.make(cookie)))
      }))

    test("a key counts once until its time ends", ([first]) =>
      Effect.gen(function* () {
        const results = yield* Effect.all(
          Array.from({ length: 20 }, () => first.addOnce("jti-1", Duration.minutes(1))),
          { concurrency: "unbounded" }
        )
        assert.strictEqual(results.filter((isNew) => isNew).length, 1)
        assert.isTrue(yield* first.addOnce("jti-2", Duration.minutes(1)))
      }))

    test("effects of one session run one at a time, and those of another session meanwhile", ([first]) =>
      Effect.gen(function* () {
        const [cookie, other] = [yield* first.create(data), yield* first.create(data)]
        const order: Array<string> = []
        const log = (text: string) => Effect.sync(() => void order.push(text))
        const work = (name: string) =>
          first.withLock(
            cookie,
            Effect.andThen(log(`${name} begins`), Effect.andThen(Effect.yieldNow, log(`${name} ends`)))
          )
        yield* Effect.all([work("a"), work("b"), first.withLock(other, Effect.void)], { concurrency: "unbounded" })
        assert.deepStrictEqual(
          order.map((text) => text.slice(2)),
          ["begins", "ends", "begins", "ends"]
        )
        yield* Effect.exit(first.withLock(cookie, Effect.fail("failed")))
        yield* first.withLock(cookie, log("after a failure"))
        assert.strictEqual(order.at(-1), "after a failure")
      }))
  })
}

for (const { isMissing, name, stores } of serverSide) {
  const test = (name: string, body: (stores: readonly [Store, Store]) => Effect.Effect<void, unknown, Scope.Scope>) =>
    it.effect(name, () => Effect.scoped(Effect.flatMap(stores, body)))

  describe.skipIf(isMissing)(`adapters with a store: sessions in ${name}`, () => {
    test("a session without use ends after the idle time-out, which each process postpones", ([first, second]) =>
      Effect.gen(function* () {
        const cookie = yield* first.create(data)
        yield* TestClock.adjust(Duration.millis(30 * 60_000 - 1))
        assert.isTrue(yield* exists(second, cookie))
        yield* TestClock.adjust(Duration.millis(30 * 60_000 - 1))
        assert.strictEqual(Option.getOrThrow(yield* first.read(cookie)).createdAt, 0)
        const idle = yield* first.create(data)
        yield* TestClock.adjust("30 minutes")
        assert.isFalse(yield* exists(second, idle))
        assert.isFalse(yield* exists(first, cookie))
      }))

    test("of 20 replacements of one version in two processes, one succeeds", ([first, second]) =>
      Effect.gen(function* () {
        const cookie = yield* first.create(data)
        const results = yield* Effect.all(
          Array.from({ length: 20 }, (_, i) =>
            (i % 2 === 0 ? first : second).replace(cookie, 1, { ...data, accessToken: Redacted.make(`access-${i}`) })
          ),
          { concurrency: "unbounded" }
        )
        assert.strictEqual(results.filter((isReplaced) => isReplaced).length, 1)
        const session = Option.getOrThrow(yield* second.read(cookie))
        assert.strictEqual(session.version, 2)
        const winner = `access-${results.indexOf(true)}`
        assert.strictEqual(session.accessToken && Redacted.value(session.accessToken), winner)
        assert.isFalse(yield* first.replace(cookie, 1, data))
        assert.isTrue(yield* first.replace(cookie, 2, data))
      }))

    test("neither a late replacement nor a late use brings a destroyed session back", ([first, second]) =>
      Effect.gen(function* () {
        const cookie = yield* first.create(data)
        yield* TestClock.adjust("5 minutes")
        yield* second.destroy(cookie)
        assert.isFalse(yield* exists(first, cookie))
        assert.isFalse(yield* first.replace(cookie, 1, data))
        assert.isFalse(yield* exists(second, cookie))
        yield* second.destroy(cookie)
      }))

    test("a version that has been replaced cannot be destroyed any more", ([first, second]) =>
      Effect.gen(function* () {
        const cookie = yield* first.create(data)
        assert.isTrue(yield* second.replace(cookie, 1, data))
        yield* first.destroy(cookie, 1)
        assert.isTrue(yield* exists(second, cookie))
        yield* first.destroy(cookie, 2)
        assert.isFalse(yield* exists(second, cookie))
        assert.strictEqual(yield* second.destroyBy({ issuer: data.issuer, subject: "alice" }), 0)
      }))

    test("logging a user out, or a session at the issuer, ends these sessions of all processes and no others", ([
      first,
      second
    ]) =>
      Effect.gen(function* () {
        const [one, two] = [yield* first.create(data), yield* second.create({ ...data, sessionId: "session-2" })]
        const bob = yield* second.create({ ...data, subject: "bob", sessionId: "session-3" })
        const elsewhere = yield* first.create({ ...data, issuer: "https://other.test" })
        const nameless = yield* first.create({ ...data, sessionId: undefined })
        const alive = Effect.all([one, two, bob, elsewhere, nameless].map((cookie) => exists(second, cookie)))
        assert.strictEqual(yield* second.destroyBy({ issuer: data.issuer, sessionId: "session-2" }), 1)
        assert.deepStrictEqual(yield* alive, [true, false, true, true, true])
        assert.strictEqual(yield* second.destroyBy({ issuer: data.issuer, subject: "alice" }), 2)
        assert.deepStrictEqual(yield* alive, [false, false, true, true, false])
        assert.strictEqual(yield* first.destroyBy({ issuer: data.issuer, subject: "alice" }), 0)
        assert.strictEqual(yield* first.destroyBy({ issuer: data.issuer, sessionId: "bob" }), 0)
      }))

    test("a sign-in that a logout in another process overtakes creates no session", ([first, second]) =>
      Effect.gen(function* () {
        yield* TestClock.adjust("1 minute")
        yield* first.destroyBy({ issuer: data.issuer, sessionId: "session-1" })
        yield* first.destroyBy({ issuer: data.issuer, subject: "bob" })
        const outcome = (data: SessionData, startedAt: number) =>
          Effect.match(second.create(data, startedAt), { onFailure: ({ _tag }) => _tag, onSuccess: () => "created" })
        assert.strictEqual(yield* outcome(data, 0), "SignedOut")
        assert.strictEqual(yield* outcome({ ...data, sessionId: "session-2" }, 0), "created")
        const bob = { ...data, subject: "bob", sessionId: "session-3" }
        assert.strictEqual(yield* outcome(bob, 0), "SignedOut")
        assert.strictEqual(yield* outcome(bob, 60_001), "created")
        assert.strictEqual(yield* second.destroyBy({ issuer: data.issuer, subject: "bob" }), 1)
      }))

    test("a key that one process used is used for the others", ([first, second]) =>
      Effect.gen(function* () {
        assert.isTrue(yield* first.addOnce("jti-1", Duration.minutes(1)))
        assert.isFalse(yield* second.addOnce("jti-1", Duration.minutes(1)))
      }))

    it.live("effects of one session in two processes run one at a time", () =>
      Effect.scoped(
        Effect.flatMap(stores, ([first, second]) =>
          Effect.gen(function* () {
            const cookie = yield* first.create(data)
            let [running, most, runs] = [0, 0, 0]
            const work = Effect.gen(function* () {
              running++
              most = Math.max(most, running)
              yield* Effect.yieldNow
              yield* first.read(cookie)
              running--
              runs++
            })
            yield* Effect.all(
              Array.from({ length: 10 }, (_, i) => (i % 2 === 0 ? first : second).withLock(cookie, work)),
              { concurrency: "unbounded" }
            )
            assert.deepStrictEqual([running, most, runs], [0, 1, 10])
          })
        )
      )
    )
  })
}

describe("sessions in cookies", () => {
  const make = (keys: ReadonlyArray<string>) =>
    buildWith(
      Sessions.layerCookie({ keys: keys.map((key) => Redacted.make(key)) as unknown as readonly [Redacted.Redacted] })
    )
  const [one, two, three] = [1, 2, 3].map((i) => `${i}`.repeat(40)) as [string, string, string]

  it.effect("open with every key of the ring, and are sealed with the first one", () =>
    Effect.gen(function* () {
      const [before, during, after, other] = [
        yield* make([one]),
        yield* make([two, one]),
        yield* make([two]),
        yield* make([three])
      ]
      const [old, recent] = [yield* before.create(data), yield* during.create(data)]
      const readers = [before, during, after, other]
      assert.deepStrictEqual(yield* Effect.all(readers.map((reader) => exists(reader, old))), [
        true,
        true,
        false,
        false
      ])
      assert.deepStrictEqual(yield* Effect.all(readers.map((reader) => exists(reader, recent))), [
        false,
        true,
        true,
        false
      ])
    }).pipe(Effect.scoped)
  )

  it.effect("contain no readable token or name", () =>
    Effect.gen(function* () {
      const cookie = Redacted.value(yield* (yield* make([one])).create(data))
      const text = atob(cookie.replaceAll("-", "+").replaceAll("_", "/"))
      for (const secret of ["access-1", "alice", "issuer.test"]) assert.notInclude(text + cookie, secret)
      assert.match(cookie, /^[\w-]+$/)
    }).pipe(Effect.scoped)
  )

  it.effect("fail with the size and what to do if the session is too large for a browser", () =>
    Effect.gen(function* () {
      const store = yield* make([one])
      const tokens = (length: number) => ({ ...data, accessToken: Redacted.make("x".repeat(length)) })
      const cookie = yield* store.create(tokens(2000))
      // The longest cookie, with a name and attributes, that a browser keeps.
      assert.isBelow(`__Host-session=; Path=/; Max-Age=604800; HttpOnly; Secure; SameSite=Strict`.length + 3900, 4096)
      assert.isBelow(Redacted.value(cookie).length, 3900)
      const exit = yield* Effect.exit(store.create(tokens(3000)))
      assert.include(String(exit), "A session does not fit into a cookie. It needs 4")
      assert.include(String(exit), "Sessions.layerRedis or Sessions.layerSql")
      assert.notInclude(String(exit), "xxx")
    }).pipe(Effect.scoped)
  )

  it.effect("cannot be ended or replaced by the server", () =>
    Effect.gen(function* () {
      const store = yield* make([one])
      const cookie = yield* store.create(data)
      assert.isFalse(store.isServerSide)
      assert.isFalse(yield* store.replace(cookie, 1, data))
      assert.strictEqual(yield* store.destroyBy({ issuer: data.issuer, subject: "alice" }), 0)
      yield* store.destroy(cookie)
      assert.isTrue(yield* exists(store, cookie))
    }).pipe(Effect.scoped)
  )

  it.effect("need keys of at least 32 characters", () =>
    Effect.gen(function* () {
      for (const keys of [[], ["short"], [one, "short"]]) {
        const error = yield* Effect.flip(
          Layer.build(
            Sessions.layerCookie({
              keys: keys.map((key) => Redacted.make(key)) as unknown as readonly [Redacted.Redacted]
            })
          )
        )
        assert.include(error.message, "keys must be a Redacted text of at least 32 bytes")
      }
    }).pipe(Effect.scoped)
  )
})

describe.skipIf(missing)("sessions in a real Redis", () => {
  const start = Effect.gen(function* () {
    const server = yield* RedisServer.make
    const process = buildWith(
      Sessions.layerRedis({ ...timeouts, prefix: "shop", timeout: "250 millis" }).pipe(
        Layer.provide(Layer.fresh(layerClient(server.port)))
      )
    )
    return { server, process, store: yield* process }
  })
  const failure = (self: Effect.Effect<unknown, { readonly _tag: string }>) =>
    Effect.match(self, { onFailure: ({ _tag }) => _tag, onSuccess: () => "success" })

  it.live("a dump of the server contains no token, user or cookie", () =>
    Effect.gen(function* () {
      const { server, store } = yield* start
      const cookie = yield* store.create(data)
      yield* store.replace(cookie, 1, { ...data, refreshToken: Redacted.make("refresh-2") })
      yield* store.addOnce("jti-1", Duration.minutes(1))
      yield* store.destroyBy({ issuer: data.issuer, subject: "bob" })
      const dump: Array<string> = []
      yield* store.withLock(
        cookie,
        Effect.gen(function* () {
          const found = (yield* server.command("KEYS", "*")) as ReadonlyArray<string>
          for (const key of found) {
            assert.match(key, /^shop:v1:(?:sess|owner|once|mark|lock):\{[\w-]{43}\}$/)
            const type = yield* server.command("TYPE", key)
            const value = yield* type === "zset"
              ? server.command("ZRANGE", key, "0", "-1", "WITHSCORES")
              : server.command("GET", key)
            assert.isAbove(Number(yield* server.command("PTTL", key)), 0, key)
            dump.push(key, JSON.stringify(value))
          }
        })
      )
      assert.deepStrictEqual(
        new Set(dump.filter((_, i) => i % 2 === 0).map((key) => key.split(":")[2])),
        new Set(["sess", "owner", "once", "mark", "lock"])
      )
      const value = Redacted.value(cookie)
      for (const secret of ["access-1", "refresh", "id-1", "alice", "bob", "session-1", "jti-1", "issuer.test"]) {
        assert.notInclude(dump.join("\n"), secret)
        assert.notInclude(dump.join("\n"), btoa(secret).replace(/=+$/, "").slice(0, -1))
      }
      for (const part of [value, value.slice(0, 22), value.slice(22)]) assert.notInclude(dump.join("\n"), part)
    }).pipe(Effect.scoped)
  )

  it.live("each use postpones the end in Redis, but never beyond the absolute time-out", () =>
    Effect.gen(function* () {
      const { server, store } = yield* start
      const cookie = yield* store.create(data)
      const id = Option.getOrThrow(yield* store.read(cookie)).id
      const clock = yield* Clock.Clock
      const ttl = Effect.map(server.command("PTTL", `shop:v1:sess:{${id}}`), Number)
      assert.isAtMost(yield* ttl, 30 * 60_000)
      // The clock of the process decides what is due, and the clock of Redis counts down.
      const readAt = (minutes: number) => {
        const now = Date.now() + minutes * 60_000
        const later: Clock.Clock = Object.create(clock, {
          currentTimeMillisUnsafe: { value: () => now },
          currentTimeMillis: { value: Effect.succeed(now) }
        })
        return Effect.provideService(store.read(cookie), Clock.Clock, later)
      }
      const shorten = server.command("PEXPIRE", `shop:v1:sess:{${id}}`, "60000")
      yield* shorten
      yield* readAt(20)
      assert.isTrue((yield* ttl) > 29 * 60_000)
      yield* shorten
      yield* readAt(45)
      const rest = yield* ttl
      assert.isTrue(rest > 14 * 60_000 && rest <= 15 * 60_000, `${rest}`)
      const index = (yield* server.command("KEYS", "shop:v1:owner:*")) as ReadonlyArray<string>
      assert.strictEqual(index.length, 2)
      for (const key of index) {
        const life = Number(yield* server.command("PTTL", key))
        assert.isTrue(life > 59 * 60_000 && life <= 60 * 60_000)
      }
      yield* store.destroy(cookie)
      assert.deepStrictEqual(yield* server.command("KEYS", "*"), [])
    }).pipe(Effect.scoped)
  )

  it.live("the index forgets sessions that have ended", () =>
    Effect.gen(function* () {
      const { server, store } = yield* start
      yield* store.create({ ...data, sessionId: undefined })
      const [index = ""] = (yield* server.command("KEYS", "shop:v1:owner:*")) as ReadonlyArray<string>
      yield* server.command("ZADD", index, "1000", "ended-long-ago")
      yield* store.create({ ...data, sessionId: undefined })
      assert.strictEqual(Number(yield* server.command("ZCARD", index)), 2)
    }).pipe(Effect.scoped)
  )

  it.live("the lock of a crashed process ends by itself", () =>
    Effect.gen(function* () {
      const { server, store } = yield* start
      const cookie = yield* store.create(data)
      const { id } = Option.getOrThrow(yield* store.read(cookie))
      yield* server.command("SET", `shop:v1:lock:{${id}}`, "crashed", "PX", "100")
      assert.strictEqual(yield* store.withLock(cookie, Effect.succeed("done")), "done")
    }).pipe(Effect.scoped)
  )

  const outages = {
    killed: { begin: (server: RedisServer) => server.kill, end: (server: RedisServer) => server.start },
    frozen: { begin: (server: RedisServer) => server.freeze, end: (server: RedisServer) => server.thaw },
    demoted: {
      begin: (server: RedisServer) => server.command("REPLICAOF", "127.0.0.1", "1"),
      end: (server: RedisServer) => server.command("REPLICAOF", "NO", "ONE")
    }
  }
  for (const [name, { begin, end }] of Object.entries(outages)) {
    it.live(
      `if Redis is ${name}, every operation fails in time, and works again later`,
      () =>
        Effect.gen(function* () {
          const { server, store } = yield* start
          const cookie = yield* store.create(data)
          yield* begin(server)
          const [duration, outcomes] = yield* Effect.timed(
            Effect.all([
              failure(store.read(cookie)),
              failure(store.create(data)),
              failure(store.replace(cookie, 1, data)),
              failure(store.destroy(cookie)),
              failure(store.destroyBy({ issuer: data.issuer, subject: "alice" })),
              failure(store.addOnce("jti", Duration.minutes(1))),
              failure(store.withLock(cookie, Effect.void))
            ])
          )
          assert.deepStrictEqual(
            outcomes,
            Array.from({ length: 7 }, () => "StoreUnavailable")
          )
          assert.isBelow(Duration.toMillis(duration), 2000)
          yield* end(server)
          yield* eventually(failure(store.read(cookie)), (tag) => tag === "success")
          const next = yield* store.create({ ...data, subject: "carol", sessionId: "session-9" })
          assert.isTrue(yield* exists(store, next))
        }).pipe(Effect.scoped),
      20_000
    )
  }
})

describe("sessions in SQLite", () => {
  it.effect("a dump of the tables contains no token, user or cookie, and ended rows are deleted", () =>
    Effect.gen(function* () {
      const client = yield* Layer.build(nodeSqlite.layer(yield* nodeSqlite.file))
      const sql = Context.get(client, SqlClient.SqlClient)
      const store = yield* buildWith(Sessions.layerSql(timeouts).pipe(Layer.provide(Layer.succeedContext(client))))
      const cookie = yield* store.create(data)
      yield* store.addOnce("jti-1", Duration.minutes(1))
      yield* store.destroyBy({ issuer: data.issuer, subject: "bob" })
      const dump = Effect.map(
        Effect.all([sql`SELECT * FROM effect_oauth2_sessions`, sql`SELECT * FROM effect_oauth2_session_entries`]),
        (rows) => rows.flat()
      )
      const text = JSON.stringify(yield* dump)
      for (const secret of ["access-1", "refresh-1", "alice", "bob", "session-1", "jti-1", "issuer.test"]) {
        assert.notInclude(text, secret)
      }
      assert.notInclude(text, Redacted.value(cookie).slice(0, 22))
      assert.strictEqual((yield* dump).length, 3)
      yield* TestClock.adjust("2 hours")
      assert.deepStrictEqual(yield* dump, [])
    }).pipe(Effect.scoped)
  )

  it.effect("every operation fails if the tables are unavailable", () =>
    Effect.gen(function* () {
      const client = yield* Layer.build(nodeSqlite.layer(yield* nodeSqlite.file))
      const sql = Context.get(client, SqlClient.SqlClient)
      const store = yield* buildWith(Sessions.layerSql(timeouts).pipe(Layer.provide(Layer.succeedContext(client))))
      const cookie = yield* store.create(data)
      yield* sql`ALTER TABLE effect_oauth2_sessions RENAME TO moved`
      for (const operation of [store.read(cookie), store.create(data), store.destroy(cookie)]) {
        assert.strictEqual(
          (yield* Effect.flip(operation as Effect.Effect<unknown, StoreUnavailable>))._tag,
          "StoreUnavailable"
        )
      }
      yield* sql`ALTER TABLE moved RENAME TO effect_oauth2_sessions`
      assert.isTrue(yield* exists(store, cookie))
    }).pipe(Effect.scoped)
  )
})
