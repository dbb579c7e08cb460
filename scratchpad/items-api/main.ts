/** Runs the Items API and its authorization server. Start it with `npm start`. */
import { NodeHttpServer, NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer, Predicate } from "effect"
import { FetchHttpClient, HttpEffect, HttpMiddleware, HttpRouter, HttpServer, HttpServerResponse } from "effect/http"
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
  const server = createServer()
  // At the end of the program, a client must not reuse a connection that the server is about to close.
  const closesAtTheEnd = HttpEffect.withPreResponseHandler(handler, (_, response) =>
    Effect.succeed(server.listening ? response : HttpServerResponse.setHeader(response, "connection", "close"))
  )
  const app = HttpServer.serve(closesAtTheEnd, HttpMiddleware.logger).pipe(
    Layer.provide(
      NodeHttpServer.layer(() => server, {
        port: config.port,
        host: "127.0.0.1",
        // Requests in progress have this long to end. Platforms usually kill a program after 10 or 30 seconds.
        gracefulShutdownTimeout: "5 seconds"
      })
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
