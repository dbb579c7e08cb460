/** One suite for the lock in memory, in a real Redis and in a real SQLite, and its rules for waiting and renewing. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Fiber, Layer, type Scope } from "effect"
import * as SqlClient from "effect/sql/SqlClient"
import { TestClock } from "effect/testing"
import * as commands from "../../src/stores/commands.ts"
import * as lock from "../../src/stores/lock.ts"
import * as lockRedis from "../../src/stores/lockRedis.ts"
import * as lockSql from "../../src/stores/lockSql.ts"
import * as redisCommands from "../../src/stores/redisCommands.ts"
import { StoreUnavailable } from "../../src/stores/storeUnavailable.ts"
import { eventually } from "../support/eventually.ts"
import { fleets } from "../support/fleets.ts"
import * as nodeSqlite from "../support/nodeSqlite.ts"
import { layerClient, missing, RedisServer } from "../support/redisServer.ts"

class Locks extends Context.Service<Locks, lock.Lock>()("test/Locks") {}

const times: lock.Times = { timeToLive: 600, maxWait: 15_000 }
const commandsOf = commands.make("TokenStore", { timeout: "5 seconds" })

const inRedis = Layer.effect(
  Locks,
  Effect.gen(function* () {
    const leases = lockRedis.make(yield* commandsOf, yield* redisCommands.make({ prefix: "shop" }))
    return lock.make("TokenStore", leases, times)
  })
)
const inSql = Layer.effect(
  Locks,
  Effect.gen(function* () {
    return lock.make("TokenStore", yield* lockSql.make(yield* commandsOf), times)
  })
)

for (const { isMissing, name, stores } of fleets(Locks, {
  memory: Layer.sync(Locks, lock.memory),
  redis: inRedis,
  sql: inSql
})) {
  const test = (
    name: string,
    body: (first: lock.Lock, second: lock.Lock) => Effect.Effect<void, unknown, Scope.Scope>
  ) => it.live(name, () => Effect.scoped(Effect.flatMap(stores, ([first, second]) => body(first, second))), 30_000)

  describe.skipIf(isMissing)(`the lock in ${name}`, () => {
    test("lets one effect under a key run at a time, in all processes", (first, second) =>
      Effect.gen(function* () {
        let [running, most, runs] = [0, 0, 0]
        const work = Effect.gen(function* () {
          running++
          most = Math.max(most, running)
          yield* Effect.sleep("5 millis")
          running--
          runs++
        })
        yield* Effect.all(
          Array.from({ length: 6 }, (_, i) => (i % 2 === 0 ? first : second).withLock("key", work)),
          { concurrency: "unbounded" }
        )
        assert.deepStrictEqual([running, most, runs], [0, 1, 6])
      }))

    test("does not let one key wait for another", (first, second) =>
      first.withLock("key", second.withLock("other", Effect.void)))

    test("is free after its effect has failed, died or was interrupted", (first, second) =>
      Effect.gen(function* () {
        yield* Effect.exit(first.withLock("key", Effect.fail("failed")))
        yield* Effect.exit(first.withLock("key", Effect.die("defect")))
        let isRunning = false
        const fiber = yield* Effect.forkChild(
          first.withLock(
            "key",
            Effect.andThen(
              Effect.sync(() => {
                isRunning = true
              }),
              Effect.never
            )
          )
        )
        yield* eventually(
          Effect.sync(() => isRunning),
          (isRunning) => isRunning
        )
        yield* Fiber.interrupt(fiber)
        assert.strictEqual(yield* second.withLock("key", Effect.succeed("done")), "done")
      }))

    test("stays with its holder for longer than its time, because the holder renews it", (first, second) =>
      Effect.gen(function* () {
        const order: Array<string> = []
        const log = (text: string) => Effect.sync(() => void order.push(text))
        const holder = yield* Effect.forkChild(
          first.withLock(
            "key",
            Effect.andThen(log("holds"), Effect.andThen(Effect.sleep(times.timeToLive + 200), log("releases")))
          )
        )
        yield* eventually(
          Effect.sync(() => order.length),
          (length) => length === 1
        )
        yield* second.withLock("key", log("gets the lock"))
        yield* Fiber.join(holder)
        assert.deepStrictEqual(order, ["holds", "releases", "gets the lock"])
      }))
  })
}

/** The leases of two processes, and what a dump of the store has under the lock. */
const leases = [
  {
    name: "Redis",
    isMissing: missing,
    make: Effect.gen(function* () {
      const server = yield* RedisServer.make
      const client = Layer.build(Layer.fresh(layerClient(server.port)))
      const process = Effect.flatMap(client, (context) =>
        Effect.provide(
          Effect.gen(function* () {
            return lockRedis.make(yield* commandsOf, yield* redisCommands.make({ prefix: "shop" }))
          }),
          context
        )
      )
      return { first: yield* process, second: yield* process, remove: server.command("DEL", "shop:v1:lock:{key}") }
    })
  },
  {
    name: "SQLite",
    isMissing: false,
    make: Effect.gen(function* () {
      const client = yield* Layer.build(nodeSqlite.layer(yield* nodeSqlite.file))
      const process = Effect.provide(Effect.flatMap(commandsOf, lockSql.make), client)
      const sql = Context.get(client, SqlClient.SqlClient)
      return { first: yield* process, second: yield* process, remove: sql`DELETE FROM effect_oauth2_locks` }
    })
  }
]

