/** An app with every kind of requirement and scheme, on routes and endpoints, whose document linters accept. */
import { DateTime, Effect, Layer, Option, Redacted, Schema } from "effect"
import { HttpServerResponse } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import {
  AccessToken,
  OAuth2,
  OpenApiSecurity,
  OptionalAccessToken,
  SecurityError,
  SwaggerUi,
  TokenVerifier
} from "effect-oauth2"
import { authorizationServer } from "./authorizationServer.ts"
import { fromContext } from "./contextVerifier.ts"

export const users = OAuth2.make("Users", {
  flows: { authorizationCode: authorizationServer, clientCredentials: { tokenUrl: authorizationServer.tokenUrl } },
  scopes: {
    "items:read": "Read the items",
    "items:write": "Change the items",
    "jobs:run": "Run jobs",
    me: "Read your own profile"
  },
  implies: { "items:write": ["items:read"] },
  description: "Users, and programs that act on their own behalf",
  oauth2MetadataUrl: "https://idp.example.com/.well-known/oauth-authorization-server"
})
export const device = OAuth2.deviceAuthorization("Device", {
  deviceAuthorizationUrl: "https://idp.example.com/device",
  tokenUrl: authorizationServer.tokenUrl,
  scopes: { watch: "Watch films" }
})
export const login = OAuth2.openIdConnect("Login", {
  openIdConnectUrl: "https://idp.example.com/.well-known/openid-configuration",
  scopes: { openid: "Log in" },
  renderers: { NotAuthenticated: () => HttpServerResponse.text("Log in first", { status: 401 }) }
})
export const tool = OAuth2.bearer("Tool", {
  bearerFormat: "JWT",
  scopes: { deploy: "Deploy the site" },
  responses: "rfc6750"
})
export const admin = OAuth2.basic("Admin", {})
export const headerKey = OAuth2.apiKey("HeaderKey", { in: "header", name: "X-API-Key" })
export const queryKey = OAuth2.apiKey("QueryKey", { in: "query", name: "key" })
export const cookieKey = OAuth2.apiKey("CookieKey", { in: "cookie", name: "session" })

/** Credentials of the schemes that have no tokens. */
export const secrets = { admin: "root:secret", header: "key-of-header", query: "key-of-query", cookie: "key-of-cookie" }

const verifierOf = (secret: string) =>
  TokenVerifier.layer({
    verify: (credentials) =>
      Redacted.value(credentials) === secret
        ? Effect.succeed(
            AccessToken.make({
              subject: "demo",
              scopes: [],
              issuer: "https://keys.example.com",
              expiresAt: DateTime.makeUnsafe("2100-01-01T00:00:00Z")
            })
          )
        : Effect.fail(new SecurityError.InvalidToken({ reason: "Rejected" }))
  })

class Item extends Schema.Class<Item>("Item")({ id: Schema.String, name: Schema.NonEmptyString }) {}
class NotFound extends Schema.TaggedError<NotFound>()("NotFound", { id: Schema.String }, { httpApiStatus: 404 }) {}
/** The app's own errors of the statuses that refusals have. */
class Closed extends Schema.TaggedError<Closed>()("Closed", { until: Schema.String }, { httpApiStatus: 403 }) {}
class LoggedOut extends Schema.TaggedError<LoggedOut>()("LoggedOut", {}, { httpApiStatus: 401 }) {}

const text = (summary: string, description: string) => OpenApi.annotations({ summary, description })

export const api = HttpApi.make("shop")
  .add(
    HttpApiGroup.make("items")
      .add(
        HttpApiEndpoint.get("list", "/items", {
          query: { limit: Schema.optional(Schema.FiniteFromString) },
          success: Schema.Array(Item)
        }).annotateMerge(text("List the items", "Returns the items of all users.")),
        HttpApiEndpoint.get("find", "/items/:id", {
          params: { id: Schema.String },
          success: Item,
          error: NotFound
        }).annotateMerge(text("Find an item", "Returns one item.")),
        HttpApiEndpoint.post("create", "/items", {
          payload: Schema.Struct({ name: Schema.NonEmptyString }),
          success: Item.pipe(HttpApiSchema.status(201)),
          error: [Closed, LoggedOut]
        })
          .middleware(users.require("items:write"))
          .annotateMerge(text("Create an item", "Fails while the shop is closed.")),
        HttpApiEndpoint.delete("remove", "/items/:id", { params: { id: Schema.String } })
          .middleware(users.require("items:write"))
          .middleware(headerKey.require())
          .annotateMerge(text("Remove an item", "Needs a user and the key of a program."))
      )
      .middleware(users.require("items:read"))
      .annotateMerge(OpenApi.annotations({ description: "What the shop sells" })),
    HttpApiGroup.make("jobs")
      .add(
        HttpApiEndpoint.post("run", "/jobs", { success: Schema.Struct({ by: Schema.String }) })
          .middleware(OAuth2.either(users.require("jobs:run"), headerKey.require()))
          .annotateMerge(text("Run the nightly job", "A user or a program may run the job.")),
        HttpApiEndpoint.get("status", "/jobs", { success: Schema.String })
          .middleware(OAuth2.Public("shown on a screen in the office"))
          .annotateMerge(text("Read the status", "Returns the status of the last job."))
      )
      .annotateMerge(OpenApi.annotations({ description: "What runs at night" }))
  )
  .annotateMerge(
    OpenApi.annotations({
      title: "Shop",
      version: "1.0.0",
      description: "A shop with every kind of requirement.",
      license: { name: "MIT", url: "https://opensource.org/license/mit" }
    })
  )
  .pipe(OAuth2.secured, OAuth2.openApi)

