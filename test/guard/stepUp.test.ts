/** Requirements on the user's authentication (RFC 9470), with real tokens and a test clock. */
import { assert, describe, it } from "@effect/vitest"
import { Clock, DateTime, Duration, Effect, Inspectable, Layer, Option, Redacted, Schema } from "effect"
import { TestClock } from "effect/testing"
import { HttpRouter, HttpServer, HttpServerResponse } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup, HttpApiMiddleware } from "effect/http-api"
import {
  AccessToken,
  BearerToken,
  type Decision,
  DecisionLog,
  JwtVerifier,
  OAuth2,
  Requirement,
  SecurityError,
  TokenIntrospection,
  TokenVerifier
} from "effect-oauth2"
import { TestIssuer } from "effect-oauth2/testing"
import { authorizationServer } from "../support/authorizationServer.ts"
import { serve } from "../support/web.ts"

const options = { ...authorizationServer, scopes: { pay: "Pay", read: "Read" } }
const auth = OAuth2.authorizationCode("OAuth2", { ...options, responses: "rfc6750" })
const fastapi = OAuth2.authorizationCode("FastApi", options)

const recently = Requirement.authenticatedWithin("5 minutes")
const strong = Requirement.acr("phr", "mfa")

const error = 'error="insufficient_user_authentication"'

type Routes = Layer.Layer<
  never,
  never,
  | HttpRouter.HttpRouter
  | HttpRouter.Request<"Error", SecurityError.SecurityError>
  | OAuth2.Authentication<"OAuth2">
  | OAuth2.Authentication<"FastApi">
>

/** Serves routes with the clock of the test, and mints their tokens. */
const app = (routes: Routes | ((verifier: Layer.Layer<TokenVerifier>) => Routes)) =>
  Effect.gen(function* () {
    const issuer = yield* TestIssuer
    const layer = Layer.succeed(TokenVerifier, yield* TokenVerifier)
    const log: Array<Decision> = []
    const send = yield* serve(
      Layer.merge(
        (typeof routes === "function" ? routes(layer) : routes).pipe(
          Layer.provide([auth.layer(layer), fastapi.layer(layer)])
        ),
        Layer.mergeAll(
          Layer.succeed(Clock.Clock, yield* Clock.Clock),
          Layer.succeed(DecisionLog, (decision) => Effect.sync(() => void log.push(decision)))
        )
      )
    )
    return { ...issuer, send, log }
  })

const jwt = JwtVerifier.layer({ issuer: "https://issuer.test", audience: "https://api.test" }).pipe(
  Layer.provideMerge(TestIssuer.layer({ keys: ["ES256"] }))
)

const introspection = TokenIntrospection.layer({
  issuer: "https://issuer.test",
  audience: "https://api.test",
  clientId: "api",
  clientSecret: Redacted.make("secret")
}).pipe(Layer.provideMerge(TestIssuer.layer({ keys: ["ES256"] })))

const open = (path: HttpRouter.PathInput) =>
  HttpRouter.add("GET", path, Effect.succeed(HttpServerResponse.text("open")))

const routes = Layer.mergeAll(
  open("/recent").pipe(auth.require(recently)),
  open("/strong").pipe(auth.require(strong)),
  open("/both").pipe(auth.require("pay", recently, strong)),
  open("/read").pipe(auth.require("read"))
)

const refused = (challenge: string) => ({ status: 401, challenge: `Bearer ${error}, ${challenge}` })

