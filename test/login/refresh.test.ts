// The access token of a session: renewed once, by one request, and never at the price of the session.
import { assert, describe } from "@effect/vitest"
import { Duration, Effect, Fiber, Redacted } from "effect"
import { Sessions, StoreUnavailable } from "effect-oauth2/login"
import { TestIssuer } from "effect-oauth2/testing"
import { TestClock } from "effect/testing"
import { makeApp, requestsAt, test } from "../support/loginApp.ts"
import { until } from "../support/settle.ts"

const refreshes = Effect.map(requestsAt("token"), (requests) =>
  requests.flatMap(({ parameters }) => parameters?.["refresh_token"] ?? [])
)

/** Runs pending work until the number of refreshes is reached. A request passes through promises of Web Crypto. */
const untilRefreshes = (count: number) => until(refreshes, (all) => all.length === count)

describe("the access token of a session", () => {
  test("stays until 30 seconds before its end, and is then renewed before the request goes on", (browser) =>
    Effect.gen(function* () {
      yield* browser.signIn()
      const first = yield* browser.token
      assert.match(first, /^eyJ/)
      yield* TestClock.adjust("9 minutes")
      assert.strictEqual(yield* browser.token, first)
      assert.deepStrictEqual(yield* refreshes, [])
      yield* TestClock.adjust("31 seconds")
      const second = yield* browser.token
      assert.notStrictEqual(second, first)
      assert.strictEqual(yield* browser.token, second)
      assert.deepStrictEqual(yield* refreshes, ["refresh-1"])
      yield* TestClock.adjust("10 minutes")
      assert.match(yield* browser.token, /^eyJ/)
      assert.deepStrictEqual(yield* refreshes, ["refresh-1", "refresh-2"])
      // The cookie stays the same: responses of several tabs do not overwrite each other.
      assert.deepStrictEqual(browser.cookieNames, ["__Host-session"])
    }))

  test("is renewed once for all requests that need it at once, also of another process", (browser) =>
    Effect.gen(function* () {
      const { respond } = yield* TestIssuer
      const other = (yield* makeApp())()
      yield* browser.signIn()
      for (const [name, stored] of browser.jar) other.jar.set(name, stored)
      yield* TestClock.adjust("10 minutes")
      yield* respond("token", { delay: "2 seconds" })
      const fiber = yield* Effect.forkChild(
        Effect.all(
          Array.from({ length: 20 }, (_, i) => (i % 2 === 0 ? browser : other).token),
          { concurrency: 20 }
        )
      )
      yield* untilRefreshes(1)
      yield* TestClock.adjust("2 seconds")
      const tokens = yield* Fiber.join(fiber)
      assert.strictEqual(new Set(tokens).size, 1)
      assert.match(tokens[0] ?? "", /^eyJ/)
      assert.deepStrictEqual(yield* refreshes, ["refresh-1"])
    }))

  test("is stored although the request that renews it ends early", (browser) =>
    Effect.gen(function* () {
      const { respond } = yield* TestIssuer
      yield* browser.signIn()
      yield* TestClock.adjust("10 minutes")
      yield* respond("token", { delay: "2 seconds" })
      const fiber = yield* Effect.forkChild(browser.token)
      yield* untilRefreshes(1)
      yield* Fiber.interrupt(fiber)
      const next = yield* Effect.forkChild(browser.token)
      yield* TestClock.adjust("2 seconds")
      assert.match(yield* Fiber.join(next), /^eyJ/)
      assert.deepStrictEqual(yield* refreshes, ["refresh-1"])
    }))

  test("stays in use in an outage until it expires, and the session stays, too", (browser) =>
    Effect.gen(function* () {
      const { respond } = yield* TestIssuer
      yield* browser.signIn()
      const first = yield* browser.token
      yield* TestClock.adjust("580 seconds")
      yield* respond("token", "unreachable")
      assert.strictEqual(yield* browser.token, first)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* browser.token, "TokenUnavailable")
      assert.strictEqual((yield* browser.session)["signedIn"], true)
      yield* respond("token", "normal")
      yield* TestClock.adjust("10 seconds")
      assert.match(yield* browser.token, /^eyJ/)
    }))

  test("is not asked for by each of the requests in an outage", (browser) =>
    Effect.gen(function* () {
      const { respond } = yield* TestIssuer
      yield* browser.signIn()
      yield* TestClock.adjust("11 minutes")
      yield* respond("token", { status: 503, headers: { "retry-after": "20" }, body: "" })
      const tokens = yield* Effect.all(
        Array.from({ length: 10 }, () => browser.token),
        { concurrency: 10 }
      )
      assert.deepStrictEqual(new Set(tokens), new Set(["TokenUnavailable"]))
      assert.strictEqual((yield* refreshes).length, 1)
      yield* TestClock.adjust("20 seconds")
      yield* browser.token
      assert.strictEqual((yield* refreshes).length, 2)
    }))

  test("ends the session if the grant has ended", (browser) =>
    Effect.gen(function* () {
      const { signOut } = yield* TestIssuer
      yield* browser.signIn()
      yield* signOut
      yield* TestClock.adjust("10 minutes")
      assert.strictEqual(yield* browser.token, "ReauthenticationRequired")
      assert.deepStrictEqual(yield* browser.session, { signedIn: false })
    }))

  test("keeps the session if another process used the refresh token first", (browser) =>
    Effect.gen(function* () {
      const sessions = yield* Sessions
      const { respond } = yield* TestIssuer
      yield* browser.signIn()
      const cookie = Redacted.make(browser.jar.get("__Host-session")?.value ?? "")
      yield* TestClock.adjust("10 minutes")
      yield* respond("token", { status: 400, body: JSON.stringify({ error: "invalid_grant" }), delay: "1 second" })
      const fiber = yield* Effect.forkChild(browser.token)
      yield* untilRefreshes(1)
      // A process that lost its lock.
      const session = yield* Effect.flatMap(sessions.read(cookie), Effect.fromOption)
      const won = {
        ...session,
        accessToken: Redacted.make("won"),
        refreshToken: Redacted.make("newer"),
        accessTokenExpiresAt: 10_000_000
      }
      assert.isTrue(yield* sessions.replace(cookie, session.version, won))
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Fiber.join(fiber), "won")
      assert.strictEqual((yield* browser.session)["signedIn"], true)
    }))

  test("is not asked for by a process that lost its lock before its request", (browser) =>
    Effect.gen(function* () {
      const sessions = yield* Sessions
      yield* browser.signIn()
      const cookie = Redacted.make(browser.jar.get("__Host-session")?.value ?? "")
      // The process is paused when it has read the session. Meanwhile, another process renews the token.
      const paused = Effect.flatMap(sessions.read(cookie), Effect.fromOption).pipe(
        Effect.andThen(({ version, ...session }) =>
          sessions.replace(cookie, version, {
            ...session,
            accessToken: Redacted.make("won"),
            refreshToken: Redacted.make("newer"),
            accessTokenExpiresAt: 10_000_000
          })
        )
      )
      let isPaused = true
      const replace: Sessions["Service"]["replace"] = (...args) =>
        Effect.suspend(() => {
          const isFirst = isPaused
          isPaused = false
          return Effect.andThen(isFirst ? Effect.orDie(paused) : Effect.void, sessions.replace(...args))
        })
      const open = yield* Effect.provideService(makeApp(), Sessions, { ...sessions, replace })
      const slow = open()
      for (const [name, stored] of browser.jar) slow.jar.set(name, stored)
      yield* TestClock.adjust("10 minutes")
      assert.strictEqual(yield* slow.token, "won")
      assert.deepStrictEqual(yield* refreshes, [])
    }))

  test("is not asked for if the store accepts no writes, which would lose the new refresh token", (browser) =>
    Effect.gen(function* () {
      const sessions = yield* Sessions
      yield* browser.signIn()
      const full = new StoreUnavailable({
        store: "SessionStore",
        reason: "OutOfMemory",
        retryAfter: Duration.seconds(1)
      })
      const replace = () => Effect.fail(full)
      const open = yield* Effect.provideService(makeApp(), Sessions, { ...sessions, replace })
      const other = open()
      for (const [name, stored] of browser.jar) other.jar.set(name, stored)
      yield* TestClock.adjust("10 minutes")
      assert.strictEqual(yield* other.token, "StoreUnavailable")
      assert.deepStrictEqual(yield* refreshes, [])
      assert.match(yield* browser.token, /^eyJ/)
    }))

  test("is written again after an outage of the store between the response and the write", (browser) =>
    Effect.gen(function* () {
      const sessions = yield* Sessions
      yield* browser.signIn()
      const failure = new StoreUnavailable({
        store: "SessionStore",
        reason: "Unreachable",
        retryAfter: Duration.seconds(1)
      })
      let isDown = false
      const replace: Sessions["Service"]["replace"] = (...args) =>
        Effect.suspend(() => {
          const now = isDown
          // The store accepts the claim, and nothing after it.
          isDown = !now
          return now ? Effect.fail(failure) : sessions.replace(...args)
        })
      const open = yield* Effect.provideService(makeApp(), Sessions, { ...sessions, replace })
      const app = open()
      for (const [name, stored] of browser.jar) app.jar.set(name, stored)
      yield* TestClock.adjust("10 minutes")
      assert.strictEqual(yield* app.token, "StoreUnavailable")
      assert.match(yield* app.token, /^eyJ/)
      assert.deepStrictEqual(yield* refreshes, ["refresh-1"])
      assert.strictEqual(yield* browser.token, yield* app.token)
    }))

  test("stays with its session if a late refusal meets another process that is using the refresh token", (browser) =>
    Effect.gen(function* () {
      const sessions = yield* Sessions
      const { respond } = yield* TestIssuer
      yield* browser.signIn()
      const cookie = Redacted.make(browser.jar.get("__Host-session")?.value ?? "")
      yield* TestClock.adjust("10 minutes")
      yield* respond("token", { status: 400, body: JSON.stringify({ error: "invalid_grant" }), delay: "1 second" })
      const fiber = yield* Effect.forkChild(browser.token)
      yield* untilRefreshes(1)
      // The process has lost its lock. The other process has claimed the session, and waits for its response.
      const session = yield* Effect.flatMap(sessions.read(cookie), Effect.fromOption)
      assert.isTrue(yield* sessions.replace(cookie, session.version, session))
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Fiber.join(fiber), "TokenUnavailable")
      assert.strictEqual((yield* browser.session)["signedIn"], true)
    }))

  test("does not bring back a session that ends during the refresh", (browser) =>
    Effect.gen(function* () {
      const { respond } = yield* TestIssuer
      yield* browser.signIn()
      yield* TestClock.adjust("10 minutes")
      yield* respond("token", { delay: "2 seconds" })
      const fiber = yield* Effect.forkChild(browser.token)
      yield* untilRefreshes(1)
      const jar = new Map(browser.jar)
      yield* browser.signOut()
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(yield* Fiber.join(fiber), "NotSignedIn")
      for (const [name, stored] of jar) browser.jar.set(name, stored)
      assert.deepStrictEqual(yield* browser.session, { signedIn: false })
    }))

  test("ends the session if the ID token of a refresh names another user", (browser) =>
    Effect.gen(function* () {
      const { mint, respond } = yield* TestIssuer
      yield* browser.signIn()
      yield* TestClock.adjust("10 minutes")
      const idToken = yield* mint({ profile: "id-token", audience: "web", subject: "bob" })
      const body = { access_token: "bob's", token_type: "Bearer", expires_in: 600, id_token: idToken }
      yield* respond("token", { body: JSON.stringify(body) })
      assert.strictEqual(yield* browser.token, "NotSignedIn")
      assert.deepStrictEqual(yield* browser.session, { signedIn: false })
    }))

  test("ends the session if the ID token of a refresh fails a check", (browser) =>
    Effect.gen(function* () {
      const { mint, respond } = yield* TestIssuer
      for (const options of [
        { audience: "other" },
        { claims: { iss: "https://evil.test" } },
        { claims: { at_hash: "AAAAAAAAAAAAAAAAAAAAAA" } }
      ]) {
        yield* browser.signIn()
        yield* TestClock.adjust("10 minutes")
        const idToken = yield* mint({ profile: "id-token", audience: "web", subject: "demo", ...options })
        const body = { access_token: "next", token_type: "Bearer", expires_in: 600, id_token: idToken }
        yield* respond("token", { body: JSON.stringify(body) })
        assert.strictEqual(yield* browser.token, "NotSignedIn", JSON.stringify(options))
        assert.deepStrictEqual(yield* browser.session, { signedIn: false })
        yield* respond("token", "normal")
      }
    }))

  test("keeps the session and its former ID token if the keys of the issuer cannot be read", (browser) =>
    Effect.gen(function* () {
      const { mint, respond, rotate } = yield* TestIssuer
      const { read } = yield* Sessions
      yield* browser.signIn()
      const idTokenOf = Effect.gen(function* () {
        const value = browser.jar.get("__Host-session")?.value ?? ""
        const { idToken } = yield* Effect.flatMap(read(Redacted.make(value)), Effect.fromOption)
        return idToken && Redacted.value(idToken)
      })
      const former = yield* idTokenOf
      yield* TestClock.adjust("10 minutes")
      yield* rotate("ES256")
      const idToken = yield* mint({ profile: "id-token", audience: "web", subject: "demo" })
      yield* respond("jwks", "unreachable")
      const body = { access_token: "next", token_type: "Bearer", expires_in: 600, id_token: idToken }
      yield* respond("token", { body: JSON.stringify(body) })
      assert.strictEqual(yield* browser.token, "next")
      assert.strictEqual((yield* browser.session)["signedIn"], true)
      assert.strictEqual(yield* idTokenOf, former)
    }))

  test("is renewed only by a request that needs it", (browser) =>
    Effect.gen(function* () {
      yield* browser.signIn()
      yield* TestClock.adjust("11 minutes")
      assert.strictEqual((yield* browser.session)["signedIn"], true)
      assert.deepStrictEqual(yield* refreshes, [])
      assert.match(yield* browser.token, /^eyJ/)
      assert.deepStrictEqual(yield* refreshes, ["refresh-1"])
    }))

  test(
    "keeps the refresh token of a provider that does not rotate it",
    (browser) =>
      Effect.gen(function* () {
        yield* browser.signIn()
        for (let turn = 0; turn < 3; turn++) {
          yield* TestClock.adjust("10 minutes")
          assert.match(yield* browser.token, /^eyJ/)
        }
        assert.deepStrictEqual(yield* refreshes, ["refresh-1", "refresh-1", "refresh-1"])
      }),
    {},
    { refreshTokens: { rotate: false } }
  )

  test("needs another sign-in after it expired, if the provider gave no refresh token", (browser) =>
    Effect.gen(function* () {
      const { mint, respond } = yield* TestIssuer
      const address = new URL(yield* browser.start())
      const nonce = address.searchParams.get("nonce")
      const idToken = yield* mint({ profile: "id-token", audience: "web", claims: { nonce } })
      const body = { access_token: "only", token_type: "Bearer", expires_in: 600, id_token: idToken }
      yield* respond("token", { body: JSON.stringify(body) })
      yield* browser.visit(yield* browser.answer(address.href), { from: "cross-site" })
      yield* TestClock.adjust("599 seconds")
      assert.strictEqual(yield* browser.token, "only")
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* browser.token, "ReauthenticationRequired")
      assert.strictEqual((yield* browser.session)["signedIn"], true)
    }))

  test("is nothing that a browser without a session gets", (browser) =>
    Effect.gen(function* () {
      assert.strictEqual(yield* browser.token, "NotSignedIn")
    }))
})
