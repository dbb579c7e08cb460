/** The server under test: `/jwt` verifies JWTs, and `/opaque` asks the issuer about each token. */
import { NodeHttpServer, NodeRuntime } from "@effect/platform-node"
import { Effect, Layer, Redacted } from "effect"
import { FetchHttpClient, HttpRouter, HttpServer, HttpServerResponse } from "effect/http"
import { AccessToken, JwtVerifier, OAuth2, TokenIntrospection } from "effect-oauth2"
import { createServer } from "node:http"
import { answerMessages } from "../../bench/answers.ts"
import { audience } from "./keys.ts"

export interface ServerSettings {
  readonly issuer: string
}

export interface ServerMessage {
  /** Difference from the real time, in milliseconds. */
  readonly clockOffset: number
}

const { issuer } = JSON.parse(process.env["SOAK_SERVER"] ?? "{}") as ServerSettings

let clockOffset = 0
const now = Date.now.bind(Date)
Date.now = () => now() + clockOffset

const scheme = <const Name extends string>(name: Name) =>
  OAuth2.clientCredentials(name, { tokenUrl: `${issuer}/token`, scopes: { "items:read": "Read items" } })

const jwt = scheme("Jwt")
const opaque = scheme("Opaque")

const respond = Effect.map(AccessToken, ({ subject }) => HttpServerResponse.jsonUnsafe({ subject }))

const Routes = Layer.merge(
  HttpRouter.add("GET", "/jwt", respond).pipe(jwt.require("items:read")),
  HttpRouter.add("GET", "/opaque", respond).pipe(opaque.require("items:read"))
)

const Authentication = Layer.merge(
  jwt.layer(JwtVerifier.layer({ issuer, audience })),
  opaque.layer(TokenIntrospection.layer({ issuer, audience, clientId: "api", clientSecret: Redacted.make("secret") }))
).pipe(Layer.provide(FetchHttpClient.layer))

const Ready = Layer.effectDiscard(
  Effect.map(HttpServer.HttpServer, ({ address }) =>
    answerMessages("port" in address ? address.port : 0, (message: ServerMessage) => {
      clockOffset = message.clockOffset
    })
  )
)

const App = Layer.merge(HttpRouter.serve(Routes, { disableLogger: true, disableListenLog: true }), Ready).pipe(
  Layer.provide(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" })),
  Layer.provide(Authentication)
)

NodeRuntime.runMain(Layer.launch(App))
