import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { assert, describe, it } from "@effect/vitest"
import {
  Arbitrary,
  Cause,
  DateTime,
  Duration,
  Effect,
  ErrorReporter,
  Layer,
  Logger,
  Option,
  Redacted,
  Schema
} from "effect"
import { HttpClient, HttpRouter, HttpServerRespondable, HttpServerResponse } from "effect/http"
import { BearerToken, Challenge, OAuth2, SecurityError, SecurityScopes, TokenVerifier } from "effect-oauth2"
import { parseChallenge } from "./support/parseChallenge.ts"

const secret = "s3cr3t"

const errors = {
  NotAuthenticated: new SecurityError.NotAuthenticated({ reason: "NoCredentials" }),
  InvalidRequest: new SecurityError.InvalidRequest({ reason: "SeveralCredentials" }),
  InvalidToken: new SecurityError.InvalidToken({ reason: "Claim", claim: secret }),
  InsufficientScope: new SecurityError.InsufficientScope({ required: [secret], missing: [secret] }),
  AuthorizationServerUnavailable: new SecurityError.AuthorizationServerUnavailable({
    issuer: `https://${secret}.example.com`,
    reason: "Timeout",
    retryAfter: Duration.seconds(7)
  })
} as const
type Tag = keyof typeof errors

const variants: ReadonlyArray<SecurityError.SecurityError> = [
  ...(["NoCredentials", "OtherScheme"] as const).map((reason) => new SecurityError.NotAuthenticated({ reason })),
  ...(["Malformed", "TooLong", "SeveralCredentials"] as const).map(
    (reason) => new SecurityError.InvalidRequest({ reason })
  ),
  ...(["Malformed", "Algorithm", "UnknownKey", "Signature", "Claim", "Expired", "Rejected"] as const).flatMap(
    (reason) => [
      new SecurityError.InvalidToken({ reason }),
      new SecurityError.InvalidToken({ reason, claim: `${secret}"\r\nX-Injected: 1` })
    ]
  ),
  new SecurityError.InsufficientScope({ required: [secret, "b"], missing: [`${secret}\r\n`] }),
  ...(["Unreachable", "Timeout", "BadResponse", "IssuerMismatch"] as const).map(
    (reason) =>
      new SecurityError.AuthorizationServerUnavailable({
        issuer: `${secret}\r\nX-Injected: 1`,
        reason,
        retryAfter: Duration.seconds(7)
      })
  )
]

interface Row {
  readonly tag: Tag
  readonly responses: Challenge.Responses
  readonly scopes: ReadonlyArray<string>
  readonly status: number
  readonly challenge: string | undefined
  readonly retryAfter?: string
  readonly body: string
}

const notAuthenticated = '{"detail":"Not authenticated"}'
const malformed = '{"detail":"Malformed credentials"}'
const notValidated = '{"detail":"Could not validate credentials"}'
const notEnough = '{"detail":"Not enough permissions"}'
const unavailable = '{"detail":"Authorization server unavailable"}'

/** The table "What the errors become", with the realm `the "realm"`. */
const table: ReadonlyArray<Row> = [
  row("NotAuthenticated", "fastapi", [], 401, "Bearer", notAuthenticated),
  row("NotAuthenticated", "fastapi", ["a", "b"], 401, "Bearer", notAuthenticated),
  row("NotAuthenticated", "rfc6750", [], 401, 'Bearer realm="the \\"realm\\""', notAuthenticated),
  row("NotAuthenticated", "rfc6750", ["a", "b"], 401, 'Bearer realm="the \\"realm\\"", scope="a b"', notAuthenticated),
  row("InvalidRequest", "fastapi", [], 401, "Bearer", notAuthenticated),
  row("InvalidRequest", "fastapi", ["a", "b"], 401, "Bearer", notAuthenticated),
  row("InvalidRequest", "rfc6750", [], 400, 'Bearer error="invalid_request"', malformed),
  row("InvalidRequest", "rfc6750", ["a", "b"], 400, 'Bearer error="invalid_request"', malformed),
  row("InvalidToken", "fastapi", [], 401, "Bearer", notValidated),
  row("InvalidToken", "fastapi", ["a", "b"], 401, 'Bearer scope="a b"', notValidated),
  row("InvalidToken", "rfc6750", [], 401, 'Bearer error="invalid_token"', notValidated),
  row("InvalidToken", "rfc6750", ["a", "b"], 401, 'Bearer error="invalid_token", scope="a b"', notValidated),
  row("InsufficientScope", "fastapi", ["a"], 401, 'Bearer scope="a"', notEnough),
  row("InsufficientScope", "fastapi", ["a", "b"], 401, 'Bearer scope="a b"', notEnough),
  row("InsufficientScope", "rfc6750", ["a"], 403, 'Bearer error="insufficient_scope", scope="a"', notEnough),
  row("InsufficientScope", "rfc6750", ["a", "b"], 403, 'Bearer error="insufficient_scope", scope="a b"', notEnough),
  ...(["fastapi", "rfc6750"] as const).flatMap((responses) =>
    [[], ["a", "b"]].map((scopes) => ({
      ...row("AuthorizationServerUnavailable", responses, scopes, 503, undefined, unavailable),
      retryAfter: "7"
    }))
  )
]

