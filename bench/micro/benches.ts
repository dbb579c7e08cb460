/** Times the steps of a request alone, and whole routes without a socket. Compare the routes with the open route. */
import { Effect, Layer, Redacted } from "effect"
import { FetchHttpClient, HttpEffect, HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { bench, group, run } from "mitata"
import { BearerToken, Challenge, JwtVerifier, OAuth2, SecurityError, TokenVerifier } from "../../src/index.ts"
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
  yield* Effect.promise(() => run({ colors: process.stdout.isTTY }))
})

/** Throws if a handler does not respond with the expected status. */
const assertStatus = async (handler: (request: Request) => Promise<Response>, request: Request, status: number) => {
  const response = await handler(request)
  if (response.status !== status) throw new Error(`The handler responded with ${response.status} instead of ${status}.`)
}

await Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(Verifier)))
close()
