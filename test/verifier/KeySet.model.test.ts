/**
 * Compares random sequences of requests, rotations, outages, slow responses and time with a model. The model computes
 * the correct result of each request from the published keys and the fetches that the issuer received.
 */
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Clock, Effect, Exit, Fiber, Layer, Logger, Option, Schema } from "effect"
import { HttpClient } from "effect/http"
import { KeySet, SecurityError } from "effect-oauth2"
import { type IssuerResponse, TestIssuer } from "effect-oauth2/testing"
import { TestClock } from "effect/testing"
import { KeyObject } from "node:crypto"
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
/** Two keys for each `kid`, because an issuer may use a `kid` again. */
const versions = [0, 1] as const
const keys = await Effect.runPromise(
  Effect.forEach(versions, () => Effect.forEach(kids, (kid) => TestIssuer.makeKey(kid, "Ed25519")))
)
const keyOf = (kid: string, version: number) => keys[version]?.find((key) => key.kid === kid)?.jwk

const modes = ["up", "down", "error", "malformed", "slow", "hangs"] as const

// A command that is listed twice occurs twice as often.
const Command = Schema.Union([
  Schema.TaggedStruct("Request", { kid: Schema.Literals(kids) }),
  Schema.TaggedStruct("Request", { kid: Schema.Literals(["k0", "k0", "k1"]) }),
  Schema.TaggedStruct("Request", { kid: Schema.Literals(["k0", "k0", "k1"]) }),
  Schema.TaggedStruct("RequestWithoutKid", { kid: Schema.Literals(["k0", "k0", "k1"]) }),
  Schema.TaggedStruct("Forged", { kid: Schema.Literals(["k0", "k1"]), hasKid: Schema.Boolean }),
  // The issuer publishes another key with the same `kid`.
  Schema.TaggedStruct("Replace", { kid: Schema.Literals(["k0", "k0", "k1"]) }),
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
  /** Keys in the response, published when the fetch started, with their versions. */
  readonly published: ReadonlyMap<string, number>
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
  /** The `kid` of the key that signed the token. */
  readonly kid: string
  /** Version of the key that signed the token. No key has the version -1. */
  readonly version: number
  /** `false` if the token does not name its `kid`. */
  readonly hasKid: boolean
  readonly at: number
  /** Number of calls before the request. A later call looks for its key. */
  readonly callsBefore: number
  /** `true` if the keys available at its start must serve it, whatever a later fetch returns. */
  servedAtOnce: boolean
  readonly fiber: Fiber.Fiber<Result, unknown>
}

/** `"mismatch"` if no key of the set made the signature. */
type Result = "served" | "mismatch"

const totals = { sequences: 0, commands: 0, fetches: 0, failures: 0, mismatches: 0 }

/** State of the issuer in the model. */
class World {
  readonly calls: Array<Call> = []
  readonly pending: Array<Request> = []
  readonly publishedSince = new Map<string, number>([["k0", -Infinity]])
  readonly versions = new Map<string, number>(kids.map((kid) => [kid, 0]))
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
const answerOf = ({ maxAge, mode, publishedSince, versions }: World): IssuerResponse => {
  const answer = {
    headers: { "cache-control": `public, max-age=${maxAge}` },
    body: JSON.stringify({ keys: [...publishedSince.keys()].map((kid) => keyOf(kid, versions.get(kid) ?? 0)) })
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
        published: new Map([...world.publishedSince.keys()].map((kid) => [kid, world.versions.get(kid) ?? 0])),
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
          // An empty set is a failure while the keys before it may serve.
          const { current } = world
          const keepsKeys =
            current !== undefined && current.published.size > 0 && start - current.start < current.freshFor + staleFor
          call.succeeded =
            Exit.isSuccess(exit) && (mode === "up" || mode === "slow") && !(call.published.size === 0 && keepsKeys)
          if (Exit.hasInterrupts(exit) && now - start < fetchTimeout && !world.isClosing && !call.isDropped) {
            world.violations.push(`the fetch of ${start} was interrupted at ${now}`)
          }
        })
      )
    })
  )
})

type Signed = Pick<Request, "kid" | "version">

const isSignedBy = ({ published }: Call, { kid, version }: Signed): boolean => published.get(kid) === version

/** Returns `true` if a fetched set has a key for the header of the token, but not the key that signed it. */
const mayMismatch = ({ calls }: World, request: Request): boolean =>
  !request.hasKid || calls.some((call) => call.published.has(request.kid) && !isSignedBy(call, request))

/** Returns `true` if the available keys serve a request without waiting: they are fresh, or stale in an outage. */
const mayServe = ({ current, inFlight, lastEnded }: World, signed: Signed, now: number): boolean => {
  if (current === undefined || !isSignedBy(current, signed)) return false
  const age = now - current.start
  const isOutage = lastEnded?.succeeded === false && now - (lastEnded.end ?? 0) < outageMemory
  const isFrozen = inFlight !== undefined && now - inFlight.start >= staleWait
  return age < current.freshFor || ((isOutage || isFrozen) && age < current.freshFor + staleFor)
}

/**
 * Returns `true` if a call that ended just now gives a request its result. The search of another request may have
 * ended since, in the same millisecond.
 */
const isFromEndedCall = ({ calls }: World, request: Request, now: number, actual: string): boolean =>
  calls.some(
    (call, index) =>
      call.end === now &&
      call.succeeded &&
      (isSignedBy(call, request) ? actual === "served" : actual === "refused" && request.callsBefore <= index)
  )

