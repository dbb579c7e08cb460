/** With `RequestIsolation`, no request waits for the I/O or the timers of another request. */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Clock, Effect, Exit, Fiber, Layer, Redacted } from "effect"
import { HttpClient, HttpServerRequest } from "effect/http"
import {
  type Isolation,
  JwtVerifier,
  KeySet,
  RequestIsolation,
  SecurityError,
  TokenIntrospection,
  TokenVerifier
} from "effect-oauth2"
import { TestIssuer } from "effect-oauth2/testing"
import { TestClock } from "effect/testing"
import { audience, issuer, options } from "../support/introspection.ts"
import { assertUnavailable, first, jwks, rs256, withKeySet, withLogs } from "../support/keySets.ts"
import { settle } from "../support/settle.ts"
import { times } from "../support/times.ts"

const isolated = (isolation: Isolation | undefined) => Layer.succeed(RequestIsolation, isolation)

/** Timers of the layer never end, as the timers of a request whose response is sent. */
const withoutTimers = Layer.effect(
  Clock.Clock,
  Effect.map(
    Clock.Clock,
    // Safe cast: the clock inherits all members of a clock.
    (clock) => Object.create(clock, { sleep: { value: () => Effect.never } }) as Clock.Clock
  )
)

/** An HTTP client that never answers. */
const silent = () => {
  const client = {
    asked: 0,
    layer: Layer.succeed(
      HttpClient.HttpClient,
      HttpClient.make(() =>
        Effect.suspend(() => {
          client.asked++
          return Effect.never
        })
      )
    )
  }
  return client
}

const verify = (token: string) => TokenVerifier.use(({ verify }) => verify(Redacted.make(token)))
const request = HttpServerRequest.fromWeb(new Request("https://api.test/ready"))

const fetches = TestIssuer.use(({ requests }) => Effect.map(requests, (requests) => requests.length))

describe("RequestIsolation", () => {
  it("isolates requests on Cloudflare Workers without a setting", () => {
    const original = Object.getOwnPropertyDescriptor(globalThis, "navigator")
    const withAgent = (value: unknown) => {
      Object.defineProperty(globalThis, "navigator", { value, configurable: true })
      return RequestIsolation.defaultValue()
    }
    try {
      assert.deepStrictEqual(withAgent({ userAgent: "Cloudflare-Workers" }), {})
      assert.isUndefined(withAgent({ userAgent: "Node.js/24" }))
      assert.isUndefined(withAgent(undefined))
    } finally {
      if (original !== undefined) Object.defineProperty(globalThis, "navigator", original)
    }
  })
})