describe("a requirement on the time of the authentication", () => {
  for (const [name, mint] of Object.entries({ JwtVerifier: "mint", TokenIntrospection: "mintOpaque" } as const)) {
    describe(`with ${name}`, () => {
      const layer = name === "JwtVerifier" ? jwt : introspection
      for (const [title, token, isAccepted] of [
        ["no auth_time", {}, false],
        ["auth_time now", { authenticatedAgo: 0 }, true],
        ["auth_time exactly at the limit", { authenticatedAgo: "305 seconds" }, true],
        ["auth_time one second over the limit", { authenticatedAgo: "306 seconds" }, false],
        ["auth_time in the future within the tolerance", { authenticatedAgo: Duration.seconds(-5) }, true],
        ["auth_time in the future", { authenticatedAgo: Duration.seconds(-6) }, false],
        ["auth_time as text", { claims: { auth_time: "0" } }, false],
        ["auth_time as an array", { claims: { auth_time: [0] } }, false],
        ["auth_time as true", { claims: { auth_time: true } }, false],
        ["auth_time beyond all dates", { claims: { auth_time: -1e300 } }, false],
        ["a refreshed token with a new iat and an old auth_time", { authenticatedAgo: "1 hour" }, false]
      ] as const) {
        it.effect(`${isAccepted ? "accepts" : "refuses"} ${title}`, () =>
          Effect.gen(function* () {
            yield* TestClock.adjust("1 day")
            const { [mint]: make, send } = yield* app(routes)
            const { challenge, status } = yield* send("/recent", yield* make(token))
            if (isAccepted) assert.strictEqual(status, 200)
            else assert.deepStrictEqual({ status, challenge }, refused('max_age="300"'))
          }).pipe(Effect.provide(layer))
        )
      }

      it.effect("refuses a cached token when it crosses the limit between two requests", () =>
        Effect.gen(function* () {
          const { [mint]: make, requests, send } = yield* app(routes)
          const token = yield* make({ authenticatedAgo: "4 minutes", lifetime: "1 hour" })
          assert.strictEqual((yield* send("/recent", token)).status, 200)
          const before = (yield* requests).length
          yield* TestClock.adjust("65 seconds")
          assert.strictEqual((yield* send("/recent", token)).status, 200)
          yield* TestClock.adjust("1 second")
          const { challenge, status } = yield* send("/recent", token)
          assert.deepStrictEqual({ status, challenge }, refused('max_age="300"'))
          if (mint === "mint") assert.strictEqual((yield* requests).length, before)
        }).pipe(Effect.provide(layer))
      )
    })
  }

  it.effect("decides with its own tolerance", () =>
    Effect.gen(function* () {
      const { mint, send } = yield* app(
        open("/").pipe(auth.require(Requirement.authenticatedWithin("1 minute", { clockTolerance: 0 })))
      )
      yield* TestClock.adjust("1 day")
      assert.strictEqual((yield* send("/", yield* mint({ authenticatedAgo: "60 seconds" }))).status, 200)
      assert.strictEqual((yield* send("/", yield* mint({ authenticatedAgo: "61 seconds" }))).status, 401)
      assert.strictEqual((yield* send("/", yield* mint({ authenticatedAgo: Duration.seconds(-1) }))).status, 401)
    }).pipe(Effect.provide(jwt))
  )

  for (const duration of [
    0,
    -1,
    "0 seconds",
    "500 millis",
    "1500 millis",
    Duration.infinity,
    NaN,
    "soon",
    undefined,
    {}
  ]) {
    it(`throws at start-up for the duration ${Inspectable.toStringUnknown(duration)}`, () => {
      assert.throws(
        () => Requirement.authenticatedWithin(duration as Duration.Input),
        TypeError,
        "Requirement.authenticatedWithin: the duration must be a whole number of seconds"
      )
    })
  }

  it("throws at start-up for a tolerance outside of 0 to 60 seconds", () => {
    for (const clockTolerance of ["-1 seconds", "61 seconds", NaN, "x"]) {
      assert.throws(
        () => Requirement.authenticatedWithin("1 minute", { clockTolerance: clockTolerance as Duration.Input }),
        TypeError,
        "clockTolerance must be a duration between 0 and 60 seconds"
      )
    }
  })
})