/** Returns the correct result of a request now. */
const expected = (world: World, request: Request, now: number) => {
  const { callsBefore, kid } = request
  const { current, inFlight, lastEnded } = world
  const index = current === undefined ? -1 : world.calls.indexOf(current)
  if (mayServe(world, request, now)) return "served"
  // A call that began after the request looked for its key.
  if (callsBefore <= index && lastEnded === current) return "refused"
  if (inFlight !== undefined) return "waits"
  // After a failed fetch, the key may exist.
  if (current === undefined || lastEnded?.succeeded !== true) return "unavailable"
  // Another request can have the same `kid`. The library remembers the last 100 of these.
  const first = world.firstAsked.get(kid) ?? Infinity
  return first <= index ? "refused or unavailable" : "unavailable"
}

const outcome = (exit: Exit.Exit<Result, unknown>) => {
  if (Exit.isSuccess(exit)) return exit.value === "served" ? "served" : "refused"
  const error = Option.getOrThrow(Exit.findErrorOption(exit))
  return error instanceof SecurityError.InvalidToken ? "refused" : "unavailable"
}

/**
 * Checks a request whose signature may not match the keys of its header. The library then asks a second time, so the
 * model does not compute the exact result.
 */
const checkMismatch = (world: World, request: Request, now: number, actual: string): void => {
  const name = `${request.kid} version ${request.version} asked at ${request.at}, now ${now}`
  if (request.servedAtOnce) assert.strictEqual(actual, "served", name)
  if (actual === "served")
    assert.isTrue(
      world.calls.some((call) => call.succeeded && isSignedBy(call, request)),
      name
    )
  // Both of its lookups may wait.
  if (actual === "waits") assert.isBelow(now - request.at, 2 * maxWait, name)
  const since = world.publishedSince.get(request.kid)
  if (actual !== "refused" || since === undefined || world.versions.get(request.kid) !== request.version) return
  // A new key is refused at most for the cool-down and a fetch, unless the issuer is unavailable.
  const isOutage = world.calls.some(
    ({ end = Infinity, isDropped, succeeded }) => !succeeded && !isDropped && end >= since
  )
  if (!isOutage) assert.isAtMost(request.at - since, unknownKeyCoolDown + fetchTimeout, name)
  totals.mismatches++
}

const checkAnswers = (world: World) =>
  Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    for (const request of world.pending.splice(0)) {
      const exit = request.fiber.pollUnsafe()
      const actual = exit === undefined ? "waits" : outcome(exit)
      if (mayMismatch(world, request)) {
        checkMismatch(world, request, now, actual)
        if (actual === "waits") world.pending.push(request)
        continue
      }
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

interface Asked {
  readonly version?: number
  readonly hasKid?: boolean
}

const ask = (world: World, keySet: KeySet.KeySet["Service"], kid: string, asked: Asked = {}) =>
  Effect.gen(function* () {
    const { hasKid = true, version = world.versions.get(kid) ?? 0 } = asked
    const at = yield* Clock.currentTimeMillis
    const servedAtOnce = mayServe(world, { kid, version }, at)
    const callsBefore = world.calls.length
    if (hasKid && !world.firstAsked.has(kid)) world.firstAsked.set(kid, callsBefore)
    const fiber = yield* Effect.forkChild(findTwice(keySet, { kid, version, hasKid }))
    world.pending.push({ kid, version, hasKid, at, callsBefore, servedAtOnce, fiber })
  })

/** Asks for keys as the verifier of JWTs does: a second time if no key made the signature. */
const findTwice = (keySet: KeySet.KeySet["Service"], { hasKid, kid, version }: Signed & { readonly hasKid: boolean }) =>
  Effect.gen(function* () {
    const header = { alg: "Ed25519", ...(hasKid ? { kid } : undefined) }
    const signed = keyOf(kid, version)?.x
    const isServed = (found: ReadonlyArray<CryptoKey>) =>
      found.some((key) => KeyObject.from(key).export({ format: "jwk" }).x === signed)
    const found = yield* keySet.find(header)
    if (hasKid) assert.lengthOf(found, 1)
    if (isServed(found)) return "served"
    const again = Effect.orElseSucceed(keySet.find(header, found), () => [])
    return isServed(yield* again) ? "served" : "mismatch"
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
      case "RequestWithoutKid":
        return yield* ask(world, keySet, command.kid, { hasKid: false })
      case "Forged":
        return yield* ask(world, keySet, command.kid, { version: -1, hasKid: command.hasKid })
      case "Replace":
        world.versions.set(command.kid, 1 - (world.versions.get(command.kid) ?? 0))
        world.publishedSince.set(command.kid, now)
        return
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

describe("KeySet, compared with a model", () => {
  it.effect.prop(
    "responds according to the published keys and the allowed fetches",
    { commands: Arbitrary.array(Arbitrary.schema(Command), { minLength: 8, maxLength: 50 }) },
    ({ commands }) =>
      Effect.gen(function* () {
        const world = new World()
        const layer = KeySet.layerRemote({ url: "https://issuer.test/jwks" }).pipe(
          Layer.provide(Layer.effect(HttpClient.HttpClient, observed(world))),
          Layer.provide(TestIssuer.layer({ keys: keys[0] ?? [] }))
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
    assert.isAbove(totals.mismatches, 10)
  })
})
