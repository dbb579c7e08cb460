/** The Items API: what it serves, and what each route demands. */
import { Effect, Layer, Option, Schema } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { AccessToken, OAuth2, OptionalAccessToken } from "effect-oauth2"
import { Items } from "./Items.ts"

export interface Endpoints {
  readonly authorizationUrl: string
  readonly tokenUrl: string
}

export const make = (endpoints: Endpoints) => {
  const auth = OAuth2.authorizationCode("OAuth2", {
    ...endpoints,
    scopes: {
      "items:read": "Read the items",
      "items:write": "Add items",
      me: "Read your own profile"
    }
  })

  const Health = HttpRouter.add("GET", "/health", HttpServerResponse.jsonUnsafe({ status: "ok" }))

  const ListItems = HttpRouter.add(
    "GET",
    "/items",
    Effect.gen(function* () {
      const items = yield* Items
      return HttpServerResponse.jsonUnsafe(yield* items.list)
    })
  )

  const CreateItem = HttpRouter.add(
    "POST",
    "/items",
    Effect.gen(function* () {
      const items = yield* Items
      const token = yield* AccessToken
      const { name } = yield* HttpServerRequest.schemaBodyJson(Schema.Struct({ name: Schema.NonEmptyString }))
      return HttpServerResponse.jsonUnsafe(yield* items.create(name, token.subject), { status: 201 })
    })
  ).pipe(Layer.provide(auth.require("items:write").route.layer))

  // Requirements accumulate, outermost first: creating an item takes items:read and items:write.
  const ItemRoutes = Layer.mergeAll(ListItems, CreateItem).pipe(Layer.provide(auth.require("items:read").route.layer))

  const Me = HttpRouter.add(
    "GET",
    "/users/me",
    Effect.map(AccessToken, ({ scopes, subject }) =>
      HttpServerResponse.jsonUnsafe({ subject, scopes: Array.from(scopes) })
    )
  ).pipe(Layer.provide(auth.require("me").route.layer))

  const Greeting = HttpRouter.add(
    "GET",
    "/greeting",
    Effect.map(OptionalAccessToken, (token) =>
      HttpServerResponse.jsonUnsafe({
        hello: Option.match(token, { onNone: () => "anonymous", onSome: ({ subject }) => subject })
      })
    )
  ).pipe(Layer.provide(auth.optional().route.layer))

  /** Asks for the `TokenVerifier` that tells which tokens are good. */
  return Layer.mergeAll(Health, ItemRoutes, Me, Greeting).pipe(
    Layer.provide(auth.layer),
    HttpRouter.provideRequest(Items.layer)
  )
}
