// Signing out: by the user, at the provider, and because the provider says so.
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Layer } from "effect"
import { Sessions, StoreUnavailable } from "effect-oauth2/login"
import { type LogoutTokenOptions, TestIssuer } from "effect-oauth2/testing"
import { TestClock } from "effect/testing"
import { type Browser, clients, makeApp, origin, requestsAt, test } from "../support/loginApp.ts"
import { until } from "../support/settle.ts"
import { issuer, layerOf } from "../support/testIssuers.ts"

const isSignedIn = (browser: Browser) => Effect.map(browser.session, (session) => session["signedIn"])

describe("a sign-out", () => {
  test("ends the session, the cookie and the refresh token, and then the session at the provider", (browser, open) =>
    Effect.gen(function* () {
      yield* browser.signIn()
      const copy = open()
      for (const [name, stored] of browser.jar) copy.jar.set(name, stored)
      const response = yield* browser.signOut({ form: { return_to: "/goodbye" } })
      assert.strictEqual(response.status, 303)
      assert.strictEqual(response.headers.get("cache-control"), "no-store")
      // A copied cookie is of no use: the session has ended, and not only the cookie.
      assert.isFalse(yield* isSignedIn(copy))
      assert.deepStrictEqual(browser.cookieNames, ["__Host-session.logout"])
      const [revocation] = yield* requestsAt("revocation")
      assert.match(revocation?.parameters?.["token"] ?? "", /^refresh-/)
      const address = new URL(response.location)
      assert.strictEqual(address.origin + address.pathname, "https://issuer.test/end-session")
      const query = Object.fromEntries(address.searchParams)
      assert.strictEqual(query["client_id"], "web")
      assert.strictEqual(query["post_logout_redirect_uri"], `${origin}/logout/callback`)
      assert.match(query["id_token_hint"] ?? "", /^eyJ/)
      assert.match(query["state"] ?? "", /^[\w-]{43}$/)
      const back = yield* browser.answer(address.href)
      assert.strictEqual((yield* browser.visit(back, { from: "cross-site" })).location, "/goodbye")
      assert.deepStrictEqual(browser.cookieNames, [])
    }))

  test("goes to the app's own page if the state of the provider's response is not that of this browser", (browser) =>
    Effect.gen(function* () {
      yield* browser.signIn()
      yield* browser.signOut({ form: { return_to: "/goodbye" } })
      assert.strictEqual((yield* browser.visit("/logout/callback?state=other")).location, "/")
      assert.strictEqual((yield* browser.visit("/logout/callback")).location, "/")
      yield* browser.signIn()
      const response = yield* browser.signOut({ form: { return_to: "//evil.test" } })
      const back = yield* browser.answer(response.location)
      yield* TestClock.adjust("10 minutes")
      assert.strictEqual((yield* browser.visit(back)).location, "/")
    }))

  test("gives a script the address, because it cannot follow to another origin", (browser) =>
    Effect.gen(function* () {
      yield* browser.signIn()
      const response = yield* browser.signOut({ navigation: false })
      assert.strictEqual(response.status, 200)
      assert.match((JSON.parse(response.text) as { location: string }).location, /^https:\/\/issuer\.test\/end-session/)
      assert.isFalse(yield* isSignedIn(browser))
      const again = yield* browser.signOut({ navigation: false })
      assert.deepStrictEqual(JSON.parse(again.text), { location: "/" })
    }))

  test("refuses requests of other origins, and everything but POST", (browser) =>
    Effect.gen(function* () {
      yield* browser.signIn()
      const attempts = [
        // A browser that sends the cookie, although it should not.
        browser.signOut({ from: "same-site" }),
        browser.visit("/logout", { form: {}, headers: { "sec-fetch-site": "cross-site" } }),
        browser.visit("/logout", { form: {}, headers: { "sec-fetch-site": "same-site" } }),
        browser.visit("/logout", { form: {}, headers: { "sec-fetch-site": "" } })
      ]
      for (const attempt of attempts) {
        const response = yield* attempt
        assert.strictEqual(response.status, 403)
        assert.isTrue(yield* isSignedIn(browser))
      }
      assert.strictEqual((yield* browser.visit("/logout")).status, 404)
      assert.isTrue(yield* isSignedIn(browser))
    }))

  test("works while the provider does not answer", (browser) =>
    Effect.gen(function* () {
      const { respond } = yield* TestIssuer
      yield* browser.signIn()
      yield* respond("revocation", "unreachable")
      assert.strictEqual((yield* browser.signOut()).status, 303)
      assert.isFalse(yield* isSignedIn(browser))
    }))

  test("waits at most 5 seconds for the revocation", (browser) =>
    Effect.gen(function* () {
      const { respond } = yield* TestIssuer
      yield* browser.signIn()
      yield* respond("revocation", "never")
      const fiber = yield* Effect.forkChild(browser.signOut())
      yield* until(requestsAt("revocation"), (requests) => requests.length > 0)
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual((yield* Fiber.join(fiber)).status, 303)
    }))

  test(
    "ends at the app if the provider has no end session endpoint",
    (browser) =>
      Effect.gen(function* () {
        yield* browser.signIn()
        assert.strictEqual((yield* browser.signOut()).location, "/bye")
        assert.deepStrictEqual(browser.cookieNames, [])
        assert.strictEqual((yield* requestsAt("revocation")).length, 0)
      }),
    { afterLogout: "/bye" },
    { metadata: { end_session_endpoint: undefined, revocation_endpoint: undefined } }
  )

  it.effect("keeps the cookie if the store does not answer, and works afterwards", () =>
    Effect.gen(function* () {
      const sessions = yield* Sessions
      let isDown = false
      const error = new StoreUnavailable({ store: "SessionStore", reason: "Timeout", retryAfter: Duration.seconds(1) })
      const open = yield* makeApp().pipe(
        Effect.provideService(Sessions, {
          ...sessions,
          destroy: (cookie) => (isDown ? Effect.fail(error) : sessions.destroy(cookie))
        })
      )
      const browser = open()
      yield* browser.signIn()
      isDown = true
      assert.strictEqual((yield* browser.signOut()).status, 503)
      isDown = false
      assert.isTrue(yield* isSignedIn(browser))
      assert.strictEqual((yield* browser.signOut()).status, 303)
      assert.isFalse(yield* isSignedIn(browser))
    }).pipe(Effect.scoped, Effect.provide(Layer.merge(layerOf(), Sessions.layerMemory())))
  )
})

