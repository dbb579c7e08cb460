/**
 * Procedures of `effect/rpc` behind requirements, over a WebSocket: a client without a token, with a token, and with a
 * token that expires while the socket is open.
 */
import { NodeHttpServer } from "@effect/platform-node"
import { Effect, Layer, Redacted, Ref, Schema, Stream } from "effect"
import { HttpRouter, HttpServer } from "effect/http"
import { NetAddress } from "effect/net"
import { Rpc, RpcClient, RpcGroup, RpcSerialization, RpcServer } from "effect/rpc"
import { Socket } from "effect/socket"
import { JwtVerifier, OAuth2 } from "effect-oauth2"
import { TestIssuer } from "effect-oauth2/testing"

const auth = OAuth2.authorizationCode("OAuth2", {
  authorizationUrl: "https://issuer.test/authorize",
  tokenUrl: "https://issuer.test/token",
  scopes: { "items:read": "Read your items", "items:write": "Modify your items" }
})

// Client and server share this group. A procedure without a requirement does not compile.
const Items = OAuth2.secured(
  RpcGroup.make(
    Rpc.make("Add", { payload: { name: Schema.String }, success: Schema.String }).middleware(
      auth.require("items:write").rpc
    ),
    Rpc.make("Watch", { success: Schema.String, stream: true })
  )
    .middleware(auth.require("items:read").rpc)
    .add(Rpc.make("Health", { success: Schema.String }).middleware(OAuth2.Public("the load balancer has no token").rpc))
)

const Handlers = Items.toLayer({
  Add: ({ name }) => Effect.map(auth.granted("items:write"), ({ subject }) => `${subject} added ${name}`),
  Watch: () => Stream.concat(Stream.make("an item"), Stream.never),
  Health: () => Effect.succeed("ok")
})

const Server = RpcServer.layerHttp({ group: Items, path: "/rpc" }).pipe(
  OAuth2.Public("each procedure has its own requirement"),
  OAuth2.secured,
  Layer.provide([Handlers, RpcSerialization.layerNdjson])
)

const Authentication = auth
  .layer(JwtVerifier.layer({ issuer: "https://issuer.test", audience: "https://api.test" }))
  .pipe(Layer.provideMerge(TestIssuer.layer()))

const Url = Effect.map(HttpServer.HttpServer, ({ address }) =>
  NetAddress.isUnixPathAddress(address) ? "" : `ws://127.0.0.1:${address.port}/rpc`
)

const Protocol = RpcClient.layerProtocolSocket().pipe(
  Layer.provide(Layer.unwrap(Effect.map(Url, (url) => Socket.layerWebSocket(url)))),
  Layer.provide([Socket.layerWebSocketConstructorGlobal, RpcSerialization.layerNdjson])
)

/** Tells `print` what the client receives. */
export const program = (print: (line: string) => Effect.Effect<void>) =>
  Effect.gen(function* () {
    const { mint } = yield* TestIssuer
    const current = yield* Ref.make(Redacted.make(yield* mint({ subject: "visitor", scopes: ["items:read"] })))
    const tokens = auth.layerClient({ token: Ref.get(current) })
    yield* Effect.gen(function* () {
      const client = yield* RpcClient.make(Items)
      const failureOf = (call: Effect.Effect<unknown, { readonly _tag: string }>) =>
        Effect.map(Effect.flip(call), ({ _tag }) => _tag)

      yield* print(`health: ${yield* client.Health()}`)
      yield* print(`a visitor adds: ${yield* failureOf(client.Add({ name: "a pen" }))}`)

      yield* Ref.set(current, Redacted.make(yield* mint({ subject: "demo", scopes: ["items:read", "items:write"] })))
      yield* print(`with a new token on the same socket: ${yield* client.Add({ name: "a pen" })}`)

      yield* Ref.set(
        current,
        Redacted.make(yield* mint({ subject: "demo", scopes: ["items:read"], lifetime: "2 seconds" }))
      )
      const watched = yield* failureOf(Stream.runForEach(client.Watch(), (item) => print(`watching: ${item}`)))
      yield* print(`the stream ends with its token: ${watched}`)
    }).pipe(Effect.scoped, Effect.provide(Layer.merge(tokens, Protocol)))
  }).pipe(
    Effect.provide(
      HttpRouter.serve(Server, { disableLogger: true, disableListenLog: true }).pipe(
        Layer.provideMerge(Layer.merge(Authentication, NodeHttpServer.layerTest))
      )
    )
  )
