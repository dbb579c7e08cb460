/** Shared tokens cannot leak changes from one request to the next, or to a request that shares a verification. */
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, type Context, DateTime, Effect, Exit, Layer, Option, Redacted, Schema, type Scope } from "effect"
import { type HttpClient, HttpServerRequest } from "effect/http"
import {
  AccessToken,
  BearerToken,
  JwtVerifier,
  OAuth2,
  OptionalAccessToken,
  TokenIntrospection,
  TokenVerifier
} from "effect-oauth2"
import { TestIssuer } from "effect-oauth2/testing"
import { authorizationServer } from "../support/authorizationServer.ts"
import { accepted, later, type Outcome, verifier } from "../support/scriptedVerifier.ts"
import { change, seenOf } from "../support/changes.ts"
import { audience, issuer, Issuer, options } from "../support/introspection.ts"
import { times } from "../support/times.ts"
import { accessors, build, counting, immutable, type Kind, mutable, throwing } from "../support/valueKinds.ts"
import { fromContext } from "../support/contextVerifier.ts"

const kinds = [...immutable, ...mutable]

const schemeOf = (kind: Kind) => ({
  ...OAuth2.authorizationCode("OAuth2", {
    ...authorizationServer,
    scopes: { a: "" },
    claims: Schema.Struct({ value: kind.schema })
  })
})
type Scheme = ReturnType<typeof schemeOf>

/** A scheme without a claims schema, so its claims are those that the verifier returns. */
const untyped = OAuth2.authorizationCode("OAuth2", {
  ...authorizationServer,
  scopes: { a: "" }
}) as unknown as Scheme

const requestOf = (token: string) =>
  HttpServerRequest.fromWeb(new Request("http://localhost/", { headers: { authorization: `Bearer ${token}` } }))

const ownServices = new WeakSet<TokenVerifier["Service"]>()

const ownService = (service: TokenVerifier["Service"]) => {
  ownServices.add(service)
  return service
}

/** Sends a request that changes everything it receives. Returns the token that its check saw, and the credential. */
const ask = (auth: Scheme, token: string): Effect.Effect<readonly [string, string], unknown, any> =>
  Effect.suspend(() => {
    let seen = ""
    const changed = new Set<object>()
    const check = auth.check("change", (token) =>
      Effect.sync(() => {
        seen = seenOf(token)
        change(token, changed)
        return true
      })
    )
    const handler = Effect.gen(function* () {
      const bearer = yield* BearerToken
      const text = Redacted.value(bearer)
      for (const exit of [
        yield* Effect.exit(auth.authorize),
        yield* Effect.exit(auth.authorizeOption),
        yield* Effect.exit(auth.token),
        yield* Effect.exit(AccessToken),
        yield* Effect.exit(OptionalAccessToken)
      ]) {
        change(exit, changed)
      }
      const verifier = yield* Effect.serviceOption(TokenVerifier)
      // Your own service owns its tokens, so the test does not change them.
      if (Option.isSome(verifier) && !ownServices.has(verifier.value)) {
        change(yield* Effect.exit(verifier.value.verify(Redacted.make(token))), changed)
      }
      change(bearer, changed)
      return [seen, text] as const
    })
    return handler.pipe(
      auth.prove("a", check),
      Effect.provideService(HttpServerRequest.HttpServerRequest, requestOf(token)),
      Effect.provide(BearerToken.layerTest(token))
    )
  })

interface Source {
  readonly auth: Scheme
  readonly layer: Layer.Layer<any, unknown, HttpClient.HttpClient>
  readonly token: string
}

const signed = (kind: Kind) =>
  Effect.map(
    TestIssuer.use(({ mint }) => mint({ scopes: ["a"], claims: { value: kind.encoded } })),
    (token): Source => ({
      auth: schemeOf(kind),
      layer: JwtVerifier.layer({ issuer, audience }),
      token
    })
  )

const introspected = (kind: Kind) =>
  Effect.map(
    TestIssuer.use(({ mintOpaque }) => mintOpaque({ scopes: ["a"], claims: { value: kind.encoded } })),
    (token): Source => ({ auth: schemeOf(kind), layer: TokenIntrospection.layer(options), token })
  )

