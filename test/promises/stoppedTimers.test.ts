/**
 * No request waits for ever for the I/O of another request, even if the HTTP client never answers and no timer ever
 * ends. Runtimes that drop the I/O of a request behave so.
 */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Fiber, Layer, Logger, Redacted } from "effect"
import { HttpClient } from "effect/http"
import { JwtVerifier, KeySet, TokenIntrospection, TokenVerifier } from "effect-oauth2"
import { TestIssuer } from "effect-oauth2/testing"
import { TestClock } from "effect/testing"
import { audience, issuer, options } from "../support/introspection.ts"
import { jwks, rs256 } from "../support/keySets.ts"
import { settle } from "../support/settle.ts"
import { times } from "../support/times.ts"

const key = await Effect.runPromise(TestIssuer.makeKey("k1"))
const token = await Effect.runPromise(
  Effect.provide(
    TestIssuer.use(({ mint }) => mint({ lifetime: "3000 days" })),
    TestIssuer.layer({ issuer, audience, keys: [key] })
  )
)

/** An HTTP client that never answers, and that cannot be interrupted. */
class Silent {
  asked = 0
  readonly layer = Layer.succeed(
    HttpClient.HttpClient,
    HttpClient.make(() =>
      Effect.suspend(() => {
        this.asked++
        return Effect.uninterruptible(Effect.never)
      })
    )
  )
}

/** Runs an effect with a clock that has the time of the test, and whose timers never end. */
const withoutTimers = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.flatMap(Clock.Clock, (clock) =>
    Effect.provideService(
      effect,
      Clock.Clock,
      // Safe cast: the clock inherits all members of a clock.
      Object.create(clock, { sleep: { value: () => Effect.never } }) as Clock.Clock
    )
  ).pipe(Effect.provide(Logger.layer([])))

const verify = (token: string) => TokenVerifier.use(({ verify }) => verify(Redacted.make(token)))

type Use<R> = (n: number) => Effect.Effect<unknown, unknown, R>

/** Uses a service, then again after 10 seconds by the clock. Expects another request to the issuer. */
const asksAgain = <R, E>(name: string, use: Use<R>, layer: Layer.Layer<R, E, HttpClient.HttpClient>, first = 1) =>
  it.effect(name, () =>
    Effect.gen(function* () {
      const client = new Silent()
      yield* Effect.gen(function* () {
        yield* Effect.forEach(times(first), (n) => Effect.forkDetach(Effect.exit(use(n))))
        yield* settle
        const before = client.asked
        assert.isAbove(before, 0)
        yield* Effect.forkDetach(Effect.exit(use(first - 1)))
        yield* settle
        assert.strictEqual(client.asked, before, "shares the request that is in progress")
        yield* TestClock.adjust("10 seconds")
        yield* Effect.forkDetach(Effect.exit(use(first)))
        yield* settle
        assert.strictEqual(client.asked, before + 1)
      }).pipe(Effect.provide(Layer.provide(layer, client.layer)))
    }).pipe(withoutTimers)
  )

const sameToken = () => verify(token)
const otherTokens = (n: number) => verify(`token-${n}`)

describe("after 10 seconds by the clock, the issuer is asked again", () => {
  asksAgain(
    "by a key set with a fixed URL",
    () => KeySet.KeySet.use(({ find }) => find(rs256("k1"))),
    KeySet.layerRemote({ url: jwks })
  )

  asksAgain(
    "by a key set with discovery",
    () => KeySet.KeySet.use(({ find }) => find(rs256("k1"))),
    KeySet.layerDiscovery({ issuer })
  )

  asksAgain("by refresh", () => KeySet.KeySet.use(({ refresh }) => refresh), KeySet.layerDiscovery({ issuer }))

  asksAgain("by a request with the same JWT", sameToken, JwtVerifier.layer({ issuer, audience }))

  asksAgain(
    "by a request with the same JWT, if the verifier has no cache",
    sameToken,
    JwtVerifier.layer({ issuer, audience, cache: false })
  )

  asksAgain(
    "by a request with the same JWT of an allowed issuer",
    sameToken,
    JwtVerifier.layerAllowedIssuers({ allow: () => Effect.succeed(true), audience })
  )

  asksAgain(
    "by the introspection of the same token",
    sameToken,
    TokenIntrospection.layer({ ...options, endpoint: `${issuer}/introspect` })
  )

  asksAgain(
    "by the introspection of another token, which needs the same discovery",
    otherTokens,
    TokenIntrospection.layer(options)
  )
})

