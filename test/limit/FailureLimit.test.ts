/** Tests of `FailureLimit`: which requests count, which clients share a limit, and what an outage of the store does. */
import { NodeHttpServer } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Context, Duration, Effect, Layer, Metric, Option, Schedule, Schema, type Scope } from "effect"
import {
  HttpMiddleware,
  HttpRouter,
  HttpServer,
  HttpServerRequest,
  HttpServerRespondable,
  HttpServerResponse
} from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import { IpNetwork } from "effect/net"
import { RateLimiter } from "effect/persistence"
import { TestClock } from "effect/testing"
import { OAuth2, OpenApiSecurity } from "effect-oauth2"
import * as FailureLimit from "effect-oauth2/FailureLimit"
import { createServer } from "node:http"
import { authorizationServer } from "../support/authorizationServer.ts"
import { assertValid, documentOf, route } from "../support/apiDocuments.ts"
import * as redisServer from "../support/redisServer.ts"
import { documentOfRoutes } from "../support/routesDocument.ts"
import { Verifier } from "../support/TestVerifier.ts"

const auth = OAuth2.authorizationCode("OAuth2", { ...authorizationServer, scopes: { a: "A", b: "B" } })

type Send = (
  address: string | undefined,
  token?: string,
  headers?: Readonly<Record<string, string>>
) => Effect.Effect<readonly [status: number, retryAfter: string | null]>

const detailOf = (response: Response) => Effect.promise(() => response.json())

interface App {
  readonly send: Send
  readonly verifier: Verifier
}

type Around = (
  app: Effect.Effect<HttpServerResponse.HttpServerResponse, unknown, HttpServerRequest.HttpServerRequest | Scope.Scope>
) => Effect.Effect<HttpServerResponse.HttpServerResponse, unknown, HttpServerRequest.HttpServerRequest | Scope.Scope>

/** An app with the route `/` that requires the scope `a`. */
const appOf = <E>(
  limit: Layer.Layer<never, E>,
  around: Around = (app) => app
): Effect.Effect<App, unknown, Scope.Scope> =>
  Effect.gen(function* () {
    const verifier = new Verifier({ good: ["a"], weak: ["b"] })
    const Route = HttpRouter.add("GET", "/", HttpServerResponse.empty()).pipe(
      auth.require("a"),
      Layer.provide(auth.layer(verifier.layer)),
      Layer.provide(limit)
    )
    const handler = yield* HttpRouter.toHttpEffect(Route)
    const send: Send = (address, token, headers = {}) =>
      around(Effect.catch(handler, (error) => HttpServerRespondable.toResponse(error))).pipe(
        Effect.orDie,
        Effect.provideService(
          HttpServerRequest.HttpServerRequest,
          HttpServerRequest.fromWeb(
            new Request("http://localhost/", {
              headers: { ...(token !== undefined && { authorization: `Bearer ${token}` }), ...headers }
            })
          ).modify({ remoteAddress: Option.fromUndefinedOr(address) })
        ),
        Effect.scoped,
        Effect.flatMap((response) => {
          const web = HttpServerResponse.toWeb(response)
          if (web.status !== 429) return Effect.succeed([web.status, web.headers.get("retry-after")] as const)
          return Effect.map(detailOf(web), (body) => {
            assert.deepStrictEqual(body, { detail: "Too many failed authentications" })
            assert.strictEqual(web.headers.get("cache-control"), "no-store")
            assert.isNull(web.headers.get("www-authenticate"))
            return [web.status, web.headers.get("retry-after")] as const
          })
        })
      )
    return { send, verifier }
  })

const statuses = (send: Send, address: string | undefined, ...tokens: ReadonlyArray<string | undefined>) =>
  Effect.forEach(tokens, (token) => Effect.map(send(address, token), ([status]) => status))

const outcomes = Effect.map(Metric.snapshot, (metrics) =>
  Object.fromEntries(
    metrics.flatMap(({ attributes, id, state }) =>
      id === "oauth2_failure_limit_total" && "count" in state
        ? [[String((attributes as Record<string, unknown>)["outcome"]), Number(state.count)]]
        : []
    )
  )
)

