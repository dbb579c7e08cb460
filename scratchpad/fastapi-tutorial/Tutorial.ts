/**
 * FastAPI's tutorial "OAuth2 scopes", ported whole: its token endpoint, its users, its dependencies and its routes.
 *
 * The names of the tutorial are in the comments.
 */
import { Context, Effect, Layer, Schema } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerRespondable, HttpServerResponse } from "effect/http"
import { HttpApiSchema } from "effect/http-api"
import { OAuth2, OpenApiSecurity, SecurityError, SwaggerUi } from "effect-oauth2"
import { Tokens, Verifier } from "./Tokens.ts"
import * as Users from "./Users.ts"

// `oauth2_scheme = OAuth2PasswordBearer(tokenUrl="token", scopes={…})`. OAuth 2.1 removes the password flow, so use
// `OAuth2.authorizationCode` for your own API.
const auth = OAuth2.make("OAuth2PasswordBearer", {
  flows: { password: { tokenUrl: "token" } },
  scopes: { me: "Read information about the current user.", items: "Read items." }
})

// `HTTPException(status_code=400, detail=…)`
class BadRequest extends Schema.TaggedError<BadRequest>()("BadRequest", { detail: Schema.String }) {
  [HttpServerRespondable.symbol]() {
    return HttpServerResponse.json({ detail: this.detail }, { status: 400 })
  }
}

// `OAuth2PasswordRequestForm`
const PasswordForm = Schema.Struct({
  grant_type: Schema.optionalKey(Schema.Literal("password")),
  username: Schema.String,
  password: Schema.String,
  scope: Schema.optionalKey(Schema.String),
  client_id: Schema.optionalKey(Schema.String),
  client_secret: Schema.optionalKey(Schema.String)
}).annotate({ identifier: "OAuth2PasswordRequestForm" })

const Token = Schema.Struct({ access_token: Schema.String, token_type: Schema.String }).annotate({
  identifier: "Token"
})

// `login_for_access_token`
const Login = HttpRouter.add(
  "POST",
  "/token",
  Effect.gen(function* () {
    const form = yield* HttpServerRequest.schemaBodyUrlParams(PasswordForm)
    const user = yield* Users.authenticate(form.username, form.password)
    if (user === undefined) return yield* new BadRequest({ detail: "Incorrect username or password" })
    // As in the tutorial, a user gets each scope of the request. Your own server compares them with the user's rights.
    const scopes = (form.scope ?? "").split(/\s+/).filter((scope) => scope !== "")
    const { sign } = yield* Tokens
    const access_token = yield* sign(user.username, scopes.join(" "))
    return HttpServerResponse.jsonUnsafe({ access_token, token_type: "bearer" })
  }).pipe(
    // FastAPI's body names each field. The status is equal.
    Effect.catchIf(Schema.isSchemaError, () =>
      Effect.succeed(HttpServerResponse.jsonUnsafe({ detail: "The form is invalid" }, { status: 422 }))
    )
  )
).pipe(
  OAuth2.Public("this route issues the tokens"),
  Layer.provide(
    OpenApiSecurity.schemas({ payload: PasswordForm.pipe(HttpApiSchema.asFormUrlEncoded()), success: Token })
  ),
  Layer.provide(OpenApiSecurity.operation({ operationId: "login", summary: "Login For Access Token" }))
)

class CurrentUser extends Context.Service<CurrentUser, Users.User>()("fastapi-tutorial/CurrentUser") {}

// `get_current_user`. The requirement decodes the token and compares the scopes, so only the user is left to find.
const currentUser = Effect.gen(function* () {
  const { subject } = yield* auth.token
  const user = Users.find(subject)
  return user ?? (yield* auth.refuse(new SecurityError.InvalidToken({ reason: "Rejected" })))
})

// `get_current_active_user`
const currentActiveUser = Effect.filterOrFail(
  currentUser,
  ({ disabled }) => !disabled,
  () => new BadRequest({ detail: "Inactive user" })
)

// `Security(get_current_user, scopes=["me"])`
const activeUser = auth.require("me").provide(CurrentUser, currentActiveUser, { error: BadRequest })

// `read_users_me`
const Me = HttpRouter.add(
  "GET",
  "/users/me/",
  Effect.map(CurrentUser, (user) => HttpServerResponse.jsonUnsafe(user))
).pipe(
  activeUser,
  Layer.provide(OpenApiSecurity.schemas({ success: Users.User })),
  Layer.provide(OpenApiSecurity.operation({ operationId: "me", summary: "Read Users Me" }))
)

// `read_own_items`, with `Security(get_current_active_user, scopes=["items"])`
const OwnItems = HttpRouter.add(
  "GET",
  "/users/me/items/",
  Effect.map(CurrentUser, ({ username }) => HttpServerResponse.jsonUnsafe([{ item_id: "Foo", owner: username }]))
).pipe(
  activeUser,
  auth.require("items"),
  Layer.provide(OpenApiSecurity.operation({ operationId: "items", summary: "Read Own Items" }))
)

// `read_system_status`, with `Depends(get_current_user)`
const Status = HttpRouter.add("GET", "/status/", HttpServerResponse.jsonUnsafe({ status: "ok" })).pipe(
  auth.require().provide(CurrentUser, currentUser),
  Layer.provide(OpenApiSecurity.operation({ operationId: "status", summary: "Read System Status" }))
)

/** The app. As FastAPI does, it serves its document at `/openapi.json`, and the documentation page at `/docs`. */
export const App = Layer.mergeAll(Login, Me, OwnItems, Status).pipe(
  OAuth2.secured,
  OpenApiSecurity.documented({ info: { title: "FastAPI's tutorial", version: "1.0.0" } }, (document) =>
    SwaggerUi.layer(document)
  ),
  Layer.provide(auth.layer(Verifier))
)