/** A token of a custom verifier that creates a new token each time. */
const ofOwn = (
  kind: Kind,
  auth: Scheme,
  claims: () => unknown,
  make: (verify: () => Outcome) => Layer.Layer<TokenVerifier, unknown>
): Effect.Effect<Source> =>
  Effect.succeed({
    auth,
    layer: make(() => accepted("demo", { claims: { value: claims(), encoded: structuredClone(kind.encoded) } })),
    token: "token"
  })

const decoded = (kind: Kind) => () => Schema.decodeUnknownSync(kind.schema)(structuredClone(kind.encoded))

const cached = (verify: () => Outcome) => TokenVerifier.layer({ verify })
const slow = (verify: () => Outcome) => TokenVerifier.layer({ verify: () => later(verify) })

const sources: Readonly<Record<string, (kind: Kind) => Effect.Effect<Source, unknown, TestIssuer>>> = {
  "a JWT": signed,
  "an introspected token": introspected,
  "a token of your own verifier": (kind) => ofOwn(kind, schemeOf(kind), () => structuredClone(kind.encoded), cached),
  "a token of your own verifier whose claims are not JSON": (kind) => ofOwn(kind, untyped, decoded(kind), cached),
  "a token of your own slow verifier whose claims are not JSON": (kind) => ofOwn(kind, untyped, decoded(kind), slow),
  "a token of your own verifier without a cache": (kind) =>
    ofOwn(kind, untyped, decoded(kind), (verify) => TokenVerifier.layer({ verify, cache: false })),
  "a token of your own service": (kind) =>
    ofOwn(kind, untyped, decoded(kind), (verify) =>
      Layer.succeed(TokenVerifier, ownService({ verify, invalidate: () => Effect.void }))
    ),
  "a token of your own service around a cache": (kind) =>
    ofOwn(kind, untyped, decoded(kind), (verify) =>
      Layer.effect(
        TokenVerifier,
        Effect.map(TokenVerifier.make({ verify }), (inner) => ({
          ...inner,
          verify: (token) => Effect.andThen(Effect.yieldNow, inner.verify(token))
        }))
      )
    ),
  "a token of layerTest": (kind) => {
    const auth = schemeOf(kind)
    return Effect.succeed({
      auth,
      layer: auth.layerTest({ scopes: ["a"], claims: { value: kind.encoded } }),
      token: "token"
    })
  }
}

/** Builds the layers of a source with an empty cache. */
const start = ({ auth, layer }: Source): Effect.Effect<any, unknown, HttpClient.HttpClient | Scope.Scope> =>
  Layer.build(Layer.isLayer(layer) ? (Layer.provideMerge(auth.layer(fromContext), layer) as any) : layer)

const codes = Arbitrary.array(Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 999 }))), {
  minLength: 1,
  maxLength: 8
})

describe("a change by one request", () => {
  for (const [name, sourceOf] of Object.entries(sources)) {
    const isTest = name === "a token of layerTest"
    const run = Effect.fnUntraced(function* (kind: Kind) {
      const source = yield* sourceOf(kind)
      const build = isTest ? Layer.build(source.layer) : start(source)
      const asked = ask(source.auth, source.token)
      // The first request after start-up.
      const expected = yield* Effect.provideContext(asked, yield* build)
      const context = yield* build
      for (const _ of times(3)) assert.deepStrictEqual(yield* Effect.provideContext(asked, context), expected)
      const together = Effect.all([asked, asked, asked], { concurrency: "unbounded" })
      for (const seen of yield* Effect.provideContext(together, yield* build)) assert.deepStrictEqual(seen, expected)
    })

    it.effect.prop(
      `does not affect another request with the same token: ${name}`,
      { codes },
      ({ codes }) => run(build(codes, kinds)).pipe(Effect.scoped, Effect.provide(Issuer)),
      { arbitrary: { runs: 6, size: 24, seed: 20261126 } }
    )

    it.effect(`does not affect another request, for each kind of claim alone: ${name}`, () =>
      Effect.forEach(kinds, run).pipe(Effect.scoped, Effect.provide(Issuer))
    )
  }
})

