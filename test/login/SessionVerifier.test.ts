// One requirement protects pages and API: bearer tokens, session cookies, and requests of other sites.
import { assert, describe, it } from "@effect/vitest"
import { Context, Duration, Effect, Layer, Logger, Metric, Option, Redacted, Schema } from "effect"
import { HttpRouter, HttpServer, HttpServerRequest, HttpServerResponse } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import { AccessToken, BearerToken, OAuth2, OptionalAccessToken, Requirement, TokenVerifier } from "effect-oauth2"
import { Login, type SessionData, Sessions, SessionVerifier, StoreUnavailable } from "effect-oauth2/login"
import { ReauthenticationRequired, TokenRefused, TokenUnavailable } from "effect-oauth2/client/ClientError"
import { NotSignedIn } from "effect-oauth2/login"
import { authorizationServer } from "../support/authorizationServer.ts"
import { Verifier } from "../support/TestVerifier.ts"
import { serve } from "../support/web.ts"

const data: SessionData = {
  issuer: "https://github.com",
  subject: "583231",
  sessionId: undefined,
  clientId: "web",
  claims: { login: "octocat" },
  scopes: [],
  accessToken: Redacted.make("access-of-session"),
  accessTokenExpiresAt: undefined,
  refreshToken: undefined,
  idToken: undefined,
  authenticatedAt: undefined,
  acr: undefined
}

const scopes = { "items:read": "Read your items", "items:write": "Modify your items" }
const trustedOrigins = ["https://app.example.com"]
const either = OAuth2.authorizationCode("OAuth2", {
  ...authorizationServer,
  scopes,
  responses: "rfc6750",
  session: { trustedOrigins, isPage: (path) => !path.startsWith("/api/") }
})
const only = OAuth2.session("Users", { scopes, responses: "rfc6750", trustedOrigins, csrfHeader: false })

/** The token of a session is a bearer token, which only the verifier of this test knows. */
const verifier = new Verifier({
  "access-of-session": ["items:read"],
  "bearer-token": ["items:read"],
  "access-of-admin": ["items:read", "items:write"]
})

/** Reads the access token without a refresh. */
const layerLogin = Layer.effect(
  Login,
  Effect.gen(function* () {
    const { read } = yield* Sessions
    const session = Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ cookies }) =>
      read(Redacted.make(cookies["__Host-session"] ?? ""))
    )
    return Login.of({
      cookieName: "__Host-session",
      origin: "https://app.test",
      session,
      accessToken: Effect.flatMap(
        session,
        Option.match({
          onNone: () => Effect.fail(new NotSignedIn()),
          onSome: ({ accessToken }) =>
            accessToken === undefined ? Effect.fail(new NotSignedIn()) : Effect.succeed(accessToken)
        })
      ),
      loginPath: () => "/login"
    })
  })
)

const Schemes = Layer.merge(
  either.layer(verifier.layer.pipe(SessionVerifier.accessTokens)),
  only.layer(
    SessionVerifier.layer({
      scopes: ({ claims }) => Effect.succeed(claims["login"] === "octocat" ? ["items:read"] : Object.keys(scopes))
    })
  )
).pipe(Layer.provideMerge(layerLogin))

/** Tells what the handler knows about its caller. */
const me = Effect.gen(function* () {
  const { issuer, subject } = yield* AccessToken
  const credential = Redacted.value(yield* BearerToken)
  return HttpServerResponse.jsonUnsafe({ subject, issuer, credential })
})
const maybe = Effect.map(OptionalAccessToken, (token) =>
  HttpServerResponse.text(Option.match(token, { onNone: () => "anonymous", onSome: ({ subject }) => subject }))
)

const requirements = { either, only }
type Name = keyof typeof requirements
const methods = ["GET", "POST", "HEAD"] as const

const Routes = (["either", "only"] as const)
  .flatMap((name) => {
    // Both schemes have the same scopes.
    const scheme = requirements[name] as typeof either
    return [
      HttpRouter.add("*", `/${name}`, me).pipe(scheme.require("items:read")),
      HttpRouter.add("*", `/api/${name}`, me).pipe(scheme.require("items:read")),
      HttpRouter.add("*", `/admin/${name}`, me).pipe(scheme.require("items:write")),
      HttpRouter.add("*", `/maybe/${name}`, maybe).pipe(scheme.optional())
    ]
  })
  .reduce((all, one) => Layer.merge(all, one))

const endpoint = (name: Name, prefix: "" | `/${string}`, scope: "items:read" | "items:write" | undefined) =>
  (["GET", "POST"] as const).map((method) => {
    const scheme = requirements[name] as typeof either
    const bare = HttpApiEndpoint.make(method)(`${name}${prefix}${method}`, `${prefix}/${name}` as `/${string}`)
    return scope === undefined ? bare.middleware(scheme.optional()) : bare.middleware(scheme.require(scope))
  })
