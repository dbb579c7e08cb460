/** An api module that a browser client shares with its server. */
import { HttpApi, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import * as OAuth2 from "effect-oauth2/OAuth2"
import * as Schema from "effect/Schema"

export const auth = OAuth2.authorizationCode("OAuth2", {
  authorizationUrl: "https://idp.example.com/authorize",
  tokenUrl: "https://idp.example.com/token",
  scopes: { "items:read": "Read your items" }
})

export const Api = HttpApi.make("api")
  .add(
    HttpApiGroup.make("items")
      .add(HttpApiEndpoint.get("list", "/items", { success: Schema.Array(Schema.String) }))
      .middleware(auth.require("items:read"))
  )
  .pipe(OAuth2.secured)
