/** Times the steps of a request alone, and whole routes without a socket. Compare the routes with the open route. */
import { Effect, Layer, Redacted, Schema } from "effect"
import { McpProtocol, McpServer, Tool, Toolkit } from "effect/ai"
import { FetchHttpClient, HttpEffect, HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { bench, group, run } from "mitata"
import { createPublicKey, verify as verifyWithCallback } from "node:crypto"
import { promisify } from "node:util"
import { BearerToken, Challenge, Dpop, JwtVerifier, OAuth2, SecurityError, TokenVerifier } from "../../src/index.ts"
import * as Mcp from "../../src/mcp/Mcp.ts"
import { ReplayStore } from "../../src/stores/ReplayStore.ts"
import * as Revocations from "../../src/verifier/Revocations.ts"
import { type DpopClient, makeDpopClient, TestIssuer } from "../../src/testing/index.ts"
import { audience, serveIssuer } from "../harness/issuer.ts"
import { minting } from "../harness/tokens.ts"
import { fromContext } from "../../test/support/contextVerifier.ts"

const { close, minter } = await serveIssuer("RS256")
const { compact } = minting(minter)(0)

const auth = OAuth2.clientCredentials("OAuth2", {
  tokenUrl: `${minter.issuer}/token`,
  scopes: { "items:read": "Read your items" }
})

const dpopAuth = OAuth2.bearer("Dpop", {
  scopes: { "items:read": "Read your items" },
  dpop: Dpop.make({ origin: "https://api.test", maxAge: "10 minutes", clockTolerance: "60 seconds" })
})
const BoundVerifier = JwtVerifier.layer({ issuer: "https://issuer.test", audience: "https://api.test" })

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
const Revocable = Verifier.pipe(Revocations.enforce, Layer.provide(Revocations.layerMemory()))
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

  const proven = HttpEffect.toWebHandler(
    yield* HttpRouter.toHttpEffect(
      Open.pipe(
        dpopAuth.require("items:read"),
        Layer.provide(dpopAuth.layer(BoundVerifier)),
        // The proofs are used again and again, and the store in memory takes less than 1 µs.
        Layer.provide(Layer.succeed(ReplayStore, { addOnce: () => Effect.succeed(true) }))
      )
    )
  )
  const client = yield* makeDpopClient()
  const issuer = yield* TestIssuer
  const boundToken = yield* issuer.mint({ scopes: ["items:read"], boundTo: client, lifetime: "1 day" })
  const requestsFor = (url: string) =>
    Effect.forEach(Array.from({ length: 500 }), () =>
      Effect.map(
        client.headers({ url, token: boundToken, claims: { iat: Math.floor(Date.now() / 1000) + 60 } }),
        (headers) => new Request("http://localhost/items", { headers: { ...headers } })
      )
    )
  const proofs = yield* requestsFor("https://api.test/items")
  const misplaced = yield* requestsFor("https://api.test/other")
  const withoutProof = new Request("http://localhost/items", { headers: { authorization: `DPoP ${boundToken}` } })
  const bearerToken = yield* issuer.mint({ scopes: ["items:read"], lifetime: "1 day" })
  const boundBearer = new Request("http://localhost/items", { headers: { authorization: `Bearer ${bearerToken}` } })
  const verifySignature = yield* signatureVerification(proofs[0]?.headers.get("dpop") ?? "", client)

  const openMcp = HttpEffect.toWebHandler(yield* HttpRouter.toHttpEffect(OpenMcp))
  const guardedMcp = HttpEffect.toWebHandler(
    yield* HttpRouter.toHttpEffect(GuardedMcp.pipe(Layer.provide(auth.layer(fromContext))))
  )
  const bearer = `Bearer ${compact}`

  const { verify } = yield* TokenVerifier
  const cached = verify(Redacted.make(compact))
  const uncached = yield* Effect.provide(TokenVerifier, yield* Layer.build(Uncached))
  const verified = uncached.verify(Redacted.make(compact))
  const revocable = yield* Effect.provide(TokenVerifier, yield* Layer.build(Revocable))
  const checked = revocable.verify(Redacted.make(compact))
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

  yield* Effect.promise(() => assertStatus(proven, proofs[0] ?? good, 200))
  yield* Effect.promise(() => assertStatus(proven, boundBearer, 200))
  yield* Effect.promise(() => assertStatus(proven, misplaced[0] ?? good, 401))
  yield* Effect.promise(() => assertStatus(proven, withoutProof, 401))

  yield* Effect.promise(() => assertStatus(openMcp, toolCall(bearer), 200))
  yield* Effect.promise(() => assertStatus(guardedMcp, toolCall(bearer), 200))
  yield* Effect.promise(() => assertStatus(guardedMcp, toolCall("Bearer garbage.garbage.garbage"), 401))

  group("steps", () => {
    bench("an effect that does nothing", () => Effect.runSync(Effect.void))
    bench("BearerToken.extract", () => Effect.runSync(extracted))
    bench("TokenVerifier.verify, cached token", () => Effect.runSync(cached))
    bench("TokenVerifier.verify, cached token, with revocations", () => Effect.runSync(checked))
    bench("TokenVerifier.verify, without a cache", () => Effect.runPromise(verified))
    bench("Challenge.answer", () => Challenge.answer(refusal, settings))
  })
  group("routes", () => {
    bench("open", () => open(good))
    bench("protected, with layerTest", () => decided(good))
    bench("protected, cached token", () => guarded(good))
    bench("protected, malformed token", () => guarded(garbage))
  })
  group("bound tokens", () => {
    let i = 0
    // A busy server starts verifications together, and wakes the threads of the pool once for all of them.
    const sixteen = Array.from({ length: 16 }, (_, n) => n)
    // A new request each time: a second verification for the same request would only look up the outcome of the first.
    const again = (request: Request) => new Request(request.url, { headers: request.headers })
    const next = (requests: ReadonlyArray<Request>) => again(requests[i++ % requests.length] ?? good)
    bench("the request of a test", () => next(proofs))
    bench("verification of one ES256 signature", () => verifySignature())
    bench("bearer token, cached", () => proven(again(boundBearer)))
    bench("bound token, cached, with a proof", () => proven(next(proofs)))
    bench("16 verifications of one ES256 signature at a time", () => Promise.all(sixteen.map(() => verifySignature())))
    bench("16 bound tokens at a time, cached, with proofs", () => Promise.all(sixteen.map(() => proven(next(proofs)))))
    bench("bound token, with a proof for another URL", () => proven(next(misplaced)))
    bench("bound token without a proof", () => proven(again(withoutProof)))
  })
  group("calls of an MCP tool", () => {
    bench("open", () => openMcp(toolCall(bearer)))
    bench("protected endpoint and tool, cached token", () => guardedMcp(toolCall(bearer)))
  })
  yield* Effect.promise(() => run({ colors: process.stdout.isTTY }))
})

