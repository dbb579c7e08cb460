/** What this library expects of Effect's HTTP server on Node: see `extensions.test.ts`. */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { assert, describe, it, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { Headers, HttpMiddleware, HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { isAsReceived, rawFields } from "../../../src/core/effect/receivedRequest.ts"
import { severalFields } from "../../../src/core/effect/severalFields.ts"
import { get, serve } from "../../support/bearerTokenApp.ts"
import * as web from "../../support/web.ts"

/** Whether Node's own headers may be read in the place of those of the request. */
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
  // From here on Effect has an object of all fields, which a program may have changed.
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
    // A span of the server's would ask for the headers.
    Layer.provide(Layer.succeed(HttpMiddleware.TracerDisabledWhen, () => true)),
    Layer.provideMerge(NodeHttpServer.layerTest)
  )
)("a request on Node", (it) => {
  it.effect("shows the headers that Node received, until a program gives it others", () =>
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

  it.effect("is answered with one field for each member of a list", () =>
    Effect.gen(function* () {
      const { headers } = yield* get("/fields")
      assert.deepStrictEqual(headers.match(/^www-authenticate: .*$/gm), ["www-authenticate: a", "www-authenticate: b"])
    })
  )
})

describe("a web-standard request", () => {
  it.effect("is asked for its own headers", () =>
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

  it.effect("is answered with one field for the whole list", () =>
    Effect.gen(function* () {
      const send = yield* web.serve(Routes)
      assert.strictEqual((yield* send("/fields")).challenge, "a, b")
    })
  )
})
