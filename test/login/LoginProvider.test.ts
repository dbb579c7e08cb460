// Signing in at each provider, with responses of the shapes that the provider sends.
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { HttpClient, HttpClientRequest, HttpClientResponse } from "effect/http"
import { ClientAuthentication } from "effect-oauth2/client"
import { type LoginOptions, LoginProvider, Sessions } from "effect-oauth2/login"
import { TestIssuer } from "effect-oauth2/testing"
import { TestClock } from "effect/testing"
import * as Jose from "jose"
import { type Browser, makeApp } from "../support/loginApp.ts"
import { layerOf } from "../support/testIssuers.ts"

const authentication = ClientAuthentication.secret(Redacted.make("secret"), "client_secret_post")
const registration = { clientId: "web", authentication }
const now = 1_780_000_000

interface World {
  readonly provider: LoginOptions["provider"]
  /** Issuer of the test issuer. */
  readonly issuer: string
  /** Changes requests to what the test issuer serves. */
  readonly rewrite?: (url: string) => string
  /** Members of the metadata. `undefined` removes one. */
  readonly metadata?: Readonly<Record<string, unknown>>
}

/** Runs a test of one provider. The test issuer plays the provider. */
const test = (
  name: string,
  { issuer, metadata, provider, rewrite = (url) => url }: World,
  body: (browser: Browser) => Effect.Effect<void, unknown, TestIssuer | HttpClient.HttpClient | Sessions>,
  options: Partial<LoginOptions> = {}
) =>
  it.effect(name, () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(now * 1000)
      const client = HttpClient.mapRequest(yield* HttpClient.HttpClient, (request) =>
        HttpClientRequest.setUrl(request, rewrite(request.url))
      )
      const open = yield* Effect.provideService(makeApp({ provider, ...options }), HttpClient.HttpClient, client)
      yield* body(open())
    }).pipe(
      Effect.scoped,
      Effect.provide(
        Layer.merge(
          layerOf({ issuer, metadata: { authorization_response_iss_parameter_supported: false, ...metadata } }),
          Sessions.layerMemory()
        )
      )
    )
  )

interface Answers {
  /** Claims of the ID token. */
  readonly claims: Readonly<Record<string, unknown>>
  /** Members of the token response. */
  readonly token?: Readonly<Record<string, unknown>>
  /** Parameters of the authorization response. */
  readonly response?: Readonly<Record<string, string>>
  readonly subject?: string
  readonly form?: boolean
}

/** Signs in with the given answers. Returns the last response, and the query of the authorization request. */
const signIn = (
  browser: Browser,
  { claims, form = false, response = {}, subject = "10769150350006150715113082367", token }: Answers
) =>
  Effect.gen(function* () {
    const { mint, respond } = yield* TestIssuer
    const address = new URL(yield* browser.start())
    const query = Object.fromEntries(address.searchParams)
    const idToken = yield* mint({
      profile: "id-token",
      audience: "web",
      subject,
      claims: { nonce: query["nonce"], ...claims },
      lifetime: "1 hour"
    })
    const body = { access_token: "access", expires_in: 3599, token_type: "Bearer", id_token: idToken, ...token }
    yield* respond("token", { status: 200, body: JSON.stringify(body) })
    const parameters = { code: "4/0AX4XfWh", state: query["state"] ?? "", ...response }
    const done = form
      ? yield* browser.visit("/callback", { form: parameters, from: "cross-site", headers: { origin: address.origin } })
      : yield* browser.visit(`/callback?${new URLSearchParams(parameters).toString()}`, { from: "cross-site" })
    return { done, query, address }
  })

const claimsOf = (browser: Browser) =>
  Effect.map(browser.session, (session) => session["claims"] as Readonly<Record<string, unknown>>)

/** The session of a browser, as the store has it. */
const sessionOf = (browser: Browser) =>
  Effect.gen(function* () {
    const { read } = yield* Sessions
    return yield* Effect.flatMap(read(Redacted.make(browser.jar.get("__Host-session")?.value ?? "")), Effect.fromOption)
  })