const item = new Item({ id: "1", name: "a" })

const Handlers = Layer.mergeAll(
  HttpApiBuilder.group(api, "items", (handlers) =>
    handlers.handleAll({
      list: () => Effect.succeed([item]),
      find: () => Effect.succeed(item),
      create: ({ payload }) => Effect.succeed(new Item({ id: "2", name: payload.name })),
      remove: () => Effect.void
    })
  ),
  HttpApiBuilder.group(api, "jobs", (handlers) =>
    handlers.handleAll({
      run: () => Effect.map(AccessToken, ({ subject }) => ({ by: subject })),
      status: () => Effect.succeed("done")
    })
  )
).pipe(OAuth2.secured)

const subject = Effect.map(AccessToken, ({ subject }) => HttpServerResponse.jsonUnsafe({ subject }))

const operation = (operationId: string, summary: string, description: string, tags = ["people"]) =>
  Layer.provide(OpenApiSecurity.operation({ operationId, summary, description, tags }))

const Subject = Layer.provide(OpenApiSecurity.schemas({ success: Schema.Struct({ subject: Schema.String }) }))

const routes = Layer.mergeAll(
  OAuth2.route("GET", "/me", subject).pipe(
    users.require("me"),
    Subject,
    operation("me", "Read your profile", "Short.")
  ),
  OAuth2.route(
    "GET",
    "/greeting",
    Effect.map(OptionalAccessToken, (token) =>
      HttpServerResponse.jsonUnsafe({
        subject: Option.match(token, { onNone: () => "anonymous", onSome: (of) => of.subject })
      })
    )
  ).pipe(users.optional(), Subject, operation("greeting", "Get a greeting", "By name if you are logged in.")),
  OAuth2.route("PUT", "/people/:id", subject).pipe(
    login.require("openid"),
    Layer.provide(
      OpenApiSecurity.schemas({
        params: { id: Schema.String },
        payload: Schema.Struct({ name: Schema.String }),
        success: Schema.Struct({ subject: Schema.String })
      })
    ),
    operation("rename", "Rename a person", "Changes the name.")
  ),
  OAuth2.route("GET", "/films", subject).pipe(
    device.require("watch"),
    Subject,
    operation("films", "List films", "For television sets.")
  ),
  OAuth2.route("POST", "/deploy", subject).pipe(
    tool.require("deploy"),
    Subject,
    operation("deploy", "Deploy the site", "For a command-line tool.", ["machines"])
  ),
  OAuth2.route("GET", "/metrics", subject).pipe(
    admin.require(),
    Subject,
    operation("metrics", "Read metrics", "For administrators.", ["machines"])
  ),
  OAuth2.route("GET", "/search", subject).pipe(
    queryKey.require(),
    Subject,
    operation("search", "Search", "For programs.", ["machines"])
  ),
  OAuth2.route("POST", "/cart", subject).pipe(
    cookieKey.require(),
    Subject,
    operation("cart", "Fill the cart", "For browsers.")
  ),
  OAuth2.route("GET", "/feed", subject).pipe(
    OAuth2.either(admin.require(), queryKey.require(), cookieKey.require()),
    Subject,
    operation("feed", "Read the feed", "For administrators, programs and browsers.")
  ),
  OAuth2.route("GET", "/health", Effect.succeed(HttpServerResponse.jsonUnsafe({ subject: "ok" }))).pipe(
    OAuth2.Public("monitoring tools have no credentials"),
    Subject,
    operation("health", "Check the service", "Succeeds if the service runs.", ["machines"])
  )
)

/** The app. Its document is at `/openapi.json`. Tokens of all schemes with tokens come from one issuer. */
export const App = Layer.mergeAll(HttpApiBuilder.layer(api).pipe(Layer.provide(Handlers)), routes).pipe(
  OAuth2.secured,
  OpenApiSecurity.documented(
    {
      document: OpenApi.fromApi(api),
      info: { contact: { name: "Shop team", email: "shop@example.com" } },
      tags: [
        { name: "people", description: "What the shop knows about people" },
        { name: "machines", description: "For programs" }
      ]
    },
    (document) => SwaggerUi.layer(document)
  ),
  Layer.provide([
    users.layer(fromContext),
    device.layer(fromContext),
    login.layer(fromContext),
    tool.layer(fromContext),
    admin.layer(verifierOf(secrets.admin)),
    headerKey.layer(verifierOf(secrets.header)),
    queryKey.layer(verifierOf(secrets.query)),
    cookieKey.layer(verifierOf(secrets.cookie))
  ])
)