function row(
  tag: Tag,
  responses: Challenge.Responses,
  scopes: ReadonlyArray<string>,
  status: number,
  challenge: string | undefined,
  body: string
): Row {
  return { tag, responses, scopes, status, challenge, body }
}

const realm = 'the "realm"'
const settings = (overrides: Partial<Challenge.Settings> = {}): Challenge.Settings => ({
  responses: "fastapi",
  realm: "api",
  scopes: [],
  renderers: {},
  ...overrides
})

const flow = {
  authorizationUrl: "https://idp.example.com/authorize",
  tokenUrl: "https://idp.example.com/token",
  scopes: { a: "A", b: "B" }
}

/** The token `scopes.a.b` has the scopes a and b; `rejected` is refused; with `down` nobody could tell. */
const verifierLayer = TokenVerifier.layer({
  verify: (bearer) => {
    const token = Redacted.value(bearer)
    if (token === "rejected") return Effect.fail(errors.InvalidToken)
    if (token === "down") return Effect.fail(errors.AuthorizationServerUnavailable)
    return Effect.succeed({
      subject: "demo",
      clientId: Option.none(),
      scopes: new Set(token.split(".").slice(1)),
      issuer: "https://idp.example.com",
      audience: ["https://api.example.com"],
      expiresAt: DateTime.makeUnsafe("2100-01-01T00:00:00Z"),
      issuedAt: Option.none(),
      tokenId: Option.none(),
      claims: {}
    })
  }
})

/** The Authorization field that makes a guard fail with each error. */
const credentials: { readonly [K in Tag]: string | undefined } = {
  NotAuthenticated: undefined,
  InvalidRequest: "Bearer a b",
  InvalidToken: "Bearer rejected",
  InsufficientScope: "Bearer scopes",
  AuthorizationServerUnavailable: "Bearer down"
}

const guarded = <const Name extends string>(
  scheme: OAuth2.OAuth2Scheme<Name, "a" | "b">,
  path: HttpRouter.PathInput,
  scopes: ReadonlyArray<"a" | "b">
) =>
  HttpRouter.add("GET", path, HttpServerResponse.text("open")).pipe(
    Layer.provide(scheme.require(...scopes).route.layer),
    Layer.provide(scheme.layer),
    Layer.provide(verifierLayer)
  )

const served = <A, E, R>(routes: Layer.Layer<A, E, R>) =>
  HttpRouter.serve(routes, { disableLogger: true, disableListenLog: true }).pipe(
    Layer.provideMerge(NodeHttpServer.layerTest)
  )

const get = Effect.fnUntraced(function* (path: string, authorization?: string) {
  const client = yield* HttpClient.HttpClient
  const response = yield* client.get(path, authorization === undefined ? undefined : { headers: { authorization } })
  return {
    status: response.status,
    challenge: response.headers["www-authenticate"],
    retryAfter: response.headers["retry-after"],
    contentType: response.headers["content-type"],
    headers: JSON.stringify(response.headers),
    body: yield* response.text
  }
})

const expected = (row: Row) => ({
  status: row.status,
  challenge: row.challenge,
  retryAfter: row.retryAfter,
  contentType: "application/json",
  body: row.body
})

const without = <K extends string, A extends { readonly [_ in K]: unknown }>(value: A, key: K): Omit<A, K> => {
  const { [key]: _, ...rest } = value
  return rest
}

