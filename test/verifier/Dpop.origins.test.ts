// The URI that a proof must name: behind proxies, below prefixes, over HTTP/2, and without a `Host` header.
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { HttpEffect, HttpMiddleware, HttpRouter, HttpServer, HttpServerResponse } from "effect/http"
import { NetAddress } from "effect/net"
import { Dpop, OAuth2 } from "effect-oauth2"
import { type ProofOptions, TestIssuer } from "effect-oauth2/testing"
import * as http from "node:http"
import * as http2 from "node:http2"
import { selfSigned } from "../support/certificates.ts"
import { boundClient, headersOf, Verifier } from "../support/dpopApp.ts"

type Middleware = typeof HttpMiddleware.logger

const ok = Effect.succeed(HttpServerResponse.text("ok"))

/** Routes below the prefix `/api` of a mounted router, and one beside it. */
const routes = (dpop: Dpop.Options) => {
  const auth = OAuth2.bearer("Api", { scopes: { read: "Read" }, dpop: Dpop.make(dpop) })
  return Layer.mergeAll(
    HttpRouter.add("GET", "/items", ok).pipe(auth.require("read")),
    HttpRouter.use((router) => router.prefixed("/api").add("GET", "/items", ok)).pipe(auth.require("read"))
  ).pipe(Layer.provide(auth.layer(Verifier)))
}

interface Sent {
  readonly path?: string
  readonly headers?: Readonly<Record<string, string>>
}

const statusOf = (
  port: number,
  { headers = {}, path = "/items" }: Sent,
  credentials: Readonly<Record<string, string>>
) =>
  Effect.callback<number>((resume) => {
    http
      .request({ host: "127.0.0.1", port, path, headers: { ...headers, ...credentials } }, (response) => {
        response.resume()
        resume(Effect.succeed(response.statusCode ?? 0))
      })
      .end()
  })

const portOf = Effect.map(HttpServer.HttpServer, ({ address }) =>
  NetAddress.isInetAddress(address) ? address.port : 0
)

/** Sends a request to a Node server, and returns the status. */
const outcome = (dpop: Dpop.Options, sent: Sent, proof: Partial<ProofOptions>, middleware?: Middleware) =>
  Effect.gen(function* () {
    const bound = yield* boundClient()
    const port = yield* portOf
    const url = proof.url?.replace("PORT", String(port))
    const headers = yield* headersOf(bound, { ...proof, ...(url === undefined ? {} : { url }) })
    return yield* statusOf(port, sent, { ...headers })
  }).pipe(
    Effect.provide(
      HttpRouter.serve(routes(dpop), {
        disableLogger: true,
        disableListenLog: true,
        ...(middleware === undefined ? {} : { middleware })
      }).pipe(
        Layer.provideMerge(NodeHttpServer.layer(() => http.createServer(), { port: 0, host: "127.0.0.1" })),
        Layer.provideMerge(TestIssuer.layer({ keys: ["ES256"] }))
      )
    )
  )

const fixed = { origin: "https://api.test" }

describe("a fixed origin", () => {
  const accepted: ReadonlyArray<readonly [name: string, dpop: Dpop.Options, sent: Sent, url: string]> = [
    ["is the origin of the proof", fixed, {}, "https://api.test/items"],
    ["ignores the Host header", fixed, { headers: { host: "internal:8080" } }, "https://api.test/items"],
    ["may be one of several", { origin: ["https://a.test", "https://api.test/"] }, {}, "https://api.test/items"],
    [
      "may have a prefix that the proxy removes",
      { origin: "https://example.test/v1" },
      {},
      "https://example.test/v1/items"
    ],
    ["is followed by the whole path of a mounted router", fixed, { path: "/api/items" }, "https://api.test/api/items"],
    ["is followed by the path without its query", fixed, { path: "/items?a=https://b" }, "https://api.test/items"],
    [
      "is followed by the path of an absolute target",
      fixed,
      { path: "http://internal/items?a" },
      "https://api.test/items"
    ]
  ]

  it.live.each(accepted)("%s", ([, dpop, sent, url]) =>
    Effect.gen(function* () {
      assert.strictEqual(yield* outcome(dpop, sent, { url }), 200)
    })
  )

  const refused: ReadonlyArray<readonly [name: string, dpop: Dpop.Options, sent: Sent, url: string]> = [
    ["the Host header of the request", fixed, { headers: { host: "evil.test" } }, "http://evil.test/items"],
    [
      "a forwarded host",
      fixed,
      { headers: { "x-forwarded-host": "evil.test", "x-forwarded-proto": "https" } },
      "https://evil.test/items"
    ],
    ["the path inside the mounted router", fixed, { path: "/api/items" }, "https://api.test/items"],
    [
      "the path without the prefix of the origin",
      { origin: "https://example.test/v1" },
      {},
      "https://example.test/items"
    ],
    ["a path that the Host header begins", fixed, { headers: { host: "a/other" } }, "https://api.test/other/items"],
    ["the host of an absolute target", fixed, { path: "http://evil.test/items" }, "http://evil.test/items"]
  ]

  it.live.each(refused)("refuses a proof for %s", ([, dpop, sent, url]) =>
    Effect.gen(function* () {
      assert.strictEqual(yield* outcome(dpop, sent, { url }), 401)
    })
  )
})