describe("a requirement on the class of the authentication", () => {
  for (const [name, mint] of Object.entries({ JwtVerifier: "mint", TokenIntrospection: "mintOpaque" } as const)) {
    for (const [title, token, isAccepted] of [
      ["no acr", {}, false],
      ["the first value", { acr: "phr" }, true],
      ["the second value", { acr: "mfa" }, true],
      ["another value", { acr: "pwd" }, false],
      ["another case", { acr: "MFA" }, false],
      ["both values in one text", { acr: "phr mfa" }, false],
      ["an empty text", { acr: "" }, false],
      ["a number", { claims: { acr: 1 } }, false],
      ["an array of the value", { claims: { acr: ["mfa"] } }, false]
    ] as const) {
      it.effect(`${isAccepted ? "accepts" : "refuses"} ${title}, with ${name}`, () =>
        Effect.gen(function* () {
          const { [mint]: make, send } = yield* app(routes)
          const { challenge, status } = yield* send("/strong", yield* make(token))
          if (isAccepted) assert.strictEqual(status, 200)
          else assert.deepStrictEqual({ status, challenge }, refused('acr_values="phr mfa"'))
        }).pipe(Effect.provide(name === "JwtVerifier" ? jwt : introspection))
      )
    }
  }

  it.effect("names URNs and URLs unchanged", () =>
    Effect.gen(function* () {
      const values = ["urn:okta:loa:2fa:any", "http://schemas.openid.net/pape/policies/2007/06/multi-factor#x"] as const
      const { mint, send } = yield* app(open("/").pipe(auth.require(Requirement.acr(...values))))
      const { challenge } = yield* send("/", yield* mint())
      assert.strictEqual(challenge, `Bearer ${error}, acr_values="${values.join(" ")}"`)
      assert.strictEqual((yield* send("/", yield* mint({ acr: values[1] }))).status, 200)
    }).pipe(Effect.provide(jwt))
  )

  for (const values of [[], [""], ["a b"], ['a"'], ["a\\"], ["é"], ["a\n"], ["a", undefined]]) {
    it(`throws at start-up for the values ${JSON.stringify(values)}`, () => {
      assert.throws(() => Requirement.acr(...(values as unknown as ["a"])), TypeError, "Requirement.acr: ")
    })
  }
})

