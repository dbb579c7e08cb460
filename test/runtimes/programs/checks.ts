/** Checks of capabilities, which run on every runtime. `docs/runtimes.md` lists them. */
import { Effect, Exit, Layer, Logger, Option, Redacted } from "effect"
import { FetchHttpClient, HttpClient, HttpClientRequest, HttpRouter, HttpServer } from "effect/http"
import { HttpApiClient } from "effect/http-api"
import {
  JwtVerifier,
  KeySet,
  SecurityError,
  Signatures,
  SwaggerUi,
  TokenIntrospection,
  TokenVerifier
} from "effect-oauth2"
import { type SigningKey, TestIssuer } from "effect-oauth2/testing"
import { Api, audience, auth, handlerFor } from "./handler.ts"
import type { WebHandler } from "./serve.ts"

type Check = () => Promise<void>

const expect = (name: string, actual: unknown, expected: unknown): void => {
  if (actual !== expected) throw new Error(`${name}: expected ${String(expected)}, but got ${String(actual)}`)
}

const run = <A, E>(effect: Effect.Effect<A, E>): Promise<A> =>
  Effect.runPromise(Effect.provide(effect, Logger.layer([])))

/** Returns `"accepted"`, or the reason for the refusal. */
const outcome = <E>(token: string, verifier: Layer.Layer<TokenVerifier, E>): Effect.Effect<string, E> =>
  Effect.flatMap(TokenVerifier, ({ verify }) => Effect.exit(verify(Redacted.make(token)))).pipe(
    Effect.map((exit) => {
      if (Exit.isSuccess(exit)) return "accepted"
      const error = Option.getOrThrow(Exit.findErrorOption(exit))
      return error instanceof SecurityError.InvalidToken ? error.reason : error._tag
    }),
    Effect.provide(verifier)
  )

const issuer = "https://issuer.test"
const algorithms = ["RS256", "PS256", "ES256", "ES384", "ES512", "EdDSA"] as const
const keys = Effect.all(algorithms.map((algorithm) => TestIssuer.makeKey(algorithm, algorithm)))

const withKeys = (
  keys: ReadonlyArray<SigningKey>,
  published: ReadonlyArray<object>,
  signatures: Layer.Layer<never, unknown>
): Layer.Layer<TokenVerifier, unknown> =>
  JwtVerifier.layerKeySet({ issuer, audience, algorithms: keys.map(({ alg }) => alg) as never }).pipe(
    Layer.provide(KeySet.layerStatic({ keys: published.map((jwk) => ({ kty: "EC", ...jwk })) })),
    Layer.provide(signatures)
  )

const mint = (key: SigningKey) =>
  Effect.provide(
    TestIssuer.use((issuer) => issuer.mint()),
    TestIssuer.layer({ issuer, audience, keys: [key] })
  )

const jwts =
  (signatures: Layer.Layer<never, unknown>): Check =>
  () =>
    run(
      Effect.gen(function* () {
        const made = yield* keys
        const verifier = withKeys(
          made,
          made.map(({ jwk }) => jwk),
          signatures
        )
        for (const key of made) {
          const token = yield* mint(key)
          expect(key.alg, yield* outcome(token, verifier), "accepted")
          const at = token.length - 20
          const changed = `${token.slice(0, at)}${token[at] === "A" ? "B" : "A"}${token.slice(at + 1)}`
          expect(`${key.alg} changed`, yield* outcome(changed, verifier), "Signature")
        }
      })
    )

const offCurve =
  (signatures: Layer.Layer<never, unknown>): Check =>
  () =>
    run(
      Effect.gen(function* () {
        const made = (yield* keys).filter(({ alg }) => alg.startsWith("ES"))
        for (const key of made) {
          const others = made.filter((other) => other !== key)
          const bad = { ...key.jwk, y: Reflect.get(key.jwk, "x") }
          const verifier = withKeys(made, [bad, ...others.map(({ jwk }) => jwk)], signatures)
          expect(key.alg, yield* outcome(yield* mint(key), verifier), "UnknownKey")
        }
      })
    )

const keySet: Check = () =>
  run(
    Effect.gen(function* () {
      const issuer = yield* TestIssuer
      const context = yield* Layer.build(JwtVerifier.layer({ issuer: issuer.issuer, audience }))
      const verifier = Layer.succeedContext(context)
      expect("cold", yield* outcome(yield* issuer.mint(), verifier), "accepted")
      yield* issuer.rotate()
      expect("rotated", yield* outcome(yield* issuer.mint(), verifier), "accepted")
    }).pipe(Effect.scoped, Effect.provide(TestIssuer.layer({ audience })))
  )

const introspection: Check = () =>
  run(
    Effect.gen(function* () {
      const issuer = yield* TestIssuer
      const context = yield* Layer.build(
        TokenIntrospection.layer({
          issuer: issuer.issuer,
          audience,
          clientId: "api",
          clientSecret: Redacted.make("secret")
        })
      )
      const token = yield* issuer.mint()
      expect("active", yield* outcome(token, Layer.succeedContext(context)), "accepted")
      expect("unknown", yield* outcome("invented", Layer.succeedContext(context)), "Rejected")
    }).pipe(Effect.scoped, Effect.provide(TestIssuer.layer({ audience })))
  )

/** A served web handler, and the function that sends requests to it. */
export interface Served {
  readonly origin: string
  readonly fetch: typeof globalThis.fetch
}

export type Serve = (handler: WebHandler) => Promise<Served>