const test = (name: string, body: () => Effect.Effect<void, unknown, Scope.Scope>) =>
  it.effect(name, () => Effect.scoped(Effect.provideService(body(), Metric.MetricRegistry, new Map())))

describe("FailureLimit.layerMemory", () => {
  test("refuses a client with too many failures with 429 and Retry-After, without verifying its token", () =>
    Effect.gen(function* () {
      const { send, verifier } = yield* appOf(FailureLimit.layerMemory({ limit: 3, window: "1 minute" }))
      assert.deepStrictEqual(yield* statuses(send, "192.0.2.1", "x", "y", "z"), [401, 401, 401])
      assert.deepStrictEqual(yield* send("192.0.2.1", "good"), [429, "60"])
      assert.deepStrictEqual(verifier.calls, ["x", "y", "z"])
      assert.deepStrictEqual(yield* send("192.0.2.2", "good"), [204, null])
      yield* TestClock.adjust("30500 millis")
      assert.deepStrictEqual(yield* send("192.0.2.1", "good"), [429, "30"])
      yield* TestClock.adjust("29500 millis")
      assert.deepStrictEqual(yield* send("192.0.2.1", "good"), [204, null])
      assert.deepStrictEqual(yield* statuses(send, "192.0.2.1", "x", "y", "z", "good"), [401, 401, 401, 429])
      assert.deepStrictEqual(yield* outcomes, { Counted: 6, Uncounted: 0, Refused: 3 })
    }))

  test("counts no success, no request without credentials, no missing scope and no outage", () =>
    Effect.gen(function* () {
      const { send } = yield* appOf(FailureLimit.layerMemory({ limit: 1 }))
      const tokens = [undefined, "good", "weak", "outage"]
      for (let i = 0; i < 3; i++) {
        assert.deepStrictEqual(yield* statuses(send, "192.0.2.1", ...tokens), [401, 204, 401, 503])
      }
      assert.deepStrictEqual(yield* outcomes, { Counted: 0, Uncounted: 0, Refused: 0 })
    }))

  test("counts malformed credentials", () =>
    Effect.gen(function* () {
      const { send } = yield* appOf(FailureLimit.layerMemory({ limit: 2 }))
      assert.deepStrictEqual(yield* statuses(send, "192.0.2.1", "a b", '"x"', "good"), [401, 401, 429])
    }))

  test("limits nothing if the layer is not provided", () =>
    Effect.gen(function* () {
      const { send } = yield* appOf(Layer.empty)
      for (let i = 0; i < 100; i++) assert.strictEqual((yield* send("192.0.2.1", "x"))[0], 401)
    }))

  test("treats the first 64 bits of an IPv6 address, and an IPv4 address in each spelling, as one client", () =>
    Effect.gen(function* () {
      const { send } = yield* appOf(FailureLimit.layerMemory({ limit: 1 }))
      yield* statuses(send, "2001:db8:1:2::1", "x")
      yield* statuses(send, "192.0.2.1", "x")
      const blocked = [
        "2001:DB8:0001:2:ffff:0:0:9",
        "2001:db8:1:2:0:0:0:1%eth0",
        "::ffff:192.0.2.1",
        "::FFFF:C000:201",
        "0:0:0:0:0:ffff:c000:0201"
      ]
      const free = [
        "2001:db8:1:3::1",
        "2001:db8:1::2",
        "::1",
        "192.0.2.10",
        "::ffff:192.0.2.2",
        "::ffff:c000:202",
        "::c000:201"
      ]
      for (const address of blocked) assert.strictEqual((yield* send(address, "good"))[0], 429, address)
      for (const address of free) assert.strictEqual((yield* send(address, "good"))[0], 204, address)
    }))

  test("does not limit requests without a remote address", () =>
    Effect.gen(function* () {
      const { send } = yield* appOf(FailureLimit.layerMemory({ limit: 1 }))
      assert.deepStrictEqual(yield* statuses(send, undefined, "x", "x", "good"), [401, 401, 204])
    }))

  test("believes X-Forwarded-For only behind a trusted proxy", () =>
    Effect.gen(function* () {
      const { send } = yield* appOf(
        FailureLimit.layerMemory({ limit: 1 }),
        HttpMiddleware.xForwardedHeaders({ trustedProxies: [IpNetwork.fromStringUnsafe("10.0.0.1/32")] })
      )
      const from = (proxy: string, client: string, token: string) =>
        Effect.map(send(proxy, token, { "x-forwarded-for": client }), ([status]) => status)
      assert.strictEqual(yield* from("10.0.0.1", "192.0.2.1", "x"), 401)
      assert.strictEqual(yield* from("10.0.0.1", "192.0.2.1", "good"), 429)
      assert.strictEqual(yield* from("10.0.0.1", "192.0.2.2", "good"), 204)
      // A client that is no proxy does not escape by a header.
      assert.strictEqual(yield* from("192.0.2.9", "192.0.2.3", "x"), 401)
      assert.strictEqual(yield* from("192.0.2.9", "192.0.2.4", "good"), 429)
      assert.strictEqual(yield* from("10.0.0.1", "192.0.2.3", "good"), 204)
    }))

  test("remembers at most as many clients as its capacity, and serves the others", () =>
    Effect.gen(function* () {
      const { send } = yield* appOf(FailureLimit.layerMemory({ limit: 2, capacity: 10, window: "1 minute" }))
      for (let i = 0; i < 10; i++) yield* statuses(send, `192.0.2.${i}`, "x")
      // Every key is in use.
      assert.deepStrictEqual(yield* statuses(send, "198.51.100.1", "x", "x", "x", "good"), [401, 401, 401, 204])
      assert.deepStrictEqual(yield* outcomes, { Counted: 10, Uncounted: 3, Refused: 0 })
      assert.deepStrictEqual(yield* statuses(send, "192.0.2.5", "x", "good"), [401, 429])
      // After the window, another client gets a key, and none of the failures that the key had.
      yield* TestClock.adjust("60 seconds")
      assert.deepStrictEqual(yield* statuses(send, "198.51.100.1", "x", "good", "x", "good"), [401, 204, 401, 429])
    }))

  test("fails at start-up if an option is invalid", () =>
    Effect.gen(function* () {
      const settingOf = (options: FailureLimit.Options) =>
        Effect.map(Effect.flip(Layer.build(FailureLimit.layerMemory(options))), ({ setting }) => setting)
      assert.strictEqual(yield* settingOf({ limit: 0 }), "limit")
      assert.strictEqual(yield* settingOf({ limit: 1.5 }), "limit")
      assert.strictEqual(yield* settingOf({ capacity: Infinity }), "capacity")
      assert.strictEqual(yield* settingOf({ window: "1 milli" }), "window")
      assert.strictEqual(yield* settingOf({ window: "2 days" }), "window")
    }))

  test("dies with an explanation if it runs inside a requirement", () =>
    Effect.gen(function* () {
      const verifier = new Verifier({ good: ["a"] })
      const handler = yield* HttpRouter.toHttpEffect(
        HttpRouter.add("GET", "/", HttpServerResponse.empty()).pipe(
          Layer.provide(FailureLimit.layerMemory()),
          auth.require("a"),
          Layer.provide(auth.layer(verifier.layer))
        )
      )
      const exit = yield* Effect.exit(
        Effect.provideService(
          handler,
          HttpServerRequest.HttpServerRequest,
          HttpServerRequest.fromWeb(new Request("http://localhost/", { headers: { authorization: "Bearer good" } }))
        )
      )
      assert.include(String(exit), "FailureLimit runs inside a requirement")
    }))
})

