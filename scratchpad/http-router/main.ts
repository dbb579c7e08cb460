/**
 * Routes of `HttpRouter` that require scopes. Run `npm run example -- http-router`.
 *
 * Requirements accumulate from the outside to the inside, so `POST /items` requires both scopes.
 */
import { NodeHttpServer, NodeRuntime } from "@effect/platform-node"
import { Effect, Layer, Schema } from "effect"
import { FetchHttpClient, HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { JwtVerifier, OAuth2 } from "effect-oauth2"
import { TestIssuer } from "effect-oauth2/testing"
import { createServer } from "node:http"
import { audience, host, issuer, port } from "../support/Addresses.ts"
import * as Issuer from "../support/Issuer.ts"
import * as Walkthrough from "../support/Walkthrough.ts"

const auth = OAuth2.authorizationCode("OAuth2", {
  authorizationUrl: `${issuer}/authorize`,
  tokenUrl: `${issuer}/token`,
  scopes: { "items:read": "Read the items", "items:write": "Add items" },
  responses: "rfc6750"
})

const items = [{ name: "A pencil", owner: "bob" }]

const List = HttpRouter.add(
  "GET",
  "/items",
  Effect.sync(() => HttpServerResponse.jsonUnsafe(items))
)

const Create = HttpRouter.add(
  "POST",
  "/items",
  Effect.gen(function* () {
    const { name } = yield* HttpServerRequest.schemaBodyJson(Schema.Struct({ name: Schema.NonEmptyString }))
    // The route requires the scope. If it did not, the program would not compile.
    const { subject } = yield* auth.granted("items:write")
    const item = { name, owner: subject }
    items.push(item)
    return HttpServerResponse.jsonUnsafe(item, { status: 201 })
  })
).pipe(auth.require("items:write"))

const Health = HttpRouter.add("GET", "/health", HttpServerResponse.jsonUnsafe({ status: "ok" })).pipe(
  OAuth2.Public("the load balancer has no token")
)

const Routes = Layer.mergeAll(Layer.mergeAll(List, Create).pipe(auth.require("items:read")), Health).pipe(
  OAuth2.secured
)

const App = HttpRouter.serve(Routes, { disableLogger: true, disableListenLog: true }).pipe(
  // The server is provided first, so the port opens when everything else is ready.
  Layer.provide(NodeHttpServer.layer(createServer, { port, host })),
  Layer.provide(auth.layer(JwtVerifier.layer({ issuer, audience }))),
  Layer.provide(FetchHttpClient.layer)
)

const walkthrough = Effect.gen(function* () {
  const { mint } = yield* TestIssuer
  yield* Walkthrough.send("A public route", "GET /health")
  yield* Walkthrough.send("Without a token, the challenge names the required scope", "GET /items")

  const reader = yield* Walkthrough.token("READER", yield* mint({ subject: "alice", scopes: ["items:read"] }))
  yield* Walkthrough.send("With the scope", "GET /items", { token: reader })
  yield* Walkthrough.send("Without items:write, the challenge names all required scopes", "POST /items", {
    token: reader,
    json: { name: "A pen" }
  })

  const writer = yield* Walkthrough.token(
    "WRITER",
    yield* mint({ subject: "alice", scopes: ["items:read", "items:write"] })
  )
  yield* Walkthrough.send("With both scopes", "POST /items", { token: writer, json: { name: "A pen" } })

  const expired = yield* Walkthrough.token("EXPIRED", yield* mint({ scopes: ["items:read"], lifetime: "-1 hour" }))
  yield* Walkthrough.send("With an expired token", "GET /items", { token: expired })
  yield* Walkthrough.end
})

walkthrough.pipe(Effect.provide(Layer.mergeAll(App, Issuer.layer)), NodeRuntime.runMain)
