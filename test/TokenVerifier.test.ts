/** Verified tokens that are kept: for no longer than they may be, for nobody else, in bounds. */
import { assert, describe, it } from "@effect/vitest"
import {
  Arbitrary,
  Context,
  DateTime,
  Deferred,
  Duration,
  Effect,
  Exit,
  Fiber,
  Layer,
  Metric,
  Option,
  Redacted,
  Scheduler,
  Schema
} from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import {
  BearerToken,
  JwtVerifier,
  OAuth2,
  SecurityError,
  type TokenCacheOptions,
  TokenVerifier,
  type VerifiedToken
} from "effect-oauth2"
import { TestIssuer } from "effect-oauth2/testing"
import { TestClock } from "effect/testing"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { InFlight } from "../src/internal/inFlight.ts"
import { type Entry, type Kept, TokenCache } from "../src/internal/tokenCache.ts"
import { verified } from "./support/Verifier.ts"
import { serve } from "./support/web.ts"

type Verify = TokenVerifier["Service"]["verify"]
type Outcome = ReturnType<Verify>

const accepted = (subject: string, more: Partial<VerifiedToken> = {}): Outcome =>
  Effect.succeed({ ...verified(subject, ["a"]), ...more })
const refused: Outcome = Effect.fail(new SecurityError.InvalidToken({ reason: "Rejected" }))
const outage: Outcome = Effect.fail(
  new SecurityError.AuthorizationServerUnavailable({ reason: "Timeout", retryAfter: Duration.seconds(5) })
)

/** Verifiers decide at once, or later. */
const ways: Readonly<Record<string, (decide: () => Outcome) => Outcome>> = {
  "at once": (decide) => decide(),
  later: (decide) => Effect.andThen(Effect.yieldNow, Effect.suspend(decide))
}

interface Options {
  readonly cache?: TokenCacheOptions | false
  /** What the verifier says of a token. Default: it is good, and its subject is its text. */
  readonly says?: (token: string) => Outcome
  readonly way?: (decide: () => Outcome) => Outcome
}

/** A verifier with a cache in front, and which tokens it was asked about. */
const verifier = Effect.fnUntraced(function* ({ cache = {}, says = accepted, way = (decide) => decide() }: Options) {
  const calls: Array<string> = []
  const service = yield* TokenVerifier.make({
    cache,
    verify: (token) =>
      way(() => {
        calls.push(Redacted.value(token))
        return says(Redacted.value(token))
      })
  })
  return {
    calls,
    service,
    present: (token: string) => service.verify(Redacted.make(token)),
    invalidate: (token: string) => service.invalidate(Redacted.make(token)),
    callsOf: (token: string) => calls.filter((called) => called === token).length
  }
})

const times = (n: number) => Array.from({ length: n }, (_, i) => i)

const currentOf = (cache: TokenCache<Entry>, kept: Kept<Entry> | undefined, now: number): Entry | undefined =>
  kept && cache.current(kept, now)

describe("a verified token", () => {
  for (const [name, way] of Object.entries(ways)) {
    describe(`by a verifier that decides ${name}`, () => {
      it.effect("is verified once", () =>
        Effect.gen(function* () {
          const { calls, present } = yield* verifier({ way })
          const first = yield* present("a")
          assert.strictEqual(first.subject, "a")
          assert.strictEqual(yield* present("a"), first)
          assert.strictEqual((yield* present("b")).subject, "b")
          assert.strictEqual(yield* present("a"), first)
          assert.deepStrictEqual(calls, ["a", "b"])
        })
      )

      it.effect("is verified each time where there is no cache", () =>
        Effect.gen(function* () {
          const { calls, invalidate, present } = yield* verifier({ way, cache: false })
          for (const _ of times(3)) assert.strictEqual((yield* present("a")).subject, "a")
          yield* invalidate("a")
          assert.deepStrictEqual(calls, ["a", "a", "a"])
        })
      )

      it.effect("is not kept where it was refused, or where nobody could tell", () =>
        Effect.gen(function* () {
          let now = refused
          const { calls, present } = yield* verifier({ way, says: () => now })
          assert.strictEqual((yield* Effect.flip(present("a")))._tag, "InvalidToken")
          assert.strictEqual((yield* Effect.flip(present("a")))._tag, "InvalidToken")
          now = outage
          assert.strictEqual((yield* Effect.flip(present("a")))._tag, "AuthorizationServerUnavailable")
          assert.strictEqual((yield* Effect.flip(present("a")))._tag, "AuthorizationServerUnavailable")
          now = accepted("a")
          assert.strictEqual((yield* present("a")).subject, "a")
          now = refused
          assert.strictEqual((yield* present("a")).subject, "a")
          assert.lengthOf(calls, 5)
        })
      )

      it.effect("is kept until it expires, to the millisecond", () =>
        Effect.gen(function* () {
          const says = (token: string) => accepted(token, { expiresAt: DateTime.makeUnsafe(10_000) })
          const { calls, present } = yield* verifier({ way, says })
          yield* present("a")
          yield* TestClock.setTime(9_999)
          yield* present("a")
          assert.lengthOf(calls, 1)
          yield* TestClock.setTime(10_000)
          yield* present("a")
          // What has expired is not kept, whatever the verifier says.
          yield* present("a")
          assert.lengthOf(calls, 3)
        })
      )

      it.effect("is kept for as long as was chosen, and no longer where it is used", () =>
        Effect.gen(function* () {
          for (const [cache, timeToLive] of [
            [{}, 60_000],
            [{ timeToLive: "5 seconds" }, 5000]
          ] as const) {
            yield* TestClock.setTime(0)
            const { calls, present } = yield* verifier({ way, cache })
            for (const time of [0, timeToLive / 2, timeToLive - 1]) {
              yield* TestClock.setTime(time)
              yield* present("a")
            }
            assert.lengthOf(calls, 1)
            yield* TestClock.setTime(timeToLive)
            yield* present("a")
            yield* TestClock.setTime(2 * timeToLive - 1)
            yield* present("a")
            assert.lengthOf(calls, 2)
          }
        })
      )

      it.effect("counts for nothing by a clock that shows a time before it was verified", () =>
        Effect.gen(function* () {
          const { calls, present } = yield* verifier({ way })
          yield* TestClock.setTime(10_000)
          yield* present("a")
          yield* TestClock.setTime(9999)
          yield* present("a")
          assert.lengthOf(calls, 2)
        })
      )

      it.effect("is verified anew when it was invalidated", () =>
        Effect.gen(function* () {
          const { calls, present, service } = yield* verifier({ way })
          yield* present("a")
          yield* present("b")
          yield* TokenVerifier.invalidate(Redacted.make("a")).pipe(Effect.provideService(TokenVerifier, service))
          yield* TokenVerifier.invalidate(Redacted.make("never seen")).pipe(
            Effect.provideService(TokenVerifier, service)
          )
          yield* present("b")
          assert.deepStrictEqual(calls, ["a", "b"])
          yield* present("a")
          yield* present("a")
          assert.deepStrictEqual(calls, ["a", "b", "a"])
        })
      )
    })
  }
})