describe("Google", () => {
  const issuer = "https://accounts.google.com"
  const recorded = {
    azp: "web",
    hd: "example.com",
    email: "alice@example.com",
    email_verified: true,
    name: "Alice Example",
    picture: "https://lh3.googleusercontent.com/a-/AOh14Gi0DgItGDTATTFV6lPiVrqtja6RZ_qrY91zg",
    given_name: "Alice",
    family_name: "Example"
  }
  const token = {
    scope:
      "openid https://www.googleapis.com/auth/userinfo.email https://www.googleapis.com/auth/userinfo.profile https://www.googleapis.com/auth/calendar"
  }

  test(
    "asks for a refresh token by access_type and prompt, and gives scopes their short names",
    { issuer, provider: LoginProvider.google({ ...registration, offline: true, hostedDomain: "example.com" }) },
    (browser) =>
      Effect.gen(function* () {
        const { done, query } = yield* signIn(browser, { claims: recorded, token })
        assert.strictEqual(done.status, 303, done.text)
        assert.deepStrictEqual(
          [query["access_type"], query["prompt"], query["hd"], query["scope"]],
          ["offline", "consent", "example.com", "openid profile email"]
        )
        assert.strictEqual((yield* claimsOf(browser))["email"], "alice@example.com")
        const { scopes } = yield* sessionOf(browser)
        assert.deepStrictEqual(scopes, ["openid", "email", "profile", "https://www.googleapis.com/auth/calendar"])
      })
  )

  test(
    "refuses an account of another domain, whatever the parameter says",
    { issuer, provider: LoginProvider.google({ ...registration, hostedDomain: "example.com" }) },
    (browser) =>
      Effect.gen(function* () {
        for (const hd of ["evil.test", undefined]) {
          const { done } = yield* signIn(browser, { claims: { ...recorded, hd } })
          assert.strictEqual(done.status, 403)
          assert.include(done.text, "<code>hd</code>")
        }
        assert.deepStrictEqual(yield* browser.session, { signedIn: false })
      })
  )

  test(
    "accepts the issuer without https, which Google writes, too, and ends sessions of the app only",
    { issuer, provider: LoginProvider.google(registration), metadata: { end_session_endpoint: undefined } },
    (browser) =>
      Effect.gen(function* () {
        const { done, query } = yield* signIn(browser, { claims: { ...recorded, iss: "accounts.google.com" } })
        assert.strictEqual(done.status, 303, done.text)
        assert.isUndefined(query["access_type"])
        assert.strictEqual((yield* browser.session)["issuer"], issuer)
        const signedOut = yield* browser.signOut()
        assert.deepStrictEqual([signedOut.status, signedOut.location], [303, "/"])
        assert.deepStrictEqual(yield* browser.session, { signedIn: false })
      })
  )
})