describe("the challenge", () => {
  it.effect("names both parameters and the missing scopes, so that one trip cures all", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust("1 day")
      const { mint, send } = yield* app(routes)
      const ask = (token: Parameters<typeof mint>[0]) =>
        Effect.flatMap(mint(token), (token) =>
          Effect.map(send("/both", token), ({ challenge, status }) => `${status} ${challenge}`)
        )
      assert.strictEqual(yield* ask({}), `401 Bearer ${error}, acr_values="phr mfa", max_age="300", scope="pay"`)
      assert.strictEqual(yield* ask({ scopes: ["pay"] }), `401 Bearer ${error}, acr_values="phr mfa", max_age="300"`)
      // A client that authenticates again must keep what it has, so the challenge names both parameters.
      assert.strictEqual(
        yield* ask({ scopes: ["pay"], acr: "mfa", authenticatedAgo: "1 hour" }),
        `401 Bearer ${error}, acr_values="phr mfa", max_age="300"`
      )
      assert.strictEqual(
        yield* ask({ acr: "mfa", authenticatedAgo: "1 minute" }),
        '403 Bearer error="insufficient_scope", scope="pay"'
      )
      assert.strictEqual(yield* ask({ scopes: ["pay"], acr: "mfa", authenticatedAgo: "1 minute" }), "200 null")
    }).pipe(Effect.provide(jwt))
  )

  it.effect("is not sent before the token is valid", () =>
    Effect.gen(function* () {
      const { mint, send } = yield* app(routes)
      const expired = yield* mint({ lifetime: "-1 hours", authenticatedAgo: "1 day" })
      for (const token of [undefined, "x", expired, `${yield* mint()}x`]) {
        const { challenge, status } = yield* send("/both", token)
        assert.strictEqual(status, 401)
        assert.notInclude(challenge, "acr_values")
        assert.notInclude(challenge, "max_age")
        assert.notInclude(challenge, "insufficient_user_authentication")
      }
    }).pipe(Effect.provide(jwt))
  )

  it.effect("has the status 401, the parameters and its own detail in the style of FastAPI, too", () =>
    Effect.gen(function* () {
      const { mint, send } = yield* app(open("/").pipe(fastapi.require("pay", strong)))
      const { body, challenge, status } = yield* send("/", yield* mint())
      assert.strictEqual(status, 401)
      assert.strictEqual(challenge, `Bearer ${error}, acr_values="phr mfa", scope="pay"`)
      assert.strictEqual(body, '{"detail":"Authentication too weak or too old"}')
    }).pipe(Effect.provide(jwt))
  )

  it.effect("combines nested requirements: the shortest time, and the classes that all accept", () =>
    Effect.gen(function* () {
      const { mint, send } = yield* app(
        open("/").pipe(
          auth.require(Requirement.acr("mfa", "pwd", "phr"), Requirement.authenticatedWithin("1 minute")),
          auth.require(recently, Requirement.acr("phr", "mfa"))
        )
      )
      const { challenge } = yield* send("/", yield* mint())
      assert.strictEqual(challenge, `Bearer ${error}, acr_values="phr mfa", max_age="60"`)
    }).pipe(Effect.provide(jwt))
  )

  it("cannot ask for two classes at once, so such requirements throw at start-up", () => {
    const message = 'accept different acr values, ["a"] and ["b","c"], so no token could satisfy all of them'
    assert.throws(() => auth.require(Requirement.acr("a"), Requirement.acr("b", "c")), TypeError, message)
    const nested = HttpApiEndpoint.get("get", "/")
      .middleware(auth.require(Requirement.acr("b", "c")))
      .middleware(auth.require(Requirement.acr("a")))
    assert.throws(
      () => OAuth2.openApi(HttpApi.make("api").add(HttpApiGroup.make("group").add(nested))),
      TypeError,
      message
    )
  })

  it.effect("asks for the first alternative whose scopes the token has, or else for the first", () =>
    Effect.gen(function* () {
      const { mint, send } = yield* app(
        open("/").pipe(auth.require(Requirement.any(Requirement.all("pay", strong), Requirement.all("read", recently))))
      )
      const ask = (scopes: ReadonlyArray<string>, more: Parameters<typeof mint>[0] = {}) =>
        Effect.flatMap(mint({ scopes, ...more }), (token) =>
          Effect.map(send("/", token), ({ challenge, status }) => `${status} ${challenge}`)
        )
      assert.strictEqual(yield* ask(["pay"]), `401 Bearer ${error}, acr_values="phr mfa"`)
      assert.strictEqual(yield* ask(["read"]), `401 Bearer ${error}, max_age="300"`)
      assert.strictEqual(yield* ask(["pay", "read"]), `401 Bearer ${error}, acr_values="phr mfa"`)
      assert.strictEqual(yield* ask([]), `401 Bearer ${error}, acr_values="phr mfa", scope="pay"`)
      assert.strictEqual(yield* ask(["pay", "read"], { authenticatedAgo: 0 }), "200 null")
      assert.strictEqual(yield* ask(["read"], { acr: "mfa" }), `401 Bearer ${error}, max_age="300"`)
    }).pipe(Effect.provide(jwt))
  )

  it.effect("of several schemes names only the scheme of the token", () =>
    Effect.gen(function* () {
      const keys = OAuth2.apiKey("Keys", { in: "header", name: "x-api-key", responses: "rfc6750" })
      const { mint, send } = yield* app((verifier) =>
        open("/").pipe(OAuth2.either(keys.require(), auth.require(strong)), Layer.provide(keys.layer(verifier)))
      )
      assert.strictEqual((yield* send("/", yield* mint())).challenge, `Bearer ${error}, acr_values="phr mfa"`)
      assert.include((yield* send("/")).challenge, "APIKey")
    }).pipe(Effect.provide(jwt))
  )

  it.effect("is sent for HEAD and OPTIONS, and auth.optional requires it of a request with a token", () =>
    Effect.gen(function* () {
      const { mint, send } = yield* app(
        Layer.mergeAll(
          routes,
          open("/optional").pipe(auth.optional(strong)),
          HttpRouter.add("OPTIONS", "/strong", Effect.succeed(HttpServerResponse.text("open"))).pipe(
            auth.require(strong)
          )
        )
      )
      const token = yield* mint()
      for (const method of ["HEAD", "OPTIONS"]) {
        const { challenge, status } = yield* send("/strong", token, { method })
        assert.deepStrictEqual({ status, challenge }, refused('acr_values="phr mfa"'), method)
      }
      assert.strictEqual((yield* send("/optional")).status, 200)
      assert.deepStrictEqual((yield* send("/optional", token)).challenge, `Bearer ${error}, acr_values="phr mfa"`)
      assert.strictEqual((yield* send("/optional", yield* mint({ acr: "phr" }))).status, 200)
    }).pipe(Effect.provide(jwt))
  )
})

