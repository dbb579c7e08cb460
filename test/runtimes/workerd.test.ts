// A Worker of Cloudflare on the real runtime. There, a request may not wait for what another request began, and what a
// request began ends when its response is sent.
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Context } from "effect"
import { HttpRouter } from "effect/http"
import { TestIssuer } from "effect-oauth2/testing"
import { afterAll, beforeAll } from "vitest"
import { readFileSync } from "node:fs"
import { basename } from "node:path"
import { find } from "../../runtimes/install.ts"
import * as Chromium from "../browser/Chromium.ts"
import { DocsPage } from "../browser/DocsPage.ts"
import { configurationOf, referencesOf } from "../support/documentationPages.ts"
import { type Bundle, bundleProgram } from "../support/bundleProgram.ts"
import { swaggerUi } from "../support/swaggerUiFiles.ts"
import { startWorkerd, type Workerd } from "../support/workerd.ts"
import { serve, type WebHandler } from "./programs/serve.ts"

const audience = "https://api.example.com"
const workerd = find("workerd")

if (workerd !== undefined) {
  describe("a Worker", () => {
    let bundle: Bundle
    let worker: Workerd
    let issuer: Context.Service.Shape<typeof TestIssuer>
    /** Milliseconds before the issuer responds. */
    let delay = 0

    beforeAll(async () => {
      bundle = await bundleProgram("worker", "browser")
    })
    afterAll(() => bundle.remove())

    const start = async (tampered = false): Promise<void> => {
      let answer: WebHandler = async () => new Response(null, { status: 503 })
      const origin = await serve(async (request) => {
        await new Promise((resolve) => setTimeout(resolve, delay))
        return answer(request)
      })
      const context = await Effect.runPromise(
        Effect.scoped(Layer.build(TestIssuer.layer({ issuer: origin, audience })))
      )
      issuer = Context.get(context, TestIssuer)
      answer = HttpRouter.toWebHandler(TestIssuer.routes.pipe(Layer.provide(Layer.succeedContext(context))), {
        disableLogger: true
      }).handler
      delay = 0
      const { files: data, hosted, version } = await swaggerUi(tampered)
      worker = await startWorkerd(workerd, {
        worker: bundle.path,
        bindings: { ISSUER: origin, SWAGGER_UI_VERSION: version, SWAGGER_UI_HOSTED: JSON.stringify(hosted) },
        data
      })
    }

    const fresh = (name: string, body: () => Promise<void>) =>
      it(name, { timeout: 30_000 }, async () => {
        await start()
        try {
          await body()
        } finally {
          await worker.stop()
        }
      })

    const mint = (options: object = {}) => Effect.runPromise(issuer.mint({ scopes: ["me"], ...options }))
    const status = async (path: string, token?: string, signal?: AbortSignal): Promise<number> => {
      const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
      const response = await fetch(worker.origin + path, { headers, ...(signal === undefined ? {} : { signal }) })
      await response.text()
      return response.status
    }
    const advance = (millis: number) => status(`/?advance=${millis}`)
    const twenty = <A>(body: (index: number) => Promise<A>) =>
      Promise.all(Array.from({ length: 20 }, (_, n) => body(n)))
    const all = (status: number) => Array.from({ length: 20 }, () => status)

    fresh("responds with 200, 401 and 403, and serves an HttpApi", async () => {
      const token = await mint()
      assert.strictEqual(await status("/open"), 200)
      assert.strictEqual(await status("/users/me"), 401)
      assert.strictEqual(await status("/users/me", token), 200)
      assert.strictEqual(await status("/admin", token), 403)
      assert.strictEqual(await status("/api/me"), 401)
      assert.strictEqual(await status("/api/me", token), 200)
    })

    for (const path of ["/docs", "/hosted"]) {
      fresh(`serves its documentation page, whose files have the expected content: ${path}`, async () => {
        const response = await fetch(worker.origin + path)
        const page = await response.text()
        assert.strictEqual(response.status, 200)
        const { files, version } = await swaggerUi()
        const urls = referencesOf(page).map((reference) => new URL(reference, worker.origin + path))
        for (const file of Object.values(files)) {
          const url = urls.find(({ pathname }) => pathname.endsWith(basename(file)))
          assert(url !== undefined, file)
          assert.include(url.pathname, path === "/docs" ? `/swagger-ui-dist/${version}/` : "/")
          const bytes = Buffer.from(await (await fetch(url)).arrayBuffer())
          assert.isTrue(bytes.equals(readFileSync(file)), url.href)
        }
        const { oauth2RedirectUrl, url } = configurationOf(page) as Record<string, string>
        for (const reference of [oauth2RedirectUrl, url]) {
          assert.strictEqual(await status(new URL(reference ?? "", worker.origin + path).pathname), 200)
        }
      })

      if (Chromium.missing) continue
      fresh(`logs in on its documentation page in a browser, and calls the API: ${path}`, async () => {
        const token = await mint()
        await Effect.runPromise(
          Effect.scoped(
            Effect.flatMap(Layer.build(Chromium.Chromium.layer), (context) =>
              Effect.promise(async () => {
                const docs = await DocsPage.open(Context.get(context, Chromium.Chromium), worker.origin + path)
                // An authorization server that logs in at once.
                await docs.context.route("https://idp.example.com/**", (route) => {
                  const url = new URL(route.request().url())
                  const headers = { "access-control-allow-origin": "*", "access-control-allow-headers": "*" }
                  if (url.pathname === "/token")
                    return route.fulfill({ headers, json: { access_token: token, token_type: "Bearer" } })
                  const location = new URL(url.searchParams.get("redirect_uri") ?? "")
                  location.search = new URLSearchParams({
                    code: "c",
                    state: url.searchParams.get("state") ?? ""
                  }).toString()
                  return route.fulfill({ status: 302, headers: { location: location.href } })
                })
                await docs.dialog.open()
                await docs.authorize({ closes: true })
                await docs.dialog.waitForLogin()
                await docs.dialog.close()
                const block = docs.page.locator(".opblock").first()
                await block.locator(".opblock-summary-control").click()
                await block.locator(".try-out__btn").click()
                const [answer] = await Promise.all([
                  docs.page.waitForResponse(`${worker.origin}/api/me`),
                  block.locator(".execute").click()
                ])
                assert.strictEqual(answer.status(), 200)
                assert.deepStrictEqual(docs.complaints, [])
              })
            )
          )
        )
      })
    }

    if (!Chromium.missing) {
      it("runs no file whose hash differs", { timeout: 30_000 }, async () => {
        await start(true)
        try {
          await Effect.runPromise(
            Effect.scoped(
              Effect.flatMap(Layer.build(Chromium.Chromium.layer), (context) =>
                Effect.promise(async () => {
                  const page = await Context.get(context, Chromium.Chromium).newPage()
                  await page.goto(`${worker.origin}/hosted`, { waitUntil: "load" })
                  assert.strictEqual(await page.evaluate("typeof SwaggerUIBundle"), "undefined")
                })
              )
            )
          )
        } finally {
          await worker.stop()
        }
      })
    }

    fresh("serves 20 concurrent requests while no key is cached, and 20 after a rotation", async () => {
      delay = 100
      const tokens = await twenty(() => mint())
      assert.deepStrictEqual(await twenty((n) => status("/users/me", tokens[n])), all(200))
      await Effect.runPromise(issuer.rotate())
      const token = await mint()
      assert.deepStrictEqual(await twenty(() => status("/users/me", token)), all(200))
    })

    fresh("refuses unknown keys, and goes on", async () => {
      const token = await mint()
      assert.strictEqual(await status("/users/me", token), 200)
      const unknown = await Effect.runPromise(TestIssuer.makeKey("unknown"))
      const invented = await mint({ key: unknown })
      for (const each of await twenty(() => status("/users/me", invented))) assert.oneOf(each, [401, 503])
      assert.strictEqual(await status("/users/me", token), 200)
    })

    fresh("serves requests after the time of the refresh, and after the keys expire", async () => {
      assert.strictEqual(await status("/users/me", await mint()), 200)
      for (const millis of [9 * 60_000, 1000, 10_000, 60_000, 600_000, 5_000_000]) {
        await advance(millis)
        const token = await mint({ lifetime: "3 hours" })
        assert.deepStrictEqual(await twenty(() => status("/users/me", token)), all(200), `after ${millis} ms`)
      }
    })

    fresh("serves requests after the first request was aborted", async () => {
      delay = 300
      const token = await mint()
      const controller = new AbortController()
      const first = status("/users/me", token, controller.signal).catch(() => 0)
      await new Promise((resolve) => setTimeout(resolve, 150))
      controller.abort()
      assert.strictEqual(await first, 0)
      assert.deepStrictEqual(await twenty(() => status("/users/me", token)), all(200))
    })

    fresh("responds with 503 while the issuer is down, and with 200 when the issuer is back", async () => {
      const token = await mint()
      await Effect.runPromise(issuer.respond("jwks", { status: 503 }))
      assert.deepStrictEqual(await twenty(() => status("/users/me", token)), all(503))
      await Effect.runPromise(issuer.respond("jwks", "normal"))
      await advance(6000)
      assert.deepStrictEqual(await twenty(() => status("/users/me", token)), all(200))
    })

    const fetches = () =>
      Effect.runPromise(
        Effect.map(issuer.requests, (requests) => requests.filter(({ endpoint }) => endpoint === "jwks").length)
      )

    fresh("refreshes keys before they expire, after the response is sent, if it has waitUntil", async () => {
      const token = await mint({ lifetime: "3 hours" })
      assert.strictEqual(await status("/users/me?waitUntil", token), 200)
      await advance(9 * 60_000)
      delay = 300
      assert.strictEqual(await status("/users/me?waitUntil", token), 200)
      // The metadata and the keys take 600 ms, and the response has gone.
      const ended = Date.now() + 5000
      while ((await fetches()) < 2 && Date.now() < ended) await new Promise((resolve) => setTimeout(resolve, 50))
      await new Promise((resolve) => setTimeout(resolve, 500))
      assert.strictEqual(await fetches(), 2)
      // The first keys have expired. The new keys are 5 minutes old.
      await advance(5 * 60_000)
      assert.deepStrictEqual(await twenty(() => status("/users/me?waitUntil", token)), all(200))
      assert.strictEqual(await fetches(), 2)
    })

    fresh("does not refresh keys before they expire without waitUntil", async () => {
      const token = await mint({ lifetime: "3 hours" })
      assert.strictEqual(await status("/users/me", token), 200)
      await advance(9 * 60_000)
      assert.strictEqual(await status("/users/me", token), 200)
      await advance(5 * 60_000)
      assert.deepStrictEqual(await twenty(() => status("/users/me", token)), all(200))
      assert.strictEqual(await fetches(), 2)
    })

    const advice = "Do not run KeySet.refresh at start-up: remove it from the layer."

    fresh("says in words that a layer cannot run KeySet.refresh", async () => {
      const responses = await twenty(() => status("/open?refresh"))
      assert.deepStrictEqual(responses, all(500))
      assert.include(worker.output(), advice)
      assert.strictEqual(await fetches(), 0)
      assert.strictEqual(await status("/open"), 200)
    })

    it("says in words that KeySet.refresh cannot run at module scope", { timeout: 30_000 }, async () => {
      const atStart = await bundleProgram("workerAtStart", "browser")
      try {
        const error = await startWorkerd(workerd, { worker: atStart.path }).then(
          () => assert.fail("The Worker started."),
          String
        )
        assert.include(error, advice)
      } finally {
        atStart.remove()
      }
    })

    fresh("introspects 20 tokens at the same time", async () => {
      delay = 100
      const tokens = await twenty(() => mint())
      assert.deepStrictEqual(await twenty((n) => status("/users/me?introspection", tokens[n])), all(200))
      assert.deepStrictEqual(await twenty(() => status("/users/me?introspection", tokens[0])), all(200))
    })
  })
}
