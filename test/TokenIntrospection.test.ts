import { assert, describe, it } from "@effect/vitest"
import {
  Config,
  Context,
  ConfigProvider,
  DateTime,
  Effect,
  Exit,
  Fiber,
  Layer,
  Logger,
  Metric,
  Option,
  Redacted,
  References
} from "effect"
import { HttpClient, HttpClientError, HttpClientRequest, HttpRouter, HttpServerResponse } from "effect/http"
import { TestClock } from "effect/testing"
import { OAuth2, SecurityError, type TokenCaching, TokenIntrospection, TokenVerifier } from "effect-oauth2"
import { type OpaqueOptions, TestIssuer } from "effect-oauth2/testing"
import { authorizationServer } from "./support/authorizationServer.ts"
import { countsByOutcome } from "./support/countsByOutcome.ts"
import { settle } from "./support/settle.ts"
import { serve } from "./support/web.ts"

const issuer = "https://issuer.test"
const audience = "https://api.test"
const secret = "s3cret: & +"

const key = await Effect.runPromise(TestIssuer.makeKey("ec-1", "ES256"))

const Issuer = TestIssuer.layer({ issuer, audience, keys: [key] })

type Options = Parameters<typeof TokenIntrospection.layer>[0]

const options = { issuer, audience, clientId: "items api", clientSecret: Redacted.make(secret) } satisfies Options

const verifier = (more: Partial<TokenIntrospection.Policy> & TokenCaching = {}) =>
  TokenIntrospection.layer({ ...options, ...more })

const verify = (token: string) => TokenVerifier.use(({ verify }) => verify(Redacted.make(token)))

const mint = (options: OpaqueOptions = {}) =>
  TestIssuer.use(({ mintOpaque }) => mintOpaque({ scopes: ["items:read", "me"], ...options }))

const respond = (...args: Parameters<TestIssuer["Service"]["respond"]>) =>
  TestIssuer.use(({ respond }) => respond(...args))

/** How often it was asked about a token. */
const asked = TestIssuer.use(({ requests }) =>
  Effect.map(requests, (all) => all.filter(({ endpoint }) => endpoint === "introspection").length)
)

/** A test with a verifier of its own, and its issuer. */
const test = (
  name: string,
  body: Effect.Effect<void, unknown, TestIssuer | TokenVerifier | HttpClient.HttpClient>,
  layer = verifier()
) => it.effect(name, () => Effect.provide(body, layer.pipe(Layer.provideMerge(Issuer))))

const errorOf = <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.flip(self)

const assertRefused = (error: unknown, expected: { readonly reason: string; readonly claim?: string }) => {
  assert.instanceOf(error, SecurityError.InvalidToken)
  assert.deepStrictEqual({ reason: error.reason, claim: error.claim }, { claim: undefined, ...expected })
}

const assertUnavailable = (error: unknown, reason: string) => {
  assert.instanceOf(error, SecurityError.AuthorizationServerUnavailable)
  assert.deepStrictEqual({ issuer: error.issuer, reason: error.reason }, { issuer, reason })
}

