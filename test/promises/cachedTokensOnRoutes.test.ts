/** Cached tokens in the routes and programs of a scheme. */
import { assert, describe, it } from "@effect/vitest"
import { Context, DateTime, Effect, Exit, Layer, Metric, Option, Redacted, Result } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { BearerToken, JwtVerifier, OAuth2, type SecurityError, TokenVerifier, type VerifiedToken } from "effect-oauth2"
import { TestIssuer } from "effect-oauth2/testing"
import { TestClock } from "effect/testing"
import { accepted, later, outage, refused, timings, verifier } from "../support/scriptedVerifier.ts"
import { countsByOutcome } from "../support/countsByOutcome.ts"
import { times } from "../support/times.ts"
import { verified } from "../support/TestVerifier.ts"
import { authorizationServer } from "../support/authorizationServer.ts"
import { serve } from "../support/web.ts"
import { fromContext } from "../support/contextVerifier.ts"

const auth = OAuth2.authorizationCode("OAuth2", { ...authorizationServer, scopes: { a: "" } })

const subject = Effect.map(auth.granted("a"), ({ subject }) => HttpServerResponse.text(subject))
const route = HttpRouter.add("GET", "/", subject).pipe(auth.require("a"))

const requestOf = (token: string) =>
  HttpServerRequest.fromWeb(new Request("http://localhost/", { headers: { authorization: `Bearer ${token}` } }))

describe("a verifier of a scheme", () => {
  for (const [name, timing] of Object.entries(timings)) {
    it.effect(`verifies a token once if it decides ${name}`, () =>
      Effect.gen(function* () {
        const { calls, invalidate, service } = yield* verifier({ timing })
        const send = yield* serve(route.pipe(Layer.provide(auth.layer(Layer.succeed(TokenVerifier, service)))))
        for (const _ of times(3)) assert.strictEqual((yield* send("/", "alice")).body, "alice")
        assert.strictEqual((yield* send("/", "bob")).body, "bob")
        assert.deepStrictEqual(calls, ["alice", "bob"])
        assert.deepStrictEqual(yield* countsByOutcome, { hit: 2, miss: 2 })
        yield* invalidate("alice")
        assert.strictEqual((yield* send("/", "alice")).body, "alice")
        assert.deepStrictEqual(calls, ["alice", "bob", "alice"])
      }).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))
    )

    it.effect(`verifies a token again after it expires or the clock moves back, if it decides ${name}`, () =>
      Effect.gen(function* () {
        const decide = (token: string) => accepted(token, { expiresAt: DateTime.makeUnsafe(10_000) })
        const { calls, service } = yield* verifier({ timing, decide })
        const scheme = auth.layer(Layer.succeed(TokenVerifier, service))
        const request = () => new Request("http://localhost/", { headers: { authorization: "Bearer a" } })
        const program = Effect.suspend(() =>
          Effect.provideService(
            auth.authorizeOption,
            HttpServerRequest.HttpServerRequest,
            HttpServerRequest.fromWeb(request())
          )
        ).pipe(Effect.provide(yield* Layer.build(scheme)))
        for (const [time, expected] of [
          [5000, 1],
          [9999, 1],
          [10_000, 2],
          [4999, 3],
          [4998, 4],
          [5000, 4]
        ] as const) {
          yield* TestClock.setTime(time)
          assert.strictEqual((yield* Effect.exit(program))._tag, time < 10_000 ? "Success" : "Failure")
          assert.lengthOf(calls, expected, `at ${time}`)
        }
      })
    )
  }

  it.effect("runs for every token if it wraps a caching verifier", () =>
    Effect.gen(function* () {
      const { calls, service } = yield* verifier({})
      const asked: Array<string> = []
      const revoked = new Set<string>()
      const wrapper: TokenVerifier["Service"] = {
        ...service,
        verify: (token) => {
          asked.push(Redacted.value(token))
          return revoked.has(Redacted.value(token)) ? refused : service.verify(token)
        }
      }
      const send = yield* serve(route.pipe(Layer.provide(auth.layer(Layer.succeed(TokenVerifier, wrapper)))))
      for (const _ of times(3)) assert.strictEqual((yield* send("/", "a")).status, 200)
      assert.deepStrictEqual([asked, calls], [["a", "a", "a"], ["a"]])
      revoked.add("a")
      assert.strictEqual((yield* send("/", "a")).status, 401)
    })
  )

  for (const text of ["", "=", "a b", "a,b", "a\tb", 'a"b', "a=b", "ä"]) {
    it.effect(`does not make a malformed token acceptable to routes: ${JSON.stringify(text)}`, () =>
      Effect.gen(function* () {
        const { calls, service } = yield* verifier({})
        const scheme = yield* Layer.build(auth.layer(Layer.succeed(TokenVerifier, service)))
        const program = auth.authorize.pipe(Effect.provide(BearerToken.layerTest(text)), Effect.provideContext(scheme))
        for (const _ of times(2)) assert.strictEqual((yield* program).subject, text)
        assert.deepStrictEqual(calls, [text, text])
        const send = yield* serve(Layer.provide(route, Layer.succeedContext(scheme)))
        const { body, status } = yield* send("/", text)
        assert.deepStrictEqual([status, body], [401, '{"detail":"Not authenticated"}'])
        assert.lengthOf(calls, 2)
      })
    )
  }
})

