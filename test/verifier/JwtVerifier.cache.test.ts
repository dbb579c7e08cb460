/** Cached JWTs: accepted while their key is published and until they expire. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Logger, Metric, Redacted } from "effect"
import { JwtVerifier, TokenVerifier } from "effect-oauth2"
import { TestIssuer } from "effect-oauth2/testing"
import { TestClock } from "effect/testing"
import { countsByOutcome } from "../support/countsByOutcome.ts"
import { settle } from "../support/settle.ts"
import { times } from "../support/times.ts"

const issuer = "https://issuer.test"
const audience = "https://api.test"

const { key, other, third } = await Effect.runPromise(
  Effect.all({
    key: TestIssuer.makeKey("key", "ES256"),
    other: TestIssuer.makeKey("other", "ES256"),
    third: TestIssuer.makeKey("third", "ES256")
  })
)

const present = (token: string) => TokenVerifier.use(({ verify }) => verify(Redacted.make(token)))

const reason = (token: string) =>
  Effect.map(Effect.flip(present(token)), (error) => (error._tag === "InvalidToken" ? error.reason : error._tag))

const mint = (options: Parameters<TestIssuer["Service"]["mint"]>[0] = {}) =>
  TestIssuer.use((issuer) => issuer.mint({ lifetime: "1 day", ...options }))

describe("a cached JWT", () => {
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

  test("is verified once, and each cache lookup is counted", () =>
    Effect.gen(function* () {
      const token = yield* mint()
      for (const _ of times(3)) assert.strictEqual((yield* present(token)).subject, "demo")
      assert.strictEqual(yield* reason("bad"), "Malformed")
      assert.deepStrictEqual(yield* countsByOutcome, { Accepted: 1, Malformed: 1, hit: 2, miss: 2 })
    }))

  test("is verified once if it is long and one of a hundred", () =>
    Effect.gen(function* () {
      const permissions = times(100).map((i) => `tenant:resource-${i}:write`)
      const tokens = yield* Effect.forEach(times(100), (i) =>
        mint({ key, claims: { jti: `token-${i + 100}`, permissions } })
      )
      for (const _ of times(3)) for (const token of tokens) yield* present(token)
      assert.deepStrictEqual(yield* countsByOutcome, { Accepted: 100, hit: 200, miss: 100 })
    }))

  test("is verified again from its exp on, so a cache hit gets no clock tolerance", () =>
    Effect.gen(function* () {
      const token = yield* mint({ lifetime: "100 seconds" })
      yield* present(token)
      yield* TestClock.setTime(99_999)
      yield* present(token)
      assert.deepStrictEqual(yield* countsByOutcome, { Accepted: 1, hit: 1, miss: 1 })
      for (const time of [100_000, 104_999]) {
        yield* TestClock.setTime(time)
        yield* present(token)
      }
      assert.deepStrictEqual(yield* countsByOutcome, { Accepted: 3, hit: 1, miss: 3 })
      yield* TestClock.setTime(105_000)
      assert.strictEqual(yield* reason(token), "Expired")
    }))

  test(
    "is verified again from its maxTokenAge on",
    () =>
      Effect.gen(function* () {
        const token = yield* mint()
        yield* present(token)
        yield* TestClock.setTime(59_999)
        yield* present(token)
        assert.deepStrictEqual(yield* countsByOutcome, { Accepted: 1, hit: 1, miss: 1 })
        yield* TestClock.setTime(65_000)
        yield* present(token)
        assert.deepStrictEqual(yield* countsByOutcome, { Accepted: 2, hit: 1, miss: 2 })
        yield* TestClock.setTime(65_001)
        assert.strictEqual(yield* reason(token), "Claim")
      }),
    { maxTokenAge: "1 minute" }
  )

  test("is refused if the clock is set back to before its nbf", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(100_000)
      const token = yield* mint({ claims: { nbf: 100 } })
      yield* present(token)
      yield* TestClock.setTime(94_999)
      assert.strictEqual(yield* reason(token), "Claim")
      yield* TestClock.setTime(100_000)
      yield* present(token)
      assert.deepStrictEqual(yield* countsByOutcome, { Accepted: 2, Claim: 1, miss: 3 })
    }))

  test("does not make another token with two of its three parts valid", () =>
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

  test("is refused after a key refresh if the issuer removed its key", () =>
    Effect.gen(function* () {
      const { retire } = yield* TestIssuer
      const token = yield* mint({ key })
      const still = yield* mint({ key: other })
      yield* present(token)
      yield* present(still)
      yield* retire("key")
      yield* TestClock.adjust("7 minutes")
      yield* present(token)
      assert.deepStrictEqual(yield* countsByOutcome, { Accepted: 2, hit: 1, miss: 2 })
      yield* TestClock.adjust("4 minutes")
      assert.strictEqual(yield* reason(token), "UnknownKey")
      assert.strictEqual(yield* reason(token), "UnknownKey")
      yield* present(still)
      assert.deepStrictEqual(yield* countsByOutcome, { Accepted: 2, UnknownKey: 1, hit: 2, miss: 4 })
    }))

  test("is refused after a key refresh if its kid names another key", () =>
    Effect.gen(function* () {
      const { publish, retire } = yield* TestIssuer
      const token = yield* mint({ key })
      yield* present(token)
      yield* retire("key")
      yield* publish({ ...other.jwk, kid: "key" })
      yield* TestClock.adjust("11 minutes")
      assert.strictEqual(yield* reason(token), "Signature")
    }))

  // The second token causes the key refresh, so fresh keys are available when the cached token is checked.
  for (const [what, header, published, expected] of [
    ["its kid names another key", {}, [{ ...other.jwk, kid: "key" }], "Signature"],
    ["its key has another use", {}, [{ ...key.jwk, use: "enc" }], "UnknownKey"],
    ["its key has another alg", {}, [{ ...key.jwk, alg: "ES384" }], "UnknownKey"],
    ["its private key is published", {}, [{ ...key.jwk, d: "AQAB" }], "UnknownKey"],
    ["its key is removed and it has no kid", { kid: undefined }, [], "Signature"],
    [
      "it has no kid and another key has the kid of its key",
      { kid: undefined },
      [{ ...third.jwk, kid: "key" }],
      "Signature"
    ]
  ] as const) {
    test(`is refused if ${what} after another token caused a key refresh`, () =>
      Effect.gen(function* () {
        const { publish, retire } = yield* TestIssuer
        const token = yield* mint({ key, header })
        const still = yield* mint({ key: other })
        yield* present(token)
        yield* present(still)
        yield* retire("key")
        yield* Effect.forEach(published, publish)
        yield* TestClock.adjust("11 minutes")
        yield* present(still)
        assert.strictEqual(yield* reason(token), expected)
        assert.strictEqual(yield* reason(token), expected)
        assert.strictEqual((yield* countsByOutcome)["Accepted"], 2)
      }).pipe(Effect.provide(Logger.layer([]))))
  }

  test("causes a background key refresh before the keys expire, and stays cached", () =>
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
      assert.deepStrictEqual(yield* countsByOutcome, { Accepted: 1, hit: 3, miss: 1 })
    }))

  test("is accepted in an outage until its key expires, and again when the issuer is back", () =>
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
      assert.deepStrictEqual(yield* countsByOutcome, { Accepted: 1, hit: 2, miss: 3 })
    }))

  test(
    "is refused if it expires while the keys are fetched",
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