describe("parseChallenge, which judges the others", () => {
  for (const [field, params] of [
    ["Bearer", []],
    ['Bearer realm="a"', [["realm", "a"]]],
    [
      'Bearer  REALM="a" , scope=b',
      [
        ["realm", "a"],
        ["scope", "b"]
      ]
    ],
    ['Bearer realm=""', [["realm", ""]]],
    ['Bearer realm="a \\"b\\" \\\\ \\c,="', [["realm", 'a "b" \\ c,=']]]
  ] as const) {
    it(`reads ${field}`, () => {
      assert.deepStrictEqual(parseChallenge(field), { scheme: "Bearer", params })
    })
  }

  for (const field of [
    "",
    " Bearer",
    "Bearer ",
    "Bearer abc",
    "Bearer abc==",
    "Bearer, Bearer",
    'Bearer realm="a", ',
    'Bearer , realm="a"',
    'Bearer realm="a",, scope="b"',
    'Bearer realm="a" scope="b"',
    'Bearer realm ="a"',
    'Bearer realm= "a"',
    'Bearer realm="a',
    'Bearer realm="a\\"',
    'Bearer realm="a"b',
    'Bearer realm="a", Basic realm="b"',
    'Bearer realm="a", realm="b"',
    'Bearer realm="a", Realm="b"',
    'Bearer realm="a\nb"',
    'Bearer realm="a\0b"',
    'Bearer realm="a\\\r"',
    'Bearer realm="\u212A"',
    "Bearer realm=",
    "Bearer realm=a b",
    "Bearer\trealm=a"
  ]) {
    it(`refuses ${JSON.stringify(field)}`, () => {
      assert.throws(() => parseChallenge(field), SyntaxError)
    })
  }
})

