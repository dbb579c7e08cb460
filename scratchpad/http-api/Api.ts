/** The API, which server and client share. */
import { Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup, HttpApiSchema } from "effect/http-api"
import { OAuth2 } from "effect-oauth2"
import { issuer } from "../support/Addresses.ts"

export const auth = OAuth2.clientCredentials("OAuth2", {
  tokenUrl: `${issuer}/token`,
  scopes: { "items:read": "Read the items", "items:write": "Add items" },
  responses: "rfc6750"
})

export const Item = Schema.Struct({ name: Schema.NonEmptyString, owner: Schema.String }).annotate({
  identifier: "Item"
})

export const Api = HttpApi.make("items-api")
  .add(
    HttpApiGroup.make("items", { topLevel: true })
      .add(
        HttpApiEndpoint.get("list", "/items", { success: Schema.Array(Item) }),
        HttpApiEndpoint.post("create", "/items", {
          payload: Schema.Struct({ name: Schema.NonEmptyString }),
          success: Item.pipe(HttpApiSchema.status(201))
        }).middleware(auth.require("items:write"))
      )
      .middleware(auth.require("items:read"))
      // A middleware covers the endpoints before it, so the public endpoint is after it.
      .add(
        HttpApiEndpoint.get("health", "/health", { success: Schema.Struct({ status: Schema.String }) }).middleware(
          OAuth2.Public("the load balancer has no token")
        )
      )
  )
  .pipe(OAuth2.secured, OAuth2.openApi)
