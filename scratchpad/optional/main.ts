/**
 * Optional authentication: anonymous requests are served, and bad tokens are refused. Run `npm run example -- optional`.
 */
import { NodeHttpServer, NodeRuntime } from "@effect/platform-node"
import { Effect, Layer, Option } from "effect"
import { FetchHttpClient, HttpRouter, HttpServerResponse } from "effect/http"
import { JwtVerifier, OAuth2 } from "effect-oauth2"
import { TestIssuer } from "effect-oauth2/testing"
import { createServer } from "node:http"
import { audience, host, issuer, port } from "../support/Addresses.ts"
import * as Issuer from "../support/Issuer.ts"
import * as Walkthrough from "../support/Walkthrough.ts"

const auth = OAuth2.authorizationCode("OAuth2", {
  authorizationUrl: `${issuer}/authorize`,
  tokenUrl: `${issuer}/token`,
  scopes: { drafts: "Read your drafts" },
  responses: "rfc6750"
})

const Greeting = HttpRouter.add(
  "GET",
  "/greeting",
  Effect.map(auth.optionalToken, (token) =>
    HttpServerResponse.jsonUnsafe({
      hello: Option.match(token, { onNone: () => "anonymous", onSome: ({ subject }) => subject })
    })
  )
).pipe(auth.optional())

/** A request without a token gets the public articles. A request with a token needs the scope. */
const Articles = HttpRouter.add(
  "GET",
  "/articles",
  Effect.map(auth.optionalToken, (token) =>
    HttpServerResponse.jsonUnsafe(Option.isNone(token) ? ["Published"] : ["Published", "Draft"])
  )
).pipe(auth.optional("drafts"))

const App = HttpRouter.serve(Layer.mergeAll(Greeting, Articles).pipe(OAuth2.secured), {
  disableLogger: true,
  disableListenLog: true
}).pipe(
  // The server is provided first, so the port opens when everything else is ready.
  Layer.provide(NodeHttpServer.layer(createServer, { port, host })),
  Layer.provide(auth.layer(JwtVerifier.layer({ issuer, audience }))),
  Layer.provide(FetchHttpClient.layer)
)

const walkthrough = Effect.gen(function* () {
  const { mint } = yield* TestIssuer
  yield* Walkthrough.send("Without a token, you are anonymous", "GET /greeting")
  yield* Walkthrough.send("Without a token, you see what is public", "GET /articles")

  const alice = yield* Walkthrough.token("ALICE", yield* mint({ subject: "alice", scopes: ["drafts"] }))
  yield* Walkthrough.send("With a token, the handler knows you", "GET /greeting", { token: alice })
  yield* Walkthrough.send("With the scope, you see more", "GET /articles", { token: alice })

  const bob = yield* Walkthrough.token("BOB", yield* mint({ subject: "bob" }))
  yield* Walkthrough.send("A token without the scope is refused", "GET /articles", { token: bob })

  const bad = yield* Walkthrough.token("BAD", "not-a-token")
  yield* Walkthrough.send("A bad token is refused, and never anonymous", "GET /greeting", { token: bad })
  yield* Walkthrough.end
})

walkthrough.pipe(Effect.provide(Layer.mergeAll(App, Issuer.layer)), NodeRuntime.runMain)
