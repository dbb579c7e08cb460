/**
 * Decisions as spans and metrics of OpenTelemetry. Run `npm run example -- observability`.
 *
 * Effect exports them with the OpenTelemetry Protocol to a collector, which prints what it received.
 */
import { NodeHttpServer, NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer, Schedule } from "effect"
import { FetchHttpClient, HttpRouter, HttpServerResponse } from "effect/http"
import { Otlp, OtlpExporter, OtlpSerialization } from "effect/observability"
import { JwtVerifier, OAuth2 } from "effect-oauth2"
import { TestIssuer } from "effect-oauth2/testing"
import { createServer } from "node:http"
import { audience, host, issuer, port, portOf } from "../support/Addresses.ts"
import * as Issuer from "../support/Issuer.ts"
import * as Walkthrough from "../support/Walkthrough.ts"
import { Collector } from "./Collector.ts"

const collectorPort = portOf("COLLECTOR_PORT", 4318)

const auth = OAuth2.authorizationCode("OAuth2", {
  authorizationUrl: `${issuer}/authorize`,
  tokenUrl: `${issuer}/token`,
  scopes: { me: "Read your profile" },
  responses: "rfc6750"
})

const Me = HttpRouter.add(
  "GET",
  "/users/me",
  Effect.map(auth.token, ({ subject }) => HttpServerResponse.jsonUnsafe({ subject }))
).pipe(auth.require("me"), OAuth2.secured)

const Telemetry = Otlp.layer({
  baseUrl: `http://${host}:${collectorPort}`,
  resource: { serviceName: "items-api" }
}).pipe(Layer.provide([OtlpSerialization.layerJson, FetchHttpClient.layer]))

const App = HttpRouter.serve(Me, { disableLogger: true, disableListenLog: true }).pipe(
  // The server is provided first, so the port opens when everything else is ready.
  Layer.provide(NodeHttpServer.layer(createServer, { port, host })),
  Layer.provide(auth.layer(JwtVerifier.layer({ issuer, audience }))),
  Layer.provide(FetchHttpClient.layer),
  // Telemetry is provided last, so that it wraps the whole app.
  Layer.provideMerge(Telemetry)
)

const walkthrough = Effect.gen(function* () {
  const { mint } = yield* TestIssuer
  yield* Walkthrough.send("Without a token", "GET /users/me")

  const alice = yield* Walkthrough.token("ALICE", yield* mint({ subject: "alice", scopes: ["me"] }))
  yield* Walkthrough.send("With the scope, the token is verified", "GET /users/me", { token: alice })
  yield* Walkthrough.send("Again, the token is found in the cache", "GET /users/me", { token: alice })

  const bob = yield* Walkthrough.token("BOB", yield* mint({ subject: "bob" }))
  yield* Walkthrough.send("Without the scope", "GET /users/me", { token: bob })

  const { counts, spans, text } = yield* Collector
  // The exporter sends what it has every few seconds. The walk-through does not wait so long. A span ends after its
  // response, so the span of the last request may need another export.
  const decisions = Effect.map(spans, (all) => all.filter((span) => span.includes("oauth2.outcome")).length)
  yield* OtlpExporter.Flusher.use(({ flush }) =>
    flush.pipe(
      Effect.andThen(decisions),
      Effect.repeat({ until: (count) => count === 4, schedule: Schedule.spaced("50 millis") })
    )
  )
  yield* Console.log(`\nThe collector received these spans:\n  ${(yield* spans).join("\n  ")}`)
  yield* Console.log(`\nThe collector received these counts:\n  ${(yield* counts).join("\n  ")}`)
  const received = yield* text
  const leaked = [alice, bob].filter(({ value }) => value.split(".").some((part) => received.includes(part)))
  yield* Console.log(`\nTokens in the received text: ${leaked.length}`)
  yield* Walkthrough.end
})

walkthrough.pipe(
  Effect.provide(App.pipe(Layer.provideMerge(Layer.mergeAll(Collector.layer(collectorPort), Issuer.layer)))),
  NodeRuntime.runMain
)