/** Sends a logout token as the provider does: without cookies. */
const sendLogout = (open: () => Browser, options: LogoutTokenOptions | string) =>
  Effect.gen(function* () {
    const { mintLogoutToken } = yield* TestIssuer
    const token = typeof options === "string" ? options : yield* mintLogoutToken({ audience: "web", ...options })
    const response = yield* open().visit("/backchannel-logout", {
      form: { logout_token: token },
      headers: { "sec-fetch-site": "", "sec-fetch-mode": "" }
    })
    assert.strictEqual(response.headers.get("cache-control"), "no-store")
    return response.status
  })

describe("back-channel logout", () => {
  test("ends one session by sid, or all sessions of a user by sub, and no others", (_browser, open) =>
    Effect.gen(function* () {
      const { signIn } = yield* TestIssuer
      const [first, second, bob] = [open(), open(), open()]
      const { sessionId } = yield* signIn({ subject: "alice" })
      yield* first.signIn()
      yield* signIn({ subject: "alice" })
      yield* second.signIn()
      yield* signIn({ subject: "bob" })
      yield* bob.signIn()
      assert.strictEqual(yield* sendLogout(open, { sessionId }), 200)
      assert.deepStrictEqual(yield* Effect.all([first, second, bob].map(isSignedIn)), [false, true, true])
      assert.strictEqual(yield* sendLogout(open, { subject: "alice" }), 200)
      assert.deepStrictEqual(yield* Effect.all([first, second, bob].map(isSignedIn)), [false, false, true])
      // A session that does not exist has ended.
      assert.strictEqual(yield* sendLogout(open, { sessionId: "session-99" }), 200)
    }))

  it.effect("ends the session when the user signs out at the provider, which sends the token", () => {
    let send: ((token: string) => Effect.Effect<unknown, unknown>) | undefined
    const backChannelLogout = (token: string) => send?.(token) ?? Effect.void
    return Effect.gen(function* () {
      const open = yield* makeApp()
      const browser = open()
      send = (token) => open().visit("/backchannel-logout", { form: { logout_token: token } })
      yield* browser.signIn()
      assert.isTrue(yield* isSignedIn(browser))
      yield* TestIssuer.use(({ signOut }) => signOut)
      assert.isFalse(yield* isSignedIn(browser))
    }).pipe(
      Effect.scoped,
      Effect.provide(
        Layer.merge(
          layerOf({ clients: clients.map((client) => ({ ...client, backChannelLogout })) }),
          Sessions.layerMemory()
        )
      )
    )
  })

  test("refuses every token that is not a valid and fresh logout token for this client", (browser, open) =>
    Effect.gen(function* () {
      const now = 1_000_000
      yield* TestClock.setTime(now * 1000)
      yield* browser.signIn()
      const { mint } = yield* TestIssuer
      const event = "http://schemas.openid.net/event/backchannel-logout"
      const wrong: ReadonlyArray<LogoutTokenOptions> = [
        { audience: "other" },
        { claims: { iss: "https://evil.test" } },
        { claims: { nonce: "n" } },
        { claims: { events: {} } },
        { claims: { events: { [event]: true } } },
        { claims: { events: "x" } },
        { claims: { events: { "https://example.com/other": {} } } },
        { without: ["events"] },
        { without: ["jti"] },
        { without: ["iat"] },
        { without: ["exp"] },
        { without: ["sub"] },
        { claims: { sid: 1 } },
        { claims: { sid: "" } },
        { claims: { sub: 1 } },
        { claims: { exp: now - 60 } },
        { claims: { iat: now - 400 }, lifetime: "1 hour" },
        { claims: { iat: now + 60 } },
        { header: { typ: "at+jwt" } },
        { header: { alg: "none" } }
      ]
      for (const options of wrong) {
        assert.strictEqual(yield* sendLogout(open, options), 400, JSON.stringify(options))
      }
      // An ID token is no logout token, although the issuer signed it for this client.
      const idToken = yield* mint({ profile: "id-token", audience: "web", subject: "demo" })
      for (const token of [idToken, "", "x", "a.b.c"]) assert.strictEqual(yield* sendLogout(open, token), 400)
      assert.isTrue(yield* isSignedIn(browser))
      assert.strictEqual(yield* sendLogout(open, { header: { typ: "JWT" } }), 200)
      assert.isFalse(yield* isSignedIn(browser))
    }))

  test("accepts a token once", (browser, open) =>
    Effect.gen(function* () {
      const { mintLogoutToken } = yield* TestIssuer
      const token = yield* mintLogoutToken({ audience: "web" })
      assert.strictEqual(yield* sendLogout(open, token), 200)
      yield* TestClock.adjust("1 second")
      yield* browser.signIn()
      assert.strictEqual(yield* sendLogout(open, token), 400)
      assert.isTrue(yield* isSignedIn(browser))
    }))

  test("refuses a sign-in that is in progress when the provider ends its session", (browser, open) =>
    Effect.gen(function* () {
      const { signIn } = yield* TestIssuer
      const { sessionId } = yield* signIn({ subject: "alice" })
      const callback = yield* browser.answer(yield* browser.start())
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* sendLogout(open, { sessionId }), 200)
      const response = yield* browser.visit(callback, { from: "cross-site" })
      assert.strictEqual(response.status, 403)
      assert.include(response.text, "You were signed out while you signed in.")
      assert.isFalse(yield* isSignedIn(browser))
      yield* signIn({ subject: "alice" })
      yield* browser.signIn()
      assert.isTrue(yield* isSignedIn(browser))
    }))

  test("refuses a sign-in in progress also if the provider names only the user, and not the next one", (browser, open) =>
    Effect.gen(function* () {
      const callback = yield* browser.answer(yield* browser.start())
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* sendLogout(open, { subject: "demo" }), 200)
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* browser.visit(callback, { from: "cross-site" })).status, 403)
      assert.isFalse(yield* isSignedIn(browser))
      yield* browser.signIn()
      assert.isTrue(yield* isSignedIn(browser))
    }))

  test("answers 503 if the keys of the issuer cannot be read", (_browser, open) =>
    Effect.gen(function* () {
      const { respond } = yield* TestIssuer
      yield* respond("jwks", "unreachable")
      assert.strictEqual(yield* sendLogout(open, { subject: "alice" }), 503)
    }))

  it.effect("tries again if the store fails for a moment, because the token works once", () =>
    Effect.gen(function* () {
      const sessions = yield* Sessions
      let failures = 2
      const error = new StoreUnavailable({ store: "SessionStore", reason: "Timeout", retryAfter: Duration.seconds(1) })
      const open = yield* makeApp().pipe(
        Effect.provideService(Sessions, {
          ...sessions,
          destroyBy: (owner) => Effect.suspend(() => (failures-- > 0 ? Effect.fail(error) : sessions.destroyBy(owner)))
        })
      )
      const browser = open()
      yield* browser.signIn()
      const fiber = yield* Effect.forkChild(sendLogout(open, { subject: "demo" }))
      yield* until(TestClock.adjust("50 millis"), () => fiber.pollUnsafe() !== undefined)
      assert.strictEqual(yield* Fiber.join(fiber), 200)
      assert.isFalse(yield* isSignedIn(browser))
    }).pipe(Effect.scoped, Effect.provide(Layer.merge(layerOf(), Sessions.layerMemory())))
  )
})

