/** The smallest web handler: one protected route, JWTs of one issuer. */
import * as Effect from "effect/Effect"
import { FetchHttpClient, HttpRouter, HttpServerResponse } from "effect/http"
import * as Layer from "effect/Layer"
import * as JwtVerifier from "effect-oauth2/JwtVerifier"
import * as OAuth2 from "effect-oauth2/OAuth2"

const auth = OAuth2.authorizationCode("OAuth2", {
  authorizationUrl: "https://idp.example.com/authorize",
  tokenUrl: "https://idp.example.com/token",
  scopes: { me: "Read your profile" }
})

const Me = HttpRouter.add(
  "GET",
  "/users/me",
  Effect.map(auth.token, ({ subject }) => HttpServerResponse.text(subject))
).pipe(auth.require("me"))

export const { handler } = HttpRouter.toWebHandler(
  Me.pipe(
    Layer.provide(
      auth.layer(JwtVerifier.layer({ issuer: "https://idp.example.com", audience: "https://api.example.com" }))
    ),
    Layer.provide(FetchHttpClient.layer)
  )
)