describe("the order of the decision", () => {
  it.effect("runs checks first, once, so that a user who may not do it is not asked to authenticate", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      const tenant = Requirement.check("tenant", ({ subject }) =>
        Effect.sync(() => {
          seen.push(subject)
          return subject === "alice"
        }).pipe(Effect.tap(Effect.yieldNow))
      )
      const { log, mint, send } = yield* app(
        Layer.merge(
          open("/before").pipe(auth.require(recently, strong, tenant)),
          open("/nested").pipe(auth.require(tenant), auth.require(strong, recently))
        )
      )
      for (const path of ["/before", "/nested"]) {
        const bob = yield* send(path, yield* mint({ subject: "bob" }))
        assert.deepStrictEqual([bob.status, bob.challenge], [403, 'Bearer realm="OAuth2"'])
        const alice = yield* send(path, yield* mint({ subject: "alice" }))
        assert.deepStrictEqual(
          [alice.status, alice.challenge],
          [401, `Bearer ${error}, acr_values="phr mfa", max_age="300"`]
        )
      }
      assert.deepStrictEqual(seen, ["bob", "alice", "bob", "alice"])
      assert.deepStrictEqual(
        log.map(({ detail, failedChecks, reason }) => ({ reason, detail, failedChecks })),
        ["/before", "/nested"].flatMap(() => [
          { reason: "FailedCheck" as const, detail: undefined, failedChecks: ["tenant"] },
          { reason: "InsufficientUserAuthentication" as const, detail: "TooWeakAndTooOld", failedChecks: [] }
        ])
      )
    }).pipe(Effect.provide(jwt))
  )

  it.effect("in an HttpApi leaves the authentication of an inner requirement to the inner guard, after its check", () =>
    Effect.gen(function* () {
      class Between extends HttpApiMiddleware.Service<Between>()("test/Between") {}
      const tenant = Requirement.check("tenant", ({ subject }) => Effect.succeed(subject === "alice"))
      const endpoint = HttpApiEndpoint.get("get", "/")
        .middleware(auth.require(strong, tenant))
        .middleware(Between)
        .middleware(auth.require("pay"))
      const Api = HttpApi.make("api").add(HttpApiGroup.make("group").add(endpoint))
      const { mint, send } = yield* app(
        HttpApiBuilder.layer(Api).pipe(
          Layer.provide(
            HttpApiBuilder.group(Api, "group", (handlers) =>
              handlers.handle("get", () => Effect.asVoid(auth.granted(strong)))
            )
          ),
          Layer.provide([
            HttpServer.layerServices,
            Layer.succeed(Between, (handler) => Effect.andThen(Effect.void, handler))
          ])
        )
      )
      const ask = (token: Parameters<typeof mint>[0]) =>
        Effect.flatMap(mint(token), (token) =>
          Effect.map(send("/", token), ({ challenge, status }) => `${status} ${challenge}`)
        )
      // The outer guard names what the inner guard requires, too.
      assert.strictEqual(yield* ask({}), `401 Bearer ${error}, acr_values="phr mfa", scope="pay"`)
      assert.strictEqual(yield* ask({ subject: "bob", scopes: ["pay"] }), '403 Bearer realm="OAuth2"')
      const alice = { subject: "alice", scopes: ["pay"] }
      assert.strictEqual(yield* ask(alice), `401 Bearer ${error}, acr_values="phr mfa"`)
      assert.strictEqual(yield* ask({ ...alice, acr: "mfa" }), "204 null")
    }).pipe(Effect.provide(jwt))
  )
})

