/**
 * An `HttpApi` whose groups and endpoints require scopes, with a typed client. Run `npm run example -- http-api`.
 *
 * The tokens come from a real authorization server, by the client credentials grant.
 */
import { NodeHttpServer, NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer, Redacted, Ref } from "effect"
import { FetchHttpClient, HttpRouter } from "effect/http"
import { HttpApiBuilder, HttpApiClient } from "effect/http-api"
import { JwtVerifier } from "effect-oauth2"
import { createServer } from "node:http"
import { AuthorizationServer, clients } from "../items-api/AuthorizationServer.ts"
import { api, audience, authorizationServerPort, host, issuer, port } from "../support/Addresses.ts"
import * as Walkthrough from "../support/Walkthrough.ts"
import { Api, auth, type Item } from "./Api.ts"

const Items = HttpApiBuilder.group(
  Api,
  "items",
  Effect.fnUntraced(function* (handlers) {
    const items = yield* Ref.make<ReadonlyArray<typeof Item.Type>>([])
    return handlers.handleAll({
      list: () => Ref.get(items),
      create: Effect.fnUntraced(function* ({ payload }) {
        // The endpoint requires the scope. If it did not, the program would not compile.
        const { subject } = yield* auth.granted("items:write")
        const item = { name: payload.name, owner: subject }
        yield* Ref.update(items, (items) => [...items, item])
        return item
      }),
      health: () => Effect.succeed({ status: "ok" })
    })
  })
)

const Routes = HttpApiBuilder.layer(Api).pipe(Layer.provide(Items))

const App = HttpRouter.serve(Routes, { disableLogger: true, disableListenLog: true }).pipe(
  // The server is provided first, so the port opens when everything else is ready.
  Layer.provide(NodeHttpServer.layer(createServer, { port, host })),
  Layer.provide(auth.layer(JwtVerifier.layer({ issuer, audience }))),
  Layer.provide(FetchHttpClient.layer)
)

const Issuer = AuthorizationServer.layer({
  port: authorizationServerPort,
  audience,
  redirectUris: [],
  origins: [],
  scopes: Object.keys(auth.scopes)
})

/** Requests a token with the client credentials grant (RFC 6749 §4.4). */
const tokenWith = (scope: string) =>
  Walkthrough.send(`A token with ${scope}`, `POST ${issuer}/token`, {
    basic: clients.cli,
    form: { grant_type: "client_credentials", scope }
  }).pipe(Effect.map(Walkthrough.accessToken))

/** The typed client sends the token, and its errors have the scopes that are missing. */
const typedClient = (token: string) =>
  Effect.gen(function* () {
    const client = yield* HttpApiClient.make(Api, { baseUrl: api })
    const items = yield* client.list()
    const refused = yield* client.create({ payload: { name: "A pen" } }).pipe(
      Effect.as("created"),
      Effect.catchTag("InsufficientScope", ({ required }) => Effect.succeed(`InsufficientScope, ${required.join(" ")}`))
    )
    yield* Console.log(`\n# The typed client\nlist: ${JSON.stringify(items)}\ncreate: ${refused}`)
  }).pipe(Effect.provide(auth.layerClient({ token: Effect.succeed(Redacted.make(token)) })))

const walkthrough = Effect.gen(function* () {
  yield* Walkthrough.send("A public endpoint", "GET /health")
  yield* Walkthrough.send("Without a token, the challenge names the required scope", "GET /items")

  const writer = yield* Walkthrough.token("WRITER", yield* tokenWith("items:read items:write"))
  yield* Walkthrough.send("With both scopes", "POST /items", { token: writer, json: { name: "A pencil" } })

  const reader = yield* Walkthrough.token("READER", yield* tokenWith("items:read"))
  yield* Walkthrough.send("With the scope", "GET /items", { token: reader })
  yield* Walkthrough.send("Without items:write, the challenge names all required scopes", "POST /items", {
    token: reader,
    json: { name: "A pen" }
  })

  yield* typedClient(reader.value)
  yield* Walkthrough.end
})

walkthrough.pipe(Effect.provide(Layer.mergeAll(App, Issuer, FetchHttpClient.layer)), NodeRuntime.runMain)
