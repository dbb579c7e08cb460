/** A program as in docs/start-and-stop.md: it provides the server first, and everything else needs time. */
import { NodeHttpServer, NodeRuntime } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { JwtVerifier, KeySet, OAuth2, SwaggerUi } from "effect-oauth2"
import { TestIssuer } from "effect-oauth2/testing"
import { createServer } from "node:http"
import { document } from "../../support/documentationPages.ts"

const issuer = "https://issuer.test"

const auth = OAuth2.authorizationCode("OAuth2", {
  authorizationUrl: `${issuer}/authorize`,
  tokenUrl: `${issuer}/token`,
  scopes: { me: "Read your profile" }
})

const Routes = Layer.mergeAll(
  HttpRouter.add("GET", "/health", HttpServerResponse.empty()),
  HttpRouter.add("GET", "/me", HttpServerResponse.empty()).pipe(auth.require("me")),
  SwaggerUi.layer(document)
)

const SlowIssuer = Layer.tap(TestIssuer.layer({ issuer }), (context) =>
  Effect.provideContext(
    TestIssuer.use(({ respond }) => respond("jwks", { delay: "300 millis" })),
    context
  )
)

const Keys = KeySet.layerDiscovery({ issuer }).pipe(
  Layer.tap((context) => Effect.flatMap(KeySet.KeySet, ({ refresh }) => refresh).pipe(Effect.provide(context))),
  Layer.provide(SlowIssuer)
)

const App = HttpRouter.serve(Routes, { disableLogger: true }).pipe(
  Layer.provide(NodeHttpServer.layer(createServer, { port: Number(process.env["PORT"]), host: "127.0.0.1" })),
  Layer.provide(auth.layer(JwtVerifier.layerKeySet({ issuer, audience: "https://api.test" }))),
  Layer.provide(Keys)
)

NodeRuntime.runMain(Layer.launch(App))
