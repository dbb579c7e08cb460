// The code flow of a web app: from the first request to the session, and every way in which it can go wrong.
import { assert, describe, it } from "@effect/vitest"
import { Cause, Duration, Effect, Exit, Layer, Option, Redacted } from "effect"
import { HttpClient, HttpClientResponse, HttpRouter, HttpServerResponse } from "effect/http"
import type { OpenApi } from "effect/http-api"
import { OAuth2, OpenApiSecurity } from "effect-oauth2"
import { ClientAuthentication } from "effect-oauth2/client"
import { Login, type LoginOptions, LoginProvider, Sessions, StoreUnavailable } from "effect-oauth2/login"
import { type MintOptions, TestIssuer } from "effect-oauth2/testing"
import { TestClock } from "effect/testing"
import { type Browser, loginOptions, makeApp, origin, provider, requestsAt, test } from "../support/loginApp.ts"
import { issuer, layerOf } from "../support/testIssuers.ts"

const text = (path: string) => (browser: Browser) => Effect.map(browser.visit(path), ({ text }) => text)

const assertNotSignedIn = (browser: Browser) =>
  Effect.map(browser.session, (session) => assert.deepStrictEqual(session, { signedIn: false }))

describe("a sign-in", () => {
  test("goes to the provider with code, PKCE S256, state and nonce, and comes back with a session", (browser) =>
    Effect.gen(function* () {
      const address = new URL(yield* browser.start("/login?return_to=/items%3Fpage%3D2%23top"))
      assert.strictEqual(address.origin + address.pathname, "https://issuer.test/authorize")
      const query = Object.fromEntries(address.searchParams)
      assert.strictEqual(query["response_type"], "code")
      assert.strictEqual(query["redirect_uri"], `${origin}/callback`)
      assert.strictEqual(query["code_challenge_method"], "S256")
      for (const name of ["state", "nonce", "code_challenge"]) assert.match(query[name] ?? "", /^[\w-]{43}$/)
      assert.strictEqual(new Set([query["state"], query["nonce"], query["code_challenge"]]).size, 3)
      const response = yield* browser.visit(yield* browser.answer(address.href), { from: "cross-site" })
      assert.strictEqual(response.status, 303, response.text)
      assert.strictEqual(response.location, "/items?page=2#top")
      assert.strictEqual(response.headers.get("cache-control"), "no-store")
      assert.strictEqual(response.headers.get("referrer-policy"), "no-referrer")
      assert.deepStrictEqual(browser.cookieNames, ["__Host-session"])
      const session = yield* browser.session
      assert.deepStrictEqual([session["signedIn"], session["subject"]], [true, "demo"])
      const [request] = yield* requestsAt("token")
      assert.match(request?.parameters?.["code_verifier"] ?? "", /^[\w-]{43}$/)
      assert.strictEqual(request?.parameters?.["redirect_uri"], `${origin}/callback`)
    }))

  test("keeps its cookies to the app: HttpOnly, Secure, Lax, for the whole host, 10 minutes for an attempt", (browser) =>
    Effect.gen(function* () {
      yield* browser.start()
      const [name = ""] = browser.cookieNames
      assert.match(name, /^__Host-session\.login\.[\w-]{8}$/)
      const attempt = browser.jar.get(name)?.attributes
      assert.strictEqual(attempt?.get("samesite"), "Lax")
      assert.strictEqual(attempt?.get("max-age"), "600")
      yield* browser.signIn()
      const session = browser.jar.get("__Host-session")
      assert.strictEqual(session?.attributes.get("samesite"), "Lax")
      assert.isFalse(session?.attributes.has("max-age") ?? true)
      assert.strictEqual(session?.value.length, 64)
    }))

  test("never builds the redirect URI from the Host header", (browser) =>
    Effect.gen(function* () {
      const { location } = yield* browser.visit("/login", {
        headers: { host: "evil.test", "x-forwarded-host": "evil.test", forwarded: "host=evil.test" }
      })
      assert.strictEqual(new URL(location).searchParams.get("redirect_uri"), `${origin}/callback`)
    }))

  test("shows the page neither tokens nor the secrets of the attempt", (browser) =>
    Effect.gen(function* () {
      const address = yield* browser.start()
      const cookie = Array.from(browser.jar.values(), ({ value }) => value).join()
      assert.notInclude(cookie, new URL(address).searchParams.get("state") ?? "")
      yield* browser.signIn()
      const { text } = yield* browser.visit("/session", { from: "same-origin", navigation: false })
      assert.notMatch(text, /eyJ|refresh-/)
      assert.deepStrictEqual(Object.keys(JSON.parse(text)).toSorted(), [
        "claims",
        "expiresAt",
        "issuer",
        "signedIn",
        "subject"
      ])
    }))

  test("passes prompt, login_hint, acr_values and max_age of a link to the provider, and nothing else", (browser) =>
    Effect.gen(function* () {
      const address = yield* browser.start(
        "/login?prompt=login&login_hint=alice&acr_values=mfa%20pwd&max_age=60&scope=admin&redirect_uri=https://evil.test"
      )
      const query = new URL(address).searchParams
      assert.deepStrictEqual(
        ["prompt", "login_hint", "acr_values", "max_age", "scope"].map((name) => query.get(name)),
        ["login", "alice", "mfa pwd", "60", "openid items:read"]
      )
      assert.strictEqual(query.get("redirect_uri"), `${origin}/callback`)
      for (const wrong of ["prompt=x", "max_age=-1", "max_age=1e3", "acr_values=%0a", "prompt=login&prompt=none"]) {
        assert.strictEqual((yield* browser.visit(`/login?${wrong}`)).status, 400, wrong)
      }
    }))
})

