/** Tests of `TokenIntrospection` while the authorization server is unavailable, slow or overloaded. */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Exit, Fiber, Layer, Logger } from "effect"
import { TestClock } from "effect/testing"
import { SecurityError, TokenIntrospection } from "effect-oauth2"
import { TestIssuer } from "effect-oauth2/testing"
import {
  type ServerResponse,
  serverResponding,
  introspectionCount,
  assertUnavailable,
  audience,
  good,
  issuer,
  mint,
  never,
  respond,
  test,
  verify
} from "../support/introspection.ts"
import { settle } from "../support/settle.ts"

const verifyAll = (tokens: ReadonlyArray<string>) =>
  Effect.tap(
    Effect.forEach(tokens, (token) => Effect.forkChild(Effect.exit(verify(token)))),
    settle
  )

const many = (count: number, name = "token") => Array.from({ length: count }, (_, i) => `${name}-${i}`)

const counted = (fibers: ReadonlyArray<Fiber.Fiber<Exit.Exit<unknown, unknown>>>) =>
  Effect.map(Effect.forEach(fibers, Fiber.join), (exits) => exits.filter(Exit.isSuccess).length)

/**
 * Failures that may be an outage, with the error's reason and the number of HTTP requests that each introspection
 * request sends.
 */
const failures: ReadonlyArray<readonly [name: string, answer: ServerResponse, reason: string, requests: number]> = [
  ["drops the connection", { isBroken: true }, "Unreachable", 2],
  ["responds with 429", { status: 429 }, "BadResponse", 1],
  ["responds with 502", { status: 502 }, "BadResponse", 1],
  ["responds with 503", { status: 503 }, "BadResponse", 1],
  ["responds with 504", { status: 504 }, "BadResponse", 1]
]

const refusal = (retryAfter: string, status = 503): ServerResponse => ({
  status,
  headers: { "retry-after": retryAfter }
})

describe("TokenIntrospection, if the server does not answer a token", () => {
  for (const [name, answer, reason, requests] of failures) {
    it.effect(`sends no new request for the token within one second if the server ${name}`, () =>
      Effect.gen(function* () {
        const server = serverResponding((_, number) => (number <= requests ? answer : good))
        yield* Effect.gen(function* () {
          assertUnavailable(yield* Effect.flip(verify("token")), reason)
          yield* TestClock.adjust("999 millis")
          assertUnavailable(yield* Effect.flip(verify("token")), reason)
          assert.strictEqual(server.introspectedTokens.length, requests)
          yield* TestClock.adjust("1 milli")
          assert.strictEqual((yield* verify("token")).subject, "demo")
        }).pipe(Effect.provide(server.layer))
      })
    )

    it.effect(`sends a request for another token at once if the server ${name}`, () =>
      Effect.gen(function* () {
        const server = serverResponding((token) => (token === "bad" ? answer : good))
        yield* Effect.gen(function* () {
          assertUnavailable(yield* Effect.flip(verify("bad")), reason)
          assert.strictEqual((yield* verify("other")).subject, "demo")
        }).pipe(Effect.provide(server.layer))
      })
    )
  }

  it.effect("counts a time-out only against its own token", () =>
    Effect.gen(function* () {
      const server = serverResponding((token) => (token === "slow" ? never : good))
      yield* Effect.gen(function* () {
        const slow = yield* Effect.forkChild(Effect.flip(verify("slow")))
        yield* TestClock.adjust("4999 millis")
        assert.isUndefined(slow.pollUnsafe())
        yield* TestClock.adjust("1 milli")
        assertUnavailable(yield* Fiber.join(slow), "Timeout")
        assertUnavailable(yield* Effect.flip(verify("slow")), "Timeout")
        yield* verify("other")
        assert.deepStrictEqual(server.introspectedTokens, ["slow", "other"])
      }).pipe(Effect.provide(server.layer))
    })
  )

  it.effect("accepts other tokens while one kind of token is never answered", () =>
    Effect.gen(function* () {
      const server = serverResponding((token) => (token.startsWith("slow") ? never : good))
      yield* Effect.gen(function* () {
        for (let i = 0; i < 30; i++) {
          yield* verifyAll([`slow-${i}`])
          yield* TestClock.adjust("1 second")
          assert.strictEqual((yield* verify(`other-${i}`)).subject, "demo")
        }
      }).pipe(Effect.provide(server.layer))
    })
  )

  it.effect("accepts other tokens while a gateway responds to one token with 503 each time", () =>
    Effect.gen(function* () {
      const server = serverResponding((token) => (token === "odd" ? { status: 503 } : good))
      yield* Effect.gen(function* () {
        for (let i = 0; i < 10; i++) {
          assertUnavailable(yield* Effect.flip(verify("odd")), "BadResponse")
          yield* TestClock.adjust("300 millis")
          assert.strictEqual((yield* verify(`other-${i}`)).subject, "demo")
        }
      }).pipe(Effect.provide(server.layer))
    })
  )

  it.effect("sends a new request for the token after the next answer if the server may have caused the failure", () =>
    Effect.gen(function* () {
      const server = serverResponding((_, number) => (number <= 2 ? { status: 503 } : good))
      yield* Effect.gen(function* () {
        yield* Effect.flip(verify("first"))
        yield* Effect.flip(verify("second"))
        yield* verify("third")
        yield* verify("first")
        yield* verify("second")
      }).pipe(Effect.provide(server.layer))
    })
  )

  it.effect("waits one second for the next request if another token was answered during the failed request", () =>
    Effect.gen(function* () {
      const server = serverResponding((token) =>
        token === "bad" ? { status: 503, delay: 10 } : { ...good, delay: token === "during" ? 5 : 0 }
      )
      yield* Effect.gen(function* () {
        const fibers = yield* verifyAll(["bad", "during"])
        yield* TestClock.adjust("10 millis")
        assert.strictEqual(yield* counted(fibers), 1)
        yield* verify("later")
        yield* TestClock.adjust("999 millis")
        assertUnavailable(yield* Effect.flip(verify("bad")), "BadResponse")
        assert.deepStrictEqual(server.introspectedTokens, ["bad", "during", "later"])
        yield* TestClock.adjust("1 milli")
        yield* verifyAll(["bad"])
        assert.strictEqual(server.introspectedTokens.length, 4)
      }).pipe(Effect.provide(server.layer))
    })
  )

  it.effect("remembers the last 256 tokens that failed", () =>
    Effect.gen(function* () {
      const server = serverResponding(() => ({ status: 503 }))
      yield* Effect.gen(function* () {
        for (const token of many(257)) yield* Effect.flip(verify(token))
        for (const token of many(257)) if (token !== "token-0") yield* Effect.flip(verify(token))
        assert.strictEqual(server.introspectedTokens.length, 257)
        yield* Effect.flip(verify("token-0"))
        assert.strictEqual(server.introspectedTokens.length, 258)
        yield* TestClock.adjust("1 second")
        // The oldest one becomes the newest one when it fails again.
        yield* Effect.flip(verify("token-2"))
        for (const token of many(255, "more")) yield* Effect.flip(verify(token))
        assert.strictEqual(server.introspectedTokens.length, 258 + 256)
        yield* Effect.flip(verify("token-2"))
        assert.strictEqual(server.introspectedTokens.length, 258 + 256)
      }).pipe(Effect.provide(server.layer))
    })
  )
})