describe("Entra ID", () => {
  const tenant = "11111111-2222-3333-4444-555555555555"
  const other = "99999999-2222-3333-4444-555555555555"
  const issuerOf = (tenant: string) => `https://login.microsoftonline.com/${tenant}/v2.0`
  const recorded = {
    ver: "2.0",
    tid: tenant,
    oid: "00000000-0000-0000-66f3-3332eca7ea81",
    name: "Alice Example",
    preferred_username: "alice@example.com",
    uti: "fXZ9lxXTM0ev0",
    rh: "0.AXkA",
    login_hint: "O.CiQwMDAw",
    sid: "001f1f3a",
    _claim_names: { groups: "src1" },
    _claim_sources: { src1: { endpoint: "https://graph.microsoft.com/v1.0/users/x/getMemberObjects" } }
  }
  const subject = "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ"

  test(
    "has oid as the subject, whose issuer names the tenant, and gives a logout hint",
    { issuer: issuerOf(tenant), provider: LoginProvider.entra({ ...registration, tenant }) },
    (browser) =>
      Effect.gen(function* () {
        const { done, query } = yield* signIn(browser, { claims: recorded, subject, token: { ext_expires_in: 3599 } })
        assert.strictEqual(done.status, 303, done.text)
        assert.strictEqual(query["scope"], "openid profile email offline_access")
        const session = yield* browser.session
        assert.deepStrictEqual([session["issuer"], session["subject"]], [issuerOf(tenant), recorded.oid])
        // A user with too many groups has the address of the list instead. Your app sees that, and asks.
        const kept = yield* claimsOf(browser)
        assert.deepStrictEqual(kept["_claim_names"], { groups: "src1" })
        assert.deepStrictEqual(kept["_claim_sources"], recorded._claim_sources)
        const { location } = yield* browser.signOut()
        assert.strictEqual(new URL(location).searchParams.get("logout_hint"), "O.CiQwMDAw")
      })
  )

  const base = "https://login.microsoftonline.com/organizations"
  const many = {
    issuer: issuerOf(tenant),
    provider: LoginProvider.entra({ ...registration, tenants: [tenant] }),
    rewrite: (url: string) =>
      url
        .replace(`${base}/oauth2/v2.0/token`, `${issuerOf(tenant)}/token`)
        .replace(`${base}/discovery/v2.0/keys`, `${issuerOf(tenant)}/jwks`)
  }

  test(
    "signs in people of the listed tenants at the endpoint for organizations, and ends their sessions by sid",
    many,
    (browser) =>
      Effect.gen(function* () {
        const { address, done } = yield* signIn(browser, { claims: recorded, subject })
        assert.strictEqual(address.origin + address.pathname, `${base}/oauth2/v2.0/authorize`)
        assert.strictEqual(done.status, 303, done.text)
        assert.strictEqual((yield* browser.session)["issuer"], issuerOf(tenant))
        const query = new URLSearchParams({ iss: issuerOf(tenant), sid: "001f1f3a" }).toString()
        const { status } = yield* browser.visit(`/frontchannel-logout?${query}`, { from: "cross-site" })
        assert.strictEqual(status, 200)
        assert.deepStrictEqual(yield* browser.session, { signedIn: false })
        const evil = new URLSearchParams({ iss: "https://evil.test", sid: "001f1f3a" }).toString()
        assert.strictEqual((yield* browser.visit(`/frontchannel-logout?${evil}`)).status, 400)
      }),
    { frontChannelLogout: true }
  )

  test("refuses people of other tenants, and a tenant that the issuer does not name", many, (browser) =>
    Effect.gen(function* () {
      for (const claims of [
        { ...recorded, tid: other, iss: issuerOf(other) },
        { ...recorded, tid: other },
        { ...recorded, iss: issuerOf(other) },
        { ...recorded, tid: undefined },
        { ...recorded, iss: issuerOf("{tenantid}") },
        // Tokens of version 1 have this issuer.
        { ...recorded, ver: "1.0", iss: `https://sts.windows.net/${tenant}/` }
      ]) {
        const { done } = yield* signIn(browser, { claims, subject })
        assert.strictEqual(done.status, 403)
        assert.include(done.text, "<code>iss</code>")
      }
    })
  )

  it("accepts only GUIDs as tenants", () => {
    for (const options of [{ tenant: "common" }, { tenants: ["organizations"] }, { tenants: undefined as never }]) {
      assert.throws(() => LoginProvider.entra({ ...registration, ...options }), "which is a GUID")
    }
  })
})

