/** Introspection responses that two app instances share, in memory, Redis and SQLite. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Fiber, Layer, Redacted, type Scope } from "effect"
import { type HttpClient, HttpRouter, HttpServerResponse } from "effect/http"
import * as Persistence from "effect/persistence/Persistence"
import { OAuth2, type SecurityError, TokenVerifier } from "effect-oauth2"
import { ReplayStore } from "effect-oauth2/ReplayStore"
import * as Revocations from "effect-oauth2/Revocations"
import * as SharedIntrospection from "effect-oauth2/SharedIntrospection"
import { TestIssuer } from "effect-oauth2/testing"
import { TestClock } from "effect/testing"
import { authorizationServer } from "../support/authorizationServer.ts"
import { eventually } from "../support/eventually.ts"
import * as introspection from "../support/introspection.ts"
import * as nodeSqlite from "../support/nodeSqlite.ts"
import { layerClient, missing, RedisServer } from "../support/redisServer.ts"
import { settle } from "../support/settle.ts"
import { serve } from "../support/web.ts"

type Stores = Persistence.BackingPersistence | ReplayStore
type Options = Partial<Parameters<typeof SharedIntrospection.layer>[0]>

const layer = (more: Options = {}) =>
  SharedIntrospection.layer({
    ...introspection.options,
    freshFor: "30 seconds",
    timeout: "5 seconds",
    ...more
  } as never)

const memory: Effect.Effect<Context.Context<Stores>, unknown, Scope.Scope> = Layer.build(
  Layer.fresh(Layer.merge(Persistence.layerBackingMemory, ReplayStore.layerMemory()))
)

/** A process: its verifier has a token cache of its own. */
const process = (
  stores: Context.Context<Stores>,
  more: Options = {}
): Effect.Effect<TokenVerifier["Service"], SecurityError.ConfigurationError, HttpClient.HttpClient | Scope.Scope> =>
  Effect.map(Layer.build(Layer.fresh(layer(more)).pipe(Layer.provide(Layer.succeedContext(stores)))), (context) =>
    Context.get(context, TokenVerifier)
  )

const mint = introspection.mint({ lifetime: "1 hour" })
const count = introspection.introspectionCount
const provided = <A, E>(self: Effect.Effect<A, E, TestIssuer | HttpClient.HttpClient | Scope.Scope>) =>
  self.pipe(Effect.scoped, Effect.provide(introspection.Issuer))

const adapters = {
  memory: { isMissing: false, stores: memory },
  Redis: {
    isMissing: missing,
    stores: Effect.flatMap(RedisServer.make, ({ port }) =>
      Layer.build(
        Layer.merge(Persistence.layerBackingRedis, ReplayStore.layerRedis({ timeout: "5 seconds" })).pipe(
          Layer.provide(layerClient(port))
        )
      )
    )
  },
  SQLite: {
    isMissing: false,
    stores: Effect.flatMap(nodeSqlite.file, (file) =>
      Layer.build(
        Layer.merge(Persistence.layerBackingSql, ReplayStore.layerSql({ timeout: "5 seconds" })).pipe(
          Layer.provide(nodeSqlite.layer(file))
        )
      )
    )
  }
}

