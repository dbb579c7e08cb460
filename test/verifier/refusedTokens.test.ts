/** Tests that tokens with an invalid form get the same response, count and span on each use. */
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Context, Effect, Layer, Metric, Redacted, Schema, type Scope, Tracer } from "effect"
import { HttpEffect, HttpRouter, HttpServerResponse } from "effect/http"
import { JwtVerifier, OAuth2, SecurityError, type TokenCaching, TokenVerifier } from "effect-oauth2"
import { TestIssuer } from "effect-oauth2/testing"
import { RefusedTokens } from "../../src/verifier/cache/refusedTokens.ts"
import { countsByOutcome } from "../support/countsByOutcome.ts"
import { times } from "../support/times.ts"
import { changedAt, textOf } from "../support/tokenText.ts"
import { fromContext } from "../support/contextVerifier.ts"

const issuer = "https://issuer.test"
const audience = "https://api.test"

const auth = OAuth2.clientCredentials("OAuth2", {
  tokenUrl: `${issuer}/token`,
  scopes: { read: "Read" },
  responses: "rfc6750"
})

const App = HttpRouter.add("GET", "/", HttpServerResponse.text("in")).pipe(
  auth.require("read"),
  Layer.provide(auth.layer(fromContext))
)

/** Sends an `Authorization` header with the given value, and returns the status and the challenge. */
const server = Effect.map(HttpRouter.toHttpEffect(App), (app) => {
  const handler = HttpEffect.toWebHandler(app)
  return (authorization: string, context?: Context.Context<never>) =>
    Effect.promise(async () => {
      const request = new Request("http://localhost/", { headers: { authorization } })
      const { headers, status } = await handler(request, context)
      return `${status} ${headers.get("www-authenticate")}`
    })
})

const invalidToken = '401 Bearer error="invalid_token", scope="read"'
const invalidRequest = '400 Bearer error="invalid_request"'

const unsigned = `${btoa(JSON.stringify({ alg: "none" })).replaceAll("=", "")}.e30.c2ln`

for (const [name, caching] of Object.entries({
  "with a cache": {},
  "without a cache": { cache: false }
} satisfies Record<string, TokenCaching>)) {
  describe(`a token with an invalid form, ${name},`, () => {
    const test = <E>(
      name: string,
      body: () => Effect.Effect<void, E, Layer.Success<typeof Environment> | Scope.Scope>
    ) =>
      it.live(name, () =>
        body().pipe(Effect.scoped, Effect.provide(Environment), Effect.provideService(Metric.MetricRegistry, new Map()))
      )
    const Environment = JwtVerifier.layer({ issuer, audience, ...caching }).pipe(
      Layer.provideMerge(TestIssuer.layer({ issuer, audience })),
      Layer.merge(HttpRouter.layer)
    )

    test("is refused with the same response and counted on each use", () =>
      Effect.gen(function* () {
        const send = yield* server
        for (const _ of times(5)) {
          assert.strictEqual(yield* send("Bearer undefined"), invalidToken)
          assert.strictEqual(yield* send(`Bearer ${unsigned}`), invalidToken)
        }
        const { hit, miss, ...outcomes } = yield* countsByOutcome
        assert.deepStrictEqual(outcomes, { Malformed: 5, Algorithm: 5 })
        assert.deepStrictEqual({ hit, miss }, { hit: undefined, miss: "cache" in caching ? undefined : 10 })
      }))

    test("has a span whenever there is a tracer", () =>
      Effect.gen(function* () {
        const send = yield* server
        const spans: Array<string> = []
        const tracer = Tracer.make({
          span: (options) => {
            spans.push(options.name)
            return new Tracer.NativeSpan(options)
          }
        })
        for (const _ of times(3)) assert.strictEqual(yield* send("Bearer undefined"), invalidToken)
        assert.deepStrictEqual(spans, [])
        for (const _ of times(2)) {
          assert.strictEqual(yield* send("Bearer undefined", Context.make(Tracer.Tracer, tracer)), invalidToken)
        }
        assert.strictEqual(spans.filter((name) => name === "JwtVerifier.verify").length, 2)
        assert.deepStrictEqual((yield* countsByOutcome)["Malformed"], 5)
      }))

    test("is not confused with a header without a token", () =>
      Effect.gen(function* () {
        const send = yield* server
        const { verify } = yield* TokenVerifier
        for (const _ of times(3)) {
          assert.strictEqual((yield* Effect.flip(verify(Redacted.make("two words"))))._tag, "InvalidToken")
        }
        for (const _ of times(3)) assert.strictEqual(yield* send("Bearer two words"), invalidRequest)
      }))

    test("does not evict an accepted token, even in a flood of different tokens", () =>
      Effect.gen(function* () {
        const send = yield* server
        const token = yield* TestIssuer.use(({ mint }) => mint({ scopes: ["read"] }))
        const good = `Bearer ${token}`
        assert.strictEqual(yield* send(good), "200 null")
        for (const i of times(2000)) assert.strictEqual(yield* send(`Bearer garbage${i >> 1}`), invalidToken)
        assert.strictEqual(yield* send(good), "200 null")
        assert.strictEqual((yield* countsByOutcome)["Accepted"], "cache" in caching ? 2 : 1)
      }))
  })
}

