/**
 * Random sequences of genuine tokens, unanswered tokens, outages and recoveries, compared with a model that knows only
 * what the server has seen.
 */
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Clock, Effect, Exit, Fiber, Layer, Logger, Schema } from "effect"
import { HttpClient, HttpClientError, HttpClientResponse } from "effect/http"
import { TestClock } from "effect/testing"
import { formOf, good, issuer, verifier, verify } from "../support/introspection.ts"
import { settle } from "../support/settle.ts"
import { times } from "../support/times.ts"

const second = 1000
/** The documented bounds of `TokenIntrospection`, in milliseconds where they are times. */
const maxAtATime = 64
const probes = 4
const youngUntil = 400
const maxWait = second
const timeLimit = 5 * second
const silenceLimit = 3 * second
const refusalPeriod = 30 * second
const retryAfter = 40 * second
/** Time in which the first waiting request notices changes that only time causes. */
const tick = 50

const roundTrip = 20
/** Milliseconds by which the clock moves while a request is pending. */
const step = 20

/** Outcomes of a token at the server: `up` answers it. */
const behaviors = ["up", "drops", "503", "refuses", "hangs", "500"] as const
type Behavior = (typeof behaviors)[number]

// A command that is listed twice is twice as frequent.
const Command = Schema.Union([
  Schema.TaggedStruct("Genuine", { count: Schema.Literals([1, 1, 3, 10]) }),
  Schema.TaggedStruct("Genuine", { count: Schema.Literals([1, 2, 3, 4]) }),
  Schema.TaggedStruct("Genuine", { count: Schema.Literals([1, 1, 1, 70]) }),
  Schema.TaggedStruct("Bad", { behavior: Schema.Literals(behaviors), count: Schema.Literals([1, 2, 4]) }),
  Schema.TaggedStruct("Bad", { behavior: Schema.Literals(behaviors), count: Schema.Literals([1, 1, 80]) }),
  Schema.TaggedStruct("Again", { index: Schema.Literals([0, 1, 5]) }),
  Schema.TaggedStruct("Server", { behavior: Schema.Literals(behaviors) }),
  Schema.TaggedStruct("Server", { behavior: Schema.Literals(["up"]) }),
  Schema.TaggedStruct("Server", { behavior: Schema.Literals(["up", "up", "refuses"]) }),
  Schema.TaggedStruct("Interrupt", { index: Schema.Literals([0, 1, 9]) }),
  Schema.TaggedStruct("Advance", { millis: Schema.Literals([10, 20, 50, 100, 390, 400, 410]) }),
  Schema.TaggedStruct("Advance", { millis: Schema.Literals([500, 999, 1000, 1050, 2000]) }),
  Schema.TaggedStruct("Advance", { millis: Schema.Literals([3000, 5000]) }),
  Schema.TaggedStruct("Outage", { behavior: Schema.Literals(["drops", "503", "refuses", "refuses", "up", "up"]) })
])
type Command = typeof Command.Type

interface Request {
  readonly token: string
  readonly at: number
}

interface Pending {
  readonly token: string
  readonly at: number
  /** `true` if nothing that the server saw allows another outcome than acceptance. */
  mustSucceed: boolean
  readonly fiber: Fiber.Fiber<unknown, unknown>
}

/** The server, and the facts that follow with certainty from its requests. */
class World {
  server: Behavior = "up"
  readonly tokens: Array<string> = []
  readonly inProgress = new Set<Request>()
  readonly asked = new Set<string>()
  pending: Array<Pending> = []
  readonly hanging: Array<number> = []
  /** Time at which the first attempt of an introspection request was dropped. The second attempt follows at once. */
  readonly dropped = new Map<string, number>()
  answeredAt: number | undefined
  failedAt: number | undefined
  refusingSince: number | undefined
  refusedAt: number | undefined
  /** `true` after a request was aborted: the model cannot tell a time-out from an interrupted caller. */
  isUncertain = false
  readonly violations: Array<string> = []

  behaviorOf(token: string): Behavior {
    return this.server === "up" ? (behaviors.find((behavior) => token.startsWith(`${behavior}-`)) ?? "up") : this.server
  }

  answered(now: number) {
    this.answeredAt = now
    this.failedAt = undefined
    this.refusingSince = undefined
    this.refusedAt = undefined
    this.isUncertain = false
  }

  failed(now: number, isRefusal: boolean) {
    this.failedAt ??= now
    if (!isRefusal) {
      this.refusingSince = undefined
      return
    }
    if (this.refusingSince === undefined) this.isUncertain = false
    this.refusingSince ??= now
    this.refusedAt = now
  }