describe("a cached token", () => {
  const jwts = JwtVerifier.layer({ issuer: "https://issuer.test", audience: "https://api.test" }).pipe(
    Layer.provideMerge(TestIssuer.layer({ issuer: "https://issuer.test", audience: "https://api.test" }))
  )
  /** Returns the exit of an effect if the effect ends synchronously, or `undefined`. */
  const runSynchronously = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.map(Effect.context<R>(), (context) => Effect.runForkWith(context)(effect).pollUnsafe())

  it.effect("is authorized or refused synchronously", () =>
    Effect.gen(function* () {
      const app = yield* HttpRouter.toHttpEffect(route)
      const { mint } = yield* TestIssuer
      for (const [scope, expected] of [
        ["a", 200],
        ["b", "InsufficientScope"]
      ] as const) {
        const token = yield* mint({ scopes: [scope] })
        const send = Effect.suspend(() =>
          Effect.match(app, { onSuccess: ({ status }) => status, onFailure: ({ _tag }) => _tag }).pipe(
            Effect.provideService(HttpServerRequest.HttpServerRequest, requestOf(token))
          )
        )
        assert.isUndefined(yield* runSynchronously(send), "the first verification must wait for the key")
        yield* send
        for (const _ of times(3)) assert.deepStrictEqual(yield* runSynchronously(send), Exit.succeed(expected))
      }
    }).pipe(Effect.provide(Layer.provideMerge(auth.layer(fromContext), Layer.merge(jwts, HttpRouter.layer))))
  )

  it.effect("costs only the steps of a minimal guard", () =>
    Effect.gen(function* () {
      const { mint } = yield* TestIssuer
      const steps: Effect.Effect<number> = Effect.withFiber((fiber) => Effect.succeed(fiber.currentOpCount))
      const guarded = auth.prove("a")(steps)
      const least = Effect.withFiber(() =>
        Effect.updateContext<number, never, never, never>(Effect.catch(steps, Effect.fail), (context) => context)
      )
      const token = yield* mint({ scopes: ["a"] })
      const credential = yield* Layer.build(BearerToken.layerTest(token))
      const contexts: ReadonlyArray<Context.Context<BearerToken>> = [
        credential,
        Context.add(credential, HttpServerRequest.HttpServerRequest, requestOf(token))
      ]
      for (const context of contexts) {
        yield* Effect.provideContext(guarded, context)
        const expected = yield* Effect.provideContext(runSynchronously(least), context)
        assert.deepStrictEqual(yield* Effect.provideContext(runSynchronously(guarded), context), expected)
      }
    }).pipe(Effect.provide(Layer.provideMerge(auth.layer(fromContext), jwts)))
  )
})

describe("a verifier that reads the request, without a cache", () => {
  it.effect("runs again if the request was changed", () =>
    Effect.gen(function* () {
      const asked: Array<string> = []
      const tokens = TokenVerifier.layer({
        cache: false,
        verify: () =>
          Effect.gen(function* () {
            const request = Context.getOrUndefined(yield* Effect.context<never>(), HttpServerRequest.HttpServerRequest)
            asked.push(request?.url ?? "")
            return yield* request?.url === "/refused" ? refused : accepted("a")
          })
      })
      const request = HttpServerRequest.fromWeb(
        new Request("http://localhost/open", { headers: { authorization: "Bearer a" } })
      )
      const ask = (request: HttpServerRequest.HttpServerRequest) =>
        Effect.exit(auth.authorizeOption).pipe(
          Effect.provideService(HttpServerRequest.HttpServerRequest, request),
          Effect.map(Exit.isSuccess)
        )
      yield* Effect.gen(function* () {
        assert.isTrue(yield* ask(request))
        assert.isTrue(yield* ask(request))
        assert.isFalse(yield* ask(request.modify({ url: "/refused" })))
        assert.isTrue(yield* ask(request.modify({ remoteAddress: Option.some("6.6.6.6") })))
        assert.isTrue(yield* ask(request))
      }).pipe(Effect.provide(auth.layer(tokens)), Effect.scoped)
      assert.deepStrictEqual(asked, ["/open", "/refused", "/open"])
    })
  )
})

