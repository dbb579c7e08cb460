// Sessions of signed-in users: time-outs, versions, encryption, and logout while a session is created.
import { assert, describe, it } from "@effect/vitest"
import { Cause, Duration, Effect, Exit, Fiber, Layer, Option, Redacted } from "effect"
import { Sessions, type SessionData } from "effect-oauth2/login"
import { TestClock } from "effect/testing"
import { make as makeBackend } from "../../src/login/sessions/memory.ts"
import { make as makeStore } from "../../src/login/sessions/serverSide.ts"

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

const test = (
  name: string,
  body: () => Effect.Effect<void, unknown, Sessions>,
  options?: Parameters<typeof Sessions.layerMemory>[0]
) => it.effect(name, () => Effect.provide(body(), Sessions.layerMemory(options)))

const exists = (cookie: Redacted.Redacted) => Sessions.use(({ read }) => Effect.map(read(cookie), Option.isSome))

describe("sessions in memory", () => {
  test("returns what the session was created with, and the times of its use", () =>
    Effect.gen(function* () {
      const { create, read } = yield* Sessions
      const cookie = yield* create(data)
      yield* TestClock.adjust("90 seconds")
      const { createdAt, expiresAt, id, lastUsedAt, version, ...read1 } = Option.getOrThrow(yield* read(cookie))
      assert.deepStrictEqual(read1, data)
      assert.deepStrictEqual([createdAt, lastUsedAt, version], [0, 90_000, 1])
      assert.strictEqual(expiresAt, Duration.toMillis("7 days"))
      assert.isFalse(Redacted.value(cookie).includes(id))
    }))

  test("gives each session a new cookie", () =>
    Effect.gen(function* () {
      const { create } = yield* Sessions
      const cookies = yield* Effect.all(Array.from({ length: 100 }, () => create(data)))
      assert.strictEqual(new Set(cookies.map(Redacted.value)).size, 100)
    }))

  test(
    "ends a session without use after the idle time-out, to the millisecond",
    () =>
      Effect.gen(function* () {
        const { create } = yield* Sessions
        const cookie = yield* create(data)
        yield* TestClock.adjust(Duration.millis(30 * 60_000 - 1))
        assert.isTrue(yield* exists(cookie))
        yield* TestClock.adjust("30 minutes")
        assert.isFalse(yield* exists(cookie))
      }),
    { idleTimeout: "30 minutes" }
  )

  test(
    "ends a session at the absolute time-out, however often it is used",
    () =>
      Effect.gen(function* () {
        const { create } = yield* Sessions
        const cookie = yield* create(data)
        for (let minute = 10; minute < 60; minute += 10) {
          yield* TestClock.adjust("10 minutes")
          assert.isTrue(yield* exists(cookie))
        }
        yield* TestClock.adjust("10 minutes")
        assert.isFalse(yield* exists(cookie))
      }),
    { idleTimeout: "15 minutes", absoluteTimeout: "1 hour" }
  )

  test("replaces only the version that was read, and never an ended session", () =>
    Effect.gen(function* () {
      const { create, destroy, read, replace } = yield* Sessions
      const cookie = yield* create(data)
      const changed = { ...data, accessToken: Redacted.make("access-2") }
      assert.isTrue(yield* replace(cookie, 1, changed))
      assert.isFalse(yield* replace(cookie, 1, data))
      const session = Option.getOrThrow(yield* read(cookie))
      assert.strictEqual(Redacted.value(session.accessToken ?? Redacted.make("")), "access-2")
      yield* destroy(cookie)
      assert.isFalse(yield* replace(cookie, session.version, changed))
      assert.isFalse(yield* exists(cookie))
    }))

  test("refuses cookies of another form, and the identifier with another key", () =>
    Effect.gen(function* () {
      const { create, destroy } = yield* Sessions
      const cookie = yield* create(data)
      const other = yield* create(data)
      const mixed = Redacted.value(cookie).slice(0, 22) + Redacted.value(other).slice(22)
      for (const value of ["", "x", mixed, `${Redacted.value(cookie)}A`, Redacted.value(cookie).slice(0, 63) + "!"]) {
        assert.isFalse(yield* exists(Redacted.make(value)), value)
      }
      yield* destroy(Redacted.make("x"))
      assert.isTrue(yield* exists(cookie))
    }))

  test("ends the sessions of a user, or one session at the issuer, and no others", () =>
    Effect.gen(function* () {
      const { create, destroyBy } = yield* Sessions
      const first = yield* create(data)
      const second = yield* create({ ...data, sessionId: "session-2" })
      const bob = yield* create({ ...data, subject: "bob", sessionId: "session-3" })
      const elsewhere = yield* create({ ...data, issuer: "https://other.test" })
      assert.strictEqual(yield* destroyBy({ issuer: data.issuer, sessionId: "session-2" }), 1)
      assert.deepStrictEqual(yield* Effect.all([first, second].map(exists)), [true, false])
      assert.strictEqual(yield* destroyBy({ issuer: data.issuer, subject: "alice" }), 1)
      assert.deepStrictEqual(yield* Effect.all([first, bob, elsewhere].map(exists)), [false, true, true])
      // A subject is no session at the issuer.
      assert.strictEqual(yield* destroyBy({ issuer: data.issuer, sessionId: "bob" }), 0)
      assert.strictEqual(yield* destroyBy({ issuer: data.issuer }), 0)
    }))

  test("refuses to create a session that the issuer ended during the sign-in", () =>
    Effect.gen(function* () {
      const { create, destroyBy } = yield* Sessions
      yield* TestClock.adjust("1 minute")
      yield* destroyBy({ issuer: data.issuer, sessionId: "session-1" })
      yield* destroyBy({ issuer: data.issuer, subject: "bob" })
      yield* TestClock.adjust("1 minute")
      const tag = (data: SessionData, startedAt: number) =>
        Effect.match(create(data, startedAt), { onFailure: ({ _tag }) => _tag, onSuccess: () => "created" })
      assert.strictEqual(yield* tag(data, 0), "SignedOut")
      assert.strictEqual(yield* tag(data, 90_000), "SignedOut")
      assert.strictEqual(yield* tag({ ...data, sessionId: "session-2" }, 0), "created")
      const bob = { ...data, subject: "bob", sessionId: "session-3" }
      assert.strictEqual(yield* tag(bob, 0), "SignedOut")
      // The user may sign in again at once.
      assert.strictEqual(yield* tag(bob, 60_001), "created")
      yield* TestClock.adjust("15 minutes")
      assert.strictEqual(yield* tag(data, 0), "created")
    }))

  test("adds a key once until its time ends", () =>
    Effect.gen(function* () {
      const { addOnce } = yield* Sessions
      assert.isTrue(yield* addOnce("jti", Duration.minutes(1)))
      assert.isFalse(yield* addOnce("jti", Duration.minutes(1)))
      assert.isTrue(yield* addOnce("other", Duration.minutes(1)))
      yield* TestClock.adjust("1 minute")
      assert.isTrue(yield* addOnce("jti", Duration.minutes(1)))
    }))

  test("runs one effect at a time for a session, also after an interruption", () =>
    Effect.gen(function* () {
      const { create, withLock } = yield* Sessions
      const cookie = yield* create(data)
      const other = yield* create(data)
      const order: Array<string> = []
      const work = (name: string) =>
        Effect.gen(function* () {
          order.push(`${name} begins`)
          yield* Effect.sleep("1 second")
          order.push(`${name} ends`)
        })
      const first = yield* Effect.forkChild(withLock(cookie, work("first")), { startImmediately: true })
      const second = yield* Effect.forkChild(withLock(cookie, work("second")), { startImmediately: true })
      yield* withLock(other, Effect.void)
      yield* Effect.yieldNow
      yield* Fiber.interrupt(first)
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(second)
      assert.deepStrictEqual(order, ["first begins", "second begins", "second ends"])
    }))

  test(
    "ends the session that was not used for the longest time if the store is full",
    () =>
      Effect.gen(function* () {
        const { create, destroyBy } = yield* Sessions
        const first = yield* create(data)
        const second = yield* create({ ...data, subject: "bob", sessionId: undefined })
        yield* TestClock.adjust("2 minutes")
        assert.isTrue(yield* exists(first))
        const third = yield* create({ ...data, subject: "carol" })
        assert.deepStrictEqual(yield* Effect.all([first, second, third].map(exists)), [true, false, true])
        assert.strictEqual(yield* destroyBy({ issuer: data.issuer, subject: "bob" }), 0)
      }),
    { capacity: 2 }
  )

  test(
    "forgets the oldest key if the store is full, so that strangers cannot keep others from signing in",
    () =>
      Effect.gen(function* () {
        const { addOnce } = yield* Sessions
        assert.isTrue(yield* addOnce("a", Duration.minutes(1)))
        assert.isTrue(yield* addOnce("b", Duration.minutes(1)))
        assert.isFalse(yield* addOnce("b", Duration.minutes(1)))
        assert.isTrue(yield* addOnce("a", Duration.minutes(1)))
      }),
    { capacity: 1 }
  )

  it.effect("refuses time-outs and capacities outside of their bounds", () =>
    Effect.gen(function* () {
      for (const options of [
        { idleTimeout: "1 minute" },
        { absoluteTimeout: "500 days" },
        { idleTimeout: NaN },
        { capacity: 0 }
      ] as const) {
        const exit = yield* Effect.exit(Layer.build(Sessions.layerMemory(options)).pipe(Effect.scoped))
        const text = Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "success"
        assert.include(text, `${Object.keys(options).join()} must be`)
      }
    })
  )
})