describe("GitHub", () => {
  const user = {
    login: "octocat",
    id: 583231,
    node_id: "MDQ6VXNlcjU4MzIzMQ==",
    avatar_url: "https://avatars.githubusercontent.com/u/583231",
    type: "User",
    name: "The Octocat",
    email: "unverified@example.com"
  }
  const emails = [
    { email: "old@example.com", primary: false, verified: true, visibility: null },
    { email: "octocat@example.com", primary: true, verified: true, visibility: "public" },
    { email: "new@example.com", primary: false, verified: false, visibility: null }
  ]
  const formType = "application/x-www-form-urlencoded; charset=utf-8"
  const success = [
    "access_token=gho_16C7e42F292c6912E7710c838347Ae178B4a&scope=read%3Auser%2Cuser%3Aemail&token_type=bearer",
    formType
  ]

  type Answer = readonly [body: string, type?: string, status?: number]

  const github = (
    name: string,
    given: Readonly<Record<string, Answer>>,
    body: (
      browser: Browser,
      requests: Array<HttpClientRequest.HttpClientRequest>,
      answers: Record<string, Answer>
    ) => Effect.Effect<void, unknown, HttpClient.HttpClient>
  ) =>
    it.effect(name, () =>
      Effect.gen(function* () {
        const answers = { ...given }
        const requests: Array<HttpClientRequest.HttpClientRequest> = []
        const client = HttpClient.make((request, url) => {
          requests.push(request)
          const [body, type = "application/json", status = 200] = answers[url.origin + url.pathname] ?? ["", "", 404]
          const response = new Response(body, { status, headers: { "content-type": type } })
          return Effect.succeed(HttpClientResponse.fromWeb(request, response))
        })
        const open = yield* makeApp({ provider: LoginProvider.github(registration) }).pipe(
          Effect.provideService(HttpClient.HttpClient, client)
        )
        yield* Effect.provideService(body(open(), requests, answers), HttpClient.HttpClient, client)
      }).pipe(Effect.scoped, Effect.provide(Sessions.layerMemory()))
    )

  const token = "https://github.com/login/oauth/access_token"
  const api = "https://api.github.com"
  const finish = (browser: Browser, more: Readonly<Record<string, string>> = {}) =>
    Effect.gen(function* () {
      const address = new URL(yield* browser.start())
      assert.strictEqual(address.origin + address.pathname, "https://github.com/login/oauth/authorize")
      assert.isFalse(address.searchParams.has("nonce"))
      assert.strictEqual(address.searchParams.get("code_challenge_method"), "S256")
      const state = address.searchParams.get("state") ?? ""
      const query = new URLSearchParams({ code: "5a1b", state, ...more })
      return yield* browser.visit(`/callback?${query.toString()}`, { from: "cross-site" })
    })
  const parametersOf = ({ body }: HttpClientRequest.HttpClientRequest) =>
    Object.fromEntries(new URLSearchParams(body._tag === "Uint8Array" ? new TextDecoder().decode(body.body) : ""))

  for (const [kind, answer] of [
    ["a form", success],
    ["JSON", ['{"access_token":"gho_16C7","scope":"read:user,user:email","token_type":"bearer"}']]
  ] as const) {
    github(
      `reads a token response that is ${kind}, and takes the number and the verified address from the API`,
      {
        [token]: answer as unknown as readonly [string],
        [`${api}/user`]: [JSON.stringify(user)],
        [`${api}/user/emails`]: [JSON.stringify(emails)]
      },
      (browser, requests) =>
        Effect.gen(function* () {
          const done = yield* finish(browser)
          assert.strictEqual(done.status, 303, done.text)
          const session = yield* browser.session
          assert.deepStrictEqual([session["issuer"], session["subject"]], ["https://github.com/login/oauth", "583231"])
          assert.deepStrictEqual(session["claims"], {
            sub: "583231",
            preferred_username: "octocat",
            name: "The Octocat",
            picture: user.avatar_url,
            email: "octocat@example.com",
            email_verified: true
          })
          assert.strictEqual(requests[0]?.headers["accept"], "application/json")
          for (const { headers } of requests.slice(1)) {
            assert.match(headers["authorization"] ?? "", /^Bearer gho_/)
            assert.isDefined(headers["user-agent"])
          }
          // There is no end session endpoint, and no metadata is asked for one.
          assert.strictEqual((yield* browser.signOut()).location, "/")
          assert.strictEqual(requests.length, 3)
        })
    )
  }

  for (const [kind, status, answer] of [
    [
      "a form",
      400,
      ["error=bad_verification_code&error_description=The+code+passed+is+incorrect+or+expired.", formType]
    ],
    [
      "JSON",
      502,
      ['{"error":"incorrect_client_credentials","error_description":"inner","error_uri":"https://docs.github.com"}']
    ]
  ] as const) {
    github(`reads an error with status 200 that is ${kind}`, { [token]: answer }, (browser) =>
      Effect.gen(function* () {
        const done = yield* finish(browser)
        assert.strictEqual(done.status, status)
        assert.notInclude(done.text, "inner")
        assert.deepStrictEqual(yield* browser.session, { signedIn: false })
      })
    )
  }

  github(
    "compares iss of the response, which GitHub writes with the path of the endpoints",
    { [token]: success as unknown as Answer, [`${api}/user`]: [JSON.stringify(user)] },
    (browser) =>
      Effect.gen(function* () {
        for (const iss of ["https://github.com", "https://evil.test/login/oauth"]) {
          const refused = yield* finish(browser, { iss })
          assert.include(refused.text, "<code>iss</code>")
        }
        assert.strictEqual((yield* finish(browser, { iss: "https://github.com/login/oauth" })).status, 303)
      })
  )

  github(
    "keeps the token of an OAuth App, which does not expire",
    { [token]: success as unknown as Answer, [`${api}/user`]: [JSON.stringify(user)] },
    (browser, requests) =>
      Effect.gen(function* () {
        yield* finish(browser)
        const { length } = requests
        for (let day = 0; day < 6; day++) {
          yield* TestClock.adjust("23 hours")
          assert.strictEqual(yield* browser.token, "gho_16C7e42F292c6912E7710c838347Ae178B4a")
        }
        assert.strictEqual(requests.length, length)
      })
  )

  github(
    "renews the token of a GitHub App with each refresh token once, and ends the session if the token is dead",
    {
      [token]: [
        "access_token=ghu_1&expires_in=28800&refresh_token=ghr_1&refresh_token_expires_in=15897600&scope=&token_type=bearer",
        formType
      ],
      [`${api}/user`]: [JSON.stringify(user)]
    },
    (browser, requests, answers) =>
      Effect.gen(function* () {
        assert.strictEqual((yield* finish(browser)).status, 303)
        const used = () => requests.flatMap((request) => parametersOf(request)["refresh_token"] ?? [])
        yield* TestClock.adjust("7 hours")
        assert.strictEqual(yield* browser.token, "ghu_1")
        assert.deepStrictEqual(used(), [])
        answers[token] = [
          '{"access_token":"ghu_2","expires_in":28800,"refresh_token":"ghr_2","refresh_token_expires_in":15897600,"scope":"","token_type":"bearer"}'
        ]
        yield* TestClock.adjust("1 hour")
        assert.deepStrictEqual([yield* browser.token, yield* browser.token], ["ghu_2", "ghu_2"])
        answers[token] = ["error=bad_refresh_token&error_description=The+refresh+token+is+incorrect", formType]
        yield* TestClock.adjust("8 hours")
        assert.strictEqual(yield* browser.token, "ReauthenticationRequired")
        assert.deepStrictEqual(used(), ["ghr_1", "ghr_2"])
        assert.deepStrictEqual(yield* browser.session, { signedIn: false })
      })
  )

  github(
    "has no address without a verified one, or without the scope for the list",
    { [token]: success as unknown as readonly [string], [`${api}/user`]: [JSON.stringify(user)] },
    (browser) =>
      Effect.gen(function* () {
        assert.strictEqual((yield* finish(browser)).status, 303)
        assert.isUndefined((yield* claimsOf(browser))["email"])
      })
  )

  github(
    "prefers another verified address to a primary one that is not verified",
    {
      [token]: success as unknown as readonly [string],
      [`${api}/user`]: [JSON.stringify(user)],
      [`${api}/user/emails`]: [
        JSON.stringify([{ email: "evil@example.com", primary: true, verified: false }, emails[0], emails[2]])
      ]
    },
    (browser) =>
      Effect.gen(function* () {
        assert.strictEqual((yield* finish(browser)).status, 303)
        assert.strictEqual((yield* claimsOf(browser))["email"], "old@example.com")
      })
  )

  github(
    "signs nobody in if the API does not answer with an account",
    { [token]: success as unknown as readonly [string], [`${api}/user`]: ['{"id":"583231"}'] },
    (browser) =>
      Effect.gen(function* () {
        assert.strictEqual((yield* finish(browser)).status, 503)
        assert.deepStrictEqual(yield* browser.session, { signedIn: false })
      })
  )
})

