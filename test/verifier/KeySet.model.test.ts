/**
 * Compares random sequences of requests, rotations, outages, slow responses and time with a model. The model computes
 * the correct result of each request from the published keys and the fetches that the issuer received.
 */
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Clock, Effect, Exit, Fiber, Layer, Logger, Option, Schema } from "effect"
import { HttpClient } from "effect/http"
import { KeySet, SecurityError } from "effect-oauth2"
import { type Answer, TestIssuer } from "effect-oauth2/testing"
import { TestClock } from "effect/testing"
import { settle } from "../support/settle.ts"

const second = 1000
/** Documented bounds of `KeySet`. */
const fetchTimeout = 5 * second
const failureCoolDown = 5 * second
const unknownKeyCoolDown = 30 * second
const outageMemory = 60 * second
const staleWait = second
const maxWait = 10 * second
const staleFor = 3600 * second

const kids = ["k0", "k1", "k2", "k3"] as const
const keys = await Effect.runPromise(Effect.forEach(kids, (kid) => TestIssuer.makeKey(kid, "Ed25519")))

const modes = ["up", "down", "error", "malformed", "slow", "hangs"] as const

// A command that is listed twice occurs twice as often.
const Command = Schema.Union([
  Schema.TaggedStruct("Request", { kid: Schema.Literals(kids) }),
  Schema.TaggedStruct("Request", { kid: Schema.Literals(["k0", "k0", "k1"]) }),
  Schema.TaggedStruct("Request", { kid: Schema.Literals(["k0", "k0", "k1"]) }),
  Schema.TaggedStruct("Flood", { count: Schema.Literals([1, 10]) }),
  // A rotation while a stranger asks for invented keys.
  Schema.TaggedStruct("FloodedRotation", { kid: Schema.Literals(kids), everySeconds: Schema.Literals([9, 15, 30]) }),
  Schema.TaggedStruct("Invalidate", {}),
  Schema.TaggedStruct("Publish", { kid: Schema.Literals(kids) }),
  Schema.TaggedStruct("Remove", { kid: Schema.Literals(kids) }),
  Schema.TaggedStruct("Issuer", { mode: Schema.Literals(modes) }),
  Schema.TaggedStruct("MaxAge", { seconds: Schema.Literals([0, 60, 600, 3600, 86_400]) }),
  Schema.TaggedStruct("Interrupt", { index: Schema.Literals([0, 0, 1, 9]) }),
  Schema.TaggedStruct("Advance", { seconds: Schema.Literals([1, 2, 4, 4, 5, 6]) }),
  Schema.TaggedStruct("Advance", { seconds: Schema.Literals([24, 29, 30, 31]) }),
  Schema.TaggedStruct("Advance", { seconds: Schema.Literals([48, 60, 480, 540, 600, 1800, 3600]) })
])
type Command = typeof Command.Type

interface Call {
  readonly start: number
  /** Keys in the response, published when the fetch started. */
  readonly published: ReadonlySet<string>
  readonly freshFor: number
  /** `true` if it is the first call after `KeySet.invalidate`. */
  readonly isRenewal: boolean
  end: number | undefined
  succeeded: boolean
  /** `true` if `KeySet.invalidate` came after its start. Its keys then serve nobody. */
  invalidated: boolean
  /** `true` if `KeySet.invalidate` came before its end. It then counts neither as a success nor as an outage. */
  isDropped: boolean
}

interface Request {
  readonly kid: string
  readonly at: number
  /** Number of calls before the request. A later call looks for its key. */
  readonly callsBefore: number
  /** `true` if the keys available at its start must serve it, whatever a later fetch returns. */
  servedAtOnce: boolean
  readonly fiber: Fiber.Fiber<ReadonlyArray<CryptoKey>, unknown>
}

