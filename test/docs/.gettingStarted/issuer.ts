import { NodeHttpServer, NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer } from "effect"
import { TestIssuer } from "effect-oauth2/testing"
import { createServer } from "node:http"

const Issuer = TestIssuer.serve({ audience: "https://api.example.com" }).pipe(
  Layer.provide(NodeHttpServer.layer(createServer, { port: 38251, host: "127.0.0.1" }))
)

const program = Effect.gen(function* () {
  const { mint } = yield* TestIssuer
  yield* Console.log(`TOKEN=${yield* mint({ subject: "alice", scopes: ["me"], lifetime: "1 day" })}`)
  yield* Console.log(`WITHOUT_SCOPE=${yield* mint({ subject: "alice", lifetime: "1 day" })}`)
  return yield* Effect.never
})

NodeRuntime.runMain(Effect.provide(program, Issuer))
