/**
 * Opaque tokens, which only the authorization server can read. Run `npm run example -- introspection`.
 *
 * The API asks the authorization server about each token (RFC 7662), so a revoked token is refused at once.
 */
import { NodeHttpServer, NodeRuntime } from "@effect/platform-node"
import { Effect, Layer, Redacted } from "effect"
import { FetchHttpClient, HttpRouter, HttpServerResponse } from "effect/http"
import { OAuth2, TokenIntrospection } from "effect-oauth2"
import { createServer } from "node:http"
import { AuthorizationServer, clients } from "../items-api/AuthorizationServer.ts"
import { audience, authorizationServerPort, host, issuer, port } from "../support/Addresses.ts"
import * as Walkthrough from "../support/Walkthrough.ts"

const auth = OAuth2.clientCredentials("OAuth2", {
  tokenUrl: `${issuer}/token`,
  scopes: { "items:read": "Read the items", "items:write": "Add items" },
  responses: "rfc6750"
})

const List = HttpRouter.add(
  "GET",
  "/items",
  Effect.map(auth.token, ({ subject }) => HttpServerResponse.jsonUnsafe({ items: ["A pencil"], for: subject }))
).pipe(auth.require("items:read"))

const Create = HttpRouter.add("POST", "/items", HttpServerResponse.empty({ status: 201 })).pipe(
  auth.require("items:write")
)

const Verifier = TokenIntrospection.layer({
  issuer,
  audience,
  // Your API is a client of the authorization server. Keep its secret in the environment.
  clientId: clients.api.clientId,
  clientSecret: Redacted.make(clients.api.clientSecret),
  // A token of the client credentials grant has no user. Its subject is the client.
  subjectClaims: ["sub", "client_id"],
  // With `{ timeToLive: "10 seconds" }`, the API asks less often, and accepts a revoked token for as long.
  cache: false
})

const App = HttpRouter.serve(Layer.mergeAll(List, Create).pipe(OAuth2.secured), {
  disableLogger: true,
  disableListenLog: true
}).pipe(
  // The server is provided first, so the port opens when everything else is ready.
  Layer.provide(NodeHttpServer.layer(createServer, { port, host })),
  Layer.provide(auth.layer(Verifier)),
  Layer.provide(FetchHttpClient.layer)
)

const Issuer = AuthorizationServer.layer({
  port: authorizationServerPort,
  audience,
  redirectUris: [],
  origins: [],
  scopes: Object.keys(auth.scopes),
  accessTokens: "opaque"
})

const walkthrough = Effect.gen(function* () {
  const response = yield* Walkthrough.send("An opaque token", `POST ${issuer}/token`, {
    basic: clients.cli,
    form: { grant_type: "client_credentials", scope: "items:read" }
  })
  const token = yield* Walkthrough.token("TOKEN", Walkthrough.accessToken(response))
  yield* Walkthrough.send("The authorization server calls the token active", "GET /items", { token })
  yield* Walkthrough.send("Without items:write", "POST /items", { token })

  yield* Walkthrough.send("Revoke the token (RFC 7009)", `POST ${issuer}/token/revocation`, {
    basic: clients.cli,
    form: { token }
  })
  yield* Walkthrough.send("The token is refused at once", "GET /items", { token })

  const unknown = yield* Walkthrough.token("UNKNOWN", "never-issued")
  yield* Walkthrough.send("A token that was never issued", "GET /items", { token: unknown })
  yield* Walkthrough.end
})

walkthrough.pipe(Effect.provide(Layer.mergeAll(App, Issuer)), NodeRuntime.runMain)