/** State of the issuer in the model. */
class World {
  readonly calls: Array<Call> = []
  readonly pending: Array<Request> = []
  readonly publishedSince = new Map<string, number>([["k0", -Infinity]])
  mode: (typeof modes)[number] = "up"
  maxAge = 600
  /** Number of calls before the first request for each `kid`. */
  readonly firstAsked = new Map<string, number>()
  isInvalidated = false
  /** Violations that the client observed. An error inside the client would count as an outage. */
  readonly violations: Array<string> = []
  isClosing = false

  get inFlight(): Call | undefined {
    return this.calls.findLast((call) => call.end === undefined && !call.invalidated)
  }
  /** Fetch whose keys are in use. */
  get current(): Call | undefined {
    return this.calls.findLast((call) => call.end !== undefined && call.succeeded && !call.invalidated)
  }
  get lastEnded(): Call | undefined {
    return this.calls.findLast((call) => call.end !== undefined && !call.isDropped)
  }
}

const bounded = (maxAge: number) => Math.min(Math.max(maxAge, 60), 3600) * second

/** Puts the keys into the body, so that a late response has the keys from the start of its fetch. */
const answerOf = ({ maxAge, mode, publishedSince }: World): Answer => {
  const answer = {
    headers: { "cache-control": `public, max-age=${maxAge}` },
    body: JSON.stringify({ keys: keys.filter(({ kid }) => publishedSince.has(kid)).map(({ jwk }) => jwk) })
  }
  switch (mode) {
    case "up":
      return answer
    case "down":
      return "unreachable"
    case "error":
      return { status: 500, body: "sorry" }
    case "malformed":
      return { body: '{"keys":' }
    case "slow":
      return { ...answer, delay: "3 seconds" }
    case "hangs":
      return "never"
  }
}

/** Client of the issuer. It responds according to `world` and records the start and end of each fetch in `world`. */
const observed = Effect.fnUntraced(function* (world: World) {
  const { respond } = yield* TestIssuer
  return HttpClient.transform(yield* HttpClient.HttpClient, (answer) =>
    Effect.gen(function* () {
      const { maxAge, mode } = world
      const start = yield* Clock.currentTimeMillis
      const call: Call = {
        start,
        published: new Set(world.publishedSince.keys()),
        freshFor: bounded(maxAge),
        isRenewal: world.isInvalidated,
        end: undefined,
        succeeded: false,
        invalidated: false,
        isDropped: false
      }
      world.isInvalidated = false
      if (world.inFlight !== undefined) world.violations.push(`two fetches at ${start}`)
      world.calls.push(call)
      yield* respond("jwks", answerOf(world))
      return yield* Effect.onExit(answer, (exit) =>
        Effect.map(Clock.currentTimeMillis, (now) => {
          call.end = now
          call.succeeded = Exit.isSuccess(exit) && (mode === "up" || mode === "slow")
          if (Exit.hasInterrupts(exit) && now - start < fetchTimeout && !world.isClosing && !call.isDropped) {
            world.violations.push(`the fetch of ${start} was interrupted at ${now}`)
          }
        })
      )
    })
  )
})

/** Returns `true` if the available keys serve a request without waiting: they are fresh, or stale in an outage. */
const mayServe = ({ current, inFlight, lastEnded }: World, kid: string, now: number): boolean => {
  if (current === undefined || !current.published.has(kid)) return false
  const age = now - current.start
  const isOutage = lastEnded?.succeeded === false && now - (lastEnded.end ?? 0) < outageMemory
  const isFrozen = inFlight !== undefined && now - inFlight.start >= staleWait
  return age < current.freshFor || ((isOutage || isFrozen) && age < current.freshFor + staleFor)
}

/**
 * Returns `true` if a call that ended just now gives a request its result. The search of another request may have
 * ended since, in the same millisecond.
 */
const isFromEndedCall = ({ calls }: World, { callsBefore, kid }: Request, now: number, actual: string): boolean =>
  calls.some(
    ({ end, published, succeeded }, index) =>
      end === now &&
      succeeded &&
      (published.has(kid) ? actual === "served" : actual === "refused" && callsBefore <= index)
  )

