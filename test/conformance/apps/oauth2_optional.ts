/** FastAPI's `auto_error=False`: a request without a token gets the advice to create an account. */
import { Effect, Layer, Option, Redacted } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { BearerToken, OAuth2, OptionalAccessToken } from "effect-oauth2"
import { anyToken } from "./tokens.ts"

const auth = OAuth2.authorizationCode("OAuth2", { authorizationUrl: "authorize", tokenUrl: "token", scopes: {} })

const greet = (username: Option.Option<string>) =>
  HttpServerResponse.jsonUnsafe(
    Option.match(username, {
      onNone: () => ({ msg: "Create an account first" }),
      onSome: (username) => ({ username })
    })
  )

export const App = HttpRouter.add(
  "GET",
  "/users/me",
  Effect.map(OptionalAccessToken, (token) => greet(Option.map(token, ({ subject }) => subject)))
).pipe(auth.optional(), Layer.provide(auth.layer(anyToken())))

/** Extracts the token without verifying it, as FastAPI does. */
export const Extracted = HttpRouter.add(
  "GET",
  "/users/me",
  Effect.map(BearerToken.extractOption, (token) => greet(Option.map(token, Redacted.value)))
)
