/** The documentation page below a router's prefix, with relative URLs of the endpoints and with a hostile title. */
import { NodeHttpServer } from "@effect/platform-node"
import { assert, describe, layer } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { SwaggerUi } from "effect-oauth2"
import { createServer } from "node:http"
import { freePort } from "../support/program.ts"
import * as Chromium from "./Chromium.ts"
import { DocsPage } from "./DocsPage.ts"

const title = `</title></script><script>document.hacked = true</script><img src=x onerror="document.hacked = true">`

const document = {
  openapi: "3.1.0",
  info: { title, version: "1", description: title },
  paths: {
    "/echo": {
      post: {
        operationId: "create",
        tags: ["echo"],
        security: [{ OAuth2: [] }],
        requestBody: { content: { "application/json": { schema: { type: "object" } } } },
        responses: { 201: { description: "The sent header" } }
      }
    }
  },
  components: {
    securitySchemes: {
      OAuth2: {
        type: "oauth2",
        flows: { authorizationCode: { authorizationUrl: "authorize", tokenUrl: "token", scopes: {} } }
      }
    }
  }
}

/** The page, its API, and an authorization server that issues tokens without a sign-in. */
const routes = Layer.mergeAll(
  // The page and its document have different folders, so their relative URLs have different bases.
  SwaggerUi.layer(document, { path: "/reference/docs", initOAuth: { clientId: "docs" } }),
  HttpRouter.add("GET", "/authorize", (request) => {
    const { searchParams } = new URL(request.url, "http://localhost")
    const answer = new URLSearchParams({ code: "c", state: searchParams.get("state") ?? "" })
    return Effect.succeed(HttpServerResponse.redirect(`${searchParams.get("redirect_uri")}?${answer}`))
  }),
  HttpRouter.add(
    "POST",
    "/token",
    Effect.succeed(HttpServerResponse.jsonUnsafe({ access_token: "t", token_type: "Bearer" }))
  ),
  HttpRouter.add(
    "POST",
    "/echo",
    Effect.map(HttpServerRequest.HttpServerRequest, ({ headers }) =>
      HttpServerResponse.jsonUnsafe({ authorization: headers["authorization"] ?? null }, { status: 201 })
    )
  )
)

class Prefixed extends Context.Service<Prefixed, { readonly url: string }>()("test/browser/Prefixed") {
  static readonly layer = Layer.effect(
    Prefixed,
    Effect.gen(function* () {
      const port = yield* freePort
      const router = Layer.effect(
        HttpRouter.HttpRouter,
        Effect.map(HttpRouter.HttpRouter, (router) => router.prefixed("/v1"))
      )
      const app = HttpRouter.serve(routes.pipe(Layer.provide(router)), { disableLogger: true, disableListenLog: true })
      const host = { port, host: "127.0.0.1", gracefulShutdownTimeout: 0 }
      yield* Layer.build(app.pipe(Layer.provide(NodeHttpServer.layer(createServer, host))))
      return { url: `http://127.0.0.1:${port}/v1` }
    })
  )
}

describe.skipIf(Chromium.missing)("the documentation page below a router's prefix", () => {
  layer(Layer.merge(Chromium.Chromium.layer, Prefixed.layer))((it) => {
    it.effect(
      "resolves relative URLs in the document against the document, and runs no code from the document",
      () =>
        Effect.gen(function* () {
          const { url } = yield* Prefixed
          const browser = yield* Chromium.Chromium
          const docs = yield* Effect.acquireRelease(
            // The extra slash tests the redirect to the page.
            Effect.promise(() => DocsPage.open(browser, `${url}/reference/docs/`)),
            ({ context }) => Effect.promise(() => context.close())
          )
          yield* Effect.promise(async () => {
            assert.strictEqual(docs.page.url(), `${url}/reference/docs`)
            assert.strictEqual(await docs.page.title(), `${title} - Swagger UI`)

            await docs.dialog.open()
            await docs.authorize({ closes: true })
            await docs.dialog.waitForLogin()
            await docs.dialog.close()
            await docs.createItem.open()
            assert.deepStrictEqual(await docs.createItem.execute({}), {
              url: `${url}/echo`,
              status: 201,
              body: { authorization: "Bearer t" }
            })
            assert.isUndefined(await docs.page.evaluate("document.hacked"))
            // Swagger UI removes event handlers from descriptions. The policy blocks handlers that run before that.
            for (const complaint of docs.complaints) assert.include(complaint, "inline event handler")
          })
        }),
      30_000
    )
  })
})
