/** Expectations of this library about Effect's HTTP server on Node. `extensions.test.ts` explains when to read them. */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { assert, describe, it, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { Headers, HttpMiddleware, HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { isAsReceived, rawFields } from "../../../src/core/effect/receivedRequest.ts"
import { severalFields } from "../../../src/core/effect/severalFields.ts"
import { get, serve } from "../../support/bearerTokenApp.ts"
import * as web from "../../support/web.ts"

/** Returns, for each way to change a request, if the raw headers of Node still equal its headers. */
const views = (request: HttpServerRequest.HttpServerRequest) => {
  const other = Headers.fromInput({ authorization: "Bearer other" })
  const before = {
    request: isAsReceived(request),
    moved: isAsReceived(request.modify({ url: "/other" })),
    changed: isAsReceived(request.modify({ headers: other })),
    copied: isAsReceived({ ...request, headers: other }),
    defined: isAsReceived(Object.defineProperty(request.modify({}), "headers", { value: other })),
    proxied: isAsReceived(new Proxy(request, {}))
  }
  // Reading `headers` makes Effect create an object, which user code may change.
  void request.headers
  return { ...before, read: isAsReceived(request), fields: rawFields(request.source)?.includes("Bearer abc") }
}

const Routes = Layer.mergeAll(
  HttpRouter.add(
    "GET",
    "/views",
    Effect.map(HttpServerRequest.HttpServerRequest, (request) => HttpServerResponse.jsonUnsafe(views(request)))
  ),
  HttpRouter.add(
    "GET",
    "/fields",
    Effect.map(Effect.context<never>(), (context) =>
      HttpServerResponse.empty({ headers: [["www-authenticate", severalFields(["a", "b"], context)]] })
    )
  )
)

layer(
  HttpRouter.serve(Routes, serve).pipe(
    // A server span would read the headers of Effect.
    Layer.provide(Layer.succeed(HttpMiddleware.TracerDisabledWhen, () => true)),
    Layer.provideMerge(NodeHttpServer.layerTest)
  )
)("a request on Node", (it) => {
  it.effect("has the headers that Node received, until a program replaces them", () =>
    Effect.gen(function* () {
      const { body } = yield* get("/views", "Authorization: Bearer abc")
      assert.deepStrictEqual(JSON.parse(body), {
        request: true,
        moved: true,
        changed: false,
        copied: false,
        defined: false,
        proxied: false,
        read: false,
        fields: true
      })
    })
  )

  it.effect("gets one response header for each challenge", () =>
    Effect.gen(function* () {
      const { headers } = yield* get("/fields")
      assert.deepStrictEqual(headers.match(/^www-authenticate: .*$/gm), ["www-authenticate: a", "www-authenticate: b"])
    })
  )
})

describe("a web-standard request", () => {
  it.effect("has no raw headers of Node", () =>
    Effect.gen(function* () {
      const send = yield* web.serve(Routes)
      const { body } = yield* send("/views", "abc")
      assert.deepStrictEqual(JSON.parse(body), {
        request: false,
        moved: false,
        changed: false,
        copied: false,
        defined: false,
        proxied: false,
        read: false
      })
    })
  )

  it.effect("gets one response header for all challenges", () =>
    Effect.gen(function* () {
      const send = yield* web.serve(Routes)
      assert.strictEqual((yield* send("/fields")).challenge, "a, b")
    })
  )
})