// ---------------------------------------------------------------------------------------------------------------------
// never for another token
// ---------------------------------------------------------------------------------------------------------------------

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."

/** Some token of a length. */
const textOf = (length: number) =>
  times(length)
    .map((i) => alphabet[(i * 7 + (i >> 5)) % alphabet.length])
    .join("")

/** With another character at a place. */
const changedAt = (text: string, i: number) => text.slice(0, i) + (text[i] === "A" ? "B" : "A") + text.slice(i + 1)

describe("what is kept of one token is never another's", () => {
  for (const length of [1, 2, 3, 31, 32, 33, 63, 64, 65, 700, 8192, 9001]) {
    it.effect(`whatever character is another, of ${length}`, () =>
      Effect.gen(function* () {
        const text = textOf(length)
        const { calls, callsOf, present } = yield* verifier({
          says: (token) => (token === text ? accepted("the one") : refused)
        })
        yield* present(text)
        const others = [
          ...times(length).map((i) => changedAt(text, i)),
          ...["A", ".", "="].flatMap((more) => [text + more, more + text]),
          ...(length === 1 ? [] : [text.slice(1), text.slice(0, -1), text.slice(0, length >> 1)])
        ]
        for (const other of others) {
          assert.strictEqual((yield* Effect.flip(present(other)))._tag, "InvalidToken", other)
        }
        assert.lengthOf(calls, 1 + others.length)
        assert.strictEqual((yield* present(text)).subject, "the one")
        assert.strictEqual(callsOf(text), 1)
      })
    )
  }

  it.effect("even where two have the same place: the later takes it", () =>
    Effect.gen(function* () {
      const text = textOf(700)
      // The last character is in the sample of a token of this length, the one before it is not.
      const { callsOf, invalidate, present } = yield* verifier({})
      const [other, twin] = [changedAt(text, 699), changedAt(text, 698)]
      const presentAll = Effect.forEach([text, other, twin], (token) =>
        Effect.map(present(token), ({ subject }) => assert.strictEqual(subject, token))
      )
      for (const _ of times(3)) yield* presentAll
      assert.deepStrictEqual([text, other, twin].map(callsOf), [3, 1, 3])
      yield* invalidate(text)
      yield* present(twin)
      assert.strictEqual(callsOf(twin), 3, "neither is it forgotten with the other")
    })
  )

  it.effect("where two of three parts are the same", () =>
    Effect.gen(function* () {
      const texts = ["h.p.s", "x.p.s", "h.x.s", "h.p.x"]
      const { calls, present } = yield* verifier({})
      for (const _ of times(2)) {
        for (const text of texts) assert.strictEqual((yield* present(text)).subject, text)
      }
      assert.deepStrictEqual(calls, texts)
    })
  )
})

// ---------------------------------------------------------------------------------------------------------------------
// bounds
// ---------------------------------------------------------------------------------------------------------------------

