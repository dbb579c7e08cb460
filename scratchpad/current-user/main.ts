/**
 * The user of a token, found by your own code and given to handlers. Run `npm run example -- current-user`.
 *
 * `auth.require(…).provide(CurrentUser, …)` is one value for all routes that need the user.
 */
import { NodeHttpServer, NodeRuntime } from "@effect/platform-node"
import { Context, Effect, Layer, Schema } from "effect"
import { FetchHttpClient, HttpRouter, HttpServerRespondable, HttpServerResponse } from "effect/http"
import { JwtVerifier, OAuth2, SecurityError } from "effect-oauth2"
import { TestIssuer } from "effect-oauth2/testing"
import { createServer } from "node:http"
import { audience, host, issuer, port } from "../support/Addresses.ts"
import * as Issuer from "../support/Issuer.ts"
import * as Walkthrough from "../support/Walkthrough.ts"

const auth = OAuth2.authorizationCode("OAuth2", {
  authorizationUrl: `${issuer}/authorize`,
  tokenUrl: `${issuer}/token`,
  scopes: { me: "Read your profile", "items:write": "Modify your items" },
  responses: "rfc6750"
})

interface User {
  readonly id: string
  readonly name: string
  readonly blocked: boolean
}

/** Stands for your database. */
class Users extends Context.Service<Users, { readonly find: (id: string) => Effect.Effect<User | undefined> }>()(
  "current-user/Users"
) {
  static readonly layer = Layer.sync(Users, () => {
    const users = new Map([
      ["u1", { id: "u1", name: "Alice", blocked: false }],
      ["u2", { id: "u2", name: "Mallory", blocked: true }]
    ])
    return { find: (id) => Effect.sync(() => users.get(id)) }
  })
}

class CurrentUser extends Context.Service<CurrentUser, User>()("current-user/CurrentUser") {}

/** Your own error, with your own response. The requirement declares it. */
class UserBlocked extends Schema.TaggedError<UserBlocked>()("UserBlocked", { name: Schema.String }) {
  [HttpServerRespondable.symbol]() {
    return HttpServerResponse.json({ detail: `${this.name} is blocked` }, { status: 403 })
  }
}

const currentUser = Effect.gen(function* () {
  const { subject } = yield* auth.token
  const user = yield* Users.use(({ find }) => find(subject))
  // The account no longer exists, so the token is refused as the scheme refuses every bad token.
  if (user === undefined) return yield* auth.refuse(new SecurityError.InvalidToken({ reason: "Rejected" }))
  if (user.blocked) return yield* new UserBlocked({ name: user.name })
  return user
})

const signedIn = auth.require("me").provide(CurrentUser, currentUser, { error: UserBlocked })

const Me = HttpRouter.add(
  "GET",
  "/users/me",
  Effect.map(CurrentUser, ({ id, name }) => HttpServerResponse.jsonUnsafe({ id, name }))
)

const Delete = HttpRouter.add(
  "DELETE",
  "/items/:id",
  Effect.gen(function* () {
    const { name } = yield* CurrentUser
    const { id } = yield* HttpRouter.params
    return HttpServerResponse.jsonUnsafe({ deleted: id, by: name })
  })
).pipe(auth.require("items:write"))

const Routes = Layer.mergeAll(Me, Delete).pipe(signedIn, OAuth2.secured)

const App = HttpRouter.serve(Routes, { disableLogger: true, disableListenLog: true }).pipe(
  // The server is provided first, so the port opens when everything else is ready.
  Layer.provide(NodeHttpServer.layer(createServer, { port, host })),
  Layer.provide(auth.layer(JwtVerifier.layer({ issuer, audience }))),
  Layer.provide([Users.layer, FetchHttpClient.layer])
)

const walkthrough = Effect.gen(function* () {
  const { mint } = yield* TestIssuer
  yield* Walkthrough.send("Without a token", "GET /users/me")

  const alice = yield* Walkthrough.token("ALICE", yield* mint({ subject: "u1", scopes: ["me"] }))
  yield* Walkthrough.send("The handler has the user of the token", "GET /users/me", { token: alice })
  yield* Walkthrough.send("The scopes of all requirements are checked first", "DELETE /items/7", { token: alice })

  const writer = yield* Walkthrough.token("WRITER", yield* mint({ subject: "u1", scopes: ["me", "items:write"] }))
  yield* Walkthrough.send("With both scopes", "DELETE /items/7", { token: writer })

  const deleted = yield* Walkthrough.token("DELETED", yield* mint({ subject: "u3", scopes: ["me"] }))
  yield* Walkthrough.send("A valid token of a user who no longer exists", "GET /users/me", { token: deleted })

  const blocked = yield* Walkthrough.token("BLOCKED", yield* mint({ subject: "u2", scopes: ["me"] }))
  yield* Walkthrough.send("A user who is blocked gets your own error", "GET /users/me", { token: blocked })
  yield* Walkthrough.end
})

walkthrough.pipe(Effect.provide(Layer.mergeAll(App, Issuer.layer)), NodeRuntime.runMain)
