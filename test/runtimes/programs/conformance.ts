/** Runs on each runtime, and prints which capabilities work as one line of JSON. The tests bundle it. */
import { Effect, Exit, Layer, Logger, Option, Redacted } from "effect"
import { HttpRouter } from "effect/http"
import { JwtVerifier, KeySet, SecurityError, Signatures, TokenIntrospection, TokenVerifier } from "effect-oauth2"
import { type SigningKey, TestIssuer } from "effect-oauth2/testing"
import { audience, handlerFor } from "./handler.ts"
import { serve, type WebHandler } from "./serve.ts"

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

const webHandler =
  (signatures: Layer.Layer<never, unknown>): Check =>
  async () => {
    let answer: WebHandler = async () => new Response(null, { status: 503 })
    const origin = await serve((request) => answer(request))
    const context = await Effect.runPromise(
      Layer.build(TestIssuer.layer({ issuer: origin, audience })).pipe(Effect.scoped)
    )
    answer = HttpRouter.toWebHandler(TestIssuer.routes.pipe(Layer.provide(Layer.succeedContext(context))), {
      disableLogger: true
    }).handler
    const app = await serve(handlerFor(origin, Layer.orDie(signatures)))
    const mint = (scopes: ReadonlyArray<string>) =>
      Effect.runPromise(
        Effect.provideContext(
          TestIssuer.use((issuer) => issuer.mint({ scopes })),
          context
        )
      )
    const token = await mint(["me"])
    const status = async (path: string, authorization?: string) => {
      const response = await fetch(app + path, authorization === undefined ? {} : { headers: { authorization } })
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

const checks: Readonly<Record<string, Check>> = {
  "web handler": webHandler(Signatures.layerJose),
  JWTs: jwts(Signatures.layerJose),
  "key sets": keySet,
  introspection,
  "keys off their curve are refused": offCurve(Signatures.layerJose),
  "`node:crypto`: web handler": webHandler(Signatures.layerNode),
  "`node:crypto`: JWTs": jwts(Signatures.layerNode),
  "`node:crypto`: keys off their curve are refused": offCurve(Signatures.layerNode)
}

const results: Record<string, string> = {}
for (const [name, check] of Object.entries(checks)) {
  results[name] = await check().then(
    () => "ok",
    (error: unknown) => String(error instanceof Error ? error.message : error)
  )
}
console.log(JSON.stringify(results))
process.exit(0)
