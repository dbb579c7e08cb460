/** The Items API: its endpoints and routes, and their requirements. */
import { Effect, Layer, Option, Schema } from "effect"
import { HttpServerResponse } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { OAuth2, OpenApiSecurity, SwaggerUi, type TokenVerifier } from "effect-oauth2"
import { SessionVerifier } from "effect-oauth2/login"
import { BadRequests } from "./BadRequests.ts"
import { Item, Items } from "./Items.ts"
import * as Security from "./Security.ts"
import * as WebPage from "./WebPage.ts"

/** Creates the layer of the app. If `docsClientId` is given, `/docs` logs in as this client. */
export const make = <E, R>(
  endpoints: Security.Endpoints,
  verifier: Layer.Layer<TokenVerifier, E, R>,
  docsClientId?: string
) => app(Security.make(endpoints), verifier, Start.pipe(OAuth2.secured), docsClientId)

/** Creates the layer of the app with the web page. All requirements then accept the session cookie, too. */
export const makeWithPage = <E, R>(
  endpoints: Security.Endpoints,
  verifier: Layer.Layer<TokenVerifier, E, R>,
  page: WebPage.Options,
  docsClientId?: string
) => {
  const auth = Security.make(endpoints, WebPage.session)
  const start = WebPage.routes(auth, page).pipe(OAuth2.secured)
  return app(auth, verifier.pipe(SessionVerifier.accessTokens), start, docsClientId).pipe(
    Layer.provide(WebPage.signIn(page))
  )
}

const app = <E, R, E2, R2>(
  auth: Security.Auth,
  verifier: Layer.Layer<TokenVerifier, E, R>,
  start: Layer.Layer<never, E2, R2>,
  docsClientId: string | undefined
) => {
  const { api, layer: Api } = items(auth)
  const client = { appName: "Items API", scopes: ["items:read", "items:write", "me"] }
  const docs = {
    // The page has a login of its own, and does not use the session of the web page.
    parameters: { withCredentials: false },
    ...(docsClientId === undefined ? {} : { initOAuth: { ...client, clientId: docsClientId } })
  }

  return Layer.mergeAll(Layer.mergeAll(Api, profile(auth), Health).pipe(OAuth2.secured), start).pipe(
    OpenApiSecurity.documented({ document: OpenApi.fromApi(api), info, tags }, (document) =>
      SwaggerUi.layer(document, docs)
    ),
    Layer.provide([auth.layer(verifier), Items.layer(auth)])
  )
}

const info = {
  description: "Items, and the profile of the user who owns them.",
  license: { name: "MIT", url: "https://opensource.org/license/mit" },
  contact: { name: "Items team", email: "items@example.com" }
}

/** Descriptions of the tags that the routes of `HttpRouter` have. */
const tags = [
  { name: "profile", description: "What the API knows about you" },
  { name: "health", description: "For monitoring tools" }
]

/** The items, as an `HttpApi`. Requirements accumulate: to create an item, a token needs items:read and items:write. */
const items = (auth: Security.Auth) => {
  const Group = HttpApiGroup.make("items", { topLevel: true })
    .add(
      HttpApiEndpoint.get("list", "/items", { success: Schema.Array(Item) }).annotateMerge(
        OpenApi.annotations({ summary: "List the items", description: "Returns the items of all users." })
      ),
      HttpApiEndpoint.post("create", "/items", {
        payload: Schema.Struct({ name: Schema.NonEmptyString }),
        success: Item.pipe(HttpApiSchema.status(201))
      })
        .middleware(BadRequests)
        .middleware(auth.require("items:write"))
        .annotateMerge(OpenApi.annotations({ summary: "Create an item", description: "You own the new item." }))
    )
    .middleware(auth.require("items:read"))
    .annotateMerge(OpenApi.annotations({ description: "Items of all users" }))
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
  ).pipe(OAuth2.secured, Layer.provide(BadRequests.layer))

  return { api, layer: HttpApiBuilder.layer(api).pipe(Layer.provide(Handlers)) }
}

const Profile = Schema.Struct({ subject: Schema.String, scopes: Schema.Array(Schema.String) }).annotate({
  identifier: "Profile"
})

const Greeting = Schema.Struct({ hello: Schema.String }).annotate({ identifier: "Greeting" })

const Status = Schema.Struct({ status: Schema.Literal("ok") }).annotate({ identifier: "Status" })

/** The profile, as routes of `HttpRouter`. `OpenApiSecurity.operation` describes each route in the OpenAPI document. */
const profile = (auth: Security.Auth) => {
  const Me = OAuth2.route(
    "GET",
    "/users/me",
    Effect.map(auth.token, ({ scopes, subject }) =>
      HttpServerResponse.jsonUnsafe({ subject, scopes: Array.from(scopes) })
    )
  ).pipe(
    auth.require("me"),
    Layer.provide(
      OpenApiSecurity.operation({
        operationId: "me",
        summary: "Read your own profile",
        description: "Returns the subject and the scopes of your access token."
      })
    ),
    Layer.provide(OpenApiSecurity.schemas({ success: Profile }))
  )

  const Greet = OAuth2.route(
    "GET",
    "/greeting",
    Effect.map(auth.optionalToken, (token) =>
      HttpServerResponse.jsonUnsafe({
        hello: Option.match(token, { onNone: () => "anonymous", onSome: ({ subject }) => subject })
      })
    )
  ).pipe(
    auth.optional(),
    Layer.provide(
      OpenApiSecurity.operation({
        operationId: "greeting",
        summary: "Get a greeting",
        description: "Greets you by name if you are logged in."
      })
    ),
    Layer.provide(OpenApiSecurity.schemas({ success: Greeting }))
  )

  return Layer.mergeAll(Me, Greet).pipe(Layer.provide(OpenApiSecurity.operation({ tags: ["profile"] })))
}

const Health = OAuth2.route("GET", "/health", Effect.succeed(HttpServerResponse.jsonUnsafe({ status: "ok" }))).pipe(
  OAuth2.Public("monitoring tools have no credentials"),
  Layer.provide(
    OpenApiSecurity.operation({
      operationId: "health",
      tags: ["health"],
      summary: "Check the service",
      description: "Succeeds if the service runs."
    })
  ),
  Layer.provide(OpenApiSecurity.schemas({ success: Status }))
)

/** Leads to the documentation page, if there is no web page. The relative URL also works below a prefix that a proxy removes. */
const Start = OAuth2.route("GET", "/", Effect.succeed(HttpServerResponse.redirect("docs"))).pipe(
  OAuth2.Public("the documentation page is public"),
  Layer.provide(OpenApiSecurity.hidden)
)
