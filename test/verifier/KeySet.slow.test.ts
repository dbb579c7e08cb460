import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Fiber, Layer, Logger } from "effect"
import { HttpClient } from "effect/http"
import { KeySet } from "effect-oauth2"
import { TestClock } from "effect/testing"
import { settle } from "../support/settle.ts"
import {
  assertUnavailable,
  discovery,
  first,
  issuer,
  jwks,
  requestedUrls,
  respondAll,
  rs256,
  withDiscovery,
  withKeySet
} from "../support/keySets.ts"
import { times } from "../support/times.ts"

/** Runs a test with an HTTP client that never answers. `requestCount` returns the number of its requests. */
const withFrozenClient = <A, E>(
  answer: Effect.Effect<never>,
  body: (keySet: KeySet.KeySet["Service"], requestCount: () => number) => Effect.Effect<A, E>
) => {
  let requestCount = 0
  const client = HttpClient.make(() =>
    Effect.suspend(() => {
      requestCount++
      return answer
    })
  )
  return Effect.flatMap(KeySet.KeySet, (keySet) => body(keySet, () => requestCount)).pipe(
    Effect.provide(Layer.provide(KeySet.layerRemote({ url: jwks }), Layer.succeed(HttpClient.HttpClient, client))),
    Effect.provide(Logger.layer([]))
  )
}

describe("KeySet", () => {
  describe("with an issuer that does not respond", () => {
    it.effect("waits 1 second at most if stale keys can serve", () =>
      withDiscovery(({ requests }, keySet) =>
        Effect.gen(function* () {
          yield* keySet.refresh
          yield* respondAll("never")
          for (const minute of times(3)) {
            yield* TestClock.adjust(minute === 0 ? "10 minutes" : "2 minutes")
            const requestCount = (yield* requests).length
            const waiting = yield* Effect.forkChild(keySet.find(rs256("k1")))
            yield* TestClock.adjust("999 millis")
            assert.isUndefined(waiting.pollUnsafe())
            yield* TestClock.adjust("1 millis")
            assert.lengthOf(yield* Fiber.join(waiting), 1)
            const other = yield* Effect.forkChild(keySet.find(rs256("k1")))
            yield* settle
            assert.isDefined(other.pollUnsafe(), "the fetch is 1 second old")
            assert.lengthOf(yield* requests, requestCount + 1)
          }
        })
      )
    )

    it.effect("waits for the fetch if the stale keys do not have the key", () =>
      withDiscovery((_, keySet) =>
        Effect.gen(function* () {
          yield* keySet.refresh
          yield* respondAll("never")
          yield* TestClock.adjust("10 minutes")
          const waiting = yield* Effect.forkChild(Effect.exit(keySet.find(rs256("k2"))))
          yield* TestClock.adjust("4999 millis")
          assert.isUndefined(waiting.pollUnsafe())
          yield* TestClock.adjust("1 millis")
          assertUnavailable(yield* Fiber.join(waiting), "Timeout")
        })
      )
    )

    it.effect("ends a request of a client that cannot be interrupted", () =>
      withFrozenClient(Effect.uninterruptible(Effect.never), (keySet, requestCount) =>
        Effect.gen(function* () {
          for (const count of [1, 2]) {
            const waiting = yield* Effect.forkChild(Effect.exit(keySet.find(rs256("k1"))))
            yield* settle
            yield* TestClock.adjust("5 seconds")
            assertUnavailable(yield* Fiber.join(waiting), "Timeout")
            assert.strictEqual(requestCount(), count)
            yield* TestClock.adjust("5 seconds")
          }
        })
      )
    )

    it.effect("forgets a fetch by the clock if its time-out does not work, and fetches again", () =>
      Effect.gen(function* () {
        const clock = yield* Clock.Clock
        const sleepless: Clock.Clock = Object.create(clock, { sleep: { value: () => Effect.never } })
        yield* withFrozenClient(Effect.never, (keySet, requestCount) =>
          Effect.gen(function* () {
            const find = Effect.forkChild(Effect.exit(keySet.find(rs256("k1"))))
            const one = yield* find
            yield* settle
            assert.strictEqual(requestCount(), 1)
            yield* TestClock.adjust("5999 millis")
            const two = yield* find
            yield* settle
            assert.strictEqual(requestCount(), 1)
            assert.isUndefined(two.pollUnsafe())
            yield* TestClock.adjust("4001 millis")
            const three = yield* find
            yield* settle
            assert.strictEqual(requestCount(), 2)
            assert.isUndefined(three.pollUnsafe())
            assertUnavailable(yield* Fiber.join(one), "Timeout")
          })
        ).pipe(Effect.provideService(Clock.Clock, sleepless))
      })
    )
  })

  describe("with an issuer that responds after 3 seconds", () => {
    it.effect("finds the keys in 6 seconds", () =>
      withDiscovery((_, keySet) =>
        Effect.gen(function* () {
          yield* respondAll({ delay: "3 seconds" })
          const waiting = yield* Effect.forkChild(keySet.find(rs256("k1")))
          yield* settle
          for (const _ of times(6)) yield* Effect.andThen(TestClock.adjust("1 second"), settle)
          assert.lengthOf(yield* Fiber.join(waiting), 1)
          assert.deepStrictEqual(yield* requestedUrls, [discovery, jwks])
        })
      )
    )

    it.effect("finds the keys in 9 seconds if the first metadata document is missing", () =>
      withKeySet(KeySet.layerDiscovery({ issuer }), ({ respond }, keySet) =>
        Effect.gen(function* () {
          yield* respondAll({ delay: "3 seconds" })
          yield* respond("openid-configuration", { status: 404, body: "", delay: "3 seconds" })
          yield* respond("oauth-authorization-server", { delay: "3 seconds" })
          const waiting = yield* Effect.forkChild(keySet.refresh)
          yield* settle
          for (const _ of times(9)) yield* Effect.andThen(TestClock.adjust("1 second"), settle)
          yield* Fiber.join(waiting)
          assert.lengthOf(yield* requestedUrls, 3)
        })
      )
    )
  })

  it.effect("keeps the discovered URL for 1 minute while the keys get no response, and reads it again then", () =>
    withDiscovery(({ respond }, keySet) =>
      Effect.gen(function* () {
        yield* respond("jwks", "unreachable")
        for (const _ of times(13)) {
          yield* Effect.exit(keySet.find(rs256("k1")))
          yield* TestClock.adjust("5 seconds")
        }
        const sent = yield* requestedUrls
        assert.deepStrictEqual(
          sent.flatMap((url, i) => (url === discovery ? [i] : [])),
          [0, 13]
        )
        yield* respond("jwks", "normal")
        assert.lengthOf(yield* keySet.find(rs256("k1")), 1)
      })
    )
  )

  it.effect("reads the metadata again after an invalid key set, and after each success", () =>
    withDiscovery(({ respond }, keySet) =>
      Effect.gen(function* () {
        yield* respond("jwks", { status: 404, body: "" })
        assertUnavailable(yield* Effect.exit(keySet.find(rs256("k1"))), "BadResponse")
        yield* respond("jwks", "normal")
        yield* TestClock.adjust("5 seconds")
        yield* keySet.refresh
        yield* Effect.exit(keySet.find(rs256("k2")))
        assert.deepStrictEqual(yield* requestedUrls, [discovery, jwks, discovery, jwks, discovery, jwks])
        assert.lengthOf(yield* keySet.find({ alg: "RS256", kid: first.kid }), 1)
      })
    )
  )
})
