import { NodeHttpServer, NodeRuntime } from "@effect/platform-node"
import { Clock, Config, Context, Effect, Layer, Redacted, Schema } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerRespondable, HttpServerResponse } from "effect/http"
import { JwtVerifier, OAuth2, OpenApiSecurity, SecurityError, SwaggerUi } from "effect-oauth2"
import { SignJWT } from "jose"
import { scryptSync, timingSafeEqual } from "node:crypto"
import { createServer } from "node:http"

// The name and the audience of this app, which is its own authorization server.
const issuer = "https://items.example.com"
const audience = "items"
const lifetime = 30 * 60 // seconds
const secretKey = Config.Redacted("SECRET_KEY")

// 1. The scheme of the tutorial: a password flow with two scopes.
const auth = OAuth2.password("OAuth2PasswordBearer", {
  tokenUrl: "token",
  scopes: { me: "Read information about the current user.", items: "Read items." }
})

// 2. The users, with hashed passwords.
interface User {
  readonly username: string
  readonly full_name: string
  readonly disabled: boolean
}

const hash = (password: string) => scryptSync(password, "a salt for each user", 32)

const users = new Map<string, User & { readonly hashedPassword: Uint8Array }>([
  ["johndoe", { username: "johndoe", full_name: "John Doe", disabled: false, hashedPassword: hash("secret") }],
  ["alice", { username: "alice", full_name: "Alice Chains", disabled: true, hashedPassword: hash("secretalice") }]
])

class BadRequest extends Schema.TaggedError<BadRequest>()("BadRequest", { detail: Schema.String }) {
  [HttpServerRespondable.symbol]() {
    return HttpServerResponse.json({ detail: this.detail }, { status: 400 })
  }
}

// 3. OAuth2PasswordRequestForm: the fields of RFC 6749 §4.3.2. Login is public, because clients have no token yet.
const PasswordForm = Schema.Struct({
  grant_type: Schema.optionalKey(Schema.Literal("password")),
  username: Schema.String,
  password: Schema.String,
  scope: Schema.optionalKey(Schema.String),
  client_id: Schema.optionalKey(Schema.String),
  client_secret: Schema.optionalKey(Schema.String)
})

const Login = HttpRouter.add(
  "POST",
  "/token",
  Effect.gen(function* () {
    const form = yield* HttpServerRequest.schemaBodyUrlParams(PasswordForm)
    const user = users.get(form.username)
    if (user === undefined || !timingSafeEqual(hash(form.password), user.hashedPassword)) {
      return yield* new BadRequest({ detail: "Incorrect username or password" })
    }
    const key = new TextEncoder().encode(Redacted.value(yield* secretKey))
    const now = Math.floor((yield* Clock.currentTimeMillis) / 1000)
    const access_token = yield* Effect.promise(() =>
      new SignJWT({ scope: form.scope ?? "" })
        .setProtectedHeader({ alg: "HS256", typ: "JWT" })
        .setSubject(form.username)
        .setIssuer(issuer)
        .setAudience(audience)
        .setExpirationTime(now + lifetime)
        .sign(key)
    )
    return HttpServerResponse.jsonUnsafe({ access_token, token_type: "bearer" })
  })
).pipe(OAuth2.Public("Clients log in here."))

// 4. get_current_user: the requirement has verified the token and its scopes before.
class CurrentUser extends Context.Service<CurrentUser, User>()("app/CurrentUser") {}

const currentUser = Effect.gen(function* () {
  const { subject } = yield* auth.token
  const user = users.get(subject)
  if (user === undefined) return yield* auth.refuse(new SecurityError.InvalidToken({ reason: "Rejected" }))
  const { disabled, full_name, username } = user
  return { username, full_name, disabled }
})

// get_current_active_user: handlers use it instead of CurrentUser.
const activeUser = Effect.filterOrFail(
  CurrentUser,
  ({ disabled }) => !disabled,
  () => new BadRequest({ detail: "Inactive user" })
)

// 5. The routes. "items" is outside of "me", so the challenge names both in this order.
const Me = HttpRouter.add("GET", "/users/me/", Effect.map(activeUser, HttpServerResponse.jsonUnsafe)).pipe(
  auth.require("me").provide(CurrentUser, currentUser)
)

const MyItems = HttpRouter.add(
  "GET",
  "/users/me/items/",
  Effect.map(activeUser, ({ username }) => HttpServerResponse.jsonUnsafe([{ item_id: "Foo", owner: username }]))
).pipe(auth.require("me").provide(CurrentUser, currentUser), auth.require("items"))

const Status = HttpRouter.add("GET", "/status/", HttpServerResponse.jsonUnsafe({ status: "ok" })).pipe(auth.require())

// 6. decode with the shared secret. An audience keeps tokens of other apps with this secret out.
const Verifier = Layer.unwrap(
  Effect.map(secretKey, (secret) => JwtVerifier.layerSecret({ issuer, audience, algorithm: "HS256", secret }))
)

const App = Layer.mergeAll(Login, Me, MyItems, Status).pipe(
  OAuth2.secured,
  OpenApiSecurity.documented({ info: { title: "Items", version: "0.1.0" } }, (document) => SwaggerUi.layer(document)),
  HttpRouter.serve,
  Layer.provide(NodeHttpServer.layer(createServer, { port: 34979 })),
  Layer.provide(auth.layer(Verifier))
)

NodeRuntime.runMain(Layer.launch(App))
