/** Mistakes that stop `SwaggerUi.layer` at start-up. */
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Option } from "effect"
import { HttpRouter, HttpServer } from "effect/http"
import { OpenApi } from "effect/http-api"
import { SecurityError, SwaggerUi } from "effect-oauth2"
import { Api, document } from "../support/documentationPages.ts"

describe("SwaggerUi.layer at start-up", () => {
  const failure = (app: Layer.Layer<never, SecurityError.ConfigurationError, HttpRouter.HttpRouter>) =>
    Effect.flip(Effect.scoped(Layer.build(app.pipe(Layer.provide(HttpRouter.layer)))))

  const refused = (options: object) =>
    failure(SwaggerUi.layer(document, options as SwaggerUi.Options).pipe(Layer.provide(NodeServices.layer)))

  const bytes = (text: string) => new TextEncoder().encode(text)
  const assets = {
    version: "5.1.2",
    files: { "swagger-ui.css": bytes("a"), "swagger-ui-bundle.js": bytes("b"), "favicon-32x32.png": bytes("c") }
  }

  it.effect("serves files that are given as bytes, without a disk", () =>
    Effect.gen(function* () {
      const { handler } = HttpRouter.toWebHandler(
        SwaggerUi.layer(document, { assets }).pipe(Layer.provide(HttpServer.layerServices))
      )
      const get = (path: string) =>
        Effect.promise(async () => (await handler(new Request(`https://a.test${path}`))).text())
      assert.include(yield* get("/docs"), "swagger-ui-dist/5.1.2/swagger-ui-bundle.js")
      assert.strictEqual(yield* get("/docs/swagger-ui-dist/5.1.2/swagger-ui-bundle.js"), "b")
    })
  )

  it.effect("refuses assets without a version, and assets without a file", () =>
    Effect.gen(function* () {
      const { "swagger-ui.css": _, ...others } = assets.files
      for (const bad of [
        { ...assets, version: undefined },
        { ...assets, files: others },
        { ...assets, version: "a/b" }
      ]) {
        assert.strictEqual((yield* refused({ assets: bad })).setting, "assets")
      }
    })
  )

  it.effect.each([
    ["initOAuth.clientSecret", { initOAuth: { clientId: "docs", clientSecret: "s" } }],
    [
      "initOAuth.additionalQueryStringParams.client_secret",
      { initOAuth: { clientId: "docs", additionalQueryStringParams: { client_secret: "s" } } }
    ],
    ["parameters.clientSecret", { parameters: { clientSecret: "s" } }],
    ["parameters.a.0.clientSecret", { parameters: { a: [{ clientSecret: "s" }] } }]
  ] as const)("refuses a client secret in %s without repeating it", ([setting, options]) =>
    Effect.gen(function* () {
      const error = yield* refused(options)
      assert.strictEqual(error.setting, setting)
      assert.include(error.message, "unsafeClientSecret")
      assert.notInclude(error.message, '"s"')
    })
  )

  it.effect.each([
    ["parameters.url", { parameters: { url: "/other.json" } }],
    ["parameters.oauth2RedirectUrl", { parameters: { oauth2RedirectUrl: "/x" } }],
    ["parameters.configUrl", { parameters: { configUrl: "/x" } }],
    ["url", { openApiPath: false }],
    ["connectSources", { connectSources: ["https://a.example.com; script-src *"] }],
    ["connectSources", { connectSources: ["*"] }],
    ["openApiPath", { path: "/api", openApiPath: "/api" }],
    ["oauth2RedirectPath", { oauth2RedirectPath: "/docs" }],
    ["oauth2RedirectPath", { oauth2RedirectPath: "/openapi.json" }],
    ["connectSources", { connectSources: ["https://a.example.com/path"] }]
  ] as const)("refuses an invalid %s: %j", ([setting, options]) =>
    Effect.gen(function* () {
      assert.strictEqual((yield* refused(options)).setting, setting)
    })
  )
})

describe("SwaggerUi.layer at start-up, with a document", () => {
  const build = (app: Layer.Layer<never, SecurityError.ConfigurationError, HttpRouter.HttpRouter>) =>
    Effect.exit(Effect.scoped(Layer.build(app.pipe(Layer.provide(HttpRouter.layer)))))
  const page = (options: SwaggerUi.Options, source: SwaggerUi.Document) =>
    SwaggerUi.layer(source, options).pipe(Layer.provide(NodeServices.layer))
  const settingOf = (exit: Exit.Exit<unknown, SecurityError.ConfigurationError>) =>
    Option.getOrUndefined(Exit.findErrorOption(exit))?.setting

  it.effect("refuses a scope that no scheme declares, because the page would not request it", () =>
    Effect.gen(function* () {
      const asking = (...scopes: ReadonlyArray<string>) => ({ initOAuth: { clientId: "docs", scopes } })
      const exit = yield* build(page(asking("items:read", "items:reed"), OpenApi.fromApi(Api)))
      assert.strictEqual(settingOf(exit), "initOAuth.scopes")
      assert.isTrue(Exit.isSuccess(yield* build(page(asking("items:read"), OpenApi.fromApi(Api)))))
      // The document of an OpenID Connect scheme does not list the scopes.
      const openId = {
        openIdConnectUrl: "https://idp.example.com/.well-known/openid-configuration",
        type: "openIdConnect"
      }
      const discovered = { ...document, components: { securitySchemes: { openId } } }
      for (const source of [document, discovered]) {
        assert.isTrue(Exit.isSuccess(yield* build(page(asking("openid"), source))))
      }
    })
  )

  it.effect("refuses two pages that share a path", () =>
    Effect.gen(function* () {
      const two = (options: SwaggerUi.Options) => Layer.merge(page({}, document), page(options, document))
      assert.strictEqual(settingOf(yield* build(two({ path: "/other" }))), "path")
      assert.isTrue(Exit.isSuccess(yield* build(two({ path: "/other", openApiPath: "/other.json" }))))
    })
  )
})
