/** The Items API: what it serves, and what each endpoint and route demands. */
import { Effect, Layer, Option, Schema } from "effect"
import { HttpServerResponse } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup, HttpApiSchema } from "effect/http-api"
import { AccessToken, OAuth2, OptionalAccessToken } from "effect-oauth2"
import { Item, Items } from "./Items.ts"
import * as Security from "./Security.ts"

/** Asks for the `TokenVerifier` that tells which tokens are good. */
export const make = (endpoints: Security.Endpoints) => {
  const auth = Security.make(endpoints)
  return Layer.mergeAll(items(auth), profile(auth), health).pipe(Layer.provide([auth.layer, Items.layer(auth)]))
}

/** The items, as a declared api. Requirements accumulate: creating an item takes items:read and items:write. */
const items = (auth: Security.Auth) => {
  const Group = HttpApiGroup.make("items", { topLevel: true })
    .add(
      HttpApiEndpoint.get("list", "/items", { success: Schema.Array(Item) }),
      HttpApiEndpoint.post("create", "/items", {
        payload: Schema.Struct({ name: Schema.NonEmptyString }),
        success: Item.pipe(HttpApiSchema.status(201))
      }).middleware(auth.require("items:write"))
    )
    .middleware(auth.require("items:read"))
  const Api = HttpApi.make("items-api").add(Group).pipe(OAuth2.secured, OAuth2.openApi)

  const Handlers = HttpApiBuilder.group(Api, "items", (handlers) =>
    Effect.map(Items, (items) =>
      handlers.handleAll({
        list: () => items.list,
        create: ({ payload }) => items.create(payload.name)
      })
    )
  ).pipe(OAuth2.proven)

  return HttpApiBuilder.layer(Api).pipe(Layer.provide(Handlers))
}

/** The rest, as routes. */
const profile = (auth: Security.Auth) => {
  const Me = OAuth2.route(
    "GET",
    "/users/me",
    Effect.map(AccessToken, ({ scopes, subject }) =>
      HttpServerResponse.jsonUnsafe({ subject, scopes: Array.from(scopes) })
    )
  ).pipe(Layer.provide(auth.require("me").route.layer))

  const Greeting = OAuth2.route(
    "GET",
    "/greeting",
    Effect.map(OptionalAccessToken, (token) =>
      HttpServerResponse.jsonUnsafe({
        hello: Option.match(token, { onNone: () => "anonymous", onSome: ({ subject }) => subject })
      })
    )
  ).pipe(Layer.provide(auth.optional().route.layer))

  return Layer.mergeAll(Me, Greeting).pipe(OAuth2.secured)
}

const health = OAuth2.route("GET", "/health", Effect.succeed(HttpServerResponse.jsonUnsafe({ status: "ok" }))).pipe(
  Layer.provide(OAuth2.Public("what watches the service has no credentials").route.layer),
  OAuth2.secured
)
