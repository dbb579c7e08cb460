/** Contents of the documentation page and its document, and `SwaggerUi.forScalar`. */
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { HttpApi, OpenApi } from "effect/http-api"
import { SwaggerUi } from "effect-oauth2"
import { serve } from "../support/web.ts"
import { Api, configurationOf, document, referencesOf, servePage, version } from "../support/documentationPages.ts"

const policy = (connect: string, images = "") =>
  `default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:${images}; connect-src 'self'${connect}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`

describe("the documentation page", () => {
  it.effect("references only files of the app, and no inline script", () =>
    Effect.gen(function* () {
      const send = yield* serve(SwaggerUi.layer(Api).pipe(Layer.provide(NodeServices.layer)))
      const { body, headers, status } = yield* send("/docs")
      assert.strictEqual(status, 200)
      assert.strictEqual(headers.get("content-type"), "text/html; charset=utf-8")
      assert.include(body, "<title>Items - Swagger UI</title>")
      const [style, icon, bundle, page] = referencesOf(body)
      assert.deepStrictEqual(
        [style, icon, bundle],
        ["swagger-ui.css", "favicon-32x32.png", "swagger-ui-bundle.js"].map(
          (file) => `./docs/swagger-ui-dist/${version}/${file}`
        )
      )
      assert.match(page ?? "", /^\.\/docs\/scripts\/[0-9a-f]{16}\/page\.js$/)
      assert.lengthOf(referencesOf(body), 4)
      assert.lengthOf(body.match(/<script/g) ?? [], 3)
      for (const reference of referencesOf(body)) {
        assert.strictEqual((yield* send(new URL(reference, "http://localhost/docs").pathname)).status, 200)
      }
    })
  )

  it.effect("may not run inline scripts, and may call the app and the endpoints in the document", () =>
    Effect.gen(function* () {
      const send = yield* serve(SwaggerUi.layer(Api).pipe(Layer.provide(NodeServices.layer)))
      const { headers } = yield* send("/docs")
      assert.strictEqual(
        headers.get("content-security-policy"),
        policy(" https://idp.example.com https://refresh.example.com")
      )
      assert.strictEqual(headers.get("x-content-type-options"), "nosniff")
      assert.strictEqual(headers.get("referrer-policy"), "no-referrer")
    })
  )

  it.effect("may call every server in the document, and the origins in connectSources", () =>
    Effect.gen(function* () {
      const servers = (...urls: ReadonlyArray<string>) => ({ servers: urls.map((url) => ({ url })) })
      const source = {
        ...document,
        ...servers(
          "https://a.example.com/v1",
          "/relative",
          "https://{host}/",
          "https://a;script-src/",
          "javascript:alert(1)"
        ),
        paths: { "/x": { ...servers("https://b.example.com"), get: servers("http://c.example.com:8080/x") } },
        components: {
          securitySchemes: {
            oidc: { type: "openIdConnect", openIdConnectUrl: "https://d.example.com/.well-known/openid-configuration" },
            relative: { type: "oauth2", flows: { authorizationCode: { tokenUrl: "token" } } }
          }
        }
      }
      const options = {
        favicon: "https://f.example.com/icon.png",
        connectSources: ["https://e.example.com"]
      }
      const send = yield* servePage(options, source)
      const connect = ["a.example.com", "b.example.com", "c.example.com:8080", "d.example.com", "e.example.com"]
      assert.strictEqual(
        (yield* send("/docs")).headers.get("content-security-policy"),
        policy(
          connect.map((host) => ` ${host.startsWith("c") ? "http" : "https"}://${host}`).join(""),
          " https://f.example.com"
        )
      )
    })
  )

  it.effect("configures Swagger UI with FastAPI's defaults and PKCE", () =>
    Effect.gen(function* () {
      const send = yield* servePage()
      assert.deepStrictEqual(configurationOf((yield* send("/docs")).body), {
        url: "./openapi.json",
        oauth2RedirectUrl: "./docs/oauth2-redirect",
        initOAuth: { usePkceWithAuthorizationCodeGrant: true },
        parameters: { layout: "BaseLayout", deepLinking: true, showExtensions: true, showCommonExtensions: true }
      })
    })
  )

  it.effect("applies every option", () =>
    Effect.gen(function* () {
      const send = yield* servePage({
        path: "/reference/ui",
        openapiPath: "/reference/api.json",
        oauth2RedirectPath: "/callback",
        title: "Ours",
        favicon: "/icon.png",
        persistAuthorization: true,
        deepLinking: false,
        parameters: { deepLinking: true, layout: "Other", syntaxHighlight: { theme: "obsidian" } },
        initOAuth: {
          clientId: "docs",
          scopes: ["items:read"],
          appName: "App",
          realm: "r",
          scopeSeparator: ",",
          additionalQueryStringParams: { audience: "https://api.example.com" },
          useBasicAuthenticationWithAccessCodeGrant: true,
          usePkce: false,
          unsafeClientSecret: "known to all"
        }
      })
      const { body } = yield* send("/reference/ui")
      assert.include(body, "<title>Ours</title>")
      assert.include(body, '<link rel="icon" href="/icon.png">')
      assert.deepStrictEqual(configurationOf(body), {
        url: "./api.json",
        oauth2RedirectUrl: "../callback",
        initOAuth: {
          clientId: "docs",
          scopes: ["items:read"],
          appName: "App",
          realm: "r",
          scopeSeparator: ",",
          additionalQueryStringParams: { audience: "https://api.example.com" },
          useBasicAuthenticationWithAccessCodeGrant: true,
          clientSecret: "known to all",
          usePkceWithAuthorizationCodeGrant: false
        },
        parameters: {
          layout: "Other",
          deepLinking: false,
          showExtensions: true,
          showCommonExtensions: true,
          syntaxHighlight: { theme: "obsidian" },
          persistAuthorization: true
        }
      })
      assert.strictEqual((yield* send("/callback")).status, 200)
      assert.strictEqual((yield* send("/docs")).status, 404)
    })
  )

  it.effect("escapes HTML in titles, URLs and options", () =>
    Effect.gen(function* () {
      const hostile = `</script></title><script>alert("1")</script>'&<!--\u2028`
      const send = yield* servePage(
        {
          favicon: `"><script>alert(1)</script>`,
          parameters: { filter: hostile },
          initOAuth: { clientId: hostile, additionalQueryStringParams: { [hostile]: hostile } }
        },
        { ...document, info: { title: hostile } }
      )
      const { body } = yield* send("/docs")
      assert.lengthOf(body.match(/<script/g) ?? [], 3)
      assert.lengthOf(body.match(/<\/script>/g) ?? [], 3)
      assert.lengthOf(body.match(/<\/title>/g) ?? [], 1)
      assert.include(body, "\\u003c/script\\u003e")
      assert.notInclude(body, "<!--")
      assert.notInclude(body.split("swagger-ui-configuration")[1], "\u2028")
      assert.deepNestedInclude(configurationOf(body), {
        "initOAuth.clientId": hostile,
        [`parameters.filter`]: hostile
      })
    })
  )

  it.effect("has no redirect page if oauth2RedirectPath is false", () =>
    Effect.gen(function* () {
      const send = yield* servePage({ oauth2RedirectPath: false })
      assert.notProperty(configurationOf((yield* send("/docs")).body), "oauth2RedirectUrl")
      assert.strictEqual((yield* send("/docs/oauth2-redirect")).status, 404)
    })
  )
})

