/**
 * A fetch handler: `(request: Request) => Promise<Response>`. It needs no server of Node.
 *
 * Bun and Deno serve the default export: `bun handler.ts`, `deno serve handler.ts`.
 */
import { Effect, Layer } from "effect"
import { FetchHttpClient, HttpRouter, HttpServer, HttpServerResponse } from "effect/http"
import { JwtVerifier, OAuth2 } from "effect-oauth2"
import { audience, issuer } from "../support/Addresses.ts"

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
).pipe(auth.require("me"))

const Health = HttpRouter.add("GET", "/health", HttpServerResponse.jsonUnsafe({ status: "ok" })).pipe(
  OAuth2.Public("the load balancer has no token")
)

const App = Layer.mergeAll(Me, Health).pipe(
  OAuth2.secured,
  Layer.provide(auth.layer(JwtVerifier.layer({ issuer, audience }))),
  Layer.provide([FetchHttpClient.layer, HttpServer.layerServices])
)

export const { dispose, handler } = HttpRouter.toWebHandler(App, { disableLogger: true })

export default { fetch: (request: Request) => handler(request) }