describe("TokenIntrospection, while no token is answered", () => {
  it.effect("sends 4 requests at a time, and the next 4 as soon as these have failed", () =>
    Effect.gen(function* () {
      const server = serverResponding(() => ({ status: 503, delay: 100 }))
      yield* Effect.gen(function* () {
        yield* verifyAll(["first"])
        yield* TestClock.adjust("100 millis")
        const fibers = yield* verifyAll(many(20))
        assert.strictEqual(server.introspectedTokens.length, 1 + 4)
        yield* TestClock.adjust("100 millis")
        yield* settle
        assert.strictEqual(server.introspectedTokens.length, 1 + 8)
        yield* TestClock.adjust("400 millis")
        assert.strictEqual(yield* counted(fibers), 0)
        assert.strictEqual(server.introspectedTokens.length, 1 + 20)
        assert.strictEqual(server.progress.most, 4)
      }).pipe(Effect.provide(server.layer))
    })
  )

  it.effect("sends the next 4 requests after 400 ms if the server does not respond", () =>
    Effect.gen(function* () {
      const server = serverResponding((token) => (token === "first" ? { status: 503 } : never))
      yield* Effect.gen(function* () {
        yield* verifyAll(["first", ...many(20)])
        assert.strictEqual(server.introspectedTokens.length, 1 + 4)
        yield* TestClock.adjust("399 millis")
        assert.strictEqual(server.introspectedTokens.length, 1 + 4)
        yield* TestClock.adjust("1 milli")
        yield* settle
        assert.strictEqual(server.introspectedTokens.length, 1 + 8)
        yield* TestClock.adjust("400 millis")
        yield* settle
        assert.strictEqual(server.introspectedTokens.length, 1 + 12)
      }).pipe(Effect.provide(server.layer))
    })
  )

  it.effect("refuses a token that has waited for one second", () =>
    Effect.gen(function* () {
      const server = serverResponding((token) => (token === "first" ? { status: 503 } : never))
      yield* Effect.gen(function* () {
        const [first, ...fibers] = yield* verifyAll(["first", ...many(500)])
        assert.isDefined(first)
        yield* TestClock.adjust("950 millis")
        assert(fibers.every((fiber) => fiber.pollUnsafe() === undefined))
        yield* TestClock.adjust("50 millis")
        yield* settle
        const waiting = fibers.filter((fiber) => fiber.pollUnsafe() === undefined)
        assert.strictEqual(waiting.length, server.progress.now)
        assert.strictEqual(waiting.length, 12)
        assertUnavailable(yield* Effect.flatten(Fiber.join(fibers[499]!)).pipe(Effect.flip), "Unreachable")
        // A probe has the whole time limit.
        yield* TestClock.adjust("3999 millis")
        assert(waiting.every((fiber) => fiber.pollUnsafe() === undefined))
        yield* TestClock.adjust("1 milli")
        for (const fiber of waiting.slice(0, 4)) {
          assertUnavailable(yield* Effect.flatten(Fiber.join(fiber)).pipe(Effect.flip), "Timeout")
        }
      }).pipe(Effect.provide(server.layer))
    })
  )

  it.effect("sends the requests of all waiting tokens as soon as one token is answered", () =>
    Effect.gen(function* () {
      const server = serverResponding((token) => (token === "first" ? { status: 503 } : { ...good, delay: 100 }))
      yield* Effect.gen(function* () {
        const [, ...fibers] = yield* verifyAll(["first", ...many(60)])
        assert.strictEqual(server.progress.now, 4)
        yield* TestClock.adjust("100 millis")
        yield* settle
        assert.strictEqual(server.progress.now, 56)
        yield* TestClock.adjust("100 millis")
        assert.strictEqual(yield* counted(fibers), 60)
      }).pipe(Effect.provide(server.layer))
    })
  )

  it.effect("limits the requests only from 3 seconds after the last answer", () =>
    Effect.gen(function* () {
      const server = serverResponding((token) =>
        token === "good" ? good : token.startsWith("bad") ? { status: 503 } : never
      )
      yield* Effect.gen(function* () {
        yield* verify("good")
        yield* TestClock.adjust("2999 millis")
        yield* Effect.flip(verify("bad"))
        const before = yield* verifyAll(many(10, "before"))
        assert.strictEqual(server.progress.now, 10)
        yield* Effect.forEach(before, Fiber.interrupt)
        yield* TestClock.adjust("1 milli")
        yield* verifyAll(many(10, "after"))
        assert.strictEqual(server.progress.now, 4)
      }).pipe(Effect.provide(server.layer))
    })
  )

  it.effect("does not limit the requests if none has failed since the last answer, even after one hour", () =>
    Effect.gen(function* () {
      const server = serverResponding((token) => (token === "good" ? good : token === "bad" ? { status: 503 } : never))
      yield* Effect.gen(function* () {
        yield* Effect.flip(verify("bad"))
        yield* verify("good")
        yield* TestClock.adjust("1 hour")
        yield* verifyAll(many(64))
        assert.strictEqual(server.progress.now, 64)
      }).pipe(Effect.provide(server.layer))
    })
  )

  it.effect("does not limit the requests after callers were interrupted", () =>
    Effect.gen(function* () {
      const server = serverResponding(() => never)
      yield* Effect.gen(function* () {
        yield* Effect.forEach(yield* verifyAll(many(10, "gone")), Fiber.interrupt)
        assert.strictEqual(server.progress.now, 0)
        yield* verifyAll(many(64))
        assert.strictEqual(server.progress.now, 64)
      }).pipe(Effect.provide(server.layer))
    })
  )

  it.effect("starts the next probe when the caller of the first probe is interrupted", () =>
    Effect.gen(function* () {
      const server = serverResponding((token) => (token === "first" ? { status: 503 } : never))
      yield* Effect.gen(function* () {
        const [, ...fibers] = yield* verifyAll(["first", ...many(8)])
        for (const fiber of fibers.slice(0, 4)) yield* Fiber.interrupt(fiber)
        yield* settle
        assert.strictEqual(server.progress.now, 4)
        assert.strictEqual(server.introspectedTokens.length, 1 + 8)
        // An interrupted request that has not started leaves the queue, too.
        const [waiting, ...others] = yield* verifyAll(many(3, "more"))
        assert(waiting !== undefined)
        yield* Fiber.interrupt(waiting)
        yield* Fiber.interrupt(fibers[4]!)
        yield* settle
        assert.deepStrictEqual(server.introspectedTokens.slice(9), ["more-1"])
        assert.lengthOf(others, 2)
      }).pipe(Effect.provide(server.layer))
    })
  )
})