const all = (["either", "only"] as const).flatMap((name) => [
  ...endpoint(name, "", "items:read"),
  ...endpoint(name, "/api", "items:read"),
  ...endpoint(name, "/admin", "items:write"),
  ...endpoint(name, "/maybe", undefined)
])
const Group = HttpApiGroup.make("all").add(...(all as unknown as [(typeof all)[number]]))
const Api = HttpApi.make("api").add(Group).pipe(OAuth2.openApi)
const Handlers = HttpApiBuilder.group(Api, "all", (handlers) => {
  let chain = handlers as unknown as { readonly handleRaw: (name: string, handler: () => unknown) => typeof chain }
  for (const { identifier } of all)
    chain = chain.handleRaw(identifier, () => (identifier.includes("/maybe") ? maybe : me))
  return chain as never
})
const ApiApp = HttpApiBuilder.layer(Api).pipe(Layer.provide(Handlers as never), Layer.provide(HttpServer.layerServices))

const apps = { HttpRouter: Routes, HttpApi: ApiApp as unknown as typeof Routes }

const start = (app: typeof Routes) =>
  Effect.gen(function* () {
    const store = yield* Layer.build(Sessions.layerMemory())
    const sessions = Context.get(store, Sessions)
    const send = yield* serve(app.pipe(Layer.provide(Schemes), Layer.provide(Layer.succeedContext(store))))
    const cookieOf = (more: Partial<SessionData> = {}) =>
      Effect.map(sessions.create({ ...data, ...more }), (cookie) => `__Host-session=${Redacted.value(cookie)}`)
    return { send, sessions, cookieOf }
  })

const host = { host: "app.test" }
const script = { "sec-fetch-site": "same-origin", "sec-fetch-mode": "cors", "sec-fetch-dest": "empty", "x-csrf": "1" }
const navigation = { "sec-fetch-site": "none", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document" }
const without = (headers: Readonly<Record<string, string>>, ...names: ReadonlyArray<string>) =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => !names.includes(name)))

type Row = readonly [
  name: string,
  method: (typeof methods)[number],
  headers: Readonly<Record<string, string>>,
  either: number,
  only: number
]

/** Requests with a session cookie, and their statuses for a scheme with the static header, and without it. */
const rows: ReadonlyArray<Row> = [
  ["a script of the app reads", "GET", script, 200, 200],
  ["a script of the app writes", "POST", { ...script, origin: "https://app.test" }, 200, 200],
  ["a script of the app reads without the static header", "GET", without(script, "x-csrf"), 400, 200],
  ["a script of the app writes without the static header", "POST", without(script, "x-csrf"), 400, 200],
  ["the static header has another value", "GET", { ...script, "x-csrf": "0" }, 400, 200],
  ["a script of another site reads", "GET", { ...script, "sec-fetch-site": "cross-site" }, 400, 400],
  ["a script of another site writes", "POST", { ...script, "sec-fetch-site": "cross-site" }, 400, 400],
  ["a script of a sibling domain reads", "GET", { ...script, "sec-fetch-site": "same-site" }, 400, 400],
  [
    "a script of a trusted origin writes",
    "POST",
    { ...script, "sec-fetch-site": "same-site", origin: "https://app.example.com" },
    200,
    200
  ],
  [
    "a script of another origin writes, without Sec-Fetch",
    "POST",
    { "x-csrf": "1", origin: "https://evil.test" },
    400,
    400
  ],
  [
    "a script of another origin reads, without Sec-Fetch",
    "GET",
    { "x-csrf": "1", origin: "https://evil.test" },
    400,
    400
  ],
  ["a sandboxed page writes", "POST", { "x-csrf": "1", origin: "null" }, 400, 400],
  ["an unknown client writes with the static header", "POST", { "x-csrf": "1" }, 200, 400],
  ["an unknown client writes without any header", "POST", {}, 400, 400],
  ["an unknown client reads without any header", "GET", {}, 400, 200],
  ["a browser opens a page by its address", "GET", navigation, 200, 200],
  ["a browser follows a link of another site", "GET", { ...navigation, "sec-fetch-site": "cross-site" }, 200, 200],
  ["an old browser opens a page", "GET", { accept: "text/html,*/*" }, 200, 200],
  [
    "a page of another site has the page in a frame",
    "GET",
    { ...navigation, "sec-fetch-site": "cross-site", "sec-fetch-dest": "iframe" },
    400,
    400
  ],
  [
    "a form of the app is sent",
    "POST",
    { ...navigation, "sec-fetch-site": "same-origin", origin: "https://app.test" },
    200,
    200
  ],
  [
    "a form of a page of the app with the policy no-referrer is sent",
    "POST",
    { ...navigation, "sec-fetch-site": "same-origin", origin: "null" },
    200,
    200
  ],
  ["a script of such a page writes", "POST", { ...script, origin: "null" }, 200, 200],
  [
    "a form of a sandboxed page of another site is sent",
    "POST",
    { ...navigation, "sec-fetch-site": "cross-site", origin: "null" },
    400,
    400
  ],
  [
    "a form of a page without an origin is sent by an old browser",
    "POST",
    { accept: "text/html", origin: "null" },
    400,
    400
  ],
  [
    "a form of another site is sent",
    "POST",
    { ...navigation, "sec-fetch-site": "cross-site", origin: "https://evil.test" },
    400,
    400
  ],
  [
    "a form of another site is sent by an old browser",
    "POST",
    { accept: "text/html", origin: "https://evil.test" },
    400,
    400
  ],
  [
    "a form of the app is sent by an old browser",
    "POST",
    { accept: "text/html", origin: "https://app.test" },
    200,
    200
  ],
  ["a form is sent by a browser that names no origin", "POST", { accept: "text/html" }, 400, 400],
  ["a WebSocket of the app opens", "GET", { upgrade: "websocket", origin: "https://app.test" }, 200, 200],
  [
    "a WebSocket of another site opens",
    "GET",
    { upgrade: "websocket", origin: "https://evil.test", ...script },
    400,
    400
  ],
  ["a WebSocket without an origin opens", "GET", { upgrade: "websocket", ...script }, 400, 400]
].map((row) =>
  row[0] === "a WebSocket of the app opens" ? (row.with(3, 200) as unknown as Row) : (row as unknown as Row)
)