it.effect("a logout token that the store could not serve is accepted later, if it names a session", () =>
  Effect.gen(function* () {
    const sessions = yield* Sessions
    const { mintLogoutToken, signIn } = yield* TestIssuer
    let isDown = false
    const error = new StoreUnavailable({ store: "SessionStore", reason: "Timeout", retryAfter: Duration.seconds(1) })
    const open = yield* makeApp().pipe(
      Effect.provideService(Sessions, {
        ...sessions,
        destroyBy: (owner) => (isDown ? Effect.fail(error) : sessions.destroyBy(owner))
      })
    )
    const send = (token: string) =>
      Effect.gen(function* () {
        const fiber = yield* Effect.forkChild(sendLogout(open, token))
        yield* until(TestClock.adjust("50 millis"), () => fiber.pollUnsafe() !== undefined)
        return yield* Fiber.join(fiber)
      })
    const browser = open()
    const { sessionId } = yield* signIn({ subject: "alice" })
    yield* browser.signIn()
    const ofSession = yield* mintLogoutToken({ audience: "web", subject: "alice", sessionId })
    const ofUser = yield* mintLogoutToken({ audience: "web", subject: "alice" })
    isDown = true
    assert.deepStrictEqual([yield* send(ofSession), yield* send(ofUser)], [503, 503])
    isDown = false
    assert.isTrue(yield* isSignedIn(browser))
    assert.deepStrictEqual([yield* send(ofSession), yield* send(ofSession)], [200, 400])
    assert.isFalse(yield* isSignedIn(browser))
    // A token of a user would end the sessions that the user has begun since.
    assert.strictEqual(yield* send(ofUser), 400)
  }).pipe(Effect.scoped, Effect.provide(Layer.merge(layerOf(), Sessions.layerMemory())))
)

