// Tokens for a service that acts for itself: one request at a time, renewed ahead, kept in an outage.
import { assert, describe } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Random, Redacted } from "effect"
import { ClientAuthentication, ClientCredentials, type ClientToken } from "effect-oauth2/client"
import { TestIssuer, type TestIssuerOptions } from "effect-oauth2/testing"
import { TestClock } from "effect/testing"
import * as Jose from "jose"
import { settle, until } from "../support/settle.ts"
import { issuer, test as testWith } from "../support/testIssuers.ts"

const secret = Redacted.make("the secret of worker")
const registration = { issuer, clientId: "worker", authentication: ClientAuthentication.secret(secret) }
const clients = [{ clientId: "worker", clientSecret: Redacted.value(secret) }]
const test = (name: string, body: Parameters<typeof testWith>[1], options: TestIssuerOptions = {}) =>
  testWith(name, body, { clients, ...options })

const make = (options: Partial<ClientCredentials.Options> = {}) =>
  ClientCredentials.make({ ...registration, scopes: ["items:read"], ...options })

const assertionKey = Jose.generateKeyPair("ES256")
const publicJwk = { ...(await Jose.exportJWK((await assertionKey).publicKey)), alg: "ES256" }

/** Parameters of the token requests so far. */
const tokenRequests = Effect.map(
  TestIssuer.use(({ requests }) => requests),
  (requests) => requests.filter(({ endpoint }) => endpoint === "token").map(({ parameters }) => parameters)
)

const count = Effect.map(tokenRequests, (requests) => requests.length)

const idOf = ({ value }: ClientToken): unknown => Jose.decodeJwt(Redacted.value(value)).jti

