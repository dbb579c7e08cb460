/** Runs the Items API and its authorization server. Start it with `npm start`. */
import { NodeHttpServer, NodeRuntime } from "@effect/platform-node"
import { Console, Effect, ErrorReporter, Layer, Predicate, References } from "effect"
import { FetchHttpClient, HttpEffect, HttpMiddleware, HttpRouter, HttpServer, HttpServerResponse } from "effect/http"
import { createServer } from "node:http"
import * as Api from "./Api.ts"
import { PortUnavailable } from "./AuthorizationServer.ts"
import * as Issuer from "./Issuer.ts"
import * as Lines from "./Lines.ts"
import { type Settings, settings } from "./Settings.ts"
import * as Walkthrough from "./Walkthrough.ts"

const app = (issuer: Issuer.Issuer) => {
  const { docsClientId, issuer: url, pageOrigin: origin } = issuer
  const verifier = Issuer.verifier(issuer)
  return origin === undefined
    ? Api.make(issuer, verifier, docsClientId)
    : Api.makeWithPage(issuer, verifier, { origin, issuer: url }, docsClientId)
}

const run = Effect.fnUntraced(function* (config: Settings) {
  const issuer = yield* Issuer.make(config)
  // The routes are complete before the server listens, so a request that arrives while the program starts is answered.
  const handler = yield* HttpRouter.toHttpEffect(app(issuer).pipe(Layer.provide(NodeHttpServer.layerHttpServices)))
  const server = createServer()
  // At the end of the program, a client must not reuse a connection that the server is about to close.
  const closesAtTheEnd = (response: HttpServerResponse.HttpServerResponse) =>
    server.listening ? response : HttpServerResponse.setHeader(response, "connection", "close")
  const responding = HttpEffect.withPreResponseHandler(handler, (_, response) =>
    Effect.succeed(closesAtTheEnd(Lines.end(response)))
  )
  const Server = HttpServer.serve(Effect.withErrorReporting(responding), HttpMiddleware.logger).pipe(
    Layer.provide(
      NodeHttpServer.layer(() => server, {
        port: config.port,
        host: "127.0.0.1",
        // Requests in progress have this long to end. Platforms usually kill a program after 10 or 30 seconds.
        gracefulShutdownTimeout: "5 seconds"
      })
    )
  )
  yield* Layer.build(Server).pipe(
    Effect.catchTag("ServeError", ({ cause }) =>
      Effect.fail(
        new PortUnavailable({
          port: config.port,
          setting: "PORT",
          code: Predicate.hasProperty(cause, "code") ? String(cause.code) : "unknown"
        })
      )
    )
  )
  yield* Console.log(Walkthrough.make(Issuer.apiUrl(config), Issuer.publicUrl(config), issuer))
  return yield* Effect.never
})

/** Logs unexpected errors of handlers, also if the log level hides requests. */
const reporter = ErrorReporter.make(({ cause, fiber }) =>
  Effect.runForkWith(fiber.context)(Effect.logError("A request failed.", cause))
)

settings.pipe(
  Effect.flatMap((config) => Effect.provideService(run(config), References.MinimumLogLevel, config.logLevel)),
  Effect.provide(ErrorReporter.layer([reporter])),
  Effect.scoped,
  Effect.provide(FetchHttpClient.layer),
  // Prints only the message, because a stack trace does not help to correct a setting.
  Effect.tapError((error) => Console.error(`items-api: ${error.message}`)),
  NodeRuntime.runMain({ disableErrorReporting: true })
)
