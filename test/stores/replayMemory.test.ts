// The used proofs in memory: their number, the part of each key, and their end.
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect } from "effect"
import { TestClock } from "effect/testing"
import * as replays from "../../src/verifier/dpop/replays.ts"
import * as sha256 from "../../src/verifier/dpop/sha256.ts"

/** Creates a store that uses the clock of the test. */
const inMemory = (total: number, ofKey: number) => {
  const { addOnce } = replays.inMemory(sha256.make(), total, ofKey)
  return {
    addOnce: (key: string, id: string, millis: number) => Clock.clockWith((clock) => addOnce(key, id, millis, clock))
  }
}

const outcome = (self: ReturnType<ReturnType<typeof inMemory>["addOnce"]>) =>
  Effect.match(self, { onFailure: ({ _tag }) => _tag, onSuccess: (isNew) => (isNew ? "new" : "used") })

describe("used proofs in memory", () => {
  it.effect("of one key cannot take the place of the proofs of other keys", () =>
    Effect.gen(function* () {
      const { addOnce } = inMemory(10, 3)
      for (const id of ["1", "2", "3"]) assert.strictEqual(yield* outcome(addOnce("attacker", id, 1000)), "new")
      for (const id of ["4", "5"]) {
        assert.strictEqual(yield* outcome(addOnce("attacker", id, 1000)), "AuthorizationServerUnavailable")
      }
      // A refused proof was not recorded, and the recorded ones stay used.
      for (const id of ["1", "2", "3"]) assert.strictEqual(yield* outcome(addOnce("attacker", id, 1000)), "used")
      for (const id of ["1", "2", "3"]) assert.strictEqual(yield* outcome(addOnce("client", id, 1000)), "new")
    })
  )

  it.effect("make room in the part of their key when they end, whatever the order of their ends", () =>
    Effect.gen(function* () {
      const { addOnce } = inMemory(10, 2)
      assert.strictEqual(yield* outcome(addOnce("client", "long", 60_000)), "new")
      assert.strictEqual(yield* outcome(addOnce("client", "short", 1000)), "new")
      assert.strictEqual(yield* outcome(addOnce("client", "next", 1000)), "AuthorizationServerUnavailable")
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* outcome(addOnce("client", "next", 1000)), "new")
      assert.strictEqual(yield* outcome(addOnce("client", "long", 60_000)), "used")
      yield* TestClock.adjust("1 minute")
      for (const id of ["a", "b"]) assert.strictEqual(yield* outcome(addOnce("client", id, 1000)), "new")
      assert.strictEqual(yield* outcome(addOnce("client", "c", 1000)), "AuthorizationServerUnavailable")
    })
  )

  it.effect("are limited for all keys together", () =>
    Effect.gen(function* () {
      const { addOnce } = inMemory(2, 2)
      for (const key of ["a", "b"]) assert.strictEqual(yield* outcome(addOnce(key, "1", 1000)), "new")
      assert.strictEqual(yield* outcome(addOnce("c", "1", 1000)), "AuthorizationServerUnavailable")
    })
  )
})
