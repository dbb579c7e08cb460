/** Sessions on real connections: procedures over HTTP and a WebSocket, and sockets of pages. They end with the session. */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { assert, layer } from "@effect/vitest"
import { Cause, Deferred, Effect, Exit, Fiber, Layer, Option, Redacted, Schema, Stream } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { Rpc, RpcClient, RpcGroup, RpcSerialization, RpcServer } from "effect/rpc"
import { Socket } from "effect/socket"
import { SqlClient } from "effect/sql"
import { AccessToken, OAuth2 } from "effect-oauth2"
import { Login, type SessionData, Sessions, SessionVerifier } from "effect-oauth2/login"
import { TestClock } from "effect/testing"
import { authorizationServer } from "../support/authorizationServer.ts"
import { loginOptions } from "../support/loginApp.ts"
import * as nodeSqlite from "../support/nodeSqlite.ts"
import { bearer, portOf, transports } from "../support/rpc.ts"
import { settle } from "../support/settle.ts"
import { layerOf } from "../support/testIssuers.ts"
import { Verifier } from "../support/TestVerifier.ts"

const data: SessionData = {
  issuer: "https://idp.test",
  subject: "alice",
  sessionId: "session-1",
  clientId: "web",
  claims: {},
  scopes: [],
  accessToken: Redacted.make("access-of-session"),
  accessTokenExpiresAt: undefined,
  refreshToken: undefined,
  idToken: undefined,
  authenticatedAt: undefined,
  acr: undefined
}

const scopes = { "items:read": "Read your items" }
const either = OAuth2.authorizationCode("OAuth2", {
  ...authorizationServer,
  scopes,
  responses: "rfc6750",
  session: {}
})
// Both schemes have the same scopes.
const only = OAuth2.session("Users", { scopes, responses: "rfc6750" }) as unknown as typeof either
const verifier = new Verifier({ "access-of-session": ["items:read"], "bearer-token": ["items:read"] })

/** Completes when a stream or a socket waits. */
let waits = Deferred.makeUnsafe<void>()
/** The number of streams that have ended. */
let ended = 0

const forever = Effect.suspend(() => {
  Deferred.doneUnsafe(waits, Effect.void)
  return Effect.ensuring(
    Effect.never,
    Effect.sync(() => {
      ended++
    })
  )
})

const appOf = (scheme: typeof either) => {
  const requirement = scheme.require("items:read")
  const Procedures = RpcGroup.make(
    Rpc.make("Me", { success: Schema.String }).middleware(requirement.rpc),
    Rpc.make("Ticks", { success: Schema.Number, stream: true }).middleware(requirement.rpc)
  )
  const Handlers = Procedures.toLayer({
    Me: () => Effect.map(AccessToken, ({ subject }) => subject),
    Ticks: () => Stream.concat(Stream.make(0), Stream.fromEffect(forever))
  })
  const server = (path: `/${string}`, protocol: "http" | "websocket") =>
    RpcServer.layerHttp({ group: Procedures, path, protocol, disableFatalDefects: true })
  const socket = Effect.gen(function* () {
    const request = yield* HttpServerRequest.HttpServerRequest
    const upgraded = yield* request.upgrade
    const { pull } = yield* upgraded.reader
    const { write } = yield* upgraded.writer
    Deferred.doneUnsafe(waits, Effect.void)
    yield* Effect.raceFirst(Effect.forever(pull), scheme.expiry).pipe(
      Effect.catchTag("InvalidToken", () => write(new Socket.CloseEvent(4401, "session ended"))),
      Effect.catchTag("SocketError", () => Effect.void)
    )
    return HttpServerResponse.empty()
  }).pipe(Effect.scoped)
  const App = Layer.mergeAll(
    Layer.merge(server("/http", "http"), server("/socket", "websocket")).pipe(
      Layer.provide(Handlers),
      OAuth2.Public("each procedure has its own requirement")
    ),
    HttpRouter.add("GET", "/page-socket", socket).pipe(requirement)
  ).pipe(OAuth2.secured, Layer.provide(RpcSerialization.layerNdjson))
  return { App, Procedures }
}

const schemes = Layer.merge(
  either.layer(verifier.layer.pipe(SessionVerifier.accessTokens)),
  only.layer(SessionVerifier.layer({ scopes: () => ["items:read"] }))
).pipe(Layer.provide(Login.layer("session", loginOptions)))

