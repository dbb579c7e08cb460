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

  const integrity = { "swagger-ui.css": "sha384-YQ==", "swagger-ui-bundle.js": "sha256-Yg==" }
  const baseUrl = "https://cdn.example.com:8443/npm/swagger-ui-dist@5.1.2/"

  /** Returns the body and the Content-Security-Policy of a path. */
  const getFrom = (options: SwaggerUi.Options) => {
    const { handler } = HttpRouter.toWebHandler(
      SwaggerUi.layer(document, options).pipe(Layer.provide(HttpServer.layerServices))
    )
    return (path: string) =>
      Effect.promise(async () => {
        const response = await handler(new Request(`https://a.test${path}`))
        return {
          status: response.status,
          body: await response.text(),
          policy: response.headers.get("content-security-policy") ?? ""
        }
      })
  }

  it.effect("refers to files at another URL, with their hashes, and allows only these files", () =>
    Effect.gen(function* () {
      const get = getFrom({ assets: { baseUrl, integrity } })
      const { body, policy } = yield* get("/docs")
      assert.include(body, `href="${baseUrl}swagger-ui.css" integrity="sha384-YQ==" crossorigin="anonymous"`)
      assert.include(body, `src="${baseUrl}swagger-ui-bundle.js" integrity="sha256-Yg==" crossorigin="anonymous"`)
      assert.include(body, `href="${baseUrl}favicon-32x32.png"`)
      assert.include(
        policy,
        `script-src 'self' ${baseUrl}swagger-ui-bundle.js; style-src 'self' ${baseUrl}swagger-ui.css;`
      )
      assert.include(policy, "img-src 'self' data: blob: https://cdn.example.com:8443;")
      assert.strictEqual((yield* get("/docs/swagger-ui-dist@5.1.2/swagger-ui-bundle.js")).status, 404)
    })
  )

  it.effect("refers to files at a URL that is relative to the page", () =>
    Effect.gen(function* () {
      const { body, policy } = yield* getFrom({ assets: { baseUrl: "./swagger-ui/", integrity } })("/docs")
      assert.include(body, `src="./swagger-ui/swagger-ui-bundle.js" integrity="sha256-Yg=="`)
      assert.include(policy, "script-src 'self'; style-src 'self';")
    })
  )

  it.effect("refuses a base URL that a Content-Security-Policy cannot name, and files without a hash", () =>
    Effect.gen(function* () {
      for (const bad of [
        { baseUrl: "https://cdn.example.com/a;script-src */", integrity },
        { baseUrl: "https://cdn.example.com/a b/", integrity },
        { baseUrl: "https://cdn.example.com", integrity },
        { baseUrl: "//cdn.example.com/", integrity },
        { baseUrl: "javascript:alert(1)//", integrity },
        { baseUrl },
        { baseUrl, integrity: { ...integrity, "swagger-ui.css": undefined } },
        { baseUrl, integrity: { ...integrity, "swagger-ui-bundle.js": "sha384-YQ== sha256-Yg==" } },
        { baseUrl, integrity: { ...integrity, "swagger-ui-bundle.js": "md5-YQ==" } }
      ]) {
        const error = yield* refused({ assets: bad })
        assert.strictEqual(error.setting, "assets")
        assert.include(error.message, "baseUrl")
      }
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
    ["url", { openapiPath: false }],
    ["connectSources", { connectSources: ["https://a.example.com; script-src *"] }],
    ["connectSources", { connectSources: ["*"] }],
    ["openapiPath", { path: "/api", openapiPath: "/api" }],
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
      assert.isTrue(Exit.isSuccess(yield* build(two({ path: "/other", openapiPath: "/other.json" }))))
    })
  )
})