it.effect("a request that changes its proof does not gain scopes for the next request", () => {
  const auth = OAuth2.authorizationCode("OAuth2", { ...authorizationServer, scopes: { a: "", b: "" } })
  const handler = Effect.contextWith((context: Context.Context<never>) => {
    const { scopes } = context.mapUnsafe.get("effect-oauth2/OAuth2/OAuth2/Proof") as { readonly scopes: Set<string> }
    assert.deepStrictEqual([...scopes], ["a"])
    change(scopes)
    return Effect.exit(auth.granted("b") as Effect.Effect<unknown>)
  })
  const program = handler.pipe(auth.prove("a"), Effect.provide(BearerToken.layerTest("a")))
  return Effect.gen(function* () {
    for (const _ of times(3)) assert(Exit.isFailure(yield* program))
  }).pipe(Effect.provide(auth.layerTest({ scopes: ["a"] })))
})

describe("claims decoded by a schema", () => {
  const schemes = (kind: Kind) => {
    const counted = counting(kind)
    return { auth: schemeOf(counted), calls: counted.calls }
  }
  const askAll = (auth: Scheme, token: string, layer: Layer.Layer<TokenVerifier, unknown, HttpClient.HttpClient>) =>
    Effect.gen(function* () {
      const context = yield* Layer.build(auth.layer(layer))
      const request = Effect.suspend(() =>
        Effect.provideService(auth.authorizeOption, HttpServerRequest.HttpServerRequest, requestOf(token))
      )
      for (const _ of times(6)) yield* Effect.provideContext(request, context)
    })

  it.effect("are decoded at most twice while their token is cached, if they are immutable", () =>
    Effect.gen(function* () {
      for (const kind of immutable) {
        const { auth, calls } = schemes(kind)
        const { layer, token } = yield* signed(kind)
        yield* askAll(auth, token, layer)
        // By the request that verifies the token, and by the first cache hit.
        assert.strictEqual(calls(), 2, seenOf(kind.encoded))
      }
    }).pipe(Effect.scoped, Effect.provide(Issuer))
  )

  it.effect("are decoded for each request, if they are mutable", () =>
    Effect.gen(function* () {
      for (const kind of [...mutable, throwing]) {
        const { auth, calls } = schemes(kind)
        const { layer, token } = yield* signed(kind)
        yield* askAll(auth, token, layer)
        // What a getter gives is copied.
        assert.strictEqual(calls(), kind === accessors ? 2 : 6, seenOf(kind.encoded))
      }
    }).pipe(Effect.scoped, Effect.provide(Issuer))
  )
})

it.effect("the cache estimates less than 3 kB for a token with dates", () =>
  Effect.gen(function* () {
    const issuedAt = Option.some(DateTime.makeUnsafe(0))
    const { calls, present } = yield* verifier({
      cache: { maxBytes: 3000 },
      decide: () => accepted("demo", { issuedAt, claims: { iat: 0, exp: 4_102_444_800, scope: "a" } })
    })
    for (const _ of times(3)) yield* present("a")
    assert.lengthOf(calls, 1)
  })
)

describe("a token of your own verifier", () => {
  const callsOf = Effect.fnUntraced(function* (kind: Kind) {
    const { calls, present } = yield* verifier({
      decide: () => accepted("demo", { claims: { value: decoded(kind)() } })
    })
    for (const _ of times(3)) yield* present("a")
    return calls.length
  })

  it.effect("is cached, if it is immutable", () =>
    Effect.gen(function* () {
      for (const kind of immutable) assert.strictEqual(yield* callsOf(kind), 1, seenOf(decoded(kind)()))
    })
  )

  it.effect("is verified for each request, if it is mutable", () =>
    Effect.gen(function* () {
      for (const kind of mutable) {
        // The cache copies the value of a getter, so this kind becomes immutable.
        assert.strictEqual(yield* callsOf(kind), kind === accessors ? 1 : 3, seenOf(kind.encoded))
      }
    })
  )
})