/** Returns a function that verifies the signature of a proof as the library does, in Node's thread pool. */
const signatureVerification = (proof: string, { key }: DpopClient) =>
  Effect.promise(async () => {
    const { alg: _alg, kid: _kid, use: _use, ...jwk } = key.jwk
    // Node copies a key in a record of its own for each verification, so the options are properties of the key.
    const options = { dsaEncoding: "ieee-p1363" as const, padding: undefined, saltLength: undefined }
    const publicKey = Object.assign(createPublicKey({ key: jwk, format: "jwk" }), options)
    const end = proof.lastIndexOf(".")
    const input = Buffer.from(proof.slice(0, end), "latin1")
    const signature = Buffer.from(proof.slice(end + 1), "base64url")
    const verifyOnce = promisify(verifyWithCallback)
    return () => verifyOnce("sha256", input, publicKey, signature)
  })

/** Throws if a handler does not respond with the expected status. */
const assertStatus = async (handler: (request: Request) => Promise<Response>, request: Request, status: number) => {
  const response = await handler(request)
  if (response.status !== status) throw new Error(`The handler responded with ${response.status} instead of ${status}.`)
}

await Effect.runPromise(
  program.pipe(
    Effect.scoped,
    Effect.provide(Verifier),
    Effect.provide(TestIssuer.layer({ issuer: "https://issuer.test", audience: "https://api.test", keys: ["ES256"] }))
  )
)
close()
