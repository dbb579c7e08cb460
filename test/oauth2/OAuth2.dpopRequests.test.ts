// Requests with DPoP in company: step-up challenges, WebSockets and their messages, pages of other origins.
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { assert, describe, it, layer } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { HttpMiddleware, HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { Dpop, OAuth2, Requirement } from "effect-oauth2"
import { makeDpopClient, TestIssuer } from "effect-oauth2/testing"
import { createServer } from "node:http"
import { algs, type App, boundClient, codeOf, headersOf, origin, sendTo, Verifier } from "../support/dpopApp.ts"
import { hello, upgrade } from "../support/upgrades.ts"

const Issuer = TestIssuer.layer({ keys: ["ES256"] })
const run = <A, E, R>(self: Effect.Effect<A, E, R>) => self.pipe(Effect.provide(Issuer), Effect.scoped)

const auth = OAuth2.bearer("Api", { scopes: { read: "Read", pay: "Pay" }, dpop: Dpop.make({ origin }) })
const ok = Effect.succeed(HttpServerResponse.text("ok"))

describe("a request with DPoP that needs a stronger or newer authentication", () => {
  const app = HttpRouter.toHttpEffect(
    HttpRouter.add("POST", "/payments", ok).pipe(
      auth.require("pay", Requirement.acr("phr", "mfa"), Requirement.authenticatedWithin("5 minutes")),
      Layer.provide(auth.layer(Verifier))
    )
  ) as unknown as Effect.Effect<App>

  it.effect("gets the challenge of DPoP with acr_values, max_age and scope, and is accepted after it", () =>
    Effect.gen(function* () {
      const served = yield* app
      const client = yield* makeDpopClient()
      const at = { url: `${origin}/payments`, method: "POST" }
      const mint = (more: object) =>
        TestIssuer.use(({ mint }) => mint({ scopes: ["pay"], subject: "alice", boundTo: client, ...more }))
      const send = (token: string) =>
        Effect.flatMap(client.headers({ ...at, token }), (headers) => sendTo(served, headers, "/payments", "POST"))
      const weak = yield* send(yield* mint({ acr: "pwd", authenticatedAgo: "1 minute" }))
      assert.deepStrictEqual(
        [weak.status, ...weak.challenges],
        [401, `DPoP error="insufficient_user_authentication", acr_values="phr mfa", max_age="300", algs="${algs}"`]
      )
      const both = yield* send(yield* mint({ scopes: ["read"], acr: "pwd", authenticatedAgo: "1 minute" }))
      assert.strictEqual(both.status, weak.status)
      // With a missing scope, one challenge cures both.
      assert.deepStrictEqual(both.challenges, [
        `DPoP error="insufficient_user_authentication", acr_values="phr mfa", max_age="300", scope="pay", algs="${algs}"`
      ])
      assert.strictEqual((yield* send(yield* mint({ acr: "mfa", authenticatedAgo: "1 minute" }))).status, 200)
      // The proof comes before the authentication: a thief learns nothing about the requirement.
      const token = yield* mint({ acr: "pwd", authenticatedAgo: "1 minute" })
      const stolen = yield* headersOf({ client: yield* makeDpopClient(), token }, at)
      assert.strictEqual(codeOf(yield* sendTo(served, stolen, "/payments", "POST")), "invalid_token")
      assert.strictEqual(
        codeOf(yield* sendTo(served, { authorization: `Bearer ${token}` }, "/payments", "POST")),
        "invalid_token"
      )
    }).pipe(run)
  )
})

describe("a WebSocket with DPoP", () => {
  const message = Effect.gen(function* () {
    const { headers } = yield* HttpServerRequest.HttpServerRequest
    const token = Redacted.make(headers["x-message-token"] ?? "")
    return yield* auth
      .proveToken(
        token,
        "read"
      )(Effect.succeed("accepted"))
      .pipe(Effect.catchTag("InvalidToken", ({ claim }) => Effect.succeed(`refused: ${claim}`)))
  })
  const Routes = Layer.mergeAll(
    HttpRouter.add("GET", "/socket", hello).pipe(auth.require("read")),
    // Stands for a socket whose handler proves the token of a message.
    HttpRouter.add("GET", "/message", Effect.map(message, HttpServerResponse.text)).pipe(
      HttpRouter.provideRequest(auth.layer(Verifier))
    )
  ).pipe(Layer.provide(auth.layer(Verifier)))

  layer(
    HttpRouter.serve(Routes, { disableListenLog: true, disableLogger: true }).pipe(
      Layer.provideMerge(NodeHttpServer.layer(() => createServer(), { port: 0 })),
      Layer.provideMerge(Issuer)
    )
  )((it) => {
    it.effect("opens with a proof of its URL, once, and not without", () =>
      Effect.gen(function* () {
        const bound = yield* boundClient()
        const url = `${origin}/socket`
        const headers = yield* headersOf(bound, { url })
        const opened = yield* upgrade("/socket", headers)
        assert.deepStrictEqual([opened.status, opened.text], [101, "demo"])
        assert.strictEqual((yield* upgrade("/socket", headers)).status, 401)
        assert.strictEqual((yield* upgrade("/socket", { authorization: `DPoP ${bound.token}` })).status, 401)
        assert.strictEqual((yield* upgrade("/socket", { authorization: `Bearer ${bound.token}` })).status, 401)
        // The URL of a WebSocket has its own scheme, but the proof names the URL of the HTTP request.
        const ofSocket = yield* headersOf(bound, { url: url.replace("https:", "wss:") })
        assert.strictEqual((yield* upgrade("/socket", ofSocket)).status, 401)
      })
    )
  })

  it.effect("proves nothing about a bound token in a message, and does not stop bearer tokens", () =>
    Effect.gen(function* () {
      const app = (yield* HttpRouter.toHttpEffect(Routes)) as unknown as App
      const bound = yield* boundClient()
      const bearer = yield* TestIssuer.use(({ mint }) => mint({ scopes: ["read"] }))
      const outcome = (token: string) =>
        Effect.gen(function* () {
          const other = yield* boundClient()
          const headers = yield* headersOf(other, { url: `${origin}/message` })
          const handled = yield* app.pipe(
            Effect.provideService(
              HttpServerRequest.HttpServerRequest,
              HttpServerRequest.fromWeb(
                new Request(`${origin}/message`, { headers: { ...headers, "x-message-token": token } })
              )
            )
          )
          return yield* Effect.promise(() => HttpServerResponse.toWeb(handled).text())
        })
      assert.strictEqual(yield* outcome(bound.token), "refused: cnf")
      assert.strictEqual(yield* outcome(bearer), "accepted")
    }).pipe(run)
  )
})

describe("a page of another origin", () => {
  const noncesAuth = OAuth2.bearer("Api", { scopes: { read: "Read" }, dpop: Dpop.make({ origin, nonces: true }) })
  // As docs/guides/dpop.md shows.
  const cors = HttpMiddleware.cors({
    allowedOrigins: ["https://app.example.com"],
    allowedHeaders: ["Authorization", "DPoP"],
    exposedHeaders: ["WWW-Authenticate", "DPoP-Nonce"]
  })
  const served = Effect.map(
    HttpRouter.toHttpEffect(
      HttpRouter.add("GET", "/items", ok).pipe(
        noncesAuth.require("read"),
        Layer.provide(noncesAuth.layer(Verifier)),
        Layer.provideMerge(HttpRouter.middleware(cors, { global: true }))
      )
    ),
    (app): App => app
  )

  it.effect("may send a proof, and read the challenge and the nonce of the refusal and of the response", () =>
    Effect.gen(function* () {
      const app = yield* served
      const page = { origin: "https://app.example.com" }
      const preflight = yield* sendTo(
        app,
        { ...page, "access-control-request-method": "GET", "access-control-request-headers": "authorization, dpop" },
        "/items",
        "OPTIONS"
      )
      assert.strictEqual(preflight.status, 204)
      assert.deepStrictEqual(preflight.challenges, [])
      const allowed = (preflight.headers["access-control-allow-headers"] ?? "").toLowerCase().split(/,\s*/)
      assert.includeMembers(allowed, ["authorization", "dpop"])
      const bound = yield* boundClient()
      const readable = ({ headers }: { readonly headers: Readonly<Record<string, string>> }) => {
        assert.strictEqual(headers["access-control-allow-origin"], page.origin)
        const names = (headers["access-control-expose-headers"] ?? "").toLowerCase().split(/,\s*/)
        return Object.fromEntries(Object.entries(headers).filter(([name]) => names.includes(name)))
      }
      const refused = readable(yield* sendTo(app, { ...page, ...(yield* headersOf(bound)) }))
      assert.include(refused["www-authenticate"] ?? "", 'error="use_dpop_nonce"')
      const nonce = refused["dpop-nonce"] ?? ""
      assert.isNotEmpty(nonce)
      const answer = yield* sendTo(app, { ...page, ...(yield* headersOf(bound, { nonce })) })
      assert.strictEqual(answer.status, 200)
      assert.isNotEmpty(readable(answer)["dpop-nonce"])
    }).pipe(run)
  )
})
