import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Context, Effect, Exit, Layer, Schema } from "effect"
import { HttpRouter, HttpServer, HttpServerResponse } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup, HttpApiMiddleware } from "effect/http-api"
import { OAuth2, OpenApiSecurity } from "effect-oauth2"
import { authorizationServer } from "../support/authorizationServer.ts"
import { serve } from "../support/web.ts"

const auth = OAuth2.authorizationCode("OAuth2", { ...authorizationServer, scopes: { a: "", b: "" } })

const guarded = auth.require("a")
const open = OAuth2.Public("it is a test")
const other = Layer.provide(HttpRouter.middleware((handler) => Effect.map(handler, (response) => response)).layer)

const response = HttpServerResponse.text("ok")
const route = (path: HttpRouter.PathInput) => HttpRouter.add("GET", path, response)

/** Returns the message of the defect that stops an app at start-up. Returns `undefined` if the app starts. */
const refusal = <A, E, R>(routes: Layer.Layer<A, E, R>): Effect.Effect<string | undefined> =>
  Effect.map(
    Effect.exit(
      Effect.scoped(
        Layer.build(
          routes.pipe(
            Layer.provide(HttpRouter.layer),
            Layer.provide(auth.layerTest({ scopes: ["a"] })),
            Layer.provide(HttpServer.layerServices)
          ) as unknown as Layer.Layer<never>
        )
      )
    ),
    (exit) => {
      if (Exit.isSuccess(exit)) return
      const defect = Cause.squash(exit.cause)
      assert.instanceOf(defect, TypeError)
      return defect.message
    }
  )

const neither = (...names: ReadonlyArray<string>) =>
  `OAuth2.secured: these endpoints have neither a requirement nor OAuth2.Public: ${names.map((name) => JSON.stringify(name)).join(", ")}. Add auth.require, auth.optional or OAuth2.Public to each.`