describe("Auth0", () => {
  test(
    "asks for the audience, has a slash at the end of its issuer, and ends sessions at /oidc/logout",
    {
      issuer: "https://example.eu.auth0.com/",
      provider: LoginProvider.auth0({ ...registration, domain: "example.eu.auth0.com", audience: "https://api.test" }),
      // The metadata of older tenants does not name the endpoint.
      metadata: { end_session_endpoint: undefined }
    },
    (browser) =>
      Effect.gen(function* () {
        const { done, query } = yield* signIn(browser, {
          subject: "auth0|5f7c8ec7c33c6c004bbafe82",
          claims: { nickname: "alice", updated_at: "2026-11-29T10:00:00.000Z", sid: "Bq_7kA0cFkFJtDZ3" },
          token: { scope: "openid profile email offline_access", expires_in: 86400, refresh_token: "v1.MZ" }
        })
        assert.strictEqual(done.status, 303, done.text)
        assert.strictEqual(query["audience"], "https://api.test")
        const address = new URL((yield* browser.signOut()).location)
        assert.strictEqual(address.origin + address.pathname, "https://example.eu.auth0.com/oidc/logout")
        assert.match(address.searchParams.get("id_token_hint") ?? "", /^eyJ/)
      })
  )

  it("accepts only a host name as its domain", () => {
    assert.throws(() => LoginProvider.auth0({ ...registration, domain: "https://x.auth0.com" }), "must be a host name")
  })
})

