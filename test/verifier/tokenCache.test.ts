/** Tests that the cache of verified tokens and the map of verifications in progress stay within their bounds. */
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, DateTime, Effect, Schema } from "effect"
import { TestClock } from "effect/testing"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { TransientMap } from "../../src/verifier/cache/transientMap.ts"
import { type Lifetime, type CacheEntry, TokenCache } from "../../src/verifier/cache/tokenCache.ts"
import { accepted, refused, verifier } from "../support/scriptedVerifier.ts"
import { times } from "../support/times.ts"
import { changedAt, textOf } from "../support/tokenText.ts"

const currentOf = (
  cache: TokenCache<Lifetime>,
  entry: CacheEntry<Lifetime> | undefined,
  now: number
): Lifetime | undefined => entry && cache.current(entry, now)

describe("the cache", () => {
  for (const [what, cache] of [
    ["with a bound on tokens", { capacity: 10 }],
    ["with a bound on bytes", { maxBytes: 12_000 }]
  ] as const) {
    it.effect(
      `${what} evicts no token for tokens that are used once, and no token in use for tokens that are used again`,
      () =>
        Effect.gen(function* () {
          const { calls, callsOf, present } = yield* verifier({ cache })
          const hot = ["hot-1", "hot-2", "hot-3"]
          for (const i of times(1000)) {
            for (const token of hot) yield* present(token)
            yield* present(`once-${i}`)
          }
          assert.deepStrictEqual(hot.map(callsOf), [1, 1, 1])
          assert.lengthOf(calls, 1003)
          for (const i of times(100)) {
            for (const _ of times(2)) {
              for (const token of hot) yield* present(token)
              yield* present(`again-${i}`)
            }
          }
          assert.deepStrictEqual(hot.map(callsOf), [1, 1, 1])
          assert.lengthOf(calls, 1203)
          yield* Effect.forEach(times(100).toReversed(), (i) => present(`again-${i}`))
          const cached = 1303 - calls.length
          assert.isTrue(cached >= 1 && cached <= 10, `${cached} of them were cached`)
        })
    )

    it.effect(`${what} replaces expired tokens with new tokens`, () =>
      Effect.gen(function* () {
        const { callsOf, present } = yield* verifier({ cache: { ...cache, timeToLive: "1 minute" } })
        for (const i of times(20)) yield* present(`before-${i}`)
        yield* TestClock.adjust("2 minutes")
        const after = times(3).map((i) => `after-${i}`)
        for (const _ of times(2)) for (const token of after) yield* present(token)
        assert.deepStrictEqual(after.map(callsOf), [1, 1, 1])
      })
    )
  }

  it("evicts no token for a large token that is used once, even if a small token would fit", () => {
    const cache = new TokenCache<Lifetime>({ capacity: 100, maxBytes: 100 })
    const add = (text: string, bytes: number) =>
      cache.set(text, 0, () => ({ value: { validFrom: 0, validUntil: 1 }, bytes }))
    const isCached = (text: string) => currentOf(cache, cache.find(text), 0) !== undefined
    for (const text of ["a", "b", "c"]) add(text, 20)
    add("large", 60)
    assert.deepStrictEqual(["a", "b", "c", "large"].map(isCached), [true, true, true, false])
    add("large", 60)
    assert.isTrue(isCached("large"))
  })

  it.effect("evicts no accepted token for many refused or expired tokens", () =>
    Effect.gen(function* () {
      const { callsOf, present } = yield* verifier({
        cache: { capacity: 3 },
        decide: (token) => {
          if (token.startsWith("bad")) return refused
          return accepted(token, token.startsWith("expired") ? { expiresAt: DateTime.makeUnsafe(0) } : {})
        }
      })
      const good = ["a", "b", "c"]
      for (const token of good) yield* present(token)
      for (const i of times(1000)) yield* Effect.flip(present(`bad-${i}`))
      for (const i of times(1000)) yield* Effect.flip(present(`expired-${i}`))
      for (const token of good) yield* present(token)
      assert.deepStrictEqual(good.map(callsOf), [1, 1, 1])
    })
  )

  it.effect("does not cache a token that is larger than maxBytes, and evicts no token for it", () =>
    Effect.gen(function* () {
      const many = times(100).map(String)
      const decide = (token: string) => {
        if (token === "many-claims") return accepted(token, { claims: { a: { b: many } } })
        return accepted(token, token === "many-scopes" ? { scopes: new Set(many) } : {})
      }
      const { callsOf, present } = yield* verifier({ cache: { maxBytes: 4000 }, decide })
      const tokens = ["a", "x".repeat(4000), "y".repeat(9000), "many-claims", "many-scopes"]
      for (const _ of times(2)) for (const token of tokens) yield* present(token)
      assert.deepStrictEqual(tokens.map(callsOf), [1, 2, 2, 2, 2])
    })
  )

  const text = textOf(700)
  // The last three have the same sample of characters, so the same hash.
  const texts = ["a", "b", "c", "dd", textOf(40), text, ...[680, 679, 678].map((i) => changedAt(text, i))]
  const Text = Schema.Literals(texts)
  const Command = Schema.Union([
    Schema.TaggedStruct("Get", { text: Text }),
    Schema.TaggedStruct("Get", { text: Text }),
    Schema.TaggedStruct("Set", {
      text: Text,
      lives: Schema.Literals([1, 5, 100]),
      bytes: Schema.Literals([1, 30, 101])
    }),
    Schema.TaggedStruct("Set", { text: Text, lives: Schema.Literals([5, 100]), bytes: Schema.Literals([10, 30, 60]) }),
    Schema.TaggedStruct("Delete", { text: Text }),
    Schema.TaggedStruct("Advance", { by: Schema.Literals([1, 4, 50, -1, -4]) })
  ])

  it.prop(
    "returns only values that were set last and are valid now, and stays within its bounds (model test)",
    { commands: Arbitrary.array(Arbitrary.schema(Command), { minLength: 10, maxLength: 80 }) },
    ({ commands }) => {
      const bounds = { capacity: 4, maxBytes: 100 }
      const cache = new TokenCache<Lifetime>(bounds)
      const set = new Map<string, Lifetime>()
      let now = 1000
      const current = (entry: CacheEntry<Lifetime> | undefined) => currentOf(cache, entry, now)
      for (const command of commands) {
        switch (command._tag) {
          case "Get": {
            const entry = current(cache.find(command.text))
            // Only a header in the usual form finds the same entry.
            assert.strictEqual(current(cache.findPresented(`Bearer ${command.text}`)), entry)
            for (const field of [
              `bearer ${command.text}`,
              `Bearer  ${command.text}`,
              `Bearer ${command.text} `,
              command.text
            ]) {
              assert.isUndefined(current(cache.findPresented(field)))
            }
            if (entry === undefined) break
            assert.strictEqual(entry, set.get(command.text))
            assert.isTrue(entry.validFrom <= now && now < entry.validUntil)
            break
          }
          case "Set": {
            const entry = { validFrom: now, validUntil: now + command.lives }
            const add = () => cache.set(command.text, now, () => ({ value: entry, bytes: command.bytes }))
            add()
            set.set(command.text, entry)
            // A token that was set twice is cached, unless it is too large. Not each is looked up, because a lookup
            // counts as a use.
            if (command.lives === 5) break
            if (current(cache.find(command.text)) === undefined) add()
            assert.strictEqual(current(cache.find(command.text)), command.bytes > bounds.maxBytes ? undefined : entry)
            break
          }
          case "Delete":
            cache.delete(command.text)
            set.delete(command.text)
            break
          case "Advance":
            now += command.by
        }
        assert.isTrue(cache.size >= 0 && cache.size <= bounds.capacity)
        assert.isTrue(cache.bytes >= cache.size && cache.bytes <= bounds.maxBytes)
      }
      for (const text of texts) cache.delete(text)
      assert.deepStrictEqual([cache.size, cache.bytes], [0, 0])
    },
    { arbitrary: { runs: 3000, seed: "token cache" } }
  )
})