for (const [kind, app] of Object.entries(apps)) {
  describe(`a request with a session cookie to ${kind}`, () => {
    for (const [name, method, headers, ...statuses] of rows) {
      it.live(`${statuses.join(" or ")}: ${name}`, () =>
        Effect.gen(function* () {
          const { cookieOf, send } = yield* start(app)
          const cookie = yield* cookieOf()
          for (const [i, scheme] of (["either", "only"] as const).entries()) {
            const answer = yield* send(`/${scheme}`, undefined, { method, headers: { ...host, ...headers, cookie } })
            assert.strictEqual(answer.status, statuses[i], scheme)
            assert.isNull(answer.headers.get("location"))
          }
        }).pipe(Effect.scoped)
      )
    }

    it.live("400: the cookie and a bearer token, each of which is valid alone", () =>
      Effect.gen(function* () {
        const { cookieOf, send } = yield* start(app)
        const cookie = yield* cookieOf()
        const both = yield* send("/either", "bearer-token", { headers: { ...host, ...script, cookie } })
        assert.strictEqual(both.status, 400)
        assert.include(both.challenge ?? "", 'error="invalid_request"')
        const bearer = yield* send("/either", "bearer-token", { headers: { ...host, "sec-fetch-site": "cross-site" } })
        assert.deepStrictEqual([bearer.status, JSON.parse(bearer.body).credential], [200, "bearer-token"])
        const basic = yield* send("/either", undefined, {
          headers: { ...host, ...script, cookie, authorization: "Basic YTpi" }
        })
        assert.strictEqual(basic.status, 400)
        // The scheme without bearer tokens does not read the header.
        assert.strictEqual(
          (yield* send("/only", "bearer-token", { headers: { ...host, ...script, cookie } })).status,
          200
        )
      }).pipe(Effect.scoped)
    )

    it.live("400: two cookies of the name, which another host may have planted", () =>
      Effect.gen(function* () {
        const { cookieOf, send } = yield* start(app)
        const cookie = `${yield* cookieOf()}; ${yield* cookieOf()}`
        assert.strictEqual((yield* send("/either", undefined, { headers: { ...host, ...script, cookie } })).status, 400)
      }).pipe(Effect.scoped)
    )

    it.live("the handler gets the access token of the session, or its identity, and never the cookie", () =>
      Effect.gen(function* () {
        const { cookieOf, send, sessions } = yield* start(app)
        const cookie = yield* cookieOf()
        const value = cookie.slice("__Host-session=".length)
        const session = Option.getOrThrow(yield* sessions.read(Redacted.make(value)))
        const [a, b] = yield* Effect.all(
          ["/either", "/only"].map((path) => send(path, undefined, { headers: { ...host, ...script, cookie } }))
        )
        assert.deepStrictEqual(JSON.parse(a?.body ?? ""), {
          subject: "access-of-session",
          issuer: "https://idp.example.com",
          credential: "access-of-session"
        })
        assert.deepStrictEqual(JSON.parse(b?.body ?? ""), {
          subject: "583231",
          issuer: "https://github.com",
          credential: session.id
        })
        assert.notInclude(value, session.id)
      }).pipe(Effect.scoped)
    )

    it.live("403: scopes are those of the access token, or of the app's policy", () =>
      Effect.gen(function* () {
        const { cookieOf, send } = yield* start(app)
        const user = yield* cookieOf()
        const admin = yield* cookieOf({
          claims: { login: "root" },
          accessToken: Redacted.make("access-of-admin")
        })
        for (const scheme of ["either", "only"]) {
          const [refused, accepted] = yield* Effect.all(
            [user, admin].map((cookie) =>
              send(`/admin/${scheme}`, undefined, { headers: { ...host, ...script, cookie } })
            )
          )
          assert.deepStrictEqual([refused?.status, accepted?.status], [403, 200])
          // A page does not send the user to the login in circles.
          const page = yield* send(`/admin/${scheme}`, undefined, { headers: { ...host, ...navigation, cookie: user } })
          assert.deepStrictEqual([page.status, page.headers.get("location")], [403, null])
        }
      }).pipe(Effect.scoped)
    )

    it.live("without a session, a browser that opens a page goes to the login, and a script gets 401", () =>
      Effect.gen(function* () {
        const { cookieOf, send, sessions } = yield* start(app)
        const ended = yield* cookieOf()
        yield* sessions.destroyBy({ issuer: data.issuer, subject: data.subject })
        for (const scheme of ["either", "only"]) {
          for (const cookie of [
            {},
            { cookie: ended },
            { cookie: "__Host-session=" },
            { cookie: "__Host-session=a b" }
          ]) {
            const to = (headers: Readonly<Record<string, string>>, path = `/${scheme}?a=1&b=2`, method = "GET") =>
              send(path, undefined, { method, headers: { ...host, ...headers, ...cookie } })
            const page = yield* to(navigation)
            assert.strictEqual(page.status, 303)
            assert.strictEqual(page.headers.get("location"), `/login?return_to=%2F${scheme}%3Fa%3D1%26b%3D2`)
            assert.strictEqual(page.headers.get("cache-control"), "no-store")
            assert.strictEqual(page.body, "")
            assert.isNull(page.challenge)
            // A store or a scheme that has no session must not log the browser out.
            assert.isNull(page.headers.get("set-cookie"))
            const fetched = yield* to(script)
            assert.deepStrictEqual([fetched.status, fetched.headers.get("location")], [401, null])
            assert.match(
              fetched.challenge ?? "",
              scheme === "either" ? /^Bearer realm="OAuth2"/ : /^APIKey realm="Users"/
            )
            const form = yield* to({ ...navigation, "sec-fetch-site": "same-origin" }, undefined, "POST")
            assert.strictEqual(form.status, 401)
            assert.strictEqual((yield* to({ ...navigation, "sec-purpose": "prefetch" })).headers.get("location"), null)
            const api = yield* to(navigation, `/api/${scheme}`)
            assert.strictEqual(api.status, scheme === "either" ? 401 : 303)
          }
        }
      }).pipe(Effect.scoped)
    )

    it.live("an ended session is anonymous where authentication is optional", () =>
      Effect.gen(function* () {
        const { cookieOf, send, sessions } = yield* start(app)
        const cookie = yield* cookieOf()
        for (const scheme of ["either", "only"]) {
          const send1 = send(`/maybe/${scheme}`, undefined, { headers: { ...host, ...navigation, cookie } })
          assert.include(["583231", "access-of-session"], (yield* send1).body)
        }
        yield* sessions.destroy(Redacted.make(cookie.slice("__Host-session=".length)))
        for (const scheme of ["either", "only"]) {
          const answer = yield* send(`/maybe/${scheme}`, undefined, { headers: { ...host, ...navigation, cookie } })
          assert.deepStrictEqual([answer.status, answer.body], [200, "anonymous"])
        }
      }).pipe(Effect.scoped)
    )

    it.live("no request passes after a logout, although its access token is still valid", () =>
      Effect.gen(function* () {
        const { cookieOf, send, sessions } = yield* start(app)
        const cookie = yield* cookieOf()
        const statuses = Effect.forEach(["/either", "/only"], (path) =>
          Effect.map(send(path, undefined, { headers: { ...host, ...script, cookie } }), ({ status }) => status)
        )
        assert.deepStrictEqual(yield* statuses, [200, 200])
        yield* sessions.destroyBy({ issuer: data.issuer, subject: data.subject })
        assert.deepStrictEqual(yield* statuses, [401, 401])
      }).pipe(Effect.scoped)
    )

    it.live("a session cookie in the Authorization header is no bearer token", () =>
      Effect.gen(function* () {
        const { cookieOf, send } = yield* start(app)
        const cookie = (yield* cookieOf()).slice("__Host-session=".length)
        assert.strictEqual((yield* send("/either", cookie, { headers: host })).status, 401)
        assert.strictEqual((yield* send("/only", cookie, { headers: host })).status, 401)
      }).pipe(Effect.scoped)
    )
  })
}