describe("TokenIntrospection, if a response says nothing about the server's availability", () => {
  const neutral: ReadonlyArray<readonly [name: string, answer: ServerResponse]> = [
    ["a 500", { status: 500 }],
    ["a 401 that refuses the API's own credentials", { status: 401, body: { error: "invalid_client" } }],
    ["a 400", { status: 400 }],
    ["a 200 with an invalid body", { body: { error: "invalid_client" } }]
  ]
  for (const [name, answer] of neutral) {
    it.effect(`does not count ${name} as a failure`, () =>
      Effect.gen(function* () {
        const server = serverResponding((token, number) =>
          token === "odd" && number === 1 ? answer : token === "odd" ? good : never
        )
        yield* Effect.gen(function* () {
          assertUnavailable(yield* Effect.flip(verify("odd")), "BadResponse")
          yield* verifyAll(many(10))
          assert.strictEqual(server.progress.now, 10)
          assert.strictEqual((yield* verify("odd")).subject, "demo")
        }).pipe(Effect.provide(server.layer))
      })
    )

    it.effect(`does not count ${name} as an answer`, () =>
      Effect.gen(function* () {
        const server = serverResponding((token) =>
          token === "odd" ? answer : token === "bad" ? { status: 503 } : never
        )
        yield* Effect.gen(function* () {
          yield* Effect.flip(verify("bad"))
          yield* Effect.flip(verify("odd"))
          assertUnavailable(yield* Effect.flip(verify("bad")), "BadResponse")
          assert.deepStrictEqual(server.introspectedTokens, ["bad", "odd"])
          yield* verifyAll(many(10))
          assert.strictEqual(server.progress.now, 4)
        }).pipe(Effect.provide(server.layer))
      })
    )
  }

  /** Builds a verifier whose credentials effect fails while `isFailing` is set. */
  const withCredentials = (server: ReturnType<typeof serverResponding>, state: { isFailing: boolean }) =>
    TokenIntrospection.layer({
      issuer,
      audience,
      endpoint: `${issuer}/introspect`,
      cache: false,
      credentials: Effect.suspend(() => (state.isFailing ? Effect.fail("no credentials") : Effect.succeed({})))
    }).pipe(Layer.provide(server.client))

  it.effect("does not count failed credentials as a failure of the server", () =>
    Effect.gen(function* () {
      const state = { isFailing: true }
      const server = serverResponding((token) => (token === "token" ? good : never))
      yield* Effect.gen(function* () {
        assertUnavailable(yield* Effect.flip(verify("token")), "Unspecified")
        state.isFailing = false
        yield* verifyAll(many(10))
        assert.strictEqual(server.progress.now, 10)
        assert.strictEqual((yield* verify("token")).subject, "demo")
      }).pipe(Effect.provide(withCredentials(server, state)))
    })
  )

  it.effect("does not count failed credentials as an answer of the server", () =>
    Effect.gen(function* () {
      const state = { isFailing: false }
      const server = serverResponding((token) => (token === "bad" ? { status: 503 } : never))
      yield* Effect.gen(function* () {
        yield* Effect.flip(verify("bad"))
        state.isFailing = true
        assertUnavailable(yield* Effect.flip(verify("token")), "Unspecified")
        state.isFailing = false
        assertUnavailable(yield* Effect.flip(verify("bad")), "BadResponse")
        assert.deepStrictEqual(server.introspectedTokens, ["bad"])
        yield* verifyAll(many(10))
        assert.strictEqual(server.progress.now, 4)
      }).pipe(Effect.provide(withCredentials(server, state)))
    })
  )
})

