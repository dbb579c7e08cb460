import { Validator } from "@seriousme/openapi-schema-validator"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import {
  HttpApi,
  HttpApiBuilder,
  HttpApiEndpoint,
  HttpApiGroup,
  HttpApiMiddleware,
  HttpApiSchema,
  HttpApiSecurity,
  OpenApi
} from "effect/http-api"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { OAuth2, OpenApiSecurity, Requirement, SecurityError, SwaggerUi } from "effect-oauth2"
import { authorizationServer } from "./support/authorizationServer.ts"
import { documentOfRoutes } from "./support/documentOfRoutes.ts"
import { serve } from "./support/web.ts"

const scopes = { a: "The a", b: "The b", c: "The c", all: "Everything" }
const auth = OAuth2.authorizationCode("OAuth2", { ...authorizationServer, scopes })
const other = OAuth2.clientCredentials("Other", { tokenUrl: authorizationServer.tokenUrl, scopes: { x: "", y: "" } })

/** The official schema of the document's version. */
const assertValid = (document: OpenApi.OpenAPISpec) =>
  Effect.promise(async () => {
    const result = await new Validator().validate({ ...structuredClone(document) })
    assert.deepStrictEqual(result, { valid: true })
  })

const documentOf = (api: HttpApi.Top) => OpenApi.fromApi(OAuth2.openApi(api))

const get = (name: string) => HttpApiEndpoint.get(name, `/${name}`, { success: Schema.String })

const route = (path: HttpRouter.PathInput, method: Parameters<typeof HttpRouter.add>[0] = "GET") =>
  HttpRouter.add(method, path, HttpServerResponse.empty())

const apiOf = (...endpoints: readonly [HttpApiEndpoint.Top, ...Array<HttpApiEndpoint.Top>]) =>
  HttpApi.make("api").add(HttpApiGroup.make("g").add(...endpoints)) as unknown as HttpApi.Top

/** Effect has no types for oauth2 and openIdConnect schemes. */
const schemesOf = (document: OpenApi.OpenAPISpec): unknown => document.components.securitySchemes

const securityOf = (document: OpenApi.OpenAPISpec, path: string) => document.paths[path as `/${string}`]?.get?.security

describe("OpenApiSecurity.of", () => {
  const cases: ReadonlyArray<
    readonly [name: string, actual: ReturnType<typeof OpenApiSecurity.of>, expected: unknown]
  > = [
    ["any valid token", OpenApiSecurity.of(auth.require()), [{ OAuth2: [] }]],
    ["all of some scopes", OpenApiSecurity.of(auth.require("a", "b")), [{ OAuth2: ["a", "b"] }]],
    [
      "stacked, outermost first, each once",
      OpenApiSecurity.of(auth.require("b"), auth.require("a", "b")),
      [{ OAuth2: ["b", "a"] }]
    ],
    [
      "one of some scopes",
      OpenApiSecurity.of(auth.require(Requirement.any("a", "b"))),
      [{ OAuth2: ["a"] }, { OAuth2: ["b"] }]
    ],
    [
      "nested",
      OpenApiSecurity.of(auth.require("a", Requirement.any("b", Requirement.all("c", "all")))),
      [{ OAuth2: ["a", "b"] }, { OAuth2: ["a", "c", "all"] }]
    ],
    [
      "an alternative that another includes is left out",
      OpenApiSecurity.of(auth.require(Requirement.any("a", Requirement.all("a", "b")))),
      [{ OAuth2: ["a"] }]
    ],
    ["optional", OpenApiSecurity.of(auth.optional("a")), [{ OAuth2: ["a"] }, {}]],
    [
      "optional inside of required",
      OpenApiSecurity.of(auth.require("a"), auth.optional("b")),
      [{ OAuth2: ["a", "b"] }]
    ],
    [
      "optional beside another scheme: a token that is sent is one for both",
      OpenApiSecurity.of(auth.optional("a"), other.require("x")),
      [{ OAuth2: ["a"], Other: ["x"] }]
    ],
    ["both schemes", OpenApiSecurity.of(auth.require("a"), other.require("x")), [{ OAuth2: ["a"], Other: ["x"] }]],
    [
      "either scheme",
      OpenApiSecurity.of(OAuth2.either(auth.require("a"), other.require("x"))),
      [{ OAuth2: ["a"] }, { Other: ["x"] }]
    ],
    [
      "either scheme inside of one",
      OpenApiSecurity.of(auth.require("b"), OAuth2.either(auth.require("a"), other.require("x"))),
      [{ OAuth2: ["b", "a"] }, { OAuth2: ["b"], Other: ["x"] }]
    ],
    [
      "a check does not show",
      OpenApiSecurity.of(
        auth.require(
          "a",
          Requirement.check("c", () => Effect.succeed(true))
        )
      ),
      [{ OAuth2: ["a"] }]
    ]
  ]
  for (const [name, actual, expected] of cases) {
    it(`shows ${name}`, () => assert.deepStrictEqual(actual, expected as typeof actual))
  }

  it("shows the scopes that imply a required one", () => {
    const implying = OAuth2.authorizationCode("OAuth2", {
      ...authorizationServer,
      scopes,
      implies: { all: ["a", "b", "c"] }
    })
    assert.deepStrictEqual(OpenApiSecurity.of(implying.require("a", "b")), [
      { OAuth2: ["a", "b"] },
      { OAuth2: ["all"] }
    ])
  })

  it("refuses what has more alternatives than it states", () => {
    const names = Array.from({ length: 14 }, (_, i) => `s${i}`)
    const many = OAuth2.clientCredentials("Many", {
      tokenUrl: "t",
      scopes: Object.fromEntries(names.map((name) => [name, ""]))
    })
    const choices = Array.from({ length: 7 }, (_, i) => Requirement.any(`s${2 * i}`, `s${2 * i + 1}`))
    assert.lengthOf(OpenApiSecurity.of(many.require(...choices.slice(0, 6))), OpenApiSecurity.maxAlternatives)
    assert.throws(() => OpenApiSecurity.of(many.require(...choices)), TypeError, "64 alternatives")
  })
})

