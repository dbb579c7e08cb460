/** Requirements around the route of an `RpcServer`: what handlers get from the connection, and what from a message. */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { assert, layer } from "@effect/vitest"
import { Cause, Effect, Exit, Layer, Option, Schema } from "effect"
import { HttpRouter } from "effect/http"
import { Rpc, RpcClient, RpcGroup, RpcSerialization, RpcServer } from "effect/rpc"
import { AccessToken, OAuth2 } from "effect-oauth2"
import { authorizationServer } from "../support/authorizationServer.ts"
import { bearer, transports, verifierLayer } from "../support/rpc.ts"

const auth = OAuth2.authorizationCode("OAuth2", {
  ...authorizationServer,
  responses: "rfc6750",
  scopes: { read: "", admin: "" }
})
const text = { success: Schema.String }

const Procedures = RpcGroup.make(
  Rpc.make("Connection", text),
  Rpc.make("Both", text).middleware(auth.require("read").rpc),
  Rpc.make("More", text)
)

const Handlers = Procedures.toLayer({
  Connection: () =>
    Effect.map(
      Effect.all([auth.granted("admin"), AccessToken]),
      ([proven, { subject }]) => `${proven.subject} ${subject}`
    ),
  Both: () => Effect.map(auth.granted("admin", "read"), ({ subject }) => subject),
  // The types of this handler were cast away.
  More: () => Effect.map(auth.granted("read"), ({ subject }) => subject) as Effect.Effect<string>
})

const serverOf = (path: `/${string}`, protocol: "http" | "websocket") =>
  RpcServer.layerHttp({ group: Procedures, path, protocol, disableFatalDefects: true })

const App = Layer.mergeAll(serverOf("/http", "http"), serverOf("/socket", "websocket")).pipe(
  Layer.provide(Handlers),
  auth.require("admin"),
  OAuth2.secured,
  Layer.provide(RpcSerialization.layerNdjson),
  Layer.provide(auth.layer(verifierLayer))
)

const outcome = <A, E, R>(call: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.exit(call), (exit): unknown => {
    if (Exit.isSuccess(exit)) return exit.value
    const error = Option.getOrUndefined(Cause.findErrorOption(exit.cause)) as
      { readonly _tag: string; readonly challenge?: string } | undefined
    return error === undefined ? "defect" : [error._tag, error.challenge]
  })

const challenge = (error: string) => `Bearer error="${error}", scope="admin read"`

for (const [name, transport] of Object.entries(transports)) {
  layer(
    HttpRouter.serve(App, { disableLogger: true, disableListenLog: true }).pipe(
      Layer.provideMerge(NodeHttpServer.layerTest)
    )
  )(`a requirement around the route of an RpcServer over ${name}`, (it) => {
    const client = (token: string) =>
      Effect.flatMap(Layer.build(Layer.fresh(transport({ authorization: `Bearer ${token}` }))), (context) =>
        Effect.provide(RpcClient.make(Procedures), [auth.client("anonymous"), Layer.succeedContext(context)])
      )

    it.effect("proves the scopes of the connection to handlers, whatever token a message claims", () =>
      Effect.gen(function* () {
        const { Connection } = yield* client("alice~admin")
        assert.strictEqual(yield* Connection(), "alice alice")
        assert.strictEqual(yield* Connection(undefined, bearer("bob~admin")), "alice alice")
      })
    )

    it.effect("does not prove other scopes", () =>
      Effect.gen(function* () {
        const { More } = yield* client("alice~admin+read")
        assert.strictEqual(yield* outcome(More()), "defect")
      })
    )

    it.effect("requires the scopes of the connection of the message's token, too", () =>
      Effect.gen(function* () {
        const { Both } = yield* client("alice~admin")
        assert.deepStrictEqual(yield* outcome(Both()), ["InsufficientScope", challenge("insufficient_scope")])
        assert.deepStrictEqual(yield* outcome(Both(undefined, bearer("alice~read"))), [
          "InsufficientScope",
          challenge("insufficient_scope")
        ])
        assert.strictEqual(yield* Both(undefined, bearer("alice~admin+read")), "alice")
      })
    )

    it.effect("refuses a message with another user's token", () =>
      Effect.gen(function* () {
        const { Both } = yield* client("alice~admin")
        const other = yield* outcome(Both(undefined, bearer("bob~admin+read")))
        assert.deepStrictEqual(other, ["InvalidToken", challenge("invalid_token")])
      })
    )
  })
}