describe("a request with the cookie, by its method, Sec-Fetch-Site, Origin and X-CSRF", () => {
  const unsafe = ["POST", "PUT", "PATCH", "DELETE"] as const
  const safe = ["GET", "HEAD", "OPTIONS"] as const
  const sites = [undefined, "same-origin", "same-site", "cross-site", "none"] as const
  const origins = [undefined, "https://app.test", "https://app.example.com", "https://evil.test", "null"] as const
  const values = [undefined, "1", "0"] as const
  const modes = {
    script: { "sec-fetch-mode": "cors", "sec-fetch-dest": "empty" },
    page: { "sec-fetch-mode": "navigate", "sec-fetch-dest": "document" }
  } as const

  /** What a reader of the documentation expects, written without the code. */
  const expected = (
    scheme: Name,
    method: string,
    mode: keyof typeof modes,
    site: (typeof sites)[number],
    origin: (typeof origins)[number],
    csrf: (typeof values)[number]
  ): boolean => {
    const isSafeMethod = (safe as ReadonlyArray<string>).includes(method)
    // A link of any site may lead to a page.
    if (isSafeMethod && mode === "page") return true
    // A page of the app with the policy `no-referrer` sends no other origin, and the browser vouches for the page.
    const isUnnamed = origin === "null" && site === "same-origin"
    if (origin === "https://evil.test" || (origin === "null" && !isUnnamed)) return false
    // The operator has named this origin, so its site does not matter.
    const isTrusted = origin === "https://app.example.com"
    if (!isTrusted && site !== undefined && site !== "same-origin") return false
    const isProven = origin !== undefined || site === "same-origin"
    if (mode === "page") return isProven || (scheme === "either" && csrf === "1")
    return scheme === "either" ? csrf === "1" : isProven || isSafeMethod
  }

  for (const method of [...safe, ...unsafe]) {
    it.live(`${method} passes if and only if the documentation says so`, () =>
      Effect.gen(function* () {
        const { cookieOf, send } = yield* start(Routes)
        const cookie = yield* cookieOf()
        let accepted = 0
        for (const scheme of ["either", "only"] as const) {
          for (const mode of ["script", "page"] as const) {
            for (const site of sites) {
              for (const origin of origins) {
                for (const csrf of values) {
                  const headers = {
                    ...host,
                    ...modes[mode],
                    ...(site !== undefined && { "sec-fetch-site": site }),
                    ...(origin !== undefined && { origin }),
                    ...(csrf !== undefined && { "x-csrf": csrf }),
                    cookie
                  }
                  const { status } = yield* send(`/${scheme}`, undefined, { method, headers })
                  const isExpected = expected(scheme, method, mode, site, origin, csrf)
                  const text = JSON.stringify([scheme, mode, site, origin, csrf])
                  assert.strictEqual(status, isExpected ? 200 : 400, text)
                  if (isExpected) accepted++
                }
              }
            }
          }
        }
        assert.isAbove(accepted, 0)
      }).pipe(Effect.scoped)
    )
  }

  it.live(
    "a bearer token needs none of these headers, and a request without credentials gets 401 for all of them",
    () =>
      Effect.gen(function* () {
        const { send } = yield* start(Routes)
        for (const method of [...safe, ...unsafe]) {
          const headers = { ...host, ...modes.script, "sec-fetch-site": "cross-site", origin: "https://evil.test" }
          assert.strictEqual((yield* send("/either", "bearer-token", { method, headers })).status, 200)
          assert.strictEqual((yield* send("/either", undefined, { method, headers })).status, 401)
        }
      }).pipe(Effect.scoped)
  )
})

