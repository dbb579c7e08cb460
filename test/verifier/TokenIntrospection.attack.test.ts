/**
 * An attacker sends tokens that the authorization server or its gateway does not answer, while clients send genuine
 * tokens. The verifier cannot tell them apart without an introspection request.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Logger } from "effect"
import { TestClock } from "effect/testing"
import { type ServerResponse, serverResponding, good, never, verify } from "../support/introspection.ts"
import { settle } from "../support/settle.ts"
import { times } from "../support/times.ts"

/** Milliseconds of one step of the test clock. */
const step = 5
const roundTrip = 20

const broken: ServerResponse = { isBroken: true, delay: roundTrip }
const status = (code: number, retryAfter?: string): ServerResponse => ({
  status: code,
  delay: roundTrip,
  ...(retryAfter === undefined ? {} : { headers: { "retry-after": retryAfter } })
})

interface Traffic {
  /** Outcomes of the attacker's tokens, in turn. */
  readonly bad: ReadonlyArray<ServerResponse>
  /** Milliseconds between two tokens of the attacker, who does not wait for responses. */
  readonly badEvery: number
  /** Average milliseconds between two genuine tokens. Each pause is 0.5 to 1.5 times as long. */
  readonly goodEvery: number
  readonly seconds?: number
}

/** Returns the share of accepted genuine tokens, and the largest number of requests in progress. */
const run = ({ bad, badEvery, goodEvery, seconds = 8 }: Traffic) =>
  Effect.gen(function* () {
    const server = serverResponding((token) =>
      token.startsWith("good") ? { ...good, delay: roundTrip } : bad[Number(token.split("-")[1]) % bad.length]!
    )
    return yield* Effect.gen(function* () {
      const genuine: Array<Fiber.Fiber<Exit.Exit<unknown, unknown>>> = []
      let badTokens = 0
      let nextGood = goodEvery / 2
      for (let now = 0; now < seconds * 1000; now += step) {
        for (; badTokens * badEvery <= now; badTokens++) {
          yield* Effect.forkChild(Effect.exit(verify(`bad-${badTokens}`)))
        }
        if (now >= nextGood) {
          genuine.push(yield* Effect.forkChild(Effect.exit(verify(`good-${genuine.length}`))))
          nextGood += goodEvery * (0.5 + ((genuine.length * 0.618) % 1))
        }
        yield* settle
        yield* TestClock.adjust(step)
      }
      for (const _ of times(50)) {
        yield* settle
        yield* TestClock.adjust("100 millis")
      }
      const accepted = (yield* Effect.forEach(genuine, Fiber.join)).filter(Exit.isSuccess).length
      return { accepted: accepted / genuine.length, most: server.progress.most }
    }).pipe(Effect.provide(server.layer), Effect.provide(Logger.layer([])))
  })

describe("TokenIntrospection, while an attacker sends tokens that the server does not answer", () => {
  const everything = [never, broken, status(503), status(429, "60"), status(502), status(504)]
  const rows: ReadonlyArray<readonly [name: string, traffic: Traffic]> = [
    ["1 dropped connection a second", { bad: [broken], badEvery: 1000, goodEvery: 250 }],
    ["3 dropped connections a second", { bad: [broken], badEvery: 300, goodEvery: 250 }],
    ["20 dropped connections a second", { bad: [broken], badEvery: 50, goodEvery: 250 }],
    ["20 dropped connections a second, and 20 genuine tokens", { bad: [broken], badEvery: 50, goodEvery: 50 }],
    ["200 dropped connections a second", { bad: [broken], badEvery: 5, goodEvery: 250 }],
    ["20 responses with 503 a second", { bad: [status(503)], badEvery: 50, goodEvery: 250 }],
    ["20 responses with 503 and Retry-After a second", { bad: [status(503, "60")], badEvery: 50, goodEvery: 250 }],
    ["20 responses with 429 a second, and 1 genuine token", { bad: [status(429)], badEvery: 50, goodEvery: 1000 }],
    [
      "20 responses with 429 and Retry-After a second, and a genuine token in 10 seconds",
      { bad: [status(429, "60")], badEvery: 50, goodEvery: 10_000, seconds: 80 }
    ],
    [
      "20 dropped connections a second, and a genuine token in 10 seconds",
      { bad: [broken], badEvery: 50, goodEvery: 10_000, seconds: 80 }
    ],
    ["20 time-outs a second", { bad: [never], badEvery: 50, goodEvery: 250 }],
    ["20 time-outs a second, and 1 genuine token", { bad: [never], badEvery: 50, goodEvery: 1000, seconds: 20 }],
    ["200 time-outs a second", { bad: [never], badEvery: 5, goodEvery: 250 }],
    ["50 failures of all kinds a second", { bad: everything, badEvery: 20, goodEvery: 250 }]
  ]
  for (const [name, traffic] of rows) {
    it.effect(
      `accepts at least 95 % of the genuine tokens, with ${name}`,
      () =>
        Effect.gen(function* () {
          const { accepted, most } = yield* run(traffic)
          assert.isAtLeast(accepted, 0.95)
          assert.isAtMost(most, 64)
        }),
      60_000
    )
  }
})
