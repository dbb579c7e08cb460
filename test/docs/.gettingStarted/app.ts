import { Effect } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { OAuth2 } from "effect-oauth2"

export const issuer = "http://127.0.0.1:38251"
export const audience = "https://api.example.com"

export const auth = OAuth2.authorizationCode("OAuth2", {
  authorizationUrl: `${issuer}/authorize`,
  tokenUrl: `${issuer}/token`,
  scopes: { me: "Read your profile" },
  responses: "rfc6750"
})

export const Routes = HttpRouter.add(
  "GET",
  "/users/me",
  Effect.map(auth.token, ({ subject }) => HttpServerResponse.jsonUnsafe({ subject }))
).pipe(auth.require("me"), OAuth2.secured)