describe("Okta", () => {
  const organization = "https://example.okta.com"
  const custom = `${organization}/oauth2/default`
  const claims = { ver: 1, idp: "00o1n8sbwArJ7OQRw406", amr: ["pwd"], preferred_username: "alice@example.com" }

  test(
    "has several authorization servers, and refuses a token of one at another",
    { issuer: custom, provider: LoginProvider.oidc({ ...registration, issuer: custom }) },
    (browser) =>
      Effect.gen(function* () {
        const wrong = yield* signIn(browser, { claims: { ...claims, iss: organization } })
        assert.include(wrong.done.text, "<code>iss</code>")
        const { done } = yield* signIn(browser, { claims })
        assert.strictEqual(done.status, 303, done.text)
        assert.strictEqual((yield* browser.session)["issuer"], custom)
      })
  )
})

describe("Keycloak", () => {
  const issuer = "https://login.example.com/realms/shop"

  test(
    "checks iss of the response, and ends the session by a logout token with sid and without typ logout+jwt",
    { issuer, provider: LoginProvider.keycloak({ ...registration, url: "https://login.example.com/", realm: "shop" }) },
    (browser) =>
      Effect.gen(function* () {
        const { mintLogoutToken } = yield* TestIssuer
        const claims = {
          typ: "ID",
          azp: "web",
          sid: "b2c1a9f0-6b1e-4f0e-8c53-d2a1c6a1e111",
          acr: "1",
          auth_time: now,
          email_verified: true,
          preferred_username: "alice"
        }
        const subject = "f1c0e5b3-4c33-4b07-8a5e-0c7f9a3b1f2e"
        const wrong = yield* signIn(browser, {
          claims,
          subject,
          response: { iss: "https://login.example.com/realms/other" }
        })
        assert.include(wrong.done.text, "<code>iss</code>")
        const response = { iss: issuer, session_state: claims.sid }
        const token = {
          refresh_expires_in: 1800,
          "not-before-policy": 0,
          session_state: claims.sid,
          scope: "openid email profile"
        }
        const { done } = yield* signIn(browser, { claims, subject, response, token })
        assert.strictEqual(done.status, 303, done.text)
        const logoutToken = yield* mintLogoutToken({
          audience: "web",
          subject,
          sessionId: claims.sid,
          header: { typ: "JWT" },
          claims: { typ: "Logout", events: { "http://schemas.openid.net/event/backchannel-logout": {} } }
        })
        const { status } = yield* browser.visit("/backchannel-logout", { form: { logout_token: logoutToken } })
        assert.strictEqual(status, 200)
        assert.deepStrictEqual(yield* browser.session, { signedIn: false })
      })
  )
})

describe("Cognito", () => {
  const issuer = "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_Ab1Cd2Ef3"
  const domain = "example.auth.eu-central-1.amazoncognito.com"

  test(
    "keeps the groups of the user, and ends sessions at /logout with logout_uri",
    { issuer, provider: LoginProvider.cognito({ ...registration, issuer, domain }) },
    (browser) =>
      Effect.gen(function* () {
        const { done } = yield* signIn(browser, {
          subject: "c3f4a8d2-90b1-70c7-3b8f-1f2e3d4c5b6a",
          claims: {
            token_use: "id",
            auth_time: now,
            "cognito:groups": ["admins"],
            "cognito:username": "alice",
            email_verified: true,
            origin_jti: "7d1a4c0e-33b4-4f4c-8a21-3bb0a2a1c111"
          }
        })
        assert.strictEqual(done.status, 303, done.text)
        assert.deepStrictEqual((yield* claimsOf(browser))["cognito:groups"], ["admins"])
        const address = new URL((yield* browser.signOut()).location)
        assert.strictEqual(address.origin + address.pathname, `https://${domain}/logout`)
        assert.deepStrictEqual(Object.fromEntries(address.searchParams), {
          client_id: "web",
          logout_uri: "https://app.test/logout/callback"
        })
        assert.strictEqual((yield* browser.visit("/logout/callback", { from: "cross-site" })).location, "/")
      })
  )

  it("accepts only a host name as its domain", () => {
    assert.throws(() => LoginProvider.cognito({ ...registration, issuer, domain: "x/y" }), "must be a host name")
  })
})

