/** Schemes, requirements and refusals in the documents of `OAuth2.openApi`. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import {
  HttpApi,
  HttpApiEndpoint,
  HttpApiGroup,
  HttpApiMiddleware,
  HttpApiSchema,
  HttpApiSecurity,
  OpenApi
} from "effect/http-api"
import { HttpServerRequest, HttpServerResponse } from "effect/http"
import { OAuth2, Requirement } from "effect-oauth2"
import { authorizationServer } from "../support/authorizationServer.ts"
import { documentOfRoutes } from "../support/routesDocument.ts"
import { apiOf, assertValid, auth, documentOf, get, route, scopes, securityOf } from "../support/apiDocuments.ts"

// Effect has no types for schemes of the kinds `oauth2` and `openIdConnect`.
const schemesOf = (document: OpenApi.OpenAPISpec): unknown => document.components.securitySchemes

describe("OAuth2.openApi", () => {
  it.effect("writes the schemes with their scopes, and the enforced requirements of each operation", () =>
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

  it.effect("documents only the refusals that can happen", () =>
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
          get("both").middleware(
            strict.require(
              "a",
              Requirement.check("tenant", () => Effect.succeed(true))
            )
          ),
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
      assert.deepStrictEqual(statuses("/public"), ["200", "4XX"])
      assert.deepStrictEqual(statuses("/own"), ["200", "400", "401", "403", "503"])
      assert.deepStrictEqual(statuses("/check"), ["200", "400", "401", "403", "409", "503"])
      const details = (path: string) => {
        const content: any = document.paths[path as `/${string}`]?.get?.responses?.["403"]?.content
        const schema = content?.["application/json"]?.schema
        return (schema?.anyOf ?? [schema]).flatMap((one: any) => one?.properties?.detail?.enum ?? [])
      }
      // A check alone never asks for scopes, and scopes alone have no check.
      assert.deepStrictEqual(details("/check"), ["Access denied"])
      assert.deepStrictEqual(details("/scoped"), ["Not enough permissions"])
      assert.deepStrictEqual(details("/both"), ["Not enough permissions", "Access denied"])
      const { 401: unauthorized, 503: unavailable } = document.paths["/scoped"]?.get?.responses ?? {}
      assert.deepStrictEqual(Object.keys(unauthorized?.headers ?? {}), ["www-authenticate"])
      assert.deepStrictEqual(Object.keys(unavailable?.headers ?? {}), ["retry-after"])
      yield* assertValid(document)
    })
  )

  it.effect("documents the status and media type of a custom renderer's response, but not its body", () =>
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
          NotAuthenticated: (_, request) =>
            request?.method === "GET" && Object.keys(request.headers).length === 0
              ? problem
              : HttpServerResponse.empty({ status: 500 }),
          InvalidRequest: () =>
            Effect.map(HttpServerRequest.HttpServerRequest, ({ url }) =>
              HttpServerResponse.empty({ status: url === "/" ? 422 : 500 })
            ),
          InvalidToken: () => Effect.as(Effect.sleep("1 milli"), HttpServerResponse.empty({ status: 500 })),
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
      const routes = yield* documentOfRoutes(route("/route").pipe(required, Layer.provide(own.layerTest("anonymous"))))
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

  it.effect("marks a header as required if every refusal with the status has it", () =>
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

  it.effect("writes every flow, and the fields of OpenAPI 3.2 as extensions in older documents", () =>
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

  it.effect("lists for each flow the scopes that the flow names", () =>
    Effect.gen(function* () {
      const { tokenUrl } = authorizationServer
      const several = OAuth2.make("Several", {
        flows: {
          authorizationCode: authorizationServer,
          clientCredentials: { tokenUrl, scopes: ["write", "read:{org}"] },
          password: { tokenUrl, scopes: [] },
          deviceAuthorization: { tokenUrl, deviceAuthorizationUrl: "https://idp.example.com/device", scopes: ["read"] }
        },
        scopes: { read: "Read", write: "Write", "read:{org}": "Read one" }
      })
      const document = documentOf(apiOf(get("all").middleware(several.require("read"))))
      const { Several } = schemesOf(document) as {
        readonly Several: { readonly flows: Readonly<Record<string, { readonly scopes: object }>> }
      }
      assert.deepStrictEqual(
        Object.entries(Several.flows).map(([name, { scopes }]) => [name, scopes]),
        [
          ["authorizationCode", { read: "Read", write: "Write", "read:{org}": "Read one" }],
          ["clientCredentials", { write: "Write", "read:{org}": "Read one" }],
          ["password", {}],
          ["x-deviceAuthorization", { read: "Read" }]
        ]
      )
      yield* assertValid(document)
    })
  )

  it("keeps existing annotations, transformations and security", () => {
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

  it("writes the requirements of QUERY operations", () => {
    const query = HttpApiEndpoint.make("QUERY")("search", "/search", { success: Schema.String })
    const document = documentOf(apiOf(query.middleware(auth.require("a"))))
    const item = document.paths["/search"]?.["x-oai-additionalOperations"]
    assert.deepStrictEqual(item?.QUERY?.security, [{ OAuth2: ["a"] }])
  })

  it("throws if two schemes have the same name", () => {
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
