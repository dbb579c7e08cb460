/** What tools for OpenAPI need: names, tags, servers, schemas, and responses without duplicates. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { OAuth2, OpenApiSecurity, SecurityError, SwaggerUi } from "effect-oauth2"
import { apiOf, assertValid, auth, documentOf, get, other, route } from "../support/apiDocuments.ts"
import { documentOfRoutes } from "../support/routesDocument.ts"

const document = <A, E, R>(routes: Layer.Layer<A, E, R>, options?: Parameters<typeof OpenApiSecurity.documented>[0]) =>
  documentOfRoutes(routes.pipe(Layer.provide(auth.layerTest("anonymous"))), options) as Effect.Effect<any, any, any>

const operation = (fields: Parameters<typeof OpenApiSecurity.operation>[0]) =>
  Layer.provide(OpenApiSecurity.operation(fields))

describe("a document of routes", () => {
  it.effect("names operations with identifiers, each of them once", () =>
    Effect.gen(function* () {
      const { paths } = yield* document(
        Layer.mergeAll(
          route("/").pipe(auth.require("a")),
          route("/items").pipe(auth.require("a")),
          route("/items", "POST").pipe(auth.require("a")),
          route("/users/:id/items").pipe(auth.require("a")),
          route("/_items").pipe(auth.require("a")),
          route("/own").pipe(operation({ operationId: "listOwn" }), auth.require("a"))
        )
      )
      const ids = Object.values<any>(paths).flatMap((item) => Object.values<any>(item).map((one) => one.operationId))
      assert.sameMembers(ids, ["getItems", "getItems2", "getRoot", "getUsersByIdItems", "listOwn", "postItems"])
    })
  )

  it.effect("is refused if two routes have the same operationId", () =>
    Effect.gen(function* () {
      const routes = Layer.mergeAll(
        route("/a").pipe(operation({ operationId: "list" }), auth.require("a")),
        route("/b").pipe(operation({ operationId: "list" }), auth.require("a"))
      )
      const error = yield* Effect.flip(document(routes))
      assert.instanceOf(error, SecurityError.ConfigurationError)
      assert.include(error.message, '"list"')
    })
  )

  it.effect("has the tags of its operations and no other, and the given servers or one", () =>
    Effect.gen(function* () {
      const plain = yield* document(route("/items").pipe(auth.require("a")))
      assert.notProperty(plain.paths["/items"].get, "tags")
      assert.deepStrictEqual(plain.servers, [{ url: "/" }])
      const tagged = yield* document(route("/items").pipe(operation({ tags: ["items"] }), auth.require("a")), {
        servers: [{ url: "https://api.example.com" }]
      } as never)
      assert.deepStrictEqual(tagged.paths["/items"].get.tags, ["items"])
      assert.deepStrictEqual(
        tagged.tags.map(({ name }: { readonly name: string }) => name),
        ["items"]
      )
      assert.deepStrictEqual(tagged.servers, [{ url: "https://api.example.com" }])
    })
  )

  it.effect("has the contact, the license and the terms of service that info names", () =>
    Effect.gen(function* () {
      const info = {
        title: "Items",
        version: "1",
        license: { name: "MIT" },
        contact: { email: "items@example.com" },
        termsOfService: "https://example.com/terms"
      }
      const written = yield* document(route("/items").pipe(auth.require("a")), { info })
      yield* assertValid(written)
      assert.deepStrictEqual(written.info, info)
    })
  )

  it.effect("keeps an existing document, except for the info, servers and tags that the options name", () =>
    Effect.gen(function* () {
      const existing = {
        ...OpenApi.fromApi(
          HttpApi.make("api").annotateMerge(OpenApi.annotations({ title: "Items", version: "2", summary: "S" }))
        ),
        servers: [{ url: "https://old.example.com" }],
        tags: [{ name: "items" }, { name: "users", description: "Users" }]
      }
      const kept = yield* document(route("/a").pipe(auth.require("a")), { document: existing })
      assert.deepStrictEqual([kept.info, kept.servers, kept.tags], [existing.info, existing.servers, existing.tags])
      const changed = yield* document(route("/a").pipe(auth.require("a")), {
        document: existing,
        info: { version: "3", contact: { name: "Items" } },
        servers: [{ url: "https://new.example.com" }],
        tags: [{ name: "items", description: "Items" }]
      })
      assert.deepStrictEqual(changed.info, { title: "Items", version: "3", summary: "S", contact: { name: "Items" } })
      assert.deepStrictEqual(changed.servers, [{ url: "https://new.example.com" }])
      assert.deepStrictEqual(changed.tags, [
        { name: "users", description: "Users" },
        { name: "items", description: "Items" }
      ])
    })
  )

  it.effect("has the response 4XX if a route has no response of a client error", () =>
    Effect.gen(function* () {
      const own = operation({ responses: { "200": { description: "Fine" }, "404": { description: "Absent" } } })
      const written = yield* document(
        Layer.mergeAll(
          route("/health").pipe(OAuth2.Public("monitoring")),
          route("/own").pipe(own, OAuth2.Public("monitoring")),
          route("/items").pipe(auth.require("a"))
        )
      )
      yield* assertValid(written)
      const statuses = (path: string) => Object.keys(written.paths[path].get.responses)
      assert.deepStrictEqual(statuses("/health"), ["200", "4XX"])
      assert.deepStrictEqual(statuses("/own"), ["200", "404"])
      assert.notInclude(statuses("/items"), "4XX")
    })
  )

  it.effect("shows the schemas of requests and responses", () =>
    Effect.gen(function* () {
      const Item = Schema.Struct({ name: Schema.String }).annotate({ identifier: "Item" })
      const written = yield* document(
        route("/items/:id", "POST").pipe(
          auth.require("a"),
          Layer.provide(
            OpenApiSecurity.schemas({ payload: Item, success: Item, query: { dry: Schema.optional(Schema.String) } })
          )
        )
      )
      yield* assertValid(written)
      const { parameters, requestBody, responses } = written.paths["/items/{id}"].post
      assert.deepStrictEqual(requestBody.content["application/json"].schema, { $ref: "#/components/schemas/Item" })
      assert.deepStrictEqual(responses["200"].content["application/json"].schema, {
        $ref: "#/components/schemas/Item"
      })
      assert.deepStrictEqual(
        parameters.map((one: { readonly in: string; readonly name: string }) => `${one.in} ${one.name}`).toSorted(),
        ["path id", "query dry"]
      )
      assert.property(responses, "401")
    })
  )

  it.effect("is refused if a schema names a path parameter that the path does not have", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(
        Effect.sandbox(
          document(
            route("/items").pipe(
              auth.require("a"),
              Layer.provide(OpenApiSecurity.schemas({ params: { id: Schema.String } }))
            )
          )
        )
      )
      assert.include(JSON.stringify(error), "which the path does not have")
    })
  )

  it("is refused if an operation sets its security itself", () => {
    assert.throws(() => OpenApiSecurity.operation({ security: [] } as never), "the field security cannot be set")
  })
})

describe("a document of an HttpApi", () => {
  it("has the response 4XX if an endpoint has no response of a client error", () => {
    const Absent = Schema.Struct({ id: Schema.String }).pipe(HttpApiSchema.status(404))
    const endpoints = HttpApiGroup.make("g").add(
      get("plain"),
      HttpApiEndpoint.get("own", "/own", { success: Schema.String, error: Absent }),
      HttpApiEndpoint.query("search", "/search", { success: Schema.String }),
      get("guarded").middleware(auth.require("a"))
    )
    const { paths } = OpenApi.fromApi(HttpApi.make("api").add(endpoints).pipe(OAuth2.openApi)) as any
    assert.deepStrictEqual(Object.keys(paths["/plain"].get.responses), ["200", "4XX"])
    assert.deepStrictEqual(Object.keys(paths["/own"].get.responses), ["200", "404"])
    const { QUERY } = paths["/search"]["x-oai-additionalOperations"]
    assert.deepStrictEqual(Object.keys(QUERY.responses), ["200", "4XX"])
    assert.notProperty(paths["/guarded"].get.responses, "4XX")
  })

  it("has each refusal once beside the app's own errors of the status", () => {
    const Own = Schema.Struct({ reason: Schema.Literal("closed") }).pipe(HttpApiSchema.status(401))
    const api = apiOf(
      HttpApiEndpoint.get("both", "/both", { success: Schema.String, error: Own })
        .middleware(auth.require("a"))
        .middleware(other.require("x")),
      get("plain").middleware(auth.require("a"))
    )
    const { paths } = documentOf(api) as any
    const { anyOf } = paths["/both"].get.responses["401"].content["application/json"].schema
    const texts = anyOf.map((one: unknown) => JSON.stringify(one))
    assert.deepStrictEqual(texts, [...new Set(texts)])
    assert.isTrue(texts.some((text: string) => text.includes("closed")))
    assert.isTrue(texts.some((text: string) => text.includes("Not authenticated")))
    assert.notProperty(paths["/plain"].get.responses["401"].content["application/json"].schema, "anyOf")
  })

  it("shows a device-only scheme as a bearer scheme before OpenAPI 3.2, so that generated clients send a token", () => {
    const device = OAuth2.deviceAuthorization("Device", {
      deviceAuthorizationUrl: "https://idp.example.com/device",
      tokenUrl: "https://idp.example.com/token",
      scopes: { watch: "Watch" }
    })
    const { components } = documentOf(apiOf(get("films").middleware(device.require("watch")))) as any
    const { Device } = components.securitySchemes
    assert.include(Device, { type: "http", scheme: "bearer" })
    assert.property(Device["x-deviceAuthorization"] ?? {}, "deviceAuthorizationUrl")
  })

  it("does not take scopes for Scalar that no scheme declares", () => {
    const api = HttpApi.make("api")
      .add(HttpApiGroup.make("items").add(get("items").middleware(auth.require("a"))))
      .pipe(OAuth2.openApi)
    const render = (scope: string) => () =>
      OpenApi.fromApi(api.pipe(SwaggerUi.forScalar({ clientId: "docs", scopes: [scope] })))
    assert.throws(render("z"), "which no scheme of the document declares")
    assert.doesNotThrow(render("a"))
  })
})