describe("TokenIntrospection, if the server responds with Retry-After", () => {
  const retryAfterOf = (error: unknown) => {
    assert.instanceOf(error, SecurityError.AuthorizationServerUnavailable)
    return Duration.toMillis(error.retryAfter)
  }

  const second = 1000
  /** The dates count from the start of the test clock, in 1970. */
  const cases: ReadonlyArray<readonly [name: string, answer: ServerResponse, coolDown: number]> = [
    ["503 with 20 seconds", refusal("20"), 20 * second],
    ["429 with 20 seconds", refusal("20", 429), 20 * second],
    ["503 with a date", refusal("Thu, 01 Jan 1970 00:00:20 GMT"), 20 * second],
    ["503 with a date in the past", refusal("Wed, 31 Dec 1969 23:59:00 GMT"), second],
    ["503 with 0 seconds", refusal("0"), second],
    ["503 with an hour, which counts as one minute", refusal("3600"), 60 * second],
    ["503 with a word", refusal("soon"), second],
    ["503 with a negative number", refusal("-20"), second],
    ["503 with a fraction", refusal("20.5"), second],
    ["503 with another form of date", refusal("1970-01-01T00:00:20Z"), second],
    ["503 with a date that does not exist", refusal("Thu, 99 Jan 1970 00:00:20 GMT"), second],
    ["502, which has no Retry-After", refusal("20", 502), second]
  ]
  for (const [name, answer, coolDown] of cases) {
    it.effect(`sends no new request for the token before the cool-down ends: ${name}`, () =>
      Effect.gen(function* () {
        const server = serverResponding((_, number) => (number === 1 ? answer : good))
        yield* Effect.gen(function* () {
          assert.strictEqual(retryAfterOf(yield* Effect.flip(verify("token"))), coolDown)
          yield* TestClock.adjust(coolDown - 1)
          yield* Effect.flip(verify("token"))
          assert.strictEqual(server.introspectedTokens.length, 1)
          yield* TestClock.adjust(1)
          yield* verify("token")
        }).pipe(Effect.provide(server.layer))
      })
    )
  }

  it.effect("sends a new request for the token after the next answer", () =>
    Effect.gen(function* () {
      const server = serverResponding((_, number) => (number === 1 ? refusal("60") : good))
      yield* Effect.gen(function* () {
        yield* Effect.flip(verify("token"))
        yield* verify("other")
        yield* verify("token")
      }).pipe(Effect.provide(server.layer))
    })
  )

  it.effect("waits only one second if another token was answered during the failed request", () =>
    Effect.gen(function* () {
      const server = serverResponding((token, number) =>
        token === "bad" && number === 1 ? { ...refusal("60"), delay: 10 } : { ...good, delay: 5 }
      )
      yield* Effect.gen(function* () {
        yield* verifyAll(["bad", "during"])
        yield* TestClock.adjust("10 millis")
        yield* TestClock.adjust("1 second")
        const again = yield* verifyAll(["bad"])
        yield* TestClock.adjust("5 millis")
        assert.strictEqual(yield* counted(again), 1)
      }).pipe(Effect.provide(server.layer))
    })
  )

  /** Verifies a new token each second. */
  const eachSecond = (seconds: number, name: string) =>
    Effect.forEach(many(seconds, name), (token) =>
      Effect.andThen(Effect.flip(verify(token)), TestClock.adjust("1 second"))
    )

  it.effect("sends no request before Retry-After ends if the server has refused every token for 30 seconds", () =>
    Effect.gen(function* () {
      let isUp = false
      const server = serverResponding(() => (isUp ? good : refusal("20")))
      yield* Effect.gen(function* () {
        yield* eachSecond(30, "down")
        assert.strictEqual(server.introspectedTokens.length, 30)
        yield* Effect.flip(verify("last"))
        assert.strictEqual(server.introspectedTokens.length, 31)
        isUp = true
        const error = yield* Effect.flip(verify("open"))
        assertUnavailable(error, "Unreachable")
        assert.strictEqual(retryAfterOf(error), 20 * second)
        yield* TestClock.adjust(19_999)
        assert.strictEqual(retryAfterOf(yield* Effect.flip(verify("open"))), 1)
        assert.strictEqual(server.introspectedTokens.length, 31)
        yield* TestClock.adjust(1)
        yield* verify("open")
      }).pipe(Effect.provide(server.layer))
    })
  )

  it.effect("asks again after one minute, even if the server says that it takes an hour", () =>
    Effect.gen(function* () {
      const server = serverResponding(() => refusal("3600"))
      yield* Effect.gen(function* () {
        yield* eachSecond(31, "down")
        yield* TestClock.adjust(58_999)
        assert.strictEqual(retryAfterOf(yield* Effect.flip(verify("open"))), 1)
        assert.strictEqual(server.introspectedTokens.length, 31)
        yield* TestClock.adjust(1)
        yield* Effect.flip(verify("open"))
        assert.strictEqual(server.introspectedTokens.length, 32)
      }).pipe(Effect.provide(server.layer))
    })
  )

  it.effect("waits again if the first probe after Retry-After is refused", () =>
    Effect.gen(function* () {
      const server = serverResponding(() => refusal("20"))
      yield* Effect.gen(function* () {
        yield* eachSecond(30, "down")
        yield* eachSecond(121, "open")
        // One request at 30 seconds, then one every 20 seconds.
        assert.strictEqual(server.introspectedTokens.length, 30 + 7)
      }).pipe(Effect.provide(server.layer))
    })
  )

  it.effect("refuses waiting tokens at once when the circuit opens", () =>
    Effect.gen(function* () {
      const server = serverResponding(() => ({ ...refusal("20"), delay: 100 }))
      yield* Effect.gen(function* () {
        for (const token of many(30, "down")) {
          const fiber = yield* verifyAll([token])
          yield* TestClock.adjust("1 second")
          assert.strictEqual(yield* counted(fiber), 0)
        }
        const fibers = yield* verifyAll(many(100))
        yield* TestClock.adjust("100 millis")
        yield* settle
        assert.strictEqual(yield* counted(fibers), 0)
        assert.strictEqual(server.introspectedTokens.length, 30 + 4)
      }).pipe(Effect.provide(server.layer))
    })
  )

  it.effect("sends requests again as soon as an earlier request is answered", () =>
    Effect.gen(function* () {
      const server = serverResponding((token) =>
        token === "slow" ? { ...good, delay: 2000 } : token === "next" ? good : refusal("60")
      )
      yield* Effect.gen(function* () {
        yield* eachSecond(29, "down")
        const slow = yield* verifyAll(["slow"])
        yield* eachSecond(2, "more")
        assert.strictEqual(yield* counted(slow), 1)
        yield* Effect.flip(verify("refused"))
        assert.strictEqual((yield* verify("next")).subject, "demo")
      }).pipe(Effect.provide(server.layer))
    })
  )

  for (const [name, other] of [
    ["another failure", { status: 503 }],
    ["an answer", good]
  ] as ReadonlyArray<readonly [string, ServerResponse]>) {
    it.effect(`restarts the 30 seconds after ${name}`, () =>
      Effect.gen(function* () {
        const server = serverResponding((token) => (token === "other" ? other : refusal("20")))
        yield* Effect.gen(function* () {
          yield* eachSecond(20, "before")
          yield* Effect.exit(verify("other"))
          yield* eachSecond(30, "after")
          assert.strictEqual(server.introspectedTokens.length, 51)
          yield* eachSecond(5, "open")
          assert.strictEqual(server.introspectedTokens.length, 52)
        }).pipe(Effect.provide(server.layer))
      })
    )
  }
})

