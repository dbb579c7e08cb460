import { NodeServices } from "@effect/platform-node"
import { assert, describe, it, layer } from "@effect/vitest"
import { Effect, Exit, FileSystem, Layer, Option } from "effect"
import { HttpRouter, HttpServer, HttpServerResponse } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import { OAuth2, SecurityError, SwaggerUi } from "effect-oauth2"
import { readFileSync } from "node:fs"
import { Resolver } from "../src/internal/swaggerUi/assets.ts"
import { canonical, relative } from "../src/internal/swaggerUi/relative.ts"
import * as scripts from "../src/internal/swaggerUi/scripts.ts"
import { send, serve as serveOnSocket, values } from "./conformance/Wire.ts"
import { times } from "./support/times.ts"
import { serve } from "./support/web.ts"

const auth = OAuth2.authorizationCode("OAuth2", {
  authorizationUrl: "https://login.example.com/authorize",
  tokenUrl: "https://idp.example.com/token",
  refreshUrl: "https://refresh.example.com/token",
  scopes: { "items:read": "Read your items", "items:write": "Modify your items" }
})

const Api = HttpApi.make("api")
  .add(HttpApiGroup.make("items").add(HttpApiEndpoint.get("list", "/items")).middleware(auth.require("items:read")))
  .annotateMerge(OpenApi.annotations({ title: "Items" }))
  .pipe(OAuth2.secured, OAuth2.openApi)

const document = { openapi: "3.1.0", info: { title: "Items", version: "1" }, paths: {} }

const site = (options?: SwaggerUi.Options, source: SwaggerUi.Document = document) =>
  serve(SwaggerUi.layer(source, options).pipe(Layer.provide(NodeServices.layer)))

const manifest = new URL("../node_modules/swagger-ui-dist/package.json", import.meta.url)
const { version } = JSON.parse(readFileSync(manifest, "utf8")) as { readonly version: string }

/** The configuration in a page, as the browser reads it. */
const configurationOf = (page: string): unknown => {
  const [, json = ""] =
    /<script id="swagger-ui-configuration" type="application\/json">([^<]*)<\/script>/.exec(page) ?? []
  return JSON.parse(json)
}

const referencesOf = (page: string): ReadonlyArray<string> =>
  Array.from(page.matchAll(/(?:href|src)="([^"]*)"/g), ([, reference = ""]) => reference)

const policy = (connect: string, images = "") =>
  `default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:${images}; connect-src 'self'${connect}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`