describe("the cache is bounded", () => {
  for (const [what, cache] of [
    ["in tokens", { capacity: 10 }],
    ["in bytes", { maxBytes: 12_000 }]
  ] as const) {
    it.effect(`${what}: tokens that come once drop none, tokens that come again drop none that is in use`, () =>
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
        const kept = 1303 - calls.length
        assert.isTrue(kept >= 1 && kept <= 10, `${kept} of them were kept`)
      })
    )

    it.effect(`${what}: tokens whose time is over give their places to others`, () =>
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

  it("a large token that comes once drops none, though there is room for a small one", () => {
    const cache = new TokenCache<Entry>({ capacity: 100, maxBytes: 100 })
    const keep = (text: string, bytes: number) => cache.set(text, 0, () => ({ entry: { from: 0, until: 1 }, bytes }))
    const isKept = (text: string) => currentOf(cache, cache.find(text), 0) !== undefined
    for (const text of ["a", "b", "c"]) keep(text, 20)
    keep("large", 60)
    assert.deepStrictEqual(["a", "b", "c", "large"].map(isKept), [true, true, true, false])
    keep("large", 60)
    assert.isTrue(isKept("large"))
  })

  it.effect("a flood of bad tokens, or of ones that are just about to be, drops no good one", () =>
    Effect.gen(function* () {
      const { callsOf, present } = yield* verifier({
        cache: { capacity: 3 },
        says: (token) => {
          if (token.startsWith("bad")) return refused
          return accepted(token, token.startsWith("late") ? { expiresAt: DateTime.makeUnsafe(0) } : {})
        }
      })
      const good = ["a", "b", "c"]
      for (const token of good) yield* present(token)
      for (const i of times(1000)) yield* Effect.flip(present(`bad-${i}`))
      for (const i of times(1000)) yield* present(`late-${i}`)
      for (const token of good) yield* present(token)
      assert.deepStrictEqual(good.map(callsOf), [1, 1, 1])
    })
  )

  it.effect("a token that is larger than all of it is not kept, and drops none", () =>
    Effect.gen(function* () {
      const many = times(100).map(String)
      const says = (token: string) => {
        if (token === "many-claims") return accepted(token, { claims: { a: { b: many } } })
        return accepted(token, token === "many-scopes" ? { scopes: new Set(many) } : {})
      }
      const { callsOf, present } = yield* verifier({ cache: { maxBytes: 4000 }, says })
      const tokens = ["a", "x".repeat(4000), "y".repeat(9000), "many-claims", "many-scopes"]
      for (const _ of times(2)) for (const token of tokens) yield* present(token)
      assert.deepStrictEqual(tokens.map(callsOf), [1, 2, 2, 2, 2])
    })
  )

  const text = textOf(700)
  // The last two of them have the same sample.
  const texts = ["a", "b", "c", "dd", textOf(40), text, changedAt(text, 698)]
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
    "TokenCache, against a model: what it has is what was set last, in its time, within bounds",
    { commands: Arbitrary.array(Arbitrary.schema(Command), { minLength: 10, maxLength: 80 }) },
    ({ commands }) => {
      const bounds = { capacity: 4, maxBytes: 100 }
      const cache = new TokenCache<Entry>(bounds)
      const set = new Map<string, Entry>()
      let now = 1000
      const current = (kept: Kept<Entry> | undefined) => currentOf(cache, kept, now)
      for (const command of commands) {
        switch (command._tag) {
          case "Get": {
            const entry = current(cache.find(command.text))
            // As clients write it, and in no other way, a field finds the same.
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
            assert.isTrue(entry.from <= now && now < entry.until)
            break
          }
          case "Set": {
            const entry = { from: now, until: now + command.lives }
            const keep = () => cache.set(command.text, now, () => ({ entry, bytes: command.bytes }))
            keep()
            set.set(command.text, entry)
            // What has just been set for the second time is there, if there can be room for it. (Not each is looked up: that is to use it.)
            if (command.lives === 5) break
            if (current(cache.find(command.text)) === undefined) keep()
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

// ---------------------------------------------------------------------------------------------------------------------
// at the same time
// ---------------------------------------------------------------------------------------------------------------------

/** A verifier that decides when it is told to, and those who ask it at once. */
const waiting = Effect.fnUntraced(function* () {
  const answers: Array<Deferred.Deferred<VerifiedToken, Effect.Error<Outcome>>> = []
  const made = yield* verifier({
    way: Effect.suspend,
    says: () => {
      const answer = Deferred.makeUnsafe<VerifiedToken, Effect.Error<Outcome>>()
      answers.push(answer)
      return Deferred.await(answer)
    }
  })
  return {
    ...made,
    ask: (token: string) => Effect.forkChild(Effect.exit(made.present(token)), { startImmediately: true }),
    answer: (i: number, outcome: Outcome) =>
      Effect.suspend(() => Deferred.complete(answers[i] ?? assert.fail(`not asked ${i + 1} times`), outcome))
  }
})

// Enough ends that what is under way is moved.
const texts = times(30).map((i) => `token-${i}`)
const Step = Schema.Struct({ kind: Schema.Literals(["set", "delete"]), text: Schema.Literals(texts) })

it.prop(
  "what is under way is found as in a map, while it is under way",
  { steps: Arbitrary.array(Arbitrary.schema(Step), { minLength: 6000, maxLength: 7000 }) },
  ({ steps }) => {
    const inFlight = new InFlight<number>()
    const model = new Map<string, number>()
    steps.forEach(({ kind, text }, i) => {
      assert.strictEqual(inFlight.get(text), model.get(text))
      if (kind === "set") {
        inFlight.set(text, i)
        model.set(text, i)
      } else {
        inFlight.delete(text)
        model.delete(text)
      }
    })
    for (const text of texts) assert.strictEqual(inFlight.get(text), model.get(text))
  },
  { arbitrary: { runs: 10, seed: "flights" } }
)

describe("the memory of the cache", () => {
  it("is what it keeps, however often tokens leave and come again", () => {
    setFlagsFromString("--expose-gc")
    const collect = runInNewContext("gc") as () => void
    const cache = new TokenCache<Entry>({ capacity: 10_000, maxBytes: Number.MAX_SAFE_INTEGER })
    const tokens = Array.from({ length: 1000 }, (_, i) => `${i}`.padStart(64, "token"))
    let now = 0
    const minutes = (count: number) => {
      for (const _ of times(count)) {
        now += 60_000
        for (const token of tokens) {
          if (currentOf(cache, cache.find(token), now) === undefined) {
            cache.set(token, now, () => ({ entry: { from: now, until: now + 60_000 }, bytes: 100 }))
          }
        }
      }
      collect()
      return process.memoryUsage().heapUsed / 2 ** 20
    }
    const before = minutes(100)
    // It was 24 MB more.
    assert.isBelow(minutes(400) - before, 8)
  })
})

describe("a token that many present at once", () => {
  it.effect("is verified once", () =>
    Effect.gen(function* () {
      const { answer, ask, calls, present } = yield* waiting()
      const fibers = yield* Effect.forEach(times(100), () => ask("a"))
      const other = yield* ask("b")
      assert.deepStrictEqual(calls, ["a", "b"])
      yield* answer(1, accepted("b"))
      yield* answer(0, accepted("a"))
      for (const exit of yield* Fiber.joinAll(fibers)) {
        assert(Exit.isSuccess(exit))
        assert.strictEqual(exit.value.subject, "a")
      }
      assert(Exit.isSuccess(yield* Fiber.join(other)))
      yield* present("a")
      assert.deepStrictEqual(calls, ["a", "b"])
    })
  )

  it.effect("is answered to the others where the first goes away", () =>
    Effect.gen(function* () {
      const { answer, ask, calls } = yield* waiting()
      const [first, ...others] = [yield* ask("a"), yield* ask("a"), yield* ask("a")]
      yield* Fiber.interrupt(first)
      yield* Effect.yieldNow
      yield* answer(1, accepted("a"))
      for (const exit of yield* Fiber.joinAll(others)) assert(Exit.isSuccess(exit))
      assert.lengthOf(calls, 2)
      assert(Exit.isSuccess(yield* Fiber.join(yield* ask("a"))))
      assert.lengthOf(calls, 2)
    })
  )

  it.effect("is answered to all others where the first goes away, however many they are", () =>
    Effect.gen(function* () {
      const soon = Effect.yieldNow
      for (const [decide, most] of [
        [Effect.void, 101],
        [soon, 2],
        [Effect.andThen(soon, soon), 2]
      ] as const) {
        let asked = 0
        const { present } = yield* verifier({
          way: Effect.suspend,
          says: () => (asked++ === 0 ? Effect.never : Effect.andThen(decide, accepted("a")))
        })
        const first = yield* Effect.forkChild(present("a"), { startImmediately: true })
        const others = yield* Effect.forEach(times(100), () =>
          Effect.forkChild(present("a"), { startImmediately: true })
        )
        yield* Fiber.interrupt(first)
        for (const { subject } of yield* Fiber.joinAll(others)) assert.strictEqual(subject, "a")
        assert.isAtMost(asked, most)
      }
    })
  )

  it.effect("is answered wherever a fiber stands still for the others", () =>
    Effect.gen(function* () {
      for (const ops of times(24)) {
        for (const turns of times(8)) {
          const { answer, calls, present } = yield* waiting()
          const patient = Effect.provideService(present("a"), Scheduler.MaxOpsBeforeYield, ops + 4)
          const first = yield* Effect.forkChild(present("a"), { startImmediately: true })
          const other = yield* Effect.forkChild(patient)
          for (const _ of times(turns)) yield* Effect.yieldNow
          yield* answer(0, accepted("a"))
          for (let turn = 0; other.pollUnsafe() === undefined; turn++) {
            assert.isBelow(turn, 100, `after ${ops + 4} operations, ${turns} turns later`)
            // Who came too late asks anew.
            if (calls.length > 1) yield* answer(calls.length - 1, accepted("a"))
            yield* Effect.yieldNow
          }
          for (const { subject } of yield* Fiber.joinAll([first, other])) assert.strictEqual(subject, "a")
        }
      }
    })
  )

  it.effect("is verified anew where all went away", () =>
    Effect.gen(function* () {
      const { answer, ask, calls } = yield* waiting()
      const [first, second] = [yield* ask("a"), yield* ask("a")]
      yield* Fiber.interrupt(second)
      yield* Fiber.interrupt(first)
      const later = yield* ask("a")
      assert.lengthOf(calls, 2)
      yield* answer(1, accepted("a"))
      assert(Exit.isSuccess(yield* Fiber.join(later)))
    })
  )

  for (const [name, outcome] of Object.entries({
    "an outage": outage,
    "a refusal": refused,
    "a defect": Effect.die("broken")
  })) {
    it.effect(`has ${name} for all who waited, and for nobody after`, () =>
      Effect.gen(function* () {
        const { answer, ask, calls } = yield* waiting()
        const fibers = yield* Effect.forEach(times(3), () => ask("a"))
        yield* answer(0, outcome)
        const expected = yield* Effect.exit(outcome)
        for (const exit of yield* Fiber.joinAll(fibers)) assert.deepStrictEqual(exit, expected)
        assert.lengthOf(calls, 1)
        const later = yield* ask("a")
        yield* answer(1, accepted("a"))
        assert(Exit.isSuccess(yield* Fiber.join(later)))
      })
    )
  }

  for (const [name, outcome] of Object.entries({ accepted: accepted("a"), refused, outage })) {
    it.effect(`leaves nothing behind: ${name}, and then the verifier itself is asked`, () =>
      Effect.gen(function* () {
        let asked = 0
        const { verify } = yield* TokenVerifier.make({
          cache: { timeToLive: "1 second" },
          verify: () => {
            asked++
            return Effect.andThen(Effect.yieldNow, outcome)
          }
        })
        for (const _ of times(3)) {
          yield* Effect.exit(verify(Redacted.make("a")))
          yield* TestClock.adjust("1 second")
        }
        assert.strictEqual(asked, 3)
      })
    )
  }

  it.effect("is not kept where it was invalidated meanwhile", () =>
    Effect.gen(function* () {
      const { answer, ask, calls, invalidate } = yield* waiting()
      const before = yield* ask("a")
      yield* invalidate("a")
      yield* answer(0, accepted("a"))
      assert(Exit.isSuccess(yield* Fiber.join(before)), "it was being decided about")
      const after = yield* ask("a")
      yield* answer(1, refused)
      assert(Exit.isFailure(yield* Fiber.join(after)))
      assert.lengthOf(calls, 2)
    })
  )

  it.effect("is verified anew for those who come after an invalidation, and what they find is kept", () =>
    Effect.gen(function* () {
      const { answer, ask, calls, invalidate, present } = yield* waiting()
      const before = yield* ask("a")
      yield* invalidate("a")
      const after = yield* ask("a")
      assert.lengthOf(calls, 2)
      yield* answer(1, accepted("after"))
      yield* Fiber.join(after)
      yield* answer(0, accepted("before"))
      yield* Fiber.join(before)
      assert.strictEqual((yield* present("a")).subject, "after")
    })
  )
})

// ---------------------------------------------------------------------------------------------------------------------
// JWTs
// ---------------------------------------------------------------------------------------------------------------------

const issuer = "https://issuer.test"
const audience = "https://api.test"

const { key, other } = await Effect.runPromise(
  Effect.all({ key: TestIssuer.makeKey("key", "ES256"), other: TestIssuer.makeKey("other", "ES256") })
)

/** Look-ups and verifications, by outcome. */
const counted = Effect.map(Metric.snapshot, (metrics) =>
  Object.fromEntries(
    metrics.flatMap(({ attributes, id, state }) =>
      id.startsWith("oauth2_token_") && "count" in state && state.count !== 0
        ? [[attributes?.["outcome"], state.count]]
        : []
    )
  )
)

const present = (token: string) => TokenVerifier.use(({ verify }) => verify(Redacted.make(token)))

const reason = (token: string) =>
  Effect.map(Effect.flip(present(token)), (error) => (error._tag === "InvalidToken" ? error.reason : error._tag))

const mint = (options: Parameters<TestIssuer["Service"]["mint"]>[0] = {}) =>
  TestIssuer.use((issuer) => issuer.mint({ lifetime: "1 day", ...options }))

/** Lets a fetch that nobody waits for end. */
const settle = Effect.promise(() => new Promise<void>((resolve) => setImmediate(() => setImmediate(resolve))))

describe("a JWT that is kept", () => {
  const test = <E>(
    name: string,
    body: () => Effect.Effect<void, E, TestIssuer | TokenVerifier>,
    options: Partial<JwtVerifier.Options> = {}
  ) =>
    it.effect(name, () =>
      body().pipe(
        Effect.provide(
          JwtVerifier.layer({ issuer, audience, cache: { timeToLive: "1 day" }, ...options }).pipe(
            Layer.provideMerge(TestIssuer.layer({ issuer, audience, keys: [key, other] }))
          )
        ),
        Effect.provideService(Metric.MetricRegistry, new Map())
      )
    )

  test("is verified once, and its look-ups are counted", () =>
    Effect.gen(function* () {
      const token = yield* mint()
      for (const _ of times(3)) assert.strictEqual((yield* present(token)).subject, "demo")
      assert.strictEqual(yield* reason("bad"), "Malformed")
      assert.deepStrictEqual(yield* counted, { Accepted: 1, Malformed: 1, hit: 2, miss: 2 })
    }))

  test("is given no clock tolerance twice: from its exp on it is verified", () =>
    Effect.gen(function* () {
      const token = yield* mint({ lifetime: "100 seconds" })
      yield* present(token)
      yield* TestClock.setTime(99_999)
      yield* present(token)
      assert.deepStrictEqual(yield* counted, { Accepted: 1, hit: 1, miss: 1 })
      for (const time of [100_000, 104_999]) {
        yield* TestClock.setTime(time)
        yield* present(token)
      }
      assert.deepStrictEqual(yield* counted, { Accepted: 3, hit: 1, miss: 3 })
      yield* TestClock.setTime(105_000)
      assert.strictEqual(yield* reason(token), "Expired")
    }))

  test(
    "is not kept past the age that it may have",
    () =>
      Effect.gen(function* () {
        const token = yield* mint()
        yield* present(token)
        yield* TestClock.setTime(59_999)
        yield* present(token)
        assert.deepStrictEqual(yield* counted, { Accepted: 1, hit: 1, miss: 1 })
        yield* TestClock.setTime(65_000)
        yield* present(token)
        assert.deepStrictEqual(yield* counted, { Accepted: 2, hit: 1, miss: 2 })
        yield* TestClock.setTime(65_001)
        assert.strictEqual(yield* reason(token), "Claim")
      }),
    { maxTokenAge: "1 minute" }
  )

  test("is refused by a clock that was set back to before its time", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(100_000)
      const token = yield* mint({ claims: { nbf: 100 } })
      yield* present(token)
      yield* TestClock.setTime(94_999)
      assert.strictEqual(yield* reason(token), "Claim")
      yield* TestClock.setTime(100_000)
      yield* present(token)
      assert.deepStrictEqual(yield* counted, { Accepted: 2, Claim: 1, miss: 3 })
    }))

  test("is nothing to another that shares two of its three parts", () =>
    Effect.gen(function* () {
      const [one, two] = [yield* mint({ subject: "alice" }), yield* mint({ subject: "mallory" })]
      yield* present(one)
      yield* present(two)
      const parts = [one.split("."), two.split(".")] as const
      for (const i of [1, 2]) {
        const mixed = parts[0].map((part, j) => (i === j ? parts[1][j] : part)).join(".")
        assert.strictEqual(yield* reason(mixed), "Signature")
      }
      assert.strictEqual((yield* present(one)).subject, "alice")
      assert.strictEqual((yield* present(two)).subject, "mallory")
    }))

  test("is dropped with its key, as soon as the issuer's keys are fetched anew", () =>
    Effect.gen(function* () {
      const { retire } = yield* TestIssuer
      const token = yield* mint({ key })
      const still = yield* mint({ key: other })
      yield* present(token)
      yield* present(still)
      yield* retire("key")
      yield* TestClock.adjust("7 minutes")
      yield* present(token)
      assert.deepStrictEqual(yield* counted, { Accepted: 2, hit: 1, miss: 2 })
      yield* TestClock.adjust("4 minutes")
      assert.strictEqual(yield* reason(token), "UnknownKey")
      assert.strictEqual(yield* reason(token), "UnknownKey")
      yield* present(still)
      assert.deepStrictEqual(yield* counted, { Accepted: 2, UnknownKey: 1, hit: 2, miss: 4 })
    }))

  test("is dropped where its key's name is another key's now", () =>
    Effect.gen(function* () {
      const { publish, retire } = yield* TestIssuer
      const token = yield* mint({ key })
      yield* present(token)
      yield* retire("key")
      yield* publish({ ...other.jwk, kid: "key" })
      yield* TestClock.adjust("11 minutes")
      assert.strictEqual(yield* reason(token), "Signature")
    }))

  test("does not keep the keys from being refreshed ahead, and takes no harm from that", () =>
    Effect.gen(function* () {
      const { requests } = yield* TestIssuer
      const token = yield* mint()
      const fetches = Effect.map(requests, (requests) => requests.filter(({ endpoint }) => endpoint === "jwks").length)
      yield* present(token)
      yield* TestClock.adjust("7 minutes")
      yield* present(token)
      yield* settle
      assert.strictEqual(yield* fetches, 1)
      yield* TestClock.adjust("1 minute")
      yield* present(token)
      yield* settle
      assert.strictEqual(yield* fetches, 2)
      yield* TestClock.adjust("7 minutes")
      yield* present(token)
      yield* settle
      assert.strictEqual(yield* fetches, 2)
      assert.deepStrictEqual(yield* counted, { Accepted: 1, hit: 3, miss: 1 })
    }))

  test("serves as long as its key does in an outage, is no longer decided about then, and serves again after", () =>
    Effect.gen(function* () {
      const { respond } = yield* TestIssuer
      const token = yield* mint()
      yield* present(token)
      yield* respond("discovery", "unreachable")
      yield* respond("jwks", "unreachable")
      yield* TestClock.adjust("69 minutes")
      yield* present(token)
      yield* TestClock.adjust("1 minute")
      for (const _ of times(2)) assert.strictEqual(yield* reason(token), "AuthorizationServerUnavailable")
      yield* respond("discovery", "normal")
      yield* respond("jwks", "normal")
      yield* TestClock.adjust("5 seconds")
      yield* present(token)
      assert.deepStrictEqual(yield* counted, { Accepted: 1, hit: 2, miss: 3 })
    }))

  test(
    "is not accepted where it expires while the keys are waited for",
    () =>
      Effect.gen(function* () {
        const { respond } = yield* TestIssuer
        const token = yield* mint({ lifetime: "602 seconds" })
        yield* present(token)
        yield* TestClock.adjust("601 seconds")
        yield* respond("jwks", { body: JSON.stringify({ keys: [key.jwk, other.jwk] }), delay: "3 seconds" })
        const fiber = yield* Effect.forkChild(reason(token))
        yield* TestClock.adjust("3 seconds")
        assert.strictEqual(yield* Fiber.join(fiber), "Expired")
      }),
    { clockTolerance: 0 }
  )
})

it.effect("two verifiers add up their look-ups in one registry", () =>
  Effect.gen(function* () {
    for (const { present } of [yield* verifier({}), yield* verifier({})]) {
      for (const _ of times(3)) yield* present("a")
    }
    assert.deepStrictEqual(yield* counted, { hit: 4, miss: 2 })
  }).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))
)

// ---------------------------------------------------------------------------------------------------------------------
// settings
// ---------------------------------------------------------------------------------------------------------------------

describe("a cache that cannot work", () => {
  const wrong: ReadonlyArray<TokenCacheOptions> = [
    ...[0, -1, 1.5, NaN, Infinity].flatMap((n) => [{ capacity: n }, { maxBytes: n }]),
    ...([0, -1, NaN, "Infinity", "25 hours", "-1 minutes"] as const).map((timeToLive) => ({ timeToLive }))
  ]
  for (const cache of wrong) {
    const [[name, value] = []] = Object.entries(cache)
    it.effect(`fails the layer: ${name} ${value}`, () =>
      Effect.gen(function* () {
        const policy = { issuer, audience, algorithm: "HS256", secret: Redacted.make("s".repeat(32)) } as const
        for (const layer of [
          TokenVerifier.layer({ cache, verify: () => refused }),
          JwtVerifier.layerSecret({ ...policy, cache })
        ]) {
          const error = yield* Effect.flip(Layer.build(layer))
          assert.instanceOf(error, SecurityError.ConfigurationError)
          assert.strictEqual(error.setting, `cache.${name}`)
          assert.match(error.message, new RegExp(`^cache\\.${name} must be .*; cache: false switches the cache off$`))
        }
      })
    )
  }

  it.effect("is not one with the least and the most that it may have", () =>
    Effect.gen(function* () {
      for (const cache of [{ capacity: 1, maxBytes: 1, timeToLive: 1 }, { timeToLive: "24 hours" }] as const) {
        const { calls, present } = yield* verifier({ cache })
        yield* present("a")
        assert.deepStrictEqual(calls, ["a"])
      }
    })
  )
})

// ---------------------------------------------------------------------------------------------------------------------
// routes and programs
// ---------------------------------------------------------------------------------------------------------------------

const flow = { authorizationUrl: "https://idp.example.com/authorize", tokenUrl: "https://idp.example.com/token" }
const auth = OAuth2.authorizationCode("OAuth2", { ...flow, scopes: { a: "" } })

const subject = Effect.map(auth.granted("a"), ({ subject }) => HttpServerResponse.text(subject))
const route = HttpRouter.add("GET", "/", subject).pipe(Layer.provide(auth.require("a").route.layer))

describe("behind a scheme", () => {
  for (const [name, way] of Object.entries(ways)) {
    it.effect(`a token is verified once, by a verifier that decides ${name}`, () =>
      Effect.gen(function* () {
        const { calls, invalidate, service } = yield* verifier({ way })
        const send = yield* serve(
          route.pipe(Layer.provide(auth.layer), Layer.provide(Layer.succeed(TokenVerifier, service)))
        )
        for (const _ of times(3)) assert.strictEqual((yield* send("/", "alice")).body, "alice")
        assert.strictEqual((yield* send("/", "bob")).body, "bob")
        assert.deepStrictEqual(calls, ["alice", "bob"])
        assert.deepStrictEqual(yield* counted, { hit: 2, miss: 2 })
        yield* invalidate("alice")
        assert.strictEqual((yield* send("/", "alice")).body, "alice")
        assert.deepStrictEqual(calls, ["alice", "bob", "alice"])
      }).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))
    )

    it.effect(`a token is answered in its time, by a verifier that decides ${name}`, () =>
      Effect.gen(function* () {
        const says = (token: string) => accepted(token, { expiresAt: DateTime.makeUnsafe(10_000) })
        const { calls, service } = yield* verifier({ way, says })
        const scheme = Layer.provide(auth.layer, Layer.succeed(TokenVerifier, service))
        const request = () => new Request("http://localhost/", { headers: { authorization: "Bearer a" } })
        const program = Effect.suspend(() =>
          Effect.provideService(
            auth.authorizeOption,
            HttpServerRequest.HttpServerRequest,
            HttpServerRequest.fromWeb(request())
          )
        ).pipe(Effect.provide(yield* Layer.build(scheme)))
        for (const [time, expected] of [
          [5000, 1],
          [9999, 1],
          [10_000, 2],
          [4999, 3],
          [4998, 4],
          [5000, 4]
        ] as const) {
          yield* TestClock.setTime(time)
          yield* program
          assert.lengthOf(calls, expected, `at ${time}`)
        }
      })
    )
  }

  it.effect("a verifier around one that keeps tokens is asked about every token", () =>
    Effect.gen(function* () {
      const { calls, service } = yield* verifier({})
      const asked: Array<string> = []
      const revoked = new Set<string>()
      const around: TokenVerifier["Service"] = {
        ...service,
        verify: (token) => {
          asked.push(Redacted.value(token))
          return revoked.has(Redacted.value(token)) ? refused : service.verify(token)
        }
      }
      const send = yield* serve(
        route.pipe(Layer.provide(auth.layer), Layer.provide(Layer.succeed(TokenVerifier, around)))
      )
      for (const _ of times(3)) assert.strictEqual((yield* send("/", "a")).status, 200)
      assert.deepStrictEqual([asked, calls], [["a", "a", "a"], ["a"]])
      revoked.add("a")
      assert.strictEqual((yield* send("/", "a")).status, 401)
    })
  )

  for (const text of ["", "=", "a b", "a,b", "a\tb", 'a"b', "a=b", "ä"]) {
    it.effect(`what is no token by its form gets in by no other way: ${JSON.stringify(text)}`, () =>
      Effect.gen(function* () {
        const { calls, service } = yield* verifier({})
        const scheme = yield* Layer.build(Layer.provide(auth.layer, Layer.succeed(TokenVerifier, service)))
        const program = auth.authorize.pipe(Effect.provide(BearerToken.layerTest(text)), Effect.provideContext(scheme))
        for (const _ of times(2)) assert.strictEqual((yield* program).subject, text)
        assert.deepStrictEqual(calls, [text, text])
        const send = yield* serve(Layer.provide(route, Layer.succeedContext(scheme)))
        const { body, status } = yield* send("/", text)
        assert.deepStrictEqual([status, body], [401, '{"detail":"Not authenticated"}'])
        assert.lengthOf(calls, 2)
      })
    )
  }
})

