/** Verifiers that refuse revoked tokens: on cached tokens, in every process, and on open connections. */
import { assert, describe, it } from "@effect/vitest"
import { Context, DateTime, Deferred, Duration, Effect, Exit, Fiber, Layer, Logger, Redacted } from "effect"
import { type HttpClient, HttpRouter, HttpServerResponse } from "effect/http"
import { AccessToken, BearerToken, JwtVerifier, OAuth2, SecurityError, TokenVerifier } from "effect-oauth2"
import * as Revocations from "effect-oauth2/Revocations"
import { TestIssuer } from "effect-oauth2/testing"
import { authorizationServer } from "../support/authorizationServer.ts"
import { eventually } from "../support/eventually.ts"
import * as introspection from "../support/introspection.ts"
import * as nodeSqlite from "../support/nodeSqlite.ts"
import * as redisServer from "../support/redisServer.ts"
import { accepted, verifier } from "../support/scriptedVerifier.ts"
import { settle } from "../support/settle.ts"
import { serve } from "../support/web.ts"

const { issuer } = introspection
const auth = OAuth2.authorizationCode("OAuth2", { ...authorizationServer, scopes: { a: "" } })
/** Revokes the token of the request. */
const LogOut = Layer.unwrap(
  Effect.map(Revocations.Revocations, ({ revoke }) =>
    HttpRouter.add(
      "POST",
      "/log-out",
      Effect.gen(function* () {
        const { expiresAt } = yield* AccessToken
        yield* Effect.orDie(revoke({ token: yield* BearerToken, expiresAt }))
        return HttpServerResponse.empty()
      })
    ).pipe(auth.require("a"))
  )
)
const Me = HttpRouter.add("GET", "/", Effect.succeed(HttpServerResponse.text("me"))).pipe(auth.require("a"))

const jwts = JwtVerifier.layer({ issuer, audience: introspection.audience })
const inADay = DateTime.makeUnsafe(86_400_000)

