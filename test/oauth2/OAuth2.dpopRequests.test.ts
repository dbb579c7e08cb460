// Requests with DPoP in company: step-up challenges, WebSockets and their messages, pages of other origins.
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { assert, describe, it, layer } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { HttpMiddleware, HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { Socket } from "effect/socket"
import { TestClock } from "effect/testing"
import { Dpop, OAuth2, Requirement } from "effect-oauth2"
import { makeDpopClient, TestIssuer } from "effect-oauth2/testing"
import { createServer } from "node:http"
import { createServer as createSecureServer } from "node:https"
import { selfSigned } from "../support/certificates.ts"
import { algs, type App, boundClient, codeOf, headersOf, origin, sendTo, Verifier } from "../support/dpopApp.ts"
import { portOf } from "../support/rpc.ts"
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

/** Sends each message back until the token ends, and then closes the socket. */
const echoUntilExpiry = <Id, E>(expiry: Effect.Effect<never, E, Id>) =>
  Effect.gen(function* () {
    const { upgrade } = yield* HttpServerRequest.HttpServerRequest
    const socket = yield* upgrade
    const { pull } = yield* socket.reader
    const { write } = yield* socket.writer
    const answers = Effect.forever(Effect.flatMap(pull, (messages) => Effect.forEach(messages, write)))
    yield* Effect.raceFirst(answers, expiry).pipe(
      Effect.catch(() => Effect.ignore(write(new Socket.CloseEvent(4401, "get a new token"))))
    )
    return HttpServerResponse.empty()
  }).pipe(Effect.scoped)

/** Opens a WebSocket with real frames. Fails with the text `refused` if the server does not accept it. */
const connect = (path: string, headers: Readonly<Record<string, string>>) =>
  Effect.gen(function* () {
    const port = yield* portOf
    const received: Array<string> = []
    let notify = () => {}
    const socket = yield* Effect.acquireRelease(
      Effect.callback<WebSocket, string>((resume) => {
        // Safe cast: the constructor of Node accepts headers.
        const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, { headers } as never)
        socket.addEventListener("open", () => resume(Effect.succeed(socket)))
        socket.addEventListener("error", () => resume(Effect.fail("refused")))
        const receive = (text: string) => {
          received.push(text)
          notify()
        }
        socket.addEventListener("message", ({ data }) => receive(String(data)))
        socket.addEventListener("close", ({ code }) => receive(`closed ${code}`))
      }),
      (socket) => Effect.sync(() => socket.close())
    )
    /** Returns the next message, or the end of the socket. */
    const next = Effect.callback<string>((resume) => {
      notify = () => {
        const [text] = received.splice(0, 1)
        if (text !== undefined) resume(Effect.succeed(text))
      }
      notify()
    })
    return {
      next,
      ask: (text: string) =>
        Effect.andThen(
          Effect.sync(() => socket.send(text)),
          next
        )
    }
  })

describe("a WebSocket with DPoP", () => {
  const anyHost = OAuth2.bearer("AnyHost", { scopes: { read: "Read" }, dpop: Dpop.make() })
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
    HttpRouter.add("GET", "/echo", echoUntilExpiry(auth.expiry)).pipe(auth.require("read")),
    HttpRouter.add("GET", "/any-host", hello).pipe(anyHost.require("read")),
    // Stands for a socket whose handler proves the token of a message.
    HttpRouter.add("GET", "/message", Effect.map(message, HttpServerResponse.text)).pipe(
      HttpRouter.provideRequest(auth.layer(Verifier))
    )
  ).pipe(Layer.provide([auth.layer(Verifier), anyHost.layer(Verifier)]))

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

    it.effect("carries messages in both directions, and ends with the token", () =>
      Effect.gen(function* () {
        const bound = yield* boundClient()
        const at = { url: `${origin}/echo` }
        const { ask, next } = yield* connect("/echo", { ...(yield* headersOf(bound, at)) })
        for (let i = 0; i < 3; i++) assert.strictEqual(yield* ask(`message ${i}`), `message ${i}`)
        // The proof itself is too old now, but it counts only when the socket opens.
        yield* TestClock.adjust("5 minutes")
        assert.strictEqual(yield* ask("later"), "later")
        yield* TestClock.adjust("1 hour")
        assert.strictEqual(yield* next, "closed 4401")
        assert.strictEqual(yield* Effect.flip(connect("/echo", { ...(yield* headersOf(bound, at)) })), "refused")
      })
    )

    it.effect("does not open with the proof of a thief, of another path or method, or without a proof", () =>
      Effect.gen(function* () {
        const bound = yield* boundClient()
        const thief = { client: yield* makeDpopClient(), token: bound.token }
        const at = { url: `${origin}/echo` }
        for (const headers of [
          yield* headersOf(thief, at),
          yield* headersOf(bound, { ...at, signWith: thief.client.key }),
          yield* headersOf(bound, { ...at, method: "POST" }),
          yield* headersOf(bound, { url: `${origin}/socket` }),
          yield* headersOf(bound, { url: "wss://api.test/echo" }),
          { authorization: `DPoP ${bound.token}` },
          { authorization: `Bearer ${bound.token}` }
        ]) {
          assert.strictEqual(yield* Effect.flip(connect("/echo", { ...headers })), "refused")
        }
        const { ask } = yield* connect("/echo", { ...(yield* headersOf(bound, at)) })
        assert.strictEqual(yield* ask("hello"), "hello")
      })
    )

    it.effect("without a fixed origin needs the http URL of a ws URL", () =>
      Effect.gen(function* () {
        const bound = yield* boundClient()
        const host = `127.0.0.1:${yield* portOf}`
        const statusFor = (scheme: string) =>
          Effect.flatMap(headersOf(bound, { url: `${scheme}://${host}/any-host` }), (headers) =>
            Effect.map(upgrade("/any-host", headers), ({ status }) => status)
          )
        assert.deepStrictEqual(yield* Effect.forEach(["http", "ws", "https", "wss"], statusFor), [101, 401, 401, 401])
      })
    )
  })

  layer(
    HttpRouter.serve(Routes, { disableListenLog: true, disableLogger: true }).pipe(
      Layer.provideMerge(NodeHttpServer.layer(() => createSecureServer(selfSigned()), { port: 0 })),
      Layer.provideMerge(Issuer)
    )
  )("over TLS", (it) => {
    it.effect("without a fixed origin needs the https URL of a wss URL", () =>
      Effect.gen(function* () {
        const bound = yield* boundClient()
        const host = `127.0.0.1:${yield* portOf}`
        const statusFor = (scheme: string) =>
          Effect.flatMap(headersOf(bound, { url: `${scheme}://${host}/any-host` }), (headers) =>
            Effect.map(upgrade("/any-host", headers, "https"), ({ status }) => status)
          )
        assert.deepStrictEqual(yield* Effect.forEach(["https", "wss", "http", "ws"], statusFor), [101, 401, 401, 401])
        const headers = yield* headersOf(bound, { url: `${origin}/socket` })
        assert.deepStrictEqual((yield* upgrade("/socket", headers, "https")).text, "demo")
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