/** Returns the correct result of a request now. */
const expected = (world: World, { callsBefore, kid }: Request, now: number) => {
  const { current, inFlight, lastEnded } = world
  const index = current === undefined ? -1 : world.calls.indexOf(current)
  if (mayServe(world, kid, now)) return "served"
  // A call that began after the request looked for its key.
  if (callsBefore <= index && lastEnded === current) return "refused"
  if (inFlight !== undefined) return "waits"
  // After a failed fetch, the key may exist.
  if (current === undefined || lastEnded?.succeeded !== true) return "unavailable"
  // Another request can have the same `kid`. The library remembers the last 100 of these.
  const first = world.firstAsked.get(kid) ?? Infinity
  return first <= index ? "refused or unavailable" : "unavailable"
}

const outcome = (exit: Exit.Exit<ReadonlyArray<CryptoKey>, unknown>) => {
  if (Exit.isSuccess(exit)) {
    assert.lengthOf(exit.value, 1)
    return "served"
  }
  const error = Option.getOrThrow(Exit.findErrorOption(exit))
  return error instanceof SecurityError.InvalidToken ? "refused" : "unavailable"
}

const checkAnswers = (world: World) =>
  Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    for (const request of world.pending.splice(0)) {
      const exit = request.fiber.pollUnsafe()
      const actual = exit === undefined ? "waits" : outcome(exit)
      const right = isFromEndedCall(world, request, now, actual)
        ? actual
        : request.servedAtOnce
          ? "served"
          : expected(world, request, now)
      assert.include(right.split(" or "), actual, `${request.kid} asked at ${request.at}, now ${now}`)
      if (actual === "waits") {
        assert.isBelow(now - request.at, maxWait)
        world.pending.push(request)
        continue
      }
      const since = world.publishedSince.get(request.kid)
      // A new key is refused at most for the cool-down and a fetch, and only if its own `kid` was looked for.
      if (actual === "refused" && since !== undefined) {
        assert.isAtMost(now - since, unknownKeyCoolDown + fetchTimeout)
        assert.isAtMost(world.firstAsked.get(request.kid) ?? Infinity, world.calls.length - 1)
      }
    }
  })

const checkCalls = ({ calls, violations }: World) => {
  assert.strictEqual(violations.join(), "")
  calls.forEach((call, i) => {
    const [before, twoBefore] = [calls[i - 1], calls[i - 2]]
    if (before === undefined) return
    const end = before.end ?? Infinity
    assert.isAtMost(end - before.start, fetchTimeout)
    assert.isAtLeast(call.start, end)
    if (before.isDropped || [call, before, twoBefore].some((some) => some?.isRenewal === true)) return
    if (!before.succeeded) assert.isAtLeast(call.start - end, failureCoolDown)
    else if (twoBefore?.succeeded === true) assert.isAtLeast(call.start - twoBefore.start, unknownKeyCoolDown)
  })
  const renewals = calls.filter(({ isRenewal }) => isRenewal)
  renewals.slice(1).forEach((call, i) => assert.isAtLeast(call.start - (renewals[i]?.start ?? 0), failureCoolDown))
}

const ask = (world: World, keySet: KeySet.KeySet["Service"], kid: string) =>
  Effect.gen(function* () {
    const at = yield* Clock.currentTimeMillis
    const servedAtOnce = mayServe(world, kid, at)
    const callsBefore = world.calls.length
    if (!world.firstAsked.has(kid)) world.firstAsked.set(kid, callsBefore)
    const fiber = yield* Effect.forkChild(keySet.find({ alg: "Ed25519", kid }))
    world.pending.push({ kid, at, callsBefore, servedAtOnce, fiber })
  })

/** Advances the clock and stops at each time at which a fetch may end. */
const advance = (world: World, millis: number): Effect.Effect<void> =>
  Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    const step = world.inFlight === undefined ? millis : Math.min(millis, second)
    yield* TestClock.setTime(now + step)
    yield* settle
    yield* checkAnswers(world)
    if (step < millis) yield* advance(world, millis - step)
  })