describe("a token that no user has", () => {
  const machines = {
    "of the client-credentials flow": { subject: "test-client" },
    "of Auth0": { subject: "test-client@clients" },
    "of Entra ID": { subject: "app", claims: { idtyp: "app" } }
  }
  for (const [title, token] of Object.entries(machines)) {
    it.effect(`${title} is refused without parameters of a step-up, so that the client does not loop`, () =>
      Effect.gen(function* () {
        const { log, mint, send } = yield* app(routes)
        for (const path of ["/recent", "/strong"]) {
          const { challenge, status } = yield* send(path, yield* mint(token))
          assert.deepStrictEqual({ status, challenge }, { status: 403, challenge: 'Bearer realm="OAuth2"' })
        }
        assert.deepStrictEqual(
          log.map(({ failedChecks, reason }) => [reason, ...failedChecks]),
          [
            ["FailedCheck", "authenticated within 5 minutes"],
            ["FailedCheck", "acr phr or acr mfa"]
          ]
        )
        const { challenge } = yield* send("/both", yield* mint(token))
        assert.strictEqual(challenge, 'Bearer error="insufficient_scope", scope="pay"')
      }).pipe(Effect.provide(jwt))
    )
  }

  it.effect("is told by the option isMachine, and may have an alternative of its own", () =>
    Effect.gen(function* () {
      const own = OAuth2.authorizationCode("OAuth2", {
        ...options,
        responses: "rfc6750",
        isMachine: ({ claims }) => claims["kind"] === "robot"
      })
      const robot = own.check("robot", ({ claims }) => Effect.succeed(claims["kind"] === "robot"))
      const { mint, send } = yield* app((verifier) =>
        Layer.merge(
          open("/").pipe(own.require(strong)),
          open("/robots").pipe(own.require(Requirement.any(strong, robot)))
        ).pipe(Layer.provide(own.layer(verifier)))
      )
      const robots = yield* mint({ claims: { kind: "robot" } })
      const others = yield* mint({ subject: "test-client" })
      const ask = (path: string, token: string) =>
        Effect.map(send(path, token), ({ challenge, status }) => `${status} ${challenge}`)
      assert.strictEqual(yield* ask("/", robots), '403 Bearer realm="OAuth2"')
      assert.strictEqual(yield* ask("/robots", robots), "200 null")
      assert.strictEqual(yield* ask("/", others), `401 Bearer ${error}, acr_values="phr mfa"`)
      assert.strictEqual(yield* ask("/robots", others), `401 Bearer ${error}, acr_values="phr mfa"`)
    }).pipe(Effect.provide(jwt))
  )

  it("cannot be told by another value than a function", () => {
    assert.throws(
      () => OAuth2.authorizationCode("OAuth2", { ...options, isMachine: true as never }),
      TypeError,
      "isMachine must be a function of a token"
    )
  })
})

