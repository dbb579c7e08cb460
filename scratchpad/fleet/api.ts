/** One process of the fleet. `main.ts` starts three of them, with the settings in environment variables. */
import { NodeHttpServer, NodeRuntime } from "@effect/platform-node"
import { Config, Effect, Layer, Metric, Redacted } from "effect"
import { FetchHttpClient, HttpRouter, HttpServerResponse } from "effect/http"
import { Persistence } from "effect/persistence"
import { BearerToken, OAuth2 } from "effect-oauth2"
import { ReplayStore } from "effect-oauth2/ReplayStore"
import * as Revocations from "effect-oauth2/Revocations"
import * as SharedIntrospection from "effect-oauth2/SharedIntrospection"
import { createServer } from "node:http"
import { clients } from "../items-api/AuthorizationServer.ts"
import { audience, host, issuer } from "../support/Addresses.ts"
import * as Processes from "../support/Processes.ts"
import * as RedisClient from "../support/RedisClient.ts"

const auth = OAuth2.clientCredentials("OAuth2", {
  tokenUrl: `${issuer}/token`,
  scopes: { "items:read": "Read the items" },
  responses: "rfc6750"
})

const List = HttpRouter.add("GET", "/items", HttpServerResponse.jsonUnsafe(["A pencil"])).pipe(
  auth.require("items:read")
)

/** Revokes the token of the request, for every process. */
const Logout = HttpRouter.add(
  "POST",
  "/logout",
  Effect.gen(function* () {
    const { expiresAt } = yield* auth.token
    yield* Revocations.revoke({ token: yield* BearerToken, expiresAt })
    return HttpServerResponse.empty()
  }).pipe(Effect.catchTag("StoreUnavailable", () => Effect.succeed(HttpServerResponse.empty({ status: 503 }))))
).pipe(auth.require())

/** Returns how often this process has asked the authorization server. */
const Figures = HttpRouter.add(
  "GET",
  "/figures",
  Effect.map(Metric.snapshot, (metrics) => {
    const asked = metrics.find(
      ({ attributes, id }) =>
        id === "oauth2_shared_introspection_total" && JSON.stringify(attributes).includes('"outcome":"miss"')
    )
    const introspectionRequests = asked !== undefined && "count" in asked.state ? Number(asked.state.count) : 0
    return HttpServerResponse.jsonUnsafe({ introspectionRequests })
  })
).pipe(OAuth2.Public("the example prints the figures"))

const Verifier = SharedIntrospection.layer({
  issuer,
  audience,
  clientId: clients.api.clientId,
  clientSecret: Redacted.make(clients.api.clientSecret),
  subjectClaims: ["sub", "client_id"],
  prefix: "items-api"
}).pipe(Revocations.enforce)

const Stores = Layer.mergeAll(
  Persistence.layerBackingRedis,
  ReplayStore.layerRedis({ prefix: "items-api" }),
  Revocations.layerRedis({ prefix: "items-api" })
)

const Server = Layer.unwrap(
  Effect.map(Config.Number("API_PORT"), (port) => NodeHttpServer.layer(createServer, { port, host }))
)

const App = HttpRouter.serve(Layer.mergeAll(List, Logout, Figures).pipe(OAuth2.secured), {
  disableLogger: true,
  disableListenLog: true
}).pipe(Layer.provide(auth.layer(Verifier)), Layer.provide(Stores), Layer.provide(RedisClient.layer))

Processes.ready.pipe(
  Layer.provide(App),
  Layer.provide(Server),
  Layer.provide(FetchHttpClient.layer),
  Layer.launch,
  NodeRuntime.runMain
)
