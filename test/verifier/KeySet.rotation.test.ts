import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Exit, Fiber, Option } from "effect"
import { KeySet, SecurityError } from "effect-oauth2"
import { TestClock } from "effect/testing"
import { settle } from "../support/settle.ts"
import {
  assertUnavailable,
  assertUnknown,
  discovery,
  jwks,
  first,
  respondAll,
  rs256,
  second,
  withDiscovery
} from "../support/keySets.ts"
import { times } from "../support/times.ts"

const assertRetryAfter = (exit: Exit.Exit<unknown, unknown>, seconds: number) => {
  assert(Exit.isFailure(exit))
  const error = Option.getOrThrow(Exit.findErrorOption(exit))
  assert.instanceOf(error, SecurityError.AuthorizationServerUnavailable)
  assert.strictEqual(Duration.toSeconds(error.retryAfter), seconds)
}

describe("KeySet", () => {
  describe("after a rotation", () => {
    it.effect("never refuses a new key because of a stranger's searches, and says when to retry", () =>
      withDiscovery(({ publish, requests }, keySet) =>
        Effect.gen(function* () {
          yield* keySet.refresh
          assertUnknown(yield* Effect.exit(keySet.find(rs256("stranger"))))
          yield* publish(second.jwk)
          yield* TestClock.adjust("4 seconds")
          assertRetryAfter(yield* Effect.exit(keySet.find(rs256("k2"))), 26)
          yield* TestClock.adjust("25500 millis")
          assertRetryAfter(yield* Effect.exit(keySet.find(rs256("k2"))), 1)
          yield* TestClock.adjust("500 millis")
          assertUnknown(yield* Effect.exit(keySet.find(rs256("another-stranger"))))
          assert.lengthOf(yield* keySet.find(rs256("k2")), 1)
          assert.lengthOf(yield* requests, 6)
        })
      )
    )

    it.effect("refuses a kid in the cool-down if a fetch looked for it", () =>
      withDiscovery(({ requests }, keySet) =>
        Effect.gen(function* () {
          yield* keySet.refresh
          for (const _ of times(3)) assertUnknown(yield* Effect.exit(keySet.find(rs256("removed"))))
          assertUnavailable(yield* Effect.exit(keySet.find(rs256("other"))), "Unspecified")
          assert.lengthOf(yield* requests, 4)
          yield* TestClock.adjust("30 seconds")
          assertUnknown(yield* Effect.exit(keySet.find(rs256("third"))))
          for (const kid of ["removed", "other"]) assertUnknown(yield* Effect.exit(keySet.find(rs256(kid))))
          assert.lengthOf(yield* requests, 6)
        })
      )
    )

    it.effect("refuses a kid in the cool-down if the issuer has it for another algorithm, or as a refused key", () =>
      withDiscovery(({ publish, requests }, keySet) =>
        Effect.gen(function* () {
          yield* publish({ ...second.jwk, kid: "for-encryption", use: "enc" })
          yield* keySet.refresh
          assertUnknown(yield* Effect.exit(keySet.find(rs256("stranger"))))
          assertUnknown(yield* Effect.exit(keySet.find({ alg: "ES256", kid: "k1" })))
          assertUnknown(yield* Effect.exit(keySet.find(rs256("for-encryption"))))
          assertUnavailable(yield* Effect.exit(keySet.find(rs256("k3"))), "Unspecified")
          assertUnavailable(yield* Effect.exit(keySet.find({ alg: "ES256" })), "Unspecified")
          assert.lengthOf(yield* requests, 4)
        })
      )
    )

    it.effect("remembers the last 100 kids that were looked for", () =>
      withDiscovery((_, keySet) =>
        Effect.gen(function* () {
          yield* keySet.refresh
          assertUnknown(yield* Effect.exit(keySet.find(rs256("removed"))))
          for (const i of times(99)) yield* Effect.exit(keySet.find(rs256(`invented-${i}`)))
          assertUnknown(yield* Effect.exit(keySet.find(rs256("removed"))))
          yield* Effect.exit(keySet.find(rs256("one-more")))
          assertUnavailable(yield* Effect.exit(keySet.find(rs256("removed"))), "Unspecified")
        })
      )
    )

    it.effect("looks for a key itself if the pending fetch began before it was asked for", () =>
      withDiscovery(({ publish, requests, respond }, keySet) =>
        Effect.gen(function* () {
          yield* keySet.refresh
          const before = JSON.stringify({ keys: [first.jwk] })
          yield* respond("jwks", { body: before, delay: "2 seconds" })
          const search = yield* Effect.forkChild(Effect.exit(keySet.find(rs256("stranger"))))
          yield* settle
          yield* publish(second.jwk)
          yield* respond("jwks", "normal")
          const joined = yield* Effect.forkChild(Effect.exit(keySet.find(rs256("k2"))))
          yield* TestClock.adjust("2 seconds")
          assertUnknown(yield* Fiber.join(search))
          assertRetryAfter(yield* Fiber.join(joined), 28)
          yield* TestClock.adjust("28 seconds")
          assert.lengthOf(yield* keySet.find(rs256("k2")), 1)
          assert.lengthOf(yield* requests, 6)
        })
      )
    )

    it.effect("looks for a key after a pending background refresh without it", () =>
      withDiscovery(({ publish, requests, respond }, keySet) =>
        Effect.gen(function* () {
          yield* keySet.refresh
          yield* TestClock.adjust("480 seconds")
          yield* respond("jwks", { body: JSON.stringify({ keys: [first.jwk] }), delay: "2 seconds" })
          yield* keySet.find(rs256("k1"))
          yield* settle
          yield* publish(second.jwk)
          yield* respond("jwks", "normal")
          const joined = yield* Effect.forkChild(keySet.find(rs256("k2")))
          yield* TestClock.adjust("2 seconds")
          assert.lengthOf(yield* Fiber.join(joined), 1)
          assert.lengthOf(yield* requests, 6)
        })
      )
    )
  })

  describe("invalidate", () => {
    it.effect("refuses a removed key at once, and fetches the other keys at the next lookup", () =>
      withDiscovery(({ publish, requests, retire }, keySet) =>
        Effect.gen(function* () {
          yield* keySet.refresh
          yield* publish(second.jwk)
          yield* retire("k1")
          assert.lengthOf(yield* keySet.find(rs256("k1")), 1)
          yield* keySet.invalidate
          yield* settle
          assert.lengthOf(yield* requests, 2)
          assert.lengthOf(yield* keySet.find(rs256("k2")), 1)
          assertUnknown(yield* Effect.exit(keySet.find(rs256("k1"))))
        })
      )
    )

    it.effect("does not use the response of a fetch that began before", () =>
      withDiscovery(({ publish, requests, respond, retire }, keySet) =>
        Effect.gen(function* () {
          yield* respond("jwks", { body: JSON.stringify({ keys: [first.jwk] }), delay: "3 seconds" })
          const waiting = yield* Effect.forkChild(Effect.exit(keySet.find(rs256("k1"))))
          yield* settle
          yield* publish(second.jwk)
          yield* retire("k1")
          yield* respond("jwks", "normal")
          yield* keySet.invalidate
          assertUnknown(yield* Fiber.join(waiting))
          yield* TestClock.adjust("3 seconds")
          assert.lengthOf(yield* keySet.find(rs256("k2")), 1)
          assert.deepStrictEqual(
            (yield* requests).map(({ url }) => url),
            [discovery, jwks, jwks]
          )
        })
      )
    )

    it.effect("fetches every 5 seconds at most, however often it runs", () =>
      withDiscovery(({ requests }, keySet) =>
        Effect.gen(function* () {
          yield* keySet.refresh
          for (const time of times(20)) {
            for (const _ of times(3)) {
              yield* keySet.invalidate
              const exit = yield* Effect.exit(keySet.find(rs256("k1")))
              yield* settle
              if (Exit.isFailure(exit)) assertRetryAfter(exit, 5 - (time % 5))
            }
            assert.lengthOf(yield* requests, 4 + 2 * Math.floor(time / 5))
            yield* TestClock.adjust("1 second")
          }
        })
      )
    )

    it.effect("loses the stale keys in an outage", () =>
      withDiscovery((_, keySet) =>
        Effect.gen(function* () {
          yield* keySet.refresh
          yield* respondAll("unreachable")
          yield* keySet.invalidate
          assertUnavailable(yield* Effect.exit(keySet.find(rs256("k1"))), "Unreachable")
          yield* respondAll("normal")
          yield* TestClock.adjust("5 seconds")
          assert.lengthOf(yield* keySet.find(rs256("k1")), 1)
        })
      )
    )

    it.effect("is followed by a fetch that refresh starts", () =>
      withDiscovery(({ requests, respond }, keySet) =>
        Effect.gen(function* () {
          yield* respond("jwks", { delay: "3 seconds" })
          const refreshing = yield* Effect.forkChild(keySet.refresh)
          yield* settle
          yield* respond("jwks", "normal")
          yield* keySet.invalidate
          yield* Fiber.join(refreshing)
          assert.lengthOf(yield* requests, 3)
        })
      )
    )

    it.effect("keeps fixed keys", () =>
      Effect.gen(function* () {
        const keySet = yield* KeySet.KeySet
        yield* keySet.invalidate
        assert.lengthOf(yield* keySet.find(rs256("k1")), 1)
      }).pipe(Effect.provide(KeySet.layerStatic({ keys: [first.jwk] })))
    )
  })
})
