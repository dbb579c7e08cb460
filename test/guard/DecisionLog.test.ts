/** What `DecisionLog` receives from every member that grants or refuses, and what happens if the log fails. */
import { assert, describe, it } from "@effect/vitest"
import {
  DateTime,
  Deferred,
  Duration,
  Effect,
  Exit,
  Fiber,
  Layer,
  Logger,
  Metric,
  Redacted,
  References,
  Schema,
  Tracer
} from "effect"
import { HttpRouter, HttpServer, HttpServerResponse } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { TestClock } from "effect/testing"
import {
  AccessToken,
  BearerToken,
  type Decision,
  DecisionLog,
  OAuth2,
  Requirement,
  SecurityError,
  TokenVerifier
} from "effect-oauth2"
import { authorizationServer } from "../support/authorizationServer.ts"
import { serve } from "../support/web.ts"

const scopes = { a: "", b: "" }
const auth = OAuth2.authorizationCode("OAuth2", { ...authorizationServer, scopes, responses: "rfc6750" })
const partners = OAuth2.authorizationCode("Partners", { ...authorizationServer, scopes: { x: "" } })

/** The token `alice.a.b` belongs to alice and grants a and b. `bad` is expired, and `down` simulates an outage. */
const verifier = TokenVerifier.layer({
  verify: (bearer) => {
    const [subject = "", ...scopes] = Redacted.value(bearer).split(".")
    if (subject === "bad") return Effect.fail(new SecurityError.InvalidToken({ reason: "Expired" }))
    if (subject === "down")
      return Effect.fail(
        new SecurityError.AuthorizationServerUnavailable({ reason: "Timeout", retryAfter: Duration.seconds(5) })
      )
    return Effect.succeed(
      AccessToken.make({
        subject,
        scopes,
        issuer: "https://idp.example.com",
        clientId: "web",
        tokenId: `id-${subject}`,
        expiresAt: DateTime.makeUnsafe("2100-01-01T00:00:00Z")
      })
    )
  }
})

class Suspended extends Schema.TaggedError<Suspended>()("Suspended", {}) {}

const owner = Requirement.check("owner", ({ subject }) => Effect.succeed(subject === "alice"))
const active = Requirement.check(
  "active",
  ({ subject }) => (subject === "carol" ? Effect.fail(new Suspended()) : Effect.succeed(true)),
  { error: Suspended }
)

const memory = () => {
  const decisions: Array<Decision> = []
  return {
    decisions,
    layer: Layer.succeed(DecisionLog, (decision) => Effect.sync(() => decisions.push(decision)))
  }
}

const schemes = Layer.mergeAll(auth.layer(verifier), partners.layer(verifier))

const handler = Effect.succeed(HttpServerResponse.text("in"))

type App = Layer.Layer<never, any, any>
// Safe: the requirements differ in their types, and the tests only send requests.
type AnyRequirement = any

/** Constructors of apps whose route `/items/:id` has a requirement. The apps of one constructor share the handlers. */
const constructors = (requirement: AnyRequirement): Readonly<Record<"HttpRouter" | "HttpApi", () => App>> => {
  const Api = HttpApi.make("api").add(
    HttpApiGroup.make("items").add(
      HttpApiEndpoint.get("one", "/items/:id", { params: { id: Schema.String }, success: Schema.String }).middleware(
        requirement
      )
    )
  )
  const handlers = HttpApiBuilder.group(Api, "items", (handlers) => handlers.handle("one", () => handler as never))
  return {
    HttpRouter: () => HttpRouter.add("GET", "/items/:id", handler).pipe(requirement) as App,
    HttpApi: () => HttpApiBuilder.layer(Api).pipe(Layer.provide(handlers), Layer.provide(HttpServer.layerServices))
  }
}

const apps = (requirement: AnyRequirement): ReadonlyArray<readonly [kind: string, app: App]> =>
  Object.entries(constructors(requirement)).map(([kind, make]) => [kind, make()])

const nobody = { subject: undefined, issuer: undefined, clientId: undefined, tokenId: undefined }
const token = (subject: string) => ({
  subject,
  issuer: "https://idp.example.com",
  clientId: "web",
  tokenId: `id-${subject}`
})
const refused = { outcome: "Refused", missing: [], failedChecks: [] } as const
const granted = { outcome: "Granted", reason: "Token", detail: undefined, missing: [], failedChecks: [] } as const

