/** The Items API: what it serves, and what each endpoint and route demands. */
import { Effect, Layer, Option, Schema } from "effect"
import { HttpServerResponse } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { AccessToken, OAuth2, OpenApiSecurity, OptionalAccessToken, SwaggerUi } from "effect-oauth2"
import { Item, Items } from "./Items.ts"
import * as Security from "./Security.ts"

/** Asks for the `TokenVerifier` that tells which tokens are good. `/docs` logs in as the client, where one is given. */
export const make = (endpoints: Security.Endpoints, docsClientId?: string) => {
  const auth = Security.make(endpoints)
  const { api, layer: Api } = items(auth)
  const { layer: Profile, routes } = profile(auth)

  const document = OpenApiSecurity.fromRoutes({
    document: OpenApi.fromApi(api),
    routes: [...routes, ...health.routes]
  })
  const client = { appName: "Items API", scopes: ["items:read", "items:write", "me"] }
  const Docs = SwaggerUi.layer(
    document,
    docsClientId === undefined ? {} : { initOAuth: { ...client, clientId: docsClientId } }
  )

  return Layer.mergeAll(Api, Profile, health.layer, Docs).pipe(Layer.provide([auth.layer, Items.layer(auth)]))
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
  const api = HttpApi.make("items-api")
    .add(Group)
    .annotateMerge(OpenApi.annotations({ title: "Items API", version: "1.0.0" }))
    .pipe(OAuth2.secured, OAuth2.openApi)

  const Handlers = HttpApiBuilder.group(api, "items", (handlers) =>
    Effect.map(Items, (items) =>
      handlers.handleAll({
        list: () => items.list,
        create: ({ payload }) => items.create(payload.name)
      })
    )
  ).pipe(OAuth2.proven)

  return { api, layer: HttpApiBuilder.layer(api).pipe(Layer.provide(Handlers)) }
}

/** The rest, as routes, with what the document says of them. */
const profile = (auth: Security.Auth) => {
  const me = auth.require("me")
  const anybody = auth.optional()

  const Me = OAuth2.route(
    "GET",
    "/users/me",
    Effect.map(AccessToken, ({ scopes, subject }) =>
      HttpServerResponse.jsonUnsafe({ subject, scopes: Array.from(scopes) })
    )
  ).pipe(Layer.provide(me.route.layer))

  const Greeting = OAuth2.route(
    "GET",
    "/greeting",
    Effect.map(OptionalAccessToken, (token) =>
      HttpServerResponse.jsonUnsafe({
        hello: Option.match(token, { onNone: () => "anonymous", onSome: ({ subject }) => subject })
      })
    )
  ).pipe(Layer.provide(anybody.route.layer))

  return {
    layer: Layer.mergeAll(Me, Greeting).pipe(OAuth2.secured),
    routes: [
      {
        method: "GET",
        path: "/users/me",
        requirements: [me],
        operation: { operationId: "me", tags: ["profile"], summary: "Who the token stands for" }
      },
      {
        method: "GET",
        path: "/greeting",
        requirements: [anybody],
        operation: { operationId: "greeting", tags: ["profile"], summary: "A greeting, by name where there is one" }
      }
    ] satisfies ReadonlyArray<OpenApiSecurity.Route>
  }
}

const health = {
  layer: OAuth2.route("GET", "/health", Effect.succeed(HttpServerResponse.jsonUnsafe({ status: "ok" }))).pipe(
    Layer.provide(OAuth2.Public("what watches the service has no credentials").route.layer),
    OAuth2.secured
  ),
  routes: [
    { method: "GET", path: "/health", operation: { operationId: "health", tags: ["health"], summary: "Open to all" } }
  ] satisfies ReadonlyArray<OpenApiSecurity.Route>
}