describe("the served document", () => {
  it.effect("is the api's document with a relative server URL", () =>
    Effect.gen(function* () {
      const send = yield* serve(SwaggerUi.layer(Api).pipe(Layer.provide(NodeServices.layer)))
      const { body, headers } = yield* send("/openapi.json")
      assert.strictEqual(headers.get("content-type"), "application/json")
      assert.strictEqual(headers.get("cache-control"), "no-cache")
      assert.deepStrictEqual(JSON.parse(body), { ...OpenApi.fromApi(Api), servers: [{ url: "." }] })
      const deeper = yield* servePage({ openapiPath: "/a/b/api.json" })
      assert.deepStrictEqual(JSON.parse((yield* deeper("/a/b/api.json")).body).servers, [{ url: "../.." }])
    })
  )

  it.effect("keeps its own servers", () =>
    Effect.gen(function* () {
      const source = { ...document, servers: [{ url: "https://api.example.com" }] }
      const send = yield* servePage({}, source)
      assert.deepStrictEqual(JSON.parse((yield* send("/openapi.json")).body), source)
    })
  )

  it.effect("can have a URL on another host", () =>
    Effect.gen(function* () {
      const send = yield* servePage({ openapiPath: false, url: "https://docs.example.com/openapi.json" })
      const { body, headers } = yield* send("/docs")
      assert.nestedPropertyVal(configurationOf(body), "url", "https://docs.example.com/openapi.json")
      assert.strictEqual(headers.get("content-security-policy"), policy(" https://docs.example.com"))
      assert.strictEqual((yield* send("/openapi.json")).status, 404)
    })
  )
})

describe("SwaggerUi.forScalar", () => {
  const flowOf = (api: HttpApi.HttpApi<string, any>) =>
    OpenApi.fromApi(api).components.securitySchemes["OAuth2"] as unknown

  it("adds the client and PKCE to the flow, and the scopes to the scheme", () => {
    assert.deepStrictEqual(flowOf(Api.pipe(SwaggerUi.forScalar({ clientId: "docs", scopes: ["items:read"] }))), {
      type: "oauth2",
      flows: {
        authorizationCode: {
          refreshUrl: "https://refresh.example.com/token",
          scopes: { "items:read": "Read your items", "items:write": "Modify your items" },
          authorizationUrl: "https://login.example.com/authorize",
          tokenUrl: "https://idp.example.com/token",
          "x-scalar-client-id": "docs",
          "x-scalar-credentials-location": "body",
          "x-usePkce": "SHA-256"
        }
      },
      "x-default-scopes": ["items:read"]
    })
  })

  it("omits PKCE if usePkce is false, and keeps the rest of the document", () => {
    const api = Api.pipe(SwaggerUi.forScalar({ clientId: "docs", usePkce: false }))
    assert.notInclude(JSON.stringify(flowOf(api)), "x-usePkce")
    const { components, ...rest } = OpenApi.fromApi(api)
    const { components: before, ...same } = OpenApi.fromApi(Api)
    assert.deepStrictEqual(rest, same)
    assert.deepStrictEqual(components.schemas, before.schemas)
  })
})

describe("SwaggerUi.layer next to other routes", () => {
  it.effect("serves a public page, and leaves a route below the page's path to the app", () =>
    Effect.gen(function* () {
      const routes = Layer.merge(
        SwaggerUi.layer(document).pipe(Layer.provide(NodeServices.layer)),
        HttpRouter.add("GET", "/docs/own", Effect.succeed(HttpServerResponse.text("own")))
      )
      const send = yield* serve(routes)
      assert.strictEqual((yield* send("/docs/own")).body, "own")
      assert.strictEqual((yield* send("/docs")).status, 200)
    })
  )
})