const errors = (["Malformed", "Algorithm", "Claim"] as const).map(
  (reason) => new SecurityError.InvalidToken({ reason })
)
const texts = ["a", "b", "a".repeat(249), "a".repeat(250), "two words", ...times(100).map((i) => `garbage-${i}`)]
const errorOf = (text: string) => errors[texts.indexOf(text) % errors.length] ?? assert.fail(text)

it.prop(
  "the cached error of a refused token is its own error",
  { added: Arbitrary.array(Arbitrary.schema(Schema.Literals(texts)), { maxLength: 400 }) },
  ({ added }) => {
    const refusals = new RefusedTokens()
    for (const text of added) {
      refusals.add(text, errorOf(text))
      for (const other of texts) {
        const error = refusals.get(`Bearer ${other}`)
        if (error !== undefined) assert.strictEqual(error, errorOf(other))
        assert.isUndefined(refusals.get(other))
      }
    }
    for (const _ of times(2)) for (const text of texts.slice(0, 5)) refusals.add(text, errorOf(text))
    const cached = texts.slice(0, 5).map((text) => refusals.get(`Bearer ${text}`)?.reason)
    // The token of 250 characters is too long, and "two words" does not have the form of a token.
    assert.deepStrictEqual(cached, ["Malformed", "Algorithm", "Claim", undefined, undefined])
  },
  { arbitrary: { runs: 100, seed: "refusals" } }
)

it("a header of at most 256 characters is cached, and longer headers do not evict it", () => {
  const refusals = new RefusedTokens()
  const error = new SecurityError.InvalidToken({ reason: "Malformed" })
  const addTwice = (text: string) => times(2).forEach(() => refusals.add(text, error))
  const longest = "a".repeat(256 - "Bearer ".length)
  addTwice(longest)
  for (const length of times(100)) {
    const longer = `${longest}${"b".repeat(length + 1)}`
    addTwice(longer)
    assert.isUndefined(refusals.get(`Bearer ${longer}`))
  }
  assert.strictEqual(refusals.get(`Bearer ${longest}`), error)
})

it("refused tokens that differ in one character and are used once are not cached", () => {
  const refusals = new RefusedTokens()
  const text = textOf(249)
  const texts = times(249).map((i) => changedAt(text, i))
  for (const text of texts) {
    refusals.add(text, errorOf("a"))
    assert.isUndefined(refusals.get(`Bearer ${text}`))
  }
})

it("at most 64 refused tokens are cached, and none that was used once", () => {
  const refusals = new RefusedTokens()
  const error = new SecurityError.InvalidToken({ reason: "Malformed" })
  const kinds = times(1000).map((i) => `garbage-${i}`)
  const cachedCount = () => kinds.filter((text) => refusals.get(`Bearer ${text}`) !== undefined).length
  for (const text of kinds) refusals.add(text, error)
  assert.strictEqual(cachedCount(), 0)
  for (const text of kinds) {
    for (const _ of times(2)) refusals.add(text, error)
    assert.isTrue(cachedCount() >= 1 && cachedCount() <= 64)
  }
})
