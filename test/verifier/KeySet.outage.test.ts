import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import type { KeySet } from "effect-oauth2"
import type { IssuerResponse } from "effect-oauth2/testing"
import { TestClock } from "effect/testing"
import { settle } from "../support/settle.ts"
import { assertUnavailable, issuer, jwks, respondAll, rs256, second, withDiscovery } from "../support/keySets.ts"
import { times } from "../support/times.ts"

describe("KeySet", () => {
  describe("in an outage", () => {
    it.effect("without keys is unavailable, fetches again after 5 seconds, and recovers", () =>
      withDiscovery(({ requests }, keySet) =>
        Effect.gen(function* () {
          yield* respondAll("unreachable")
          for (let i = 0; i < 20; i++) assertUnavailable(yield* Effect.exit(keySet.find(rs256("k1"))), "Unreachable")
          assert.lengthOf(yield* requests, 1)
          yield* respondAll("normal")
          yield* TestClock.adjust("5 seconds")
          assert.lengthOf(yield* keySet.find(rs256("k1")), 1)
        })
      )
    )

    it.effect("serves stale keys for 1 hour, and never refuses an unknown key", () =>
      withDiscovery((_, keySet) =>
        Effect.gen(function* () {
          yield* keySet.refresh
          yield* respondAll("unreachable")
          yield* TestClock.adjust("4199 seconds")
          assert.lengthOf(yield* keySet.find(rs256("k1")), 1)
          for (let i = 0; i < 3; i++) assertUnavailable(yield* Effect.exit(keySet.find(rs256("k2"))), "Unreachable")
          yield* TestClock.adjust("1 second")
          assertUnavailable(yield* Effect.exit(keySet.find(rs256("k1"))), "Unreachable")
        })
      )
    )

    it.effect("does not refuse an unknown key if the fetch for it failed, even with fresh keys", () =>
      withDiscovery((_, keySet) =>
        Effect.gen(function* () {
          yield* keySet.refresh
          yield* respondAll("unreachable")
          assertUnavailable(yield* Effect.exit(keySet.find(rs256("k2"))), "Unreachable")
          assert.lengthOf(yield* keySet.find(rs256("k1")), 1)
        })
      )
    )

    for (const [seconds, waits] of [
      [59, false],
      [60, true]
    ] as const) {
      it.effect(`${waits ? "waits" : "does not wait"} for the next fetch ${seconds} seconds after a failed one`, () =>
        withDiscovery(({ requests }, keySet) =>
          Effect.gen(function* () {
            yield* keySet.refresh
            yield* respondAll("unreachable")
            yield* TestClock.adjust("10 minutes")
            assert.lengthOf(yield* keySet.find(rs256("k1")), 1)
            yield* respondAll("never")
            yield* TestClock.adjust(`${seconds} seconds`)
            const fiber = yield* Effect.forkChild(keySet.find(rs256("k1")))
            yield* settle
            assert.strictEqual(fiber.pollUnsafe() === undefined, waits)
            assert.lengthOf(yield* requests, 4, "it is begun in either case")
            yield* TestClock.adjust("5 seconds")
            assert.lengthOf(yield* Fiber.join(fiber), 1)
          })
        )
      )
    }

    for (const hasKeys of [true, false]) {
      for (const [what, ask] of [
        ["a request", (keySet: KeySet.KeySet["Service"]) => keySet.find(rs256("k1"))],
        ["a request for an unknown key", (keySet: KeySet.KeySet["Service"]) => keySet.find(rs256("k2"))],
        ["refresh", (keySet: KeySet.KeySet["Service"]) => keySet.refresh]
      ] as const) {
        it.effect(`fetches every 5 seconds for ${what}, ${hasKeys ? "with stale keys" : "without keys"}`, () =>
          withDiscovery(({ publish, requests }, keySet) =>
            Effect.gen(function* () {
              if (hasKeys) yield* keySet.refresh
              yield* respondAll("unreachable")
              yield* TestClock.adjust("10 minutes")
              const before = (yield* requests).length
              const asked: Array<number> = []
              for (const time of times(91)) {
                for (const _ of times(3)) yield* Effect.exit(ask(keySet))
                yield* settle
                const count = (yield* requests).length - before
                if (count > asked.length) asked.push(time)
                assert.strictEqual(count, asked.length)
                yield* TestClock.adjust("1 second")
              }
              assert.deepStrictEqual(
                asked,
                times(19).map((i) => i * 5)
              )
              yield* publish(second.jwk)
              yield* respondAll("normal")
              yield* TestClock.adjust("5 seconds")
              yield* ask(keySet)
            })
          )
        )
      }
    }

    it.effect("stops a fetch after 5 seconds without a response", () =>
      withDiscovery((_, keySet) =>
        Effect.gen(function* () {
          yield* respondAll("never")
          const fiber = yield* Effect.forkChild(Effect.exit(keySet.find(rs256("k1"))))
          yield* TestClock.adjust("5 seconds")
          assertUnavailable(yield* Fiber.join(fiber), "Timeout")
        })
      )
    )

    it.effect("serves other requests if one is interrupted", () =>
      withDiscovery((_, keySet) =>
        Effect.gen(function* () {
          yield* respondAll("never")
          const one = yield* Effect.forkChild(keySet.find(rs256("k1")))
          const other = yield* Effect.forkChild(Effect.exit(keySet.find(rs256("k1"))))
          yield* Effect.yieldNow
          yield* Fiber.interrupt(one)
          yield* TestClock.adjust("5 seconds")
          assertUnavailable(yield* Fiber.join(other), "Timeout")
        })
      )
    )

    const metadata = (jwksUri: string, identifier = issuer): IssuerResponse => ({
      body: JSON.stringify({ issuer: identifier, jwks_uri: jwksUri })
    })
    const answers: ReadonlyArray<
      readonly [name: string, endpoint: "jwks" | "discovery" | "all", answer: IssuerResponse, reason: string]
    > = [
      ["an error", "all", { status: 500, body: "sorry" }, "BadResponse"],
      ["HTML", "all", { body: "<html>", headers: { "content-type": "text/html" } }, "BadResponse"],
      ["an empty body", "all", { body: "" }, "BadResponse"],
      ["status 404 for both metadata URLs", "all", { status: 404, body: "" }, "BadResponse"],
      ["another issuer's metadata", "discovery", metadata(jwks, "https://evil.example.com"), "IssuerMismatch"],
      ["a jwks_uri with http", "discovery", metadata("http://issuer.test/jwks"), "BadResponse"],
      ["JSON that is not a key set", "jwks", { body: '{"keys":1}' }, "BadResponse"]
    ]
    for (const [name, endpoint, answer, reason] of answers) {
      it.effect(`is unavailable if the issuer responds with ${name}`, () =>
        withDiscovery(({ respond }, keySet) =>
          Effect.gen(function* () {
            yield* endpoint === "all" ? respondAll(answer) : respond(endpoint, answer)
            assertUnavailable(yield* Effect.exit(keySet.find(rs256("k1"))), reason)
          })
        )
      )
    }
  })
})