const int = (minimum: number, maximum: number) =>
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum, maximum })))

/** Different tokens that differ in a few characters at any position. The rest may be long. */
const lookAlikes = (count: number) =>
  Arbitrary.all({ before: int(0, 4000), after: int(0, 4000), digits: int(2, 4) }).pipe(
    Arbitrary.map(({ after, before, digits }) => {
      const [head, tail] = [textOf(before), textOf(after)]
      return times(count).map((i) => head + i.toString(36).padStart(digits, "0") + tail)
    })
  )

describe("tokens that differ in a few characters", () => {
  it.effect.prop(
    "are each verified once, and invalidated one by one",
    { tokens: lookAlikes(60) },
    ({ tokens }) =>
      Effect.gen(function* () {
        const { calls, invalidate, present } = yield* verifier({ cache: { maxBytes: 2 ** 30 } })
        for (const _ of times(3)) {
          for (const token of tokens) assert.strictEqual((yield* present(token)).subject, token)
        }
        assert.deepStrictEqual(calls, tokens)
        for (const token of tokens.slice(0, 20)) yield* invalidate(token)
        for (const token of tokens) yield* present(token)
        assert.deepStrictEqual(calls.slice(60), tokens.slice(0, 20))
      }),
    { arbitrary: { runs: 50, seed: "look-alikes" } }
  )

  for (const [how, presentations, capacity] of [
    ["once", 1, 3],
    ["twice", 2, 6]
  ] as const) {
    it.effect.prop(
      `do not evict a token in use if the cache is full and each of them is used ${how}`,
      { tokens: lookAlikes(60) },
      ({ tokens }) =>
        Effect.gen(function* () {
          const { callsOf, present } = yield* verifier({ cache: { capacity } })
          const [victim = "", ...others] = tokens
          const inUse = [victim, "hot-1", "hot-2"]
          for (const token of inUse) yield* present(token)
          for (const i of times(capacity)) yield* present(`filler-${i}`)
          for (const other of others) {
            for (const _ of times(presentations)) {
              for (const token of inUse) yield* present(token)
              yield* present(other)
            }
          }
          assert.deepStrictEqual(inUse.map(callsOf), [1, 1, 1])
        }),
      { arbitrary: { runs: 50, seed: "evictions" } }
    )
  }

  it("are all cached below the capacity, in any order of additions and deletions", () => {
    const text = textOf(700)
    // More than 600 of the tokens have the same sample of characters, whichever characters the sample has.
    const texts = times(700).map((i) => changedAt(text, i))
    const cache = new TokenCache<Lifetime>({ capacity: 1000, maxBytes: 1000 })
    const model = new Map<string, Lifetime>()
    const check = () => {
      for (const text of texts) assert.strictEqual(cache.find(text)?.value, model.get(text))
      assert.deepStrictEqual([cache.size, cache.bytes], [model.size, model.size])
    }
    const set = (text: string) => {
      const entry = { validFrom: 0, validUntil: 1 }
      cache.set(text, 0, () => ({ value: entry, bytes: 1 }))
      model.set(text, entry)
    }
    const remove = (text: string) => {
      cache.delete(text)
      model.delete(text)
    }
    for (const text of texts) set(text)
    check()
    for (const text of texts.slice(0, 350)) set(text)
    for (const text of texts.slice(0, 699)) remove(text)
    check()
    for (const text of texts) remove(text)
    check()
    for (const text of texts.toReversed()) set(text)
    check()
  })
})