describe("an isolated key set", () => {
  const find = KeySet.KeySet.use(({ find }) => Effect.exit(find(rs256("k1"))))

  /** Starts a fetch whose request stops. Returns how often the issuer was asked 520 ms later, by another request. */
  const askedAfterStop = (isolation: Layer.Layer<never>) =>
    Effect.gen(function* () {
      const client = silent()
      yield* Effect.gen(function* () {
        yield* Effect.forkChild(find)
        yield* settle
        const other = yield* Effect.forkChild(find)
        for (const _ of times(26)) yield* Effect.andThen(TestClock.adjust("20 millis"), settle)
        assert.isUndefined(other.pollUnsafe())
      }).pipe(
        Effect.provide(KeySet.layerRemote({ url: jwks }).pipe(Layer.provide([client.layer, withoutTimers, isolation])))
      )
      return client.asked
    })

  it.effect("is fetched by the next request, if the request that fetches it is gone", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* askedAfterStop(isolated({})), 2)
      assert.strictEqual(yield* askedAfterStop(Layer.empty), 1)
    })
  )

  it.effect("is fetched once for 20 requests at the same time, if the request that fetches it stays", () =>
    withKeySet(KeySet.layerRemote({ url: jwks }).pipe(Layer.provide(isolated({}))), ({ respond }, keySet) =>
      Effect.gen(function* () {
        yield* respond("jwks", { delay: "1 second" })
        const finding = yield* Effect.forEach(times(20), () => Effect.forkChild(keySet.find(rs256("k1"))))
        for (const _ of times(60)) yield* Effect.andThen(TestClock.adjust("20 millis"), settle)
        for (const fiber of finding) assert.lengthOf(yield* Fiber.join(fiber), 1)
        assert.strictEqual(yield* fetches, 1)
      })
    )
  )

  it.effect("reports an outage to all requests, with a cool-down of 5 seconds", () =>
    withKeySet(KeySet.layerRemote({ url: jwks }).pipe(Layer.provide(isolated({}))), ({ respond }, keySet) =>
      Effect.gen(function* () {
        yield* respond("jwks", { status: 503 })
        const finding = yield* Effect.forEach(times(20), () => Effect.forkChild(Effect.exit(keySet.find(rs256("k1")))))
        for (const _ of times(5)) yield* Effect.andThen(TestClock.adjust("20 millis"), settle)
        for (const fiber of finding) assertUnavailable(yield* Fiber.join(fiber), "BadResponse")
        assert.strictEqual(yield* fetches, 1)
        yield* respond("jwks", "normal")
        yield* TestClock.adjust("5 seconds")
        const found = yield* Effect.forkChild(keySet.find(rs256("k1")))
        for (const _ of times(5)) yield* Effect.andThen(TestClock.adjust("20 millis"), settle)
        assert.lengthOf(yield* Fiber.join(found), 1)
      })
    )
  )

  /** Loads keys, and finds a key 8 minutes later. `body` receives what was asked then, and can look further. */
  const afterEightMinutes = (
    isolation: Isolation | undefined,
    body: (find: Effect.Effect<ReadonlyArray<CryptoKey>, unknown>) => Effect.Effect<void, unknown, TestIssuer>
  ) =>
    withKeySet(KeySet.layerRemote({ url: jwks }).pipe(Layer.provide(isolated(isolation))), ({ respond }, keySet) =>
      Effect.gen(function* () {
        const find = keySet.find(rs256("k1"))
        const cold = yield* Effect.forkChild(find)
        for (const _ of times(5)) yield* Effect.andThen(TestClock.adjust("20 millis"), settle)
        yield* Fiber.join(cold)
        yield* respond("jwks", { delay: "1 second" })
        yield* TestClock.adjust("8 minutes")
        assert.lengthOf(yield* find, 1)
        yield* settle
        yield* body(find)
      })
    )

  it.effect("is not refreshed in the background without waitUntil, but by the first request after it expires", () =>
    afterEightMinutes({}, (find) =>
      Effect.gen(function* () {
        assert.strictEqual(yield* fetches, 1)
        yield* TestClock.adjust("2 minutes")
        const waiting = yield* Effect.forkChild(find)
        for (const _ of times(60)) yield* Effect.andThen(TestClock.adjust("20 millis"), settle)
        assert.lengthOf(yield* Fiber.join(waiting), 1)
        assert.strictEqual(yield* fetches, 2)
      })
    )
  )

  it.effect("is refreshed in the background with waitUntil, once for all requests", () =>
    Effect.gen(function* () {
      const promises: Array<Promise<unknown>> = []
      yield* afterEightMinutes({ waitUntil: (promise) => promises.push(promise) }, (find) =>
        Effect.gen(function* () {
          assert.strictEqual(yield* fetches, 2)
          assert.lengthOf(yield* find, 1)
          assert.lengthOf(promises, 1)
          let hasSettled = false
          promises[0]?.then(
            () => (hasSettled = true),
            () => (hasSettled = true)
          )
          yield* TestClock.adjust("999 millis")
          yield* settle
          assert.isFalse(hasSettled, "the issuer has not responded yet")
          yield* TestClock.adjust("1 millis")
          yield* settle
          assert.isTrue(hasSettled)
          yield* TestClock.adjust("7 minutes")
          assert.lengthOf(yield* find, 1)
          assert.strictEqual(yield* fetches, 2, "the keys are fresh again")
        })
      )
    })
  )

  it.effect("serves a request whose waitUntil throws, and logs the error", () =>
    withLogs((logs) =>
      afterEightMinutes(
        {
          waitUntil: () => {
            throw new Error("no request")
          }
        },
        () =>
          Effect.sync(() => {
            assert.deepStrictEqual(
              logs.map(({ level, message }) => [level, message.split(".")[0]]),
              [["Warn", "The waitUntil function of RequestIsolation threw an error"]]
            )
          })
      )
    )
  )

  it.effect("refuses KeySet.refresh without a request, and says what to do", () =>
    withKeySet(KeySet.layerRemote({ url: jwks }).pipe(Layer.provide(isolated({}))), (_, keySet) =>
      Effect.gen(function* () {
        const exit = yield* Effect.exit(keySet.refresh)
        assert(Exit.isFailure(exit))
        const error = Cause.squash(exit.cause)
        assert.instanceOf(error, SecurityError.ConfigurationError)
        assert.strictEqual(error.setting, "KeySet.refresh")
        assert.include(error.message, "remove it from the layer")
        assert.strictEqual(yield* fetches, 0)

        const probe = keySet.refresh.pipe(Effect.provideService(HttpServerRequest.HttpServerRequest, request))
        const refreshing = yield* Effect.forkChild(probe)
        for (const _ of times(5)) yield* Effect.andThen(TestClock.adjust("20 millis"), settle)
        yield* Fiber.join(refreshing)
        assert.strictEqual(yield* fetches, 1)
      })
    )
  )

  it.effect("accepts undefined, which shares fetches on every runtime", () =>
    withKeySet(KeySet.layerRemote({ url: jwks }).pipe(Layer.provide(isolated(undefined))), (_, keySet) =>
      Effect.andThen(
        keySet.refresh,
        Effect.map(fetches, (count) => assert.strictEqual(count, 1))
      )
    )
  )
})

