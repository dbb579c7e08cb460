/** Effects get the scopes that were required around them, and never the scopes of a sibling effect. */
import { Effect } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { SecurityScopes } from "effect-oauth2"

const seen = Effect.map(SecurityScopes, ({ scopes }) => scopes)

const dep3 = Effect.all({
  dep1: seen.pipe(SecurityScopes.require("scope1")),
  dep2: seen.pipe(SecurityScopes.require("scope2"))
})

export const App = HttpRouter.add(
  "GET",
  "/scopes",
  Effect.map(dep3.pipe(SecurityScopes.require("scope3")), HttpServerResponse.jsonUnsafe)
)
