// Runs the OpenTelemetry layer of docs/guides/observability.md against a collector.
import { NodeHttpServer } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { HttpClient, HttpClientRequest, HttpRouter, HttpServerResponse } from "effect/http"
import { JwtVerifier, OAuth2 } from "effect-oauth2"
import { TestIssuer } from "effect-oauth2/testing"
import { once } from "node:events"
import { mkdirSync, writeFileSync } from "node:fs"
import { createServer } from "node:http"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { readSnippets } from "./snippets.ts"

const source = "docs/guides/observability.md"
const code = readSnippets().find((one) => one.source === source && one.title === "Export to OpenTelemetry")?.code ?? ""
const folder = join(import.meta.dirname, ".telemetry")
mkdirSync(folder, { recursive: true })

/** Collector that keeps the bodies that it receives, by path. */
const collector = Effect.acquireRelease(
  Effect.promise(async () => {
    const received: Record<string, string> = {}
    const server = createServer((request, response) => {
      let body = ""
      request.setEncoding("utf8").on("data", (text: string) => (body += text))
      request.on("end", () => {
        const path = request.url ?? ""
        received[path] = (received[path] ?? "") + body
        response.setHeader("connection", "close").end("{}")
      })
    }).listen(0, "127.0.0.1")
    await once(server, "listening")
    const address = server.address()
    return { received, server, port: typeof address === "object" && address !== null ? address.port : 0 }
  }),
  ({ server }) => Effect.promise(() => new Promise((resolve) => server.close(resolve)))
)

const auth = OAuth2.authorizationCode("OAuth2", {
  authorizationUrl: "https://issuer.test/authorize",
  tokenUrl: "https://issuer.test/token",
  scopes: { me: "Read your profile" }
})

const Me = HttpRouter.add("GET", "/users/me", Effect.succeed(HttpServerResponse.empty())).pipe(auth.require("me"))

const Authentication = auth
  .layer(JwtVerifier.layer({ issuer: "https://issuer.test", audience: "https://api.test" }))
  .pipe(Layer.provideMerge(TestIssuer.layer()))

it.live("sends the documented counters and spans to a collector", () =>
  Effect.gen(function* () {
    const { port, received } = yield* collector
    const file = join(folder, "telemetry.ts")
    writeFileSync(file, code.replace("localhost:4318", `127.0.0.1:${port}`))
    const { Telemetry } = (yield* Effect.promise(() => import(pathToFileURL(file).href))) as {
      Telemetry: Layer.Layer<never>
    }
    const App = HttpRouter.serve(Me).pipe(
      Layer.provideMerge(Layer.merge(Authentication, NodeHttpServer.layerTest)),
      Layer.provide(Telemetry)
    )
    // The layer exports what remains when its scope closes.
    yield* Effect.gen(function* () {
      const token = yield* TestIssuer.use(({ mint }) => mint({ scopes: ["me"] }))
      const request = HttpClientRequest.get("/users/me").pipe(HttpClientRequest.bearerToken(token))
      assert.strictEqual((yield* HttpClient.execute(request)).status, 204)
    }).pipe(Effect.provide(App))
    for (const name of [
      "oauth2_decisions_total",
      "oauth2_token_verifications_total",
      "oauth2_token_cache_lookups_total"
    ]) {
      assert.include(received["/v1/metrics"], name)
    }
    for (const name of ["JwtVerifier.verify", "oauth2.scheme", "oauth2.outcome", "oauth2.reason"]) {
      assert.include(received["/v1/traces"], name)
    }
  })
)