describe("a verifier that looks at the request, and keeps nothing", () => {
  it.effect("is asked again where the request was changed", () =>
    Effect.gen(function* () {
      const asked: Array<string> = []
      const tokens = TokenVerifier.layer({
        cache: false,
        verify: () =>
          Effect.gen(function* () {
            const request = Context.getOrUndefined(yield* Effect.context<never>(), HttpServerRequest.HttpServerRequest)
            asked.push(request?.url ?? "")
            return yield* request?.url === "/closed" ? refused : accepted("a")
          })
      })
      const request = HttpServerRequest.fromWeb(
        new Request("http://localhost/open", { headers: { authorization: "Bearer a" } })
      )
      const ask = (request: HttpServerRequest.HttpServerRequest) =>
        Effect.exit(auth.authorizeOption).pipe(
          Effect.provideService(HttpServerRequest.HttpServerRequest, request),
          Effect.map(Exit.isSuccess)
        )
      yield* Effect.gen(function* () {
        assert.isTrue(yield* ask(request))
        assert.isTrue(yield* ask(request))
        assert.isFalse(yield* ask(request.modify({ url: "/closed" })))
        assert.isTrue(yield* ask(request.modify({ remoteAddress: Option.some("6.6.6.6") })))
        assert.isTrue(yield* ask(request))
      }).pipe(Effect.provide(Layer.provide(auth.layer, tokens)), Effect.scoped)
      assert.deepStrictEqual(asked, ["/open", "/closed", "/open"])
    })
  )
})