describe("the start of a sign-in", () => {
  test("answers 401 without a cookie to everything but a navigation of the tab", (browser) =>
    Effect.gen(function* () {
      const unsuitable: ReadonlyArray<Readonly<Record<string, string>>> = [
        { "sec-fetch-mode": "cors", "sec-fetch-dest": "empty" },
        { "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image" },
        { "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe" },
        { "sec-purpose": "prefetch;prerender" }
      ]
      for (const headers of unsuitable) {
        const response = yield* browser.visit("/login", { headers })
        assert.strictEqual(response.status, 401)
        assert.strictEqual(response.location, "")
        assert.deepStrictEqual(browser.cookieNames, [])
        assert.deepStrictEqual(JSON.parse(response.text), { error: "login_required", login: "/login" })
      }
      assert.strictEqual((yield* browser.visit("/login", { from: "cross-site" })).status, 303)
    }))

  test("says in a page that the provider does not answer, and works again afterwards", (browser) =>
    Effect.gen(function* () {
      const { respond } = yield* TestIssuer
      yield* respond("discovery", "unreachable")
      const response = yield* browser.visit("/login?return_to=/items")
      assert.strictEqual(response.status, 503)
      assert.strictEqual(response.headers.get("retry-after"), "5")
      assert.include(response.text, "The identity provider does not answer at the moment.")
      assert.include(response.text, 'href="/login?return_to=%2Fitems"')
      assert.deepStrictEqual(browser.cookieNames, [])
      yield* respond("discovery", "normal")
      yield* browser.signIn()
    }))
})