describe("isolated verifications in progress", () => {
  it.effect("are not shared by requests with the same token", () =>
    Effect.gen(function* () {
      const issuerLayer = TestIssuer.layer({ issuer, audience, keys: [first] })
      const verified = yield* Effect.flatMap(TestIssuer, ({ mint }) => mint()).pipe(
        Effect.flatMap(verify),
        Effect.provide(Layer.provideMerge(JwtVerifier.layer({ issuer, audience }), issuerLayer))
      )
      const countWith = (isolation: Layer.Layer<never>) =>
        Effect.suspend(() => {
          let count = 0
          const custom = TokenVerifier.layer({
            verify: () =>
              Effect.suspend(() => {
                count++
                return Effect.delay(Effect.succeed(verified), "1 second")
              })
          })
          return Effect.gen(function* () {
            const verifying = yield* Effect.forEach(times(20), () => Effect.forkChild(verify("token")))
            yield* settle
            yield* TestClock.adjust("1 second")
            for (const fiber of verifying) assert.strictEqual((yield* Fiber.join(fiber)).subject, verified.subject)
            const cold = count
            yield* verify("token")
            assert.strictEqual(count, cold, "the verified token is cached")
            return cold
          }).pipe(Effect.provide(custom.pipe(Layer.provide(isolation))))
        })
      assert.strictEqual(yield* countWith(isolated({})), 20)
      assert.strictEqual(yield* countWith(Layer.empty), 1)
    })
  )

  const askedBy = (name: (n: number) => string, count: number, isolation: Layer.Layer<never>) =>
    Effect.gen(function* () {
      const client = silent()
      yield* Effect.gen(function* () {
        yield* Effect.forEach(times(count), (n) => Effect.forkChild(verify(name(n))))
        yield* settle
      }).pipe(
        Effect.provide(
          TokenIntrospection.layer({ ...options, endpoint: `${issuer}/introspect` }).pipe(
            Layer.provide([client.layer, isolation])
          )
        )
      )
      return client.asked
    })

  it.effect("are introspected by each request itself, which waits for no slot of another request", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* askedBy((n) => `token-${n}`, 100, isolated({})), 100)
      assert.strictEqual(yield* askedBy((n) => `token-${n}`, 100, Layer.empty), 64)
      assert.strictEqual(yield* askedBy(() => "token", 20, isolated({})), 20)
      assert.strictEqual(yield* askedBy(() => "token", 20, Layer.empty), 1)
    })
  )
})