describe("a source of client credentials", () => {
  test("asks once for the requests that need a token at once, and keeps it", () =>
    Effect.gen(function* () {
      const { respond } = yield* TestIssuer
      const { get } = yield* make()
      yield* respond("token", { delay: "2 seconds" })
      const fiber = yield* Effect.forkChild(
        Effect.all(
          Array.from({ length: 20 }, () => get()),
          { concurrency: 20 }
        )
      )
      yield* TestClock.adjust("2 seconds")
      const tokens = yield* Fiber.join(fiber)
      assert.strictEqual(new Set(tokens.map(idOf)).size, 1)
      assert.strictEqual(yield* count, 1)
      assert.deepStrictEqual(Array.from(tokens[0]?.scopes ?? []), ["items:read"])
      // The lifetime counts from the request, and not from the response.
      assert.strictEqual(tokens[0]?.expiresAt, 600_000)
    }))

  test("has a token for each set of scopes, in any order", () =>
    Effect.gen(function* () {
      const { get } = yield* make()
      const both = yield* get({ scopes: ["items:write", "items:read"] })
      assert.strictEqual(idOf(yield* get({ scopes: ["items:read", "items:write"] })), idOf(both))
      assert.notStrictEqual(idOf(yield* get()), idOf(both))
      assert.deepStrictEqual(
        (yield* tokenRequests).map((parameters) => parameters?.["scope"]),
        ["items:read items:write", "items:read"]
      )
    }))

  test("renews a token in the background, and lets requests wait only shortly before its end", () =>
    Effect.gen(function* () {
      const { respond } = yield* TestIssuer
      const { get } = yield* make()
      const first = yield* get()
      yield* TestClock.adjust("7 minutes")
      assert.strictEqual(idOf(yield* get()), idOf(first))
      yield* settle
      assert.strictEqual(yield* count, 1)
      yield* TestClock.adjust("61 seconds")
      yield* respond("token", { delay: "1 second" })
      assert.strictEqual(idOf(yield* get()), idOf(first))
      assert.strictEqual(idOf(yield* get()), idOf(first))
      yield* until(count, (count) => count === 2)
      yield* TestClock.adjust("1 second")
      yield* until(get(), (token) => idOf(token) !== idOf(first))
      const second = yield* get()
      assert.notStrictEqual(idOf(second), idOf(first))
      yield* TestClock.adjust("574 seconds")
      const waiting = yield* Effect.forkChild(get())
      yield* until(count, (count) => count === 3)
      assert.isUndefined(waiting.pollUnsafe())
      yield* TestClock.adjust("1 second")
      assert.notStrictEqual(idOf(yield* Fiber.join(waiting)), idOf(second))
    }))

  test(
    "does not ask for each request if tokens are short-lived",
    () =>
      Effect.gen(function* () {
        const { get } = yield* make()
        yield* get()
        yield* TestClock.adjust("14 seconds")
        yield* get()
        yield* settle
        assert.strictEqual(yield* count, 1)
        yield* TestClock.adjust("2 seconds")
        yield* get()
        yield* until(count, (count) => count === 2)
      }),
    { accessTokenLifetime: "30 seconds" }
  )

  test("keeps a token in an outage until it expires, and asks less and less often", () =>
    Effect.gen(function* () {
      const { respond } = yield* TestIssuer
      const { get } = yield* make()
      const first = yield* get()
      yield* respond("token", { status: 503, body: "<html>" })
      for (let minute = 0; minute < 9; minute++) {
        yield* TestClock.adjust("1 minute")
        assert.strictEqual(idOf(yield* get()), idOf(first))
        yield* settle
      }
      yield* TestClock.adjust("59 seconds")
      assert.strictEqual(idOf(yield* get()), idOf(first))
      yield* TestClock.adjust("1 second")
      const error = yield* Effect.flip(get())
      assert.strictEqual(error._tag, "TokenUnavailable")
      const asked = yield* count
      for (let second = 0; second < 30; second++) {
        yield* TestClock.adjust("1 second")
        yield* Effect.flip(get())
      }
      assert.isAtMost((yield* count) - asked, 5)
      yield* respond("token", "normal")
      yield* TestClock.adjust("31 seconds")
      assert.notStrictEqual(idOf(yield* get()), idOf(first))
    }))

  test("waits for Retry-After", () =>
    Effect.gen(function* () {
      const { respond } = yield* TestIssuer
      const { get } = yield* make()
      yield* respond("token", { status: 429, headers: { "retry-after": "20" }, body: "{}" })
      const error = yield* Effect.flip(get())
      assert.strictEqual(error.message, "No token is available from https://issuer.test: ServerError (retry after 20s)")
      yield* respond("token", "normal")
      yield* TestClock.adjust("19 seconds")
      yield* Effect.flip(get())
      yield* TestClock.adjust("1 second")
      yield* get()
      assert.strictEqual(yield* count, 2)
    }))

  test("fails with the code of a refusal, and asks again 30 seconds later", () =>
    Effect.gen(function* () {
      const { get } = yield* make({ authentication: ClientAuthentication.secret(Redacted.make("wrong")) })
      const error = yield* Effect.flip(get())
      assert.deepInclude(error, { _tag: "TokenRefused", error: "invalid_client", issuer })
      yield* TestClock.adjust("29 seconds")
      yield* Effect.flip(get())
      assert.strictEqual(yield* count, 1)
      yield* TestClock.adjust("1 second")
      yield* Effect.flip(get())
      assert.strictEqual(yield* count, 2)
    }))

  test("shows no text of the server and no secret in its errors", () =>
    Effect.gen(function* () {
      const { respond } = yield* TestIssuer
      const { get } = yield* make()
      const error = 'bad "the secret of worker"'
      const body = JSON.stringify({ error, error_description: Redacted.value(secret) })
      yield* respond("token", { status: 400, body })
      const exit = yield* Effect.exit(get())
      assert.isTrue(Exit.isFailure(exit))
      const text = Exit.isFailure(exit) ? Cause.pretty(exit.cause) + JSON.stringify(exit) : ""
      assert.include(text, "unknown_error")
      assert.notInclude(text, "the secret of worker")
    }))

  const refusals: ReadonlyArray<readonly [answer: object, expected: object]> = [
    [{ error: "invalid_client" }, { _tag: "TokenRefused", error: "invalid_client" }],
    [{ error: "unauthorized_client" }, { _tag: "TokenRefused", error: "unauthorized_client" }],
    [{ error: "unsupported_grant_type" }, { _tag: "TokenRefused", error: "unsupported_grant_type" }],
    [{ error: "invalid_scope" }, { _tag: "TokenRefused", error: "invalid_scope" }],
    [{ error: "invalid_target" }, { _tag: "TokenRefused", error: "invalid_target" }],
    [{ error: "invalid_grant" }, { _tag: "ReauthenticationRequired", error: "invalid_grant" }],
    [{ error: "interaction_required" }, { _tag: "ReauthenticationRequired", error: "interaction_required" }],
    [{ error: "temporarily_unavailable" }, { _tag: "TokenUnavailable", reason: "ServerError" }],
    [{ error: "server_error" }, { _tag: "TokenUnavailable", reason: "ServerError" }],
    [{ message: "no code" }, { _tag: "TokenUnavailable", reason: "BadResponse" }]
  ]
  for (const [answer, expected] of refusals) {
    test(`tells a refusal from an outage: ${JSON.stringify(answer)}`, () =>
      Effect.gen(function* () {
        const { respond } = yield* TestIssuer
        const { get } = yield* make()
        yield* respond("token", { status: 400, body: JSON.stringify(answer) })
        assert.deepInclude(yield* Effect.flip(get()), expected)
      }))
  }

  const statuses: ReadonlyArray<readonly [status: number, challenge: string | undefined, expected: object]> = [
    [401, 'Basic realm="issuer"', { _tag: "TokenRefused", error: "invalid_client" }],
    [502, undefined, { _tag: "TokenUnavailable", reason: "ServerError" }],
    [429, undefined, { _tag: "TokenUnavailable", reason: "ServerError" }],
    [404, undefined, { _tag: "TokenUnavailable", reason: "BadResponse" }]
  ]
  for (const [status, challenge, expected] of statuses) {
    test(`reads the status if a page comes instead of a message: ${status}`, () =>
      Effect.gen(function* () {
        const { respond } = yield* TestIssuer
        const { get } = yield* make()
        const headers = challenge === undefined ? {} : { "www-authenticate": challenge }
        yield* respond("token", { status, body: "<html>", headers })
        assert.deepInclude(yield* Effect.flip(get()), expected)
      }))
  }

  test("gives the token to the others when one request is interrupted", () =>
    Effect.gen(function* () {
      const { respond } = yield* TestIssuer
      const { get } = yield* make()
      yield* respond("token", { delay: "2 seconds" })
      const first = yield* Effect.forkChild(get())
      yield* settle
      const second = yield* Effect.forkChild(get())
      yield* settle
      yield* until(count, (count) => count === 1)
      yield* Fiber.interrupt(first)
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.join(second)
      assert.strictEqual(yield* count, 1)
    }))

  test("gives the token to the next request although all that waited were interrupted", () =>
    Effect.gen(function* () {
      const { respond } = yield* TestIssuer
      const { get } = yield* make()
      yield* respond("token", { delay: "2 seconds" })
      const fibers = yield* Effect.forEach(Array.from({ length: 5 }), () => Effect.forkChild(get()))
      yield* until(count, (count) => count === 1)
      yield* Fiber.interruptAll(fibers)
      yield* TestClock.adjust("2 seconds")
      yield* settle
      yield* get()
      assert.strictEqual(yield* count, 1)
    }))

  test("shares a failure with all that wait, and with those that come within the pause", () =>
    Effect.gen(function* () {
      const { respond } = yield* TestIssuer
      const { get } = yield* make()
      yield* respond("token", { status: 500, delay: "1 second" })
      const waiting = Array.from({ length: 20 }, () => Effect.flip(get()))
      const fiber = yield* Effect.forkChild(Effect.all(waiting, { concurrency: 20 }))
      yield* until(count, (count) => count === 1)
      yield* TestClock.adjust("1 second")
      for (const error of yield* Fiber.join(fiber)) assert.strictEqual(error._tag, "TokenUnavailable")
      yield* TestClock.adjust("999 millis")
      yield* Effect.flip(get())
      assert.strictEqual(yield* count, 1)
    }))

  for (const [random, pauses] of [
    [0, [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]],
    [1, [1000, 1500, 3000, 6000, 12_000, 22_500, 22_500]]
  ] as const) {
    test(`waits longer after each failure, less a part by chance: ${random}`, () =>
      Effect.gen(function* () {
        const { respond } = yield* TestIssuer
        const { get } = yield* make()
        yield* respond("token", { status: 503 })
        yield* Effect.flip(get())
        for (const [index, pause] of pauses.entries()) {
          yield* TestClock.adjust(pause - 1)
          yield* Effect.flip(get())
          assert.strictEqual(yield* count, index + 1)
          yield* TestClock.adjust(1)
          yield* Effect.flip(get())
          assert.strictEqual(yield* count, index + 2)
        }
      }).pipe(Effect.provideService(Random.Random, { nextIntUnsafe: () => random, nextDoubleUnsafe: () => random })))
  }

  const minute = 60_000
  const answers = [
    ["counts the lifetime of expires_in", { expires_in: 60 }, minute],
    ["accepts expires_in as a text", { expires_in: "60" }, minute],
    ["uses its default lifetime without expires_in", {}, 5 * minute]
  ] as const
  for (const [name, answer, lifetime] of answers) {
    test(`${name} from when the request was sent, and does not read the token`, () =>
      Effect.gen(function* () {
        const { mint, respond } = yield* TestIssuer
        const access_token = yield* mint({ lifetime: "1 hour" })
        const { get } = yield* make()
        yield* respond("token", {
          delay: "5 seconds",
          body: JSON.stringify({ access_token, token_type: "bearer", ...answer })
        })
        yield* TestClock.adjust("1 hour")
        const fiber = yield* Effect.forkChild(get())
        yield* until(count, (count) => count === 1)
        yield* TestClock.adjust("5 seconds")
        assert.strictEqual((yield* Fiber.join(fiber)).expiresAt, 60 * minute + lifetime)
      }))
  }

  test("accepts an opaque token, and no response that is too long, no JSON, or of another type", () =>
    Effect.gen(function* () {
      const { respond } = yield* TestIssuer
      const body = { access_token: "opaque", token_type: "Bearer", expires_in: 60 }
      const bodies = [
        JSON.stringify({ ...body, more: "x".repeat(600_000) }),
        "<html>",
        JSON.stringify({ ...body, token_type: "mac" }),
        JSON.stringify({ ...body, access_token: "" })
      ]
      for (const body of bodies) {
        const { get } = yield* make()
        yield* respond("token", { body })
        assert.deepInclude(yield* Effect.flip(get()), { _tag: "TokenUnavailable", reason: "BadResponse" })
      }
      yield* respond("token", { body: JSON.stringify(body) })
      const { get } = yield* make()
      assert.strictEqual(Redacted.value((yield* get()).value), "opaque")
    }))

  test("keeps the parameters of its start", () =>
    Effect.gen(function* () {
      const parameters: Record<string, string> = { audience: "mine" }
      const { forget, get } = yield* make({ parameters })
      parameters["audience"] = "other"
      yield* forget(yield* get())
      yield* get()
      assert.deepStrictEqual(
        (yield* tokenRequests).map((parameters) => parameters?.["audience"]),
        ["mine", "mine"]
      )
    }))

  test("stops waiting at the time limit", () =>
    Effect.gen(function* () {
      const { respond } = yield* TestIssuer
      const { get } = yield* make({ timeout: "3 seconds" })
      yield* respond("token", "never")
      const fiber = yield* Effect.forkChild(Effect.flip(get()))
      yield* until(count, (count) => count === 1)
      yield* TestClock.adjust("3 seconds")
      const error = yield* Fiber.join(fiber)
      assert.deepInclude(error, { _tag: "TokenUnavailable", reason: "Timeout" })
    }))

  test("forgets exactly the token that it is told", () =>
    Effect.gen(function* () {
      const { forget, get } = yield* make()
      const first = yield* get()
      yield* forget(first)
      const second = yield* get()
      assert.notStrictEqual(idOf(second), idOf(first))
      yield* forget(first)
      assert.strictEqual(idOf(yield* get()), idOf(second))
    }))

  test("sends the resource and other parameters", () =>
    Effect.gen(function* () {
      const { get } = yield* make({ resource: "https://api.test/", parameters: { audience: "api" } })
      yield* get()
      assert.deepInclude((yield* tokenRequests)[0], { resource: "https://api.test/", audience: "api" })
    }))

  test(
    "binds its tokens to its key, and uses the server's nonce",
    () =>
      Effect.gen(function* () {
        const algorithm = { name: "ECDSA", namedCurve: "P-256" }
        const dpop = yield* Effect.promise(() => crypto.subtle.generateKey(algorithm, false, ["sign", "verify"]))
        const { get } = yield* make({ dpop })
        yield* TestClock.adjust("365 days")
        const { type, value } = yield* get()
        assert.strictEqual(type, "DPoP")
        assert.property(Jose.decodeJwt(Redacted.value(value)), "cnf")
        assert.strictEqual(yield* count, 2)
      }),
    { dpopNonces: true }
  )
})