describe("introspection requests without timers", () => {
  it.effect("do not occupy the slots of other requests for more than 6 seconds", () =>
    Effect.gen(function* () {
      const client = new Silent()
      yield* Effect.gen(function* () {
        yield* Effect.forEach(times(64), (n) => Effect.forkDetach(otherTokens(n)))
        yield* settle
        assert.strictEqual(client.asked, 64)
        yield* TestClock.adjust("5999 millis")
        yield* Effect.forkDetach(otherTokens(64))
        yield* settle
        assert.strictEqual(client.asked, 64)
        yield* TestClock.adjust("1 millis")
        yield* Effect.forkDetach(otherTokens(65))
        yield* settle
        assert.strictEqual(client.asked, 66)
      }).pipe(
        Effect.provide(
          TokenIntrospection.layer({ ...options, endpoint: `${issuer}/introspect` }).pipe(Layer.provide(client.layer))
        )
      )
    }).pipe(withoutTimers)
  )

  it.effect("do not occupy the queue for more than 6 seconds", () =>
    Effect.gen(function* () {
      const client = new Silent()
      yield* Effect.gen(function* () {
        const all = yield* Effect.forEach(times(1064), (n) => Effect.forkDetach(Effect.exit(otherTokens(n))))
        yield* settle
        yield* TestClock.adjust("6 seconds")
        yield* Effect.forkDetach(otherTokens(1064))
        yield* settle
        assert.lengthOf(
          all.filter((fiber) => fiber.pollUnsafe() === undefined),
          64
        )
        assert.strictEqual(client.asked, 65)
      }).pipe(
        Effect.provide(
          TokenIntrospection.layer({ ...options, endpoint: `${issuer}/introspect` }).pipe(Layer.provide(client.layer))
        )
      )
    }).pipe(withoutTimers)
  )
})

describe("a verification that does not end", () => {
  it.effect("is not joined after 10 seconds, and the requests that wait for it join the next verification", () =>
    Effect.gen(function* () {
      let count = 0
      const expected = "demo"
      const verified = yield* Effect.flatMap(TestIssuer, ({ mint }) => mint()).pipe(
        Effect.flatMap(verify),
        Effect.provide(
          Layer.provideMerge(
            JwtVerifier.layer({ issuer, audience }),
            TestIssuer.layer({ issuer, audience, keys: [key] })
          )
        )
      )
      yield* Effect.gen(function* () {
        const first = yield* Effect.forkChild(verify("token"))
        const waiting = yield* Effect.forkChild(verify("token"))
        yield* settle
        yield* TestClock.adjust("9999 millis")
        const early = yield* Effect.forkChild(verify("token"))
        yield* settle
        assert.strictEqual(count, 1)
        yield* TestClock.adjust("1 millis")
        assert.strictEqual((yield* verify("token")).subject, expected)
        assert.strictEqual((yield* Fiber.join(waiting)).subject, expected)
        assert.strictEqual((yield* Fiber.join(early)).subject, expected)
        assert.strictEqual(count, 2)
        assert.isUndefined(first.pollUnsafe())
        yield* Fiber.interrupt(first)
        assert.strictEqual((yield* verify("token")).subject, expected)
        assert.strictEqual(count, 2, "the outcome is cached")
      }).pipe(
        Effect.provide(
          TokenVerifier.layer({
            verify: () =>
              Effect.suspend(() => (++count === 1 ? Effect.never : Effect.succeed({ ...verified, subject: expected })))
          })
        )
      )
    })
  )
})