describe("OAuth2.openApi", () => {
  it.effect("writes schemes, scopes, and for each operation what is enforced", () =>
    Effect.gen(function* () {
      const api = HttpApi.make("api")
        .add(
          HttpApiGroup.make("g")
            .add(
              get("inner").middleware(auth.require("b")),
              get("open").middleware(OAuth2.Public("it is a test")),
              get("maybe").middleware(auth.optional())
            )
            .middleware(auth.require("a"))
            .add(get("late"))
        )
        .pipe(OAuth2.openApi)
      const document = OpenApi.fromApi(api)
      assert.deepStrictEqual(securityOf(document, "/inner"), [{ OAuth2: ["a", "b"] }])
      assert.deepStrictEqual(securityOf(document, "/late"), [])
      assert.deepStrictEqual(schemesOf(document), {
        OAuth2: { type: "oauth2", flows: { authorizationCode: { ...authorizationServer, scopes } } }
      })
      yield* assertValid(document)
    })
  )

  it.effect("documents the refusals that can happen, and no others", () =>
    Effect.gen(function* () {
      const strict = OAuth2.authorizationCode("Strict", { ...authorizationServer, scopes, responses: "rfc6750" })
      const document = documentOf(
        apiOf(
          get("fastapi").middleware(auth.require("a")),
          get("scoped").middleware(strict.require("a")),
          get("unscoped").middleware(strict.require()),
          get("optional").middleware(strict.optional()),
          get("public").middleware(OAuth2.Public("it is a test")),
          HttpApiEndpoint.get("own", "/own", {
            success: Schema.String,
            error: Schema.Struct({ quota: Schema.Number }).pipe(HttpApiSchema.status(403))
          }).middleware(strict.optional()),
          get("check").middleware(
            strict.optional(
              Requirement.check("tenant", () => Effect.succeed(true), {
                error: Schema.String.pipe(HttpApiSchema.status(409))
              })
            )
          )
        )
      )
      const statuses = (path: string) =>
        Object.keys(document.paths[path as `/${string}`]?.get?.responses ?? {}).toSorted()
      assert.deepStrictEqual(statuses("/fastapi"), ["200", "401", "503"])
      assert.deepStrictEqual(statuses("/scoped"), ["200", "400", "401", "403", "503"])
      assert.deepStrictEqual(statuses("/unscoped"), ["200", "400", "401", "503"])
      assert.deepStrictEqual(statuses("/optional"), ["200", "400", "401", "503"])
      assert.deepStrictEqual(statuses("/public"), ["200"])
      assert.deepStrictEqual(statuses("/own"), ["200", "400", "401", "403", "503"])
      assert.deepStrictEqual(statuses("/check"), ["200", "400", "401", "403", "409", "503"])
      const { 401: unauthorized, 503: unavailable } = document.paths["/scoped"]?.get?.responses ?? {}
      assert.deepStrictEqual(Object.keys(unauthorized?.headers ?? {}), ["www-authenticate"])
      assert.deepStrictEqual(Object.keys(unavailable?.headers ?? {}), ["retry-after"])
      yield* assertValid(document)
    })
  )

  it.effect("says of what a renderer answers its status and media type, and nothing of its body", () =>
    Effect.gen(function* () {
      const problem = HttpServerResponse.jsonUnsafe(
        { title: "No" },
        { status: 401, contentType: "application/problem+json" }
      )
      const own = OAuth2.authorizationCode("Own", {
        ...authorizationServer,
        scopes,
        responses: "rfc6750",
        renderers: {
          NotAuthenticated: () => problem,
          InvalidRequest: () => HttpServerResponse.empty({ status: 422 }),
          InsufficientScope: () => HttpServerResponse.html("<p>No</p>").pipe(HttpServerResponse.setStatus(404)),
          AuthorizationServerUnavailable: () => {
            throw new Error("broken")
          }
        }
      })
      const Missing = Schema.Struct({ missing: Schema.String }).pipe(HttpApiSchema.status(404))
      const required = own.require("a")
      const found = HttpApiEndpoint.get("found", "/found", { success: Schema.String, error: Missing })
      const document = documentOf(apiOf(get("api").middleware(required), found.middleware(required)))
      const routes = yield* documentOfRoutes(
        route("/route").pipe(Layer.provide(required.route.layer), Layer.provide(own.layerTest("anonymous")))
      )
      yield* assertValid(document)
      yield* assertValid(routes)
      const standard = {
        type: "object",
        properties: { detail: { type: "string", enum: ["Could not validate credentials"] } },
        required: ["detail"],
        additionalProperties: false
      }
      const responses = (of: OpenApi.OpenAPISpec, path: string) => of.paths[path as `/${string}`]?.get?.responses ?? {}
      const contentOf = (of: OpenApi.OpenAPISpec, path: string, status: number) => responses(of, path)[status]?.content
      for (const [of, path] of [
        [document, "/api"],
        [document, "/found"],
        [routes, "/route"]
      ] as const) {
        assert.deepStrictEqual(Object.keys(responses(of, path)), ["200", "401", "404", "422", "503"])
        const unauthorized = { "application/problem+json": { schema: {} }, "application/json": { schema: standard } }
        assert.deepEqual(contentOf(of, path, 401), unauthorized)
        assert.isUndefined(contentOf(of, path, 422))
        assert.deepEqual(contentOf(of, path, 404)?.["text/html" as never], { schema: {} })
        assert.deepStrictEqual(Object.keys(contentOf(of, path, 503) ?? {}), ["application/json"])
      }
      assert.deepStrictEqual(Object.keys(contentOf(document, "/found", 404) ?? {}).toSorted(), [
        "application/json",
        "text/html"
      ])
    })
  )

  it.effect("says that a field is always there where each of a status's refusals has it", () =>
    Effect.gen(function* () {
      const unavailable = { AuthorizationServerUnavailable: () => HttpServerResponse.empty({ status: 401 }) }
      const one = OAuth2.authorizationCode("One", { ...authorizationServer, scopes, renderers: unavailable })
      const document = documentOf(
        apiOf(get("plain").middleware(auth.require("a")), get("mixed").middleware(one.require("a")))
      )
      yield* assertValid(document)
      const fieldsOf = (path: `/${string}`, status: number) => document.paths[path]?.get?.responses[status]?.headers
      const field = (required: boolean) => ({ required, schema: { type: "string" } })
      assert.deepEqual(fieldsOf("/plain", 401), { "www-authenticate": field(true) })
      assert.deepEqual(fieldsOf("/plain", 503), { "retry-after": field(true) })
      assert.deepEqual(fieldsOf("/mixed", 401), { "www-authenticate": field(false), "retry-after": field(false) })
    })
  )

  it.effect("writes every flow, and what OpenAPI 3.2 has added as an extension before 3.2", () =>
    Effect.gen(function* () {
      const everything = OAuth2.make("Everything", {
        flows: {
          authorizationCode: { ...authorizationServer, refreshUrl: "https://idp.example.com/refresh" },
          clientCredentials: { tokenUrl: authorizationServer.tokenUrl },
          password: { tokenUrl: authorizationServer.tokenUrl },
          implicit: { authorizationUrl: authorizationServer.authorizationUrl },
          deviceAuthorization: {
            deviceAuthorizationUrl: "https://idp.example.com/device",
            tokenUrl: authorizationServer.tokenUrl
          }
        },
        scopes,
        description: "Every flow",
        oauth2MetadataUrl: "https://idp.example.com/.well-known/oauth-authorization-server",
        deprecated: true
      })
      const openId = OAuth2.openIdConnect("OpenId", {
        openIdConnectUrl: "https://idp.example.com/.well-known/openid-configuration",
        scopes
      })
      const api = apiOf(get("all").middleware(everything.require("a")), get("id").middleware(openId.require("a")))
      const document = documentOf(api)
      const flows = {
        authorizationCode: { ...authorizationServer, refreshUrl: "https://idp.example.com/refresh", scopes },
        clientCredentials: { tokenUrl: authorizationServer.tokenUrl, scopes },
        password: { tokenUrl: authorizationServer.tokenUrl, scopes },
        implicit: { authorizationUrl: authorizationServer.authorizationUrl, scopes }
      }
      const device = {
        deviceAuthorizationUrl: "https://idp.example.com/device",
        tokenUrl: authorizationServer.tokenUrl,
        scopes
      }
      const metadata = "https://idp.example.com/.well-known/oauth-authorization-server"
      assert.deepStrictEqual(schemesOf(document), {
        Everything: {
          type: "oauth2",
          description: "Every flow",
          "x-deprecated": true,
          "x-oauth2MetadataUrl": metadata,
          flows: { ...flows, "x-deviceAuthorization": device }
        },
        OpenId: {
          type: "openIdConnect",
          openIdConnectUrl: "https://idp.example.com/.well-known/openid-configuration"
        }
      })
      yield* assertValid(document)

      const later = OpenApi.fromApi(
        OAuth2.openApi(api.annotate(OpenApi.Transform, (document) => ({ ...document, openapi: "3.2.0" })))
      )
      assert.deepStrictEqual((later.components.securitySchemes as Record<string, unknown>)["Everything"], {
        type: "oauth2",
        description: "Every flow",
        deprecated: true,
        oauth2MetadataUrl: metadata,
        flows: { ...flows, deviceAuthorization: device }
      })
      yield* assertValid(later)
    })
  )

  it("keeps the user's own annotations, transformations and security", () => {
    class Key extends HttpApiMiddleware.Service<Key>()("test/Key", {
      security: { key: HttpApiSecurity.apiKey({ key: "x-key", in: "header" }) }
    }) {}
    const api = apiOf(
      get("both").annotate(OpenApi.Identifier, "mine").middleware(Key).middleware(auth.require("a")),
      get("key").middleware(Key)
    )
      .annotate(OpenApi.Title, "My api")
      .annotate(OpenApi.Transform, (document) => ({ ...document, "x-mine": true }))
    const document = documentOf(api)
    assert.strictEqual(document.info.title, "My api")
    assert.strictEqual((document as unknown as Record<string, unknown>)["x-mine"], true)
    assert.strictEqual(document.paths["/both"]?.get?.operationId, "mine")
    assert.deepStrictEqual(securityOf(document, "/both"), [{ key: [], OAuth2: ["a"] }])
    assert.deepStrictEqual(securityOf(document, "/key"), [{ key: [] }])
    assert.sameMembers(Object.keys(document.components.securitySchemes), ["key", "OAuth2"])
  })

  it("secures QUERY operations", () => {
    const query = HttpApiEndpoint.make("QUERY")("search", "/search", { success: Schema.String })
    const document = documentOf(apiOf(query.middleware(auth.require("a"))))
    const item = document.paths["/search"]?.["x-oai-additionalOperations"]
    assert.deepStrictEqual(item?.QUERY?.security, [{ OAuth2: ["a"] }])
  })

  it("refuses two schemes under one name", () => {
    const twin = OAuth2.authorizationCode("OAuth2", { ...authorizationServer, scopes: { z: "" } })
    const api = apiOf(get("one").middleware(auth.require("a")), get("two").middleware(twin.require("z")))
    assert.throws(() => OAuth2.openApi(api), TypeError, `"OAuth2"`)
    class Key extends HttpApiMiddleware.Service<Key>()("test/Key", {
      security: { OAuth2: HttpApiSecurity.apiKey({ key: "x-key", in: "header" }) }
    }) {}
    assert.throws(
      () => documentOf(apiOf(get("x").middleware(Key).middleware(auth.require("a")))),
      TypeError,
      `"OAuth2"`
    )
  })
})

