/** Tests of `TokenIntrospection`: its requests, its cache, outages, and what it reports. */
import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Exit, Fiber, Layer, Logger, Metric, Option, Redacted, References, Tracer } from "effect"
import { HttpClient, HttpClientError, HttpClientRequest } from "effect/http"
import { TestClock } from "effect/testing"
import { TokenIntrospection, TokenVerifier } from "effect-oauth2"
import { TestIssuer } from "effect-oauth2/testing"
import { countsByOutcome } from "../support/countsByOutcome.ts"
import {
  introspectionCount,
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
  describe("requests", () => {
    /** Returns the introspection requests that the verifier sends for one token. */
    const sentRequests = (options: Options) => {
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

    it.effect("sends the client ID and the secret form-encoded in the Authorization header (RFC 6749 §2.3.1)", () =>
      Effect.gen(function* () {
        const [request, ...others] = yield* sentRequests(options)
        assert(request !== undefined && others.length === 0)
        assert.strictEqual(request.url, `${issuer}/introspect`)
        assert.strictEqual(request.headers["accept"], "application/json")
        assert.strictEqual(request.headers["authorization"], `Basic ${btoa("items+api:s3cret%3A+%26+%2B")}`)
        assert.deepStrictEqual(formOf(request), { token: "opaque-1", token_type_hint: "access_token" })
      })
    )

    it.effect("sends the client ID and the secret in the body for client_secret_post", () =>
      Effect.gen(function* () {
        const [request] = yield* sentRequests({ ...options, authMethod: "client_secret_post" })
        assert(request !== undefined)
        assert.strictEqual(request.headers["authorization"], undefined)
        assert.deepStrictEqual(formOf(request), {
          token: "opaque-1",
          token_type_hint: "access_token",
          client_id: "items api",
          client_secret: secret
        })
      })
    )

    it.effect("sends custom credentials to the configured endpoint", () =>
      Effect.gen(function* () {
        const [request] = yield* sentRequests({
          issuer,
          audience,
          endpoint: `${issuer}/introspect?tenant=1`,
          credentials: Effect.succeed({
            authorization: Redacted.make("Bearer of-the-api"),
            parameters: { client_assertion: Redacted.make("signed"), client_assertion_type: "jwt" }
          })
        })
        assert(request !== undefined)
        assert.strictEqual(Option.getOrThrow(HttpClientRequest.toUrl(request)).href, `${issuer}/introspect?tenant=1`)
        assert.strictEqual(request.headers["authorization"], "Bearer of-the-api")
        assert.deepStrictEqual(formOf(request), {
          token: "opaque-1",
          token_type_hint: "access_token",
          client_assertion: "signed",
          client_assertion_type: "jwt"
        })
      })
    )

    test(
      "requests the metadata once, and introspects each token once",
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
      "shares one introspection request between callers with the same token, even if one caller is interrupted",
      Effect.gen(function* () {
        const token = yield* mint()
        yield* respond("introspection", { delay: "1 second" })
        const fibers = yield* Effect.forEach([1, 2, 3], () => Effect.forkChild(verify(token)))
        yield* settle
        yield* Fiber.interrupt(fibers[0]!)
        yield* TestClock.adjust("3 seconds")
        for (const fiber of fibers.slice(1)) assert.strictEqual((yield* Fiber.join(fiber)).subject, "demo")
        assert(Exit.hasInterrupts(yield* Fiber.await(fibers[0]!)))
        assert.strictEqual(yield* introspectionCount, 2, "the interrupt of the first caller must end its request")
      })
    )

    test(
      "sends at most 64 introspection requests at a time",
      Effect.gen(function* () {
        const tokens = yield* Effect.forEach(Array.from({ length: 100 }), () => mint())
        yield* respond("introspection", { delay: "1 second" })
        const fibers = yield* Effect.forEach(tokens, (token) => Effect.forkChild(verify(token)))
        yield* settle
        assert.strictEqual(yield* introspectionCount, 64)
        yield* TestClock.adjust("1 second")
        yield* settle
        assert.strictEqual(yield* introspectionCount, 100)
        yield* TestClock.adjust("1 second")
        for (const fiber of fibers) yield* Fiber.join(fiber)
      })
    )
  })

  describe("caches", () => {
    test(
      "caches an accepted token for exactly one minute",
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
      "caches no token past its expiry",
      Effect.gen(function* () {
        const token = yield* mint({ lifetime: "30 seconds" })
        yield* verify(token)
        yield* TestClock.adjust("29 seconds")
        yield* verify(token)
        assert.strictEqual(yield* introspectionCount, 1)
        yield* TestClock.adjust("1 second")
        assertRefused(yield* Effect.flip(verify(token)), { reason: "Rejected" })
      })
    )

    test(
      "caches no token past maxTokenAge",
      Effect.gen(function* () {
        const token = yield* mint()
        yield* verify(token)
        yield* TestClock.adjust("19 seconds")
        yield* verify(token)
        assert.strictEqual(yield* introspectionCount, 1)
        yield* TestClock.adjust("7 seconds")
        assertRefused(yield* Effect.flip(verify(token)), { reason: "Claim", claim: "iat" })
      }),
      verifier({ maxTokenAge: "20 seconds" })
    )

    test(
      "forgets an invalidated token",
      Effect.gen(function* () {
        const token = yield* mint()
        yield* verify(token)
        yield* TestIssuer.use(({ revoke }) => revoke(token))
        yield* TokenVerifier.invalidate(Redacted.make(token))
        assertRefused(yield* Effect.flip(verify(token)), { reason: "Rejected" })
      })
    )

    test(
      "caches nothing if cache is false",
      Effect.gen(function* () {
        const token = yield* mint()
        yield* verify(token)
        yield* verify(token)
        assert.strictEqual(yield* introspectionCount, 2)
      }),
      verifier({ cache: false })
    )

    test(
      "accepts a token without exp for one minute, then introspects it again",
      Effect.gen(function* () {
        yield* TestClock.setTime(1_700_000_000_000)
        const token = yield* mint({ without: ["exp"] })
        const { expiresAt } = yield* verify(token)
        assert.strictEqual(DateTime.toEpochMillis(expiresAt), 1_700_000_060_000)
        yield* TestClock.adjust("59 seconds")
        yield* verify(token)
        assert.strictEqual(yield* introspectionCount, 1)
        yield* TestClock.adjust("1 second")
        yield* verify(token)
        assert.strictEqual(yield* introspectionCount, 2)
      }),
      verifier({ cache: { timeToLive: "1 hour" } })
    )

    test(
      "does not cache refused tokens",
      Effect.gen(function* () {
        yield* Effect.flip(verify("never-minted"))
        yield* Effect.flip(verify("never-minted"))
        assert.strictEqual(yield* introspectionCount, 2)
      })
    )
  })

  describe("outages", () => {
    const cases: ReadonlyArray<readonly [name: string, answer: Parameters<TestIssuer["Service"]["respond"]>[1]]> = [
      ["with status 500", { status: 500 }],
      ["with an HTML page", { body: "<html>" }],
      ["with an empty body", { body: "" }],
      ["with null", { body: "null" }],
      ["with an array", { body: "[true]" }],
      ["with an object without active", { body: "{}" }],
      ["with a string for active", { body: '{"active":"true","sub":"demo","token_type":"Bearer"}' }],
      ["with active twice", { body: '{"active":false,"active":true}' }],
      ["with a member named __proto__", { body: '{"__proto__":{"active":true}}' }],
      ["with invalid UTF-8", { body: new Uint8Array([0x7b, 0xff, 0x7d]) }],
      ["with a body above the limit", { body: `{"active":true,"x":"${"x".repeat(512 * 1024)}"}` }],
      ["with a redirect", { status: 302, headers: { location: `${issuer}/elsewhere` } }],
      ["with status 201 and a valid body", { status: 201 }],
      ["with status 401", { status: 401 }],
      ["with status 403", { status: 403 }]
    ]
    for (const [name, answer] of cases) {
      test(
        `fails with AuthorizationServerUnavailable if the server responds ${name}`,
        Effect.gen(function* () {
          const token = yield* mint()
          yield* respond("introspection", answer)
          assertUnavailable(yield* Effect.flip(verify(token)), "BadResponse")
          yield* respond("introspection", "normal")
          assert.strictEqual((yield* verify(token)).subject, "demo", "the next call must send a new request at once")
        })
      )
    }

    test(
      "fails with a Timeout after 5 seconds if the server never responds",
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
      "fails with an IssuerMismatch if the metadata names another issuer",
      Effect.gen(function* () {
        yield* respond("discovery", { body: JSON.stringify({ issuer: `${issuer}/`, introspection_endpoint: issuer }) })
        assertUnavailable(yield* Effect.flip(verify(yield* mint())), "IssuerMismatch")
      })
    )

    test(
      "sends no secret to an http endpoint from the metadata",
      Effect.gen(function* () {
        yield* respond("discovery", { body: JSON.stringify({ issuer, introspection_endpoint: "http://127.0.0.1/" }) })
        assertUnavailable(yield* Effect.flip(verify(yield* mint())), "BadResponse")
        assert.strictEqual(yield* introspectionCount, 0)
      })
    )

    test(
      "sends the request again if the connection breaks once",
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
      "counts no failure if the caller is interrupted",
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
      ["dies with a defect", Effect.die(new Error("defect of the HttpClient"))],
      ["interrupts itself", Effect.interrupt]
    ] as const) {
      it.effect(`fails with Unreachable if the HttpClient ${how}`, () =>
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

  describe("logs, spans and metrics", () => {
    /** Returns the log lines with their annotations. */
    const logged = (
      body: Effect.Effect<unknown, unknown, TestIssuer | TokenVerifier>,
      level: "Info" | "Debug" = "Info",
      layer: Layer.Layer<TokenVerifier, unknown, HttpClient.HttpClient> = verifier({ cache: false })
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

    it.effect("warns once in ten minutes for each kind of failure, with advice", () =>
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
          `Warn An introspection request to the authorization server failed. The request for the introspection response at ${issuer}/introspect got status ${status}. The server refused the request. Check clientId, clientSecret or clientKey, and authMethod, and whether this client may introspect tokens. If only some tokens cause it, the server responds so to tokens that it does not know, instead of { "active": false } (RFC 7662 §2.2). {"issuer":"${issuer}","reason":${status},"document":"introspection response","url":"${issuer}/introspect","status":${status}}`
        assert.deepStrictEqual(lines, [
          refused(401),
          refused(403),
          `Warn An introspection request to the authorization server failed. The request for the introspection response at ${issuer}/introspect got a response that is not valid: it has no active member. Check the endpoint option. {"issuer":"${issuer}","reason":"BadResponse","document":"introspection response","url":"${issuer}/introspect"}`,
          refused(403)
        ])
      })
    )

    it.effect("repeats the warning every ten minutes while the failure lasts", () =>
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

    it.effect("warns once when the server becomes unreachable, and logs the recovery", () =>
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
          `Warn An introspection request to the authorization server failed. The request for the introspection response at ${issuer}/introspect got no response. {"issuer":"${issuer}","reason":"Unreachable","document":"introspection response","url":"${issuer}/introspect"}`,
          `Info Introspection requests to the authorization server work again. {"issuer":"${issuer}"}`
        ])
      })
    )

    it.effect("logs at most one recovery for each warning, however often the circuit becomes half-open", () =>
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

    it.effect("warns if the custom credentials are invalid, and sends no request", () =>
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
              assert.strictEqual(yield* introspectionCount, 0)
            }),
            "Info",
            layer
          )
          assert.include(lines[0], "The credentials option failed.")
        }
      })
    )

    it.effect("logs only the name of the error if the credentials effect fails", () =>
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
              assert.strictEqual(yield* introspectionCount, 0)
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

    it.effect("advises once which option accepts the refused tokens", () =>
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

    it.effect("advises once which options accept longer tokens, and sends no request for them", () =>
      Effect.gen(function* () {
        const lines = yield* logged(
          Effect.gen(function* () {
            for (const letter of ["a", "b"]) {
              assertRefused(yield* Effect.flip(verify(letter.repeat(9000))), { reason: "Malformed" })
            }
          })
        )
        assert.lengthOf(lines, 1)
        assert.include(lines[0], "longer than the maxTokenLength option allows")
        assert.notInclude(lines[0], "aaaa")
      })
    )

    it.effect("logs no tokens and no secrets", () =>
      Effect.gen(function* () {
        const token = "opaque-token-content"
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

    it.effect("gives no advice for claims that requiredClaims or forbiddenClaims refuse", () =>
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
        assert.include(lines[0], "The introspection response has no sub.")
      })
    )

    it.effect("creates a span with the outcome of each verification, including malformed tokens", () =>
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
      "counts verifications by outcome",
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