describe("without a fixed origin, a proof is", () => {
  const trusting = HttpMiddleware.xForwardedHeaders({ trustedProxies: () => true })
  const forwarded = { "x-forwarded-for": "192.0.2.1", "x-forwarded-host": "api.test", "x-forwarded-proto": "https" }
  const rows: ReadonlyArray<readonly [name: string, status: number, sent: Sent, url: string, middleware?: Middleware]> =
    [
      ["accepted for the Host header", 200, {}, "http://127.0.0.1:PORT/items"],
      ["accepted for another Host header", 200, { headers: { host: "Internal.test" } }, "http://internal.test/items"],
      ["accepted for a mounted router", 200, { path: "/api/items" }, "http://127.0.0.1:PORT/api/items"],
      [
        "accepted for forwarded headers of a trusted proxy",
        200,
        { headers: forwarded },
        "https://api.test/items",
        trusting
      ],
      [
        "accepted for a mounted router behind a proxy",
        200,
        { path: "/api/items", headers: forwarded },
        "https://api.test/api/items",
        trusting
      ],
      [
        "refused for forwarded headers that no middleware trusts",
        401,
        { headers: forwarded },
        "https://api.test/items"
      ],
      // Effect's middleware needs as many values of each header as X-Forwarded-For has.
      ...([undefined, "192.0.2.1, 192.0.2.2"] as const).map(
        (forwardedFor) =>
          [
            `refused for forwarded headers beside X-Forwarded-For: ${forwardedFor ?? "none"}`,
            401,
            {
              headers: {
                "x-forwarded-host": "api.test",
                "x-forwarded-proto": "https",
                ...(forwardedFor === undefined ? {} : { "x-forwarded-for": forwardedFor })
              }
            },
            "https://api.test/items",
            trusting
          ] as const
      ),
      ["refused for another host", 401, {}, "http://evil.test/items"],
      ["refused for https, if the connection has no TLS", 401, {}, "https://127.0.0.1:PORT/items"],
      ["refused for a Host header with a path", 401, { headers: { host: "a/other" } }, "http://a/other/items"],
      ["refused for a Host header with credentials", 401, { headers: { host: "user@a" } }, "http://a/items"]
    ]

  it.live.each(rows)("%s", ([, status, sent, url, middleware]) =>
    Effect.gen(function* () {
      assert.strictEqual(yield* outcome({}, sent, { url }, middleware), status)
    })
  )
})