describe("a provider that requires pushed authorization requests (RFC 9126)", () => {
  const metadata = {
    require_pushed_authorization_requests: true,
    pushed_authorization_request_endpoint: `${issuer}/par`
  }
  const requestUri = "urn:ietf:params:oauth:request_uri:6esc_11ACC5bwc014ltc14eY22c"

  const par = (
    name: string,
    answer: { readonly status: number; readonly body: unknown },
    body: (
      browser: Browser,
      pushed: ReadonlyArray<Readonly<Record<string, string>>>
    ) => Effect.Effect<void, unknown, TestIssuer | HttpClient.HttpClient | Sessions>
  ) =>
    it.effect(name, () =>
      Effect.gen(function* () {
        const pushed: Array<Readonly<Record<string, string>>> = []
        const real = yield* HttpClient.HttpClient
        const client = HttpClient.make((request, url) => {
          if (url.pathname !== "/par") return real.execute(request)
          const text = request.body._tag === "Uint8Array" ? new TextDecoder().decode(request.body.body) : ""
          pushed.push({
            ...Object.fromEntries(new URLSearchParams(text)),
            authorization: request.headers["authorization"] ?? ""
          })
          return Effect.succeed(
            HttpClientResponse.fromWeb(request, Response.json(answer.body, { status: answer.status }))
          )
        })
        const open = yield* Effect.provideService(makeApp(), HttpClient.HttpClient, client)
        yield* body(open(), pushed)
      }).pipe(Effect.scoped, Effect.provide(Layer.merge(layerOf({ metadata }), Sessions.layerMemory())))
    )

  par(
    "gets all parameters from the app itself, and the browser brings only their name",
    { status: 201, body: { request_uri: requestUri, expires_in: 60 } },
    (browser, pushed) =>
      Effect.gen(function* () {
        const address = new URL(yield* browser.start("/login?return_to=/items&prompt=login"))
        assert.deepStrictEqual(Object.fromEntries(address.searchParams), { client_id: "web", request_uri: requestUri })
        const [{ authorization = "", ...parameters } = {}] = pushed
        assert.match(authorization, /^Basic /)
        assert.deepStrictEqual(
          ["response_type", "redirect_uri", "code_challenge_method", "prompt"].map((name) => parameters[name]),
          ["code", `${origin}/callback`, "S256", "login"]
        )
        const request = `${issuer}/authorize?${new URLSearchParams(parameters).toString()}`
        const done = yield* browser.visit(yield* browser.answer(request), { from: "cross-site" })
        assert.deepStrictEqual([done.status, done.location], [303, "/items"])
      })
  )

  par(
    "shows a page if it refuses the parameters",
    { status: 400, body: { error: "invalid_request", error_description: "inner" } },
    (browser) =>
      Effect.gen(function* () {
        const { status, text } = yield* browser.visit("/login")
        assert.strictEqual(status, 502)
        assert.notInclude(text, "inner")
        assert.deepStrictEqual(browser.cookieNames, [])
      })
  )
})

describe("the attempts of several tabs", () => {
  test("end each with its own page, in any order", (browser) =>
    Effect.gen(function* () {
      const first = yield* browser.start("/login?return_to=/first")
      const second = yield* browser.start("/login?return_to=/second")
      const places: Array<string> = []
      for (const address of [second, first]) {
        const { location } = yield* browser.visit(yield* browser.answer(address), { from: "cross-site" })
        places.push(location)
      }
      assert.deepStrictEqual(places, ["/second", "/first"])
    }))

  test("are at most 5, and the oldest is removed", (browser) =>
    Effect.gen(function* () {
      const addresses: Array<string> = []
      for (let tab = 0; tab < 7; tab++) {
        addresses.push(yield* browser.start(`/login?return_to=/${tab}`))
        yield* TestClock.adjust("1 second")
        assert.isAtMost(browser.cookieNames.length, 5)
      }
      const statuses: Array<number> = []
      for (const address of addresses) {
        const { status, text } = yield* browser.visit(yield* browser.answer(address), { from: "cross-site" })
        statuses.push(status)
        if (status === 400) assert.include(text, "This sign-in has expired, or it was already used.")
      }
      assert.deepStrictEqual(statuses, [400, 400, 303, 303, 303, 303, 303])
    }))

  test("fit into the headers of a request, whatever return_to they have", (browser) =>
    Effect.gen(function* () {
      for (let tab = 0; tab < 5; tab++) yield* browser.start(`/login?return_to=/${"a".repeat(511)}`)
      const sizes = Array.from(browser.jar, ([name, { value }]) => name.length + value.length)
      assert.strictEqual(sizes.length, 5)
      assert.isBelow(Math.max(...sizes), 4096)
      assert.isBelow(
        sizes.reduce((sum, size) => sum + size, 0),
        10_000
      )
    }))

  test("end after 10 minutes", (browser) =>
    Effect.gen(function* () {
      const callback = yield* browser.answer(yield* browser.start())
      const jar = new Map(browser.jar)
      yield* TestClock.adjust("10 minutes")
      // A browser that keeps the cookie too long.
      for (const [name, stored] of jar) browser.jar.set(name, { ...stored, endsAt: Infinity })
      const response = yield* browser.visit(callback, { from: "cross-site" })
      assert.strictEqual(response.status, 400)
      assert.include(response.text, "Sign in again")
      yield* assertNotSignedIn(browser)
      // The attempt itself has ended, and not only its code at the provider.
      assert.strictEqual((yield* requestsAt("token")).length, 0)
    }))

  test("survive a rotation of the secret", (browser) =>
    Effect.gen(function* () {
      const next = Redacted.make("the next secret of the login with 32 bytes")
      const callback = yield* browser.answer(yield* browser.start())
      const rotated = (yield* makeApp({ secret: [next, loginOptions.secret as Redacted.Redacted] }))()
      const later = (yield* makeApp({ secret: next }))()
      for (const [name, stored] of browser.jar) {
        rotated.jar.set(name, stored)
        later.jar.set(name, stored)
      }
      assert.strictEqual((yield* later.visit(callback, { from: "cross-site" })).status, 400)
      assert.strictEqual((yield* rotated.visit(callback, { from: "cross-site" })).status, 303)
    }))
})