describe("DecisionLog", () => {
  const table: ReadonlyArray<
    readonly [
      name: string,
      requirement: AnyRequirement,
      token: string | undefined,
      status: number | Readonly<Record<"HttpRouter" | "HttpApi", number>>,
      decisions: ReadonlyArray<Partial<Decision>>
    ]
  > = [
    [
      "a grant",
      auth.require("a", owner),
      "alice.a.b",
      200,
      [{ ...granted, ...token("alice"), scheme: "OAuth2", required: ["a"] }]
    ],
    [
      "a request without a token",
      auth.require("a"),
      undefined,
      401,
      [
        {
          ...refused,
          ...nobody,
          scheme: "OAuth2",
          reason: "NotAuthenticated",
          detail: "NoCredentials",
          required: ["a"]
        }
      ]
    ],
    [
      "malformed credentials",
      auth.require(),
      "a b",
      400,
      [{ ...refused, ...nobody, scheme: "OAuth2", reason: "InvalidRequest", detail: "Malformed", required: [] }]
    ],
    [
      "a refused token",
      auth.require("a"),
      "bad",
      401,
      [{ ...refused, ...nobody, scheme: "OAuth2", reason: "InvalidToken", detail: "Expired", required: ["a"] }]
    ],
    [
      "an outage",
      auth.require("a"),
      "down",
      503,
      [
        {
          ...refused,
          ...nobody,
          scheme: "OAuth2",
          reason: "AuthorizationServerUnavailable",
          detail: "Timeout",
          required: ["a"]
        }
      ]
    ],
    [
      "a missing scope",
      auth.require("a", "b", owner),
      "alice.a",
      403,
      [
        {
          ...refused,
          ...token("alice"),
          scheme: "OAuth2",
          reason: "InsufficientScope",
          detail: undefined,
          required: ["a", "b"],
          missing: ["b"]
        }
      ]
    ],
    [
      "a failed check",
      auth.require("a", owner),
      "bob.a",
      403,
      [
        {
          ...refused,
          ...token("bob"),
          scheme: "OAuth2",
          reason: "FailedCheck",
          detail: undefined,
          required: ["a"],
          failedChecks: ["owner"]
        }
      ]
    ],
    [
      "the error of a check",
      auth.require(Requirement.any(owner, active)),
      "carol.z",
      500,
      [
        {
          ...refused,
          ...token("carol"),
          scheme: "OAuth2",
          reason: "CheckError",
          detail: "Suspended",
          required: [],
          failedChecks: ["owner", "active"]
        }
      ]
    ],
    [
      "an anonymous request",
      auth.optional("a"),
      undefined,
      200,
      [{ ...granted, ...nobody, scheme: "OAuth2", reason: "Anonymous", required: ["a"] }]
    ],
    [
      "the accepted alternative",
      OAuth2.either(auth.require("b"), partners.require("x")),
      "alice.x",
      200,
      [{ ...granted, ...token("alice"), scheme: "Partners", required: ["x"] }]
    ],
    [
      "the refusal that decides about the status, if no alternative holds",
      OAuth2.either(auth.require("b", owner), partners.require("x")),
      "bob.z",
      403,
      [
        {
          ...refused,
          ...token("bob"),
          scheme: "OAuth2",
          reason: "InsufficientScope",
          detail: undefined,
          required: ["b"],
          missing: ["b"]
        }
      ]
    ]
  ]

  for (const [name, requirement, credential, status, expected] of table) {
    for (const [kind, app] of apps(requirement)) {
      it.effect(`receives ${name} once, on ${kind}`, () =>
        Effect.gen(function* () {
          const { decisions, layer } = memory()
          const send = yield* serve(Layer.provide(app, Layer.provideMerge(schemes, layer)))
          const answer = yield* send("/items/7?secret=1", credential)
          assert.strictEqual(answer.status, status)
          const place = {
            decidedBy: "require",
            method: "GET",
            route: "/items/:id",
            endpoint: kind === "HttpApi" ? "items.one" : undefined
          }
          assert.deepEqual(
            decisions,
            expected.map((decision) => ({ ...place, ...decision }))
          )
          if (credential !== undefined) assert.notInclude(JSON.stringify(decisions), credential)
        })
      )
    }
  }

  it.effect("receives one grant for each scheme, and only the refusal if one of them refuses", () =>
    Effect.gen(function* () {
      const { decisions, layer } = memory()
      const routes = HttpRouter.add("GET", "/", handler).pipe(partners.require("x"), auth.require("a"))
      const send = yield* serve(Layer.provide(routes, Layer.provideMerge(schemes, layer)))
      yield* send("/", "alice.a.x")
      assert.deepStrictEqual(
        decisions.map(({ outcome, required, scheme }) => [outcome, scheme, required]),
        [
          ["Granted", "OAuth2", ["a"]],
          ["Granted", "Partners", ["x"]]
        ]
      )
      decisions.length = 0
      yield* send("/", "alice.a")
      assert.deepStrictEqual(
        decisions.map(({ missing, outcome, scheme }) => [outcome, scheme, missing]),
        [["Refused", "Partners", ["x"]]]
      )
    })
  )

  it.effect("receives the decisions of prove, authorize, authorizeOption, layerRequest and refuse", () =>
    Effect.gen(function* () {
      const { decisions, layer } = memory()
      const forbidden = new SecurityError.InsufficientScope({ required: ["b"], missing: ["b"] })
      const handlers = {
        prove: handler.pipe(auth.prove("a")),
        authorize: Effect.andThen(auth.authorize, handler).pipe(
          Effect.provide(BearerToken.layer),
          auth.withScopes("a")
        ),
        option: Effect.andThen(auth.authorizeOption, handler).pipe(auth.withScopes("a")),
        layer: Effect.andThen(AccessToken, handler).pipe(Effect.provide(auth.layerRequest), auth.withScopes("a")),
        refuse: Effect.andThen(auth.refuse(forbidden), handler).pipe(auth.prove()),
        own: Effect.andThen(Effect.fail(forbidden), handler).pipe(auth.prove())
      }
      const routes = Object.entries(handlers).map(([name, handler]) =>
        HttpRouter.add("GET", `/${name}`, handler as Effect.Effect<HttpServerResponse.HttpServerResponse>).pipe(
          HttpRouter.provideRequest(schemes)
        )
      )
      const [first, ...rest] = routes
      const send = yield* serve(Layer.mergeAll(first!, ...rest).pipe(Layer.provide(layer)))
      const seen = Effect.fnUntraced(function* (path: string, token?: string) {
        decisions.length = 0
        const { status } = yield* send(path, token)
        return [
          status,
          ...decisions.map(({ decidedBy, missing, outcome, reason, required, route, subject }) =>
            [decidedBy, route, outcome, reason, subject, required.join("+"), missing.join("+")].join(" ")
          )
        ]
      })
      for (const path of ["/prove", "/authorize", "/option", "/layer"]) {
        const by = path === "/prove" ? "prove" : "authorize"
        assert.deepStrictEqual(yield* seen(path, "alice.a"), [200, `${by} ${path} Granted Token alice a `])
        assert.deepStrictEqual(yield* seen(path, "alice"), [403, `${by} ${path} Refused InsufficientScope alice a a`])
        assert.deepStrictEqual(yield* seen(path, "bad"), [401, `${by} ${path} Refused InvalidToken  a `])
      }
      assert.deepStrictEqual(yield* seen("/prove"), [401, "prove /prove Refused NotAuthenticated  a "])
      assert.deepStrictEqual(yield* seen("/layer"), [401, "authorize /layer Refused NotAuthenticated  a "])
      assert.deepStrictEqual(yield* seen("/option"), [200, "authorize /option Granted Anonymous  a "])
      for (const path of ["/refuse", "/own"]) {
        assert.deepStrictEqual(yield* seen(path, "alice"), [
          403,
          `prove ${path} Granted Token alice  `,
          `refuse ${path} Refused InsufficientScope alice b b`
        ])
      }
    })
  )

  it.effect("receives decisions of a program without HTTP", () =>
    Effect.gen(function* () {
      const { decisions, layer } = memory()
      const run = (token: string) =>
        Effect.exit(
          Effect.succeed("in").pipe(auth.prove("a"), Effect.provide([BearerToken.layerTest(token), schemes, layer]))
        )
      assert.isTrue(Exit.isSuccess(yield* run("alice.a")))
      assert.isTrue(Exit.isFailure(yield* run("alice")))
      assert.deepStrictEqual(
        decisions.map(({ method, outcome, route, subject }) => [outcome, subject, method, route]),
        [
          ["Granted", "alice", undefined, undefined],
          ["Refused", "alice", undefined, undefined]
        ]
      )
    })
  )

  for (const [place, provide] of Object.entries({
    "the app, inside the layer of the scheme": (app, log) => app.pipe(Layer.provide(log), Layer.provide(schemes)),
    "the layer of the scheme": (app, log) => app.pipe(Layer.provide(Layer.provide(schemes, log))),
    "both, from outside": (app, log) => app.pipe(Layer.provide(schemes), Layer.provide(log)),
    "the server": (app, log) => Layer.merge(app.pipe(Layer.provide(schemes)), log)
  } satisfies Record<string, (app: App, log: Layer.Layer<never>) => App>)) {
    for (const [kind, app] of apps(auth.require("a"))) {
      it.effect(`may be provided to ${place}, on ${kind}`, () =>
        Effect.gen(function* () {
          const { decisions, layer } = memory()
          const send = yield* serve(provide(app, layer))
          yield* send("/items/1", "alice.a")
          yield* send("/items/1")
          assert.deepStrictEqual(
            decisions.map(({ outcome }) => outcome),
            ["Granted", "Refused"]
          )
        })
      )
    }
  }

  for (const [kind, make] of Object.entries(constructors(auth.require("a")))) {
    it.effect(`keeps the logs of two apps apart that share handlers and verifiers, on ${kind}`, () =>
      Effect.gen(function* () {
        const [one, other] = [memory(), memory()]
        // One build with one verifier, so Effect memoizes the handlers.
        const under = (prefix: string, log: Layer.Layer<never>) =>
          make().pipe(
            Layer.provide(log),
            Layer.provide(
              Layer.effect(
                HttpRouter.HttpRouter,
                Effect.map(HttpRouter.HttpRouter, (router) => router.prefixed(prefix))
              )
            )
          )
        const send = yield* serve(
          Layer.merge(under("/one", one.layer), under("/other", other.layer)).pipe(Layer.provide(schemes))
        )
        yield* send("/one/items/1", "alice.a")
        yield* send("/other/items/1", "bob.a")
        assert.deepStrictEqual(
          [one, other].map(({ decisions }) => decisions.map(({ route, subject }) => [route, subject])),
          [[["/one/items/:id", "alice"]], [["/other/items/:id", "bob"]]]
        )
      })
    )
  }

  describe("that fails", () => {
    const logged: Array<readonly [message: string, annotations: Readonly<Record<string, unknown>>]> = []
    const logger = Logger.layer([
      Logger.make(({ fiber, logLevel, message }) => {
        if (logLevel === "Error") logged.push([String(message), fiber.getRef(References.CurrentLogAnnotations)])
      })
    ])
    for (const [name, log] of [
      ["fails", () => Effect.fail("no database")],
      ["dies", () => Effect.die("no database")],
      ["interrupts itself", () => Effect.interrupt],
      [
        "throws",
        () => {
          throw new Error("no database")
        }
      ],
      ["returns nothing", () => undefined as never],
      ["never ends", () => Effect.never]
    ] as const satisfies ReadonlyArray<readonly [string, (decision: Decision) => Effect.Effect<void, unknown>]>) {
      it.effect(`changes no decision and logs one error for each, if it ${name}`, () =>
        Effect.gen(function* () {
          logged.length = 0
          const run = Effect.succeed("in").pipe(auth.prove("a"), Effect.exit)
          const outcomes = yield* Effect.forkChild(
            Effect.all([
              Effect.provide(run, BearerToken.layerTest("alice.a")),
              Effect.provide(run, BearerToken.layerTest("alice"))
            ])
          ).pipe(
            Effect.tap(() => TestClock.adjust("5 seconds")),
            Effect.tap(() => TestClock.adjust("5 seconds")),
            Effect.flatMap(Fiber.join)
          )
          assert.deepStrictEqual(outcomes.map(Exit.isSuccess), [true, false])
          assert.deepStrictEqual(
            logged.map(([message, { outcome, subject, tokenId }]) => [
              message.includes("The DecisionLog failed, so it may lack a decision. The decision stands."),
              outcome,
              subject,
              tokenId
            ]),
            [
              [true, "Granted", "alice", "id-alice"],
              [true, "Refused", "alice", "id-alice"]
            ]
          )
        }).pipe(Effect.provide([schemes, logger]), Effect.provide(Layer.succeed(DecisionLog, log)))
      )
    }
  })

  it.effect("writes the decision before the handler runs, and even if the request is interrupted", () =>
    Effect.gen(function* () {
      const written: Array<string> = []
      const open = yield* Deferred.make<void>()
      const log = () =>
        Effect.andThen(
          Deferred.await(open),
          Effect.sync(() => written.push("decision"))
        )
      const program = Effect.sync(() => written.push("handler")).pipe(
        auth.prove("a"),
        Effect.provide([BearerToken.layerTest("alice.a"), schemes, Layer.succeed(DecisionLog, log)])
      )
      const first = yield* Effect.forkChild(program, { startImmediately: true })
      yield* Effect.yieldNow
      const interruption = yield* Effect.forkChild(Fiber.interrupt(first), { startImmediately: true })
      yield* Deferred.succeed(open, undefined)
      yield* Fiber.join(interruption)
      assert.deepStrictEqual(written, ["decision"])
      yield* program
      assert.deepStrictEqual(written, ["decision", "decision", "handler"])
    })
  )
})

