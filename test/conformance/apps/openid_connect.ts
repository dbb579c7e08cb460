/** FastAPI's `OpenIdConnect` only reads the header. The tests compare the response to a request without the header. */
import { Effect, Redacted } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { BearerToken } from "effect-oauth2"

export const App = HttpRouter.add(
  "GET",
  "/users/me",
  Effect.map(BearerToken.extract, (token) => HttpServerResponse.jsonUnsafe({ username: Redacted.value(token) }))
)