describe("a session in an outage", () => {
  const failing = (failure: Effect.Effect<never, Effect.Error<Login["Service"]["accessToken"]>>) =>
    Effect.gen(function* () {
      const unavailable = Effect.fail(
        new StoreUnavailable({ store: "SessionStore", reason: "Timeout", retryAfter: Duration.seconds(3) })
      )
      const login = Layer.succeed(Login, {
        cookieName: "__Host-session",
        origin: "https://app.test",
        session: unavailable,
        accessToken: failure,
        loginPath: () => "/login"
      })
      const sessions = Layer.mock(Sessions, { isServerSide: true, read: () => unavailable })
      return yield* serve(
        Routes.pipe(
          Layer.provide(
            Layer.merge(
              either.layer(verifier.layer.pipe(SessionVerifier.accessTokens)),
              only.layer(SessionVerifier.layer({ scopes: () => ["items:read"] }))
            )
          ),
          Layer.provide(Layer.merge(login, sessions))
        )
      )
    })
  const cookie = `__Host-session=${"a".repeat(64)}`

  it.live("503 with Retry-After if the store is unavailable, for pages, too, and the cookie stays", () =>
    Effect.gen(function* () {
      const send = yield* failing(
        Effect.fail(new StoreUnavailable({ store: "SessionStore", reason: "Timeout", retryAfter: Duration.seconds(3) }))
      )
      for (const path of ["/either", "/only"])
        for (const headers of [script, navigation]) {
          const answer = yield* send(path, undefined, { headers: { ...host, ...headers, cookie } })
          assert.strictEqual(answer.status, 503)
          assert.strictEqual(answer.headers.get("retry-after"), "3")
          for (const name of ["set-cookie", "location", "www-authenticate"]) assert.isNull(answer.headers.get(name))
        }
    }).pipe(Effect.scoped)
  )

  for (const [error, status] of [
    [new TokenUnavailable({ issuer: "https://idp.test", reason: "ServerError", retryAfter: Duration.seconds(3) }), 503],
    [new TokenUnavailable({ issuer: "https://idp.test", reason: "Timeout", retryAfter: Duration.seconds(3) }), 503],
    [new TokenRefused({ issuer: "https://idp.test", error: "invalid_client" }), 503],
    [new ReauthenticationRequired({ issuer: "https://idp.test", error: "invalid_grant" }), 303],
    [new NotSignedIn(), 303]
  ] as const) {
    it.live(`${status} for a page if the refresh fails with ${error._tag}`, () =>
      Effect.gen(function* () {
        const send = yield* failing(Effect.fail(error))
        const answer = yield* send("/either", undefined, { headers: { ...host, ...navigation, cookie } })
        assert.strictEqual(answer.status, status)
        assert.isNull(answer.headers.get("set-cookie"))
      }).pipe(Effect.scoped)
    )
  }
})