describe("OAuth2.secured, for a layer of routes", () => {
  it.effect("lets an app start if every route has a requirement or is public", () =>
    Effect.gen(function* () {
      const routes = Layer.mergeAll(
        route("/required").pipe(guarded),
        route("/optional").pipe(auth.optional()),
        route("/either").pipe(OAuth2.either(auth.require("a"), auth.require("b"))),
        route("/public").pipe(open),
        route("/inside").pipe(other, guarded),
        route("/outside").pipe(guarded, other),
        Layer.mergeAll(route("/group/1"), route("/group/2")).pipe(guarded)
      )
      assert.isUndefined(yield* refusal(OAuth2.secured(routes)))
      const send = yield* serve(routes.pipe(OAuth2.secured, Layer.provide(auth.layerTest({ scopes: ["a"] }))))
      for (const path of ["/required", "/public", "/outside", "/group/2"]) {
        assert.strictEqual((yield* send(path)).status, 200, path)
      }
    })
  )

  it.effect("stops an app with unprotected routes and names each route, however it was added", () =>
    Effect.gen(function* () {
      const routes = Layer.mergeAll(
        route("/guarded").pipe(guarded),
        route("/forgotten").pipe(other),
        HttpRouter.addAll([HttpRouter.route("POST", "/one", response), HttpRouter.route("*", "/two/*", response)], {
          prefix: "/all"
        }),
        HttpRouter.use((router) => router.prefixed("/v1").prefixed("/v2").add("GET", "/x", response))
      )
      assert.strictEqual(
        yield* refusal(OAuth2.secured(routes)),
        neither("GET /forgotten", "POST /all/one", "* /all/two/*", "GET /v1/v2/x")
      )
      assert.isUndefined(yield* refusal(routes), "the same app starts without OAuth2.secured")
    })
  )

  it.effect("stops an app in which a requirement protects a Public route", () =>
    Effect.gen(function* () {
      for (const routes of [route("/x").pipe(open, guarded), route("/x").pipe(guarded, open)]) {
        assert.include(
          yield* refusal(OAuth2.secured(routes)),
          'a requirement protects these Public endpoints: "GET /x"'
        )
      }
    })
  )

  it.effect("checks only the routes inside, but counts requirements outside", () =>
    Effect.gen(function* () {
      const inner = route("/inner").pipe(guarded, OAuth2.secured)
      assert.isUndefined(yield* refusal(Layer.mergeAll(inner, route("/open"))))
      assert.strictEqual(yield* refusal(OAuth2.secured(Layer.mergeAll(inner, route("/open")))), neither("GET /open"))
      assert.isUndefined(yield* refusal(route("/x").pipe(OAuth2.secured, guarded)), "an outer requirement counts")
    })
  )

  it.effect("does not accept other middleware as a requirement", () =>
    Effect.gen(function* () {
      const fake = HttpRouter.middleware((handler) => handler).layer
      assert.strictEqual(yield* refusal(OAuth2.secured(route("/x").pipe(Layer.provide(fake)))), neither("GET /x"))
    })
  )

  it.effect("checks several apps in one build separately", () =>
    Effect.gen(function* () {
      const apps = Array.from({ length: 5 }, (_, i) =>
        Layer.mergeAll(route(`/${i}/a`).pipe(guarded), i === 3 ? route("/3/open") : route(`/${i}/b`).pipe(open)).pipe(
          OAuth2.secured
        )
      ) as [Layer.Layer<never>, ...Array<Layer.Layer<never>>]
      assert.strictEqual(yield* refusal(Layer.mergeAll(...apps)), neither("GET /3/open"))
    })
  )

  describe("around an HttpApi", () => {
    class Told extends HttpApiMiddleware.Service<Told>()("test/Told") {}
    const ToldLive = Layer.succeed(Told, (handler) => handler)
    const get = <const Name extends string>(name: Name) =>
      HttpApiEndpoint.get(name, `/${name}`, { success: Schema.String })
    const handled = () => Effect.succeed("ok")

    it.effect("finds the requirement of each endpoint among other middleware", () =>
      Effect.gen(function* () {
        const Api = HttpApi.make("api").add(
          HttpApiGroup.make("g")
            .add(get("outer").middleware(auth.require("a")).middleware(Told))
            .add(get("inner").middleware(Told).middleware(auth.require("a")))
            .add(get("open").middleware(OAuth2.Public("it is a test")))
        )
        const Group = HttpApiBuilder.group(Api, "g", (handlers) =>
          handlers.handleAll({ outer: handled, inner: handled, open: handled })
        )
        const App = HttpApiBuilder.layer(Api).pipe(Layer.provide(Group), Layer.provide(ToldLive))
        assert.isUndefined(yield* refusal(OAuth2.secured(Layer.merge(App, route("/x").pipe(guarded)))))
      })
    )

    it.effect("refuses Public around the layer of a protected api", () =>
      Effect.gen(function* () {
        const Api = HttpApi.make("api").add(HttpApiGroup.make("g").add(get("closed").middleware(auth.require("a"))))
        const Group = HttpApiBuilder.group(Api, "g", (handlers) => handlers.handle("closed", handled))
        const App = HttpApiBuilder.layer(Api).pipe(Layer.provide(Group), open)
        assert.include(
          yield* refusal(OAuth2.secured(App)),
          'a requirement protects these Public endpoints: "GET /closed"'
        )
      })
    )

    it.effect("names the unprotected endpoints", () =>
      Effect.gen(function* () {
        const Api = HttpApi.make("api").add(
          HttpApiGroup.make("g")
            .add(get("guarded").middleware(auth.require("a")))
            .add(get("late").middleware(Told))
        )
        const Group = HttpApiBuilder.group(Api, "g", (handlers) =>
          handlers.handleAll({ guarded: handled, late: handled })
        )
        const App = HttpApiBuilder.layer(Api).pipe(Layer.provide(Group), Layer.provide(ToldLive))
        assert.strictEqual(yield* refusal(OAuth2.secured(App)), neither("GET /late"))
        assert.isUndefined(yield* refusal(OAuth2.secured(App.pipe(guarded))))
      })
    )
  })

  it.effect("stops an app if it finds no route", () =>
    Effect.gen(function* () {
      const seen = "found no route"
      assert.include(yield* refusal(OAuth2.secured(Layer.empty)), seen)
      // Effect builds a shared layer once, so `secured` does not see its routes.
      const Shared = route("/shared")
      assert.include(yield* refusal(Layer.mergeAll(Shared).pipe(Layer.merge(OAuth2.secured(Shared)))), seen)
      // The routes have their own router.
      assert.include(yield* refusal(route("/own").pipe(Layer.provide(HttpRouter.layer), OAuth2.secured)), seen)
      // `secured` is around the server instead of inside.
      const served = HttpRouter.serve(route("/served")).pipe(OAuth2.secured, Layer.provide(NodeHttpServer.layerTest))
      const exit = yield* Effect.exit(Effect.scoped(Layer.build(served as Layer.Layer<never>)))
      assert(Exit.isFailure(exit))
      assert.include(String(Cause.squash(exit.cause)), seen)
    })
  )

  it.effect("provides the services of the layer of routes", () =>
    Effect.gen(function* () {
      class Service extends Context.Service<Service, number>()("test/Service") {}
      const routes = Layer.merge(route("/x").pipe(guarded), Layer.succeed(Service, 1)).pipe(
        OAuth2.secured,
        OpenApiSecurity.documented({ info: { title: "T", version: "1" } }, () => Layer.empty),
        Layer.provide(HttpRouter.layer),
        Layer.provide(auth.layerTest("anonymous"))
      ) as Layer.Layer<Service>
      assert.strictEqual(Context.get(yield* Layer.build(routes), Service), 1)
    })
  )

  it.effect("does not serve an unprotected route that is added after start-up", () =>
    Effect.gen(function* () {
      let add: (path: HttpRouter.PathInput) => Effect.Effect<void> = () => Effect.void
      const Router = HttpRouter.use((router) =>
        Effect.sync(() => {
          add = (path) => router.add("GET", path, response)
        })
      )
      const Later = HttpRouter.add(
        "POST",
        "/add",
        Effect.as(
          Effect.suspend(() => add("/late")),
          response
        )
      ).pipe(open)
      const send = yield* serve(Layer.merge(Router, Later).pipe(OAuth2.secured))
      assert.strictEqual((yield* send("/late")).status, 404)
      assert.strictEqual((yield* send("/add", undefined, { method: "POST" })).status, 200)
      assert.strictEqual((yield* send("/late")).status, 500)
    })
  )

  it.effect("checks a route that middleware adds while another route is added", () =>
    Effect.gen(function* () {
      const adding = HttpRouter.middleware(
        Effect.map(
          HttpRouter.HttpRouter,
          (router) => (handler: Effect.Effect<HttpServerResponse.HttpServerResponse>) => {
            Effect.runSync(router.add("GET", "/sneaky", response))
            return handler
          }
        ) as never
      ) as unknown as { readonly layer: Layer.Layer<never> }
      const routes = route("/x").pipe(guarded, Layer.provide(adding.layer))
      assert.strictEqual(yield* refusal(OAuth2.secured(routes)), neither("GET /sneaky"))
    })
  )

  it("refuses a value that is neither an api nor a layer", () => {
    assert.throws(
      () => OAuth2.secured({} as never),
      TypeError,
      "the argument is neither an HttpApi, nor a layer of routes, nor an RpcGroup"
    )
  })
})

describe("OpenApiSecurity.documented with OAuth2.secured", () => {
  it.effect("documents routes of OAuth2.secured inside", () =>
    Effect.gen(function* () {
      const send = yield* serve(
        route("/x").pipe(
          guarded,
          OAuth2.secured,
          OpenApiSecurity.documented({ info: { title: "T", version: "1" } }, (document) =>
            HttpRouter.add("GET", "/openapi.json", HttpServerResponse.jsonUnsafe(document))
          ),
          Layer.provide(auth.layerTest("anonymous"))
        )
      )
      assert.deepStrictEqual(JSON.parse((yield* send("/openapi.json")).body).paths["/x"].get.security, [
        { OAuth2: ["a"] }
      ])
    })
  )

  it.effect("adds the documentation page to the checked routes if OAuth2.secured is outside", () =>
    Effect.gen(function* () {
      const App = route("/x").pipe(
        guarded,
        OpenApiSecurity.documented({ info: { title: "T", version: "1" } }, () => route("/docs"))
      )
      assert.strictEqual(yield* refusal(OAuth2.secured(App)), neither("GET /docs"))
    })
  )
})
