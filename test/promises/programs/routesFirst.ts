/** A program as in docs/start-and-stop.md: its routes wait, and it completes them before the server listens. */
import { NodeHttpServer, NodeRuntime } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import { HttpEffect, HttpRouter, HttpServer, HttpServerResponse } from "effect/http"
import { SwaggerUi } from "effect-oauth2"
import { createServer } from "node:http"
import { document } from "../../support/documentationPages.ts"

const server = createServer()

const SlowRoutes = HttpRouter.use((router) =>
  Effect.sleep("300 millis").pipe(
    Effect.andThen(router.add("GET", "/health", HttpServerResponse.empty())),
    Effect.andThen(router.add("GET", "/slow", Effect.delay(Effect.succeed(HttpServerResponse.text("slow")), 1500))),
    Effect.andThen(router.add("GET", "/fails", Effect.delay(Effect.die("slow"), 1500)))
  )
)

const closeAtTheEnd = HttpEffect.withPreResponseHandler((_, response) =>
  Effect.succeed(server.listening ? response : HttpServerResponse.setHeader(response, "connection", "close"))
)

const App = Layer.unwrap(
  Effect.map(
    HttpRouter.toHttpEffect(
      Layer.merge(SlowRoutes, SwaggerUi.layer(document)).pipe(Layer.provide(NodeHttpServer.layerHttpServices))
    ),
    (handler) =>
      HttpServer.serve(closeAtTheEnd(handler)).pipe(
        Layer.provide(
          NodeHttpServer.layer(() => server, {
            port: Number(process.env["PORT"]),
            host: "127.0.0.1",
            gracefulShutdownTimeout: "5 seconds"
          })
        )
      )
  )
)

NodeRuntime.runMain(Layer.launch(App))