describe("a long request", () => {
  for (const cache of [false, {}] as const) {
    it.effect(`asks again when the token has expired (cache: ${JSON.stringify(cache)})`, () =>
      Effect.gen(function* () {
        let calls = 0
        const tokens = TokenVerifier.layer({
          cache,
          verify: () => {
            calls++
            return Effect.succeed({ ...verified("a", ["a"]), expiresAt: DateTime.makeUnsafe(10_000) })
          }
        })
        const request = HttpServerRequest.fromWeb(
          new Request("http://localhost/", { headers: { authorization: "Bearer a" } })
        )
        yield* Effect.gen(function* () {
          for (const asked of [1, 2]) {
            yield* auth.authorizeOption
            assert.strictEqual(calls, asked)
            yield* TestClock.adjust("1 hour")
          }
        }).pipe(
          Effect.provideService(HttpServerRequest.HttpServerRequest, request),
          Effect.provide(Layer.provide(auth.layer, tokens))
        )
      })
    )
  }
})

describe("claims of a verifier's own", () => {
  it.effect("are looked at once each, however they point at one another", () =>
    Effect.gen(function* () {
      let visits = 0
      const team: { users?: unknown } = {}
      const user = {
        get team() {
          visits++
          return team
        }
      }
      team.users = Array.from(
        { length: 50 },
        () => Object.create(null, Object.getOwnPropertyDescriptors(user)) as object
      )
      const { verify } = yield* TokenVerifier.make({
        verify: () => Effect.succeed({ ...verified("a", ["a"]), claims: { team } })
      })
      yield* verify(Redacted.make("a"))
      assert.strictEqual(visits, 50)
    })
  )

  it.effect("that throw when they are looked at are not kept, and do no harm", () =>
    Effect.gen(function* () {
      let calls = 0
      const claims = {
        get tenant(): string {
          throw new Error("no tenant")
        }
      }
      const { verify } = yield* TokenVerifier.make({
        verify: () => {
          calls++
          return Effect.succeed({ ...verified("a", ["a"]), claims })
        }
      })
      for (const _ of [1, 2]) assert.strictEqual((yield* verify(Redacted.make("a"))).subject, "a")
      assert.strictEqual(calls, 2)
    })
  )

  it.effect("that a scheme refuses each time are one look-up each time", () =>
    Effect.gen(function* () {
      const strict = OAuth2.authorizationCode("Strict", {
        ...flow,
        scopes: { a: "" },
        claims: Schema.Struct({ tenant: Schema.String })
      })
      const tokens = TokenVerifier.layer({ verify: () => Effect.succeed(verified("a", ["a"])) })
      const ask = Effect.exit(strict.authorize).pipe(Effect.provide(BearerToken.layerTest("a")))
      yield* Effect.provide(Effect.andThen(ask, ask), Layer.provide(strict.layer, tokens))
      const hits = (yield* Metric.snapshot).find(({ attributes }) => attributes?.["outcome"] === "hit")
      assert.deepStrictEqual(hits?.state, { count: 1, incremental: true })
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))
  )
})