// 6000 steps delete more than 1000 entries, so the map copies itself.
const texts = times(30).map((i) => `token-${i}`)
const Step = Schema.Struct({ kind: Schema.Literals(["set", "delete"]), text: Schema.Literals(texts) })

it.prop(
  "TransientMap returns the same values as a Map",
  { steps: Arbitrary.array(Arbitrary.schema(Step), { minLength: 6000, maxLength: 7000 }) },
  ({ steps }) => {
    const map = new TransientMap<number>()
    const model = new Map<string, number>()
    steps.forEach(({ kind, text }, i) => {
      assert.strictEqual(map.get(text), model.get(text))
      if (kind === "set") {
        map.set(text, i)
        model.set(text, i)
      } else {
        map.delete(text)
        model.delete(text)
      }
    })
    for (const text of texts) assert.strictEqual(map.get(text), model.get(text))
  },
  { arbitrary: { runs: 10, seed: "flights" } }
)

describe("the memory of the cache", () => {
  it("does not grow if tokens expire and are added again", () => {
    setFlagsFromString("--expose-gc")
    const collect = runInNewContext("gc") as () => void
    const cache = new TokenCache<Lifetime>({ capacity: 10_000, maxBytes: Number.MAX_SAFE_INTEGER })
    const tokens = Array.from({ length: 1000 }, (_, i) => `${i}`.padStart(64, "token"))
    let now = 0
    const minutes = (count: number) => {
      for (const _ of times(count)) {
        now += 60_000
        for (const token of tokens) {
          if (currentOf(cache, cache.find(token), now) === undefined) {
            cache.set(token, now, () => ({ value: { validFrom: now, validUntil: now + 60_000 }, bytes: 100 }))
          }
        }
      }
      collect()
      return process.memoryUsage().heapUsed / 2 ** 20
    }
    const before = minutes(100)
    // Without the reset of the eviction cursor, the heap grew by 24 MB.
    assert.isBelow(minutes(400) - before, 8)
  })
})
