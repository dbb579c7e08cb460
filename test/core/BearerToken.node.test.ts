/** Extraction of bearer tokens on Node, where the library reads raw headers if nothing has changed them. */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { assert, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { Headers, HttpMiddleware, HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import * as http from "node:http"
import { fastapi, get, Routes, serve, verifierLayer } from "../support/bearerTokenApp.ts"

/** Ways in which middleware can replace the headers of a request. */
const fronts: Readonly<
  Record<
    string,
    (request: HttpServerRequest.HttpServerRequest, headers: Headers.Headers) => HttpServerRequest.HttpServerRequest
  >
> = {
  "inherits from the request": (request, headers) => Object.create(request, { headers: { value: headers } }),
  "copies the request": (request, headers) => ({ ...request, headers }),
  "redefines the headers property": (request, headers) => Object.defineProperty(request, "headers", { value: headers }),
  "wraps the request in a proxy": (request, headers) =>
    new Proxy(request, { get: (target, name) => (name === "headers" ? headers : Reflect.get(target, name, target)) }),
  "changes the prototype of the request": (request, headers) => {
    const prototype = Object.create(Object.getPrototypeOf(request), {
      headers: {
        get(this: { readonly hides?: boolean }) {
          return this.hides === true ? headers : Reflect.get(Object.getPrototypeOf(prototype), "headers", this)
        }
      }
    })
    return Object.setPrototypeOf(Object.assign(request, { hides: true }), prototype)
  },
  "calls modify": (request, headers) => request.modify({ headers })
}

layer(
  HttpRouter.serve(
    HttpRouter.add(
      "GET",
      "/",
      Effect.map(HttpServerRequest.HttpServerRequest, (request) =>
        HttpServerResponse.text(String((request as { readonly headersOverride?: unknown }).headersOverride))
      )
    ).pipe(fastapi.require(), Layer.provide(fastapi.layer(verifierLayer))),
    serve
  ).pipe(
    Layer.provide(Layer.succeed(HttpMiddleware.TracerDisabledWhen, () => true)),
    Layer.provideMerge(NodeHttpServer.layerTest)
  )
)("BearerToken of an unchanged Node request", (it) => {
  // A failure after an upgrade of Effect means that receivedRequest.ts must be adapted.
  it.effect("is read without creating the headers object of Effect", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* get("/", "Authorization: Bearer abc")).body, "undefined")
    })
  )
})

for (const [name, front] of Object.entries(fronts)) {
  layer(
    HttpRouter.serve(Routes, {
      ...serve,
      middleware: (app) =>
        Effect.updateService(app, HttpServerRequest.HttpServerRequest, (request) => {
          // Reads the headers of Node, because reading those of Effect would disable the fast path under test.
          const { cookie } = (request.source as http.IncomingMessage).headers
          return front(request, Headers.fromInput({ authorization: `Bearer ${cookie}` }))
        })
    }).pipe(
      // A server span would read the headers of Effect.
      Layer.provide(Layer.succeed(HttpMiddleware.TracerDisabledWhen, () => true)),
      Layer.provideMerge(NodeHttpServer.layerTest)
    )
  )(`BearerToken of a request, if middleware ${name}`, (it) => {
    it.effect("is read from the new headers", () =>
      Effect.gen(function* () {
        for (const path of ["/layer", "/fastapi", "/rfc6750"]) {
          const { body } = yield* get(path, "Cookie: abc", "Authorization: Bearer def")
          if (name === "copies the request") assert.notInclude(body, "def", path)
          else assert.strictEqual(body, "abc", path)
        }
      })
    )
  })
}

layer(
  HttpRouter.serve(Routes, serve).pipe(
    Layer.provideMerge(
      NodeHttpServer.layer(
        () =>
          http.createServer((request) => {
            // A listener of Node may set or delete the header.
            const { cookie } = request.headers
            if (cookie === undefined) delete request.headers.authorization
            else request.headers.authorization = `Bearer ${cookie}`
          }),
        { port: 0 }
      )
    )
  )
)("BearerToken behind a listener that changes Node's headers", (it) => {
  it.effect("is read from the headers that the listener set", () =>
    Effect.gen(function* () {
      for (const path of ["/layer", "/fastapi", "/rfc6750"]) {
        assert.strictEqual((yield* get(path, "Cookie: abc")).body, "abc", path)
        assert.strictEqual((yield* get(path, "Cookie: abc", "Authorization: Bearer def")).body, "abc", path)
        assert.strictEqual((yield* get(path, "Authorization: Bearer def")).status, 401, path)
      }
    })
  )
})