describe("the end of a sign-in", () => {
  test("refuses the response of an attempt that another browser began", (browser, open) =>
    Effect.gen(function* () {
      const attacker = open()
      const callback = yield* attacker.answer(yield* attacker.start())
      const response = yield* browser.visit(callback, { from: "cross-site" })
      assert.strictEqual(response.status, 400)
      yield* assertNotSignedIn(browser)
      assert.strictEqual((yield* requestsAt("token")).length, 0)
    }))

  test("uses an attempt once, even if its cookie was copied", (browser, open) =>
    Effect.gen(function* () {
      const callback = yield* browser.answer(yield* browser.start())
      const copy = open()
      for (const [name, stored] of browser.jar) copy.jar.set(name, stored)
      assert.strictEqual((yield* browser.visit(callback, { from: "cross-site" })).status, 303)
      assert.strictEqual((yield* copy.visit(callback, { from: "cross-site" })).status, 400)
      assert.strictEqual((yield* requestsAt("token")).length, 1)
    }))

  test("refuses a code of another browser, although the state is that of this one (code injection)", (browser, open) =>
    Effect.gen(function* () {
      const attacker = open()
      const stolen = new URL(yield* browser.answer(yield* browser.start()))
      const own = new URL(yield* attacker.answer(yield* attacker.start()))
      own.searchParams.set("code", stolen.searchParams.get("code") ?? "")
      const response = yield* attacker.visit(own.href, { from: "cross-site" })
      assert.strictEqual(response.status, 400)
      assert.include(response.text, "This sign-in has expired, or it was already used.")
      yield* assertNotSignedIn(attacker)
      // The issuer has seen the verifier of the attacker's attempt, and not that of the stolen code.
      assert.strictEqual((yield* requestsAt("token")).length, 1)
    }))

  test("refuses a state that the browser changed, without a request to the provider", (browser) =>
    Effect.gen(function* () {
      const callback = new URL(yield* browser.answer(yield* browser.start()))
      const state = callback.searchParams.get("state") ?? ""
      for (const changed of [state.slice(0, -1), `${state}A`, state.toLowerCase(), ""]) {
        callback.searchParams.set("state", changed)
        assert.strictEqual((yield* browser.visit(callback.href, { from: "cross-site" })).status, 400)
      }
      assert.strictEqual((yield* requestsAt("token")).length, 0)
      callback.searchParams.set("state", state)
      assert.strictEqual((yield* browser.visit(callback.href, { from: "cross-site" })).status, 303)
    }))

  test("compares iss before it believes an error", (browser) =>
    Effect.gen(function* () {
      for (const iss of [{ iss: "https://evil.test" }, {}]) {
        const state = new URL(yield* browser.start()).searchParams.get("state") ?? ""
        const query = new URLSearchParams({ error: "access_denied", state, ...iss })
        const response = yield* browser.visit(`/callback?${query.toString()}`, { from: "cross-site" })
        assert.include(response.text, "<code>iss</code>")
      }
    }))

  test("goes on after the back button and a reload if a user is signed in, and offers a restart if not", (browser) =>
    Effect.gen(function* () {
      const callback = yield* browser.answer(yield* browser.start("/login?return_to=/items"))
      assert.strictEqual((yield* browser.visit(callback, { from: "cross-site" })).location, "/items")
      const again = yield* browser.visit(callback)
      assert.deepStrictEqual([again.status, again.location], [303, "/"])
      assert.strictEqual((yield* browser.session)["signedIn"], true)
      yield* browser.signOut()
      const expired = yield* browser.visit(callback)
      assert.strictEqual(expired.status, 400)
      assert.include(expired.text, '<a href="/login">Sign in again</a>')
    }))

  test("gives each sign-in a new session, and ends the one before", (browser) =>
    Effect.gen(function* () {
      yield* browser.signIn()
      const first = browser.jar.get("__Host-session")
      yield* browser.signIn()
      const second = browser.jar.get("__Host-session")
      assert.notStrictEqual(first?.value, second?.value)
      // A cookie that somebody planted before the sign-in.
      if (first !== undefined) browser.jar.set("__Host-session", first)
      yield* assertNotSignedIn(browser)
      if (first !== undefined) browser.jar.set("__Host-session", { ...first, value: "planted-by-somebody" })
      yield* browser.signIn()
      assert.strictEqual(browser.jar.get("__Host-session")?.value.length, 64)
    }))

  test("says what the provider's error means, without its text", (browser) =>
    Effect.gen(function* () {
      for (const [error, status, words] of [
        ["access_denied", 403, "The sign-in was cancelled, or you are not allowed to sign in."],
        ["login_required", 403, "The sign-in was cancelled"],
        ["temporarily_unavailable", 503, "The identity provider does not answer at the moment."],
        ["invalid_scope", 502, "The identity provider refused the sign-in."],
        ["<script>alert(1)</script>", 502, "The identity provider refused the sign-in."]
      ] as const) {
        const state = new URL(yield* browser.start("/login?return_to=/items")).searchParams.get("state") ?? ""
        const query = new URLSearchParams({ error, error_description: "inner <b>text</b>", state, iss: issuer })
        const response = yield* browser.visit(`/callback?${query.toString()}`, { from: "cross-site" })
        assert.strictEqual(response.status, status, error)
        assert.include(response.text, words)
        assert.notMatch(response.text, /inner|<b>|<script>/)
        assert.include(response.text, 'href="/login?return_to=%2Fitems"')
        assert.include(response.headers.get("content-security-policy") ?? "", "default-src 'none'")
        // The attempt is over.
        assert.deepStrictEqual(browser.cookieNames, [])
      }
    }))

  test("refuses a response without a state or a code, and one with a repeated parameter", (browser) =>
    Effect.gen(function* () {
      const state = new URL(yield* browser.start()).searchParams.get("state") ?? ""
      for (const query of ["", "code=x", `state=${state}&state=${state}&code=x`, `state=${state}&code=x&code=y`]) {
        assert.strictEqual((yield* browser.visit(`/callback?${query}`)).status, 400, query)
      }
      const response = yield* browser.visit(`/callback?state=${state}&iss=${issuer}`)
      assert.include(response.text, "<code>code</code>")
      assert.strictEqual((yield* requestsAt("token")).length, 0)
    }))

  test("refuses the response of another issuer, or one without iss if the provider sends it (RFC 9207)", (browser) =>
    Effect.gen(function* () {
      for (const iss of ["&iss=https://evil.test", `&iss=${issuer}/`, ""]) {
        const state = new URL(yield* browser.start()).searchParams.get("state") ?? ""
        const response = yield* browser.visit(`/callback?state=${state}&code=x${iss}`, { from: "cross-site" })
        assert.strictEqual(response.status, 403)
        assert.include(response.text, "<code>iss</code>")
      }
      assert.strictEqual((yield* requestsAt("token")).length, 0)
    }))

  test(
    "accepts a response without iss of a provider that does not promise it",
    (browser) =>
      Effect.gen(function* () {
        const callback = new URL(yield* browser.answer(yield* browser.start()))
        callback.searchParams.delete("iss")
        assert.strictEqual((yield* browser.visit(callback.href, { from: "cross-site" })).status, 303)
      }),
    {},
    { metadata: { authorization_response_iss_parameter_supported: false } }
  )

  test("does not sign in if the token endpoint fails, and says whether a retry helps", (browser) =>
    Effect.gen(function* () {
      const { respond } = yield* TestIssuer
      for (const [answer, status] of [
        ["unreachable", 503],
        [{ status: 500, body: "" }, 503],
        [{ status: 401, body: JSON.stringify({ error: "invalid_client" }) }, 502],
        [{ status: 400, body: JSON.stringify({ error: "invalid_grant" }) }, 400]
      ] as const) {
        yield* respond("token", answer)
        const response = yield* browser.visit(yield* browser.answer(yield* browser.start()), { from: "cross-site" })
        assert.strictEqual(response.status, status)
        yield* assertNotSignedIn(browser)
      }
    }))

  it.effect("keeps the attempt if the store of the sessions does not answer, so that a reload works", () =>
    Effect.gen(function* () {
      const sessions = yield* Sessions
      let isDown = false
      const failing = Effect.suspend(() =>
        Effect.fail(new StoreUnavailable({ store: "SessionStore", reason: "Timeout", retryAfter: Duration.seconds(1) }))
      )
      const open = yield* makeApp().pipe(
        Effect.provideService(Sessions, {
          ...sessions,
          addOnce: (...input) => (isDown ? failing : sessions.addOnce(...input))
        })
      )
      const browser = open()
      const callback = yield* browser.answer(yield* browser.start("/login?return_to=/items"))
      isDown = true
      const refused = yield* browser.visit(callback, { from: "cross-site" })
      assert.deepStrictEqual([refused.status, refused.headers.get("retry-after")], [503, "5"])
      isDown = false
      assert.strictEqual((yield* browser.visit(callback)).location, "/items")
    }).pipe(Effect.scoped, Effect.provide(Layer.merge(layerOf(), Sessions.layerMemory())))
  )
})