describe("the page", () => {
  it.effect("is HTML that names files of the app alone, and scripts only by URL", () =>
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
          (file) => `./docs/swagger-ui-dist@${version}/${file}`
        )
      )
      assert.match(page ?? "", /^\.\/docs\/page-[0-9a-f]{16}\.js$/)
      assert.lengthOf(referencesOf(body), 4)
      assert.lengthOf(body.match(/<script/g) ?? [], 3)
      for (const reference of referencesOf(body)) {
        assert.strictEqual((yield* send(new URL(reference, "http://localhost/docs").pathname)).status, 200)
      }
    })
  )

  it.effect("may run no inline script, and call the app and what the document names", () =>
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

  it.effect("may call every server in the document, and what the program adds", () =>
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
      const send = yield* site(options, source)
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

  it.effect("configures Swagger UI as FastAPI does, with PKCE", () =>
    Effect.gen(function* () {
      const send = yield* site()
      assert.deepStrictEqual(configurationOf((yield* send("/docs")).body), {
        url: "./openapi.json",
        oauth2RedirectUrl: "./docs/oauth2-redirect",
        initOAuth: { usePkceWithAuthorizationCodeGrant: true },
        parameters: { layout: "BaseLayout", deepLinking: true, showExtensions: true, showCommonExtensions: true }
      })
    })
  )

  it.effect("takes every option", () =>
    Effect.gen(function* () {
      const send = yield* site({
        path: "/reference/ui",
        openApiPath: "/reference/api.json",
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

  it.effect("is what it is, whatever the titles, URLs and options say", () =>
    Effect.gen(function* () {
      const hostile = `</script></title><script>alert("1")</script>'&<!--\u2028`
      const send = yield* site(
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

  it.effect("has no redirect page where it is turned off", () =>
    Effect.gen(function* () {
      const send = yield* site({ oauth2RedirectPath: false })
      assert.notProperty(configurationOf((yield* send("/docs")).body), "oauth2RedirectUrl")
      assert.strictEqual((yield* send("/docs/oauth2-redirect")).status, 404)
    })
  )
})

describe("the document", () => {
  it.effect("is served as it is, with a server that is relative to it", () =>
    Effect.gen(function* () {
      const send = yield* serve(SwaggerUi.layer(Api).pipe(Layer.provide(NodeServices.layer)))
      const { body, headers } = yield* send("/openapi.json")
      assert.strictEqual(headers.get("content-type"), "application/json")
      assert.strictEqual(headers.get("cache-control"), "no-cache")
      assert.deepStrictEqual(JSON.parse(body), { ...OpenApi.fromApi(Api), servers: [{ url: "." }] })
      const deeper = yield* site({ openApiPath: "/a/b/api.json" })
      assert.deepStrictEqual(JSON.parse((yield* deeper("/a/b/api.json")).body).servers, [{ url: "../.." }])
    })
  )

  it.effect("keeps the servers that it names", () =>
    Effect.gen(function* () {
      const source = { ...document, servers: [{ url: "https://api.example.com" }] }
      const send = yield* site({}, source)
      assert.deepStrictEqual(JSON.parse((yield* send("/openapi.json")).body), source)
    })
  )

  it.effect("may be served elsewhere", () =>
    Effect.gen(function* () {
      const send = yield* site({ openApiPath: false, url: "https://docs.example.com/openapi.json" })
      const { body, headers } = yield* send("/docs")
      assert.nestedPropertyVal(configurationOf(body), "url", "https://docs.example.com/openapi.json")
      assert.strictEqual(headers.get("content-security-policy"), policy(" https://docs.example.com"))
      assert.strictEqual((yield* send("/openapi.json")).status, 404)
    })
  )
})

describe("below a prefix", () => {
  const prefixed = Layer.effect(
    HttpRouter.HttpRouter,
    Effect.map(HttpRouter.HttpRouter, (router) => router.prefixed("/v1/inner"))
  )

  it.effect("the same page leads to everything", () =>
    Effect.gen(function* () {
      const routes = Layer.merge(
        SwaggerUi.layer(Api).pipe(Layer.provide(NodeServices.layer)),
        HttpApiBuilder.layer(Api).pipe(
          Layer.provide(HttpApiBuilder.group(Api, "items", (handlers) => handlers.handle("list", () => Effect.void))),
          Layer.provide(auth.layerTest({ scopes: ["items:read"] })),
          Layer.provide(HttpServer.layerServices)
        )
      )
      const send = yield* serve(routes.pipe(Layer.provide(prefixed)))
      const plain = yield* serve(routes)
      const page = yield* send("/v1/inner/docs")
      assert.strictEqual(page.body, (yield* plain("/docs")).body)

      const from = (reference: string, base: string) => new URL(reference, base)
      const at = from("", "http://localhost/v1/inner/docs")
      const configuration = configurationOf(page.body) as { readonly url: string; readonly oauth2RedirectUrl: string }
      for (const reference of [...referencesOf(page.body), configuration.url, configuration.oauth2RedirectUrl]) {
        assert.strictEqual((yield* send(from(reference, at.href).pathname)).status, 200, reference)
      }
      const openApi = from(configuration.url, at.href)
      const [server] = JSON.parse((yield* send(openApi.pathname)).body).servers
      assert.strictEqual((yield* send(from(`${server.url}/items`, openApi.href).pathname)).status, 204)
    })
  )

  it.effect("a slash too many or too few is corrected, because relative URLs depend on it", () =>
    Effect.gen(function* () {
      const send = yield* site()
      const { headers, status } = yield* send("/docs/?a=b")
      assert.deepStrictEqual([status, headers.get("location")], [307, "../docs?a=b"])
      const slash = yield* site({ path: "/docs/" })
      assert.strictEqual((yield* slash("/docs")).headers.get("location"), "./docs/")
      const { body, status: found } = yield* slash("/docs/")
      assert.strictEqual(found, 200)
      assert.include(body, `src="./swagger-ui-dist@${version}/`)
      assert.strictEqual((yield* slash("/docs/oauth2-redirect")).status, 200)
    })
  )

  it.each([
    ["/docs", "/openapi.json", "./openapi.json"],
    ["/docs", "/docs/a.js", "./docs/a.js"],
    ["/docs/", "/docs/a.js", "./a.js"],
    ["/a/docs", "/b/c.js", "../b/c.js"],
    ["/a/b/docs", "/a/c.js", "../c.js"],
    ["/a/b", "/a", "../a"],
    ["/", "/docs:x", "./docs:x"]
  ])("from %s to %s is %s", (from, to, expected) => {
    assert.strictEqual(relative(from, to), expected)
    assert.strictEqual(new URL(expected, `http://h/p${from}`).pathname, `/p${to}`)
  })

  it("a redirect to the right path leads nowhere else", () => {
    assert.strictEqual(canonical("/docs", "http://proxy.example.com/docs/"), "../docs")
    assert.strictEqual(canonical("/docs", "/docs//"), "../../docs")
    assert.strictEqual(canonical("/docs", "//"), "../../")
    assert.strictEqual(canonical("/docs", `${"/".repeat(1_000_000)}docs`), undefined)
    assert.strictEqual(canonical("/:x/", "/javascript:alert(1)"), "./javascript:alert(1)/")
    assert.strictEqual(canonical("/:x", "//evil.example.com/"), "../evil.example.com")
  })
})

describe("caching", () => {
  it.effect("keeps what has a version in its URL for a year, and asks about the rest", () =>
    Effect.gen(function* () {
      const send = yield* site()
      const { body } = yield* send("/docs")
      const [, , , script = ""] = referencesOf(body)
      const immutable = [`/docs/swagger-ui-dist@${version}/swagger-ui.css`, new URL(script, "http://h/docs").pathname]
      for (const path of immutable) {
        assert.strictEqual((yield* send(path)).headers.get("cache-control"), "public, max-age=31536000, immutable")
      }
      for (const path of ["/docs", "/docs/oauth2-redirect", "/openapi.json"]) {
        assert.strictEqual((yield* send(path)).headers.get("cache-control"), "no-cache")
      }
    })
  )

  it.effect("answers 304 to who has it", () =>
    Effect.gen(function* () {
      const send = yield* site()
      for (const path of ["/docs", "/openapi.json", `/docs/swagger-ui-dist@${version}/swagger-ui.css`]) {
        const etag = (yield* send(path)).headers.get("etag") ?? ""
        assert.match(etag, /^"[0-9a-f]{64}"$/)
        for (const field of [etag, `W/${etag}`, `"other", ${etag}`, "*"]) {
          const { body, headers, status } = yield* send(path, undefined, { headers: { "if-none-match": field } })
          assert.deepStrictEqual([status, body, headers.get("etag")], [304, "", etag])
        }
        const other = yield* send(path, undefined, { headers: { "if-none-match": '"other"' } })
        assert.strictEqual(other.status, 200)
      }
    })
  )

  it.effect("tells pages of different options apart", () =>
    Effect.gen(function* () {
      const etag = (options: SwaggerUi.Options) =>
        Effect.flatMap(site(options), (send) => Effect.map(send("/docs"), ({ headers }) => headers.get("etag")))
      assert.notStrictEqual(yield* etag({ title: "a" }), yield* etag({ title: "b" }))
    })
  )
})

layer(serveOnSocket(SwaggerUi.layer(Api)))("on a socket", (it) => {
  it.effect("HEAD answers as GET does, without a body", () =>
    Effect.gen(function* () {
      for (const path of ["/docs", "/openapi.json", `/docs/swagger-ui-dist@${version}/swagger-ui-bundle.js`]) {
        const get = yield* send("GET", path)
        const head = yield* send("HEAD", path)
        assert.deepStrictEqual([head.status, head.body], [200, ""])
        for (const name of ["content-type", "content-length", "etag", "cache-control", "content-security-policy"]) {
          assert.deepStrictEqual(values(head, name), values(get, name), name)
        }
        assert.deepStrictEqual(values(get, "content-length"), [String(Buffer.byteLength(get.body))])
      }
    })
  )

  it.effect("serves the package's files to the byte, and no others", () =>
    Effect.gen(function* () {
      const css = yield* send("GET", `/docs/swagger-ui-dist@${version}/swagger-ui.css`)
      assert.strictEqual(css.body, readFileSync(new URL("swagger-ui.css", manifest), "utf8"))
      for (const path of ["package.json", "swagger-ui.js", "..%2fpackage.json", "../../../package.json", ""]) {
        assert.strictEqual((yield* send("GET", `/docs/swagger-ui-dist@${version}/${path}`)).status, 404, path)
      }
      assert.strictEqual((yield* send("GET", "/docs/swagger-ui-dist@0.0.0/swagger-ui.css")).status, 404)
      assert.strictEqual((yield* send("POST", "/docs")).status, 404)
    })
  )
})

describe("at start-up", () => {
  const failure = (app: Layer.Layer<never, SecurityError.ConfigurationError, HttpRouter.HttpRouter>) =>
    Effect.flip(Effect.scoped(Layer.build(app.pipe(Layer.provide(HttpRouter.layer)))))

  const refused = (options: object) =>
    failure(SwaggerUi.layer(document, options as SwaggerUi.Options).pipe(Layer.provide(NodeServices.layer)))

  it.effect("an absent swagger-ui-dist is an error that says what to install", () =>
    Effect.gen(function* () {
      const page = SwaggerUi.layer(document)
      const absent = [
        // As Node says it, as a host that resolves without looking, and a platform without files.
        page.pipe(
          Layer.provide(
            Layer.succeed(Resolver, (specifier) => {
              throw new Error(`Cannot find package '${specifier}'`)
            })
          ),
          Layer.provide(NodeServices.layer)
        ),
        page.pipe(
          Layer.provide(Layer.succeed(Resolver, () => "file:///nowhere/package.json")),
          Layer.provide(NodeServices.layer)
        ),
        page.pipe(Layer.provide(FileSystem.layerNoop({})), Layer.provide(NodeServices.layer))
      ]
      for (const app of absent) {
        const error = yield* failure(app)
        assert.instanceOf(error, SecurityError.ConfigurationError)
        assert.strictEqual(error.setting, "swagger-ui-dist")
        assert.include(error.message, "npm install swagger-ui-dist")
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
  ] as const)("a client secret in %s is refused, and not repeated", ([setting, options]) =>
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
  ] as const)("a mistake in %s is refused", ([setting, options]) =>
    Effect.gen(function* () {
      assert.strictEqual((yield* refused(options)).setting, setting)
    })
  )
})

describe("at start-up, of a page", () => {
  const build = (app: Layer.Layer<never, SecurityError.ConfigurationError, HttpRouter.HttpRouter>) =>
    Effect.exit(Effect.scoped(Layer.build(app.pipe(Layer.provide(HttpRouter.layer)))))
  const page = (options: SwaggerUi.Options, source: SwaggerUi.Document) =>
    SwaggerUi.layer(source, options).pipe(Layer.provide(NodeServices.layer))
  const settingOf = (exit: Exit.Exit<unknown, SecurityError.ConfigurationError>) =>
    Option.getOrUndefined(Exit.findErrorOption(exit))?.setting

  it.effect("a scope that no scheme declares is a mistake, which the page would pass over in silence", () =>
    Effect.gen(function* () {
      const asking = (...scopes: ReadonlyArray<string>) => ({ initOAuth: { clientId: "docs", scopes } })
      const exit = yield* build(page(asking("items:read", "items:reed"), OpenApi.fromApi(Api)))
      assert.strictEqual(settingOf(exit), "initOAuth.scopes")
      assert.isTrue(Exit.isSuccess(yield* build(page(asking("items:read"), OpenApi.fromApi(Api)))))
      // Its issuer says which there are.
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

  it.effect("two pages at one path are a mistake", () =>
    Effect.gen(function* () {
      const two = (options: SwaggerUi.Options) => Layer.merge(page({}, document), page(options, document))
      assert.strictEqual(settingOf(yield* build(two({ path: "/other" }))), "path")
      assert.isTrue(Exit.isSuccess(yield* build(two({ path: "/other", openApiPath: "/other.json" }))))
    })
  )
})

describe("the redirect page", () => {
  it.effect("has a script of its own, and may do nothing else", () =>
    Effect.gen(function* () {
      const send = yield* site()
      const { body, headers } = yield* send("/docs/oauth2-redirect?code=secret&state=<x>")
      assert.strictEqual(headers.get("content-type"), "text/html; charset=utf-8")
      assert.strictEqual(
        headers.get("content-security-policy"),
        "default-src 'none'; script-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
      )
      assert.strictEqual(headers.get("referrer-policy"), "no-referrer")
      assert.notInclude(body, "secret")
      const [script = ""] = referencesOf(body)
      assert.strictEqual(
        (yield* send(new URL(script, "http://h/docs/oauth2-redirect").pathname)).body,
        scripts.redirect
      )
    })
  )

  interface Answered {
    readonly message: string
    readonly closed: boolean
    readonly errors: ReadonlyArray<{ readonly message: string; readonly level: string; readonly authId: string }>
    readonly answers: ReadonlyArray<{
      readonly auth: { readonly code?: string }
      readonly token?: unknown
      readonly isValid?: boolean
    }>
  }

  /** Runs the page's script as a browser does, in a window whose opener waits for an answer with the state `sent`. */
  const answered = (
    search: string,
    options: { flow?: string; hash?: string; opener?: object | null; state?: unknown; times?: number } = {}
  ): Answered => {
    const { flow = "authorizationCode", hash = "", state, times: runs } = { state: "sent", times: 1, ...options }
    const errors: Array<Answered["errors"][number]> = []
    const answers: Array<Answered["answers"][number]> = []
    const opener = {
      swaggerUIRedirectOauth2: {
        auth: { name: "OAuth2", schema: new Map([["flow", flow]]) },
        state,
        redirectUrl: "http://localhost/docs/oauth2-redirect",
        callback: (answer: Answered["answers"][number]) => answers.push(answer),
        errCb: (error: Answered["errors"][number]) => errors.push(error)
      }
    }
    const element = { textContent: "" }
    let closed = false
    const window = { opener: options.opener === undefined ? opener : options.opener, close: () => (closed = true) }
    for (const _ of times(runs)) {
      // eslint-disable-next-line typescript/no-implied-eval
      new Function("window", "location", "document", scripts.redirect)(
        window,
        { search, hash },
        { getElementById: () => element }
      )
    }
    return { message: element.textContent, closed, errors, answers }
  }

  it("hands over the code", () => {
    const { answers, closed, errors } = answered("?code=c%2B1&state=sent&iss=https%3A%2F%2Fidp.example.com")
    assert.deepStrictEqual([answers.length, answers[0]?.auth.code, errors.length, closed], [1, "c+1", 0, true])
  })

  it.each([
    ["another state", "?code=c&state=forged"],
    ["no state", "?code=c"],
    ["an empty state", "?code=c&state="],
    ["two states", "?code=c&state=sent&state=forged"],
    ["another state, with an error", "?error=access_denied&state=forged"],
    ["nothing", ""]
  ])("refuses an answer with %s", (_, search) => {
    const { answers, closed, errors } = answered(search)
    assert.deepStrictEqual([answers.length, errors.length, closed], [0, 1, true])
    assert.include(errors[0]?.message, "state")
    assert.deepInclude(errors[0], { level: "error", authId: "OAuth2" })
    for (const flow of ["implicit", "accessCode"]) assert.lengthOf(answered(search, { flow }).answers, 0)
  })

  it.each([
    ["authorizationCode", "?code=c&state=sent", ""],
    ["implicit", "", "#access_token=t&token_type=bearer&state=sent"]
  ])("takes an answer once, and refuses it when it comes again (%s)", (flow, search, hash) => {
    const { answers, errors } = answered(search, { flow, hash, times: 3 })
    assert.deepStrictEqual([answers.length, errors.length], [1, 2])
    for (const { message } of errors) assert.include(message, "state")
  })

  it.each([
    ["with a state", "&state=sent"],
    ["without one", ""],
    ["with an empty one", "&state="],
    ["with one that reads as nothing", "&state=undefined"]
  ])("refuses an answer %s where no state is pending", (_, state) => {
    for (const pending of [undefined, null, ""]) {
      for (const [flow, search, hash] of [
        ["authorizationCode", `?code=c${state}`, ""],
        ["implicit", "", `#access_token=t${state}`]
      ] as const) {
        const { answers, errors } = answered(search, { flow, hash, state: pending })
        assert.deepStrictEqual([answers.length, errors.length], [0, 1])
        assert.include(errors[0]?.message, "state")
      }
    }
  })

  it("reports the authorization server's error", () => {
    const at = "&error_description=Not+you&error_uri=https%3A%2F%2Fidp.example.com%2Fwhy"
    const { answers, errors } = answered(`?state=sent&error=access_denied${at}`)
    assert.lengthOf(answers, 0)
    assert.strictEqual(errors[0]?.message, "[access_denied]: Not you. More info: https://idp.example.com/why")
    assert.include(answered("?state=sent&error=x&code=c").errors[0]?.message, "[x]")
    assert.include(answered("?state=sent").errors[0]?.message, "[Authorization failed]")
  })

  it("hands over an implicit token from the fragment", () => {
    const { answers } = answered("", { flow: "implicit", hash: "#access_token=t&token_type=bearer&state=sent" })
    assert.deepInclude(answers[0], {
      token: { access_token: "t", token_type: "bearer", state: "sent" },
      isValid: true
    })
  })

  it("stays open and says what to do where nobody waits", () => {
    const crossOrigin = {
      get swaggerUIRedirectOauth2() {
        throw new Error("Blocked a frame from accessing a cross-origin frame")
      }
    }
    for (const opener of [null, {}, crossOrigin]) {
      const { closed, message } = answered("?code=c&state=sent", { opener })
      assert.isFalse(closed)
      assert.include(message, "press Authorize again")
    }
  })
})

describe("forScalar", () => {
  const flowOf = (api: HttpApi.HttpApi<string, any>) =>
    OpenApi.fromApi(api).components.securitySchemes["OAuth2"] as unknown

  it("puts the client and PKCE into the flow, and the scopes into the scheme", () => {
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

  it("leaves PKCE out where it is told to, and the rest of the document alone", () => {
    const api = Api.pipe(SwaggerUi.forScalar({ clientId: "docs", usePkce: false }))
    assert.notInclude(JSON.stringify(flowOf(api)), "x-usePkce")
    const { components, ...rest } = OpenApi.fromApi(api)
    const { components: before, ...same } = OpenApi.fromApi(Api)
    assert.deepStrictEqual(rest, same)
    assert.deepStrictEqual(components.schemas, before.schemas)
  })
})

describe("beside other routes", () => {
  it.effect("the page is open, and takes nothing else", () =>
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