describe("TokenIntrospection", () => {
  test(
    "reads what the server says of an active token",
    Effect.gen(function* () {
      yield* TestClock.setTime(1_700_000_000_000)
      const token = yield* verify(yield* mint({ claims: { username: "demo", tenant: "t1" } }))
      assert.strictEqual(token.subject, "demo")
      assert.deepStrictEqual(token.clientId, Option.some("test-client"))
      assert.deepStrictEqual(Array.from(token.scopes), ["items:read", "me"])
      assert.strictEqual(token.issuer, issuer)
      assert.deepStrictEqual(token.audience, [audience])
      assert.strictEqual(DateTime.toEpochMillis(token.expiresAt), 1_700_000_600_000)
      assert.deepStrictEqual(token.tokenId, Option.some("token-1"))
      assert.strictEqual(token.claims["tenant"], "t1")
      assert.strictEqual(token.claims["active"], true)
      assert.strictEqual(Object.getPrototypeOf(token.claims), null)
    })
  )

  test(
    "takes a JWT as it takes any token: by what the server says",
    Effect.gen(function* () {
      const { mint, revoke } = yield* TestIssuer
      const [kept, revoked] = [yield* mint(), yield* mint()]
      yield* revoke(revoked)
      assert.strictEqual((yield* verify(kept)).subject, "demo")
      assertRefused(yield* errorOf(verify(revoked)), { reason: "Rejected" })
    })
  )

  describe("refuses a token", () => {
    const cases: ReadonlyArray<readonly [name: string, options: OpaqueOptions, reason: string, claim?: string]> = [
      ["that has expired", { lifetime: 0 }, "Rejected"],
      ["of another issuer", { claims: { iss: "https://evil.example.com" } }, "Claim", "iss"],
      ["whose issuer is an array", { claims: { iss: [issuer] } }, "Claim", "iss"],
      ["for another audience", { audience: "https://other.test" }, "Claim", "aud"],
      ["without an audience", { without: ["aud"] }, "Claim", "aud"],
      ["without a subject", { without: ["sub"] }, "Claim", "sub"],
      ["whose subject is empty", { claims: { sub: "" } }, "Claim", "sub"],
      ["whose subject is a number", { claims: { sub: 7 } }, "Claim", "sub"],
      ["whose expiry is no time", { claims: { exp: "soon" } }, "Claim", "exp"],
      ["whose time has not come", { claims: { nbf: 6 } }, "Claim", "nbf"],
      ["that is a refresh token: the server marks it as nothing", { without: ["token_type"] }, "Claim", "token_type"],
      ["that is a refresh token: the server says so", { claims: { token_use: "refresh_token" } }, "Claim", "token_use"],
      ["that is bound to a key, by its type", { claims: { token_type: "DPoP" } }, "Claim", "token_type"],
      ["that is bound to a key, by its confirmation", { claims: { cnf: { jkt: "abc" } } }, "Claim", "cnf"],
      ["whose type is no text", { claims: { token_type: ["Bearer"] } }, "Claim", "token_type"]
    ]
    for (const [name, options, reason, claim] of cases) {
      test(
        name,
        Effect.gen(function* () {
          const error = yield* errorOf(verify(yield* mint(options)))
          assertRefused(error, claim === undefined ? { reason } : { reason, claim })
        })
      )
    }

    test(
      "that the server does not know",
      Effect.gen(function* () {
        assertRefused(yield* errorOf(verify("never-minted")), { reason: "Rejected" })
      })
    )

    test(
      "that is none by its form, without asking",
      Effect.gen(function* () {
        for (const token of ["", "a b", "a\nb", "ü", "=", "a&b", "x".repeat(8193)]) {
          assertRefused(yield* errorOf(verify(token)), { reason: "Malformed" })
        }
        assert.strictEqual(yield* asked, 0)
      })
    )
  })

  describe("takes what its settings say", () => {
    const cases: ReadonlyArray<
      readonly [name: string, options: OpaqueOptions, settings: Parameters<typeof verifier>[0], refused: boolean]
    > = [
      ["any audience", { audience: "https://other.test" }, { audience: false }, false],
      ["an audience of several", { audience: ["a", "b"] }, { audience: ["b", "c"] }, false],
      [
        "the client for an audience",
        { without: ["aud"] },
        { audience: "test-client", audienceClaim: "client_id" },
        false
      ],
      ["a bearer token in lower case", { claims: { token_type: "bearer" } }, {}, false],
      ["a use that is an access token's", { claims: { token_use: "access_token" } }, {}, false],
      ["an answer that names no issuer", { without: ["iss"] }, {}, false],
      ["a mark of one's own", { without: ["token_type"] }, { accessTokenClaims: { client_id: true } }, false],
      ["no token without the mark", { claims: { kind: "refresh" } }, { accessTokenClaims: { kind: "access" } }, true],
      ["no other type beside the mark", { claims: { token_type: "mac" } }, { accessTokenClaims: { jti: true } }, true],
      [
        "the type that is the mark",
        { claims: { token_type: "at" } },
        { accessTokenClaims: { token_type: "at" } },
        false
      ],
      ["a claim that is required", { claims: { tenant: "t1" } }, { requiredClaims: { tenant: "t1" } }, false],
      ["none without it", { claims: { tenant: "t2" } }, { requiredClaims: { tenant: "t1" } }, true],
      ["none with one that is forbidden", { claims: { act: {} } }, { forbiddenClaims: ["act"] }, true],
      ["a client for a subject", { without: ["sub"] }, { subjectClaims: ["sub", "client_id"] }, false],
      ["a clock that is behind", { claims: { nbf: 30 } }, { clockTolerance: "30 seconds" }, false],
      ["no token that is too old", { claims: { iat: -3600 } }, { maxTokenAge: "30 minutes" }, true]
    ]
    for (const [name, options, settings, refused] of cases) {
      test(
        name,
        Effect.gen(function* () {
          const exit = yield* Effect.exit(verify(yield* mint(options)))
          assert.strictEqual(Exit.isFailure(exit), refused, String(exit))
        }),
        verifier(settings)
      )
    }

    test(
      "the user for a subject, where both are named",
      Effect.gen(function* () {
        assert.strictEqual((yield* verify(yield* mint({ subject: "alice" }))).subject, "alice")
        assert.strictEqual((yield* verify(yield* mint({ without: ["sub"] }))).subject, "test-client")
        assertRefused(yield* errorOf(verify(yield* mint({ claims: { sub: "" } }))), { reason: "Claim", claim: "sub" })
      }),
      verifier({ subjectClaims: ["sub", "client_id"] })
    )

    test(
      "scopes from where they are",
      Effect.gen(function* () {
        const token = yield* verify(yield* mint({ claims: { realm: { roles: ["admin", "not a scope"] } } }))
        assert.deepStrictEqual(Array.from(token.scopes), ["admin"])
      }),
      verifier({ scopesPath: ["realm", "roles"] })
    )
  })

  describe("asks", () => {
    /** The questions, as they were sent. */
    const recorded = (options: Options) => {
      const sent: Array<HttpClientRequest.HttpClientRequest> = []
      const Recording = Layer.effect(
        HttpClient.HttpClient,
        Effect.map(
          HttpClient.HttpClient,
          HttpClient.tapRequest((request) => Effect.sync(() => sent.push(request)))
        )
      ).pipe(Layer.provideMerge(Issuer))
      return Effect.gen(function* () {
        yield* verify(yield* mint())
        return sent.filter(({ method }) => method === "POST")
      }).pipe(Effect.provide(TokenIntrospection.layer(options).pipe(Layer.provideMerge(Recording))))
    }

    const bodyOf = ({ body }: HttpClientRequest.HttpClientRequest) => {
      assert(body._tag === "Uint8Array")
      assert.strictEqual(body.contentType, "application/x-www-form-urlencoded")
      return Object.fromEntries(new URLSearchParams(new TextDecoder().decode(body.body)))
    }

    it.effect("with the client's identifier and secret, each encoded (RFC 6749 §2.3.1)", () =>
      Effect.gen(function* () {
        const [question, ...others] = yield* recorded(options)
        assert(question !== undefined && others.length === 0)
        assert.strictEqual(question.url, `${issuer}/introspect`)
        assert.strictEqual(question.headers["accept"], "application/json")
        assert.strictEqual(question.headers["authorization"], `Basic ${btoa("items+api:s3cret%3A+%26+%2B")}`)
        assert.deepStrictEqual(bodyOf(question), { token: "opaque-token-1", token_type_hint: "access_token" })
      })
    )

    it.effect("with both in the body", () =>
      Effect.gen(function* () {
        const [question] = yield* recorded({ ...options, authMethod: "client_secret_post" })
        assert(question !== undefined)
        assert.strictEqual(question.headers["authorization"], undefined)
        assert.deepStrictEqual(bodyOf(question), {
          token: "opaque-token-1",
          token_type_hint: "access_token",
          client_id: "items api",
          client_secret: secret
        })
      })
    )

    it.effect("with whatever the server wants to see, where it is said to be", () =>
      Effect.gen(function* () {
        const [question] = yield* recorded({
          issuer,
          audience,
          endpoint: `${issuer}/introspect?tenant=1`,
          authenticate: (request) => Effect.succeed(HttpClientRequest.bearerToken(request, "the API's own"))
        })
        assert(question !== undefined)
        assert.strictEqual(Option.getOrThrow(HttpClientRequest.toUrl(question)).href, `${issuer}/introspect?tenant=1`)
        assert.strictEqual(question.headers["authorization"], "Bearer the API's own")
      })
    )

    test(
      "for its metadata once, and about each token once",
      Effect.gen(function* () {
        const tokens = [yield* mint(), yield* mint()]
        for (const token of [...tokens, ...tokens]) yield* verify(token)
        const { requests } = yield* TestIssuer
        assert.deepStrictEqual(
          (yield* requests).map(({ endpoint }) => endpoint),
          ["openid-configuration", "introspection", "introspection"]
        )
      })
    )

    test(
      "once about a token that many present at once, whoever of them goes",
      Effect.gen(function* () {
        const token = yield* mint()
        yield* respond("introspection", { delay: "1 second" })
        const fibers = yield* Effect.forEach([1, 2, 3], () => Effect.forkChild(verify(token)))
        yield* settle
        yield* Fiber.interrupt(fibers[0]!)
        yield* TestClock.adjust("3 seconds")
        for (const fiber of fibers.slice(1)) assert.strictEqual((yield* Fiber.join(fiber)).subject, "demo")
        assert(Exit.hasInterrupts(yield* Fiber.await(fibers[0]!)))
        assert.strictEqual(yield* asked, 2, "the first question ended with who asked it")
      })
    )

    test(
      "64 at a time at most",
      Effect.gen(function* () {
        const tokens = yield* Effect.forEach(Array.from({ length: 100 }), () => mint())
        yield* respond("introspection", { delay: "1 second" })
        const fibers = yield* Effect.forEach(tokens, (token) => Effect.forkChild(verify(token)))
        yield* settle
        assert.strictEqual(yield* asked, 64)
        yield* TestClock.adjust("1 second")
        yield* settle
        assert.strictEqual(yield* asked, 100)
        yield* TestClock.adjust("1 second")
        for (const fiber of fibers) yield* Fiber.join(fiber)
      })
    )
  })

  describe("keeps", () => {
    test(
      "what was accepted for a minute, and no longer",
      Effect.gen(function* () {
        const token = yield* mint()
        yield* verify(token)
        yield* TestIssuer.use(({ revoke }) => revoke(token))
        yield* TestClock.adjust("59 seconds")
        assert.strictEqual((yield* verify(token)).subject, "demo")
        yield* TestClock.adjust("1 second")
        assertRefused(yield* errorOf(verify(token)), { reason: "Rejected" })
      })
    )

    test(
      "nothing past its expiry",
      Effect.gen(function* () {
        const token = yield* mint({ lifetime: "30 seconds" })
        yield* verify(token)
        yield* TestClock.adjust("29 seconds")
        yield* verify(token)
        assert.strictEqual(yield* asked, 1)
        yield* TestClock.adjust("1 second")
        assertRefused(yield* errorOf(verify(token)), { reason: "Rejected" })
      })
    )

    test(
      "nothing that is invalidated",
      Effect.gen(function* () {
        const token = yield* mint()
        yield* verify(token)
        yield* TestIssuer.use(({ revoke }) => revoke(token))
        yield* TokenVerifier.invalidate(Redacted.make(token))
        assertRefused(yield* errorOf(verify(token)), { reason: "Rejected" })
      })
    )

    test(
      "nothing where it is told so",
      Effect.gen(function* () {
        const token = yield* mint()
        yield* verify(token)
        yield* verify(token)
        assert.strictEqual(yield* asked, 2)
      }),
      verifier({ cache: false })
    )

    test(
      "a token of which no expiry is known for a minute",
      Effect.gen(function* () {
        yield* TestClock.setTime(1_700_000_000_000)
        const token = yield* mint({ without: ["exp"] })
        const { expiresAt } = yield* verify(token)
        assert.strictEqual(DateTime.toEpochMillis(expiresAt), 1_700_000_060_000)
        yield* TestClock.adjust("59 seconds")
        yield* verify(token)
        assert.strictEqual(yield* asked, 1)
        yield* TestClock.adjust("1 second")
        yield* verify(token)
        assert.strictEqual(yield* asked, 2)
      }),
      verifier({ cache: { timeToLive: "1 hour" } })
    )

    test(
      "nothing of what was refused",
      Effect.gen(function* () {
        yield* errorOf(verify("never-minted"))
        yield* errorOf(verify("never-minted"))
        assert.strictEqual(yield* asked, 2)
      })
    )
  })

  describe("an outage is not a rejection", () => {
    const cases: ReadonlyArray<readonly [name: string, answer: Parameters<TestIssuer["Service"]["respond"]>[1]]> = [
      ["an error", { status: 500 }],
      ["a page", { body: "<html>" }],
      ["nothing", { body: "" }],
      ["null", { body: "null" }],
      ["a list", { body: "[true]" }],
      ["an object that says nothing", { body: "{}" }],
      ["a text for active", { body: '{"active":"true","sub":"demo","token_type":"Bearer"}' }],
      ["two answers", { body: '{"active":false,"active":true}' }],
      ["a member named as a prototype", { body: '{"__proto__":{"active":true}}' }],
      ["no UTF-8", { body: new Uint8Array([0x7b, 0xff, 0x7d]) }],
      ["more than it reads", { body: `{"active":true,"x":"${"x".repeat(512 * 1024)}"}` }],
      ["a redirect", { status: 302, headers: { location: `${issuer}/elsewhere` } }],
      ["a good answer with another status", { status: 201 }],
      ["that it does not know this API", { status: 401 }],
      ["that this API may not ask", { status: 403 }]
    ]
    for (const [name, answer] of cases) {
      test(
        `where the server answers ${name}`,
        Effect.gen(function* () {
          const token = yield* mint()
          yield* respond("introspection", answer)
          assertUnavailable(yield* errorOf(verify(token)), "BadResponse")
          yield* respond("introspection", "normal")
          assert.strictEqual((yield* verify(token)).subject, "demo", "one bad answer is asked past at once")
        })
      )
    }

    test(
      "where it never answers",
      Effect.gen(function* () {
        const token = yield* mint()
        yield* respond("introspection", "never")
        const fiber = yield* Effect.forkChild(errorOf(verify(token)))
        yield* settle
        yield* TestClock.adjust("5 seconds")
        assertUnavailable(yield* Fiber.join(fiber), "Timeout")
      })
    )

    test(
      "where its metadata is another's",
      Effect.gen(function* () {
        yield* respond("discovery", { body: JSON.stringify({ issuer: `${issuer}/`, introspection_endpoint: issuer }) })
        assertUnavailable(yield* errorOf(verify(yield* mint())), "IssuerMismatch")
      })
    )

    test(
      "where its metadata sends the secret elsewhere without encryption",
      Effect.gen(function* () {
        yield* respond("discovery", { body: JSON.stringify({ issuer, introspection_endpoint: "http://127.0.0.1/" }) })
        assertUnavailable(yield* errorOf(verify(yield* mint())), "BadResponse")
        assert.strictEqual(yield* asked, 0)
      })
    )

    test(
      "and a connection that breaks once is none",
      Effect.gen(function* () {
        const token = yield* mint()
        assert.strictEqual((yield* verify(token)).subject, "demo")
      }),
      verifier().pipe(
        Layer.provide(
          Layer.effect(
            HttpClient.HttpClient,
            Effect.map(HttpClient.HttpClient, (client) => {
              let isBroken = true
              return HttpClient.make((request) => {
                if (request.method !== "POST" || !isBroken) return client.execute(request)
                isBroken = false
                const reason = new HttpClientError.TransportError({ request, description: "ECONNRESET" })
                return Effect.fail(new HttpClientError.HttpClientError({ reason }))
              })
            })
          )
        )
      )
    )

    test(
      "and is waited for before anybody asks again",
      Effect.gen(function* () {
        const token = yield* mint()
        yield* verify(token)
        yield* respond("introspection", "unreachable")
        assertUnavailable(yield* errorOf(verify(yield* mint())), "Unreachable")
        assert.strictEqual(yield* asked, 3, "one question, and the same once more")
        assert.strictEqual((yield* verify(token)).subject, "demo", "what is kept serves")
        assertUnavailable(yield* errorOf(verify(yield* mint())), "Unreachable")
        assert.strictEqual(yield* asked, 3)
        yield* respond("introspection", "normal")
        yield* TestClock.adjust("1 second")
        assert.strictEqual((yield* verify(yield* mint())).subject, "demo")
      })
    )

    test(
      "and an answer to one token stops no question about another",
      Effect.gen(function* () {
        yield* respond("introspection", { status: 500 })
        assertUnavailable(yield* errorOf(verify(yield* mint())), "BadResponse")
        yield* respond("introspection", { status: 503 })
        assertUnavailable(yield* errorOf(verify(yield* mint())), "BadResponse")
        assert.strictEqual(yield* asked, 2)
        assertUnavailable(yield* errorOf(verify(yield* mint())), "BadResponse")
        assert.strictEqual(yield* asked, 2, "of a server that answers nobody, none is asked")
      })
    )

    test(
      "and who goes away has not seen one",
      Effect.gen(function* () {
        yield* respond("introspection", "never")
        const fiber = yield* Effect.forkChild(verify(yield* mint()))
        yield* settle
        yield* Fiber.interrupt(fiber)
        yield* respond("introspection", "normal")
        assert.strictEqual((yield* verify(yield* mint())).subject, "demo")
      })
    )

    for (const [how, broken] of [
      ["dies", Effect.die(new Error("a client's own"))],
      ["gives up by itself", Effect.interrupt]
    ] as const) {
      it.effect(`where the client ${how}`, () =>
        Effect.gen(function* () {
          const client = HttpClient.make(() => broken)
          const layer = verifier({ endpoint: `${issuer}/introspect` }).pipe(
            Layer.provide(Layer.succeed(HttpClient.HttpClient, client))
          )
          assertUnavailable(yield* errorOf(Effect.provide(verify("opaque"), layer)), "Unreachable")
        })
      )
    }

    test(
      "and the endpoint is looked for anew where it has moved",
      Effect.gen(function* () {
        yield* verify(yield* mint())
        yield* respond("introspection", { status: 404 })
        assertUnavailable(yield* errorOf(verify(yield* mint())), "BadResponse")
        yield* respond("introspection", "normal")
        yield* verify(yield* mint())
        const { requests } = yield* TestIssuer
        assert.strictEqual((yield* requests).filter(({ endpoint }) => endpoint === "openid-configuration").length, 2)
      })
    )
  })

  describe("tells", () => {
    /** What is logged, with its annotations. */
    const logged = (
      body: Effect.Effect<unknown, unknown, TestIssuer | TokenVerifier>,
      level: "Info" | "Debug" = "Info"
    ) =>
      Effect.suspend(() => {
        const lines: Array<string> = []
        const logger = Logger.make(({ fiber, logLevel, message }) => {
          const annotations = fiber.getRef(References.CurrentLogAnnotations)
          lines.push([logLevel, ...[message].flat(), JSON.stringify(annotations)].map(String).join(" "))
        })
        return Effect.as(body, lines).pipe(
          Effect.provide(verifier({ cache: false }).pipe(Layer.provideMerge(Issuer))),
          Effect.provide(Logger.layer([logger])),
          Effect.provideService(References.MinimumLogLevel, level)
        )
      })

    it.effect("once in an outage, what to look at, and when it is over", () =>
      Effect.gen(function* () {
        const lines = yield* logged(
          Effect.gen(function* () {
            yield* respond("introspection", { status: 401 })
            yield* Effect.exit(verify(yield* mint()))
            yield* Effect.exit(verify(yield* mint()))
            yield* respond("introspection", "normal")
            yield* verify(yield* mint())
            yield* verify(yield* mint())
          })
        )
        assert.deepStrictEqual(lines, [
          `Warn The authorization server could not be asked about a token: it refuses the question. Look at clientId, clientSecret and authMethod, and whether this client may introspect {"issuer":"${issuer}","reason":401}`,
          `Info The authorization server is asked about tokens again {"issuer":"${issuer}"}`
        ])
      })
    )

    it.effect("once, which setting fits tokens that are refused for what they are", () =>
      Effect.gen(function* () {
        const lines = yield* logged(
          Effect.gen(function* () {
            for (const options of [{ without: ["aud"] }, { without: ["token_type"] }, { without: ["sub"] }]) {
              yield* Effect.exit(verify(yield* mint(options)))
              yield* Effect.exit(verify(yield* mint(options)))
            }
          })
        )
        assert.deepStrictEqual(
          lines.map((line) => /audience: false|accessTokenClaims|subjectClaims/.exec(line)?.[0]),
          ["audience: false", "accessTokenClaims", "subjectClaims"]
        )
      })
    )

    it.effect("nothing of tokens and secrets", () =>
      Effect.gen(function* () {
        const token = "opaque-token-of-somebody"
        const lines = yield* logged(
          Effect.gen(function* () {
            yield* respond("introspection", { status: 400, body: token })
            yield* Effect.exit(verify(token))
            yield* respond("introspection", { body: JSON.stringify({ active: true, sub: token, aud: token }) })
            yield* Effect.exit(verify(token))
            yield* respond("introspection", "unreachable")
            yield* Effect.exit(verify(token))
          }),
          "Debug"
        )
        assert.isAbove(lines.length, 2)
        for (const line of lines) {
          assert.notInclude(line, token)
          assert.notInclude(line, "s3cret")
        }
      })
    )

    test(
      "the metrics of each outcome",
      Effect.gen(function* () {
        yield* verify(yield* mint())
        yield* errorOf(verify("never-minted"))
        yield* errorOf(verify("a b"))
        yield* respond("introspection", "unreachable")
        yield* errorOf(verify(yield* mint()))
        assert.deepStrictEqual(yield* countsByOutcome, {
          Accepted: 1,
          Rejected: 1,
          Malformed: 1,
          AuthorizationServerUnavailable: 1,
          miss: 4
        })
      }),
      Layer.provideMerge(verifier(), Layer.succeed(Metric.MetricRegistry, new Map()))
    )
  })

  describe("refuses at the start", () => {
    const cases: ReadonlyArray<readonly [setting: string, settings: object]> = [
      ["issuer", { issuer: "http://idp.example.com" }],
      ["issuer", { issuer: `${issuer}/.well-known/openid-configuration` }],
      ["endpoint", { endpoint: "http://idp.example.com/introspect" }],
      ["audience", { audience: "" }],
      ["audience", { audience: undefined }],
      ["audience", { audience: [] }],
      ["audience", { audience: true }],
      ["clientId", { clientId: "" }],
      ["clientId", { clientId: undefined }],
      ["clientSecret", { clientSecret: Redacted.make("") }],
      ["clientSecret", { clientSecret: "plain" }],
      ["clientSecret", { clientSecret: undefined }],
      ["clientSecret", { clientSecret: Redacted.make("of a file\n") }],
      ["clientId", { clientId: "ü" }],
      ["authMethod", { authMethod: "private_key_jwt" }],
      ["subjectClaims", { subjectClaims: [] }],
      ["subjectClaims", { subjectClaims: [""] }],
      ["accessTokenClaims", { accessTokenClaims: { kind: undefined } }],
      ["requiredClaims", { requiredClaims: { tenant: "" } }],
      ["clockTolerance", { clockTolerance: "2 minutes" }],
      ["cache.timeToLive", { cache: { timeToLive: "2 days" } }]
    ]
    for (const [setting, settings] of cases) {
      it.effect(`${setting} as ${JSON.stringify(settings)}`, () =>
        Effect.gen(function* () {
          const layer = TokenIntrospection.layer({ ...options, ...settings }).pipe(Layer.provide(Issuer))
          const error = yield* errorOf(Effect.scoped(Layer.build(layer)))
          assert.instanceOf(error, SecurityError.ConfigurationError)
          assert.strictEqual(error.setting, setting)
          assert(error.message.startsWith(`${setting} `), error.message)
          assert.notInclude(error.message, "plain")
        })
      )
    }
  })

  test(
    "takes its settings from the environment",
    Effect.gen(function* () {
      assert.strictEqual((yield* verify(yield* mint())).subject, "demo")
    }),
    TokenIntrospection.layerConfig({
      issuer: Config.String("ISSUER"),
      audience: Config.String("AUDIENCE"),
      clientId: Config.String("CLIENT_ID"),
      clientSecret: Config.Redacted("CLIENT_SECRET")
    }).pipe(
      Layer.orDie,
      Layer.provide(
        ConfigProvider.layer(
          ConfigProvider.fromUnknown({ ISSUER: issuer, AUDIENCE: audience, CLIENT_ID: "api", CLIENT_SECRET: secret })
        )
      )
    )
  )

  it.live("guards routes", () =>
    Effect.gen(function* () {
      const auth = OAuth2.authorizationCode("OAuth2", { ...authorizationServer, scopes: { me: "", admin: "" } })
      const route = (path: `/${string}`, requirement: "me" | "admin") =>
        HttpRouter.add(
          "GET",
          path,
          Effect.map(auth.accessToken, ({ subject }) => HttpServerResponse.text(subject))
        ).pipe(Layer.provide(auth.require(requirement).route.layer))
      const context = yield* Layer.build(Issuer)
      const { mintOpaque, respond, revoke } = Context.get(context, TestIssuer)
      const send = yield* serve(
        Layer.mergeAll(route("/me", "me"), route("/admin", "admin")).pipe(
          Layer.provide(auth.layer),
          Layer.provide(verifier()),
          Layer.provide(Layer.succeedContext(context))
        )
      )
      const token = yield* mintOpaque({ scopes: ["me"] })
      const revoked = yield* mintOpaque({ scopes: ["me"] })
      yield* revoke(revoked)
      const answers = [yield* send("/me", token), yield* send("/admin", token), yield* send("/me", revoked)]
      yield* respond("introspection", "unreachable")
      answers.push(yield* send("/me", yield* mintOpaque({ scopes: ["me"] })), yield* send("/me", token))
      assert.deepStrictEqual(
        answers.map(({ challenge, status }) => [status, challenge]),
        [
          [200, null],
          [401, 'Bearer scope="admin"'],
          [401, 'Bearer scope="me"'],
          [503, null],
          [200, null]
        ]
      )
      assert.strictEqual(answers[3]?.headers.get("retry-after"), "1")
    })
  )
})
