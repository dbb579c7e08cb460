/** Requirements around the route of an `RpcServer`: what handlers get from the connection, and what from a message. */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { assert, describe, it, layer } from "@effect/vitest"
import { Cause, Effect, Exit, Layer, Option, Schema } from "effect"
import { HttpRouter } from "effect/http"
import { Rpc, RpcClient, RpcGroup, RpcSerialization, RpcServer } from "effect/rpc"
import { AccessToken, OAuth2 } from "effect-oauth2"
import { authorizationServer } from "../support/authorizationServer.ts"
import { bearer, portOf, transports, verifierLayer } from "../support/rpc.ts"

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

const Servers = Layer.mergeAll(serverOf("/http", "http"), serverOf("/socket", "websocket")).pipe(
  Layer.provide(Handlers)
)

/** The ways to put a requirement around the routes. Both must guard the routes and prove their scopes. */
const apps = {
  "a requirement": Servers.pipe(auth.require("admin")),
  "the layer of a requirement": Servers.pipe(Layer.provide(auth.require("admin").route.layer))
}

const complete = (app: (typeof apps)[keyof typeof apps]) =>
  app.pipe(OAuth2.secured, Layer.provide([RpcSerialization.layerNdjson, auth.layer(verifierLayer)]))

const outcome = <A, E, R>(call: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.exit(call), (exit): unknown => {
    if (Exit.isSuccess(exit)) return exit.value
    const error = Option.getOrUndefined(Cause.findErrorOption(exit.cause)) as
      { readonly _tag: string; readonly challenge?: string } | undefined
    return error === undefined ? "defect" : [error._tag, error.challenge]
  })

const challenge = (error: string) => `Bearer error="${error}", scope="admin read"`

const cases = Object.entries(apps).flatMap(([what, app]) =>
  Object.entries(transports).map(([name, transport]) => ({
    name: `${what} around an RpcServer over ${name}`,
    app,
    transport
  }))
)

for (const { app, name, transport } of cases) {
  layer(
    HttpRouter.serve(complete(app), { disableLogger: true, disableListenLog: true }).pipe(
      Layer.provideMerge(NodeHttpServer.layerTest)
    )
  )(name, (it) => {
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

    it.effect("refuses a connection whose token lacks the scope", () =>
      Effect.gen(function* () {
        const port = yield* portOf
        for (const path of ["/http", "/socket"]) {
          const headers = { authorization: "Bearer alice~read" }
          const method = path === "/http" ? "POST" : "GET"
          const { status } = yield* Effect.promise(() => fetch(`http://127.0.0.1:${port}${path}`, { method, headers }))
          assert.strictEqual(status, 403, path)
        }
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

describe("the layer of a requirement that is provided to the handlers of procedures", () => {
  const admin = auth.require("admin").route.layer
  const one = RpcGroup.make(Rpc.make("One", text))
  const server = (path: `/${string}`) => RpcServer.layerHttp({ group: one, path, protocol: "http" })
  const start = <E>(app: Layer.Layer<never, E, HttpRouter.HttpRouter | RpcSerialization.RpcSerialization>) =>
    HttpRouter.toHttpEffect(Layer.provide(app, RpcSerialization.layerJson)).pipe(Effect.scoped, Effect.exit)
  const scheme = auth.layerTest({ scopes: ["admin"] })
  const refusal =
    'The layer of the requirement "admin" of the scheme "OAuth2" is provided to the handler of the procedure "One". Handlers do not apply a requirement, so the route would lack the requirement. Apply it to RpcServer.layerHttp, outside the handlers: RpcServer.layerHttp({ … }).pipe(Layer.provide(handlers), requirement). Or give it to the procedure or the group: .middleware(requirement.rpc).'

  it.effect("stops the app, because the route would lack the requirement", () =>
    Effect.gen(function* () {
      for (const handlers of [
        one.toLayer({ One: () => Effect.succeed("") }),
        one.toLayerHandler("One", () => Effect.map(auth.granted("admin"), ({ subject }) => subject))
      ]) {
        const app = server("/rpc").pipe(Layer.provide(Layer.provide(handlers, admin)), Layer.provide(scheme))
        const exit = yield* start(app as never)
        assert.strictEqual(Exit.isFailure(exit) && (Cause.squash(exit.cause) as Error).message, refusal)
      }
    })
  )

  it.effect("does not stop an app whose handlers serve a protected and a public server", () =>
    Effect.gen(function* () {
      const handlers = one.toLayer({ One: () => Effect.succeed("") })
      const guarded = server("/admin").pipe(Layer.provide(handlers), Layer.provide(admin), Layer.provide(scheme))
      const open = server("/open").pipe(
        Layer.provide(handlers),
        OAuth2.Public("everybody may ask"),
        Layer.provide(scheme)
      )
      for (const app of [Layer.mergeAll(guarded, open), Layer.mergeAll(open, guarded)]) {
        assert.isTrue(Exit.isSuccess(yield* start(app as never)))
      }
    })
  )
})