describe("the proof of an authentication", () => {
  const granted = Effect.map(auth.granted(recently, strong), ({ acr }) =>
    HttpServerResponse.text(Option.getOrElse(acr, () => "none"))
  )
  it.effect("reaches the handler, and stays although time passes", () =>
    Effect.gen(function* () {
      const waiting = Effect.andThen(TestClock.adjust("1 hour"), granted)
      const { mint, send } = yield* app(
        Layer.mergeAll(
          HttpRouter.add("GET", "/one", waiting).pipe(auth.require(recently, strong)),
          HttpRouter.add("GET", "/nested", granted).pipe(auth.require(recently), auth.require("pay", strong))
        )
      )
      for (const path of ["/one", "/nested"]) {
        const token = yield* mint({ acr: "mfa", authenticatedAgo: 0, scopes: ["pay"], lifetime: "2 hours" })
        assert.strictEqual((yield* send(path, token)).body, "mfa", path)
      }
    }).pipe(Effect.provide(jwt))
  )

  it.effect("of an outer requirement stays inside other middleware, if the token reports the same authentication", () =>
    Effect.gen(function* () {
      class Between extends HttpApiMiddleware.Service<Between>()("test/Between") {}
      const endpoint = HttpApiEndpoint.get("get", "/", { success: Schema.String })
        .middleware(auth.require(recently))
        .middleware(Between)
        .middleware(auth.require(strong))
      const Api = HttpApi.make("api").add(HttpApiGroup.make("group").add(endpoint))
      const { mint, send } = yield* app(
        HttpApiBuilder.layer(Api).pipe(
          Layer.provide(
            HttpApiBuilder.group(Api, "group", (handlers) =>
              handlers.handle("get", () => Effect.as(auth.granted(strong, recently), "open"))
            )
          ),
          Layer.provide([
            HttpServer.layerServices,
            Layer.succeed(Between, (handler) => Effect.andThen(Effect.void, handler))
          ])
        )
      )
      const token = yield* mint({ acr: "mfa", authenticatedAgo: 0 })
      assert.strictEqual((yield* send("/", token)).body, '"open"')
    }).pipe(Effect.provide(jwt))
  )

  it.effect("holds in alternatives, whichever of them holds", () =>
    Effect.gen(function* () {
      const either = Requirement.any(strong, recently)
      const handler = Effect.as(auth.granted(either), HttpServerResponse.text("open"))
      const { mint, send } = yield* app(HttpRouter.add("GET", "/", handler).pipe(auth.require(either)))
      assert.strictEqual((yield* send("/", yield* mint({ acr: "mfa" }))).body, "open")
      assert.strictEqual((yield* send("/", yield* mint({ acr: "pwd", authenticatedAgo: 0 }))).body, "open")
      assert.strictEqual((yield* send("/", yield* mint({ acr: "pwd" }))).status, 401)
    }).pipe(Effect.provide(jwt))
  )

  for (const [title, needed] of [
    ["another class", Requirement.acr("phr")],
    ["another time", Requirement.authenticatedWithin("1 minute")],
    ["a check, which proves nothing", Requirement.check("x", () => Effect.succeed(true))],
    ["nothing", Requirement.all()]
  ] as const) {
    it.effect(`does not hold for ${title}, if types were cast away`, () =>
      Effect.gen(function* () {
        const handler = Effect.as(
          auth.granted(needed),
          HttpServerResponse.text("open")
        ) as Effect.Effect<HttpServerResponse.HttpServerResponse>
        const { mint, send } = yield* app(HttpRouter.add("GET", "/", handler).pipe(auth.require(recently, strong)))
        assert.strictEqual((yield* send("/", yield* mint({ acr: "mfa", authenticatedAgo: 0 }))).status, 500)
      }).pipe(Effect.provide(jwt))
    )
  }

  it.effect("comes from layerTestGranted in tests of domain code, only for the given requirements", () =>
    Effect.gen(function* () {
      const acr = Effect.map(auth.granted(strong), ({ acr }) => Option.getOrUndefined(acr))
      assert.strictEqual(yield* Effect.provide(acr, auth.layerTestGranted({ acr: "phr" }, strong, recently)), "phr")
      const unproven = auth.layerTestGranted({ acr: "phr" }) as ReturnType<typeof auth.layerTestGranted<"pay">> &
        Layer.Layer<OAuth2.Granted<"OAuth2", "acr phr" | "acr mfa">>
      assert.strictEqual((yield* Effect.exit(Effect.provide(acr, unproven)))._tag, "Failure")
    })
  )

  it.effect("of auth.layerTest is decided as usual", () =>
    Effect.gen(function* () {
      const clock = yield* Clock.Clock
      const status = (token: Parameters<typeof auth.layerTest>[0]) =>
        Effect.gen(function* () {
          const layer = Layer.merge(
            routes.pipe(Layer.provide(auth.layerTest(token))),
            Layer.succeed(Clock.Clock, clock)
          )
          const send = yield* serve(layer)
          return (yield* send("/both")).status
        }).pipe(Effect.scoped)
      const now = DateTime.makeUnsafe(yield* Clock.currentTimeMillis)
      assert.strictEqual(yield* status({ scopes: ["pay"], acr: "mfa", authenticatedAt: now, amr: ["otp"] }), 200)
      assert.strictEqual(yield* status({ scopes: ["pay"], acr: "mfa" }), 401)
      assert.strictEqual(yield* status({ scopes: ["pay"], authenticatedAt: now }), 401)
      yield* TestClock.adjust("306 seconds")
      assert.strictEqual(yield* status({ scopes: ["pay"], acr: "mfa", authenticatedAt: now }), 401)
    })
  )

  it.effect("of auth.prove counts for a token without HTTP", () =>
    Effect.gen(function* () {
      const { mint } = yield* TestIssuer
      const work = Effect.as(auth.granted(recently), "done").pipe(auth.prove(recently))
      const run = (token: string) =>
        Effect.provideService(work, BearerToken, Redacted.make(token)).pipe(
          Effect.provide(auth.layer(Layer.succeed(TokenVerifier, verifier))),
          Effect.match({ onFailure: ({ _tag }) => _tag, onSuccess: (done) => done })
        )
      const verifier = yield* TokenVerifier
      assert.strictEqual(yield* run(yield* mint({ authenticatedAgo: "1 minute" })), "done")
      assert.strictEqual(yield* run(yield* mint()), "InsufficientUserAuthentication")
    }).pipe(Effect.provide(jwt))
  )
})