describe("Challenge", () => {
  describe("answer", () => {
    for (const row of table) {
      it(`${row.tag} under ${row.responses} with the scopes [${row.scopes.join(", ")}]`, () => {
        const { body, headers, status } = Challenge.answer(
          errors[row.tag],
          settings({ responses: row.responses, realm, scopes: row.scopes })
        )
        assert.strictEqual(status, row.status)
        assert.deepStrictEqual(headers, {
          ...(row.challenge === undefined ? undefined : { "www-authenticate": row.challenge }),
          ...(row.retryAfter === undefined ? undefined : { "retry-after": row.retryAfter })
        })
        assert.strictEqual(JSON.stringify(body), row.body)
      })
    }

    it("has one or more parameters under rfc6750 (RFC 6750 §3), and no error code where no credentials were sent (§3.1)", () => {
      for (const error of variants) {
        const field = Challenge.answer(error, settings({ responses: "rfc6750" })).headers["www-authenticate"]
        if (error._tag === "AuthorizationServerUnavailable") {
          assert.isUndefined(field)
          continue
        }
        const names = parseChallenge(field!).params.map(([name]) => name)
        assert.isNotEmpty(names)
        assert.strictEqual(names.includes("error"), error._tag !== "NotAuthenticated")
      }
    })

    it("says the same for every reason of an error: nothing of its detail reaches the client", () => {
      for (const responses of ["fastapi", "rfc6750"] as const) {
        const answers = new Map<Tag, string>()
        for (const error of variants) {
          const printed = JSON.stringify(Challenge.answer(error, settings({ responses, scopes: ["a"] })))
          assert.notInclude(printed, secret)
          assert.notInclude(printed, "Injected")
          assert.strictEqual(answers.get(error._tag) ?? printed, printed)
          answers.set(error._tag, printed)
        }
        assert.strictEqual(answers.size, 5)
      }
    })

    it("names the scopes of the operation, not those that the error carries", () => {
      const error = new SecurityError.InsufficientScope({ required: ["x"], missing: ["x"] })
      assert.strictEqual(
        Challenge.answer(error, settings({ scopes: ["a", "b"] })).headers["www-authenticate"],
        'Bearer scope="a b"'
      )
    })

    for (const [retryAfter, seconds] of [
      [Duration.seconds(7), "7"],
      [Duration.millis(1), "1"],
      [Duration.millis(1001), "2"],
      [Duration.nanos(1n), "1"],
      [Duration.zero, "1"],
      [Duration.days(365), "31536000"]
    ] as const) {
      it(`asks to retry after ${seconds} s for ${Duration.format(retryAfter)}`, () => {
        const error = new SecurityError.AuthorizationServerUnavailable({ issuer: "i", reason: "Timeout", retryAfter })
        assert.strictEqual(Challenge.answer(error, settings()).headers["retry-after"], seconds)
      })
    }

    it("writes Retry-After in digits whatever the duration (RFC 9110 §10.2.3: delay-seconds = 1*DIGIT)", () => {
      for (const retryAfter of [
        Duration.infinity,
        Duration.negativeInfinity,
        Duration.seconds(1e21),
        Duration.nanos(10n ** 40n),
        Duration.millis(Number.MAX_SAFE_INTEGER)
      ]) {
        const error = new SecurityError.AuthorizationServerUnavailable({ issuer: "i", reason: "Timeout", retryAfter })
        assert.match(Challenge.answer(error, settings()).headers["retry-after"]!, /^[1-9][0-9]*$/)
      }
    })
  })

  describe("in a served app", () => {
    const schemes = {
      fastapi: OAuth2.authorizationCode("fastapi", { ...flow, realm }),
      rfc6750: OAuth2.authorizationCode("rfc6750", { ...flow, realm, responses: "rfc6750" })
    }

    it.effect("a guard answers each error with the bytes of the table", () =>
      Effect.gen(function* () {
        for (const row of table) {
          const path = `/${row.responses}/${row.scopes.join("-")}`
          const answered = yield* get(path, credentials[row.tag])
          assert.deepStrictEqual(without(answered, "headers"), expected(row), `${row.tag} at ${path}`)
          assert.notInclude(answered.headers, secret)
        }
        for (const path of ["/fastapi/a-b", "/rfc6750/a-b"]) {
          assert.strictEqual((yield* get(path, "Bearer scopes.a.b")).body, "open")
        }
      }).pipe(
        Effect.provide(
          served(
            Layer.mergeAll(
              guarded(schemes.fastapi, "/fastapi/", []),
              guarded(schemes.fastapi, "/fastapi/a", ["a"]),
              guarded(schemes.fastapi, "/fastapi/a-b", ["a", "b"]),
              guarded(schemes.rfc6750, "/rfc6750/", []),
              guarded(schemes.rfc6750, "/rfc6750/a", ["a"]),
              guarded(schemes.rfc6750, "/rfc6750/a-b", ["a", "b"])
            )
          )
        )
      )
    )

    it.effect("the scheme's name is the realm where none is set", () =>
      Effect.gen(function* () {
        assert.strictEqual((yield* get("/")).challenge, 'Bearer realm="My.Scheme-1", scope="b a"')
      }).pipe(
        Effect.provide(
          served(
            guarded(
              OAuth2.authorizationCode("My.Scheme-1", {
                ...flow,
                responses: "rfc6750"
              }),
              "/",
              ["b", "a"]
            )
          )
        )
      )
    )

    it.effect("an error that a handler fails with by itself is answered as FastAPI does, without scopes", () =>
      Effect.gen(function* () {
        const retryAfter: Record<string, string> = { AuthorizationServerUnavailable: "7" }
        for (const [tag, status, challenge, body] of [
          ["NotAuthenticated", 401, "Bearer", notAuthenticated],
          ["InvalidRequest", 401, "Bearer", notAuthenticated],
          ["InvalidToken", 401, "Bearer", notValidated],
          ["InsufficientScope", 401, "Bearer", notEnough],
          ["AuthorizationServerUnavailable", 503, undefined, unavailable]
        ] as const) {
          for (const path of [`/fail/${tag}`, `/die/${tag}`]) {
            const answered = yield* get(path)
            assert.deepStrictEqual(
              without(answered, "headers"),
              { status, challenge, retryAfter: retryAfter[tag], contentType: "application/json", body },
              path
            )
            assert.notInclude(answered.headers, secret)
          }
        }
      }).pipe(
        Effect.provide(
          served(
            Layer.mergeAll(
              ...((Object.keys(errors) as Array<Tag>).flatMap((tag) => [
                HttpRouter.add("GET", `/fail/${tag}`, Effect.fail(errors[tag])),
                HttpRouter.add("GET", `/die/${tag}`, Effect.die(errors[tag]))
              ]) as [ReturnType<typeof HttpRouter.add<SecurityError.SecurityError, never>>])
            )
          )
        )
      )
    )

    it.effect("auth.authorize in a handler answers with the scheme's settings and the scopes in force", () =>
      Effect.gen(function* () {
        for (const row of table.filter((row) => row.responses === "rfc6750" && row.scopes.length === 2)) {
          // The BearerToken layer knows no scheme: what it refuses is answered in FastAPI's form.
          if (row.tag === "NotAuthenticated" || row.tag === "InvalidRequest") continue
          assert.deepStrictEqual(without(yield* get("/", credentials[row.tag]), "headers"), expected(row), row.tag)
        }
        assert.strictEqual((yield* get("/", "Bearer scopes.a.b")).body, "demo")
      }).pipe(
        Effect.provide(
          served(
            HttpRouter.add(
              "GET",
              "/",
              schemes.rfc6750.authorize.pipe(
                Effect.map((token) => HttpServerResponse.text(token.subject)),
                SecurityScopes.require("b"),
                SecurityScopes.require("a"),
                Effect.provide(BearerToken.layer),
                Effect.provide(Layer.provide(schemes.rfc6750.layer, verifierLayer))
              )
            )
          )
        )
      )
    )
  })

  describe("observability", () => {
    it.effect("a refused request is neither reported nor logged above Info, and a defect is", () => {
      const reported: Array<unknown> = []
      const logged: Array<{ readonly level: string; readonly message: string }> = []
      const reporter = ErrorReporter.make(({ error }) => reported.push(error.message))
      const logger = Logger.make<unknown, void>(({ cause, logLevel, message }) => {
        logged.push({ level: logLevel, message: `${String(message)} ${Cause.pretty(cause)}` })
      })
      const scheme = OAuth2.authorizationCode("s", flow)
      const routes = Layer.mergeAll(
        guarded(scheme, "/guarded", ["a"]),
        HttpRouter.add("GET", "/fail", Effect.fail(errors.InvalidToken)),
        HttpRouter.add("GET", "/die", Effect.die(errors.AuthorizationServerUnavailable)),
        HttpRouter.add("GET", "/bug", Effect.die(new Error("a bug")))
      )
      return Effect.gen(function* () {
        let requests = 0
        for (const tag of Object.keys(credentials) as Array<Tag>) {
          assert.include([401, 503], (yield* get("/guarded", credentials[tag])).status)
          requests++
        }
        assert.strictEqual((yield* get("/fail")).status, 401)
        assert.strictEqual((yield* get("/die")).status, 503)
        requests += 2
        assert.deepStrictEqual(reported, [])
        assert.strictEqual(logged.length, requests)
        for (const { level, message } of logged) {
          assert.strictEqual(level, "Info", message)
          assert.notInclude(message, "Bearer ")
        }
        // The reporter and the logger do work.
        assert.strictEqual((yield* get("/bug")).status, 500)
        assert.deepStrictEqual(reported, ["a bug"])
        assert.strictEqual(logged.length, requests + 1)
      }).pipe(
        Effect.provide(
          HttpRouter.serve(routes, { disableListenLog: true }).pipe(
            Layer.provide([ErrorReporter.layer([reporter]), Logger.layer([logger])]),
            Layer.provideMerge(NodeHttpServer.layerTest)
          )
        )
      )
    })

    it("each error, and each copy of it, is ignored by error reporters", () => {
      for (const error of variants) {
        assert.isTrue(ErrorReporter.isIgnored(error))
        assert.isTrue(ErrorReporter.isIgnored(Challenge.within(error, settings())))
      }
    })
  })

  describe("within", () => {
    it("returns a copy that is the same error", () => {
      for (const error of variants) {
        const copy = Challenge.within(error, settings())
        assert.notStrictEqual<unknown>(copy, error)
        assert.instanceOf(copy, Error)
        assert.instanceOf(copy, error.constructor as new () => unknown)
        assert.strictEqual(copy._tag, error._tag)
        assert.strictEqual(copy.message, error.message)
        assert.strictEqual(copy.name, error.name)
        assert.deepStrictEqual(Object.entries(copy), Object.entries(error))
        assert.strictEqual(String(copy), String(error))
        assert.isTrue(HttpServerRespondable.isRespondable(copy))
      }
    })

    it("shows one line where a stack would be: a refused request is no bug to be traced", () => {
      const { message, stack } = Challenge.within(errors.InvalidToken, settings())
      assert.strictEqual(stack, `InvalidToken: ${message}`)
    })

    it.effect("keeps the error one that can be caught, yielded and matched", () =>
      Effect.gen(function* () {
        const copy = Challenge.within(errors.InvalidToken, settings())
        const caught = Effect.catchTag(copy, "InvalidToken", (error) => Effect.succeed(error))
        assert.strictEqual(yield* caught, copy)
        assert.include(Cause.pretty(Cause.fail(copy)), "InvalidToken")
      })
    )

    it.effect("leaves the original as it was, also a frozen one", () =>
      Effect.gen(function* () {
        for (const error of variants) {
          const before = JSON.stringify(error)
          const answered = yield* Challenge.respond(error)
          Challenge.within(Object.freeze(error), settings({ responses: "rfc6750", scopes: ["a"] }))
          assert.strictEqual(JSON.stringify(error), before)
          assert.deepStrictEqual({ ...(yield* Challenge.respond(error)).headers }, { ...answered.headers })
        }
      })
    )

    it.effect("lets one error value serve several schemes, each with its own settings", () =>
      Effect.gen(function* () {
        const error = errors.InvalidToken
        const first = Challenge.within(error, settings({ scopes: ["a"] }))
        const second = Challenge.within(error, settings({ scopes: ["b"], responses: "rfc6750" }))
        const third = Challenge.within(first, settings({ scopes: ["c"] }))
        const challenge = (error: SecurityError.SecurityError) =>
          Effect.map(Challenge.respond(error), (response) => response.headers["www-authenticate"])
        assert.strictEqual(yield* challenge(first), 'Bearer scope="a"')
        assert.strictEqual(yield* challenge(second), 'Bearer error="invalid_token", scope="b"')
        assert.strictEqual(yield* challenge(third), 'Bearer scope="c"')
        assert.strictEqual(yield* challenge(error), "Bearer")
      })
    )

    it.effect("lets one verifier's error serve two guards of one app", () =>
      Effect.gen(function* () {
        for (let i = 0; i < 2; i++) {
          assert.strictEqual((yield* get("/one", "Bearer rejected")).challenge, 'Bearer scope="a"')
          assert.strictEqual(
            (yield* get("/two", "Bearer rejected")).challenge,
            'Bearer error="invalid_token", scope="b"'
          )
        }
      }).pipe(
        Effect.provide(
          served(
            Layer.mergeAll(
              guarded(OAuth2.authorizationCode("one", flow), "/one", ["a"]),
              guarded(OAuth2.authorizationCode("two", { ...flow, responses: "rfc6750" }), "/two", ["b"])
            )
          )
        )
      )
    )
  })

  describe("renderers", () => {
    const problem = (status: number) =>
      HttpServerResponse.jsonUnsafe({ title: "no" }, { status, contentType: "application/problem+json" })

    const respond = (tag: Tag, renderers: Challenge.Renderers, overrides: Partial<Challenge.Settings> = {}) =>
      Effect.map(
        Challenge.respond(Challenge.within(errors[tag], settings({ scopes: ["a"], renderers, ...overrides }))),
        (response) => HttpServerResponse.toWeb(response)
      )

    it.effect("give status and body, and the library adds the challenge", () =>
      Effect.gen(function* () {
        for (const [responses, challenge] of [
          ["fastapi", 'Bearer scope="a"'],
          ["rfc6750", 'Bearer error="insufficient_scope", scope="a"']
        ] as const) {
          const response = yield* respond("InsufficientScope", { InsufficientScope: () => problem(418) }, { responses })
          assert.strictEqual(response.status, 418)
          assert.strictEqual(response.headers.get("content-type"), "application/problem+json")
          assert.strictEqual(response.headers.get("www-authenticate"), challenge)
          assert.strictEqual(yield* Effect.promise(() => response.text()), '{"title":"no"}')
        }
      })
    )

    it.effect("get Retry-After added too, and no challenge with it", () =>
      Effect.gen(function* () {
        const response = yield* respond("AuthorizationServerUnavailable", {
          AuthorizationServerUnavailable: () => problem(500)
        })
        assert.strictEqual(response.status, 500)
        assert.strictEqual(response.headers.get("retry-after"), "7")
        assert.isNull(response.headers.get("www-authenticate"))
      })
    )

    it.effect("keep the fields that they set, whatever the case of the name", () =>
      Effect.gen(function* () {
        for (const name of ["www-authenticate", "WWW-Authenticate"]) {
          const response = yield* respond("NotAuthenticated", {
            NotAuthenticated: () =>
              HttpServerResponse.empty({ status: 401, headers: { [name]: "Own x=1", "X-Own": "1" } })
          })
          assert.strictEqual(response.headers.get("www-authenticate"), "Own x=1")
          assert.strictEqual(response.headers.get("x-own"), "1")
        }
        const response = yield* respond("AuthorizationServerUnavailable", {
          AuthorizationServerUnavailable: () =>
            HttpServerResponse.empty({ status: 503, headers: { "Retry-After": "99" } })
        })
        assert.strictEqual(response.headers.get("retry-after"), "99")
      })
    )

    it.effect("are given the error with its fields", () =>
      Effect.gen(function* () {
        const seen: Array<unknown> = []
        yield* respond("InvalidToken", {
          InvalidToken: (error) => {
            seen.push(error.reason, error.claim, error instanceof SecurityError.InvalidToken)
            return problem(401)
          }
        })
        assert.deepStrictEqual(seen, ["Claim", secret, true])
      })
    )

    it.effect("leave the errors standard that they do not name", () =>
      Effect.gen(function* () {
        for (const row of table) {
          const response = yield* respond(
            row.tag,
            { [row.tag === "InvalidToken" ? "NotAuthenticated" : "InvalidToken"]: () => problem(418) },
            { responses: row.responses, realm, scopes: row.scopes }
          )
          assert.deepStrictEqual(
            {
              status: response.status,
              challenge: response.headers.get("www-authenticate") ?? undefined,
              retryAfter: response.headers.get("retry-after") ?? undefined,
              contentType: response.headers.get("content-type"),
              body: yield* Effect.promise(() => response.text())
            },
            expected(row)
          )
        }
      })
    )

    for (const [title, renderer] of [
      [
        "throws",
        () => {
          throw new Error(secret)
        }
      ],
      [
        "throws no error",
        () => {
          throw undefined
        }
      ],
      ["returns nothing", () => undefined as never],
      ["returns what is no response", () => ({ status: 200 }) as never],
      ["returns an effect", () => Effect.succeed(HttpServerResponse.empty()) as never]
    ] as const) {
      it.effect(`fall back to the standard response, and log an error, where one ${title}`, () => {
        const logged: Array<string> = []
        const logger = Logger.make<unknown, void>(({ logLevel, message }) => {
          logged.push(`${logLevel} ${String(message)}`)
        })
        return Effect.gen(function* () {
          const response = yield* respond("InvalidToken", { InvalidToken: renderer })
          assert.strictEqual(response.status, 401)
          assert.strictEqual(response.headers.get("www-authenticate"), 'Bearer scope="a"')
          assert.strictEqual(yield* Effect.promise(() => response.text()), notValidated)
          assert.strictEqual(logged.length, 1)
          assert.match(logged[0]!, /^Error The renderer for InvalidToken failed/)
        }).pipe(Effect.provide(Logger.layer([logger])))
      })
    }

    it.effect("serve a guard over HTTP, and one that throws does not make it a 500", () => {
      const scheme = OAuth2.authorizationCode("s", {
        ...flow,
        responses: "rfc6750",
        renderers: {
          InsufficientScope: (error) =>
            HttpServerResponse.jsonUnsafe({ missing: error.missing }, { status: 404, headers: { "X-Own": "1" } }),
          InvalidToken: () => {
            throw new Error(secret)
          }
        }
      })
      return Effect.gen(function* () {
        const own = yield* get("/", "Bearer scopes.b")
        assert.deepStrictEqual(without(own, "headers"), {
          status: 404,
          challenge: 'Bearer error="insufficient_scope", scope="a b"',
          retryAfter: undefined,
          contentType: "application/json",
          body: '{"missing":["a"]}'
        })
        assert.include(own.headers, '"x-own":"1"')
        const fallback = yield* get("/", "Bearer rejected")
        assert.deepStrictEqual(
          [fallback.status, fallback.challenge, fallback.body],
          [401, 'Bearer error="invalid_token", scope="a b"', notValidated]
        )
        assert.strictEqual((yield* get("/")).challenge, 'Bearer realm="s", scope="a b"')
        assert.strictEqual((yield* get("/", "Bearer scopes.a.b")).body, "open")
      }).pipe(Effect.provide(Layer.merge(served(guarded(scheme, "/", ["a", "b"])), Logger.layer([]))))
    })
  })

  describe("properties", () => {
    const options = { arbitrary: { runs: 1000, size: 48, seed: 20260819 } }
    const int = (minimum: number, maximum: number) =>
      Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum, maximum })))
    const text = (character: Arbitrary.Arbitrary<string>, minLength = 0, maxLength = 40) =>
      Arbitrary.array(character, { minLength, maxLength }).pipe(Arbitrary.map((characters) => characters.join("")))
    const oneOf = (...members: ReadonlyArray<Arbitrary.Arbitrary<string>>) =>
      Arbitrary.flatMap(int(0, members.length - 1), (i) => members[i]!)
    const character = (minimum: number, maximum: number) =>
      int(minimum, maximum).pipe(Arbitrary.map((code) => String.fromCodePoint(code)))
    const among = (characters: ReadonlyArray<string>) =>
      int(0, characters.length - 1).pipe(Arbitrary.map((i) => characters[i]!))

    const printable = text(oneOf(character(0x20, 0x7e), among(['"', "\\", ",", "="])))
    const scopeToken = text(oneOf(character(0x21, 0x21), character(0x23, 0x5b), character(0x5d, 0x7e)), 1, 20)
    const scopes = Arbitrary.array(scopeToken, { maxLength: 6 })
    const hostile = text(
      oneOf(
        among([
          "\r",
          "\n",
          "\r\n",
          "\0",
          "\t",
          '"',
          "\\",
          "\\\r",
          "\u2028",
          "\u0085",
          "\x7F",
          "\uD800",
          "\uDC00",
          "😀",
          ","
        ]),
        character(0, 0x20),
        character(0x7f, 0xff),
        character(0, 0xffff),
        character(0x10000, 0x10ffff)
      )
    )

    const isVisibleAsciiLine = (field: string) => Array.from(field).every((c) => c >= " " && c <= "~")

    it.prop(
      "the realm and the scopes come back from the challenge",
      { realm: printable, scopes },
      ({ realm, scopes }) => {
        for (const error of variants) {
          for (const responses of ["fastapi", "rfc6750"] as const) {
            const field = Challenge.answer(error, settings({ responses, realm, scopes })).headers["www-authenticate"]
            if (field === undefined) continue
            const { params, scheme } = parseChallenge(field)
            assert.strictEqual(scheme, "Bearer")
            const found = new Map(params)
            if (found.has("realm")) assert.strictEqual(found.get("realm"), realm)
            if (found.has("scope")) assert.strictEqual(found.get("scope"), scopes.join(" "))
            assert.strictEqual(found.has("realm"), error._tag === "NotAuthenticated" && responses === "rfc6750")
            const namesScopes =
              error._tag === "InvalidToken" ||
              error._tag === "InsufficientScope" ||
              (error._tag === "NotAuthenticated" && responses === "rfc6750")
            assert.strictEqual(found.has("scope"), namesScopes && scopes.length > 0)
          }
        }
      },
      options
    )

    it.prop(
      "no value can leave its string: the challenge is one line of ASCII with the parameters that were given",
      { realm: hostile, scope: hostile, error: hostile },
      ({ error, realm, scope }) => {
        const given = [
          ["realm", realm],
          ["error", error],
          ["scope", scope]
        ] as const
        for (let count = 0; count <= 3; count++) {
          const field = Challenge.bearer(given.slice(0, count))
          assert.isTrue(isVisibleAsciiLine(field), JSON.stringify(field))
          const { params, scheme } = parseChallenge(field)
          assert.strictEqual(scheme, "Bearer")
          assert.deepStrictEqual(
            params.map(([name]) => name),
            given.slice(0, count).map(([name]) => name)
          )
          // RFC 6750 §3: what error and scope may hold.
          for (const [name, value] of params) {
            if (name !== "realm") assert.match(value, /^[\x20\x21\x23-\x5B\x5D-\x7E]*$/)
          }
        }
      },
      options
    )

    it.prop(
      "an answer with any realm and scopes can be sent",
      { realm: hostile, scopes: Arbitrary.array(hostile, { maxLength: 4 }) },
      ({ realm, scopes }) => {
        for (const error of variants) {
          for (const responses of ["fastapi", "rfc6750"] as const) {
            const { headers } = Challenge.answer(error, settings({ responses, realm, scopes }))
            assert.doesNotThrow(() => new Headers(headers))
            const field = headers["www-authenticate"]
            if (field === undefined) continue
            assert.isTrue(isVisibleAsciiLine(field))
            assert.doesNotThrow(() => parseChallenge(field))
          }
        }
      },
      { arbitrary: { ...options.arbitrary, runs: 200 } }
    )
  })
})

describe("OAuth2.authorizationCode", () => {
  for (const realm of ["", "a\r\nX-Injected: 1", "é", "a\0", "a\tb", "\u2028"]) {
    it(`refuses the realm ${JSON.stringify(realm)} at once`, () => {
      assert.throws(() => OAuth2.authorizationCode("s", { ...flow, realm }), TypeError, "realm")
    })
  }

  for (const name of ["", "a b", 'a"', "a\\", "a\r\n", "é"]) {
    it(`refuses the name ${JSON.stringify(name)} at once`, () => {
      assert.throws(() => OAuth2.authorizationCode(name, flow), TypeError, "name")
    })
  }

  for (const scope of ["", "a b", 'a"b', "a\\b", "a\n", "é"]) {
    it(`refuses the scope ${JSON.stringify(scope)} at once, by name`, () => {
      assert.throws(
        () => OAuth2.authorizationCode("s", { ...flow, scopes: { [scope]: "" } }),
        TypeError,
        JSON.stringify(scope)
      )
    })
  }
})
