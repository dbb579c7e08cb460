/** FastAPI's tutorial 5: a password flow, JWTs, and a guard that checks users and scopes. */
import { Clock, DateTime, Effect, Layer, Option, Redacted, Schema } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerRespondable, HttpServerResponse } from "effect/http"
import { AccessToken, OAuth2, SecurityError, TokenVerifier } from "effect-oauth2"
import { jwtVerify, SignJWT } from "jose"

// The tutorial's published example key, which signed the recorded tokens.
const key = new TextEncoder().encode("09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7")

const users = new Map([
  ["johndoe", { password: "secret", full_name: "John Doe", disabled: false }],
  ["alice", { password: "secretalice", full_name: "Alice Chains", disabled: true }]
])

class BadRequest extends Schema.TaggedError<BadRequest>()("BadRequest", { detail: Schema.String }) {
  [HttpServerRespondable.symbol]() {
    return HttpServerResponse.json({ detail: this.detail }, { status: 400 })
  }
}

/** Signs a token of this app. */
export const sign = (claims: Record<string, unknown>) =>
  Effect.promise(() => new SignJWT(claims).setProtectedHeader({ alg: "HS256", typ: "JWT" }).sign(key))

const Login = HttpRouter.add(
  "POST",
  "/token",
  Effect.gen(function* () {
    const form = yield* HttpServerRequest.schemaBodyUrlParams(
      Schema.Struct({ username: Schema.String, password: Schema.String, scope: Schema.optionalKey(Schema.String) })
    )
    if (users.get(form.username)?.password !== form.password) {
      return yield* new BadRequest({ detail: "Incorrect username or password" })
    }
    const exp = Math.floor((yield* Clock.currentTimeMillis) / 1000) + 30 * 60
    const access_token = yield* sign({ sub: form.username, scope: form.scope ?? "", exp })
    return HttpServerResponse.jsonUnsafe({ access_token, token_type: "bearer" })
  })
)

const rejected = new SecurityError.InvalidToken({ reason: "Rejected" })

const Verifier = TokenVerifier.layer({
  verify: Effect.fnUntraced(function* (token: Redacted.Redacted) {
    const currentDate = new Date(yield* Clock.currentTimeMillis)
    const { payload } = yield* Effect.tryPromise({
      try: () => jwtVerify(Redacted.value(token), key, { algorithms: ["HS256"], currentDate }),
      catch: () => rejected
    })
    if (payload.sub === undefined || !users.has(payload.sub)) return yield* rejected
    return {
      subject: payload.sub,
      clientId: Option.none(),
      scopes: new Set(typeof payload["scope"] === "string" ? payload["scope"].split(" ") : []),
      issuer: "",
      audience: [],
      expiresAt: DateTime.makeUnsafe((payload.exp ?? 0) * 1000),
      issuedAt: Option.none(),
      tokenId: Option.none(),
      acr: Option.none(),
      authenticatedAt: Option.none(),
      amr: [],
      authorizationDetails: [],
      claims: payload
    }
  })
})

const auth = OAuth2.authorizationCode("OAuth2PasswordBearer", {
  authorizationUrl: "authorize",
  tokenUrl: "token",
  scopes: { me: "Read information about the current user.", items: "Read items." }
})

const activeUser = Effect.gen(function* () {
  const { subject } = yield* AccessToken
  const user = users.get(subject)
  if (user === undefined || user.disabled) return yield* new BadRequest({ detail: "Inactive user" })
  const { disabled, full_name } = user
  return { username: subject, email: `${subject}@example.com`, full_name, disabled }
})

const Me = HttpRouter.add("GET", "/users/me/", Effect.map(activeUser, HttpServerResponse.jsonUnsafe))

const MyItems = HttpRouter.add(
  "GET",
  "/users/me/items/",
  Effect.map(activeUser, ({ username }) => HttpServerResponse.jsonUnsafe([{ item_id: "Foo", owner: username }]))
)

// The items route requires "items" outside of "me".
const me = auth.require("me").route
const Users = Layer.mergeAll(
  Me.pipe(Layer.provide(me.layer)),
  MyItems.pipe(Layer.provide(me.layer), auth.require("items"))
)

const Status = HttpRouter.add("GET", "/status/", HttpServerResponse.jsonUnsafe({ status: "ok" })).pipe(auth.require())

export const App = Layer.mergeAll(Login, Users, Status).pipe(Layer.provide(auth.layer(Verifier)))