describe("documents", () => {
  it("show the cookie as an alternative to the bearer token, and alone", () => {
    const document = OpenApi.fromApi(Api)
    const { securitySchemes } = document.components
    const cookie = { type: "apiKey", in: "cookie", name: "__Host-session" } as const
    assert.deepStrictEqual<unknown>(securitySchemes["OAuth2Session"], cookie)
    assert.deepStrictEqual<unknown>(securitySchemes["Users"], cookie)
    assert.strictEqual(securitySchemes["OAuth2"]?.type as string, "oauth2")
    assert.deepStrictEqual(document.paths["/either"]?.get?.security, [
      { OAuth2: ["items:read"] },
      { OAuth2Session: ["items:read"] }
    ])
    assert.deepStrictEqual(document.paths["/only"]?.get?.security, [{ Users: ["items:read"] }])
    assert.deepStrictEqual(document.paths["/maybe/either"]?.get?.security, [{ OAuth2: [] }, { OAuth2Session: [] }, {}])
  })

  it("never ask for the cookie and the bearer token of one scheme at once", () => {
    const jobs = OAuth2.apiKey("Jobs", { in: "header", name: "X-Key" })
    const Api = HttpApi.make("api")
      .add(
        HttpApiGroup.make("group").add(
          HttpApiEndpoint.get("list", "/items")
            .middleware(OAuth2.either(either.require("items:write"), jobs.require()))
            .middleware(either.require("items:read"))
        )
      )
      .pipe(OAuth2.openApi)
    const security = OpenApi.fromApi(Api).paths["/items"]?.get?.security ?? []
    assert.isAbove(security.length, 2)
    for (const one of security) assert.isFalse("OAuth2" in one && "OAuth2Session" in one)
  })

  it("throw if another scheme has the name of the cookie's scheme", () => {
    const other = OAuth2.apiKey("OAuth2Session", { in: "header", name: "X-Key" })
    const Api = HttpApi.make("api")
      .add(
        HttpApiGroup.make("group").add(
          HttpApiEndpoint.get("list", "/items").middleware(OAuth2.either(either.require("items:read"), other.require()))
        )
      )
      .pipe(OAuth2.openApi)
    assert.throws(() => OpenApi.fromApi(Api), 'as "OAuth2Session", which is the name of another scheme')
  })
})