describe("Apple", async () => {
  const keys = await Jose.generateKeyPair("ES256", { extractable: true })
  const privateKey = Redacted.make(await Jose.exportPKCS8(keys.privateKey))
  const provider = LoginProvider.apple({ clientId: "web", teamId: "ABCDE12345", keyId: "FGHIJ67890", privateKey })
  const world = { issuer: "https://appleid.apple.com", provider }
  const claims = {
    email: "x7c@privaterelay.appleid.com",
    email_verified: "true",
    is_private_email: "true",
    auth_time: now,
    nonce_supported: true
  }
  const subject = "001999.a1b2c3d4e5f64c5d8e7f.0123"
  const user = JSON.stringify({
    name: { firstName: "Alice", lastName: "Example" },
    email: "x7c@privaterelay.appleid.com"
  })

  test("signs in by a form of another site, with a signed secret, and turns strings into booleans", world, (browser) =>
    Effect.gen(function* () {
      const { requests } = yield* TestIssuer
      yield* browser.start()
      const [attempt = ""] = browser.cookieNames
      assert.strictEqual(browser.jar.get(attempt)?.attributes.get("samesite"), "None")
      const { done, query } = yield* signIn(browser, { claims, subject, form: true, response: { user } })
      assert.strictEqual(done.status, 303, done.text)
      assert.deepStrictEqual([query["response_mode"], query["scope"]], ["form_post", "name email"])
      const session = browser.jar.get("__Host-session")
      assert.strictEqual(session?.attributes.get("samesite"), "Lax")
      const kept = yield* claimsOf(browser)
      assert.deepStrictEqual(
        [kept["email_verified"], kept["is_private_email"], kept["name"]],
        [true, true, "Alice Example"]
      )
      const parameters = (yield* requests).findLast(({ endpoint }) => endpoint === "token")?.parameters
      const { payload, protectedHeader } = yield* Effect.promise(() =>
        Jose.jwtVerify(parameters?.["client_secret"] ?? "", keys.publicKey, { currentDate: new Date(now * 1000) })
      )
      assert.deepStrictEqual(protectedHeader, { alg: "ES256", kid: "FGHIJ67890" })
      assert.deepStrictEqual(payload, {
        iss: "ABCDE12345",
        sub: "web",
        aud: "https://appleid.apple.com",
        iat: now,
        exp: now + 300
      })
    })
  )

  test(
    "has the name only at the first sign-in, and ends the session before, whose cookie the form lacks",
    world,
    (browser) =>
      Effect.gen(function* () {
        yield* signIn(browser, { claims, subject, form: true, response: { user } })
        const first = browser.jar.get("__Host-session")
        const { done } = yield* signIn(browser, { claims: { ...claims, email_verified: "false" }, subject, form: true })
        assert.strictEqual(done.status, 303)
        const kept = yield* claimsOf(browser)
        assert.deepStrictEqual([kept["email_verified"], kept["name"]], [false, undefined])
        if (first !== undefined) browser.jar.set("__Host-session", first)
        assert.deepStrictEqual(yield* browser.session, { signedIn: false })
      })
  )

  test("takes neither a broken user nor one that replaces verified claims", world, (browser) =>
    Effect.gen(function* () {
      for (const user of ["{", "[]", '{"name":"x"}', '{"sub":"bob","email":"bob@example.com"}', "x".repeat(3000)]) {
        const { done } = yield* signIn(browser, { claims, subject, form: true, response: { user } })
        assert.strictEqual(done.status, 303, user)
        const kept = yield* claimsOf(browser)
        assert.deepStrictEqual([kept["name"], kept["email"], kept["sub"]], [undefined, claims.email, subject])
      }
    })
  )

  it.effect("needs https, because browsers send no cookie with the form of another site to a page without", () =>
    Effect.gen(function* () {
      const baseUrl = "http://localhost:3000"
      const exit = yield* Effect.exit(makeApp({ provider, baseUrl, localDevelopment: true }))
      assert.include(String(exit), "provider must not send its response as a form if baseUrl is http")
    }).pipe(Effect.scoped, Effect.provide(Layer.merge(layerOf(), Sessions.layerMemory())))
  )

  test("answers only to the form, also if the user cancelled", world, (browser) =>
    Effect.gen(function* () {
      const address = new URL(yield* browser.start())
      const state = address.searchParams.get("state") ?? ""
      assert.strictEqual((yield* browser.visit(`/callback?code=x&state=${state}`)).status, 404)
      const cancelled = yield* browser.visit("/callback", {
        form: { state, error: "user_cancelled_authorize" },
        from: "cross-site"
      })
      assert.strictEqual(cancelled.status, 403)
      assert.include(cancelled.text, "The sign-in was cancelled")
    })
  )
})
