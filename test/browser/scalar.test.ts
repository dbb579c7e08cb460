/** Effect's Scalar page in a real browser, with a document from `SwaggerUi.forScalar`. */
import { NodeHttpServer } from "@effect/platform-node"
import { assert, describe, layer } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { HttpRouter } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup, HttpApiScalar } from "effect/http-api"
import { OAuth2, SwaggerUi } from "effect-oauth2"
import { createServer } from "node:http"
import { AuthorizationServer } from "../../scratchpad/items-api/AuthorizationServer.ts"
import { freePort } from "../support/program.ts"
import * as Chromium from "./Chromium.ts"

const reference = (issuer: string, port: number) => {
  const auth = OAuth2.authorizationCode("OAuth2", {
    authorizationUrl: `${issuer}/auth`,
    tokenUrl: `${issuer}/token`,
    scopes: { "items:read": "Read the items", "items:write": "Add items" }
  })
  const Api = HttpApi.make("api")
    .add(HttpApiGroup.make("items").add(HttpApiEndpoint.get("list", "/items")).middleware(auth.require("items:read")))
    .pipe(OAuth2.openApi, SwaggerUi.forScalar({ clientId: "items-docs", scopes: ["items:read"] }))
  const Items = HttpApiBuilder.group(Api, "items", (handlers) => handlers.handle("list", () => Effect.void))
  const Page = HttpApiScalar.layer(Api, {
    path: "/reference",
    scalar: { authentication: { preferredSecurityScheme: "OAuth2" } }
  })
  return HttpRouter.serve(Layer.merge(HttpApiBuilder.layer(Api).pipe(Layer.provide(Items)), Page), {
    disableLogger: true,
    disableListenLog: true
  }).pipe(
    Layer.provide(auth.layerTest({})),
    Layer.provide(NodeHttpServer.layer(createServer, { port, host: "127.0.0.1", gracefulShutdownTimeout: 0 }))
  )
}

class Reference extends Context.Service<Reference, { readonly url: string; readonly issuer: string }>()(
  "test/browser/Reference"
) {
  static readonly layer = Layer.effect(
    Reference,
    Effect.gen(function* () {
      const port = yield* freePort
      const origin = `http://127.0.0.1:${port}`
      const server = yield* Layer.build(
        AuthorizationServer.layer({
          port: 0,
          audience: origin,
          redirectUris: [`${origin}/reference`],
          origins: [origin]
        })
      )
      const { issuer } = Context.get(server, AuthorizationServer)
      yield* Layer.build(reference(issuer, port))
      return { url: `${origin}/reference`, issuer }
    })
  )
}

describe.skipIf(Chromium.missing)("the Scalar page", () => {
  layer(Layer.merge(Chromium.Chromium.layer, Reference.layer))((it) => {
    it.effect(
      "logs in with the client, PKCE and the scopes of forScalar",
      () =>
        Effect.gen(function* () {
          const { issuer, url } = yield* Reference
          const browser = yield* Chromium.Chromium
          const context = yield* Effect.acquireRelease(
            Effect.promise(() => browser.newContext()),
            (context) => Effect.promise(() => context.close())
          )
          yield* Effect.promise(async () => {
            context.setDefaultTimeout(10_000)
            const page = await context.newPage()
            await page.goto(url)
            const authorizationRequest = context.waitForEvent("request", (request) =>
              request.url().startsWith(`${issuer}/auth?`)
            )
            const [popup] = await Promise.all([
              context.waitForEvent("page"),
              page.getByRole("button", { name: "Authorize" }).first().click()
            ])
            const { searchParams } = new URL((await authorizationRequest).url())
            assert.deepInclude(Object.fromEntries(searchParams), {
              client_id: "items-docs",
              redirect_uri: url,
              code_challenge_method: "S256",
              scope: "items:read"
            })
            await popup.fill("#login", "demo")
            const [token] = await Promise.all([
              page.waitForResponse((response) => response.url() === `${issuer}/token`),
              popup.click("button[type=submit]")
            ])
            assert.strictEqual(token.status(), 200)
          })
        }),
      30_000
    )
  })
})