const Store = Layer.unwrap(
  Effect.map(nodeSqlite.file, (file) =>
    Sessions.layerSql({ idleTimeout: "10 minutes", timeout: "10 seconds" }).pipe(
      Layer.provideMerge(nodeSqlite.layer(file))
    )
  )
)

const outcome = <A, E, R>(call: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.exit(call), (exit): unknown => {
    if (Exit.isSuccess(exit)) return exit.value
    const error = Option.getOrUndefined(Cause.findErrorOption(exit.cause)) as { readonly _tag: string } | undefined
    return error === undefined ? "defect" : error._tag
  })

/** Opens a socket as a page does. Resolves with the code of the close event, or `refused` if it does not open. */
const openSocket = (headers: Readonly<Record<string, string>>) =>
  Effect.flatMap(portOf, (port) =>
    Effect.callback<number | "refused">((resume) => {
      const socket = new WebSocket(`ws://127.0.0.1:${port}/page-socket`, { headers } as never)
      socket.addEventListener("error", () => resume(Effect.succeed("refused")))
      socket.addEventListener("close", ({ code }) => resume(Effect.succeed(code)))
      return Effect.sync(() => socket.close())
    })
  )

for (const [name, scheme] of Object.entries({ "access tokens of sessions": either, "sessions as identities": only })) {
  const { App, Procedures } = appOf(scheme)
  const Served = HttpRouter.serve(App.pipe(Layer.provide(schemes)), {
    disableLogger: true,
    disableListenLog: true
  }).pipe(Layer.provideMerge(NodeHttpServer.layerTest), Layer.provide(layerOf()), Layer.provideMerge(Store))

  layer(Served)(`a connection with ${name}`, (it) => {
    const signedIn = (more: Partial<SessionData> = {}) =>
      Effect.gen(function* () {
        const { create } = yield* Sessions
        const value = yield* create({ ...data, ...more })
        return { value, cookie: `__Host-session=${Redacted.value(value)}` }
      })
    const own = Effect.map(portOf, (port) => `http://127.0.0.1:${port}`)
    const connect = (kind: keyof typeof transports, headers: Readonly<Record<string, string>>) =>
      Effect.flatMap(Layer.build(Layer.fresh(transports[kind](headers))), (context) =>
        Effect.provide(RpcClient.make(Procedures), [scheme.client("anonymous"), Layer.succeedContext(context)])
      )
    const subject = scheme === either ? "access-of-session" : "alice"

    it.effect("HTTP: a call needs the static header of the request, which no header of the call replaces", () =>
      Effect.gen(function* () {
        const { cookie } = yield* signedIn()
        const good = yield* connect("HTTP", { cookie, "x-csrf": "1" })
        assert.strictEqual(yield* good.Me(), subject)
        for (const headers of [
          { cookie },
          { cookie, "x-csrf": "1", "sec-fetch-site": "cross-site" },
          { cookie, "x-csrf": "1", origin: "https://evil.test" }
        ]) {
          const { Me } = yield* connect("HTTP", headers)
          assert.strictEqual(yield* outcome(Me()), "InvalidRequest")
          const lying = { "x-csrf": "1", "sec-fetch-site": "same-origin", origin: yield* own }
          assert.strictEqual(yield* outcome(Me(undefined, { headers: lying })), "InvalidRequest")
        }
      })
    )

    it.effect("WebSocket: a call needs an upgrade from a page of the app", () =>
      Effect.gen(function* () {
        const { cookie } = yield* signedIn()
        const good = yield* connect("WebSocket", { cookie, origin: yield* own })
        assert.strictEqual(yield* good.Me(), subject)
        for (const headers of [
          { cookie, origin: "https://evil.test", "x-csrf": "1", "sec-fetch-site": "same-origin" },
          { cookie, origin: "null", "x-csrf": "1" },
          { cookie, "x-csrf": "1" }
        ]) {
          const { Me } = yield* connect("WebSocket", headers)
          assert.strictEqual(yield* outcome(Me()), "InvalidRequest", JSON.stringify(headers))
        }
      })
    )

    it.effect("a socket of another site does not open, although the browser adds the cookie", () =>
      Effect.gen(function* () {
        const { cookie } = yield* signedIn()
        for (const origin of ["https://evil.test", "null", "http://127.0.0.1.evil.test"]) {
          assert.strictEqual(yield* openSocket({ cookie, origin }), "refused", origin)
        }
        assert.strictEqual(yield* openSocket({ origin: yield* own }), "refused")
      })
    )

    if (scheme === either)
      it.effect("a call with a token of its own on a connection with a cookie has two credentials", () =>
        Effect.gen(function* () {
          const { cookie } = yield* signedIn()
          const { Me } = yield* connect("WebSocket", { cookie, origin: yield* own })
          assert.strictEqual(yield* outcome(Me(undefined, bearer("bearer-token"))), "InvalidRequest")
          const other = yield* connect("WebSocket", { origin: yield* own })
          assert.strictEqual(yield* other.Me(undefined, bearer("bearer-token")), "bearer-token")
        })
      )

    for (const kind of ["HTTP", "WebSocket"] as const) {
      /** Returns what a stream ends with after `end`, and the outcome of the next call on the connection. */
      const stream = <E, R>(end: (cookie: Redacted.Redacted) => Effect.Effect<unknown, E, R>) =>
        Effect.gen(function* () {
          waits = Deferred.makeUnsafe<void>()
          ended = 0
          const { cookie, value } = yield* signedIn()
          const { Me, Ticks } = yield* connect(kind, { cookie, "x-csrf": "1", origin: yield* own })
          const fiber = yield* Effect.forkScoped(outcome(Stream.runDrain(Ticks())))
          yield* Deferred.await(waits)
          assert.isUndefined(fiber.pollUnsafe())
          yield* end(value)
          const last = yield* Fiber.join(fiber)
          return [last, ended, yield* outcome(Me())]
        })
      const over = ["InvalidToken", 1, "NotAuthenticated"]

      it.effect(`${kind}: a stream ends when its user signs out, and the next call is refused`, () =>
        Effect.gen(function* () {
          const { destroy } = yield* Sessions
          assert.deepStrictEqual(yield* stream(destroy), over)
        })
      )

      it.effect(`${kind}: a stream ends when the identity provider ends the session`, () =>
        Effect.gen(function* () {
          const { destroyBy } = yield* Sessions
          const { issuer, subject } = data
          assert.deepStrictEqual(yield* stream(() => destroyBy({ issuer, subject })), over)
          // A sign-in that began before the logout would fail.
          yield* TestClock.adjust("1 second")
        })
      )

      it.effect(`${kind}: a stream ends within 30 seconds if another process ends the session`, () =>
        Effect.gen(function* () {
          const sql = yield* SqlClient.SqlClient
          const elsewhere = Effect.andThen(sql`DELETE FROM effect_oauth2_sessions`, TestClock.adjust("30 seconds"))
          assert.deepStrictEqual(yield* stream(() => elsewhere), over)
        })
      )

      it.effect(`${kind}: a stream is no use of its session, so it ends with the idle time-out`, () =>
        Effect.gen(function* () {
          const idle = Effect.gen(function* () {
            // The connection has asked the store by the second step.
            yield* TestClock.adjust("6 minutes")
            for (let turn = 0; turn < 50; turn++) yield* settle
            yield* TestClock.adjust("6 minutes")
          })
          assert.deepStrictEqual(yield* stream(() => idle), over)
        })
      )
    }

    it.effect("a socket is closed when its user signs out, and the sockets of other sessions stay", () =>
      Effect.gen(function* () {
        const { destroy } = yield* Sessions
        const origin = yield* own
        const first = yield* signedIn()
        const second = yield* signedIn({ subject: "bob" })
        waits = Deferred.makeUnsafe<void>()
        const closed = yield* Effect.forkScoped(openSocket({ cookie: first.cookie, origin }))
        yield* Deferred.await(waits)
        waits = Deferred.makeUnsafe<void>()
        const other = yield* Effect.forkScoped(openSocket({ cookie: second.cookie, origin }))
        yield* Deferred.await(waits)
        yield* destroy(first.value)
        assert.strictEqual(yield* Fiber.join(closed), 4401)
        assert.isUndefined(other.pollUnsafe())
        yield* destroy(second.value)
        assert.strictEqual(yield* Fiber.join(other), 4401)
      })
    )
  })
}