describe("OpenApiSecurity.documented", () => {
  const me = auth.require("a")
  const anonymous = auth.layerTest("anonymous")
  const document = <A, E, R>(
    routes: Layer.Layer<A, E, R>,
    options?: Parameters<typeof OpenApiSecurity.documented>[0]
  ) => documentOfRoutes(routes.pipe(Layer.provide(anonymous)), options)

  /** What the layer fails with at its start. */
  const refusalOf = <A, E, R>(...args: Parameters<typeof document<A, E, R>>) =>
    Effect.map(Effect.flip(document(...args)), (error) => {
      assert.instanceOf(error, SecurityError.ConfigurationError)
      assert.strictEqual(error.setting, "routes")
      return error.message
    })

  it.effect("writes routes with their security, refusals and parameters, as they stand in the router", () =>
    Effect.gen(function* () {
      const Items = Layer.mergeAll(
        route("/users/:id/items/:item").pipe(
          Layer.provide(OpenApiSecurity.operation({ summary: "S" })),
          Layer.provide(me.route.layer),
          Layer.provide(auth.require("b").route.layer)
        ),
        route("/users/:id/items/:item", "POST").pipe(Layer.provide(auth.optional().route.layer)),
        route("/health").pipe(Layer.provide(OAuth2.Public("nobody minds").route.layer))
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
      assert.deepStrictEqual([health?.security, Object.keys(health?.responses ?? {})], [[], ["200"]])
      assert.deepStrictEqual(Object.keys(written.components.securitySchemes), ["OAuth2"])
    })
  )

  it.effect("whatever else stands around them, and however they are added", () =>
    Effect.gen(function* () {
      const other = HttpRouter.middleware((handler) => Effect.map(handler, (response) => response)).layer
      const response = HttpServerResponse.empty()
      const written = yield* document(
        Layer.mergeAll(
          route("/between").pipe(
            Layer.provide(me.route.layer),
            Layer.provide(other),
            Layer.provide(auth.require("b").route.layer)
          ),
          route("/inside").pipe(Layer.provide(other), Layer.provide(me.route.layer)),
          route("/combined").pipe(Layer.provide(HttpRouter.middleware((handler) => handler).combine(me.route).layer)),
          HttpRouter.addAll([HttpRouter.route("GET", "/one", response), HttpRouter.route("GET", "/two", response)], {
            prefix: "/all"
          }).pipe(Layer.provide(me.route.layer)),
          HttpRouter.use((router) =>
            Effect.andThen(
              router.prefixed("/v1").add("GET", "/", response),
              router
                .prefixed("/v1")
                .prefixed("/:tenant")
                .addAll([HttpRouter.route("GET", "/x", response)])
            )
          ).pipe(Layer.provide(me.route.layer)),
          OAuth2.route("GET", "/sealed", Effect.succeed(response)).pipe(Layer.provide(me.route.layer)),
          route("/either").pipe(Layer.provide(OAuth2.either(auth.require("a"), auth.require("c")).route.layer))
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

  it.effect("with what is said of one, or of many: what stands further in counts", () =>
    Effect.gen(function* () {
      const { operation } = OpenApiSecurity
      const written = yield* document(
        Layer.mergeAll(
          route("/own").pipe(Layer.provide(operation({ summary: "own" })), Layer.provide(me.route.layer)),
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

  it.effect("serves what it documents, and answers what the document says", () =>
    Effect.gen(function* () {
      const send = yield* serve(
        route("/me").pipe(
          Layer.provide(me.route.layer),
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
    it.effect(`writes the router's path ${router} as ${template}, which is the one that the router serves`, () =>
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
    it.effect(`refuses ${path}, for which OpenAPI has no words, unless it is hidden`, () =>
      Effect.gen(function* () {
        assert.include(yield* refusalOf(route(path)), path)
        assert.deepStrictEqual((yield* document(route(path).pipe(Layer.provide(OpenApiSecurity.hidden)))).paths, {})
      })
    )
  }

  it.effect("refuses a method that OpenAPI does not have", () =>
    Effect.gen(function* () {
      assert.include(yield* refusalOf(route("/any", "*")), "* /any")
      assert.include(yield* refusalOf(route("/query", "QUERY")), "QUERY /query")
    })
  )

  it.effect("refuses two routes whose paths are one for OpenAPI", () =>
    Effect.gen(function* () {
      const routes = (one: `/${string}`, two: `/${string}`) => Layer.mergeAll(route(one), route(two, "POST"))
      assert.include(yield* refusalOf(routes("/items/:id", "/items/:name")), "/items/{id}")
      yield* document(routes("/items/:id", "/items/:id"))
    })
  )

  describe("beside an HttpApi", () => {
    const api = apiOf(
      get("list").middleware(auth.require("a")),
      get("health").middleware(OAuth2.Public("nobody minds"))
    )
    const Handlers = HttpApiBuilder.group(
      api as never,
      "g" as never,
      ((handlers: { handle: (name: string, handler: () => Effect.Effect<string>) => typeof handlers }) =>
        handlers.handle("list", () => Effect.succeed("")).handle("health", () => Effect.succeed(""))) as never
    ) as Layer.Layer<never>
    const Api = HttpApiBuilder.layer(api as never).pipe(Layer.provide(Handlers)) as Layer.Layer<never>
    const Me = route("/me").pipe(Layer.provide(me.route.layer))

    it.effect("adds its routes to the document of the api", () =>
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

    it.effect("says where it would know too little", () =>
      Effect.gen(function* () {
        assert.include(yield* refusalOf(Layer.merge(Me, Api)), "GET /list is an endpoint of an HttpApi")
        const guarded = Api.pipe(Layer.provide(auth.require("b").route.layer))
        assert.include(yield* refusalOf(guarded, { document: documentOf(api) }), "api.middleware")
      })
    )
  })
})

describe("a document tells the truth, whatever else is done to it", () => {
  const closed = get("list").middleware(auth.require("a"))
  const security = [{ OAuth2: ["a"] }]
  const upper = (operation: Record<string, any>) => ({ ...operation, operationId: "renamed" })

  it("where operations are renamed", () => {
    const renamed = (document: Record<string, any>) => ({
      ...document,
      paths: { "/list": { get: upper(document["paths"]["/list"].get) } }
    })
    for (const api of [
      apiOf(closed).annotate(OpenApi.Transform, renamed),
      apiOf(closed.annotate(OpenApi.Transform, upper)),
      apiOf(closed.annotate(OpenApi.Override, { operationId: "renamed" })),
      apiOf(closed.annotate(OpenApi.Identifier, "renamed"))
    ]) {
      const document = documentOf(api)
      assert.deepStrictEqual(securityOf(document, "/list"), security)
      assert.strictEqual(document.paths["/list"]?.get?.operationId, "renamed")
    }
  })

  it("where paths have parameters, patterns, prefixes and colons", () => {
    const params = { id: Schema.String }
    const item = HttpApiEndpoint.get("item", "/items/:id", { params, success: Schema.String })
    const pattern = HttpApiEndpoint.get("pattern", "/numbers/:id(\\d+)/:page", { params, success: Schema.String })
    const action = HttpApiEndpoint.post("action", "/items::archive", { success: Schema.String })
    const api = HttpApi.make("api")
      .add(HttpApiGroup.make("g").add(item, pattern, action).middleware(auth.require("a")).prefix("/v1/:tenant"))
      .prefix("/api") as unknown as HttpApi.Top
    const paths = Object.values(documentOf(api).paths).flatMap(({ get, post }) => [get, post])
    assert.deepStrictEqual(
      paths.flatMap((operation) => (operation === undefined ? [] : [operation.security])),
      [security, security, security]
    )
  })

  it("where an operation was taken out: it does not pass in silence", () => {
    const api = apiOf(closed).annotate(OpenApi.Override, { paths: {} })
    assert.throws(() => documentOf(api), TypeError, "GET /list")
  })

  it.effect("where an api is added to another one", () =>
    Effect.gen(function* () {
      const inner = apiOf(closed).pipe(OAuth2.openApi, SwaggerUi.forScalar({ clientId: "docs" }))
      const document = documentOf(HttpApi.make("all").addHttpApi(inner))
      assert.deepStrictEqual(securityOf(document, "/list"), security)
      assert.deepStrictEqual(document.tags, [{ name: "g" }])
      yield* assertValid(document)
    })
  )

  it("where it is written twice", () => {
    const either = get("either").middleware(OAuth2.either(auth.require("a"), other.require("x")))
    const api = apiOf(either, get("optional").middleware(auth.optional("a")))
    assert.deepStrictEqual(documentOf(OAuth2.openApi(api)), documentOf(api))
  })

  it("and says nothing of what is excluded from it", () => {
    const secret = OAuth2.clientCredentials("Internal", { tokenUrl: "https://internal.test/token", scopes: { s: "" } })
    const document = documentOf(
      apiOf(closed, get("hidden").middleware(secret.require("s")).annotate(OpenApi.Exclude, true))
    )
    assert.deepStrictEqual(Object.keys(document.components.securitySchemes), ["OAuth2"])
  })

  it.effect("where a refusal is rendered as a success, or has a status that a user has documented", () =>
    Effect.gen(function* () {
      const graphql = OAuth2.authorizationCode("Graphql", {
        ...authorizationServer,
        scopes,
        renderers: { NotAuthenticated: () => HttpServerResponse.jsonUnsafe({ errors: [] }) }
      })
      const required = graphql.require()
      const own = { description: "Mine", content: { "text/plain": { schema: { type: "string" } } } }
      const routes = yield* documentOfRoutes(
        Layer.mergeAll(
          route("/items/:id").pipe(
            Layer.provide(required.route.layer),
            Layer.provide(
              OpenApiSecurity.operation({
                parameters: [{ name: "q", in: "query", schema: { type: "string" } }],
                responses: { 200: own, 401: own }
              })
            )
          ),
          route("/items/:id", "POST").pipe(
            Layer.provide(
              OpenApiSecurity.operation({
                parameters: [{ name: "id", in: "path", required: true, schema: { type: "integer" } }]
              })
            )
          )
        ).pipe(Layer.provide(graphql.layerTest("anonymous")))
      )
      yield* assertValid(routes)
      const { get: read, post: write } = routes.paths["/items/{id}"] ?? {}
      assert.deepEqual(
        read?.parameters.map(({ name }) => name),
        ["id", "q"]
      )
      assert.deepEqual(
        write?.parameters.map(({ schema }) => schema),
        [{ type: "integer" }]
      )
      assert.deepStrictEqual(Object.keys(read?.responses["200"]?.content ?? {}), ["text/plain", "application/json"])
      assert.deepStrictEqual(Object.keys(read?.responses["401"]?.content ?? {}), ["text/plain", "application/json"])
      assert.strictEqual(read?.responses["401"]?.description, "Mine")
      const document = documentOf(apiOf(get("list").middleware(required)))
      assert.deepEqual(document.paths["/list"]?.get?.responses["200"], {
        description: "Success",
        content: { "application/json": { schema: {} } }
      })
    })
  )

  it("and names only the refusals that can happen", () => {
    const strict = OAuth2.authorizationCode("Strict", { ...authorizationServer, scopes, responses: "rfc6750" })
    const forbidden = { description: "The quota is used up" }
    const document = documentOf(
      apiOf(
        get("token").middleware(auth.require()),
        get("optional").middleware(strict.optional()),
        get("own")
          .middleware(strict.require())
          .annotate(OpenApi.Transform, (operation) => ({
            ...operation,
            responses: { ...operation["responses"], 403: forbidden }
          }))
      )
    )
    const details = (path: string, status: string) =>
      (document.paths[path as `/${string}`]?.get?.responses[status as "401"]?.content as any)?.["application/json"]
        .schema.properties.detail.enum
    assert.deepStrictEqual(details("/token", "401"), ["Not authenticated", "Could not validate credentials"])
    assert.deepStrictEqual(details("/optional", "401"), ["Could not validate credentials"])
    assert.deepStrictEqual(document.paths["/own"]?.get?.responses["403" as "200"], forbidden)
  })
})