  /** Time since which the circuit is certainly not closed. */
  get doubtedSince(): number | undefined {
    return this.failedAt === undefined
      ? undefined
      : Math.max(this.failedAt, (this.answeredAt ?? -Infinity) + silenceLimit)
  }

  isDoubted(now: number): boolean {
    return this.doubtedSince !== undefined && now >= this.doubtedSince
  }

  /** Returns `true` if the last refusal may apply to all tokens. */
  mayBeOpen(now: number): boolean {
    return this.refusedAt !== undefined && now < this.refusedAt + retryAfter
  }

  isOpen(now: number): boolean {
    return (
      this.mayBeOpen(now) &&
      !this.isUncertain &&
      this.refusingSince !== undefined &&
      this.refusedAt! - this.refusingSince >= refusalPeriod
    )
  }

  begins(request: Request) {
    this.inProgress.add(request)
    this.asked.add(request.token)
    const { at } = request
    if (this.inProgress.size > maxAtATime) this.violations.push(`${this.inProgress.size} requests in progress at ${at}`)
    if (this.isOpen(at)) this.violations.push(`a request at ${at}, in spite of Retry-After`)
    const young = [...this.inProgress].filter((other) => at - other.at < youngUntil).length
    const isSecondAttempt = this.dropped.get(request.token) === at
    if (this.isDoubted(at) && young > probes && !isSecondAttempt) this.violations.push(`${young} probes at ${at}`)
    if (this.behaviorOf(request.token) === "hangs") this.hanging.push(at)
  }
}

const clientOf = (world: World) =>
  HttpClient.make((request) =>
    Effect.gen(function* () {
      const token = formOf(request)["token"] ?? ""
      const own: Request = { token, at: yield* Clock.currentTimeMillis }
      world.begins(own)
      const behavior = world.behaviorOf(token)
      const respond = (body: unknown, init: ResponseInit) =>
        Effect.as(Effect.sleep(roundTrip), HttpClientResponse.fromWeb(request, Response.json(body, init)))
      const answer = (): Effect.Effect<HttpClientResponse.HttpClientResponse, HttpClientError.HttpClientError> => {
        switch (behavior) {
          case "up":
            return respond(good.body, {})
          case "drops": {
            // Without a delay, so that the second attempt happens at the same time.
            const reason = new HttpClientError.TransportError({ request })
            return Effect.fail(new HttpClientError.HttpClientError({ reason }))
          }
          case "503":
            return respond({}, { status: 503 })
          case "refuses":
            return respond({}, { status: 429, headers: { "retry-after": `${retryAfter / second}` } })
          case "hangs":
            return Effect.never
          case "500":
            return respond({}, { status: 500 })
        }
      }
      return yield* Effect.onExit(answer(), (exit) =>
        Effect.map(Clock.currentTimeMillis, (now) => {
          world.inProgress.delete(own)
          if (Exit.hasInterrupts(exit)) world.isUncertain = true
          else if (behavior === "up") world.answered(now)
          else if (behavior === "drops" && world.dropped.get(token) !== now) world.dropped.set(token, now)
          else if (behavior !== "500") world.failed(now, behavior === "refuses")
        })
      )
    })
  )

/** Returns `true` if so few tokens hang or wait that a genuine token starts within a second. */
const isServed = (world: World, now: number): boolean =>
  world.server === "up" &&
  !world.mayBeOpen(now) &&
  world.hanging.filter((at) => now - at < 2 * second).length +
    world.pending.filter(({ token }) => world.behaviorOf(token) === "hangs" && !world.asked.has(token)).length <=
    4 &&
  world.hanging.filter((at) => now - at < timeLimit).length < 40 &&
  world.pending.length < 60

const ask = (world: World, token: string, isNew: boolean) =>
  Effect.gen(function* () {
    const at = yield* Clock.currentTimeMillis
    const mustSucceed = isNew && world.behaviorOf(token) === "up" && isServed(world, at)
    world.tokens.push(token)
    world.pending.push({ token, at, mustSucceed, fiber: yield* Effect.forkChild(verify(token)) })
  })

const checkAll = (world: World) =>
  Effect.gen(function* () {
    assert.deepStrictEqual(world.violations, [])
    const now = yield* Clock.currentTimeMillis
    const pending: Array<Pending> = []
    for (const request of world.pending) {
      if (world.server !== "up" || !isServed(world, now)) request.mustSucceed = false
      const exit = request.fiber.pollUnsafe()
      if (exit === undefined) {
        pending.push(request)
      } else if (request.mustSucceed) {
        assert(Exit.isSuccess(exit), `${request.token} of ${request.at}, now ${now}: ${String(exit)}`)
        totals.accepted++
      }
    }
    world.pending = pending
    const waiting = pending.filter(({ token }) => !world.asked.has(token))
    if (waiting.length > 0) assert.isAbove(world.inProgress.size, 0, `no probe at ${now}`)
    for (const { at } of pending) assert.isAtMost(now - at, timeLimit)
    for (const { at } of waiting) {
      if (world.doubtedSince !== undefined && now - world.doubtedSince > tick) assert.isAtMost(now - at, maxWait + tick)
    }
  })

