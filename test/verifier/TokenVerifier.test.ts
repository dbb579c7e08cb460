/** Tests when a verified token is cached, and that a cache entry serves only its own token. */
import { assert, describe, it } from "@effect/vitest"
import { DateTime, Deferred, Effect, Exit, Fiber, Layer, Metric, Redacted, Scheduler } from "effect"
import { JwtVerifier, SecurityError, type TokenCacheOptions, TokenVerifier, type VerifiedToken } from "effect-oauth2"
import { TestClock } from "effect/testing"
import { accepted, outage, type Outcome, refused, timings, verifier } from "../support/scriptedVerifier.ts"
import { countsByOutcome } from "../support/countsByOutcome.ts"
import { times } from "../support/times.ts"
import { changedAt, textOf } from "../support/tokenText.ts"

describe("a verified token", () => {
  for (const [name, timing] of Object.entries(timings)) {
    describe(`from a verifier that decides ${name}`, () => {
      it.effect("is verified once", () =>
        Effect.gen(function* () {
          const { calls, present } = yield* verifier({ timing })
          const first = yield* present("a")
          assert.strictEqual(first.subject, "a")
          assert.strictEqual(yield* present("a"), first)
          assert.strictEqual((yield* present("b")).subject, "b")
          assert.strictEqual(yield* present("a"), first)
          assert.deepStrictEqual(calls, ["a", "b"])
        })
      )

      it.effect("is verified each time if cache is false", () =>
        Effect.gen(function* () {
          const { calls, invalidate, present } = yield* verifier({ timing, cache: false })
          for (const _ of times(3)) assert.strictEqual((yield* present("a")).subject, "a")
          yield* invalidate("a")
          assert.deepStrictEqual(calls, ["a", "a", "a"])
        })
      )

      it.effect("is not cached if it was refused, or if the verifier was unavailable", () =>
        Effect.gen(function* () {
          let now = refused
          const { calls, present } = yield* verifier({ timing, decide: () => now })
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

      it.effect("is cached until it expires, to the millisecond", () =>
        Effect.gen(function* () {
          const decide = (token: string) => accepted(token, { expiresAt: DateTime.makeUnsafe(10_000) })
          const { calls, present } = yield* verifier({ timing, decide })
          yield* present("a")
          yield* TestClock.setTime(9_999)
          yield* present("a")
          assert.lengthOf(calls, 1)
          yield* TestClock.setTime(10_000)
          // An expired token is refused and not cached, even if the verifier accepts it.
          for (const _ of times(2)) {
            const error = yield* Effect.flip(present("a"))
            assert(error._tag === "InvalidToken" && error.reason === "Expired")
          }
          assert.lengthOf(calls, 3)
        })
      )

      it.effect("is cached for timeToLive, and a use does not extend this time", () =>
        Effect.gen(function* () {
          for (const [cache, timeToLive] of [
            [{}, 60_000],
            [{ timeToLive: "5 seconds" }, 5000]
          ] as const) {
            yield* TestClock.setTime(0)
            const { calls, present } = yield* verifier({ timing, cache })
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

      it.effect("is verified again if the clock was set back to before the verification", () =>
        Effect.gen(function* () {
          const { calls, present } = yield* verifier({ timing })
          yield* TestClock.setTime(10_000)
          yield* present("a")
          yield* TestClock.setTime(9999)
          yield* present("a")
          assert.lengthOf(calls, 2)
        })
      )

      it.effect("is verified again after it was invalidated", () =>
        Effect.gen(function* () {
          const { calls, present, service } = yield* verifier({ timing })
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
// a cache entry serves only its own token
// ---------------------------------------------------------------------------------------------------------------------

describe("a cache entry is never returned for another token", () => {
  for (const length of [1, 2, 3, 31, 32, 33, 63, 64, 65, 700, 8192, 9001]) {
    it.effect(`if one of ${length} characters differs`, () =>
      Effect.gen(function* () {
        const text = textOf(length)
        const { calls, callsOf, present } = yield* verifier({
          decide: (token) => (token === text ? accepted("original") : refused)
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
        assert.strictEqual((yield* present(text)).subject, "original")
        assert.strictEqual(callsOf(text), 1)
      })
    )
  }

  it.effect("if many tokens have the same hash: each is verified once, and invalidated alone", () =>
    Effect.gen(function* () {
      const text = textOf(700)
      // The hash uses a few of the characters, so most of these tokens have the same hash.
      const tokens = [text, ...times(700).map((i) => changedAt(text, i))]
      const { calls, callsOf, invalidate, present } = yield* verifier({})
      const presentAll = Effect.forEach(tokens, (token) =>
        Effect.map(present(token), ({ subject }) => assert.strictEqual(subject, token))
      )
      for (const _ of times(3)) yield* presentAll
      assert.deepStrictEqual(calls, tokens)
      yield* invalidate(text)
      yield* presentAll
      assert.lengthOf(calls, tokens.length + 1)
      assert.strictEqual(callsOf(text), 2)
    })
  )

  it.effect("if two of the three parts are equal", () =>
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
// concurrent requests
// ---------------------------------------------------------------------------------------------------------------------

/** A verifier that decides when the test calls `answer`. `ask` presents a token in a fiber. */
const waiting = Effect.fnUntraced(function* () {
  const answers: Array<Deferred.Deferred<VerifiedToken, Effect.Error<Outcome>>> = []
  const made = yield* verifier({
    timing: Effect.suspend,
    decide: () => {
      const answer = Deferred.makeUnsafe<VerifiedToken, Effect.Error<Outcome>>()
      answers.push(answer)
      return Deferred.await(answer)
    }
  })
  return {
    ...made,
    ask: (token: string) => Effect.forkChild(Effect.exit(made.present(token)), { startImmediately: true }),
    answer: (i: number, outcome: Outcome) =>
      Effect.suspend(() => Deferred.complete(answers[i] ?? assert.fail(`not called ${i + 1} times`), outcome))
  }
})

describe("a token that several requests present at the same time", () => {
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

  it.effect("is verified for the other requests if the first is interrupted", () =>
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

  it.effect("is verified for 100 other requests if the first is interrupted", () =>
    Effect.gen(function* () {
      const soon = Effect.yieldNow
      for (const [delay, most] of [
        [Effect.void, 101],
        [soon, 2],
        [Effect.andThen(soon, soon), 2]
      ] as const) {
        let verifications = 0
        const { present } = yield* verifier({
          timing: Effect.suspend,
          decide: () => (verifications++ === 0 ? Effect.never : Effect.andThen(delay, accepted("a")))
        })
        const first = yield* Effect.forkChild(present("a"), { startImmediately: true })
        const others = yield* Effect.forEach(times(100), () =>
          Effect.forkChild(present("a"), { startImmediately: true })
        )
        yield* Fiber.interrupt(first)
        for (const { subject } of yield* Fiber.joinAll(others)) assert.strictEqual(subject, "a")
        assert.isAtMost(verifications, most)
      }
    })
  )

  it.effect("is verified even if a fiber yields to the others at any point", () =>
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
            // A fiber that joins too late starts a verification of its own.
            if (calls.length > 1) yield* answer(calls.length - 1, accepted("a"))
            yield* Effect.yieldNow
          }
          for (const { subject } of yield* Fiber.joinAll([first, other])) assert.strictEqual(subject, "a")
        }
      }
    })
  )

  it.effect("is verified again if all requests were interrupted", () =>
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
    it.effect(`has ${name} for all waiting requests, but not for later ones`, () =>
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
    it.effect(`is verified again after timeToLive (${name})`, () =>
      Effect.gen(function* () {
        let verifications = 0
        const { verify } = yield* TokenVerifier.make({
          cache: { timeToLive: "1 second" },
          verify: () => {
            verifications++
            return Effect.andThen(Effect.yieldNow, outcome)
          }
        })
        for (const _ of times(3)) {
          yield* Effect.exit(verify(Redacted.make("a")))
          yield* TestClock.adjust("1 second")
        }
        assert.strictEqual(verifications, 3)
      })
    )
  }

  it.effect("is not cached if it was invalidated during the verification", () =>
    Effect.gen(function* () {
      const { answer, ask, calls, invalidate } = yield* waiting()
      const before = yield* ask("a")
      yield* invalidate("a")
      yield* answer(0, accepted("a"))
      assert(Exit.isSuccess(yield* Fiber.join(before)), "a verification in progress completes")
      const after = yield* ask("a")
      yield* answer(1, refused)
      assert(Exit.isFailure(yield* Fiber.join(after)))
      assert.lengthOf(calls, 2)
    })
  )

  it.effect("is verified again for requests after an invalidation, and their outcome is cached", () =>
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

it.effect("two verifiers add their lookups in one registry", () =>
  Effect.gen(function* () {
    for (const { present } of [yield* verifier({}), yield* verifier({})]) {
      for (const _ of times(3)) yield* present("a")
    }
    assert.deepStrictEqual(yield* countsByOutcome, { hit: 4, miss: 2 })
  }).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))
)

// ---------------------------------------------------------------------------------------------------------------------
// options
// ---------------------------------------------------------------------------------------------------------------------

const issuer = "https://issuer.test"
const audience = "https://api.test"

describe("an invalid cache option", () => {
  const wrong: ReadonlyArray<TokenCacheOptions> = [
    ...[0, -1, 1.5, NaN, Infinity].flatMap((n) => [{ capacity: n }, { maxBytes: n }]),
    ...([0, -1, NaN, "Infinity", "25 hours", "-1 minutes"] as const).map((timeToLive) => ({ timeToLive })),
    { timeToLive: "5 minuts" as "5 minutes" },
    { timeToLive: { minuts: 5 } as never }
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
          assert.match(
            error.message,
            new RegExp(`^cache\\.${name} must be .*\\. To verify each token without a cache, set cache: false$`)
          )
        }
      })
    )
  }

  it.effect("is not reported at the limits of the options", () =>
    Effect.gen(function* () {
      for (const cache of [{ capacity: 1, maxBytes: 1, timeToLive: 1 }, { timeToLive: "24 hours" }] as const) {
        const { calls, present } = yield* verifier({ cache })
        yield* present("a")
        assert.deepStrictEqual(calls, ["a"])
      }
    })
  )
})