it.effect("a session that is too large for its cookie stops the sign-in with the size and what to do", () =>
  Effect.gen(function* () {
    const { signIn } = yield* TestIssuer
    const browser = (yield* makeApp())()
    const groups = Array.from({ length: 200 }, (_, i) => `11111111-2222-3333-4444-${String(i).padStart(12, "0")}`)
    yield* signIn({ subject: "alice", claims: { groups } })
    const callback = yield* browser.answer(yield* browser.start())
    const exit = yield* Effect.exit(browser.visit(callback, { from: "cross-site" }))
    assert.match(String(exit), /A session does not fit into a cookie. It needs \d+ characters.*Keep fewer claims/)
    assert.notInclude(browser.cookieNames, "__Host-session")
  }).pipe(
    Effect.scoped,
    Effect.provide(
      Layer.merge(layerOf(), Sessions.layerCookie({ keys: Redacted.make("a secret of the sessions with 32 bytes") }))
    )
  )
)

test("a late answer of the session check removes no cookie, because a sign-in may have ended meanwhile", (browser, open) =>
  Effect.gen(function* () {
    const { read, destroy } = yield* Sessions
    yield* browser.signIn()
    const value = Redacted.make(browser.jar.get("__Host-session")?.value ?? "")
    assert.isTrue(Option.isSome(yield* read(value)))
    yield* destroy(value)
    const late = open()
    for (const [name, stored] of browser.jar) late.jar.set(name, stored)
    const { headers, text } = yield* late.visit("/session", { from: "same-origin", navigation: false })
    assert.deepStrictEqual(JSON.parse(text), { signedIn: false })
    assert.deepStrictEqual(headers.getSetCookie(), [])
  }))