describe("auth.refuse", () => {
  it.effect("asks for an authentication that depends on the request", () =>
    Effect.gen(function* () {
      const handler = auth.refuse(
        new SecurityError.InsufficientUserAuthentication({
          reason: "TooWeak",
          acrValues: ["phr"],
          maxAge: Duration.seconds(60),
          required: [],
          missing: []
        })
      )
      const { mint, send } = yield* app(HttpRouter.add("GET", "/", handler).pipe(auth.require("pay")))
      const { challenge, status } = yield* send("/", yield* mint({ scopes: ["pay"] }))
      assert.deepStrictEqual([status, challenge], [401, `Bearer ${error}, acr_values="phr", max_age="60"`])
    }).pipe(Effect.provide(jwt))
  )
})

describe("the token", () => {
  it.effect("has the claims of the authentication, and no value of a malformed claim", () =>
    Effect.gen(function* () {
      const { mint } = yield* TestIssuer
      const { verify } = yield* TokenVerifier
      const facts = (options: Parameters<typeof mint>[0]) =>
        Effect.map(
          Effect.flatMap(mint(options), (token) => verify(Redacted.make(token))),
          (token) => [
            Option.getOrUndefined(token.acr),
            Option.getOrUndefined(Option.map(token.authenticatedAt, DateTime.formatIso)),
            ...token.amr
          ]
        )
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(yield* facts({ acr: "mfa", amr: ["pwd", "otp"], authenticatedAgo: "1 hour" }), [
        "mfa",
        "1970-01-01T00:00:00.000Z",
        "pwd",
        "otp"
      ])
      assert.deepStrictEqual(yield* facts({}), [undefined, undefined])
      assert.deepStrictEqual(yield* facts({ claims: { acr: ["mfa"], auth_time: "0", amr: ["pwd", 1] } }), [
        undefined,
        undefined
      ])
    }).pipe(Effect.provide(jwt))
  )

  it.effect("of a verifier in JavaScript without these properties satisfies no requirement", () =>
    Effect.gen(function* () {
      const {
        acr: _,
        authenticatedAt: __,
        amr: ___,
        authorizationDetails: ____,
        ...old
      } = AccessToken.make({
        subject: "demo",
        scopes: [],
        issuer: "https://idp.example.com",
        expiresAt: DateTime.makeUnsafe("2100-01-01T00:00:00Z")
      })
      const verifier = TokenVerifier.layer({ verify: () => Effect.succeed(old as never) }).pipe(Layer.orDie)
      const send = yield* serve(
        Layer.mergeAll(open("/recent").pipe(auth.require(recently)), open("/strong").pipe(auth.require(strong))).pipe(
          Layer.provide(auth.layer(verifier))
        )
      )
      assert.strictEqual((yield* send("/recent", "x")).challenge, `Bearer ${error}, max_age="300"`)
      assert.strictEqual((yield* send("/strong", "x")).challenge, `Bearer ${error}, acr_values="phr mfa"`)
    })
  )
})
