import { assert, describe, it } from "@effect/vitest"
import { Context, Duration, Effect, Layer } from "effect"
import { ReplayStore } from "effect-oauth2/ReplayStore"
import { fleets } from "../support/fleets.ts"

const adapters = fleets(ReplayStore, {
  memory: ReplayStore.layerMemory(),
  redis: ReplayStore.layerRedis({ timeout: "5 seconds" }),
  sql: ReplayStore.layerSql({ timeout: "5 seconds" })
})

for (const { isMissing, name, stores } of adapters)
  describe.skipIf(isMissing)(`ReplayStore in ${name}`, () => {
    it.live("accepts an identifier once, of 50 processes that add it at the same time", () =>
      Effect.gen(function* () {
        const [first, second] = yield* stores
        const results = yield* Effect.all(
          Array.from({ length: 50 }, (_, i) => (i % 2 === 0 ? first : second).addOnce("jti-1", Duration.minutes(1))),
          { concurrency: "unbounded" }
        )
        assert.strictEqual(results.filter((isNew) => isNew).length, 1)
      }).pipe(Effect.scoped)
    )

    it.live("tells identifiers apart, also if joining their parts gives the same text", () =>
      Effect.gen(function* () {
        const [store] = yield* stores
        assert.isTrue(yield* store.addOnce("a:b", Duration.minutes(1)))
        assert.isTrue(yield* store.addOnce("a", Duration.minutes(1)))
        assert.isTrue(yield* store.addOnce("", Duration.minutes(1)))
        assert.isFalse(yield* store.addOnce("", Duration.minutes(1)))
      }).pipe(Effect.scoped)
    )

    it.live("accepts an identifier again after its time", () =>
      Effect.gen(function* () {
        const [first, second] = yield* stores
        assert.isTrue(yield* first.addOnce("jti-2", Duration.millis(1)))
        const again = yield* Effect.repeat(second.addOnce("jti-2", Duration.minutes(1)), { until: (isNew) => isNew })
        assert.isTrue(again)
        assert.isFalse(yield* first.addOnce("jti-2", Duration.minutes(1)))
      }).pipe(Effect.scoped)
    )
  })

describe("ReplayStore.layerMemory", () => {
  const make = (capacity: number): Effect.Effect<ReplayStore["Service"]> =>
    Effect.map(Effect.orDie(Effect.scoped(Layer.build(ReplayStore.layerMemory({ capacity })))), (context) =>
      Context.get(context, ReplayStore)
    )

  it.effect("refuses new identifiers if it is full, and still refuses the identifiers that it has", () =>
    Effect.gen(function* () {
      const store = yield* make(2)
      assert.isTrue(yield* store.addOnce("a", Duration.seconds(10)))
      assert.isTrue(yield* store.addOnce("b", Duration.seconds(10)))
      const error = yield* Effect.flip(store.addOnce("c", Duration.seconds(10)))
      assert.strictEqual(error._tag, "StoreUnavailable")
      assert.strictEqual(error.reason, "Full")
      assert.isFalse(yield* store.addOnce("a", Duration.seconds(10)))
    })
  )
})
