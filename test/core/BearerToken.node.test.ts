import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { assert, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { Headers, HttpMiddleware, HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import * as http from "node:http"
import { fastapi, get, Routes, serve, verifierLayer } from "../support/bearerTokenApp.ts"

/** Ways to show a request with other headers, in front of Node's. */
const fronts: Readonly<
  Record<
    string,
    (request: HttpServerRequest.HttpServerRequest, headers: Headers.Headers) => HttpServerRequest.HttpServerRequest
  >
> = {
  "inherits from it": (request, headers) => Object.create(request, { headers: { value: headers } }),
  "copies it": (request, headers) => ({ ...request, headers }),
  "defines its headers anew": (request, headers) => Object.defineProperty(request, "headers", { value: headers }),
  "is a proxy of it": (request, headers) =>
    new Proxy(request, { get: (target, name) => (name === "headers" ? headers : Reflect.get(target, name, target)) }),
  "is of a class that shows it otherwise": (request, headers) => {
    const prototype = Object.create(Object.getPrototypeOf(request), {
      headers: {
        get(this: { readonly hides?: boolean }) {
          return this.hides === true ? headers : Reflect.get(Object.getPrototypeOf(prototype), "headers", this)
        }
      }
    })
    return Object.setPrototypeOf(Object.assign(request, { hides: true }), prototype)
  },
  "modifies it": (request, headers) => request.modify({ headers })
}

layer(
  HttpRouter.serve(
    HttpRouter.add(
      "GET",
      "/",
      Effect.map(HttpServerRequest.HttpServerRequest, (request) =>
        HttpServerResponse.text(String((request as { readonly headersOverride?: unknown }).headersOverride))
      )
    ).pipe(Layer.provide(fastapi.require().route.layer), Layer.provide(fastapi.layer), Layer.provide(verifierLayer)),
    serve
  ).pipe(
    Layer.provide(Layer.succeed(HttpMiddleware.TracerDisabledWhen, () => true)),
    Layer.provideMerge(NodeHttpServer.layerTest)
  )
)("BearerToken of a request as Node has it", (it) => {
  it.effect("is found without an object of all fields: where Effect changes, this is to be looked at again", () =>
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
          // The adapter's own are not asked: from then on it would show others itself.
          const { cookie } = (request.source as http.IncomingMessage).headers
          return front(request, Headers.fromInput({ authorization: `Bearer ${cookie}` }))
        })
    }).pipe(
      // A span of the server's would ask for the headers.
      Layer.provide(Layer.succeed(HttpMiddleware.TracerDisabledWhen, () => true)),
      Layer.provideMerge(NodeHttpServer.layerTest)
    )
  )(`BearerToken of a request, where what stands in front of it ${name}`, (it) => {
    it.effect("is what that says", () =>
      Effect.gen(function* () {
        for (const path of ["/layer", "/fastapi", "/rfc6750"]) {
          const { body } = yield* get(path, "Cookie: abc", "Authorization: Bearer def")
          if (name === "copies it") assert.notInclude(body, "def", path)
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
            // What stands in front of the app on Node may write the field, or take it away.
            const { cookie } = request.headers
            if (cookie === undefined) delete request.headers.authorization
            else request.headers.authorization = `Bearer ${cookie}`
          }),
        { port: 0 }
      )
    )
  )
)("BearerToken behind a listener that changes Node's headers", (it) => {
  it.effect("is what the listener says", () =>
    Effect.gen(function* () {
      for (const path of ["/layer", "/fastapi", "/rfc6750"]) {
        assert.strictEqual((yield* get(path, "Cookie: abc")).body, "abc", path)
        assert.strictEqual((yield* get(path, "Cookie: abc", "Authorization: Bearer def")).body, "abc", path)
        assert.strictEqual((yield* get(path, "Authorization: Bearer def")).status, 401, path)
      }
    })
  )
})