describe("the credential of a client", () => {
  test(
    "is a signed assertion, or one that something else signs",
    () =>
      Effect.gen(function* () {
        const { privateKey } = yield* Effect.promise(() => assertionKey)
        yield* TestClock.adjust("365 days")
        const signed = yield* make({ clientId: "jwt", authentication: ClientAuthentication.privateKeyJwt(privateKey) })
        yield* signed.get()
        const made = Effect.promise(() =>
          new Jose.SignJWT({ jti: "1" })
            .setProtectedHeader({ alg: "ES256" })
            .setIssuer("jwt")
            .setSubject("jwt")
            .setAudience(issuer)
            .setExpirationTime(365 * 86_400 + 60)
            .sign(privateKey)
        )
        const workload = yield* make({
          clientId: "jwt",
          authentication: ClientAuthentication.assertion(Effect.map(made, Redacted.make))
        })
        yield* workload.get()
        const failing = yield* make({ authentication: ClientAuthentication.assertion(Effect.fail("no file")) })
        assert.strictEqual((yield* Effect.flip(failing.get()))._tag, "TokenUnavailable")
        assert.strictEqual(yield* count, 2)
      }),
    { clients: [...clients, { clientId: "jwt", jwk: publicJwk }] }
  )
})

describe("an option that is not valid", () => {
  const cases: ReadonlyArray<readonly [string, Partial<ClientCredentials.Options>]> = [
    ["issuer", { issuer: "http://idp.example.com" }],
    ["tokenUrl", { tokenUrl: "http://idp.example.com/token" }],
    ["clientId", { clientId: "" }],
    ["timeout", { timeout: 0 }],
    ["renewAhead", { renewAhead: Infinity }],
    ["expiryMargin", { expiryMargin: "-1 seconds" }],
    ["defaultLifetime", { defaultLifetime: 0 }],
    ["httpHosts", { httpHosts: ["http://a"] }]
  ]
  for (const [option, options] of cases) {
    test(`stops the start: ${option}`, () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(make(options))
        assert.deepInclude(error, { _tag: "ConfigurationError", setting: option })
      }))
  }
})
