/**
 * FastAPI's tutorial "OAuth2 scopes", ported whole. Run `npm run example -- fastapi-tutorial`.
 *
 * The app is in `Tutorial.ts`. It issues its tokens itself, so it needs no other server.
 */
import { NodeHttpServer, NodeRuntime } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import { HttpRouter } from "effect/http"
import { createServer } from "node:http"
import { host, port } from "../support/Addresses.ts"
import * as Walkthrough from "../support/Walkthrough.ts"
import { Tokens } from "./Tokens.ts"
import { App } from "./Tutorial.ts"

const Server = HttpRouter.serve(App, { disableLogger: true, disableListenLog: true }).pipe(
  // The server is provided first, so the port opens when everything else is ready.
  Layer.provide(NodeHttpServer.layer(createServer, { port, host })),
  Layer.provide(Tokens.layer)
)

const login = (username: string, password: string, scope = "") =>
  Walkthrough.send(`${username} logs in${scope === "" ? " without a scope" : ` with ${scope}`}`, "POST /token", {
    form: { username, password, ...(scope === "" ? {} : { scope }) }
  }).pipe(Effect.map(Walkthrough.accessToken))

const walkthrough = Effect.gen(function* () {
  yield* Walkthrough.send("Without a token", "GET /users/me/")
  yield* Walkthrough.send("A wrong password", "POST /token", { form: { username: "johndoe", password: "wrong" } })

  const me = yield* Walkthrough.token("ME", yield* login("johndoe", "secret", "me"))
  yield* Walkthrough.send("The current user", "GET /users/me/", { token: me })
  yield* Walkthrough.send("The items need another scope", "GET /users/me/items/", { token: me })

  const both = yield* Walkthrough.token("BOTH", yield* login("johndoe", "secret", "me items"))
  yield* Walkthrough.send("With both scopes", "GET /users/me/items/", { token: both })

  const none = yield* Walkthrough.token("NONE", yield* login("johndoe", "secret"))
  yield* Walkthrough.send("The status needs a token, and no scope", "GET /status/", { token: none })

  const alice = yield* Walkthrough.token("ALICE", yield* login("alice", "secretalice", "me"))
  yield* Walkthrough.send("The user is disabled", "GET /users/me/", { token: alice })

  const bad = yield* Walkthrough.token("BAD", "nonexistent")
  yield* Walkthrough.send("A bad token", "GET /users/me/", { token: bad })
  yield* Walkthrough.end
})

walkthrough.pipe(Effect.provide(Server), NodeRuntime.runMain)
