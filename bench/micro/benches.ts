/** Times the steps of a request alone, and whole routes without a socket. Compare the routes with the open route. */
import { Effect, Layer, Redacted, Schema } from "effect"
import { McpProtocol, McpServer, Tool, Toolkit } from "effect/ai"
import { FetchHttpClient, HttpEffect, HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { bench, group, run } from "mitata"
import { BearerToken, Challenge, JwtVerifier, OAuth2, SecurityError, TokenVerifier } from "../../src/index.ts"
import * as Mcp from "../../src/mcp/Mcp.ts"
import { audience, serveIssuer } from "../harness/issuer.ts"
import { minting } from "../harness/tokens.ts"
import { fromContext } from "../../test/support/contextVerifier.ts"

const { close, minter } = await serveIssuer("RS256")
const { compact } = minting(minter)(0)

const auth = OAuth2.clientCredentials("OAuth2", {
  tokenUrl: `${minter.issuer}/token`,
  scopes: { "items:read": "Read your items" }
})

const Open = HttpRouter.add(
  "GET",
  "/items",
  Effect.sync(() => HttpServerResponse.jsonUnsafe({ subject: "nobody" }))
)

const Guarded = Open.pipe(auth.require("items:read"))

const reading = Mcp.require(auth.require("items:read"))
const Tools = Toolkit.make(Tool.make("list", { success: Schema.String }))
const Registered = McpServer.toolkit(Tools).pipe(Layer.provide(Tools.toLayer({ list: () => Effect.succeed("items") })))

const mcpServerOf = <A, E, R>(registrations: Layer.Layer<A, E, R>) =>
  McpServer.layerHttp({
    name: "items",
    version: "1.0.0",
    path: "/mcp",
    protocols: [McpProtocol.v2026_07_28],
    registrations
  })

const protect = Mcp.protect(auth, {
  resource: "https://api.example.com/mcp",
  authorizationServers: ["https://idp.example.com"]
})
const OpenMcp = mcpServerOf(Registered)
const GuardedMcp = mcpServerOf(Registered.pipe(Layer.provide(reading.layer))).pipe(protect)

/** Calls the tool. Each request has its own body. */
const toolCall = (authorization: string) =>
  new Request("http://localhost/mcp", {
    method: "POST",
    headers: {
      authorization,
      accept: "application/json, text/event-stream",
      "content-type": "application/json",
      "mcp-protocol-version": "2026-07-28",
      "mcp-method": "tools/call",
      "mcp-name": "list"
    },
    body: JSON.stringify({
      jsonrpc: "2.0",
      id: 1,
      method: "tools/call",
      params: {
        name: "list",
        arguments: {},
        _meta: {
          "io.modelcontextprotocol/protocolVersion": "2026-07-28",
          "io.modelcontextprotocol/clientInfo": { name: "bench", version: "1.0.0" },
          "io.modelcontextprotocol/clientCapabilities": {}
        }
      }
    })
  })

const policy = { issuer: minter.issuer, audience }
const Verifier = JwtVerifier.layer(policy).pipe(Layer.provide(FetchHttpClient.layer))
const Uncached = JwtVerifier.layer({ ...policy, cache: false }).pipe(Layer.provide(FetchHttpClient.layer))

const request = (authorization: string) => new Request("http://localhost/items", { headers: { authorization } })

const good = request(`Bearer ${compact}`)
const garbage = request("Bearer garbage.garbage.garbage")

const program = Effect.gen(function* () {
  const open = HttpEffect.toWebHandler(yield* HttpRouter.toHttpEffect(Open))
  const decided = HttpEffect.toWebHandler(
    yield* HttpRouter.toHttpEffect(Guarded.pipe(Layer.provide(auth.layerTest({ scopes: ["items:read"] }))))
  )
  const guarded = HttpEffect.toWebHandler(
    yield* HttpRouter.toHttpEffect(Guarded.pipe(Layer.provide(auth.layer(fromContext))))
  )

  const openMcp = HttpEffect.toWebHandler(yield* HttpRouter.toHttpEffect(OpenMcp))
  const guardedMcp = HttpEffect.toWebHandler(
    yield* HttpRouter.toHttpEffect(GuardedMcp.pipe(Layer.provide(auth.layer(fromContext))))
  )
  const bearer = `Bearer ${compact}`

  const { verify } = yield* TokenVerifier
  const cached = verify(Redacted.make(compact))
  const uncached = yield* Effect.provide(TokenVerifier, yield* Layer.build(Uncached))
  const verified = uncached.verify(Redacted.make(compact))
  const extracted = Effect.provideService(
    BearerToken.extract,
    HttpServerRequest.HttpServerRequest,
    HttpServerRequest.fromWeb(good)
  )
  const refusal = new SecurityError.InvalidToken({ reason: "Malformed" })
  const settings = { responses: "fastapi", realm: "OAuth2", scopes: ["items:read"], renderers: {} } as const

  yield* Effect.promise(() => assertStatus(open, good, 200))
  yield* Effect.promise(() => assertStatus(decided, good, 200))
  yield* Effect.promise(() => assertStatus(guarded, good, 200))
  yield* Effect.promise(() => assertStatus(guarded, garbage, 401))

  yield* Effect.promise(() => assertStatus(openMcp, toolCall(bearer), 200))
  yield* Effect.promise(() => assertStatus(guardedMcp, toolCall(bearer), 200))
  yield* Effect.promise(() => assertStatus(guardedMcp, toolCall("Bearer garbage.garbage.garbage"), 401))

  group("steps", () => {
    bench("an effect that does nothing", () => Effect.runSync(Effect.void))
    bench("BearerToken.extract", () => Effect.runSync(extracted))
    bench("TokenVerifier.verify, cached token", () => Effect.runSync(cached))
    bench("TokenVerifier.verify, without a cache", () => Effect.runPromise(verified))
    bench("Challenge.answer", () => Challenge.answer(refusal, settings))
  })
  group("routes", () => {
    bench("open", () => open(good))
    bench("protected, with layerTest", () => decided(good))
    bench("protected, cached token", () => guarded(good))
    bench("protected, malformed token", () => guarded(garbage))
  })
  group("calls of an MCP tool", () => {
    bench("open", () => openMcp(toolCall(bearer)))
    bench("protected endpoint and tool, cached token", () => guardedMcp(toolCall(bearer)))
  })
  yield* Effect.promise(() => run({ colors: process.stdout.isTTY }))
})

/** Throws if a handler does not respond with the expected status. */
const assertStatus = async (handler: (request: Request) => Promise<Response>, request: Request, status: number) => {
  const response = await handler(request)
  if (response.status !== status) throw new Error(`The handler responded with ${response.status} instead of ${status}.`)
}

await Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(Verifier)))
close()
