/**
 * One API for the tokens of two issuers. Run `npm run example -- several-issuers`.
 *
 * Each issuer has its own scheme, so that a partner cannot grant the scopes of users.
 */
import { NodeHttpServer, NodeRuntime } from "@effect/platform-node"
import { Context, Effect, Layer, Option } from "effect"
import { FetchHttpClient, HttpRouter, HttpServerResponse } from "effect/http"
import { JwtVerifier, OAuth2 } from "effect-oauth2"
import { TestIssuer } from "effect-oauth2/testing"
import { createServer } from "node:http"
import { audience, host, issuer, port, portOf } from "../support/Addresses.ts"
import * as Issuer from "../support/Issuer.ts"
import * as Walkthrough from "../support/Walkthrough.ts"

const partnersPort = portOf("PARTNERS_PORT", 3002)
const partnersIssuer = `http://${host}:${partnersPort}`

const users = OAuth2.authorizationCode("Users", {
  authorizationUrl: `${issuer}/authorize`,
  tokenUrl: `${issuer}/token`,
  scopes: { "items:read": "Read the items", "items:write": "Add items" },
  responses: "rfc6750"
})

const partners = OAuth2.clientCredentials("Partners", {
  tokenUrl: `${partnersIssuer}/token`,
  scopes: { catalogue: "Read the items" },
  responses: "rfc6750"
})

/** Users and partners may read the items. */
const List = HttpRouter.add(
  "GET",
  "/items",
  Effect.gen(function* () {
    const user = yield* Effect.option(users.authorize)
    return HttpServerResponse.jsonUnsafe({ items: ["A pencil"], for: Option.isSome(user) ? "a user" : "a partner" })
  })
).pipe(OAuth2.either(users.require("items:read"), partners.require("catalogue")))

/** Only users may add items. */
const Create = HttpRouter.add(
  "POST",
  "/items",
  Effect.map(users.token, ({ subject }) => HttpServerResponse.jsonUnsafe({ owner: subject }, { status: 201 }))
).pipe(users.require("items:write"))

const Authentication = Layer.mergeAll(
  users.layer(JwtVerifier.layer({ issuer, audience })),
  partners.layer(JwtVerifier.layer({ issuer: partnersIssuer, audience }))
)

const App = HttpRouter.serve(Layer.mergeAll(List, Create).pipe(OAuth2.secured), {
  disableLogger: true,
  disableListenLog: true
}).pipe(
  // The server is provided first, so the port opens when everything else is ready.
  Layer.provide(NodeHttpServer.layer(createServer, { port, host })),
  Layer.provide(Authentication),
  Layer.provide(FetchHttpClient.layer)
)

const walkthrough = Effect.gen(function* () {
  const { mint } = yield* TestIssuer
  const partner = Context.get(yield* Layer.build(Issuer.serve(partnersPort)), TestIssuer)
  yield* Walkthrough.send("Without a token, there is one challenge for each scheme", "GET /items")

  const alice = yield* Walkthrough.token(
    "ALICE",
    yield* mint({ subject: "alice", scopes: ["items:read", "items:write"] })
  )
  yield* Walkthrough.send("A user reads", "GET /items", { token: alice })
  yield* Walkthrough.send("A user adds", "POST /items", { token: alice })

  const shop = yield* Walkthrough.token("SHOP", yield* partner.mint({ subject: "shop", scopes: ["catalogue"] }))
  yield* Walkthrough.send("A partner reads", "GET /items", { token: shop })

  const greedy = yield* Walkthrough.token("GREEDY", yield* partner.mint({ subject: "shop", scopes: ["items:write"] }))
  yield* Walkthrough.send("A partner cannot grant itself a scope of users", "POST /items", { token: greedy })
  yield* Walkthrough.end
})

walkthrough.pipe(Effect.scoped, Effect.provide(Layer.mergeAll(App, Issuer.layer)), NodeRuntime.runMain)