describe("Revocations.enforce", () => {
  for (const [name, verifier] of Object.entries({ JWT: jwts, opaque: introspection.verifier() })) {
    it.live(`refuses a revoked token on the next request, although it is cached: ${name}`, () =>
      Effect.gen(function* () {
        const { mint, mintOpaque } = yield* TestIssuer
        const text = name === "JWT" ? mint({ scopes: ["a"] }) : mintOpaque({ scopes: ["a"] })
        const [token, other] = [yield* text, yield* text]
        const context = yield* Effect.context<HttpClient.HttpClient | Revocations.Revocations>()
        const send = yield* serve(
          Layer.merge(Me, LogOut).pipe(
            Layer.provide(auth.layer(verifier.pipe(Revocations.enforce))),
            Layer.provide(Layer.succeedContext(context))
          )
        )
        for (const one of [token, other, token, other]) assert.strictEqual((yield* send("/", one)).status, 200)
        assert.strictEqual((yield* send("/log-out", token, { method: "POST" })).status, 204)
        const response = yield* send("/", token)
        assert.strictEqual(response.status, 401)
        assert.strictEqual(response.body, '{"detail":"Could not validate credentials"}')
        assert.strictEqual((yield* send("/", other)).status, 200)
      }).pipe(Effect.scoped, Effect.provide(Revocations.layerMemory().pipe(Layer.provideMerge(introspection.Issuer))))
    )
  }

  it.effect("needs no step of a fiber for a cached token that was checked before", () =>
    Effect.gen(function* () {
      const { mint } = yield* TestIssuer
      const service = yield* TokenVerifier
      const token = Redacted.make(yield* mint())
      yield* service.verify(token)
      yield* Revocations.revoke({ token: Redacted.make("another"), expiresAt: inADay })
      let steps = 0
      const run = Effect.runForkWith(yield* Effect.context<never>())
      const fiber = run(Effect.flatMap(service.verify(token), () => Effect.sync(() => ++steps)))
      // Without a wait, the fiber has ended before `runFork` returns.
      assert.strictEqual(steps, 1)
      yield* Fiber.join(fiber)
    }).pipe(
      Effect.provide(
        jwts.pipe(Revocations.enforce, Layer.provideMerge(Layer.merge(Revocations.layerMemory(), introspection.Issuer)))
      )
    )
  )

  it.effect("verifies an invalidated token again, also if the verification was in progress", () =>
    Effect.gen(function* () {
      const revocations = yield* Revocations.Revocations
      const gate = yield* Deferred.make<void>()
      let isSlow = true
      const inner = yield* verifier({
        timing: (decide) => (isSlow ? Effect.andThen(Deferred.await(gate), Effect.suspend(decide)) : decide()),
        decide: (token) => accepted(token, { expiresAt: inADay })
      })
      const service = (of: TokenVerifier["Service"]) =>
        Effect.map(
          Layer.build(
            Layer.succeed(TokenVerifier, of).pipe(
              Revocations.enforce,
              Layer.provide(Layer.succeed(Revocations.Revocations, revocations))
            )
          ),
          (context) => Context.get(context, TokenVerifier)
        )
      const first = yield* service(inner.service)
      const second = yield* service((yield* verifier({})).service)
      const token = Redacted.make("token")
      const pending = yield* Effect.forkChild(first.verify(token))
      yield* settle
      // Another process invalidates the token while this process verifies it.
      yield* second.invalidate(token)
      isSlow = false
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual((yield* Fiber.join(pending)).subject, "token")
      assert.deepStrictEqual(inner.calls, ["token"])
      for (const _ of [1, 2]) assert.strictEqual((yield* first.verify(token)).subject, "token")
      assert.deepStrictEqual(inner.calls, ["token", "token"])
    }).pipe(Effect.scoped, Effect.provide(Revocations.layerMemory()))
  )

  it.effect("ends a connection with a revoked token", () =>
    Effect.gen(function* () {
      const { mint } = yield* TestIssuer
      const { revoke } = yield* Revocations.Revocations
      const text = yield* mint({ scopes: ["a"], subject: "alice" })
      const stream = yield* Effect.forkChild(
        auth.authorize.pipe(
          Effect.andThen(auth.expiry),
          Effect.provide(BearerToken.layerTest(text)),
          Effect.flip
        ) as Effect.Effect<SecurityError.InvalidToken>
      )
      yield* settle
      yield* revoke({ issuer, subject: "alice" })
      assert.strictEqual((yield* Fiber.join(stream))._tag, "InvalidToken")
    }).pipe(
      Effect.provide(
        auth
          .layer(jwts.pipe(Revocations.enforce))
          .pipe(Layer.provideMerge(Layer.merge(Revocations.layerMemory(), introspection.Issuer)))
      ),
      Effect.scoped
    )
  )

  it.effect("asks a custom service on every request, and responds 503 if the service is unavailable", () => {
    const texts: Array<string> = []
    let answer: Effect.Effect<boolean, Revocations.StoreUnavailable> = Effect.succeed(false)
    const custom = Layer.succeed(Revocations.Revocations, {
      isRevoked: (_token, credential) =>
        Effect.suspend(() => {
          texts.push(Redacted.value(credential))
          return answer
        }),
      revoke: () => Effect.void
    })
    return Effect.gen(function* () {
      const { verify } = yield* TokenVerifier
      const token = Redacted.make(yield* TestIssuer.use(({ mint }) => mint()))
      yield* verify(token)
      yield* verify(token)
      assert.deepStrictEqual(texts, [Redacted.value(token), Redacted.value(token)])
      answer = Effect.succeed(true)
      assert.strictEqual((yield* Effect.flip(verify(token)))._tag, "InvalidToken")
      answer = Effect.fail(
        new Revocations.StoreUnavailable({ store: "Revocations", reason: "Timeout", retryAfter: Duration.seconds(7) })
      )
      const error = yield* Effect.flip(verify(token))
      assert.instanceOf(error, SecurityError.AuthorizationServerUnavailable)
      assert.strictEqual(error.reason, "StoreUnavailable")
      assert.strictEqual(Duration.toSeconds(error.retryAfter), 7)
    }).pipe(
      Effect.provide(jwts.pipe(Revocations.enforce, Layer.provideMerge(Layer.merge(custom, introspection.Issuer))))
    )
  })

  it.effect("warns once about a token that lives longer than maxTokenLifetime", () => {
    const messages: Array<unknown> = []
    const logger = Logger.layer([Logger.make(({ message }) => void messages.push(message))])
    return Effect.gen(function* () {
      const { mint } = yield* TestIssuer
      const { verify } = yield* TokenVerifier
      yield* verify(Redacted.make(yield* mint({ lifetime: "30 minutes" })))
      assert.deepStrictEqual(messages, [])
      for (const _ of [1, 2]) yield* verify(Redacted.make(yield* mint({ lifetime: "2 hours" })))
      assert.lengthOf(messages, 1)
      assert.include(JSON.stringify(messages), "maxTokenLifetime")
    }).pipe(
      Effect.provide(
        jwts.pipe(
          Revocations.enforce,
          Layer.provideMerge(Layer.merge(Revocations.layerMemory({ maxTokenLifetime: "1 hour" }), introspection.Issuer))
        )
      ),
      Effect.provide(logger)
    )
  })
})