describe("TokenIntrospection, with more than 64 tokens at a time", () => {
  it.effect("does not count requests that time out in the queue as an outage", () =>
    Effect.gen(function* () {
      const server = serverResponding(() => ({ ...good, delay: 1000 }))
      const lines: Array<unknown> = []
      yield* Effect.gen(function* () {
        const fibers = yield* verifyAll(many(400))
        for (let i = 0; i < 5; i++) yield* TestClock.adjust("1 second")
        const again = yield* verifyAll(["token-399"])
        yield* TestClock.adjust("1 second")
        assert.strictEqual(yield* counted(again), 1)
        assert.strictEqual(yield* counted(fibers), 4 * 64)
        // The started requests that timed out cause one warning. Requests that only waited cause none.
        assert.strictEqual(lines.length, 1)
        const next = yield* verifyAll(["next"])
        yield* TestClock.adjust("1 second")
        assert.strictEqual(yield* counted(next), 1)
      }).pipe(
        Effect.provide(server.layer),
        Effect.provide(Logger.layer([Logger.make(({ message }) => void lines.push(message))]))
      )
    })
  )

  it.effect("sends an overloaded server 4 requests at a time, and refuses the other tokens within a second", () =>
    Effect.gen(function* () {
      const server = serverResponding(() => ({ status: 503, delay: 100 }))
      yield* Effect.gen(function* () {
        const fibers = yield* verifyAll(many(1000))
        yield* TestClock.adjust("1 second")
        yield* settle
        assert(fibers.slice(110).every((fiber) => fiber.pollUnsafe() !== undefined))
        assert.isAtMost(server.introspectedTokens.length, 64 + 10 * 4)
        yield* TestClock.adjust("100 millis")
        assert.strictEqual(yield* counted(fibers), 0)
      }).pipe(Effect.provide(server.layer))
    })
  )

  it.effect("ends the oldest request early if others wait and the server answers", () =>
    Effect.gen(function* () {
      const server = serverResponding((token) => (token.startsWith("hang") ? never : { ...good, delay: 20 }))
      yield* Effect.gen(function* () {
        const hanging = yield* verifyAll(many(63, "hang"))
        // The usual response time becomes 20 ms. Four times as long is less than 250 ms.
        for (const token of many(40, "good")) {
          const fiber = yield* verifyAll([token])
          yield* TestClock.adjust("20 millis")
          assert.strictEqual(yield* counted(fiber), 1)
        }
        assert(
          hanging.every((fiber) => fiber.pollUnsafe() === undefined),
          "one slot must still be free"
        )
        const more = yield* verifyAll(["hang-more"])
        const waiting = yield* verifyAll(["last"])
        yield* settle
        assertUnavailable(yield* Effect.flatten(Fiber.join(hanging[0]!)).pipe(Effect.flip), "Timeout")
        assert.isUndefined(hanging[1]!.pollUnsafe())
        assert.isUndefined(more[0]!.pollUnsafe())
        yield* TestClock.adjust("20 millis")
        assert.strictEqual(yield* counted(waiting), 1)
        assert.strictEqual(server.progress.most, 64)
        assertUnavailable(yield* Effect.flip(verify("hang-0")), "Timeout")
      }).pipe(Effect.provide(server.layer))
    })
  )

  it.effect("ends as many requests early as wait", () =>
    Effect.gen(function* () {
      const server = serverResponding((token) => (token.startsWith("hang") ? never : { ...good, delay: 20 }))
      yield* Effect.gen(function* () {
        for (const token of many(40, "good")) {
          yield* verifyAll([token])
          yield* TestClock.adjust("100 millis")
        }
        const hanging = yield* verifyAll(many(64, "hang"))
        yield* TestClock.adjust("300 millis")
        const waiting = yield* verifyAll(many(50, "waiting"))
        yield* settle
        assert.strictEqual(hanging.filter((fiber) => fiber.pollUnsafe() !== undefined).length, 50)
        yield* TestClock.adjust("20 millis")
        assert.strictEqual(yield* counted(waiting), 50)
        assert.strictEqual(server.progress.most, 64)
      }).pipe(Effect.provide(server.layer))
    })
  )

  it.effect("ends at most 10 requests a second early 3 seconds after the last answer", () =>
    Effect.gen(function* () {
      const server = serverResponding((token) => (token.startsWith("good") ? good : never))
      yield* Effect.gen(function* () {
        // The next answer is expected in a second, or in 8 seconds at most.
        for (const token of many(40, "good")) {
          yield* verify(token)
          yield* TestClock.adjust("1 second")
        }
        yield* TestClock.adjust("1950 millis")
        yield* verifyAll(many(64, "hang"))
        yield* TestClock.adjust("300 millis")
        yield* verifyAll(many(50, "waiting"))
        assert.strictEqual(server.introspectedTokens.length, 40 + 64)
        yield* TestClock.adjust("150 millis")
        yield* settle
        assert.strictEqual(server.introspectedTokens.length, 40 + 64 + 4)
      }).pipe(Effect.provide(server.layer))
    })
  )

  it.effect("never ends a request early that is younger than 250 ms", () =>
    Effect.gen(function* () {
      const server = serverResponding((token) => (token.startsWith("hang") ? never : { ...good, delay: 1 }))
      yield* Effect.gen(function* () {
        for (const token of many(40, "good")) {
          yield* verifyAll([token])
          yield* TestClock.adjust("100 millis")
        }
        const hanging = yield* verifyAll(many(64, "hang"))
        const waiting = yield* verifyAll(["last"])
        yield* TestClock.adjust("250 millis")
        yield* settle
        assert(hanging.every((fiber) => fiber.pollUnsafe() === undefined))
        yield* TestClock.adjust("50 millis")
        yield* settle
        assert.strictEqual(hanging.filter((fiber) => fiber.pollUnsafe() !== undefined).length, 1)
        yield* TestClock.adjust("1 milli")
        assert.strictEqual(yield* counted(waiting), 1)
      }).pipe(Effect.provide(server.layer))
    })
  )

  it.effect("ends at most 10 requests a second early if the server becomes slow", () =>
    Effect.gen(function* () {
      let delay = 20
      const server = serverResponding(() => ({ ...good, delay }))
      yield* Effect.gen(function* () {
        yield* verifyAll(["before-a-pause"])
        yield* TestClock.adjust("1 hour")
        for (const token of many(50, "good")) {
          yield* verifyAll([token])
          yield* TestClock.adjust("20 millis")
        }
        delay = 2000
        const fibers = yield* verifyAll(many(192))
        for (let i = 0; i < 90; i++) {
          yield* settle
          yield* TestClock.adjust("50 millis")
          if (i === 18) assert.strictEqual(server.introspectedTokens.length, 51 + 64 + 4 + 4)
        }
        const answered = fibers.filter((fiber) => {
          const exit = fiber.pollUnsafe()
          return exit !== undefined && Exit.isSuccess(exit) && Exit.isSuccess(exit.value)
        })
        // 64 answers every 2 seconds, without the first 20. After the first slow answers, no request ends early.
        assert.isAtLeast(answered.length, 2 * 64 - 20)
        assert.isAtMost(server.progress.most, 64)
      }).pipe(Effect.provide(server.layer))
    })
  )

  it.effect("ends about 10 requests a second early if none is answered", () =>
    Effect.gen(function* () {
      const server = serverResponding((token) => (token.startsWith("hang") ? never : { ...good, delay: 20 }))
      yield* Effect.gen(function* () {
        yield* verifyAll(many(100, "hang"))
        yield* TestClock.adjust("1 second")
        yield* settle
        assert.strictEqual(server.introspectedTokens.length, 64)
        yield* TestClock.adjust("50 millis")
        yield* settle
        assert.strictEqual(server.introspectedTokens.length, 68)
        yield* TestClock.adjust("350 millis")
        yield* settle
        assert.strictEqual(server.introspectedTokens.length, 68)
        yield* TestClock.adjust("50 millis")
        yield* settle
        assert.strictEqual(server.introspectedTokens.length, 72)
        assert.strictEqual(server.progress.most, 64)
      }).pipe(Effect.provide(server.layer))
    })
  )

  it.effect("lets a slow server answer every request, in any order", () =>
    Effect.gen(function* () {
      // 700 to 900 ms. The first guess allows one second. Later limits are four times the average.
      const server = serverResponding((_, number) => ({ ...good, delay: 700 + ((number * 83) % 200) }))
      yield* Effect.gen(function* () {
        const fibers = yield* verifyAll(many(300))
        for (let i = 0; i < 50; i++) {
          yield* settle
          yield* TestClock.adjust("100 millis")
        }
        assert.strictEqual(yield* counted(fibers), 300)
      }).pipe(Effect.provide(server.layer))
    })
  )

  it.effect("refuses a request that has only waited after 5 seconds, without a failure of its token", () =>
    Effect.gen(function* () {
      const server = serverResponding(() => ({ ...good, delay: 6000, isUninterruptible: true }))
      yield* Effect.gen(function* () {
        yield* verifyAll(many(64))
        const [waiting] = yield* verifyAll(["waiting"])
        assert(waiting !== undefined)
        yield* TestClock.adjust("5 seconds")
        assertUnavailable(yield* Effect.flatten(Fiber.join(waiting)).pipe(Effect.flip), "Timeout")
        const [again] = yield* verifyAll(["waiting"])
        assert.isUndefined(again?.pollUnsafe())
        assert.notInclude(server.introspectedTokens, "waiting")
        yield* TestClock.adjust("1 second")
        yield* settle
        assert.include(server.introspectedTokens, "waiting")
        yield* TestClock.adjust("6 seconds")
      }).pipe(Effect.provide(server.layer))
    })
  )

  it.effect("lets 1000 requests wait, and refuses further tokens at once", () =>
    Effect.gen(function* () {
      const server = serverResponding(() => never)
      yield* Effect.gen(function* () {
        const fibers = yield* verifyAll(many(1064))
        assertUnavailable(yield* Effect.flip(verify("one-more")), "Timeout")
        for (const fiber of fibers.slice(0, 500)) yield* Fiber.interrupt(fiber)
        const later = yield* verifyAll(many(500, "later"))
        yield* settle
        assert(later.every((fiber) => fiber.pollUnsafe() === undefined))
        yield* Effect.forEach([...fibers, ...later], Fiber.interrupt, { discard: true })
      }).pipe(Effect.provide(server.layer))
    })
  )
})

