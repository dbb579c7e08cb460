/**
 * A fetch handler on Node, Bun or Deno. Run `npm run example -- web-handler`.
 *
 * The handler itself is in `handler.ts`. The issuer is a fetch handler, too, so the program needs no server of Node.
 */
import { Console, Context, Effect, Layer } from "effect"
import { HttpRouter } from "effect/http"
import { TestIssuer } from "effect-oauth2/testing"
import { audience, authorizationServerPort, host, issuer, port } from "../support/Addresses.ts"
import * as Walkthrough from "../support/Walkthrough.ts"
import { dispose, handler } from "./handler.ts"
import { runtime, serve } from "./serve.ts"

const walkthrough = Effect.gen(function* () {
  const tokens = yield* Layer.build(TestIssuer.layer({ issuer, audience }))
  const endpoints = HttpRouter.toWebHandler(TestIssuer.routes.pipe(Layer.provide(Layer.succeedContext(tokens))), {
    disableLogger: true
  })
  yield* serve(endpoints.handler, { port: authorizationServerPort, hostname: host })
  yield* serve(handler, { port, hostname: host })
  yield* Console.log(`The handler runs on ${runtime}.`)

  yield* Walkthrough.send("A public route", "GET /health")
  yield* Walkthrough.send("Without a token", "GET /users/me")

  const { mint } = Context.get(tokens, TestIssuer)
  const alice = yield* Walkthrough.token("ALICE", yield* mint({ subject: "alice", scopes: ["me"] }))
  yield* Walkthrough.send("With the scope", "GET /users/me", { token: alice })

  const bob = yield* Walkthrough.token("BOB", yield* mint({ subject: "bob" }))
  yield* Walkthrough.send("Without the scope", "GET /users/me", { token: bob })
  yield* Walkthrough.end
})

await Effect.runPromise(Effect.scoped(walkthrough))
await dispose()