describe("mistakes", () => {
  it("throws for options that are not valid", () => {
    const make = (session: object) => OAuth2.bearer("Bearer", { session })
    assert.throws(() => make({ cookie: "a b" }), "session.cookie must be the name of a cookie")
    assert.throws(() => make({ csrfHeader: "" }), "session.csrfHeader must be the name of a header, or false")
    for (const login of ["//evil.test", "/\\evil.test", "login", "/login?a", 5])
      assert.throws(() => make({ login }), "session.login must be a path that begins with one slash")
    for (const trustedOrigins of [["https://app.test/"], ["app.test"], "https://app.test", [5]])
      assert.throws(() => make({ trustedOrigins }), "session.trustedOrigins has")
    assert.throws(() => make({ isPage: "/" }), "session.isPage must be a function")
    assert.throws(() => OAuth2.bearer("Bearer", { session: true as never }), "session must be an object")
    assert.throws(() => OAuth2.session("Users", { cookie: "a b" }), 'OAuth2.session("Users"): session.cookie')
    assert.strictEqual(either.sessionCookie, "__Host-session")
    assert.strictEqual(OAuth2.session("Users", { cookie: "sid" }).sessionCookie, "sid")
    assert.isUndefined(OAuth2.bearer("Bearer", {}).sessionCookie)
  })

  const failureOf = <A, E>(layer: Layer.Layer<A, E>) =>
    Effect.map(Effect.exit(Effect.scoped(Layer.build(layer))), String)

  it.effect("the scheme's layer dies at start-up if its verifier reads no sessions", () =>
    Effect.gen(function* () {
      assert.include(yield* failureOf(either.layer(verifier.layer)), "its verifier reads no sessions")
      const last = verifier.layer.pipe(SessionVerifier.accessTokens, (inner) =>
        Layer.effect(
          TokenVerifier,
          Effect.map(TokenVerifier, ({ invalidate, verify }) => ({ invalidate, verify }))
        ).pipe(Layer.provide(inner))
      )
      const stores = layerLogin.pipe(Layer.provideMerge(Sessions.layerMemory()))
      assert.include(yield* failureOf(either.layer(last).pipe(Layer.provide(stores))), "as the last step")
      const renamed = OAuth2.bearer("Bearer", { session: { cookie: "sid" } })
      assert.include(
        yield* failureOf(renamed.layer(verifier.layer.pipe(SessionVerifier.accessTokens)).pipe(Layer.provide(stores))),
        'reads the session cookie "sid", but the login sets "__Host-session"'
      )
    })
  )
})

