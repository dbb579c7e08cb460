// Signing in on another device: the polls, their pauses, and their end.
import { assert, describe } from "@effect/vitest"
import { Clock, Effect, Fiber, Redacted } from "effect"
import { ClientAuthentication, DeviceAuthorization } from "effect-oauth2/client"
import { TestIssuer } from "effect-oauth2/testing"
import { TestClock } from "effect/testing"
import { issuer, test as testWith } from "../support/testIssuers.ts"
import { settle, until } from "../support/settle.ts"

const registration = { issuer, clientId: "tv", authentication: ClientAuthentication.none, scopes: ["items:read"] }
const test = (name: string, body: Parameters<typeof testWith>[1]) =>
  testWith(name, body, { clients: [{ clientId: "tv" }] })

const polls = Effect.map(
  TestIssuer.use(({ requests }) => requests),
  (requests) => requests.filter(({ endpoint }) => endpoint === "token").length
)

/** Waits for the user, and returns the seconds at which the polls came until a time. */
const pollTimes = (seconds: number) =>
  Effect.gen(function* () {
    const times: Array<number> = []
    for (let second = 1; second <= seconds; second++) {
      const before = yield* polls
      yield* TestClock.adjust("1 second")
      for (let turn = 0; turn < 5; turn++) yield* settle
      if ((yield* polls) > before) times.push((yield* Clock.currentTimeMillis) / 1000)
    }
    return times
  })

describe("a sign-in on another device", () => {
  test("shows a code and a page, polls every 5 seconds, and returns the grant", () =>
    Effect.gen(function* () {
      const { approveDevice } = yield* TestIssuer
      const device = yield* DeviceAuthorization.start(registration)
      assert.deepInclude(device, {
        userCode: "USER-0001",
        verificationUri: `${issuer}/device`,
        verificationUriComplete: `${issuer}/device?user_code=USER-0001`,
        expiresAt: 600_000
      })
      const fiber = yield* Effect.forkChild(device.wait)
      assert.deepStrictEqual(yield* pollTimes(12), [5, 10])
      yield* approveDevice("USER-0001", { subject: "alice" })
      yield* TestClock.adjust("3 seconds")
      const grant = yield* Fiber.join(fiber)
      assert.deepInclude(grant, { issuer, clientId: "tv", type: "Bearer", scopes: ["items:read"], sentAt: 15_000 })
      assert.strictEqual(grant.expiresAt, 615_000)
      assert.match(Redacted.value(grant.refreshToken ?? Redacted.make("")), /^refresh-/)
    }))

  test("polls 5 seconds less often, for good, after slow_down", () =>
    Effect.gen(function* () {
      const { respond } = yield* TestIssuer
      const { wait } = yield* DeviceAuthorization.start(registration)
      yield* Effect.forkChild(wait)
      yield* respond("token", { status: 400, body: '{"error":"slow_down"}' })
      assert.deepStrictEqual(yield* pollTimes(5), [5])
      yield* respond("token", { status: 400, body: '{"error":"authorization_pending"}' })
      assert.deepStrictEqual(yield* pollTimes(31), [15, 25, 35])
    }))

  test("backs off while no response comes, and returns to its interval", () =>
    Effect.gen(function* () {
      const { approveDevice, respond } = yield* TestIssuer
      const { wait } = yield* DeviceAuthorization.start(registration)
      const fiber = yield* Effect.forkChild(wait)
      yield* respond("token", "never")
      // Each poll waits 10 seconds for its response, and then twice as long as before.
      assert.deepStrictEqual(yield* pollTimes(60), [5, 25, 55])
      yield* respond("token", "normal")
      assert.deepStrictEqual(yield* pollTimes(55), [105, 110, 115])
      yield* approveDevice("USER-0001")
      yield* TestClock.adjust("5 seconds")
      yield* Fiber.join(fiber)
    }))

  test("ends when the user refuses", () =>
    Effect.gen(function* () {
      const { denyDevice } = yield* TestIssuer
      const { wait } = yield* DeviceAuthorization.start(registration)
      const fiber = yield* Effect.forkChild(Effect.flip(wait))
      yield* denyDevice("USER-0001")
      yield* TestClock.adjust("5 seconds")
      const error = yield* Fiber.join(fiber)
      assert.strictEqual(error.message, `The sign-in at ${issuer} failed: Denied`)
    }))

  test("ends when the code has expired, by the server's clock or its own", () =>
    Effect.gen(function* () {
      const { respond } = yield* TestIssuer
      const { wait } = yield* DeviceAuthorization.start(registration)
      const fiber = yield* Effect.forkChild(Effect.flip(wait))
      yield* respond("token", { status: 400, body: '{"error":"expired_token"}' })
      yield* TestClock.adjust("5 seconds")
      assert.deepInclude(yield* Fiber.join(fiber), { _tag: "SignInFailed", reason: "Expired" })
      const second = yield* DeviceAuthorization.start(registration)
      yield* respond("token", { status: 400, body: '{"error":"authorization_pending"}' })
      const own = yield* Effect.forkChild(Effect.flip(second.wait))
      for (let minute = 0; minute < 120 && own.pollUnsafe() === undefined; minute++) {
        yield* TestClock.adjust("5 seconds")
        for (let turn = 0; turn < 5; turn++) yield* settle
      }
      assert.deepInclude(yield* Fiber.join(own), { _tag: "SignInFailed", reason: "Expired" })
      assert.strictEqual(yield* Clock.currentTimeMillis, second.expiresAt)
    }))

  test("stops for another error", () =>
    Effect.gen(function* () {
      const { respond } = yield* TestIssuer
      const { wait } = yield* DeviceAuthorization.start(registration)
      const fiber = yield* Effect.forkChild(Effect.flip(wait))
      yield* respond("token", { status: 400, body: '{"error":"unauthorized_client"}' })
      yield* until(
        Effect.andThen(
          TestClock.adjust("5 seconds"),
          Effect.sync(() => fiber.pollUnsafe())
        ),
        (exit) => exit !== undefined
      )
      assert.deepInclude(yield* Fiber.join(fiber), { _tag: "TokenRefused", error: "unauthorized_client" })
    }))

  const broken: ReadonlyArray<readonly [string, Readonly<Record<string, unknown>>]> = [
    ["a page that is a script", { verification_uri: "javascript:alert(1)" }],
    ["a page with control characters", { verification_uri: "https://issuer.test/\u001b[2J" }],
    ["a code with control characters", { user_code: "A\u001b]0;x" }]
  ]
  for (const [name, change] of broken) {
    test(`refuses ${name}`, () =>
      Effect.gen(function* () {
        const { respond } = yield* TestIssuer
        const body = { device_code: "d", user_code: "A", verification_uri: `${issuer}/device`, expires_in: 60 }
        yield* respond("device-authorization", { body: JSON.stringify({ ...body, ...change }) })
        const error = yield* Effect.flip(DeviceAuthorization.start(registration))
        assert.deepInclude(error, { _tag: "TokenUnavailable", reason: "BadResponse" })
      }))
  }
})