/** Moves the clock, in small steps while a request is pending. */
const advance = (world: World, millis: number): Effect.Effect<void> =>
  Effect.gen(function* () {
    for (let left = millis; left > 0;) {
      const now = world.pending.length === 0 ? left : Math.min(left, step)
      yield* TestClock.adjust(now)
      yield* settle
      yield* checkAll(world)
      left -= now
    }
  })

const run = (world: World, command: Command, number: number) =>
  Effect.gen(function* () {
    switch (command._tag) {
      case "Genuine":
        for (const i of times(command.count)) yield* ask(world, `genuine-${number}-${i}`, true)
        return
      case "Bad":
        for (const i of times(command.count)) yield* ask(world, `${command.behavior}-${number}-${i}`, true)
        return
      case "Again": {
        const token = world.tokens.at(-1 - command.index)
        return token === undefined ? undefined : yield* ask(world, token, false)
      }
      case "Server":
        world.server = command.behavior
        return
      case "Interrupt": {
        const [request] = world.pending.splice(command.index, 1)
        return request === undefined ? undefined : yield* Fiber.interrupt(request.fiber)
      }
      case "Advance":
        return yield* advance(world, command.millis)
      case "Outage":
        // 34 seconds are long enough for Retry-After to apply to all tokens.
        world.server = command.behavior
        for (const i of times(34)) {
          yield* ask(world, `outage-${number}-${i}`, true)
          yield* advance(world, second)
        }
    }
  })

/** Checks that one answer ends an outage: all other tokens, including those of the outage, are answered at once. */
const recover = (world: World) =>
  Effect.gen(function* () {
    world.server = "up"
    yield* advance(world, timeLimit)
    assert.lengthOf(world.pending, 0)
    yield* advance(world, retryAfter)
    yield* ask(world, "probe", true)
    yield* advance(world, 2 * roundTrip)
    assert.lengthOf(world.pending, 0)
    const genuine = [...new Set(world.tokens)].filter((token) => world.behaviorOf(token) === "up").slice(-60)
    const fibers = yield* Effect.forEach(genuine, (token) => Effect.forkChild(verify(token)))
    yield* settle
    yield* TestClock.adjust(roundTrip)
    yield* settle
    for (const fiber of fibers) {
      const exit = fiber.pollUnsafe()
      assert(exit !== undefined && Exit.isSuccess(exit), String(exit))
    }
  })

const totals = { sequences: 0, commands: 0, accepted: 0, requests: 0, doubted: 0, open: 0 }

describe("TokenIntrospection, compared with a model", () => {
  it.effect.prop(
    "never exceeds its bounds, and accepts genuine tokens while the server answers",
    { commands: Arbitrary.array(Arbitrary.schema(Command), { minLength: 8, maxLength: 40 }) },
    ({ commands }) =>
      Effect.gen(function* () {
        const world = new World()
        const layer = verifier({ endpoint: `${issuer}/introspect`, cache: false }).pipe(
          Layer.provide(Layer.succeed(HttpClient.HttpClient, clientOf(world)))
        )
        yield* Effect.gen(function* () {
          for (const [number, command] of commands.entries()) {
            yield* run(world, command, number)
            yield* settle
            yield* checkAll(world)
            const now = yield* Clock.currentTimeMillis
            if (world.isDoubted(now)) totals.doubted++
            if (world.isOpen(now)) totals.open++
          }
          yield* recover(world)
        }).pipe(Effect.provide(layer), Effect.provide(Logger.layer([])))
        totals.sequences++
        totals.commands += commands.length
        totals.requests += world.asked.size
      }),
    {
      timeout: 120_000,
      arbitrary: { runs: Number(process.env["INTROSPECTION_RUNS"] ?? 120), seed: "introspection", size: 40 }
    }
  )

  it("covers pending, doubtful and open states often enough", () => {
    assert.isAbove(totals.commands / totals.sequences, 10)
    assert.isAbove(totals.requests / totals.sequences, 10)
    assert.isAbove(totals.accepted / totals.sequences, 2)
    assert.isAbove(totals.doubted / totals.sequences, 2)
    assert.isAbove(totals.open, 10)
  })
})