describe("without a DecisionLog", () => {
  it.effect("decisions are counted by scheme, outcome and reason", () =>
    Effect.gen(function* () {
      const run = (token: string) =>
        Effect.succeed("in").pipe(auth.prove("a", owner), Effect.exit, Effect.provide(BearerToken.layerTest(token)))
      for (const token of ["alice.a", "alice.a", "alice", "bob.a", "bad", "bad"]) yield* run(token)
      const counts = (yield* Metric.snapshot).flatMap(({ attributes, id, state }) =>
        id === "oauth2_decisions_total" && "count" in state ? [{ ...attributes, count: state.count }] : []
      )
      assert.deepEqual<unknown>(counts, [
        { scheme: "OAuth2", outcome: "Granted", reason: "Token", count: 2 },
        { scheme: "OAuth2", outcome: "Refused", reason: "InsufficientScope", count: 1 },
        { scheme: "OAuth2", outcome: "Refused", reason: "FailedCheck", count: 1 },
        { scheme: "OAuth2", outcome: "Refused", reason: "InvalidToken", count: 2 }
      ])
    }).pipe(Effect.provide(schemes), Effect.provideService(Metric.MetricRegistry, new Map()))
  )

  it.effect("the current span has the decision, without the subject", () =>
    Effect.gen(function* () {
      const attributesOf = (token: string) =>
        Effect.gen(function* () {
          yield* Effect.succeed("in").pipe(auth.prove("a", "b"), Effect.exit)
          const { attributes } = yield* Effect.currentSpan
          return Object.fromEntries(attributes)
        }).pipe(Effect.withSpan("test"), Effect.provide([BearerToken.layerTest(token), schemes]))
      const common = { "oauth2.scheme": "OAuth2", "oauth2.client_id": "web" }
      assert.deepStrictEqual(yield* attributesOf("alice.a.b"), {
        ...common,
        "oauth2.outcome": "Granted",
        "oauth2.reason": "Token"
      })
      assert.deepStrictEqual(yield* attributesOf("alice.a"), {
        ...common,
        "oauth2.outcome": "Refused",
        "oauth2.reason": "InsufficientScope",
        "oauth2.missing_scopes": ["b"]
      })
    }).pipe(Effect.provideService(Tracer.Tracer, Tracer.make({ span: (options) => new Tracer.NativeSpan(options) })))
  )
})
