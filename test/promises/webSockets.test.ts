/** Requirements on routes that upgrade to a WebSocket. */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { assert, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { HttpRouter, HttpServer, HttpServerRequest, HttpServerResponse } from "effect/http"
import { NetAddress } from "effect/net"
import { AccessToken, OAuth2 } from "effect-oauth2"
import { send, verifierLayer } from "../support/bearerTokenApp.ts"
import { authorizationServer } from "../support/authorizationServer.ts"

const auth = OAuth2.authorizationCode("OAuth2", { ...authorizationServer, scopes: { admin: "" } })

/** Sends the subject of the token, and then the first message back. */
const echo = Effect.scoped(
  Effect.gen(function* () {
    const { subject } = yield* AccessToken
    const request = yield* HttpServerRequest.HttpServerRequest
    const socket = yield* request.upgrade
    const reader = yield* socket.reader
    const writer = yield* socket.writer
    yield* writer.write(`hello ${subject}`)
    const [first] = yield* reader.pull
    yield* writer.write(first)
    return HttpServerResponse.empty()
  })
)

const App = Layer.mergeAll(
  HttpRouter.add("GET", "/socket", echo).pipe(auth.require()),
  HttpRouter.add("GET", "/admin", echo).pipe(auth.require("admin"))
).pipe(OAuth2.secured, Layer.provide(auth.layer(verifierLayer)))

const port = Effect.map(HttpServer.HttpServer, ({ address }) =>
  NetAddress.isUnixPathAddress(address) ? 0 : address.port
)

/** Returns the messages that a client receives until the socket closes, or `refused` if the socket does not open. */
const talk = (path: string, token?: string) =>
  Effect.flatMap(port, (port) =>
    Effect.callback<ReadonlyArray<string>>((resume) => {
      const heard: Array<string> = []
      const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, {
        headers: token === undefined ? {} : { authorization: `Bearer ${token}` }
      } as never)
      socket.addEventListener("open", () => socket.send("ping"))
      socket.addEventListener("message", ({ data }) => {
        heard.push(String(data))
        if (heard.length === 2) socket.close()
      })
      socket.addEventListener("close", () => resume(Effect.succeed(heard)))
      socket.addEventListener("error", () => resume(Effect.succeed(["refused"])))
    })
  )

layer(
  HttpRouter.serve(App, { disableLogger: true, disableListenLog: true }).pipe(
    Layer.provideMerge(NodeHttpServer.layerTest)
  )
)("a WebSocket behind a requirement", (it) => {
  it.effect("opens for a valid token, and its handler gets the token", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* talk("/socket", "alice"), ["hello alice", "ping"])
    })
  )

  it.effect("does not open without a valid token, and the response is the same as for other requests", () =>
    Effect.gen(function* () {
      const { headers, status } = yield* send(
        [
          "GET /admin HTTP/1.1",
          "Host: localhost",
          "Connection: Upgrade",
          "Upgrade: websocket",
          "Sec-WebSocket-Version: 13",
          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
          "Authorization: Bearer alice",
          "",
          ""
        ].join("\r\n")
      )
      assert.strictEqual(status, 401)
      assert.include(headers, 'www-authenticate: bearer scope="admin"')
      assert.deepStrictEqual(yield* talk("/socket"), ["refused"])
      assert.deepStrictEqual(yield* talk("/socket", "a b"), ["refused"])
      assert.deepStrictEqual(yield* talk("/admin", "alice"), ["refused"])
      assert.deepStrictEqual(yield* talk("/socket", "bob"), ["hello bob", "ping"])
    })
  )
})
