import { assert, describe, it, vi } from "@effect/vitest"
import { Clock, Effect, Exit, Fiber, Layer, Logger, Scope } from "effect"
import { HttpClient } from "effect/http"
import { KeySet } from "effect-oauth2"
import { TestIssuer } from "effect-oauth2/testing"
import { TestClock } from "effect/testing"
import { settle } from "../support/settle.ts"
import {
  assertUnavailable,
  assertUnknown,
  first,
  jwks,
  replaceKeys,
  respondAll,
  rs256,
  second,
  withClient,
  withDiscovery,
  withLogs
} from "../support/keySets.ts"

describe("KeySet", () => {
  describe("caches the keys", () => {
    const ages: ReadonlyArray<readonly [headers: Record<string, string>, seconds: number]> = [
      [{}, 600],
      [{ "cache-control": "public" }, 600],
      [{ "cache-control": "public, max-age=900, must-revalidate" }, 900],
      [{ "cache-control": 'MAX-AGE="900"' }, 900],
      [{ "cache-control": "max-age=900", age: "100" }, 800],
      [{ "cache-control": "max-age=900, max-age=120" }, 120],
      [{ "cache-control": "max-age=0" }, 60],
      [{ "cache-control": "max-age=59" }, 60],
      [{ "cache-control": "no-store" }, 60],
      [{ "cache-control": "no-cache, max-age=900" }, 60],
      [{ "cache-control": "max-age=-1" }, 60],
      [{ "cache-control": "max-age=1e9" }, 60],
      [{ "cache-control": "max-age=86400" }, 3600],
      [{ "cache-control": "max-age=99999999999999999999" }, 60],
      [{ "cache-control": "s-maxage=900" }, 600],
      [{ "cache-control": "x-max-age=900" }, 600]
    ]
    for (const [headers, seconds] of ages) {
      it.effect(`for ${seconds} seconds if the response has the headers ${JSON.stringify(headers)}`, () =>
        withDiscovery(({ requests, respond }, keySet) =>
          Effect.gen(function* () {
            yield* respond("jwks", { headers })
            yield* keySet.refresh
            yield* TestClock.adjust(`${seconds - 1} seconds`)
            yield* keySet.refresh
            assert.lengthOf(yield* requests, 2)
            yield* TestClock.adjust("1 second")
            yield* keySet.refresh
            assert.lengthOf(yield* requests, 4)
          })
        )
      )
    }

    it.effect("and refreshes them in the background after 80 % of that time", () =>
      withDiscovery(({ requests }, keySet) =>
        Effect.gen(function* () {
          yield* keySet.refresh
          yield* TestClock.adjust("479 seconds")
          yield* keySet.find(rs256("k1"))
          yield* settle
          assert.lengthOf(yield* requests, 2)
          yield* TestClock.adjust("1 second")
          yield* respondAll("never")
          for (let i = 0; i < 20; i++) assert.lengthOf(yield* keySet.find(rs256("k1")), 1)
          yield* settle
          assert.lengthOf(yield* requests, 3)
          yield* TestClock.adjust("10 seconds")
          yield* respondAll("normal")
          assert.lengthOf(yield* keySet.find(rs256("k1")), 1)
          yield* settle
          assert.lengthOf(yield* requests, 5)
          yield* TestClock.adjust("470 seconds")
          yield* keySet.find(rs256("k1"))
          assert.lengthOf(yield* requests, 5)
        })
      )
    )

    it.effect("by the monotonic clock, so setting the system clock back does not matter", () =>
      withDiscovery(({ requests }, keySet) =>
        Effect.gen(function* () {
          yield* TestClock.setTime(1_700_000_000_000)
          yield* keySet.refresh
          yield* TestClock.adjust("599 seconds")
          yield* TestClock.setTime(1_600_000_000_000)
          yield* TestClock.adjust("1 second")
          yield* keySet.refresh
          assert.lengthOf(yield* requests, 4)
        })
      )
    )

    it.effect("and counts the time in which the machine is suspended", () =>
      withDiscovery(({ requests }, keySet) =>
        Effect.gen(function* () {
          yield* keySet.refresh
          const clock = yield* Clock.clockWith(Effect.succeed)
          const resumed: Clock.Clock = Object.create(clock, {
            currentTimeMillisUnsafe: { value: () => clock.currentTimeMillisUnsafe() + 600_000 }
          })
          yield* Effect.provideService(keySet.refresh, Clock.Clock, resumed)
          assert.lengthOf(yield* requests, 4)
        })
      )
    )

    it.effect("and refuses a removed key after the next fetch", () =>
      withDiscovery((_, keySet) =>
        Effect.gen(function* () {
          yield* keySet.refresh
          yield* replaceKeys([second.jwk])
          assert.lengthOf(yield* keySet.find(rs256("k1")), 1)
          yield* TestClock.adjust("600 seconds")
          assertUnknown(yield* Effect.exit(keySet.find(rs256("k1"))))
        })
      )
    )

    it.effect("and accepts an empty set, which refuses every token until a key is published again", () =>
      withDiscovery(({ publish, retire }, keySet) =>
        Effect.gen(function* () {
          yield* retire("k1")
          assertUnknown(yield* Effect.exit(keySet.find(rs256("k1"))))
          yield* publish(first.jwk)
          assert.lengthOf(yield* keySet.find(rs256("k1")), 1)
        })
      )
    )

    it.effect("and keeps the identity of an unchanged key", () =>
      withDiscovery((_, keySet) =>
        Effect.gen(function* () {
          const [before] = yield* keySet.find(rs256("k1"))
          yield* TestClock.adjust("600 seconds")
          const [after] = yield* keySet.find(rs256("k1"))
          assert.strictEqual(after, before)
        })
      )
    )
  })

  describe("isolates failures", () => {
    it.effect("completes a fetch for other requests if the request that started it is interrupted", () =>
      withDiscovery(({ requests, respond }, keySet) =>
        Effect.gen(function* () {
          yield* respond("jwks", { delay: "3 seconds" })
          const one = yield* Effect.forkChild(keySet.find(rs256("k1")))
          yield* settle
          const other = yield* Effect.forkChild(keySet.find(rs256("k1")))
          yield* settle
          yield* Fiber.interrupt(one)
          yield* TestClock.adjust("3 seconds")
          assert.lengthOf(yield* Fiber.join(other), 1)
          assert.lengthOf(yield* keySet.find(rs256("k1")), 1)
          assert.lengthOf(yield* requests, 2)
        })
      )
    )

    it.effect("completes a fetch if the request is interrupted while the body is read", () => {
      let requestCount = 0
      const { promise: opened, resolve: open } = Promise.withResolvers<void>()
      const source: UnderlyingDefaultSource<Uint8Array> = {
        start: (controller) =>
          void opened.then(() => {
            controller.enqueue(new TextEncoder().encode(JSON.stringify({ keys: [first.jwk] })))
            return controller.close()
          })
      }
      const answer = () => {
        requestCount++
        return new Response(new ReadableStream(source))
      }
      return withClient(answer, (keySet) =>
        Effect.gen(function* () {
          const one = yield* Effect.forkChild(keySet.find(rs256("k1")))
          yield* settle
          const other = yield* Effect.forkChild(keySet.find(rs256("k1")))
          yield* settle
          yield* Fiber.interrupt(one)
          open()
          assert.lengthOf(yield* Fiber.join(other), 1)
          assert.lengthOf(yield* keySet.find(rs256("k1")), 1)
          assert.strictEqual(requestCount, 1)
        })
      )
    })

    it.effect("treats a defect of the client as an unreachable issuer, logging the cause once", () => {
      const dies = () => {
        throw new Error("broken")
      }
      return withLogs((logs) =>
        withClient(dies, (keySet) =>
          Effect.gen(function* () {
            for (let i = 0; i < 3; i++) {
              assertUnavailable(yield* Effect.exit(keySet.find(rs256("k1"))), "Unreachable")
              yield* TestClock.adjust("5 seconds")
            }
            assert.deepStrictEqual(
              logs.map(({ level }) => level),
              ["Error", "Warn"]
            )
          })
        )
      )
    })

    it.effect("treats an interruption of the client as an unreachable issuer, with a cool-down", () => {
      let requestCount = 0
      const client = HttpClient.make(() =>
        Effect.andThen(
          Effect.sync(() => void requestCount++),
          Effect.interrupt
        )
      )
      return Effect.gen(function* () {
        const keySet = yield* KeySet.KeySet
        for (const expected of [1, 2]) {
          for (let i = 0; i < 20; i++) assertUnavailable(yield* Effect.exit(keySet.find(rs256("k1"))), "Unreachable")
          assert.strictEqual(requestCount, expected)
          yield* TestClock.adjust("5 seconds")
        }
      }).pipe(
        Effect.provide(
          KeySet.layerRemote({ url: jwks }).pipe(Layer.provide(Layer.succeed(HttpClient.HttpClient, client)))
        ),
        Effect.provide(Logger.layer([]))
      )
    })

    it.effect("imports a key again with the next fetch if its import failed", () =>
      Effect.gen(function* () {
        const keySet = yield* KeySet.KeySet
        const importKey = vi.spyOn(crypto.subtle, "importKey")
        importKey.mockRejectedValue(new Error("out of memory"))
        assert.strictEqual((yield* Effect.exit(keySet.find(rs256("k1"))))._tag, "Failure")
        importKey.mockRestore()
        yield* TestClock.adjust("11 minutes")
        assert.lengthOf(yield* keySet.find(rs256("k1")), 1)
      }).pipe(
        Effect.provide(Layer.provide(KeySet.layerRemote({ url: jwks }), TestIssuer.layer({ keys: [first] }))),
        Effect.provide(Logger.layer([]))
      )
    )

    it.effect("imports a key again for all algorithms if its import failed for one", () =>
      Effect.gen(function* () {
        const keySet = yield* KeySet.KeySet
        const importKey = vi.spyOn(crypto.subtle, "importKey")
        importKey.mockRejectedValueOnce(new Error("out of memory"))
        const of = (alg: string) => Effect.exit(keySet.find({ alg, kid: "any" }))
        const before = yield* Effect.forEach(["RS256", "RS384", "RS512"], of)
        importKey.mockRestore()
        assert.strictEqual(before.filter(Exit.isFailure).length, 1)
        yield* TestClock.adjust("11 minutes")
        for (const alg of ["RS256", "RS384", "RS512"]) assert.isTrue(Exit.isSuccess(yield* of(alg)), alg)
      }).pipe(
        Effect.provide(
          Layer.unwrap(
            Effect.sync(() => {
              const { alg: _, ...jwk } = first.jwk
              return Layer.provide(
                KeySet.layerRemote({ url: jwks }),
                Layer.effectDiscard(replaceKeys([{ ...jwk, kid: "any" }])).pipe(
                  Layer.provideMerge(TestIssuer.layer({ keys: [first] }))
                )
              )
            })
          )
        ),
        Effect.provide(Logger.layer([]))
      )
    )

    it.effect("interrupts its fetch and is unavailable when the layer closes", () =>
      Effect.gen(function* () {
        const { requests } = yield* TestIssuer
        yield* respondAll("never")
        const scope = yield* Scope.make()
        const context = yield* Layer.buildWithScope(KeySet.layerRemote({ url: jwks }), scope)
        const find = Effect.provide(
          Effect.flatMap(KeySet.KeySet, (keySet) => keySet.find(rs256("k1"))),
          context
        )
        const waiting = yield* Effect.forkChild(Effect.exit(find))
        yield* settle
        yield* Scope.close(scope, Exit.void)
        assertUnavailable(yield* Fiber.join(waiting), "Unreachable")
        assertUnavailable(yield* Effect.exit(find), "Unreachable")
        assert.lengthOf(yield* requests, 1)
      }).pipe(Effect.provide(TestIssuer.layer({ keys: [first] })))
    )
  })
})
