import { NodeHttpServer } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { HttpClient, HttpRouter } from "effect/http"
import { auth, Routes } from "./app.ts"

const Server = HttpRouter.serve(Routes).pipe(
  Layer.provide(auth.layerTest({ subject: "alice", scopes: ["me"] })),
  Layer.provideMerge(NodeHttpServer.layerTest)
)

layer(Server)((it) => {
  it.effect("returns the subject of the token", () =>
    Effect.gen(function* () {
      const response = yield* HttpClient.get("/users/me")
      assert.deepStrictEqual(yield* response.json, { subject: "alice" })
    })
  )
})
