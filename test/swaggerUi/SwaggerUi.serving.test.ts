/** How `SwaggerUi.layer` serves its files: prefixes, redirects, caching, and bytes on a socket. */
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { HttpRouter, HttpServer } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import { SwaggerUi } from "effect-oauth2"
import { readFileSync } from "node:fs"
import { canonical, relative } from "../../src/swaggerUi/relative.ts"
import { send, serve as serveOnSocket, values } from "../conformance/Wire.ts"
import { serve } from "../support/web.ts"
import {
  Api,
  auth,
  configurationOf,
  manifest,
  referencesOf,
  servePage,
  version
} from "../support/documentationPages.ts"

describe("SwaggerUi.layer below a prefix", () => {
  const prefixed = Layer.effect(
    HttpRouter.HttpRouter,
    Effect.map(HttpRouter.HttpRouter, (router) => router.prefixed("/v1/inner"))
  )

  it.effect("serves the same page, whose references resolve to the files, the document and the api", () =>
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

  it.effect("redirects a URL with an extra or a missing slash at its end, so that relative URLs resolve", () =>
    Effect.gen(function* () {
      const send = yield* servePage()
      const { headers, status } = yield* send("/docs/?a=b")
      assert.deepStrictEqual([status, headers.get("location")], [307, "../docs?a=b"])
      const slash = yield* servePage({ path: "/docs/" })
      assert.strictEqual((yield* slash("/docs")).headers.get("location"), "./docs/")
      const { body, status: found } = yield* slash("/docs/")
      assert.strictEqual(found, 200)
      assert.include(body, `src="./swagger-ui-dist/${version}/`)
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
  ])("writes the reference from %s to %s as %s", (from, to, expected) => {
    assert.strictEqual(relative(from, to), expected)
    assert.strictEqual(new URL(expected, `http://h/p${from}`).pathname, `/p${to}`)
  })

  it("never redirects to another host or another scheme", () => {
    assert.strictEqual(canonical("/docs", "http://proxy.example.com/docs/"), "../docs")
    assert.strictEqual(canonical("/docs", "/docs//"), "../../docs")
    assert.strictEqual(canonical("/docs", "//"), "../../")
    assert.strictEqual(canonical("/docs", `${"/".repeat(1_000_000)}docs`), undefined)
    assert.strictEqual(canonical("/:x/", "/javascript:alert(1)"), "./javascript:alert(1)/")
    assert.strictEqual(canonical("/:x", "//evil.example.com/"), "../evil.example.com")
  })
})

describe("caching of SwaggerUi.layer", () => {
  it.effect("lets browsers cache versioned URLs for a year, and makes them revalidate the other URLs", () =>
    Effect.gen(function* () {
      const send = yield* servePage()
      const { body } = yield* send("/docs")
      const [, , , script = ""] = referencesOf(body)
      const immutable = [`/docs/swagger-ui-dist/${version}/swagger-ui.css`, new URL(script, "http://h/docs").pathname]
      for (const path of immutable) {
        assert.strictEqual((yield* send(path)).headers.get("cache-control"), "public, max-age=31536000, immutable")
      }
      for (const path of ["/docs", "/docs/oauth2-redirect", "/openapi.json"]) {
        assert.strictEqual((yield* send(path)).headers.get("cache-control"), "no-cache")
      }
    })
  )

  it.effect("responds with 304 if the client has the current ETag", () =>
    Effect.gen(function* () {
      const send = yield* servePage()
      for (const path of ["/docs", "/openapi.json", `/docs/swagger-ui-dist/${version}/swagger-ui.css`]) {
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

  it.effect("gives pages with different options different ETags", () =>
    Effect.gen(function* () {
      const etag = (options: SwaggerUi.Options) =>
        Effect.flatMap(servePage(options), (send) => Effect.map(send("/docs"), ({ headers }) => headers.get("etag")))
      assert.notStrictEqual(yield* etag({ title: "a" }), yield* etag({ title: "b" }))
    })
  )
})

layer(serveOnSocket(SwaggerUi.layer(Api)))("SwaggerUi.layer on a socket", (it) => {
  it.effect("responds to HEAD with the headers of GET and no body", () =>
    Effect.gen(function* () {
      for (const path of ["/docs", "/openapi.json", `/docs/swagger-ui-dist/${version}/swagger-ui-bundle.js`]) {
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

  it.effect("serves the bytes of the package's files, and no other file of the package", () =>
    Effect.gen(function* () {
      const css = yield* send("GET", `/docs/swagger-ui-dist/${version}/swagger-ui.css`)
      assert.strictEqual(css.body, readFileSync(new URL("swagger-ui.css", manifest), "utf8"))
      for (const path of ["package.json", "swagger-ui.js", "..%2fpackage.json", "../../../package.json", ""]) {
        assert.strictEqual((yield* send("GET", `/docs/swagger-ui-dist/${version}/${path}`)).status, 404, path)
      }
      assert.strictEqual((yield* send("GET", "/docs/swagger-ui-dist/0.0.0/swagger-ui.css")).status, 404)
      assert.strictEqual((yield* send("POST", "/docs")).status, 404)
    })
  )
})