describe("what a request is given", () => {
  const claims = () => ({ roles: ["reader"], address: { city: "Berlin" } })
  const change = (token: VerifiedToken) =>
    Effect.exit(Effect.sync(() => (token.claims["roles"] as Array<string>).push("admin")))

  it.effect("cannot be changed for the next one that brings the token", () =>
    Effect.gen(function* () {
      const { present } = yield* verifier({ says: (token) => accepted(token, { claims: claims() }) })
      for (const _ of times(3)) {
        const token = yield* present("a")
        assert.deepEqual(token.claims, claims())
        assert.strictEqual((yield* change(token))._tag, "Failure")
        for (const part of [token, token.claims, token.audience, token.claims["address"]]) assert.isFrozen(part)
        for (const change of ["add", "delete", "clear"] as const) {
          assert.throws(() => (token.scopes as Set<string>)[change]("admin"), TypeError)
        }
        assert.isFalse(token.scopes.has("admin"))
      }
    })
  )

  it.effect("is the program's own where it is of a class", () =>
    Effect.gen(function* () {
      class Session {
        readonly log: Array<string> = []
        readonly state = { visits: 0 }
      }
      const roles = ["reader"]
      const session = Object.assign(new Session(), { roles })
      const { calls, present } = yield* verifier({ says: (token) => accepted(token, { claims: { session, roles } }) })
      for (const i of times(3)) {
        const { claims } = yield* present("a")
        assert.isFrozen(claims)
        assert.isFrozen(claims["roles"])
        ;(claims["session"] as Session).log.push(`visit ${i}`)
        ;(claims["session"] as Session).state.visits++
      }
      assert.deepStrictEqual([session.log.length, session.state.visits, calls.length], [3, 3, 1])
    })
  )

  it.effect("cannot be changed where a scheme has decoded it", () =>
    Effect.gen(function* () {
      const scheme = OAuth2.authorizationCode("Roles", {
        ...flow,
        scopes: { a: "" },
        claims: Schema.Struct({ roles: Schema.mutable(Schema.Array(Schema.String)) })
      })
      const { calls, service } = yield* verifier({ says: (token) => accepted(token, { claims: claims() }) })
      const layer = yield* Layer.build(Layer.provide(scheme.layer, Layer.succeed(TokenVerifier, service)))
      const ask = scheme.authorize.pipe(Effect.provide(BearerToken.layerTest("a")), Effect.provideContext(layer))
      for (const _ of times(3)) {
        const token = yield* ask
        assert.deepEqual(token.claims, { roles: ["reader"] })
        assert.strictEqual((yield* change(token))._tag, "Failure")
      }
      assert.lengthOf(calls, 1)
    })
  )

  it.effect("is verified anew where a request has wiped the credential", () =>
    Effect.gen(function* () {
      const { calls, service } = yield* verifier({})
      const wipe = Effect.map(BearerToken, (token) => {
        const text = Redacted.value(token)
        Redacted.wipeUnsafe(token)
        return HttpServerResponse.text(text)
      })
      const send = yield* serve(
        HttpRouter.add("GET", "/", wipe).pipe(
          Layer.provide(auth.require("a").route.layer),
          Layer.provide(auth.layer),
          Layer.provide(Layer.succeed(TokenVerifier, service))
        )
      )
      for (const _ of times(4)) {
        const { body, status } = yield* send("/", "a")
        assert.deepStrictEqual([status, body], [200, "a"])
      }
      // The first has a credential of its own.
      assert.deepStrictEqual(calls, ["a", "a"])
    })
  )
})