for (const [name, { isMissing, stores }] of Object.entries(adapters)) {
  describe.skipIf(isMissing)(`SharedIntrospection over ${name}`, () => {
    it.live("asks the authorization server once for two app instances", () =>
      provided(
        Effect.gen(function* () {
          const shared = yield* stores
          const auth = OAuth2.authorizationCode("OAuth2", { ...authorizationServer, scopes: { me: "" } })
          const Me = HttpRouter.add("GET", "/", Effect.succeed(HttpServerResponse.text("me"))).pipe(auth.require("me"))
          const http = yield* Effect.context<HttpClient.HttpClient>()
          const app = serve(
            Me.pipe(
              Layer.provide(auth.layer(Layer.fresh(layer()))),
              Layer.provide(Layer.merge(Layer.succeedContext(shared), Layer.succeedContext(http)))
            )
          )
          const [first, second] = [yield* app, yield* app]
          const token = yield* mint
          for (const send of [first, second, first, second]) assert.strictEqual((yield* send("/", token)).status, 200)
          assert.strictEqual(yield* count, 1)
          const other = yield* mint
          const together = yield* Effect.all([first("/", other), second("/", other)], { concurrency: "unbounded" })
          assert.deepStrictEqual(
            together.map(({ status }) => status),
            [200, 200]
          )
          assert.strictEqual(yield* count, 2)
        })
      )
    )

    it.live("gives both processes the same token", () =>
      provided(
        Effect.gen(function* () {
          const shared = yield* stores
          const token = Redacted.make(yield* introspection.mint({ claims: { tenant: { id: "t1" }, list: [1, "a"] } }))
          const asked = yield* Effect.flatMap(process(shared), ({ verify }) => verify(token))
          const read = yield* Effect.flatMap(process(shared), ({ verify }) => verify(token))
          assert.deepStrictEqual(read, asked)
          assert.strictEqual(Object.getPrototypeOf(read.claims["tenant"]), null)
          assert.strictEqual(yield* count, 1)
        })
      )
    )
  })
}

/** Runs an effect. A process that is not the first one to ask waits for a moment. */
const withTime = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(self)
    while (fiber.pollUnsafe() === undefined) {
      yield* settle
      yield* TestClock.adjust("50 millis")
    }
    return yield* Fiber.join(fiber)
  })

/** Verifies a token that is refused. */
const refusal = ({ verify }: TokenVerifier["Service"], token: Redacted.Redacted) =>
  Effect.map(withTime(Effect.flip(verify(token))), ({ _tag }) => _tag)