describe("front-channel logout", () => {
  test(
    "ends a session by iss and sid, without a cookie",
    (browser, open) =>
      Effect.gen(function* () {
        const { signIn } = yield* TestIssuer
        const { sessionId } = yield* signIn({ subject: "alice" })
        yield* browser.signIn()
        const send = (query: Readonly<Record<string, string>>) =>
          Effect.map(
            open().visit(`/frontchannel-logout?${new URLSearchParams(query).toString()}`, {
              from: "cross-site",
              navigation: false
            }),
            ({ headers, status }) => {
              assert.isFalse(headers.has("content-security-policy"))
              assert.strictEqual(headers.get("cache-control"), "no-store")
              return status
            }
          )
        for (const query of [{}, { iss: issuer }, { sid: sessionId }, { iss: "https://evil.test", sid: sessionId }]) {
          assert.strictEqual(yield* send(query as Readonly<Record<string, string>>), 400)
        }
        assert.strictEqual(yield* send({ iss: issuer, sid: "session-99" }), 200)
        assert.isTrue(yield* isSignedIn(browser))
        assert.strictEqual(yield* send({ iss: issuer, sid: sessionId }), 200)
        assert.isFalse(yield* isSignedIn(browser))
      }),
    { frontChannelLogout: true }
  )

  test("is off by default", (browser) =>
    Effect.gen(function* () {
      const { status } = yield* browser.visit(`/frontchannel-logout?iss=${issuer}&sid=session-1`)
      assert.strictEqual(status, 404)
    }))
})