const run = (world: World, keySet: KeySet.KeySet["Service"], command: Command, step: number) =>
  Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    switch (command._tag) {
      case "Request":
        return yield* ask(world, keySet, command.kid)
      case "Flood":
        for (let i = 0; i < command.count; i++) yield* ask(world, keySet, `invented-${step}-${i}`)
        return
      case "FloodedRotation": {
        yield* ask(world, keySet, `stranger-${step}`)
        yield* settle
        yield* checkAnswers(world)
        yield* advance(world, second)
        if (!world.publishedSince.has(command.kid)) world.publishedSince.set(command.kid, now + second)
        for (let i = 0; i * command.everySeconds < 31; i++) {
          yield* ask(world, keySet, `stranger-${step}-${i}`)
          yield* ask(world, keySet, command.kid)
          yield* settle
          yield* checkAnswers(world)
          yield* advance(world, command.everySeconds * second)
        }
        return
      }
      case "Invalidate":
        world.isInvalidated = true
        for (const call of world.calls) {
          call.invalidated = true
          call.isDropped ||= call.end === undefined
        }
        for (const request of world.pending) request.servedAtOnce = false
        return yield* keySet.invalidate
      case "Publish":
        if (!world.publishedSince.has(command.kid)) world.publishedSince.set(command.kid, now)
        return
      case "Remove":
        world.publishedSince.delete(command.kid)
        return
      case "Issuer":
        world.mode = command.mode
        return
      case "MaxAge":
        world.maxAge = command.seconds
        return
      case "Interrupt": {
        const [request] = world.pending.splice(command.index, 1)
        return request === undefined ? undefined : yield* Fiber.interrupt(request.fiber)
      }
      case "Advance":
        return yield* advance(world, command.seconds * second)
    }
  })

/** After each sequence, a reachable issuer is fetched from, and its keys serve. */
const recover = (world: World, keySet: KeySet.KeySet["Service"]) =>
  Effect.gen(function* () {
    world.mode = "up"
    world.publishedSince.clear()
    world.publishedSince.set("k3", yield* Clock.currentTimeMillis)
    yield* advance(world, unknownKeyCoolDown + fetchTimeout)
    assert.lengthOf(world.pending, 0)
    yield* ask(world, keySet, "k3")
    yield* settle
    yield* checkAnswers(world)
    assert.isTrue(world.current?.published.has("k3") === true && world.pending.length === 0)
  })

const totals = { sequences: 0, commands: 0, fetches: 0, failures: 0 }

describe("KeySet, compared with a model", () => {
  it.effect.prop(
    "responds according to the published keys and the allowed fetches",
    { commands: Arbitrary.array(Arbitrary.schema(Command), { minLength: 8, maxLength: 50 }) },
    ({ commands }) =>
      Effect.gen(function* () {
        const world = new World()
        const layer = KeySet.layerRemote({ url: "https://issuer.test/jwks" }).pipe(
          Layer.provide(Layer.effect(HttpClient.HttpClient, observed(world))),
          Layer.provide(TestIssuer.layer({ keys }))
        )
        yield* Effect.gen(function* () {
          const keySet = yield* KeySet.KeySet
          for (const [step, command] of commands.entries()) {
            yield* run(world, keySet, command, step)
            yield* settle
            yield* checkAnswers(world)
          }
          yield* recover(world, keySet)
          checkCalls(world)
          world.isClosing = true
        }).pipe(Effect.provide(layer), Effect.provide(Logger.layer([])))
        totals.sequences++
        totals.commands += commands.length
        totals.fetches += world.calls.length
        totals.failures += world.calls.filter((call) => !call.succeeded).length
      }),
    { timeout: 120_000, arbitrary: { runs: Number(process.env["KEY_SET_RUNS"] ?? 300), seed: "key set", size: 60 } }
  )

  it("covers enough commands, fetches and failures", () => {
    assert.isAbove(totals.commands / totals.sequences, 10)
    assert.isAbove(totals.fetches / totals.sequences, 2)
    assert.isAbove(totals.failures / totals.sequences, 0.5)
  })
})