/** Calls web handlers without a socket, for runtimes without servers. */
export const withoutSockets = (): Serve => {
  const handlers = new Map<string, WebHandler>()
  const fetch: typeof globalThis.fetch = (input, init) => {
    const request = new Request(input, init)
    const { origin } = new URL(request.url)
    return handlers.get(origin)?.(request) ?? Promise.reject(new TypeError(`${origin} is not served`))
  }
  return async (handler) => {
    const origin = `https://app-${handlers.size}.test`
    handlers.set(origin, handler)
    return { origin, fetch }
  }
}

/** Serves an issuer and the app of the README. */
const serveApp = async (serve: Serve, signatures: Layer.Layer<never, unknown>) => {
  let answer: WebHandler = async () => new Response(null, { status: 503 })
  const { fetch, origin } = await serve((request) => answer(request))
  const context = await Effect.runPromise(
    Layer.build(TestIssuer.layer({ issuer: origin, audience })).pipe(Effect.scoped)
  )
  answer = HttpRouter.toWebHandler(TestIssuer.routes.pipe(Layer.provide(Layer.succeedContext(context))), {
    disableLogger: true
  }).handler
  const app = await serve(handlerFor(origin, Layer.orDie(signatures), fetch))
  const mint = (scopes: ReadonlyArray<string>) =>
    Effect.runPromise(
      Effect.provideContext(
        TestIssuer.use((issuer) => issuer.mint({ scopes })),
        context
      )
    )
  return { app, token: await mint(["me"]) }
}

const webHandler = (serve: Serve, signatures: Layer.Layer<never, unknown>) => async () => {
  // A runtime without `node:crypto` has no such app.
  await run(Effect.scoped(Layer.build(signatures)))
  const { app, token } = await serveApp(serve, signatures)
  const status = async (path: string, authorization?: string) => {
    const response = await app.fetch(
      app.origin + path,
      authorization === undefined ? {} : { headers: { authorization } }
    )
    await response.text()
    return response.status
  }
  expect("open", await status("/open"), 200)
  expect("without a token", await status("/users/me"), 401)
  expect("with a token", await status("/users/me", `Bearer ${token}`), 200)
  expect("without the scope", await status("/admin", `Bearer ${token}`), 403)
  expect("HttpApi without a token", await status("/api/me"), 401)
  expect("HttpApi", await status("/api/me", `Bearer ${token}`), 200)
}

/** Calls the api with a typed client. */
export const callTyped = ({ fetch, origin }: Served, token: string): Promise<void> =>
  run(
    Effect.gen(function* () {
      const clientWith = (transformClient: (client: HttpClient.HttpClient) => HttpClient.HttpClient) =>
        Effect.provide(HttpApiClient.make(Api, { baseUrl: origin, transformClient }), auth.client("anonymous"))
      const stranger = yield* clientWith((client) => client)
      expect("without a token", (yield* Effect.flip(stranger.profiles.mine()))._tag, "NotAuthenticated")
      const user = yield* clientWith(HttpClient.mapRequest(HttpClientRequest.bearerToken(token)))
      expect("subject", yield* user.profiles.mine(), "demo")
    }).pipe(Effect.provide(FetchHttpClient.layer), Effect.provideService(FetchHttpClient.Fetch, fetch))
  )

const typedClient = (serve: Serve) => async () => {
  const { app, token } = await serveApp(serve, Layer.empty)
  await callTyped(app, token)
}

const documentationPage = (serve: Serve) => async () => {
  const file = (name: string) => new TextEncoder().encode(name)
  const names = ["swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png"] as const
  const [css, script, icon] = names
  const { handler } = HttpRouter.toWebHandler(
    SwaggerUi.layer(Api, {
      assets: { version: "5.0.0", files: { [css]: file(css), [script]: file(script), [icon]: file(icon) } }
    }).pipe(Layer.provide(HttpServer.layerServices)),
    { disableLogger: true }
  )
  const { fetch, origin } = await serve(handler)
  for (const path of ["/docs", "/openapi.json", "/docs/oauth2-redirect"]) {
    const response = await fetch(origin + path)
    await response.text()
    expect(path, response.status, 200)
  }
  for (const name of names) {
    expect(name, await (await fetch(`${origin}/docs/swagger-ui-dist/5.0.0/${name}`)).text(), name)
  }
}

const checksWith = (serve: Serve): Readonly<Record<string, Check>> => ({
  "web handler with routes and `HttpApi`": webHandler(serve, Signatures.layerJose),
  "typed `HttpApiClient`": typedClient(serve),
  "JWTs of all algorithms": jwts(Signatures.layerJose),
  "key sets, with a key rotation": keySet,
  introspection,
  "keys off their curve are refused": offCurve(Signatures.layerJose),
  "documentation page, with its files as bytes": documentationPage(serve),
  "`Signatures.layerNode`: web handler": webHandler(serve, Signatures.layerNode),
  "`Signatures.layerNode`: JWTs of all algorithms": jwts(Signatures.layerNode),
  "`Signatures.layerNode`: keys off their curve are refused": offCurve(Signatures.layerNode)
})

/** Of each capability `yes`, `no` if the runtime does not have what it needs, or the reason for its failure. */
export type Results = Readonly<Record<string, string>>

const isUnavailable = (error: unknown): boolean =>
  error instanceof SecurityError.ConfigurationError && error.setting === "Signatures.layerNode"

/** Runs all checks. `replaced` are checks that a runtime does in its own way. */
export const runChecks = async (serve: Serve, replaced: Readonly<Record<string, Check>> = {}): Promise<Results> => {
  const results: Record<string, string> = {}
  for (const [name, check] of Object.entries({ ...checksWith(serve), ...replaced })) {
    results[name] = await check().then(
      () => "yes",
      (error: unknown) => (isUnavailable(error) ? "no" : String(error instanceof Error ? error.message : error))
    )
  }
  return results
}
