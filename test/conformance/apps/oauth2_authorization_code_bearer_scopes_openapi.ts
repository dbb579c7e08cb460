/** Requirements for the whole app, for a route, for a group of routes, and for a route of that group. */
import { Effect, Layer, Redacted } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { BearerToken, OAuth2 } from "effect-oauth2"
import { anyToken } from "./tokens.ts"

const scopes = { read: "Read access", write: "Write access" }

const auth = OAuth2.authorizationCode("OAuth2AuthorizationCodeBearer", {
  authorizationUrl: "authorize",
  tokenUrl: "token",
  scopes
})

const message = (message: string) => Effect.succeed(HttpServerResponse.jsonUnsafe({ message }))

const token = Effect.map(BearerToken, (token) => HttpServerResponse.jsonUnsafe({ token: Redacted.value(token) }))

const readWrite = auth.require("read", "write").route.layer

// In FastAPI, a route can depend on the scheme or on a helper that depends on the scheme. Here both are a requirement.
const Admin = Layer.mergeAll(
  HttpRouter.add("GET", "/with-oauth2-scheme", message("Admin Access")),
  HttpRouter.add("GET", "/with-get-token", message("Admin Access"))
).pipe(Layer.provide(readWrite))

const Items = Layer.mergeAll(
  HttpRouter.add("GET", "/items/", token),
  HttpRouter.add("POST", "/items/", token).pipe(Layer.provide(readWrite))
).pipe(auth.require("read"))

export const App = Layer.mergeAll(HttpRouter.add("GET", "/", message("Hello World")), Admin, Items).pipe(
  auth.require(),
  Layer.provide(auth.layer(anyToken("read", "write")))
)

const simple = OAuth2.authorizationCode("OAuth2AuthorizationCodeBearer", {
  authorizationUrl: "api/oauth/authorize",
  tokenUrl: "/api/oauth/token",
  scopes
})

export const Simple = HttpRouter.add("GET", "/admin", message("Admin Access")).pipe(
  simple.require("read", "write"),
  simple.require(),
  Layer.provide(simple.layer(anyToken("read", "write")))
)
