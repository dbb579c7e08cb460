/** Serves an Effect app with Node. */
import { NodeHttpServer, NodeRuntime } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import { HttpServer } from "effect/http"
import { createServer } from "node:http"
import { listening } from "./child.ts"

/** Options for `HttpRouter.serve`. The other servers do not log requests either. */
export const quiet = { disableLogger: true, disableListenLog: true }

const Node = NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" })

export const serveEffect = <E>(app: Layer.Layer<never, E, Layer.Success<typeof Node>>): void => {
  const program = Effect.gen(function* () {
    yield* Layer.build(app)
    const { address } = yield* HttpServer.HttpServer
    if ("port" in address) listening(address.port)
    return yield* Effect.never
  })
  program.pipe(Effect.scoped, Effect.provide(Node), NodeRuntime.runMain)
}
