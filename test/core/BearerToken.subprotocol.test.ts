/** Tokens in the `Sec-WebSocket-Protocol` header, over real sockets. */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { assert, describe, it, layer } from "@effect/vitest"
import { Cause, Effect, Exit, Layer, Logger, Redacted, Tracer } from "effect"
import { Headers, HttpMiddleware, HttpRouter, HttpServerRequest } from "effect/http"
import { BearerToken, OAuth2 } from "effect-oauth2"
import { inspect } from "node:util"
import { authorizationServer } from "../support/authorizationServer.ts"
import { verifierLayer } from "../support/rpc.ts"
import { hello, upgrade } from "../support/upgrades.ts"

const auth = OAuth2.authorizationCode("OAuth2", { ...authorizationServer, responses: "rfc6750", scopes: { read: "" } })

const Chat = HttpRouter.add(
  "GET",
  "/chat",
  BearerToken.fromSubprotocol.pipe(
    Effect.catch(auth.refuse),
    Effect.flatMap((token) => hello.pipe(auth.proveToken(token, "read")))
  )
).pipe(OAuth2.Public("the sub-protocol carries the token"), OAuth2.secured)

const served = (more: Layer.Layer<never>) =>
  HttpRouter.serve(Chat, { disableListenLog: true }).pipe(
    Layer.provide([more, auth.layer(verifierLayer)]),
    Layer.provideMerge(NodeHttpServer.layerTest)
  )

const chat = (protocols: string) => upgrade("/chat", { "sec-websocket-protocol": protocols })

const requestWith = (headers: Readonly<Record<string, string>>) =>
  HttpServerRequest.fromWeb(new Request("http://localhost/", { headers }))

const read = (headers: Readonly<Record<string, string>>) =>
  BearerToken.fromSubprotocol.pipe(
    Effect.map(Redacted.value),
    Effect.catch((error) => Effect.succeed(`${error._tag} ${error.reason}`)),
    Effect.provideService(HttpServerRequest.HttpServerRequest, requestWith(headers)),
    Effect.provide(BearerToken.layerSubprotocol)
  )

describe("BearerToken.fromSubprotocol", () => {
  const cases: ReadonlyArray<readonly [string, string]> = [
    ["chat, bearer.a.b-c_d~e", "a.b-c_d~e"],
    ["chat,bearer.abc", "abc"],
    ["chat ,\t bearer.abc , v2", "abc"],
    ["chat", "NotAuthenticated NoCredentials"],
    ["", "NotAuthenticated NoCredentials"],
    ["chat, Bearer.abc", "NotAuthenticated NoCredentials"],
    ["chat, xbearer.abc", "NotAuthenticated NoCredentials"],
    ["bearer.abc", "InvalidRequest Malformed"],
    ["bearer.abc, chat", "InvalidRequest Malformed"],
    ["chat, bearer.", "InvalidRequest Malformed"],
    ["chat, bearer.a b", "InvalidRequest Malformed"],
    ["chat, bearer.a=b", "InvalidRequest Malformed"],
    ["chat, bearer.abc, bearer.abd", "InvalidRequest SeveralCredentials"],
    ["chat, bearer.abc, bearer.abc", "InvalidRequest SeveralCredentials"],
    [`chat, bearer.${"a".repeat(8192)}`, "InvalidRequest TooLong"]
  ]

  it.effect.each(cases)("reads %s as %s", ([protocols, expected]) =>
    Effect.gen(function* () {
      assert.strictEqual(yield* read({ "sec-websocket-protocol": protocols }), expected)
    })
  )

  it.effect("does not read the Authorization header", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* read({ authorization: "Bearer abc" }), "NotAuthenticated NoCredentials")
    })
  )

  it.effect("returns a token that does not print", () =>
    Effect.gen(function* () {
      const token = yield* BearerToken.fromSubprotocol.pipe(
        Effect.provideService(
          HttpServerRequest.HttpServerRequest,
          requestWith({ "sec-websocket-protocol": "chat, bearer.secret" })
        ),
        Effect.provide(BearerToken.layerSubprotocol)
      )
      assert.notInclude(inspect(token, { depth: 9 }), "secret")
    })
  )
})

layer(served(BearerToken.layerSubprotocol))("a WebSocket with a token as a sub-protocol", (it) => {
  it.effect("opens, and the response has the other protocol only", () =>
    Effect.gen(function* () {
      const { headers, protocol, status, text } = yield* chat("chat, bearer.alice~read")
      assert.deepStrictEqual([status, protocol, text], [101, "chat", "alice"])
      assert.notInclude(headers, "bearer")
    })
  )

  it.effect("does not open if the token is refused, lacks a scope, or is the first protocol", () =>
    Effect.gen(function* () {
      for (const [protocols, expected] of [
        ["chat, bearer.bad~read", 401],
        ["chat, bearer.alice~", 403],
        ["chat", 401],
        ["bearer.alice~read, chat", 400]
      ] as const) {
        const { headers, status } = yield* chat(protocols)
        assert.strictEqual(status, expected, protocols)
        assert.notInclude(headers, "alice", protocols)
      }
    })
  )
})

describe("the token in a sub-protocol", () => {
  const spans: Array<Tracer.Span> = []
  const tracer = Tracer.make({
    span: (options) => {
      const span = new Tracer.NativeSpan(options)
      spans.push(span)
      return span
    }
  })
  const logged: Array<unknown> = []
  const logger = Logger.make((options) => void logged.push(options.message, options.cause))
  const Recorders = Layer.mergeAll(
    Layer.succeed(Tracer.Tracer, tracer),
    Layer.succeed(HttpMiddleware.TracerHeaderFilter, () => true),
    Logger.layer([logger])
  )
  const seen = () => inspect([spans.map(({ attributes }) => attributes), logged], { depth: 20 })

  it.effect("is neither in spans nor in logs", () =>
    Effect.gen(function* () {
      spans.length = logged.length = 0
      const { status } = yield* Effect.provide(
        chat("chat, bearer.alice~read"),
        served(Layer.merge(BearerToken.layerSubprotocol, Recorders))
      )
      assert.strictEqual(status, 101)
      assert.include(seen(), "http.request.header.sec-websocket-protocol")
      assert.notInclude(seen(), "alice")
    })
  )

  it.effect("is not read without layerSubprotocol, and the defect does not contain the token", () =>
    Effect.gen(function* () {
      const exit = yield* BearerToken.fromSubprotocol.pipe(
        Effect.provideService(
          HttpServerRequest.HttpServerRequest,
          requestWith({ "sec-websocket-protocol": "chat, bearer.secret" })
        ),
        Effect.exit
      )
      const message =
        "BearerToken.fromSubprotocol: spans and logs could contain the token, because the header Sec-WebSocket-Protocol is not redacted. Provide BearerToken.layerSubprotocol to the server."
      assert.strictEqual(Exit.isFailure(exit) && (Cause.squash(exit.cause) as Error).message, message)
      const { status } = yield* Effect.provide(chat("chat, bearer.alice~read"), served(Layer.empty))
      assert.strictEqual(status, 500)
    })
  )

  it.effect("is read if a pattern of the program redacts the header", () =>
    Effect.gen(function* () {
      const token = yield* BearerToken.fromSubprotocol.pipe(
        Effect.provideService(
          HttpServerRequest.HttpServerRequest,
          requestWith({ "sec-websocket-protocol": "chat, bearer.secret" })
        ),
        Effect.provideService(Headers.CurrentRedactedNames, [/^sec-/])
      )
      assert.strictEqual(Redacted.value(token), "secret")
    })
  )
})
