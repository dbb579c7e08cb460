/** Middleware between or around requirements never authorizes a request. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Option, Redacted, Schema } from "effect"
import { Headers, HttpRouter, HttpServer, HttpServerRequest, HttpServerResponse } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup, HttpApiMiddleware } from "effect/http-api"
import { AccessToken, BearerToken, OptionalAccessToken, Requirement } from "effect-oauth2"
import { serve } from "../support/web.ts"
import {
  api,
  type App,
  auth,
  cast,
  erase,
  Inside,
  other,
  reference,
  secret,
  secretless,
  serveWithLog,
  stubToken,
  verifier
} from "../support/untypedApps.ts"

describe("a requirement's route layer that wraps an HttpApi", () => {
  it.effect("protects all endpoints of the HttpApi", () =>
    Effect.gen(function* () {
      const app = api.make([{ path: "/", handler: secret }]).pipe(auth.require("a")) as App
      const { send } = yield* serveWithLog(app)
      assert.strictEqual((yield* send("/")).status, 401)
      assert.strictEqual((yield* send("/", "none")).status, 401)
      assert.strictEqual((yield* send("/", "a")).body, "the secret of a")
    })
  )
})

describe("middleware between two requirements that changes the credentials", () => {
  const swapped = (token: string | undefined) =>
    Effect.updateService(HttpServerRequest.HttpServerRequest, (request: HttpServerRequest.HttpServerRequest) =>
      request.modify({ headers: Headers.fromInput(token === undefined ? {} : { authorization: `Bearer ${token}` }) })
    )

  for (const token of [undefined, "none", "bad", "a", "b"]) {
    it.effect(`the inner requirement reads the new token ${token}, in HttpRouter`, () =>
      Effect.gen(function* () {
        const app = HttpRouter.add("GET", "/", secretless).pipe(
          auth.require("b"),
          Layer.provide(HttpRouter.middleware(swapped(token)).layer),
          auth.require("a")
        )
        const { send } = yield* serveWithLog(app)
        assert.strictEqual((yield* send("/", "ab")).status, 401)
      })
    )

    it.effect(`the inner requirement reads the new token ${token}, in HttpApi`, () =>
      Effect.gen(function* () {
        const endpoint = HttpApiEndpoint.get("get", "/", { success: Schema.String })
          .middleware(auth.require("b"))
          .middleware(Inside)
          .middleware(auth.require("a"))
        const Api = HttpApi.make("api").add(HttpApiGroup.make("group").add(endpoint))
        const Group = HttpApiBuilder.group(Api, "group", (handlers) => handlers.handle("get", () => secretless))
        const app = HttpApiBuilder.layer(Api).pipe(
          Layer.provide(Group),
          Layer.provide([HttpServer.layerServices, Layer.succeed(Inside, swapped(token))])
        )
        const { send } = yield* serveWithLog(app)
        assert.strictEqual((yield* send("/", "ab")).status, 401)
      })
    )
  }
})

describe("a stub between two requirements", () => {
  const stub = Effect.provide(
    Layer.mergeAll(
      BearerToken.layerTest("stub"),
      Layer.succeed(AccessToken, stubToken),
      Layer.succeed(OptionalAccessToken, Option.some(stubToken))
    )
  )
  const handler = cast(
    Effect.map(Effect.all([AccessToken, OptionalAccessToken, BearerToken]), ([one, other, credential]) =>
      HttpServerResponse.text([one.subject, Option.getOrThrow(other).subject, Redacted.value(credential)].join())
    )
  )

  it.effect("does not reach the handler, in HttpRouter", () =>
    Effect.gen(function* () {
      const app = HttpRouter.add("GET", "/", handler).pipe(
        auth.require("a"),
        Layer.provide(HttpRouter.middleware((effect) => stub(effect)).layer),
        auth.require()
      )
      const { send } = yield* serveWithLog(app)
      assert.strictEqual((yield* send("/", "a")).body, "a,a,a")
    })
  )

  it.effect("does not reach the handler, in HttpApi", () =>
    Effect.gen(function* () {
      const endpoint = HttpApiEndpoint.get("get", "/", { success: Schema.String })
        .middleware(auth.require("a"))
        .middleware(Inside)
        .middleware(auth.require())
      const Api = HttpApi.make("api").add(HttpApiGroup.make("group").add(endpoint))
      const Group = HttpApiBuilder.group(Api, "group", (handlers) => handlers.handle("get", () => handler))
      const app = HttpApiBuilder.layer(Api).pipe(
        Layer.provide(Group),
        Layer.provide([HttpServer.layerServices, Layer.succeed(Inside, (effect) => stub(effect))])
      )
      const { send } = yield* serveWithLog(erase(app))
      assert.strictEqual((yield* send("/", "a")).body, "a,a,a")
    })
  )
})

describe("a check in HttpRouter", () => {
  it.effect("uses the services that were provided to its own requirement", () =>
    Effect.gen(function* () {
      class Tenants extends Context.Service<Tenants, ReadonlyArray<string>>()("test/Tenants") {}
      const tenant = Requirement.check("tenant", (token) =>
        Effect.map(Tenants, (tenants) => tenants.includes(token.subject))
      )
      const requirement = (...tenants: ReadonlyArray<string>) =>
        Layer.provide(auth.require(tenant).route.layer, Layer.succeed(Tenants, tenants))
      const { send } = yield* serveWithLog(
        HttpRouter.add("GET", "/", secretless).pipe(
          Layer.provide(requirement("a")),
          Layer.provide(requirement("a", "b"))
        )
      )
      assert.strictEqual((yield* send("/", "a")).status, 200)
      assert.strictEqual((yield* send("/", "b")).status, 401)
    })
  )
})

describe("nested requirements in an HttpApi", () => {
  it.effect("run a check once", () =>
    Effect.gen(function* () {
      let calls = 0
      const counting = Requirement.check("counting", () => Effect.sync(() => ++calls > 0))
      const endpoint = HttpApiEndpoint.get("get", "/", { success: Schema.String })
        .middleware(auth.require("b", counting))
        .middleware(Inside)
        .middleware(other.require("a"))
        .middleware(auth.require("a"))
      const Api = HttpApi.make("api").add(HttpApiGroup.make("group").add(endpoint))
      const Group = HttpApiBuilder.group(Api, "group", (handlers) => handlers.handle("get", () => Effect.succeed("x")))
      const app = HttpApiBuilder.layer(Api).pipe(
        Layer.provide(Group),
        Layer.provide([
          HttpServer.layerServices,
          Layer.succeed(Inside, (effect) => Effect.andThen(Effect.void, effect))
        ])
      )
      const { send } = yield* serveWithLog(app)
      assert.strictEqual((yield* send("/", "ab")).status, 200)
      assert.strictEqual(calls, 1)
    })
  )
})

describe("a check that reads the request", () => {
  // Nothing is cast here: a check may use HttpServerRequest, because every request provides it.
  it.effect("compares the URL with the token, in HttpRouter and in HttpApi", () =>
    Effect.gen(function* () {
      const own = Requirement.check("own", (token) =>
        Effect.map(HttpServerRequest.HttpServerRequest, ({ url }) => url.endsWith(`/${token.subject}`))
      )
      const requirement = auth.require("a", own)
      const endpoint = HttpApiEndpoint.get("get", "/api/:user", {
        params: { user: Schema.String },
        success: Schema.String
      }).middleware(requirement)
      const Api = HttpApi.make("api").add(HttpApiGroup.make("group").add(endpoint))
      const Group = HttpApiBuilder.group(Api, "group", (handlers) => handlers.handle("get", () => Effect.succeed("x")))
      const app = Layer.merge(
        HttpRouter.add("GET", "/route/:user", secretless).pipe(requirement),
        HttpApiBuilder.layer(Api).pipe(Layer.provide(Group), Layer.provide(HttpServer.layerServices))
      ).pipe(Layer.provide(auth.layer(verifier().layer)))
      const send = yield* serve(app)
      for (const path of ["/route/a", "/api/a"]) {
        assert.strictEqual((yield* send(path, "a")).status, 200)
        assert.strictEqual((yield* send(path, "mallory")).status, 401)
      }
    })
  )
})

describe("the decision of outer requirements in an HttpApi", () => {
  const passed = reference("effect-oauth2/Passed")
  class First extends HttpApiMiddleware.Service<First>()("First") {}
  class Second extends HttpApiMiddleware.Service<Second>()("Second") {}
  class Third extends HttpApiMiddleware.Service<Third>()("Third") {}

  type Between = (handler: Effect.Effect<any, any, any>) => Effect.Effect<any, any, any>

  /** Serves three nested requirements with middleware between them. */
  const served = (first: Between, second: Between) => {
    const Api = HttpApi.make("api").add(
      HttpApiGroup.make("g").add(
        HttpApiEndpoint.get("get", "/", { success: Schema.String })
          .middleware(auth.require("b"))
          .middleware(Second)
          .middleware(auth.require("a"))
          .middleware(First)
          .middleware(auth.require())
          .middleware(Third)
      )
    )
    return serveWithLog(
      HttpApiBuilder.layer(Api).pipe(
        Layer.provide(HttpApiBuilder.group(Api, "g", (handlers) => handlers.handle("get", () => Effect.succeed("x")))),
        Layer.provide([Layer.succeed(First, first), Layer.succeed(Second, second), Layer.succeed(Third, asIs)]),
        Layer.provide(HttpServer.layerServices)
      ) as App
    )
  }

  const asIs: Between = (handler) => handler
  const change =
    (f: (passed: unknown) => unknown): Between =>
    (handler) =>
      Effect.updateService(handler, passed, f)

  it.effect("reaches the inner requirements if the middleware between them leaves it unchanged", () =>
    Effect.gen(function* () {
      const { send } = yield* served(asIs, asIs)
      assert.strictEqual((yield* send("/", "ab")).status, 200)
      assert.strictEqual((yield* send("/", "a")).challenge, `Bearer scope="a b"`)
    })
  )

  const captured: { passed?: unknown } = {}
  const cases: Readonly<Record<string, readonly [Between, Between]>> = {
    "is removed": [change(() => undefined), asIs],
    "is replaced with a number": [change(() => 7), asIs],
    "is replaced with null": [change(() => null), asIs],
    "is replaced with a look-alike": [change((genuine) => ({ ...(genuine as object) })), asIs],
    "is replaced with a look-alike that has its prototype": [
      change((genuine) => Object.assign(Object.create(Object.getPrototypeOf(genuine)), genuine)),
      asIs
    ],
    "is replaced with the decision of fewer requirements": [
      change((genuine) => (captured.passed = genuine)),
      change(() => captured.passed)
    ]
  }
  for (const [what, [first, second]] of Object.entries(cases)) {
    it.effect(`authorizes no request if it ${what}`, () =>
      Effect.gen(function* () {
        const { send } = yield* served(first, second)
        assert.strictEqual((yield* send("/", "ab")).status, 500)
      })
    )
  }
})