it.live("FailureLimit reads the address of a client from its socket", () =>
  Effect.gen(function* () {
    const Route = HttpRouter.add("GET", "/", HttpServerResponse.empty()).pipe(
      auth.require("a"),
      Layer.provide(auth.layer(new Verifier({ good: ["a"] }).layer)),
      Layer.provide(FailureLimit.layerMemory({ limit: 2 }))
    )
    const context = yield* Layer.build(
      HttpRouter.serve(Route, { disableLogger: true, disableListenLog: true }).pipe(
        Layer.provideMerge(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" }))
      )
    )
    const { address } = Context.get(context, HttpServer.HttpServer)
    const statusOf = (token: string) =>
      Effect.promise(async () => {
        const response = await fetch(HttpServer.formatAddress(address), {
          headers: { authorization: `Bearer ${token}` }
        })
        return response.status
      })
    const answers = yield* Effect.forEach(["x", "good", "y", "good"], statusOf)
    assert.deepStrictEqual(answers, [401, 204, 401, 429])
  }).pipe(Effect.scoped)
)

describe("FailureLimit.layer", () => {
  const limit = FailureLimit.layer({ limit: 2, timeout: "1 second" }).pipe(Layer.provide(RateLimiter.layer))

  it.live.skipIf(redisServer.missing)("counts for all processes in Redis, under digests of the addresses", () =>
    Effect.gen(function* () {
      const server = yield* redisServer.RedisServer.make
      const shared = limit.pipe(
        Layer.provide(RateLimiter.layerStoreRedis({ prefix: "app:" })),
        Layer.provide(redisServer.layerClient(server.port))
      )
      const [first, second] = [yield* appOf(Layer.fresh(shared)), yield* appOf(Layer.fresh(shared))]
      assert.deepStrictEqual(yield* statuses(first.send, "192.0.2.1", "x", "good"), [401, 204])
      // The second process has seen no failure of the client, and learns from the first.
      assert.deepStrictEqual(yield* statuses(second.send, "192.0.2.1", "x", "good"), [401, 429])
      assert.deepStrictEqual(yield* statuses(first.send, "192.0.2.1", "good", "x", "good"), [204, 401, 429])
      assert.deepStrictEqual(yield* statuses(first.send, "192.0.2.2", "good"), [204])
    }).pipe(Effect.scoped)
  )

  it.live.skipIf(redisServer.missing)("counts in each process within the timeout while Redis is frozen or gone", () =>
    Effect.gen(function* () {
      const server = yield* redisServer.RedisServer.make
      const shared = FailureLimit.layer({ limit: 2, timeout: "100 millis" }).pipe(
        Layer.provide(RateLimiter.layer),
        Layer.provide(RateLimiter.layerStoreRedis()),
        Layer.provide(redisServer.layerClient(server.port))
      )
      const [first, second] = [yield* appOf(Layer.fresh(shared)), yield* appOf(Layer.fresh(shared))]
      assert.deepStrictEqual(yield* statuses(first.send, "192.0.2.1", "x", "good"), [401, 204])
      yield* server.freeze
      const [time, frozen] = yield* Effect.timed(statuses(first.send, "192.0.2.2", "x", "good", "x", "x", "good"))
      assert.deepStrictEqual(frozen, [401, 204, 401, 429, 429])
      // One time limit, because the commands of the next second fail at once.
      assert.isBelow(Duration.toMillis(time), 900)
      yield* server.thaw
      yield* server.kill
      assert.deepStrictEqual(yield* statuses(first.send, "192.0.2.3", "x", "x", "good"), [401, 401, 429])
      assert.deepStrictEqual(yield* statuses(second.send, "192.0.2.3", "x", "good"), [401, 204])
      yield* server.start
      // Both processes count for each other again. Each attempt has an address of its own.
      let attempt = 0
      const across = Effect.suspend(() => {
        const address = `198.51.100.${attempt++ % 256}`
        return Effect.andThen(statuses(first.send, address, "x"), statuses(second.send, address, "x", "good"))
      })
      const recovered = yield* Effect.repeat(across, {
        until: ([, status]) => status === 429,
        schedule: Schedule.spaced("50 millis")
      }).pipe(Effect.timeout("8 seconds"))
      assert.deepStrictEqual(recovered, [401, 429])
    }).pipe(Effect.scoped)
  )

  test("counts in the process while the store is unavailable, with a bounded number of clients", () =>
    Effect.gen(function* () {
      let isFailing = true
      const Failing = Layer.effect(
        RateLimiter.RateLimiterStore,
        Effect.map(RateLimiter.RateLimiterStore, (store) => ({
          ...store,
          fixedWindow: (options: Parameters<typeof store.fixedWindow>[0]) =>
            isFailing
              ? Effect.fail(
                  new RateLimiter.RateLimiterError({
                    reason: new RateLimiter.RateLimitStoreError({ message: "down" })
                  })
                )
              : store.fixedWindow(options)
        }))
      ).pipe(Layer.provide(RateLimiter.layerStoreMemory))
      const { send } = yield* appOf(
        FailureLimit.layer({ limit: 2, capacity: 1 }).pipe(Layer.provide(RateLimiter.layer), Layer.provide(Failing))
      )
      assert.deepStrictEqual(
        yield* statuses(send, "192.0.2.1", "x", "good", "x", "x", "good"),
        [401, 204, 401, 429, 429]
      )
      assert.deepStrictEqual(yield* statuses(send, "192.0.2.2", "x", "x", "x", "good"), [401, 401, 401, 204])
      assert.deepStrictEqual(yield* outcomes, { Counted: 2, Uncounted: 3, Refused: 2 })
      isFailing = false
      assert.deepStrictEqual(yield* statuses(send, "192.0.2.2", "x", "x", "good"), [401, 401, 429])
    }))
})

describe("OpenAPI documents", () => {
  const status = (document: OpenApi.OpenAPISpec, path: string) => document.paths[path]?.get?.responses["429"]

  test("of routes have the response", () =>
    Effect.gen(function* () {
      const document = yield* documentOfRoutes(
        Layer.mergeAll(
          route("/a").pipe(
            Layer.provide(OpenApiSecurity.operation({ responses: { "200": { description: "Fine" } } })),
            auth.require("a"),
            Layer.provide(FailureLimit.layerMemory())
          ),
          route("/b").pipe(auth.require("a"))
        ).pipe(Layer.provide(auth.layerTest("anonymous")))
      )
      yield* assertValid(document)
      assert.isUndefined(status(document, "/b"))
      const { description, headers } = status(document, "/a") ?? {}
      assert.strictEqual(description, "Too many failed authentications")
      assert.deepStrictEqual(Object.keys(headers ?? {}), ["retry-after"])
      assert.deepStrictEqual(Object.keys(document.paths["/a"]?.get?.responses ?? {}), ["200", "401", "429", "503"])
      assert.strictEqual(document.paths["/a"]?.get?.responses["200"]?.description, "Fine")
    }))

  const api = HttpApi.make("api").add(
    HttpApiGroup.make("items")
      .add(HttpApiEndpoint.get("list", "/items", { success: Schema.String }).middleware(auth.require("a")))
      .add(HttpApiEndpoint.get("open", "/open", { success: Schema.String }))
  )

  test("of an HttpApi have the response where a requirement is", () =>
    Effect.gen(function* () {
      const document = FailureLimit.document(documentOf(api as unknown as HttpApi.Top))
      yield* assertValid(document)
      assert.isDefined(status(document, "/items"))
      assert.isUndefined(status(document, "/open"))
    }))

  test("the routes of an HttpApi are limited", () =>
    Effect.gen(function* () {
      const Handlers = HttpApiBuilder.group(api, "items", (handlers) =>
        handlers.handle("list", () => Effect.succeed("items")).handle("open", () => Effect.succeed("open"))
      )
      const verifier = new Verifier({ good: ["a"] })
      const handler = yield* HttpRouter.toHttpEffect(
        HttpApiBuilder.layer(api).pipe(
          Layer.provide(FailureLimit.layerMemory({ limit: 1 })),
          Layer.provide(Handlers),
          Layer.provide(auth.layer(verifier.layer))
        )
      )
      const get = (token: string) =>
        handler.pipe(
          Effect.catch((error) => HttpServerRespondable.toResponse(error)),
          Effect.provideService(
            HttpServerRequest.HttpServerRequest,
            HttpServerRequest.fromWeb(
              new Request("http://localhost/items", { headers: { authorization: `Bearer ${token}` } })
            ).modify({ remoteAddress: Option.some("192.0.2.1") })
          ),
          Effect.map(({ status }) => status)
        )
      assert.deepStrictEqual([yield* get("good"), yield* get("x"), yield* get("good")], [200, 401, 429])
    }).pipe(Effect.provide(HttpServer.layerServices)))
})
