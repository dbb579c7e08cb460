/** Runs the Items API and its authorization server. Start it with `npm start`. */
import { NodeHttpServer, NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer, Predicate } from "effect"
import { FetchHttpClient, HttpMiddleware, HttpRouter, HttpServer } from "effect/http"
import { createServer } from "node:http"
import * as Api from "./Api.ts"
import { PortUnavailable } from "./AuthorizationServer.ts"
import * as Issuer from "./Issuer.ts"
import { settings } from "./Settings.ts"
import * as Walkthrough from "./Walkthrough.ts"

const program = Effect.gen(function* () {
  const config = yield* settings
  const issuer = yield* Issuer.make(config)
  // The routes are complete before the server listens, so a request that arrives while the program starts is answered.
  const handler = yield* HttpRouter.toHttpEffect(
    Api.make(issuer, Issuer.verifier(issuer), issuer.docsClientId).pipe(Layer.provide(NodeHttpServer.layerHttpServices))
  )
  const app = HttpServer.serve(handler, HttpMiddleware.logger).pipe(
    Layer.provide(
      NodeHttpServer.layer(createServer, { port: config.port, host: "127.0.0.1", gracefulShutdownTimeout: 0 })
    )
  )
  yield* Layer.build(app).pipe(
    Effect.catchTag("ServeError", ({ cause }) =>
      Effect.fail(
        new PortUnavailable({
          port: config.port,
          code: Predicate.hasProperty(cause, "code") ? String(cause.code) : "unknown"
        })
      )
    )
  )
  yield* Console.log(Walkthrough.make(Issuer.apiUrl(config), `${Issuer.publicUrl(config)}/docs`, issuer))
  return yield* Effect.never
})

program.pipe(
  Effect.scoped,
  Effect.provide(FetchHttpClient.layer),
  // Prints only the message, because a stack trace does not help to correct a setting.
  Effect.tapError((error) => Console.error(`items-api: ${error.message}`)),
  NodeRuntime.runMain({ disableErrorReporting: true })
)