describe("over HTTP/2, a proof", () => {
  const status = (
    dpop: Dpop.Options,
    authority: string,
    url: string,
    headers: Readonly<Record<string, string>> = {},
    protocol: "http" | "https" = "http"
  ) =>
    Effect.gen(function* () {
      const bound = yield* boundClient()
      const port = yield* portOf
      const credentials = yield* headersOf(bound, { url: url.replace("PORT", String(port)) })
      return yield* Effect.callback<number>((resume) => {
        const session = http2.connect(`${protocol}://127.0.0.1:${port}`, { rejectUnauthorized: false })
        const stream = session.request({
          ":path": "/items",
          ...(authority === "" ? {} : { ":authority": authority }),
          ...credentials,
          ...headers
        })
        stream.on("response", (received) => {
          session.close()
          resume(Effect.succeed(received[":status"] ?? 0))
        })
        stream.resume()
        stream.end()
      })
    }).pipe(
      Effect.provide(
        HttpRouter.serve(routes(dpop), { disableLogger: true, disableListenLog: true }).pipe(
          Layer.provideMerge(
            NodeHttpServer.layer(
              () => (protocol === "http" ? http2.createServer() : http2.createSecureServer(selfSigned())),
              { port: 0, host: "127.0.0.1" }
            )
          ),
          Layer.provideMerge(TestIssuer.layer({ keys: ["ES256"] }))
        )
      )
    )

  it.live("names the fixed origin, or the authority of the request", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* status(fixed, "", "https://api.test/items"), 200)
      assert.strictEqual(yield* status({}, "", "http://127.0.0.1:PORT/items"), 200)
      assert.strictEqual(yield* status({}, "other.test", "http://other.test/items"), 200)
      assert.strictEqual(yield* status({}, "other.test", "http://127.0.0.1:PORT/items"), 401)
      assert.strictEqual(yield* status({}, "api.test", "http://evil.test/items", { host: "evil.test" }), 401)
    })
  )

  it.live("over TLS names https, and the authority in any case", () =>
    Effect.gen(function* () {
      const overTls = (dpop: Dpop.Options, authority: string, url: string) => status(dpop, authority, url, {}, "https")
      assert.strictEqual(yield* overTls(fixed, "", "https://api.test/items"), 200)
      assert.strictEqual(yield* overTls({}, "", "https://127.0.0.1:PORT/items"), 200)
      assert.strictEqual(yield* overTls({}, "", "http://127.0.0.1:PORT/items"), 401)
      assert.strictEqual(yield* overTls({}, "Other.test:443", "https://other.test/items"), 200)
      assert.strictEqual(yield* overTls({}, "other.test", "https://other.test/items?a=1"), 200)
      assert.strictEqual(yield* overTls({}, "other.test", "https://other.test/other"), 401)
    })
  )
})

describe("a web-standard request", () => {
  const status = (dpop: Dpop.Options, request: (headers: Readonly<Record<string, string>>) => Request, url: string) =>
    Effect.gen(function* () {
      const bound = yield* boundClient()
      const app = yield* HttpRouter.toHttpEffect(routes(dpop))
      const handle = HttpEffect.toWebHandlerWith(yield* Effect.context<never>())(
        // Safe cast: the app needs only the services of a request.
        app as Effect.Effect<HttpServerResponse.HttpServerResponse>
      )
      const headers = yield* headersOf(bound, { url })
      return (yield* Effect.promise(() => handle(request({ ...headers })))).status
    }).pipe(Effect.provide(TestIssuer.layer({ keys: ["ES256"] })), Effect.scoped)

  it.live("has the origin of its URL, if it has no Host header", () =>
    Effect.gen(function* () {
      const at = (url: string) => (headers: Readonly<Record<string, string>>) => new Request(url, { headers })
      assert.strictEqual(yield* status({}, at("https://edge.test/items?a"), "https://edge.test/items"), 200)
      assert.strictEqual(yield* status({}, at("https://edge.test/api/items"), "https://edge.test/api/items"), 200)
      assert.strictEqual(yield* status({}, at("https://edge.test/items"), "http://localhost/items"), 401)
      assert.strictEqual(yield* status({}, at("https://edge.test/items"), "https://localhost/items"), 401)
      assert.strictEqual(yield* status(fixed, at("http://internal/items"), "https://api.test/items"), 200)
      assert.strictEqual(yield* status(fixed, at("http://internal/items"), "http://internal/items"), 401)
    })
  )
})

describe("Dpop.make", () => {
  it.each([
    ["origin", { origin: "api.test" }],
    ["origin", { origin: "http://api.test" }],
    ["origin", { origin: "https://user@api.test" }],
    ["origin", { origin: "https://api.test?a" }],
    ["origin", { origin: "https://api.test#a" }],
    ["origin", { origin: 1 }],
    ["origin is an empty list", { origin: [] }],
    ["algorithms", { algorithms: [] }],
    ["algorithms", { algorithms: ["HS256"] }],
    ["algorithms", { algorithms: ["none"] }],
    ["algorithms", { algorithms: "ES256" }],
    ["maxAge", { maxAge: "0 seconds" }],
    ["maxAge", { maxAge: "11 minutes" }],
    ["maxAge", { maxAge: NaN }],
    ["clockTolerance", { clockTolerance: "61 seconds" }],
    ["clockTolerance", { clockTolerance: -1 }],
    ["nonces", { nonces: "yes" }]
  ])("refuses an invalid %s: %j", (name, options) => {
    assert.throws(() => Dpop.make(options as Dpop.Options), new RegExp(`Dpop\\.make: ${name}`))
  })

  it("accepts http on loopback", () => {
    assert.deepStrictEqual(Dpop.make({ origin: "http://localhost:3000" }).nonces, false)
  })
})
