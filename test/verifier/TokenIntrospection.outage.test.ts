import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Logger } from "effect"
import { TestClock } from "effect/testing"
import { TestIssuer } from "effect-oauth2/testing"
import {
  type Answer,
  answering,
  asked,
  assertUnavailable,
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

describe("TokenIntrospection, where the server does not answer", () => {
  for (const [name, answer, reason, questions] of [
    ["is not to be reached", { isBroken: true }, "Unreachable", 2],
    ["has too much to do", { status: 429 }, "BadResponse", 2],
    ["is a gateway without a server", { status: 502 }, "BadResponse", 2],
    ["is down", { status: 503 }, "BadResponse", 2],
    ["is a gateway that has waited for it", { status: 504 }, "BadResponse", 2]
  ] as ReadonlyArray<readonly [string, Answer, string, number]>) {
    it.effect(`asks nothing for a second where it ${name}`, () =>
      Effect.gen(function* () {
        const server = answering((_, number) => (number <= questions ? answer : good))
        yield* Effect.gen(function* () {
          assertUnavailable(yield* Effect.flip(verify("first")), reason)
          // A gateway may say so of one token alone: it has to say it twice.
          if (reason === "BadResponse") assertUnavailable(yield* Effect.flip(verify("again")), reason)
          yield* TestClock.adjust("999 millis")
          assertUnavailable(yield* Effect.flip(verify("second")), "Unreachable")
          assert.strictEqual(server.questions.length, questions)
          yield* TestClock.adjust("1 milli")
          assert.strictEqual((yield* verify("third")).subject, "demo")
        }).pipe(Effect.provide(server.layer))
      })
    )
  }

  it.effect("asks nothing for a second where it was waited for in vain", () =>
    Effect.gen(function* () {
      const server = answering((token) => (token === "slow" ? never : good))
      yield* Effect.gen(function* () {
        const slow = yield* Effect.forkChild(Effect.flip(verify("slow")))
        yield* TestClock.adjust("4999 millis")
        assert.isUndefined(slow.pollUnsafe())
        yield* TestClock.adjust("1 milli")
        assertUnavailable(yield* Fiber.join(slow), "Timeout")
        assertUnavailable(yield* Effect.flip(verify("other")), "Unreachable")
        yield* TestClock.adjust("1 second")
        yield* verify("other")
        assert.deepStrictEqual(server.questions, ["slow", "other"])
      }).pipe(Effect.provide(server.layer))
    })
  )

  it.effect("takes one kind of token that is never answered for that token's trouble, where others are", () =>
    Effect.gen(function* () {
      const server = answering((token) => (token.startsWith("slow") ? never : good))
      yield* Effect.gen(function* () {
        for (let i = 0; i < 30; i++) {
          yield* verifyAll([`slow-${i}`])
          yield* TestClock.adjust("1 second")
          assert.strictEqual((yield* verify(`other-${i}`)).subject, "demo")
        }
      }).pipe(Effect.provide(server.layer))
    })
  )

  it.effect("takes a lost question for its own trouble, where others are answered", () =>
    Effect.gen(function* () {
      const server = answering((token) => (token === "lost" ? { isBroken: true, delay: 10 } : { ...good, delay: 5 }))
      yield* Effect.gen(function* () {
        const fibers = yield* verifyAll(["lost", "early"])
        yield* TestClock.adjust("10 millis")
        fibers.push(...(yield* verifyAll(["again"])))
        yield* TestClock.adjust("10 millis")
        assert.strictEqual(yield* counted(fibers), 2)
        const next = yield* verifyAll(["next"])
        yield* TestClock.adjust("5 millis")
        assert.strictEqual(yield* counted(next), 1)
      }).pipe(Effect.provide(server.layer))
    })
  )

  it.effect("and the same where the answers of the others are errors", () =>
    Effect.gen(function* () {
      const server = answering((token) =>
        token === "lost" ? { isBroken: true, delay: 10 } : { status: 500, delay: 5 }
      )
      yield* Effect.gen(function* () {
        const fibers = yield* verifyAll(["lost", "odd"])
        yield* TestClock.adjust("10 millis")
        fibers.push(...(yield* verifyAll(["again"])))
        yield* TestClock.adjust("10 millis")
        assert.strictEqual(yield* counted(fibers), 0)
        yield* verifyAll(["next"])
        assert.include(server.questions, "next")
      }).pipe(Effect.provide(server.layer))
    })
  )

  it.effect("lets no single error of the server end the pause", () =>
    Effect.gen(function* () {
      const server = answering((token) => ({ status: token === "odd" ? 500 : 503, delay: 100 }))
      yield* Effect.gen(function* () {
        const fibers = yield* verifyAll(["down-1", "down-2"])
        yield* TestClock.adjust("50 millis")
        fibers.push(...(yield* verifyAll(["odd"])))
        yield* TestClock.adjust("100 millis")
        assert.strictEqual(yield* counted(fibers), 0)
        yield* Effect.flip(verify("other"))
        assert.deepStrictEqual(server.questions, ["down-1", "down-2", "odd"])
      }).pipe(Effect.provide(server.layer))
    })
  )

  it.effect("makes no pause of a gateway that says of one token, again and again, that there is no server", () =>
    Effect.gen(function* () {
      const server = answering((token) => (token === "odd" ? { status: 503 } : good))
      yield* Effect.gen(function* () {
        for (let i = 0; i < 10; i++) {
          assertUnavailable(yield* Effect.flip(verify("odd")), "BadResponse")
          yield* TestClock.adjust("300 millis")
          assert.strictEqual((yield* verify(`other-${i}`)).subject, "demo")
        }
      }).pipe(Effect.provide(server.layer))
    })
  )

  it.effect("makes no pause of an error about one token", () =>
    Effect.gen(function* () {
      const server = answering((token) => (token === "odd" ? { status: 500 } : good))
      yield* Effect.gen(function* () {
        assertUnavailable(yield* Effect.flip(verify("odd")), "BadResponse")
        assert.strictEqual((yield* verify("other")).subject, "demo")
      }).pipe(Effect.provide(server.layer))
    })
  )
})

describe("TokenIntrospection, with more tokens than it asks about at a time", () => {
  it.effect("takes those that wait in vain for no outage", () =>
    Effect.gen(function* () {
      const server = answering(() => ({ ...good, delay: 1000 }))
      const lines: Array<unknown> = []
      yield* Effect.gen(function* () {
        const fibers = yield* verifyAll(many(400))
        for (let i = 0; i < 6; i++) yield* TestClock.adjust("1 second")
        assert.strictEqual(yield* counted(fibers), 4 * 64)
        // Those that were asked about when time was over, and none that only waited, are told of: once.
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

  it.effect("asks an overloaded server nothing more, and who waits is told at once", () =>
    Effect.gen(function* () {
      const server = answering(() => ({ status: 503, delay: 100 }))
      yield* Effect.gen(function* () {
        const fibers = yield* verifyAll(many(1000))
        yield* TestClock.adjust("200 millis")
        assert.strictEqual(yield* counted(fibers), 0)
        assert.isAtMost(server.questions.length, 65)
      }).pipe(Effect.provide(server.layer))
    })
  )

  it.effect("lets a thousand wait, and tells the others at once", () =>
    Effect.gen(function* () {
      const server = answering(() => never)
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

describe("TokenIntrospection, where its endpoint is not known", () => {
  test(
    "looks for it once, whoever asks at the same time",
    Effect.gen(function* () {
      yield* respond("discovery", { delay: "1 second" })
      const fibers = yield* verifyAll([yield* mint(), yield* mint(), yield* mint()])
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* counted(fibers), 3)
      assert.strictEqual(yield* lookups, 1)
    })
  )

  test(
    "asks metadata that is down no more than it asks the server",
    Effect.gen(function* () {
      yield* respond("discovery", { status: 503 })
      for (let i = 0; i < 5; i++) yield* Effect.flip(verify(yield* mint()))
      assert.strictEqual(yield* lookups, 2)
      yield* respond("discovery", "normal")
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* verify(yield* mint())).subject, "demo")
    })
  )

  test(
    "keeps it, whatever is said of a token there, and while its metadata is down",
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
      `looks for it again, once a minute, where it is there no longer (${status})`,
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
        // It was not there when it was asked last: once more, and then no more.
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
      `sends no secret to ${endpoint}, whatever its metadata says`,
      Effect.gen(function* () {
        yield* respond("discovery", { body: JSON.stringify({ issuer, introspection_endpoint: endpoint }) })
        assertUnavailable(yield* Effect.flip(verify(yield* mint())), "BadResponse")
        assert.strictEqual(yield* asked, 0)
      })
    )
  }

  const lookups = TestIssuer.use(({ requests }) =>
    Effect.map(requests, (all) => all.filter(({ endpoint }) => endpoint === "openid-configuration").length)
  )
})