describe("a session", () => {
  const count = Effect.gen(function* () {
    const store = yield* Layer.build(Sessions.layerMemory())
    const sessions = Context.get(store, Sessions)
    const reads = { count: 0 }
    const Counting = Layer.succeed(Sessions, {
      ...sessions,
      read: (cookie) => {
        reads.count++
        return sessions.read(cookie)
      }
    })
    return { sessions, reads, Counting }
  })

  it.live("is read once for a request, however many requirements stack up, and again for the next request", () =>
    Effect.gen(function* () {
      const { Counting, reads, sessions } = yield* count
      for (const scheme of [either, only as unknown as typeof either]) {
        const Nested = HttpRouter.add("GET", "/", me.pipe(scheme.prove("items:read"))).pipe(
          scheme.require("items:read"),
          scheme.require()
        )
        const send = yield* serve(Nested.pipe(Layer.provide(Schemes), Layer.provide(Counting)))
        const cookie = `__Host-session=${Redacted.value(yield* sessions.create(data))}`
        for (let request = 1; request <= 2; request++) {
          reads.count = 0
          assert.strictEqual((yield* send("/", undefined, { headers: { ...host, ...script, cookie } })).status, 200)
          assert.strictEqual(reads.count, 1)
        }
      }
    }).pipe(Effect.scoped)
  )

  it.live("authenticates without a guard, too: authorizeOption and layerRequest", () =>
    Effect.gen(function* () {
      const { Counting, sessions } = yield* count
      const option = (scheme: typeof either) =>
        Effect.map(scheme.authorizeOption, (token) =>
          HttpServerResponse.text(Option.match(token, { onNone: () => "anonymous", onSome: ({ subject }) => subject }))
        )
      const same = only as unknown as typeof either
      const App = Layer.mergeAll(
        HttpRouter.add("GET", "/option/either", option(either)),
        HttpRouter.add("GET", "/option/only", option(same)),
        HttpRouter.add("GET", "/request/either", me.pipe(Effect.provide(either.layerRequest))),
        HttpRouter.add("GET", "/request/only", me.pipe(Effect.provide(same.layerRequest)))
      )
      const send = yield* serve(App.pipe(HttpRouter.provideRequest(Schemes), Layer.provide(Counting)))
      const value = yield* sessions.create(data)
      const cookie = `__Host-session=${Redacted.value(value)}`
      const get = (path: string, more: Readonly<Record<string, string>> = script) =>
        Effect.map(send(path, undefined, { headers: { ...host, cookie, ...more } }), ({ body, status }) => [
          status,
          body
        ])
      assert.deepStrictEqual(yield* get("/option/either"), [200, "access-of-session"])
      assert.deepStrictEqual(yield* get("/option/only"), [200, "583231"])
      for (const name of ["either", "only"]) {
        assert.strictEqual((yield* get(`/request/${name}`))[0], 200)
        assert.strictEqual((yield* get(`/option/${name}`, { "sec-fetch-site": "cross-site" }))[0], 400)
        assert.strictEqual((yield* get(`/request/${name}`, { "sec-fetch-site": "cross-site" }))[0], 400)
      }
      yield* sessions.destroy(value)
      for (const name of ["either", "only"]) {
        assert.deepStrictEqual(yield* get(`/option/${name}`), [200, "anonymous"])
        assert.strictEqual((yield* get(`/request/${name}`))[0], 401)
      }
    }).pipe(Effect.scoped)
  )

  it.live("has claims that the schema of the scheme decodes, or is refused", () =>
    Effect.gen(function* () {
      const { Counting, sessions } = yield* count
      const typed = OAuth2.session("Typed", { claims: Schema.Struct({ login: Schema.String }) })
      const App = HttpRouter.add(
        "GET",
        "/",
        Effect.map(typed.token, ({ claims }) => HttpServerResponse.text(claims.login.toUpperCase()))
      ).pipe(typed.require())
      const send = yield* serve(
        App.pipe(Layer.provide(typed.layer(SessionVerifier.layer({ scopes: () => [] }))), Layer.provide(Counting))
      )
      const get = (claims: SessionData["claims"]) =>
        Effect.flatMap(sessions.create({ ...data, claims }), (cookie) =>
          send("/", undefined, { headers: { ...host, ...script, cookie: `__Host-session=${Redacted.value(cookie)}` } })
        )
      assert.strictEqual((yield* get({ login: "octocat" })).body, "OCTOCAT")
      const page = yield* get({ login: 5 })
      assert.strictEqual(page.status, 401)
    }).pipe(Effect.scoped)
  )

  it.live("has the authentication of its user, so a step-up requirement decides about it", () =>
    Effect.gen(function* () {
      const { Counting, sessions } = yield* count
      const users = OAuth2.session("Users", { responses: "rfc6750" })
      const App = HttpRouter.add("GET", "/", me).pipe(
        users.require(Requirement.acr("mfa"), Requirement.authenticatedWithin("5 minutes"))
      )
      const send = yield* serve(
        App.pipe(Layer.provide(users.layer(SessionVerifier.layer({ scopes: () => [] }))), Layer.provide(Counting))
      )
      const now = yield* Effect.clockWith(({ currentTimeMillis }) => currentTimeMillis)
      const get = (more: Partial<SessionData>) =>
        Effect.flatMap(sessions.create({ ...data, ...more }), (cookie) =>
          Effect.map(
            send("/", undefined, {
              headers: { ...host, ...script, cookie: `__Host-session=${Redacted.value(cookie)}` }
            }),
            ({ status }) => status
          )
        )
      assert.strictEqual(yield* get({ acr: "mfa", authenticatedAt: now - 60_000 }), 200)
      for (const more of [
        {},
        { acr: "mfa" },
        { acr: "pwd", authenticatedAt: now - 60_000 },
        { acr: "mfa", authenticatedAt: now - 600_000 }
      ]) {
        assert.strictEqual(yield* get(more), 401, JSON.stringify(more))
      }
    }).pipe(Effect.scoped)
  )

  it.live("explains refused requests to operators once, and counts them", () => {
    const logs: Array<string> = []
    const logger = Logger.make(({ message }) => void logs.push(String(message)))
    return Effect.gen(function* () {
      const { Counting, sessions } = yield* count
      const handle = yield* HttpRouter.toHttpEffect(Routes.pipe(Layer.provide(Schemes), Layer.provide(Counting)))
      const value = Redacted.value(yield* sessions.create(data))
      const send = (headers: Readonly<Record<string, string>>) => {
        const request = new Request("http://localhost/either", {
          headers: { ...host, ...headers, cookie: `__Host-session=${value}` }
        })
        return Effect.exit(
          Effect.provideService(
            Effect.scoped(handle),
            HttpServerRequest.HttpServerRequest,
            HttpServerRequest.fromWeb(request)
          )
        )
      }
      for (let i = 0; i < 2; i++) {
        yield* send(without(script, "x-csrf"))
        yield* send({ ...script, "sec-fetch-site": "cross-site" })
        yield* send({ ...script, authorization: "Bearer bearer-token" })
      }
      assert.deepStrictEqual(
        logs.filter((message) => message.startsWith("A request was refused")),
        [
          "A request was refused, because it has a cookie __Host-session, but not the header X-CSRF: 1. Send the header with each request of a script, or change the option csrfHeader.",
          "A request was refused, because a page of another site has sent it, and the browser added the cookie __Host-session. If the page is yours, add its origin to trustedOrigins.",
          'A request was refused, because it has two credentials: several session cookies, or a cookie __Host-session and an Authorization header. Send one of them. A fetch with a bearer token needs credentials: "omit".'
        ]
      )
      assert.notInclude(logs.join(), value.slice(0, 10))
      const outcomes = (yield* Metric.snapshot)
        .filter(({ id }) => id === "oauth2_token_verifications_total")
        .map(({ attributes }) => attributes?.["outcome"])
      for (const outcome of ["CsrfHeader", "CrossSite", "SeveralCredentials"]) assert.include(outcomes, outcome)
    }).pipe(
      Effect.scoped,
      Effect.provide(Logger.layer([logger])),
      Effect.provideService(Metric.MetricRegistry, new Map())
    )
  })
})
