import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Exit, Fiber, Layer, Logger, Metric, Option, Redacted, References, Tracer } from "effect"
import { HttpClient, HttpClientError, HttpClientRequest } from "effect/http"
import { TestClock } from "effect/testing"
import { TokenIntrospection, TokenVerifier } from "effect-oauth2"
import { TestIssuer } from "effect-oauth2/testing"
import { countsByOutcome } from "../support/countsByOutcome.ts"
import {
  asked,
  assertRefused,
  assertUnavailable,
  audience,
  formOf,
  Issuer,
  issuer,
  mint,
  type Options,
  options,
  respond,
  secret,
  test,
  verifier,
  verify
} from "../support/introspection.ts"
import { settle } from "../support/settle.ts"

describe("TokenIntrospection", () => {
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

    it.effect("with the client's identifier and secret, each encoded (RFC 6749 §2.3.1)", () =>
      Effect.gen(function* () {
        const [question, ...others] = yield* recorded(options)
        assert(question !== undefined && others.length === 0)
        assert.strictEqual(question.url, `${issuer}/introspect`)
        assert.strictEqual(question.headers["accept"], "application/json")
        assert.strictEqual(question.headers["authorization"], `Basic ${btoa("items+api:s3cret%3A+%26+%2B")}`)
        assert.deepStrictEqual(formOf(question), { token: "opaque-1", token_type_hint: "access_token" })
      })
    )

    it.effect("with both in the body", () =>
      Effect.gen(function* () {
        const [question] = yield* recorded({ ...options, authMethod: "client_secret_post" })
        assert(question !== undefined)
        assert.strictEqual(question.headers["authorization"], undefined)
        assert.deepStrictEqual(formOf(question), {
          token: "opaque-1",
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
          credentials: Effect.succeed({
            authorization: Redacted.make("Bearer of-the-api"),
            parameters: { client_assertion: Redacted.make("signed"), client_assertion_type: "jwt" }
          })
        })
        assert(question !== undefined)
        assert.strictEqual(Option.getOrThrow(HttpClientRequest.toUrl(question)).href, `${issuer}/introspect?tenant=1`)
        assert.strictEqual(question.headers["authorization"], "Bearer of-the-api")
        assert.deepStrictEqual(formOf(question), {
          token: "opaque-1",
          token_type_hint: "access_token",
          client_assertion: "signed",
          client_assertion_type: "jwt"
        })
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
        assertRefused(yield* Effect.flip(verify(token)), { reason: "Rejected" })
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
        assertRefused(yield* Effect.flip(verify(token)), { reason: "Rejected" })
      })
    )

    test(
      "nothing past the age that it may have",
      Effect.gen(function* () {
        const token = yield* mint()
        yield* verify(token)
        yield* TestClock.adjust("19 seconds")
        yield* verify(token)
        assert.strictEqual(yield* asked, 1)
        yield* TestClock.adjust("7 seconds")
        assertRefused(yield* Effect.flip(verify(token)), { reason: "Claim", claim: "iat" })
      }),
      verifier({ maxTokenAge: "20 seconds" })
    )

    test(
      "nothing that is invalidated",
      Effect.gen(function* () {
        const token = yield* mint()
        yield* verify(token)
        yield* TestIssuer.use(({ revoke }) => revoke(token))
        yield* TokenVerifier.invalidate(Redacted.make(token))
        assertRefused(yield* Effect.flip(verify(token)), { reason: "Rejected" })
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
        yield* Effect.flip(verify("never-minted"))
        yield* Effect.flip(verify("never-minted"))
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
          assertUnavailable(yield* Effect.flip(verify(token)), "BadResponse")
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
        const fiber = yield* Effect.forkChild(Effect.flip(verify(token)))
        yield* settle
        yield* TestClock.adjust("5 seconds")
        assertUnavailable(yield* Fiber.join(fiber), "Timeout")
      })
    )

    test(
      "where its metadata is another's",
      Effect.gen(function* () {
        yield* respond("discovery", { body: JSON.stringify({ issuer: `${issuer}/`, introspection_endpoint: issuer }) })
        assertUnavailable(yield* Effect.flip(verify(yield* mint())), "IssuerMismatch")
      })
    )

    test(
      "where its metadata sends the secret elsewhere without encryption",
      Effect.gen(function* () {
        yield* respond("discovery", { body: JSON.stringify({ issuer, introspection_endpoint: "http://127.0.0.1/" }) })
        assertUnavailable(yield* Effect.flip(verify(yield* mint())), "BadResponse")
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
          assertUnavailable(yield* Effect.flip(Effect.provide(verify("opaque"), layer)), "Unreachable")
        })
      )
    }
  })

  describe("tells", () => {
    /** What is logged, with its annotations. */
    const logged = (
      body: Effect.Effect<unknown, unknown, TestIssuer | TokenVerifier>,
      level: "Info" | "Debug" = "Info",
      layer: ReturnType<typeof verifier> = verifier({ cache: false })
    ) =>
      Effect.suspend(() => {
        const lines: Array<string> = []
        const logger = Logger.make(({ fiber, logLevel, message }) => {
          const annotations = fiber.getRef(References.CurrentLogAnnotations)
          lines.push([logLevel, ...[message].flat(), JSON.stringify(annotations)].map(String).join(" "))
        })
        return Effect.as(body, lines).pipe(
          Effect.provide(layer.pipe(Layer.provideMerge(Issuer))),
          Effect.provide(Logger.layer([logger])),
          Effect.provideService(References.MinimumLogLevel, level)
        )
      })

    it.effect("each kind of failure once, with what to look at, whoever sends how many tokens", () =>
      Effect.gen(function* () {
        const lines = yield* logged(
          Effect.gen(function* () {
            const token = yield* mint()
            for (let i = 0; i < 5; i++) {
              yield* respond("introspection", { status: 401 })
              yield* Effect.exit(verify(token))
              yield* respond("introspection", "normal")
              yield* verify(token)
            }
            yield* respond("introspection", { status: 403 })
            yield* Effect.exit(verify(token))
            yield* respond("introspection", { body: "<html>" })
            yield* Effect.exit(verify(token))
            yield* TestClock.adjust("10 minutes")
            yield* respond("introspection", { status: 403 })
            yield* Effect.exit(verify(token))
          })
        )
        const refused = (status: number) =>
          `Warn The authorization server could not be asked about a token: it refuses the question. Look at the clientId and the clientSecret, and at how they are sent (authMethod); and whether this client may introspect {"issuer":"${issuer}","reason":${status}}`
        assert.deepStrictEqual(lines, [
          refused(401),
          refused(403),
          `Warn The authorization server could not be asked about a token: where its answer, or its metadata, should be is something else; or its metadata names no introspection_endpoint. endpoint says where to ask {"issuer":"${issuer}","reason":"BadResponse"}`,
          refused(403)
        ])
      })
    )

    it.effect("what lasts once in ten minutes", () =>
      Effect.gen(function* () {
        const lines = yield* logged(
          Effect.gen(function* () {
            yield* respond("introspection", { status: 401 })
            for (let minute = 0; minute < 25; minute++) {
              yield* Effect.exit(verify(yield* mint()))
              yield* TestClock.adjust("1 minute")
            }
          })
        )
        assert.strictEqual(lines.length, 3)
      })
    )

    it.effect("that it cannot be reached, and that it can be again", () =>
      Effect.gen(function* () {
        const lines = yield* logged(
          Effect.gen(function* () {
            yield* respond("introspection", "unreachable")
            yield* Effect.exit(verify(yield* mint()))
            yield* TestClock.adjust("1 second")
            yield* Effect.exit(verify(yield* mint()))
            yield* respond("introspection", "normal")
            yield* TestClock.adjust("1 second")
            yield* verify(yield* mint())
            yield* verify(yield* mint())
          })
        )
        assert.deepStrictEqual(lines, [
          `Warn The authorization server could not be asked about a token {"issuer":"${issuer}","reason":"Unreachable"}`,
          `Info The authorization server is asked about tokens again {"issuer":"${issuer}"}`
        ])
      })
    )

    it.effect("no more than one recovery for each warning, whoever makes the circuit half-open how often", () =>
      Effect.gen(function* () {
        const lines = yield* logged(
          Effect.gen(function* () {
            for (let i = 0; i < 10; i++) {
              yield* respond("introspection", { status: 503 })
              yield* Effect.exit(verify(yield* mint()))
              yield* respond("introspection", "normal")
              yield* verify(yield* mint())
              yield* TestClock.adjust("90 seconds")
            }
          })
        )
        const kinds = lines.map((line) => line.split(" ")[0])
        assert.deepStrictEqual(kinds, ["Warn", "Info", "Warn", "Info"])
      })
    )

    it.effect("that credentials are none", () =>
      Effect.gen(function* () {
        for (const credentials of [
          undefined,
          { authorization: 7 },
          { parameters: { client_id: undefined } },
          { parameters: { token: "another" } },
          { parameters: { token_type_hint: "refresh_token" } }
        ]) {
          const layer = TokenIntrospection.layer({
            issuer,
            audience,
            credentials: Effect.succeed(credentials as never)
          })
          const lines = yield* logged(
            Effect.gen(function* () {
              assertUnavailable(yield* Effect.flip(verify(yield* mint())), "Unspecified")
              assert.strictEqual(yield* asked, 0)
            }),
            "Info",
            layer
          )
          assert.include(lines[0], "credentials has failed")
        }
      })
    )

    it.effect("of credentials that cannot be had the error's name alone", () =>
      Effect.gen(function* () {
        class SecretError extends Error {
          override readonly name = "SecretError"
        }
        for (const credentials of [
          Effect.fail(new SecretError("s3cret")),
          Effect.die(new SecretError("s3cret")),
          Effect.sync((): never => {
            throw new SecretError("s3cret")
          })
        ]) {
          const lines = yield* logged(
            Effect.gen(function* () {
              assertUnavailable(yield* Effect.flip(verify(yield* mint())), "Unspecified")
              assert.strictEqual(yield* asked, 0)
            }),
            "Debug",
            TokenIntrospection.layer({ issuer, audience, credentials })
          )
          assert.strictEqual(lines.filter((line) => line.includes('"error":"SecretError"')).length, 1)
          assert.strictEqual(lines.filter((line) => line.startsWith("Warn")).length, 1)
          for (const line of lines) assert.notInclude(line, "s3cret")
        }
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

    it.effect("no wrong advice", () =>
      Effect.gen(function* () {
        const layer = verifier({ audience: false, requiredClaims: { aud: "other" }, forbiddenClaims: ["sub"] })
        const lines = yield* logged(
          Effect.gen(function* () {
            assertRefused(yield* Effect.flip(verify(yield* mint())), { reason: "Claim", claim: "sub" })
            const withoutSubject = yield* mint({ without: ["sub"] })
            assertRefused(yield* Effect.flip(verify(withoutSubject)), { reason: "Claim", claim: "sub" })
          }),
          "Info",
          layer
        )
        assert.strictEqual(lines.length, 1)
        assert.include(lines[0], "the answer has no sub.")
      })
    )

    it.effect("a span of each verification, with the outcome, of malformed tokens too", () =>
      Effect.gen(function* () {
        const spans: Array<string> = []
        const tracer = Tracer.make({
          span: (options) => {
            const span = new Tracer.NativeSpan(options)
            return Object.assign(span, {
              end: (endTime: bigint, exit: Exit.Exit<unknown, unknown>) => {
                Tracer.NativeSpan.prototype.end.call(span, endTime, exit)
                if (span.name.startsWith("TokenIntrospection")) spans.push(`${span.name} ${exit._tag}`)
              }
            })
          }
        })
        yield* Effect.gen(function* () {
          yield* verify(yield* mint())
          yield* Effect.flip(verify("never-minted"))
          yield* Effect.flip(verify("a b"))
        }).pipe(Effect.provide(verifier().pipe(Layer.provideMerge(Issuer))), Effect.withTracer(tracer))
        assert.deepStrictEqual(spans, [
          "TokenIntrospection.verify Success",
          "TokenIntrospection.verify Failure",
          "TokenIntrospection.verify Failure"
        ])
      })
    )

    test(
      "the metrics of each outcome",
      Effect.gen(function* () {
        yield* verify(yield* mint())
        yield* Effect.flip(verify("never-minted"))
        yield* Effect.flip(verify("a b"))
        yield* respond("introspection", "unreachable")
        yield* Effect.flip(verify(yield* mint()))
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
})