describe("TokenIntrospection, if it must discover its endpoint", () => {
  test(
    "discovers the endpoint once for concurrent callers",
    Effect.gen(function* () {
      yield* respond("discovery", { delay: "1 second" })
      const fibers = yield* verifyAll([yield* mint(), yield* mint(), yield* mint()])
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* counted(fibers), 3)
      assert.strictEqual(yield* lookups, 1)
    })
  )

  test(
    "requests the metadata once a second while discovery fails",
    Effect.gen(function* () {
      yield* respond("discovery", { status: 503 })
      for (let i = 0; i < 5; i++) assertUnavailable(yield* Effect.flip(verify(yield* mint())), "BadResponse")
      assert.strictEqual(yield* lookups, 1)
      yield* TestClock.adjust("1 second")
      for (let i = 0; i < 5; i++) yield* Effect.flip(verify(yield* mint()))
      assert.strictEqual(yield* lookups, 2)
      yield* respond("discovery", "normal")
      yield* TestClock.adjust("999 millis")
      yield* Effect.flip(verify(yield* mint()))
      yield* TestClock.adjust("1 milli")
      assert.strictEqual((yield* verify(yield* mint())).subject, "demo")
    })
  )

  test(
    "uses the same endpoint if its requests fail and the metadata is unavailable",
    Effect.gen(function* () {
      yield* verify(yield* mint())
      yield* respond("discovery", { status: 500 })
      for (const status of [400, 401, 404, 500]) {
        yield* respond("introspection", { status })
        assertUnavailable(yield* Effect.flip(verify(yield* mint())), "BadResponse")
      }
      yield* TestClock.adjust("2 minutes")
      yield* respond("introspection", "normal")
      assert.strictEqual((yield* verify(yield* mint())).subject, "demo")
    })
  )

  for (const status of [301, 404, 405, 410]) {
    test(
      `discovers the endpoint again, once a minute, if it responds with ${status}`,
      Effect.gen(function* () {
        yield* verify(yield* mint())
        yield* respond("introspection", { status })
        yield* Effect.flip(verify(yield* mint()))
        yield* Effect.flip(verify(yield* mint()))
        assert.strictEqual(yield* lookups, 1)
        yield* TestClock.adjust("1 minute")
        yield* Effect.flip(verify(yield* mint()))
        assert.strictEqual(yield* lookups, 2)
        yield* respond("introspection", "normal")
        yield* verify(yield* mint())
        // The last rediscovery came before the endpoint worked again, so exactly one more follows.
        for (let i = 0; i < 3; i++) {
          yield* TestClock.adjust("1 minute")
          yield* verify(yield* mint())
        }
        assert.strictEqual(yield* lookups, 3)
      })
    )
  }

  for (const endpoint of ["http://127.0.0.1/", "https://localhost:8443/", "ftp://idp.example.com", "/introspect"]) {
    test(
      `sends no secret to ${endpoint} from the metadata`,
      Effect.gen(function* () {
        yield* respond("discovery", { body: JSON.stringify({ issuer, introspection_endpoint: endpoint }) })
        assertUnavailable(yield* Effect.flip(verify(yield* mint())), "BadResponse")
        assert.strictEqual(yield* introspectionCount, 0)
      })
    )
  }

  const lookups = TestIssuer.use(({ requests }) =>
    Effect.map(requests, (all) => all.filter(({ endpoint }) => endpoint === "openid-configuration").length)
  )
})
