// A Worker of Cloudflare on the real runtime. There, a request may not wait for what another request began, and what a
// request began ends when its response is sent.
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Context } from "effect"
import { HttpRouter } from "effect/http"
import { TestIssuer } from "effect-oauth2/testing"
import { afterAll, beforeAll } from "vitest"
import { find } from "../../runtimes/install.ts"
import { type Bundle, bundleProgram } from "../support/bundleProgram.ts"
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

    const start = async (): Promise<void> => {
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
      worker = await startWorkerd(workerd, bundle.path, origin)
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

    fresh("responds with 200, 401 and 403, serves an HttpApi, and its documentation page", async () => {
      const token = await mint()
      assert.strictEqual(await status("/open"), 200)
      assert.strictEqual(await status("/users/me"), 401)
      assert.strictEqual(await status("/users/me", token), 200)
      assert.strictEqual(await status("/admin", token), 403)
      assert.strictEqual(await status("/api/me"), 401)
      assert.strictEqual(await status("/api/me", token), 200)
      assert.strictEqual(await status("/docs"), 200)
      assert.strictEqual(await status("/docs/swagger-ui-dist/5.0.0/swagger-ui.css"), 200)
    })

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

    fresh("introspects 20 tokens at the same time", async () => {
      delay = 100
      const tokens = await twenty(() => mint())
      assert.deepStrictEqual(await twenty((n) => status("/users/me?introspection", tokens[n])), all(200))
      assert.deepStrictEqual(await twenty(() => status("/users/me?introspection", tokens[0])), all(200))
    })
  })
}
