import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { assert, describe, it } from "@effect/vitest"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Cause, Context, Effect, Exit, Layer, Redacted, Schema } from "effect"
import { HttpRouter, HttpServer, HttpServerResponse } from "effect/http"
import {
  HttpApi,
  HttpApiBuilder,
  HttpApiEndpoint,
  HttpApiError,
  HttpApiGroup,
  HttpApiMiddleware,
  HttpApiScalar,
  HttpApiSecurity,
  HttpApiSwagger,
  OpenApi
} from "effect/http-api"
import { OAuth2, OpenApiSecurity, SwaggerUi } from "effect-oauth2"
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
      for (const routes of [
        route("/x").pipe(open, guarded),
        route("/x").pipe(guarded, open, other, guarded),
        Layer.mergeAll(route("/x").pipe(open), route("/y")).pipe(guarded, OAuth2.Public("another mark"))
      ]) {
        assert.strictEqual(
          yield* refusal(OAuth2.secured(routes)),
          'OAuth2.secured: a requirement or HttpApiSecurity around these Public endpoints protects them: "GET /x". Put them outside (in an HttpApi, add them after .middleware()), or remove OAuth2.Public.'
        )
      }
    })
  )

  it.effect("accepts Public around requirements, which still protect their routes", () =>
    Effect.gen(function* () {
      const routes = Layer.mergeAll(
        route("/one").pipe(guarded, open),
        Layer.mergeAll(
          route("/required").pipe(guarded),
          route("/sealed").pipe(other, auth.optional("a")),
          OAuth2.route("GET", "/public", Effect.succeed(response))
        ).pipe(open)
      )
      assert.isUndefined(yield* refusal(OAuth2.secured(routes)))
      const send = yield* serve(routes.pipe(OAuth2.secured, Layer.provide(auth.layerTest("anonymous"))))
      const statuses = yield* Effect.forEach(["/one", "/required", "/sealed", "/public"], (path) => send(path))
      assert.deepStrictEqual(
        statuses.map(({ status }) => status),
        [401, 401, 200, 200]
      )
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

  it.effect("stops an app whose route lacks the path parameter of a required scope", () =>
    Effect.gen(function* () {
      const orgs = OAuth2.authorizationCode("Orgs", { ...authorizationServer, scopes: { "read:{org}": "" } })
      const lacking = (name: string) =>
        `OAuth2.secured: "${name}" requires the scope "read:{org}", but its path has no parameter "org". Give the placeholder the name of a path parameter, or compute its value with auth.scopeOf.`
      const started = (routes: Layer.Layer<never, never, any>) =>
        refusal(OAuth2.secured(routes as Layer.Layer<never>).pipe(Layer.provide(orgs.layerTest("anonymous"))))
      const guard = orgs.require("read:{org}")
      assert.strictEqual(yield* started(route("/items/:organization").pipe(guard)), lacking("GET /items/:organization"))
      assert.isUndefined(yield* started(route("/items/:org?").pipe(guard)))
      const prefixed = HttpRouter.use((router) => router.prefixed("/orgs/:org").add("GET", "/items", response))
      assert.isUndefined(yield* started(prefixed.pipe(guard)))
      const fromHeader = orgs.scopeOf("read:{org}", Effect.succeed({ org: "acme" }))
      assert.isUndefined(yield* started(route("/items").pipe(orgs.require(fromHeader))))
      const Api = HttpApi.make("api").add(
        HttpApiGroup.make("g").add(HttpApiEndpoint.get("get", "/x", { success: Schema.String }).middleware(guard))
      )
      const Group = HttpApiBuilder.group(Api, "g", (handlers) => handlers.handle("get", () => Effect.succeed("ok")))
      assert.strictEqual(
        yield* started(HttpApiBuilder.layer(Api).pipe(Layer.provide([Group, HttpServer.layerServices])) as never),
        lacking("GET /x")
      )
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

    const Closed = HttpApi.make("api")
      .add(HttpApiGroup.make("g").add(get("closed").middleware(auth.require("a"))))
      .pipe(OAuth2.openApi)
    const ClosedLive = HttpApiBuilder.group(Closed, "g", (handlers) => handlers.handle("closed", handled))
    const document = "/openapi.json"

    it.effect("accepts Public around the layer of a protected api, which publishes only the document", () =>
      Effect.gen(function* () {
        const App = Layer.mergeAll(
          HttpApiBuilder.layer(Closed, { openapiPath: document }).pipe(open),
          HttpApiSwagger.layer(Closed).pipe(open),
          HttpApiScalar.layer(Closed, { path: "/scalar" }).pipe(open),
          SwaggerUi.layer(Closed, { path: "/swagger", openapiPath: "/swagger.json" }).pipe(open)
        ).pipe(Layer.provide(ClosedLive), OAuth2.secured)
        const send = yield* serve(
          App.pipe(
            Layer.provide(auth.layerTest("anonymous")),
            Layer.provide([HttpServer.layerServices, NodeServices.layer])
          )
        )
        assert.strictEqual((yield* send("/closed")).status, 401)
        assert.deepStrictEqual(JSON.parse((yield* send(document)).body).paths["/closed"].get.security, [
          { OAuth2: ["a"] }
        ])
        for (const path of ["/docs", "/scalar", "/swagger"]) {
          assert.strictEqual((yield* send(path)).status, 200, path)
        }
      })
    )

    it.effect("protects the document and the documentation pages by a requirement around their layers", () =>
      Effect.gen(function* () {
        const App = Layer.mergeAll(
          HttpApiBuilder.layer(Closed, { openapiPath: document }).pipe(auth.require()),
          HttpApiSwagger.layer(Closed).pipe(auth.require("b")),
          HttpRouter.add("GET", "/own.json", HttpServerResponse.jsonUnsafe(OpenApi.fromApi(Closed))).pipe(guarded)
        ).pipe(Layer.provide(ClosedLive), OAuth2.secured)
        const statusesFor = (token: Parameters<typeof auth.layerTest>[0]) =>
          Effect.gen(function* () {
            const send = yield* serve(
              App.pipe(Layer.provide(auth.layerTest(token)), Layer.provide(HttpServer.layerServices))
            )
            const answers = yield* Effect.forEach([document, "/docs", "/own.json", "/closed"], (path) => send(path))
            return answers.map(({ status }) => status)
          })
        assert.deepStrictEqual(yield* statusesFor("anonymous"), [401, 401, 401, 401])
        assert.deepStrictEqual(yield* statusesFor({ scopes: ["a"] }), [200, 401, 200, 200])
      })
    )

    it.effect("says how to mark the document of an api", () =>
      Effect.gen(function* () {
        const App = HttpApiBuilder.layer(Closed, { openapiPath: document }).pipe(Layer.provide(ClosedLive))
        assert.strictEqual(
          yield* refusal(OAuth2.secured(App)),
          `${neither("GET /openapi.json")} If one of them is the document of an HttpApi (openapiPath), apply OAuth2.Public to its HttpApiBuilder.layer.`
        )
        assert.isUndefined(yield* refusal(OAuth2.secured(App.pipe(open))))
      })
    )

    it.effect("does not let Public around the layer hide an unprotected endpoint", () =>
      Effect.gen(function* () {
        const Api = HttpApi.make("api").add(
          HttpApiGroup.make("g").add(get("guarded").middleware(auth.require("a")), get("forgotten"))
        )
        const Group = HttpApiBuilder.group(Api, "g", (handlers) =>
          handlers.handleAll({ guarded: handled, forgotten: handled })
        )
        const App = HttpApiBuilder.layer(Api, { openapiPath: document }).pipe(Layer.provide(Group), open)
        assert.strictEqual(
          yield* refusal(OAuth2.secured(App)),
          `${neither("GET /forgotten")} Around HttpApiBuilder.layer, OAuth2.Public marks no endpoint. Mark endpoints in the api: .middleware(OAuth2.Public(…)).`
        )
      })
    )

    it.effect("accepts Public around a group with requirements, and refuses it inside", () =>
      Effect.gen(function* () {
        const group = HttpApiGroup.make("g").add(get("closed").middleware(auth.require("a")), get("open"))
        const Api = HttpApi.make("api").add(group.middleware(open))
        const Group = HttpApiBuilder.group(Api, "g", (handlers) =>
          handlers.handleAll({ closed: handled, open: handled })
        )
        assert.strictEqual(OAuth2.secured(Api), Api)
        const App = HttpApiBuilder.layer(Api).pipe(Layer.provide(Group))
        const send = yield* serve(
          App.pipe(OAuth2.secured, Layer.provide(auth.layerTest("anonymous")), Layer.provide(HttpServer.layerServices))
        )
        assert.strictEqual((yield* send("/closed")).status, 401)
        assert.strictEqual((yield* send("/open")).status, 200)
        const inside = "a requirement or HttpApiSecurity around these Public endpoints protects them: "
        assert.throws(
          () => OAuth2.secured(Api.middleware(guarded) as never),
          TypeError,
          `${inside}"g.closed", "g.open"`
        )
        assert.include(yield* refusal(OAuth2.secured(App.pipe(guarded))), `${inside}"GET /closed", "GET /open"`)
      })
    )

    it.effect("counts middleware of Effect's HttpApiSecurity as protection", () =>
      Effect.gen(function* () {
        class ApiKey extends HttpApiMiddleware.Service<ApiKey>()("test/ApiKey", {
          error: HttpApiError.Unauthorized,
          security: { key: HttpApiSecurity.apiKey({ in: "header", key: "x-api-key" }) }
        }) {}
        const ApiKeyLive = Layer.succeed(ApiKey, {
          key: (handler, { credential }) =>
            Redacted.value(credential) === "secret" ? handler : Effect.fail(new HttpApiError.Unauthorized())
        })
        const Api = HttpApi.make("api").add(HttpApiGroup.make("g").add(get("keyed").middleware(ApiKey)))
        assert.strictEqual(OAuth2.secured(Api), Api)
        const Group = HttpApiBuilder.group(Api, "g", (handlers) => handlers.handle("keyed", handled))
        const App = HttpApiBuilder.layer(Api).pipe(Layer.provide(Group), Layer.provide(ApiKeyLive), OAuth2.secured)
        const send = yield* serve(App.pipe(Layer.provide(HttpServer.layerServices)))
        assert.strictEqual((yield* send("/keyed")).status, 401)
        const inside = HttpApi.make("api").add(
          HttpApiGroup.make("g").add(get("keyed").middleware(open).middleware(ApiKey))
        )
        // The types do not know this order.
        assert.throws(
          () => OAuth2.secured(inside),
          TypeError,
          'HttpApiSecurity around these Public endpoints protects them: "g.keyed"'
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
