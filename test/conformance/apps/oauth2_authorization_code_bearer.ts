/** `GET /items/` responds with the request's token. The app has three variants, one for each way to write it. */
import { Effect, Layer, Redacted } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { BearerToken, OAuth2 } from "effect-oauth2"
import { anyToken } from "./tokens.ts"
import { fromContext } from "../../support/contextVerifier.ts"

const urls = { authorizationUrl: "authorize", tokenUrl: "token", scopes: {} }

const auth = OAuth2.authorizationCode("OAuth2AuthorizationCodeBearer", urls)

const described = OAuth2.authorizationCode("OAuth2AuthorizationCodeBearer", {
  ...urls,
  description: "OAuth2 Code Bearer"
})

const readItems = Effect.map(BearerToken, (token) => HttpServerResponse.jsonUnsafe({ token: Redacted.value(token) }))

const required = (scheme: typeof auth) =>
  HttpRouter.add("GET", "/items/", readItems).pipe(scheme.require(), Layer.provide(scheme.layer(anyToken())))

export const App = required(auth)

export const Described = required(described)

/** Extracts the token without verifying it, as FastAPI does. */
export const Extracted = HttpRouter.add("GET", "/items/", Effect.provide(readItems, BearerToken.layer))

/** Provides authentication to the handler as a layer. */
export const Layered = HttpRouter.add("GET", "/items/", Effect.provide(readItems, auth.layerRequest)).pipe(
  HttpRouter.provideRequest(auth.layer(fromContext)),
  Layer.provide(anyToken())
)
