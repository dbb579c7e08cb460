/** FastAPI's OpenIdConnect looks for the field only; what is ours of it is the answer when there is none. */
import { Effect, Redacted } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { BearerToken } from "effect-oauth2"

export const App = HttpRouter.add(
  "GET",
  "/users/me",
  Effect.map(BearerToken.extract, (token) => HttpServerResponse.jsonUnsafe({ username: Redacted.value(token) }))
)