describe("the ID token", () => {
  /** Signs in with an ID token that differs from a valid one. */
  const signInWith = (
    browser: Browser,
    options: MintOptions | ((nonce: string) => MintOptions) = {},
    path = "/login"
  ) =>
    Effect.gen(function* () {
      const { mint, respond } = yield* TestIssuer
      const address = new URL(yield* browser.start(path))
      const nonce = address.searchParams.get("nonce") ?? ""
      const { claims, ...rest } = typeof options === "function" ? options(nonce) : options
      const idToken = yield* mint({
        profile: "id-token",
        audience: "web",
        subject: "alice",
        ...rest,
        claims: { nonce, ...claims }
      })
      const body = { access_token: "access", token_type: "Bearer", expires_in: 600, id_token: idToken }
      yield* respond("token", { body: JSON.stringify(body) })
      const response = yield* browser.visit(yield* browser.answer(address.href), { from: "cross-site" })
      const check = /<code>(\w+)<\/code>/.exec(response.text)?.[1]
      return response.status === 303 ? "accepted" : (check ?? String(response.status))
    })

  test("must name this client, this issuer, this attempt and a user, and must not be expired", (browser) =>
    Effect.gen(function* () {
      const now = 1_000_000
      yield* TestClock.setTime(now * 1000)
      assert.strictEqual(yield* signInWith(browser), "accepted")
      yield* browser.signOut()
      for (const [options, check] of [
        [{ audience: "other" }, "aud"],
        [{ audience: ["web", "other"] }, "azp"],
        [{ claims: { azp: "other" } }, "azp"],
        [{ claims: { iss: "https://evil.test" } }, "iss"],
        [{ claims: { nonce: "other" } }, "nonce"],
        [{ without: ["nonce"] }, "nonce"],
        [{ without: ["sub"] }, "sub"],
        [{ without: ["exp"] }, "exp"],
        [{ without: ["iat"] }, "iat"],
        [{ claims: { exp: now - 10 } }, "exp"],
        [{ claims: { iat: now + 100 } }, "iat"],
        [{ claims: { auth_time: "yesterday" } }, "auth_time"],
        [{ claims: { at_hash: "AAAAAAAAAAAAAAAAAAAAAA" } }, "at_hash"],
        [{ claims: { events: {} } }, "events"],
        [{ header: { typ: "at+jwt" } }, "typ"]
      ] as const) {
        const outcome = yield* signInWith(browser, options)
        assert.strictEqual(outcome, check, JSON.stringify(options))
        yield* assertNotSignedIn(browser)
      }
    }))

  test("may have several audiences if azp names this client", (browser) =>
    Effect.gen(function* () {
      assert.strictEqual(yield* signInWith(browser, { audience: ["web", "other"], claims: { azp: "web" } }), "accepted")
    }))

  test("must be signed with a key of the issuer", (browser) =>
    Effect.gen(function* () {
      const key = yield* TestIssuer.makeKey("ES256-stranger", "ES256")
      assert.include(["UnknownKey", "Signature"], yield* signInWith(browser, { key }))
      yield* assertNotSignedIn(browser)
    }))

  test("must be there", (browser) =>
    Effect.gen(function* () {
      const { respond } = yield* TestIssuer
      const callback = yield* browser.answer(yield* browser.start())
      yield* respond("token", { body: JSON.stringify({ access_token: "a", token_type: "Bearer" }) })
      assert.include((yield* browser.visit(callback, { from: "cross-site" })).text, "<code>id_token</code>")
    }))

  test("must have a recent auth_time if the link asked for max_age", (browser) =>
    Effect.gen(function* () {
      const now = 1_000_000
      yield* TestClock.setTime(now * 1000)
      const path = "/login?max_age=60"
      assert.strictEqual(yield* signInWith(browser, { claims: { auth_time: now - 60 } }, path), "accepted")
      assert.strictEqual(yield* signInWith(browser, { claims: { auth_time: now - 70 } }, path), "auth_time")
      assert.strictEqual(yield* signInWith(browser, { without: ["auth_time"] }, path), "auth_time")
      assert.strictEqual(yield* signInWith(browser, { claims: { auth_time: now - 70 } }), "accepted")
    }))

  test("is verified with new keys after a rotation at the issuer", (browser) =>
    Effect.gen(function* () {
      const { rotate } = yield* TestIssuer
      yield* browser.signIn()
      yield* TestClock.adjust("1 minute")
      yield* rotate("ES256")
      yield* browser.signIn()
    }))
})