describe("SharedIntrospection", () => {
  it.effect("asks again after freshFor, in each process", () =>
    provided(
      Effect.gen(function* () {
        const shared = yield* memory
        const [first, second] = [yield* process(shared), yield* process(shared)]
        const text = yield* mint
        const token = Redacted.make(text)
        yield* first.verify(token)
        yield* TestClock.adjust("29 seconds")
        yield* second.verify(token)
        assert.strictEqual(yield* count, 1)
        yield* TestIssuer.use(({ revoke }) => revoke(text))
        // The second process has read the response late, and does not use it for another 30 seconds.
        yield* TestClock.adjust("1 second")
        for (const verifier of [second, first]) assert.strictEqual(yield* refusal(verifier, token), "InvalidToken")
      })
    )
  )

  it.effect("checks exp each time it reads a response", () =>
    provided(
      Effect.gen(function* () {
        const shared = yield* memory
        const [first, second] = [yield* process(shared), yield* process(shared)]
        const token = Redacted.make(yield* introspection.mint({ lifetime: "3 seconds" }))
        yield* first.verify(token)
        yield* TestClock.adjust("3 seconds")
        for (const verifier of [first, second]) assert.strictEqual(yield* refusal(verifier, token), "InvalidToken")
      })
    )
  )

  it.effect("shares no refusal, no failure, and nothing of an interrupted request", () =>
    provided(
      Effect.gen(function* () {
        const shared = yield* memory
        const [first, second] = [yield* process(shared), yield* process(shared)]
        const unknown = Redacted.make("unknown")
        for (const verifier of [first, second]) assert.strictEqual(yield* refusal(verifier, unknown), "InvalidToken")
        assert.strictEqual(yield* count, 2)

        const token = Redacted.make(yield* mint)
        yield* introspection.respond("introspection", { delay: "1 second" })
        const interrupted = yield* Effect.forkChild(first.verify(token))
        yield* settle
        yield* Fiber.interrupt(interrupted)
        yield* introspection.respond("introspection", "unreachable")
        yield* TestClock.adjust("2 seconds")
        const failed = yield* Effect.exit(first.verify(token))
        assert.isTrue(Exit.isFailure(failed))
        yield* introspection.respond("introspection", "normal")
        yield* TestClock.adjust("2 seconds")
        assert.strictEqual((yield* second.verify(token)).subject, "demo")
      })
    )
  )

  it.effect("shares no response that contains the token", () =>
    Effect.gen(function* () {
      const { client, introspectedTokens } = introspection.serverResponding((token) => ({
        body: { ...introspection.good.body, jti: token === "echo-4711" ? token : "another" }
      }))
      const shared = yield* memory
      const endpoint = `${introspection.issuer}/introspect`
      for (const text of ["echo-4711", "quiet-4711"]) {
        for (let i = 0; i < 2; i++) {
          const verifier = yield* Effect.provide(process(shared, { endpoint }), client)
          assert.strictEqual((yield* withTime(verifier.verify(Redacted.make(text)))).subject, "demo")
        }
      }
      assert.deepStrictEqual(introspectedTokens, ["echo-4711", "echo-4711", "quiet-4711"])
    }).pipe(Effect.scoped)
  )

  it.effect("shares no response with a verifier of another audience, endpoint or client", () =>
    provided(
      Effect.gen(function* () {
        const shared = yield* memory
        const { introspectionEndpoint } = yield* TestIssuer
        const token = Redacted.make(yield* introspection.mint({ audience: ["https://api.test", "https://b.test"] }))
        yield* Effect.flatMap(process(shared), ({ verify }) => verify(token))
        yield* Effect.flatMap(process(shared, { audience: "https://b.test" }), ({ verify }) => verify(token))
        yield* Effect.flatMap(process(shared, { endpoint: introspectionEndpoint }), ({ verify }) => verify(token))
        yield* Effect.flatMap(process(shared, { clientId: "another" }), ({ verify }) => verify(token))
        assert.strictEqual(yield* count, 4)
      })
    )
  )

  it.effect("names its store by prefix and version, and its entries by a digest of the issuer and the token", () =>
    provided(
      Effect.gen(function* () {
        const shared = yield* memory
        const { make } = Context.get(shared, Persistence.BackingPersistence)
        const names: Array<string> = []
        const keys: Array<string> = []
        const recorded = Context.add(shared, Persistence.BackingPersistence, {
          make: (name) =>
            Effect.map(make(name), (store) => {
              names.push(name)
              return {
                ...store,
                get: (key) => {
                  keys.push(key)
                  return store.get(key)
                }
              }
            })
        })
        const { introspectionEndpoint: endpoint } = yield* TestIssuer
        const token = Redacted.make(yield* mint)
        const firstKeys: Array<string | undefined> = []
        for (const more of [{}, { prefix: "items-api" }, { issuer: "https://other.test" }]) {
          const { verify } = yield* process(recorded, { endpoint, ...more })
          const seen = keys.length
          yield* withTime(Effect.exit(verify(token)))
          firstKeys.push(keys[seen])
        }
        assert.deepStrictEqual(names, ["effect-oauth2.v1.intro", "items-api.v1.intro", "effect-oauth2.v1.intro"])
        for (const key of keys) assert.match(key, /^\{[\w-]{43}\}$/)
        const [first, withPrefix, withIssuer] = firstKeys
        assert.strictEqual(withPrefix, first)
        assert.notStrictEqual(withIssuer, first)
        // No verifier has used a response of another one.
        assert.strictEqual(yield* count, 3)
      })
    )
  )

  it.effect("asks the authorization server if the store fails, or holds something else", () =>
    provided(
      Effect.gen(function* () {
        const shared = yield* memory
        const broken = Effect.fail(new Persistence.PersistenceError({ message: "down", cause: new Error("down") }))
        const withStore = (store: Partial<Persistence.BackingPersistenceStore>) =>
          Context.add(shared, Persistence.BackingPersistence, {
            make: () =>
              Effect.succeed({
                get: () => broken,
                set: () => broken,
                remove: () => broken,
                getMany: () => broken,
                setMany: () => broken,
                clear: broken,
                ...store
              })
          })
        const contents = [
          {},
          { get: () => Effect.succeed({ askedAt: "0", response: "{}" }) },
          { get: () => Effect.succeed({ askedAt: 0, response: '{"active":true,"active":true}' }) },
          { get: () => Effect.succeed({ askedAt: 0, response: '{"active":false}' }) },
          { get: () => Effect.succeed({ askedAt: 61_001, response: '{"active":true}' }) }
        ]
        for (const content of contents) {
          const verifier = yield* process(withStore(content))
          const token = yield* mint
          assert.strictEqual((yield* verifier.verify(Redacted.make(token))).subject, "demo")
        }
        assert.strictEqual(yield* count, contents.length)
      })
    )
  )

  it.live.skipIf(missing)("asks the authorization server within the time limit if Redis is frozen", () =>
    provided(
      Effect.gen(function* () {
        const server = yield* RedisServer.make
        const shared = yield* Layer.build(
          Layer.merge(Persistence.layerBackingRedis, ReplayStore.layerRedis()).pipe(
            Layer.provide(layerClient(server.port))
          )
        )
        const { verify } = yield* process(shared, { timeout: "250 millis" })
        yield* server.freeze
        for (let i = 0; i < 20; i++) assert.strictEqual((yield* verify(Redacted.make(yield* mint))).subject, "demo")
        yield* server.thaw
        assert.strictEqual(yield* count, 20)
      })
    )
  )
})

