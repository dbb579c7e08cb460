import { NodeHttpServer, NodeRuntime } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import { FetchHttpClient, HttpRouter, HttpServerResponse } from "effect/http"
import { JwtVerifier, OAuth2, Provider } from "effect-oauth2"
import { createServer } from "node:http"

// 1. Choose your identity provider, and declare the scopes of your API.
const provider = Provider.auth0({ domain: "example.eu.auth0.com", audience: "https://api.example.com" })

const auth = OAuth2.authorizationCode("OAuth2", {
  provider,
  scopes: { me: "Read your profile" },
  responses: "rfc6750" // The default, "fastapi", responds as FastAPI does.
})

// 2. Require a scope. The handler can read the verified token.
const Me = HttpRouter.add(
  "GET",
  "/users/me",
  Effect.map(auth.token, ({ subject }) => HttpServerResponse.jsonUnsafe({ subject }))
).pipe(auth.require("me"), OAuth2.secured)

// 3. Serve. The server is provided first, so the port opens when everything else is ready.
const App = HttpRouter.serve(Me).pipe(
  Layer.provide(NodeHttpServer.layer(createServer, { port: 42945 })),
  Layer.provide(auth.layer(JwtVerifier.layer(provider))),
  Layer.provide(FetchHttpClient.layer)
)

NodeRuntime.runMain(Layer.launch(App))