describe("a long request", () => {
  for (const cache of [false, {}] as const) {
    it.effect(`verifies the token again after it has expired (cache: ${JSON.stringify(cache)})`, () =>
      Effect.gen(function* () {
        let calls = 0
        const tokens = TokenVerifier.layer({
          cache,
          verify: () => {
            calls++
            return Effect.succeed({ ...verified("a", ["a"]), expiresAt: DateTime.makeUnsafe(10_000) })
          }
        })
        const request = HttpServerRequest.fromWeb(
          new Request("http://localhost/", { headers: { authorization: "Bearer a" } })
        )
        yield* Effect.gen(function* () {
          yield* auth.authorizeOption
          yield* TestClock.adjust("1 hour")
          const error = yield* Effect.flip(auth.authorizeOption)
          assert(error._tag === "InvalidToken" && error.reason === "Expired")
          assert.strictEqual(calls, 2)
        }).pipe(Effect.provideService(HttpServerRequest.HttpServerRequest, request), Effect.provide(auth.layer(tokens)))
      })
    )
  }
})

describe("an outage", () => {
  for (const cache of [false, {}] as const) {
    it.effect(`is not remembered within a request, unlike a refusal (cache: ${JSON.stringify(cache)})`, () =>
      Effect.gen(function* () {
        let outcome = outage
        const { calls, service } = yield* verifier({ cache, timing: later, decide: () => outcome })
        const scheme = yield* Layer.build(auth.layer(Layer.succeed(TokenVerifier, service)))
        const outcomes = (request: HttpServerRequest.HttpServerRequest) =>
          Effect.result(auth.authorizeOption).pipe(
            Effect.map((result) => (Result.isFailure(result) ? result.failure._tag : "accepted")),
            Effect.provideService(HttpServerRequest.HttpServerRequest, request),
            Effect.provideContext(scheme),
            (once) => Effect.all([once, once])
          )
        const request = requestOf("a")
        const unavailable = "AuthorizationServerUnavailable"
        assert.deepStrictEqual(yield* outcomes(request), [unavailable, unavailable])
        assert.lengthOf(calls, 2)
        outcome = accepted("a")
        assert.deepStrictEqual(yield* outcomes(request), ["accepted", "accepted"])
        assert.lengthOf(calls, 3)
        outcome = refused
        assert.deepStrictEqual(yield* outcomes(requestOf("b")), ["InvalidToken", "InvalidToken"])
        assert.lengthOf(calls, 4)
      })
    )
  }
})

describe("an invalidated token", () => {
  for (const cache of [false, {}] as const) {
    it.effect(`is verified again in the same request (cache: ${JSON.stringify(cache)})`, () =>
      Effect.gen(function* () {
        let session = accepted("a")
        const { calls, invalidate, service } = yield* verifier({ cache, timing: later, decide: () => session })
        const request = HttpServerRequest.fromWeb(
          new Request("http://localhost/", { headers: { authorization: "Bearer a" } })
        )
        yield* Effect.gen(function* () {
          for (const _ of times(3)) yield* auth.authorizeOption
          assert.lengthOf(calls, 1)
          session = refused
          yield* invalidate("a")
          yield* Effect.flip(auth.authorizeOption)
          assert.lengthOf(calls, 2)
        }).pipe(
          Effect.provideService(HttpServerRequest.HttpServerRequest, request),
          Effect.provide(auth.layer(Layer.succeed(TokenVerifier, service)))
        )
      })
    )
  }
})