describe("TokenVerifier.invalidate", () => {
  const timeout = { timeout: "5 seconds" } as const
  const localCopy = { maxAge: "1 second" } as const
  const fleetsBy = {
    "Redis, with a local copy": redis(Revocations.layerRedis({ localCopy, ...timeout })),
    "Redis, with a lookup per request": redis(Revocations.layerRedis({ localCopy: false, ...timeout })),
    "SQLite, with a local copy": sqlite(Revocations.layerSql({ localCopy, ...timeout })),
    "SQLite, with a lookup per request": sqlite(Revocations.layerSql({ localCopy: false, ...timeout }))
  }
  for (const [name, revocations] of Object.entries(fleetsBy)) {
    it.live.skipIf(redisServer.missing && name.startsWith("Redis"))(`reaches the other processes over ${name}`, () =>
      Effect.gen(function* () {
        const layer = yield* revocations
        const process = Effect.map(
          Layer.build(Layer.fresh(introspection.verifier().pipe(Revocations.enforce, Layer.provide(layer)))),
          (context) => Context.get(context, TokenVerifier)
        )
        const [first, second] = [yield* process, yield* process]
        const { mintOpaque, revoke } = yield* TestIssuer
        const text = yield* mintOpaque({ lifetime: "1 hour" })
        const token = Redacted.make(text)
        for (const process of [first, second, second]) yield* process.verify(token)
        yield* revoke(text)
        // Both processes still have the token in their caches.
        for (const process of [first, second]) yield* process.verify(token)
        assert.strictEqual(yield* introspection.introspectionCount, 2)
        yield* first.invalidate(token)
        assert.strictEqual((yield* Effect.flip(first.verify(token)))._tag, "InvalidToken")
        const exit = yield* eventually(Effect.exit(second.verify(token)), Exit.isFailure)
        assert.strictEqual((yield* Effect.flip(exit))._tag, "InvalidToken")
      }).pipe(Effect.scoped, Effect.provide(introspection.Issuer))
    )
  }
})

/** Layers of processes that share a new Redis. */
function redis(layer: ReturnType<typeof Revocations.layerRedis>) {
  return Effect.map(redisServer.RedisServer.make, ({ port }) =>
    layer.pipe(Layer.provide(redisServer.layerClient(port)), Layer.orDie)
  )
}

/** Layers of processes that share a new database. */
function sqlite(layer: ReturnType<typeof Revocations.layerSql>) {
  return Effect.map(nodeSqlite.file, (file) => layer.pipe(Layer.provide(nodeSqlite.layer(file)), Layer.orDie))
}