it.effect("a copy of the store contains no token, name or address of a user, and no cookie", () =>
  Effect.gen(function* () {
    const stored: Array<unknown> = []
    const memory = makeBackend(10)
    const store = makeStore(
      {
        ...memory,
        insert: (...entry) =>
          Effect.andThen(
            Effect.sync(() => stored.push(entry)),
            memory.insert(...entry)
          )
      },
      { idle: 600_000, absolute: 600_000 }
    )
    const cookie = yield* store.create(data)
    const dump = JSON.stringify(stored)
    for (const secret of ["access-1", "refresh-1", "id-1", "alice", "session-1", Redacted.value(cookie).slice(0, 22)]) {
      assert.notInclude(dump, secret)
      assert.notInclude(dump, btoa(secret).replace(/=+$/, "").slice(0, -1))
    }
    assert.isTrue(Option.isSome(yield* store.read(cookie)))
  })
)

it.effect("a use that is written late does not bring back a session that ended", () =>
  Effect.gen(function* () {
    const memory = makeBackend(10)
    const store = makeStore(
      // The session ends between the read and the write of its use.
      { ...memory, touch: (key, ...rest) => Effect.andThen(memory.remove(key), memory.touch(key, ...rest)) },
      { idle: 600_000, absolute: 6_000_000 }
    )
    const cookie = yield* store.create(data)
    yield* TestClock.adjust("2 minutes")
    yield* store.read(cookie)
    assert.isTrue(Option.isNone(yield* store.read(cookie)))
    assert.strictEqual(yield* store.destroyBy({ issuer: data.issuer, subject: "alice" }), 0)
  })
)