describe("an invalidated token of a wrapped verifier", () => {
  /** A session, and a custom service that verifies its token. */
  interface Wrapper {
    readonly service: TokenVerifier["Service"]
    readonly end: () => void
    /** Number of calls of the innermost verifier. */
    readonly calls: () => number
  }

  const sessions = Effect.fnUntraced(function* (cache: {} | false) {
    let isOver = false
    const made = yield* verifier({ cache, timing: later, decide: () => (isOver ? refused : accepted("a")) })
    return { inner: made.service, end: () => (isOver = true), calls: () => made.calls.length }
  })

  const slow =
    (verify: TokenVerifier["Service"]["verify"]): TokenVerifier["Service"]["verify"] =>
    (token) =>
      Effect.andThen(Effect.yieldNow, verify(token))

  const wrappers: Readonly<Record<string, Effect.Effect<Wrapper, SecurityError.ConfigurationError>>> = {
    "with the inner invalidate": Effect.map(sessions({}), ({ inner, ...rest }) => ({
      ...rest,
      service: { ...inner, verify: slow(inner.verify) }
    })),
    "with its own invalidate that calls the inner one": Effect.map(sessions({}), ({ inner, ...rest }) => ({
      ...rest,
      service: {
        verify: slow(inner.verify),
        invalidate: (token) => Effect.andThen(Effect.yieldNow, inner.invalidate(token))
      }
    })),
    "with its own invalidate and the inner verify": Effect.map(sessions({}), ({ inner, ...rest }) => ({
      ...rest,
      service: { ...inner, invalidate: (token) => inner.invalidate(token) }
    })),
    "with its own cache": Effect.flatMap(sessions({}), ({ inner, ...rest }) =>
      Effect.map(TokenVerifier.make({ verify: slow(inner.verify) }), (outer) => ({
        ...rest,
        service: {
          verify: outer.verify,
          invalidate: (token) => Effect.andThen(inner.invalidate(token), outer.invalidate(token))
        }
      }))
    ),
    "without any cache": Effect.flatMap(sessions(false), ({ inner, ...rest }) =>
      Effect.map(TokenVerifier.make({ verify: slow(inner.verify), cache: false }), (outer) => ({
        ...rest,
        service: { ...outer, invalidate: (token) => inner.invalidate(token) }
      }))
    ),
    "with a verify and an invalidate that are not the library's": Effect.map(sessions(false), ({ inner, ...rest }) => ({
      ...rest,
      service: { verify: slow(inner.verify), invalidate: () => Effect.yieldNow }
    }))
  }

  for (const [name, wrapper] of Object.entries(wrappers)) {
    it.effect(`is verified again, in the same request and in the next one, by a wrapper ${name}`, () =>
      Effect.gen(function* () {
        const { calls, end, service } = yield* wrapper
        const layer = Layer.provideMerge(auth.layer(fromContext), Layer.succeed(TokenVerifier, service))
        const ask = (request: HttpServerRequest.HttpServerRequest) =>
          Effect.provideService(Effect.exit(auth.authorizeOption), HttpServerRequest.HttpServerRequest, request)
        yield* Effect.gen(function* () {
          const request = requestOf("a")
          for (const _ of times(3)) assert(Exit.isSuccess(yield* ask(request)))
          assert.strictEqual(calls(), 1)
          end()
          assert(Exit.isSuccess(yield* ask(request)), "the token must be accepted until it is invalidated")
          yield* TokenVerifier.invalidate(Redacted.make("a"))
          assert(Exit.isFailure(yield* ask(request)))
          assert.strictEqual(calls(), 2)
          assert(Exit.isFailure(yield* ask(requestOf("a"))))
        }).pipe(Effect.provide(layer))
      })
    )
  }
})

describe("a token of a custom class", () => {
  it.effect("has the values of its getters", () =>
    Effect.gen(function* () {
      const given = verified("x", ["a"])
      const { audience, claims, clientId, issuedAt, issuer, scopes, tokenId } = given
      class Session implements VerifiedToken {
        readonly acr = given.acr
        readonly amr = given.amr
        readonly authenticatedAt = given.authenticatedAt
        readonly authorizationDetails = given.authorizationDetails
        readonly audience = audience
        readonly claims = claims
        readonly clientId = clientId
        readonly issuedAt = issuedAt
        readonly issuer = issuer
        readonly scopes = scopes
        readonly tokenId = tokenId
        get subject() {
          return "alice"
        }
        get expiresAt() {
          return DateTime.makeUnsafe(10_000)
        }
      }
      const { present } = yield* verifier({ decide: () => Effect.succeed(new Session()) })
      const { expiresAt, subject } = yield* present("a")
      assert.deepStrictEqual([subject, expiresAt.epochMilliseconds], ["alice", 10_000])
    })
  )
})