const timeout = { timeout: "5 seconds" } as const
const revocationOptions = { ...timeout, localCopy: { maxAge: "1 second" } } as const

/** The stores that processes share, and a layer that gives each process revocations of its own. */
interface FleetStores {
  readonly shared: Context.Context<Stores>
  readonly revocations: Layer.Layer<Revocations.Revocations>
}

const fleetsBy: Readonly<Record<string, Effect.Effect<FleetStores, unknown, Scope.Scope>>> = {
  memory: Effect.gen(function* () {
    const revocations = yield* Layer.build(Revocations.layerMemory())
    return { shared: yield* memory, revocations: Layer.succeedContext(revocations) }
  }),
  Redis: Effect.gen(function* () {
    const client = Layer.succeedContext(yield* Layer.build(layerClient((yield* RedisServer.make).port)))
    const shared = Layer.merge(Persistence.layerBackingRedis, ReplayStore.layerRedis(timeout))
    return {
      shared: yield* Layer.build(Layer.provide(shared, client)),
      revocations: Layer.orDie(Layer.fresh(Revocations.layerRedis(revocationOptions)).pipe(Layer.provide(client)))
    }
  }),
  SQLite: Effect.gen(function* () {
    const client = Layer.succeedContext(yield* Layer.build(nodeSqlite.layer(yield* nodeSqlite.file)))
    const shared = Layer.merge(Persistence.layerBackingSql, ReplayStore.layerSql(timeout))
    return {
      shared: yield* Layer.build(Layer.provide(shared, client)),
      revocations: Layer.orDie(Layer.fresh(Revocations.layerSql(revocationOptions)).pipe(Layer.provide(client)))
    }
  })
}

for (const [name, stores] of Object.entries(fleetsBy)) {
  it.live.skipIf(missing && name === "Redis")(
    `all processes ask again after TokenVerifier.invalidate, with Revocations in ${name}`,
    () =>
      provided(
        Effect.gen(function* () {
          const { revocations, shared } = yield* stores
          const start = Effect.map(
            Layer.build(
              Layer.fresh(layer()).pipe(
                Revocations.enforce,
                Layer.provide(Layer.merge(Layer.succeedContext(shared), revocations))
              )
            ),
            (context) => Context.get(context, TokenVerifier)
          )
          const [first, second] = [yield* start, yield* start]
          const text = yield* mint
          const token = Redacted.make(text)
          for (const { verify } of [first, second]) yield* verify(token)
          yield* TestIssuer.use(({ revoke }) => revoke(text))
          // Both processes still use the response.
          for (const { verify } of [first, second]) yield* verify(token)
          assert.strictEqual(yield* count, 1)
          yield* first.invalidate(token)
          for (const { verify } of [first, second]) {
            const exit = yield* eventually(Effect.exit(verify(token)), Exit.isFailure)
            assert.strictEqual((yield* Effect.flip(exit))._tag, "InvalidToken")
          }
        })
      )
  )
}
