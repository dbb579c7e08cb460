/** Documents that `OpenApiSecurity.documented` creates from routes, and routes that it refuses. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { type HttpApi, HttpApiBuilder, OpenApi } from "effect/http-api"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { OAuth2, OpenApiSecurity, SecurityError } from "effect-oauth2"
import { documentOfRoutes } from "../support/routesDocument.ts"
import { apiOf, assertValid, auth, documentOf, get, route, securityOf } from "../support/apiDocuments.ts"
import { serve } from "../support/web.ts"

describe("OpenApiSecurity.documented", () => {
  const me = auth.require("a")
  const anonymous = auth.layerTest("anonymous")
  const document = <A, E, R>(
    routes: Layer.Layer<A, E, R>,
    options?: Parameters<typeof OpenApiSecurity.documented>[0]
  ) => documentOfRoutes(routes.pipe(Layer.provide(anonymous)), options)

  /** Returns the message with which the layer fails at start-up. */
  const refusalOf = <A, E, R>(...args: Parameters<typeof document<A, E, R>>) =>
    Effect.map(Effect.flip(document(...args)), (error) => {
      assert.instanceOf(error, SecurityError.ConfigurationError)
      assert.strictEqual(error.setting, "routes")
      return error.message
    })

  it.effect("writes the routes of the router with their security, refusals and parameters", () =>
    Effect.gen(function* () {
      const Items = Layer.mergeAll(
        route("/users/:id/items/:item").pipe(
          Layer.provide(OpenApiSecurity.operation({ summary: "S" })),
          me,
          auth.require("b")
        ),
        route("/users/:id/items/:item", "POST").pipe(auth.optional()),
        route("/health").pipe(OAuth2.Public("nobody minds"))
      )
      const written = yield* document(Items)
      yield* assertValid(written)
      const { get, post } = written.paths["/users/{id}/items/{item}"] ?? {}
      assert.deepStrictEqual(get?.security, [{ OAuth2: ["b", "a"] }])
      assert.deepStrictEqual(post?.security, [{ OAuth2: [] }, {}])
      assert.deepStrictEqual(
        get?.parameters.map(({ name }) => name),
        ["id", "item"]
      )
      assert.deepStrictEqual(Object.keys(get?.responses ?? {}), ["200", "401", "503"])
      assert.strictEqual(get?.summary, "S")
      const health = written.paths["/health"]?.get
      assert.deepStrictEqual([health?.security, Object.keys(health?.responses ?? {})], [[], ["200", "4XX"]])
      assert.deepStrictEqual(Object.keys(written.components.securitySchemes), ["OAuth2"])
    })
  )

  it.effect("finds the requirements of routes with other middleware, and of routes added in every way", () =>
    Effect.gen(function* () {
      const other = HttpRouter.middleware((handler) => Effect.map(handler, (response) => response)).layer
      const response = HttpServerResponse.empty()
      const written = yield* document(
        Layer.mergeAll(
          route("/between").pipe(me, Layer.provide(other), auth.require("b")),
          route("/inside").pipe(Layer.provide(other), me),
          route("/combined").pipe(Layer.provide(HttpRouter.middleware((handler) => handler).combine(me.route).layer)),
          HttpRouter.addAll([HttpRouter.route("GET", "/one", response), HttpRouter.route("GET", "/two", response)], {
            prefix: "/all"
          }).pipe(me),
          HttpRouter.use((router) =>
            Effect.andThen(
              router.prefixed("/v1").add("GET", "/", response),
              router
                .prefixed("/v1")
                .prefixed("/:tenant")
                .addAll([HttpRouter.route("GET", "/x", response)])
            )
          ).pipe(me),
          OAuth2.route("GET", "/sealed", Effect.succeed(response)).pipe(me),
          route("/either").pipe(OAuth2.either(auth.require("a"), auth.require("c")))
        )
      )
      const a = [{ OAuth2: ["a"] }]
      assert.deepStrictEqual(
        Object.fromEntries(Object.entries(written.paths).map(([path, item]) => [path, item.get?.security])),
        {
          "/between": [{ OAuth2: ["b", "a"] }],
          "/inside": a,
          "/combined": a,
          "/all/one": a,
          "/all/two": a,
          "/v1": a,
          "/v1/{tenant}/x": a,
          "/sealed": a,
          "/either": [{ OAuth2: ["a"] }, { OAuth2: ["c"] }]
        }
      )
    })
  )

  it.effect("adds the fields of operation layers, and prefers the fields of the inner layer", () =>
    Effect.gen(function* () {
      const { operation } = OpenApiSecurity
      const written = yield* document(
        Layer.mergeAll(
          route("/own").pipe(Layer.provide(operation({ summary: "own" })), me),
          route("/ours"),
          route("/none").pipe(Layer.provide(OpenApiSecurity.hidden), Layer.provide(operation({ summary: "hidden" })))
        ).pipe(Layer.provide(operation({ summary: "ours", tags: ["tag"] })))
      )
      assert.deepStrictEqual(
        Object.entries(written.paths).map(([path, { get }]) => [path, get?.summary, get?.tags]),
        [
          ["/own", "own", ["tag"]],
          ["/ours", "ours", ["tag"]]
        ]
      )
    })
  )

  it.effect("serves the documented routes, and enforces the documented requirements", () =>
    Effect.gen(function* () {
      const send = yield* serve(
        route("/me").pipe(
          me,
          OAuth2.secured,
          OpenApiSecurity.documented({ info: { title: "T", version: "1" } }, (document) =>
            HttpRouter.add("GET", "/openapi.json", HttpServerResponse.jsonUnsafe(document))
          ),
          Layer.provide(anonymous)
        )
      )
      assert.strictEqual((yield* send("/me")).status, 401)
      const { body } = yield* send("/openapi.json")
      assert.deepStrictEqual(JSON.parse(body).paths["/me"].get.security, [{ OAuth2: ["a"] }])
      assert.isUndefined(JSON.parse(body).paths["/openapi.json"])
    })
  )

  for (const [router, template, names] of [
    ["/v1/items::search", "/v1/items:search", []],
    ["/v1/:item::archive", "/v1/{item::archive}", ["item::archive"]],
    ["/q/:a:b", "/q/{a:b}", ["a:b"]],
    ["/wiki/foo(bar)", "/wiki/foo(bar)", []],
    ["/t/:h(^\\d+)h:m(^\\d+)m", "/t/{h}h{m}m", ["h", "m"]],
    ["/re/:id(^\\d+$)", "/re/{id}", ["id"]],
    ["/re/:id(^(a|\\(b)+$)/next/:page", "/re/{id}/next/{page}", ["id", "page"]],
    ["/at/:latitude-:longitude.json", "/at/{latitude}-{longitude}.json", ["latitude", "longitude"]]
  ] as const) {
    it.effect(`writes the router's path ${router} as ${template}, and the router serves that path`, () =>
      Effect.gen(function* () {
        const written = yield* document(route(router))
        assert.deepStrictEqual(Object.keys(written.paths), [template])
        const parameters = written.paths[template]?.get?.parameters ?? []
        assert.deepStrictEqual(
          parameters.map(({ name }) => name),
          Array.from<string>(names)
        )
        const send = yield* serve(route(router))
        assert.strictEqual(
          (yield* send(template.replaceAll(/\{[^}]+\}/g, router.includes("|") ? "a" : "7"))).status,
          204
        )
      })
    )
  }

  for (const path of ["/opt/:id?", "/all/*", "*", "/items/:id/:id"] as const) {
    it.effect(`refuses ${path}, which OpenAPI cannot describe, unless the route is hidden`, () =>
      Effect.gen(function* () {
        assert.include(yield* refusalOf(route(path)), path)
        assert.deepStrictEqual((yield* document(route(path).pipe(Layer.provide(OpenApiSecurity.hidden)))).paths, {})
      })
    )
  }

  it.effect("refuses a method that OpenAPI cannot describe", () =>
    Effect.gen(function* () {
      assert.include(yield* refusalOf(route("/any", "*")), "* /any")
      assert.include(yield* refusalOf(route("/query", "QUERY")), "QUERY /query")
    })
  )

  it.effect("refuses two routes whose paths differ only in parameter names", () =>
    Effect.gen(function* () {
      const routes = (one: `/${string}`, two: `/${string}`) => Layer.mergeAll(route(one), route(two, "POST"))
      assert.include(yield* refusalOf(routes("/items/:id", "/items/:name")), "/items/{id}")
      yield* document(routes("/items/:id", "/items/:id"))
    })
  )

  describe("with an HttpApi", () => {
    const api = apiOf(
      get("list").middleware(auth.require("a")),
      get("health").middleware(OAuth2.Public("nobody minds"))
    )
    type Handlers = { handle: (name: string, handler: () => Effect.Effect<string>) => Handlers }
    const served = (api: HttpApi.Top) =>
      HttpApiBuilder.layer(api as never).pipe(
        Layer.provide(
          HttpApiBuilder.group(
            api as never,
            "g" as never,
            ((handlers: Handlers) =>
              handlers.handle("list", () => Effect.succeed("")).handle("health", () => Effect.succeed(""))) as never
          ) as Layer.Layer<never>
        )
      ) as Layer.Layer<never>
    const Api = served(api)
    const Me = route("/me").pipe(me)

    it.effect("adds the routes to the document of the api", () =>
      Effect.gen(function* () {
        for (const routes of [Me, Layer.merge(Me, Api)]) {
          const written = yield* document(routes, { document: documentOf(api) })
          yield* assertValid(written)
          assert.deepStrictEqual(securityOf(written, "/list"), [{ OAuth2: ["a"] }])
          assert.deepStrictEqual(securityOf(written, "/health"), [])
          assert.deepStrictEqual(securityOf(written, "/me"), [{ OAuth2: ["a"] }])
        }
      })
    )

    it.effect("refuses a route that an endpoint duplicates, and a document without the api's requirements", () =>
      Effect.gen(function* () {
        const same = yield* refusalOf(route("/list"), { document: documentOf(api) })
        assert.include(same, "The document already has GET /list")
        const withoutSecurity = OpenApi.fromApi(api)
        assert.include(yield* refusalOf(Api, { document: withoutSecurity }), "does not show the requirements")
        const hidden = get("health").annotate(OpenApi.Exclude, true) as never
        const excluding = apiOf(get("list").middleware(auth.require("a")), hidden)
        const written = yield* document(served(excluding), { document: documentOf(excluding) })
        assert.deepStrictEqual(Object.keys(written.paths), ["/list"])
      })
    )

    it.effect("refuses endpoints without the api's document, and requirements that the document lacks", () =>
      Effect.gen(function* () {
        assert.include(yield* refusalOf(Layer.merge(Me, Api)), "GET /list is an endpoint of an HttpApi")
        const guarded = Api.pipe(auth.require("b"))
        assert.include(yield* refusalOf(guarded, { document: documentOf(api) }), "api.middleware")
      })
    )
  })
})
