/** OpenAPI documents show the true requirements, even after renames, transforms and overrides. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import { HttpServerResponse } from "effect/http"
import { OAuth2, OpenApiSecurity, SwaggerUi } from "effect-oauth2"
import { authorizationServer } from "../support/authorizationServer.ts"
import { documentOfRoutes } from "../support/routesDocument.ts"
import { apiOf, assertValid, auth, documentOf, get, other, route, scopes, securityOf } from "../support/apiDocuments.ts"

describe("an OpenAPI document", () => {
  const protectedEndpoint = get("list").middleware(auth.require("a"))
  const security = [{ OAuth2: ["a"] }]
  const renameOperation = (operation: Record<string, any>) => ({ ...operation, operationId: "renamed" })

  it("shows the requirements of renamed operations", () => {
    const renamed = (document: Record<string, any>) => ({
      ...document,
      paths: { "/list": { get: renameOperation(document["paths"]["/list"].get) } }
    })
    for (const api of [
      apiOf(protectedEndpoint).annotate(OpenApi.Transform, renamed),
      apiOf(protectedEndpoint.annotate(OpenApi.Transform, renameOperation)),
      apiOf(protectedEndpoint.annotate(OpenApi.Override, { operationId: "renamed" })),
      apiOf(protectedEndpoint.annotate(OpenApi.Identifier, "renamed"))
    ]) {
      const document = documentOf(api)
      assert.deepStrictEqual(securityOf(document, "/list"), security)
      assert.strictEqual(document.paths["/list"]?.get?.operationId, "renamed")
    }
  })

  it("shows the requirements of paths with parameters, patterns, prefixes and colons", () => {
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

  it("throws if an override removes a protected operation", () => {
    const api = apiOf(protectedEndpoint).annotate(OpenApi.Override, { paths: {} })
    assert.throws(() => documentOf(api), TypeError, "GET /list")
  })

  it.effect("shows the requirements of an HttpApi that is added to another one", () =>
    Effect.gen(function* () {
      const inner = apiOf(protectedEndpoint).pipe(OAuth2.openApi, SwaggerUi.forScalar({ clientId: "docs" }))
      const document = documentOf(HttpApi.make("all").addHttpApi(inner))
      assert.deepStrictEqual(securityOf(document, "/list"), security)
      assert.deepStrictEqual(document.tags, [{ name: "g" }])
      yield* assertValid(document)
    })
  )

  it("is the same if OAuth2.openApi is applied twice", () => {
    const either = get("either").middleware(OAuth2.either(auth.require("a"), other.require("x")))
    const api = apiOf(either, get("optional").middleware(auth.optional("a")))
    assert.deepStrictEqual(documentOf(OAuth2.openApi(api)), documentOf(api))
  })

  it("omits the schemes of excluded endpoints", () => {
    const secret = OAuth2.clientCredentials("Internal", { tokenUrl: "https://internal.test/token", scopes: { s: "" } })
    const document = documentOf(
      apiOf(protectedEndpoint, get("hidden").middleware(secret.require("s")).annotate(OpenApi.Exclude, true))
    )
    assert.deepStrictEqual(Object.keys(document.components.securitySchemes), ["OAuth2"])
  })

  it.effect("merges refusals with other responses of the same status", () =>
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
            required,
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
        content: { "application/json": { schema: {} } },
        headers: { "www-authenticate": { required: false, schema: { type: "string" } } }
      })
    })
  )

  it("names only the refusals that can happen", () => {
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