describe("behind schemes that read claims", () => {
  const scheme = <Claims extends object>(name: string, claims: Schema.Codec<Claims, any>) =>
    OAuth2.authorizationCode(name, { ...flow, scopes: { a: "" }, claims })
  const text = scheme("Text", Schema.Struct({ tenant: Schema.String }))
  const number = scheme("Number", Schema.Struct({ tenant: Schema.FiniteFromString }))

  const app = Layer.mergeAll(
    HttpRouter.add(
      "GET",
      "/text",
      Effect.map(text.accessToken, ({ claims }) => HttpServerResponse.jsonUnsafe(claims))
    ).pipe(Layer.provide(text.require("a").route.layer)),
    HttpRouter.add(
      "GET",
      "/number",
      Effect.map(number.accessToken, ({ claims }) => HttpServerResponse.jsonUnsafe(claims))
    ).pipe(Layer.provide(number.require("a").route.layer))
  ).pipe(Layer.provide([text.layer, number.layer]))

  for (const [name, way] of Object.entries(ways)) {
    it.effect(`each has its own, warm as well as cold, by a verifier that decides ${name}`, () =>
      Effect.gen(function* () {
        const { calls, service } = yield* verifier({
          way,
          says: (token) => accepted(token, { claims: { tenant: token } })
        })
        const send = yield* serve(Layer.provide(app, Layer.succeed(TokenVerifier, service)))
        for (const _ of times(3)) {
          const answer = (path: string, token: string) =>
            Effect.map(send(path, token), ({ body, challenge, status }) => ({ status, body, challenge }))
          const good = { status: 200, challenge: null }
          assert.deepStrictEqual(yield* answer("/text", "7"), { ...good, body: '{"tenant":"7"}' })
          assert.deepStrictEqual(yield* answer("/number", "7"), { ...good, body: '{"tenant":7}' })
          assert.deepStrictEqual(yield* answer("/text", "t1"), { ...good, body: '{"tenant":"t1"}' })
          assert.deepStrictEqual(yield* answer("/number", "t1"), {
            status: 401,
            challenge: `Bearer scope="a"`,
            body: '{"detail":"Could not validate credentials"}'
          })
        }
        assert.deepStrictEqual(calls, ["7", "t1"])
      })
    )
  }
})