for (const { isMissing, make, name } of leases) {
  describe.skipIf(isMissing)(`a lock in ${name}`, () => {
    it.live("belongs to one holder, who alone can renew and release it", () =>
      Effect.gen(function* () {
        const { first, second } = yield* make
        assert.isTrue(yield* first.acquire("key", "a", 60_000))
        // The answer of the first attempt may be lost.
        assert.isTrue(yield* first.acquire("key", "a", 60_000))
        assert.isFalse(yield* second.acquire("key", "b", 60_000))
        assert.isFalse(yield* second.renew("key", "b", 60_000))
        yield* second.release("key", "b")
        assert.isTrue(yield* first.renew("key", "a", 60_000))
        assert.isFalse(yield* second.acquire("key", "b", 60_000))
        yield* first.release("key", "a")
        assert.isTrue(yield* second.acquire("key", "b", 60_000))
      }).pipe(Effect.scoped)
    )

    it.live("of a crashed process ends after its time", () =>
      Effect.gen(function* () {
        const { first, second } = yield* make
        assert.isTrue(yield* first.acquire("key", "crashed", 100))
        const waiting = lock.make("TokenStore", second, times)
        assert.strictEqual(yield* waiting.withLock("key", Effect.succeed("done")), "done")
        assert.isFalse(yield* first.renew("key", "crashed", 60_000))
      }).pipe(Effect.scoped)
    )

    it.live("that a holder has lost is neither renewed nor released by that holder", () =>
      Effect.gen(function* () {
        const { first, remove, second } = yield* make
        assert.isTrue(yield* first.acquire("key", "a", 60_000))
        yield* remove
        assert.isFalse(yield* first.renew("key", "a", 60_000))
        assert.isTrue(yield* second.acquire("key", "b", 60_000))
        yield* first.release("key", "a")
        assert.isFalse(yield* first.acquire("key", "a", 60_000))
        assert.isTrue(yield* second.renew("key", "b", 60_000))
      }).pipe(Effect.scoped)
    )
  })
}

describe("a lock with leases", () => {
  const scripted = () => {
    const state = { holder: undefined as string | undefined, renewals: 0 }
    const leases: lock.Leases = {
      acquire: (_, holder) =>
        Effect.sync(() => {
          state.holder ??= holder
          return state.holder === holder
        }),
      renew: (_, holder) =>
        Effect.sync(() => {
          state.renewals++
          return state.holder === holder
        }),
      release: (_, holder) =>
        Effect.sync(() => {
          if (state.holder === holder) state.holder = undefined
        })
    }
    const { withLock } = lock.make("SessionStore", leases, { timeToLive: 10_000, maxWait: 15_000 })
    return { state, withLock }
  }

  it.effect("is renewed while its effect runs, and released at its end", () =>
    Effect.gen(function* () {
      const { state, withLock } = scripted()
      const fiber = yield* Effect.forkChild(withLock("key", Effect.sleep("30 seconds")))
      yield* TestClock.adjust("29 seconds")
      assert.isAtLeast(state.renewals, 8)
      assert.isDefined(state.holder)
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(fiber)
      assert.isUndefined(state.holder)
    })
  )

  it.effect("passes to a waiting process when the process that holds it has crashed", () =>
    Effect.gen(function* () {
      const { state, withLock } = scripted()
      state.holder = "crashed"
      const fiber = yield* Effect.forkChild(withLock("key", Effect.succeed("done")))
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(state.holder, "crashed")
      state.holder = undefined
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Fiber.join(fiber), "done")
    })
  )

  it.effect("is not waited for longer than its time limit", () =>
    Effect.gen(function* () {
      const { state, withLock } = scripted()
      state.holder = "stuck"
      const fiber = yield* Effect.forkChild(Effect.flip(withLock("key", Effect.void)))
      yield* TestClock.adjust("16 seconds")
      const error = yield* Fiber.join(fiber)
      assert.instanceOf(error, StoreUnavailable)
      assert.strictEqual(state.holder, "stuck")
    })
  )
})