describe("several providers", () => {
  const google = LoginProvider.oidc({ ...provider, issuer })
  const other = LoginProvider.oidc({ ...provider, issuer, clientId: "other" })

  test(
    "have callbacks of their own, and none accepts the response to an attempt of another",
    (browser) =>
      Effect.gen(function* () {
        assert.strictEqual((yield* browser.visit("/login")).status, 400)
        const address = new URL(yield* browser.start("/login?provider=google"))
        assert.strictEqual(address.searchParams.get("redirect_uri"), `${origin}/callback/google`)
        const callback = yield* browser.answer(address.href)
        const mixed = callback.replace("/callback/google", "/callback/other")
        assert.include((yield* browser.visit(mixed, { from: "cross-site" })).text, "<code>provider</code>")
        assert.strictEqual((yield* requestsAt("token")).length, 0)
        yield* browser.signIn("/login?provider=other")
      }),
    { provider: { google, other } },
    { clients: ["web", "other"].map((clientId) => ({ clientId, clientSecret: "the secret of web" })) }
  )
})

describe("the options of a login", () => {
  const build = (options: Partial<LoginOptions>, name = "session") =>
    Effect.gen(function* () {
      const exit = yield* Login.layer(name, { ...loginOptions, ...options }).pipe(
        Layer.provideMerge(HttpRouter.layer),
        Layer.build,
        Effect.scoped,
        Effect.exit
      )
      return Exit.isSuccess(exit) ? "success" : Cause.pretty(exit.cause)
    }).pipe(Effect.provide(Layer.merge(layerOf(), Sessions.layerMemory())))

  it.effect("are checked at start-up", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* build({}), "success")
      assert.strictEqual(
        yield* build({ baseUrl: "http://localhost:3000", localDevelopment: true, prefix: "/auth" }),
        "success"
      )
      for (const [options, message] of [
        [
          { baseUrl: "http://localhost:3000" },
          "baseUrl must be https. On your own machine, set localDevelopment: true"
        ],
        [{ baseUrl: "http://app.test", localDevelopment: true }, "baseUrl must be an https URL"],
        [{ baseUrl: "https://app.test/app" }, "baseUrl must be an origin without a path"],
        [{ secret: Redacted.make("short") }, "secret must be a Redacted text of at least 32 bytes"],
        [{ secret: [] as never }, "secret must be"],
        [{ prefix: "/a/" as const }, "prefix must be a path"],
        [{ afterLogin: "https://evil.test" }, "afterLogin must be a path of this app"],
        [{ afterLogout: "//evil.test" }, "afterLogout must be a path of this app"],
        [{ provider: {} }, "provider must be a provider"],
        [{ provider: { a: provider, b: provider } }, "provider must name each client of an issuer once"],
        [
          { provider: { ...provider, authentication: ClientAuthentication.none } },
          "provider must have an authentication"
        ],
        [{ cookieMaxAge: "1 second" }, "cookieMaxAge must be a duration"]
      ] as const) {
        assert.include(yield* build(options), message)
      }
      assert.include(yield* build({}, "a;b"), "name must have letters")
    })
  )

  test(
    "without https, names the cookies without the prefix, for a machine of a developer",
    (browser) =>
      Effect.gen(function* () {
        const { headers } = yield* browser.visit("/login")
        assert.match(headers.getSetCookie()[0] ?? "", /^session\.login\.[^;]+; Max-Age=600; Path=\/; .*HttpOnly/)
        assert.notInclude(headers.getSetCookie()[0], "Secure")
      }),
    { baseUrl: "http://localhost:3000", localDevelopment: true }
  )

  test(
    "give the app its own pages, cookie lifetime, prefix, and claims",
    (browser) =>
      Effect.gen(function* () {
        const { signIn } = yield* TestIssuer
        yield* signIn({ subject: "alice", claims: { email: "alice@example.com", phone: "1" } })
        const response = yield* browser.visit(yield* browser.answer(yield* browser.start("/auth/login")), {
          from: "cross-site"
        })
        assert.strictEqual(response.location, "/home")
        assert.strictEqual(browser.jar.get("__Host-session")?.attributes.get("max-age"), "3600")
        const session = yield* browser.visit("/auth/session", { from: "same-origin", navigation: false })
        assert.deepStrictEqual(JSON.parse(session.text).claims, { email: "alice@example.com" })
        assert.strictEqual(yield* text("/auth/callback")(browser), "BadRequest 400 /auth/login")
      }),
    {
      prefix: "/auth",
      cookieMaxAge: "1 hour",
      afterLogin: "/home",
      claims: ["email"],
      problemPage: ({ reason, retryPath, status }) =>
        Effect.succeed(HttpServerResponse.text(`${reason} ${status} ${retryPath}`))
    },
    { clients: [{ clientId: "web", clientSecret: "the secret of web" }] }
  )
})

it.effect("is public for OAuth2.secured, and is not in OpenAPI documents", () =>
  Effect.gen(function* () {
    let paths: ReadonlyArray<string> = []
    const Routes = Layer.merge(
      HttpRouter.add("GET", "/health", HttpServerResponse.empty()).pipe(OAuth2.Public("health check")),
      Login.layer("session", loginOptions)
    ).pipe(
      OAuth2.secured,
      OpenApiSecurity.documented({ info: { title: "App", version: "1" } }, (document: OpenApi.OpenAPISpec) => {
        paths = Object.keys(document.paths)
        return Layer.empty
      })
    )
    yield* HttpRouter.toHttpEffect(Routes)
    assert.deepStrictEqual(paths, ["/health"])
  }).pipe(Effect.scoped, Effect.provide(Layer.merge(layerOf(), Sessions.layerMemory())))
)
