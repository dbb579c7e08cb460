/** Verified tokens: immutable scopes, usable dates, and claims with any name. */
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, DateTime, Effect, Equal, Hash, Layer, Option, Redacted, Schema } from "effect"
import {
  AccessToken,
  BearerToken,
  JwtVerifier,
  OAuth2,
  SecurityError,
  TokenIntrospection,
  TokenVerifier
} from "effect-oauth2"
import { TestIssuer } from "effect-oauth2/testing"
import { isDeepStrictEqual } from "node:util"
import { authorizationServer } from "../support/authorizationServer.ts"
import { accepted, verifier } from "../support/scriptedVerifier.ts"
import { audience, issuer, Issuer, options } from "../support/introspection.ts"
import { times } from "../support/times.ts"

const expiresAt = DateTime.makeUnsafe("2100-01-01T00:00:00Z")

const scopesOf = (scopes: string | Iterable<string>) =>
  AccessToken.make({ subject: "demo", scopes, issuer: "https://idp.example.com", expiresAt }).scopes

describe("scopes", () => {
  const arbitrary = { runs: 200, size: 12, seed: 20261126 }
  const name = Schema.Literals(["a", "b", "c", "items:read", "__proto__", "size"])
  const names = Arbitrary.array(Arbitrary.schema(name), { maxLength: 6 })

  it.prop(
    "behave like a Set of the same names",
    { names, others: names },
    ({ names, others }) => {
      const [scopes, set, other] = [scopesOf(names), new Set<string>(names), new Set<string>(others)]
      assert.strictEqual(scopes.size, set.size)
      for (const name of ["a", "b", "c", "items:read", "__proto__", "size", "has"]) {
        assert.strictEqual(scopes.has(name), set.has(name))
      }
      for (const of of [
        (set: ReadonlySet<string>) => [...set],
        (set: ReadonlySet<string>) => [...set.keys()],
        (set: ReadonlySet<string>) => [...set.values()],
        (set: ReadonlySet<string>) => [...set.entries()],
        (set: ReadonlySet<string>) => set.union(other),
        (set: ReadonlySet<string>) => set.intersection(other),
        (set: ReadonlySet<string>) => set.difference(other),
        (set: ReadonlySet<string>) => set.symmetricDifference(other),
        (set: ReadonlySet<string>) => set.isSubsetOf(other),
        (set: ReadonlySet<string>) => set.isSupersetOf(other),
        (set: ReadonlySet<string>) => set.isDisjointFrom(other),
        (set: ReadonlySet<string>) => other.union(set),
        (set: ReadonlySet<string>) => other.isSubsetOf(set),
        (set: ReadonlySet<string>) => new Set(set),
        (set: ReadonlySet<string>) => Object.prototype.toString.call(set),
        (set: ReadonlySet<string>) => set instanceof Set
      ]) {
        assert.deepStrictEqual(of(scopes), of(set))
      }
      const visits: Array<unknown> = []
      const me = {}
      scopes.forEach(function (this: unknown, ...given) {
        visits.push([this === me, ...given.slice(0, 2), given[2] === scopes])
      }, me)
      assert.deepStrictEqual(
        visits,
        [...set].map((name) => [true, name, name, true])
      )
    },
    { arbitrary }
  )

  it.prop(
    "equal other scopes exactly if the two Sets are equal",
    { names, others: names },
    ({ names, others }) => {
      const [scopes, same, other] = [scopesOf(names), scopesOf(names.toReversed()), scopesOf(others)]
      const areEqual = Equal.equals(new Set<string>(names), new Set<string>(others))
      assert.isTrue(Equal.equals(scopes, same))
      assert.strictEqual(Hash.hash(scopes), Hash.hash(same))
      assert.strictEqual(Equal.equals(scopes, other), areEqual)
      assert.isTrue(Equal.equals(scopes, new Set<string>(names)))
      if (!areEqual) assert.isFalse(isDeepStrictEqual(scopes, other))
    },
    { arbitrary }
  )

  it("are encoded as a set by schemas, and logged with their names", () => {
    const scopes = scopesOf("a b")
    const encode = Schema.encodeUnknownSync(Schema.ReadonlySet(Schema.String))
    assert.deepStrictEqual(encode(scopes), new Set(["a", "b"]))
    assert.deepStrictEqual(JSON.parse(JSON.stringify(scopes)), { names: ["a", "b"] })
  })

  it("cannot be changed, not even with a method of Set.prototype", () => {
    const scopes = scopesOf("a")
    const prototype = Object.getPrototypeOf(scopes)
    for (const change of ["add", "delete", "clear"] as const) {
      assert.throws(
        () => (scopes as Set<string>)[change]("a"),
        TypeError,
        "The scopes of a verified token are read-only."
      )
      assert.throws(() => Reflect.apply(Set.prototype[change], scopes, ["a"]), TypeError)
    }
    const admit = () => true
    for (const target of [scopes, prototype, prototype.constructor]) {
      assert.isFalse(Reflect.set(target, "has", admit))
      assert.isFalse(Reflect.defineProperty(target, "has", { value: admit }))
      assert.isFalse(Reflect.setPrototypeOf(target, { has: admit }))
      assert.isFalse(Reflect.deleteProperty(target, "names") && target === scopes)
    }
    for (const name of ["union", "difference", "symmetricDifference"] as const) scopes[name](new Set()).add("admin")
    assert.deepStrictEqual([...scopes], ["a"])
    assert.isFalse(scopes.has("admin"))
  })
})

it.effect("the frozen dates of a cached token work with every function of DateTime", () =>
  Effect.gen(function* () {
    const { present } = yield* verifier({ decide: (token) => accepted(token, { issuedAt: Option.some(expiresAt) }) })
    const date = DateTime.makeUnsafe("2100-01-01T00:00:00Z")
    for (const _ of times(2)) {
      const { expiresAt, issuedAt } = yield* present("a")
      for (const frozen of [expiresAt, Option.getOrThrow(issuedAt)]) {
        for (const of of [
          DateTime.toParts,
          DateTime.toPartsUtc,
          DateTime.formatIso,
          DateTime.toDateUtc,
          DateTime.toEpochMillis,
          DateTime.getPartUtc("weekDay"),
          DateTime.startOf("year"),
          DateTime.add({ months: 1, seconds: 3 }),
          DateTime.setPartsUtc({ year: 2001 }),
          DateTime.mutateUtc((date) => date.setUTCFullYear(2001)),
          (date: DateTime.Utc) => DateTime.formatIsoZoned(DateTime.setZoneNamedUnsafe(date, "Europe/Berlin")),
          (date: DateTime.Utc) => DateTime.toParts(DateTime.setZoneOffset(date, 3_600_000)),
          (date: DateTime.Utc) => DateTime.distance(date, DateTime.makeUnsafe(0)),
          String,
          JSON.stringify,
          Hash.hash
        ]) {
          assert.deepStrictEqual(of(frozen), of(date))
        }
        assert.isTrue(Equal.equals(frozen, date))
      }
    }
  })
)

// ---------------------------------------------------------------------------------------------------------------------
// a claim named __proto__
// ---------------------------------------------------------------------------------------------------------------------

describe("a claim named __proto__", () => {
  const inherited = { admin: true, scope: "admin", sub: "root", value: "admin" }
  const arbitrary = { runs: 50, size: 12, seed: 20261126 }
  const codes = Arbitrary.array(Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 5 }))), {
    maxLength: 6
  })

  /** Returns JSON with the claim at some depth. */
  const nested = (codes: ReadonlyArray<number>): unknown =>
    codes.reduce<unknown>(
      (inner, code) => {
        switch (code) {
          case 0:
            return [inner]
          case 1:
            return { a: inner }
          case 2:
            return [{ b: [inner] }, 1]
          default:
            return JSON.parse(`{"__proto__":${JSON.stringify(inner)},"c":${code}}`)
        }
      },
      JSON.parse(`{"__proto__":${JSON.stringify(inherited)}}`)
    )

  const plain: ReadonlyArray<unknown> = [null, Object.prototype, Array.prototype]

  /** Asserts that the claim is an own member, and that no object inherits from its value. */
  const assertPlain = (value: unknown): void => {
    if (typeof value !== "object" || value === null) return
    assert.include(plain, Object.getPrototypeOf(value))
    for (const name of Object.keys(inherited)) {
      if (!Object.hasOwn(value, name)) assert.isUndefined(Reflect.get(value, name))
    }
    for (const key of Reflect.ownKeys(value)) assertPlain(Reflect.getOwnPropertyDescriptor(value, key)?.value)
  }

  const claimsOf = (value: unknown): Record<string, unknown> =>
    JSON.parse(`{"__proto__":${JSON.stringify(inherited)},"value":${JSON.stringify(value)}}`)

  const anyClaims = OAuth2.authorizationCode("OAuth2", { ...authorizationServer, scopes: { a: "" } })
  const record = OAuth2.authorizationCode("OAuth2", {
    ...authorizationServer,
    scopes: { a: "" },
    claims: Schema.Record(Schema.String, Schema.Unknown)
  })
  const own = (claims: Record<string, unknown>, cache: {} | false) =>
    TokenVerifier.layer({ cache, verify: (token) => accepted(Redacted.value(token), { claims }) })

  const ways: Readonly<
    Record<
      string,
      (claims: Record<string, unknown>) => Effect.Effect<readonly [string, Layer.Layer<any, unknown, any>], any, any>
    >
  > = {
    "a JWT": (claims) =>
      TestIssuer.use(({ mint }) =>
        Effect.map(mint({ scopes: ["a"], claims }), (token) => [token, JwtVerifier.layer({ issuer, audience })])
      ),
    "an introspected token": (claims) =>
      TestIssuer.use(({ mintOpaque }) =>
        Effect.map(mintOpaque({ scopes: ["a"], claims }), (token) => [token, TokenIntrospection.layer(options)])
      ),
    "a token of your own verifier": (claims) => Effect.succeed(["a", own(claims, {})]),
    "a token of your own verifier without a cache": (claims) => Effect.succeed(["a", own(claims, false)]),
    "a token of AccessToken.make": (claims) =>
      Effect.succeed([
        "a",
        own(AccessToken.make({ subject: "a", scopes: "a", issuer, expiresAt, claims }).claims as typeof claims, {})
      ])
  }

  const assertOwn = (all: Readonly<Record<string, unknown>>, claims: Record<string, unknown>) => {
    assertPlain(all)
    assert.isUndefined(all["admin"])
    for (const name of Object.keys(claims)) {
      assert.strictEqual(JSON.stringify(all[name]), JSON.stringify(claims[name]), name)
    }
  }

  for (const [name, way] of Object.entries(ways)) {
    for (const [schema, auth] of [
      ["any claims", anyClaims],
      ["a schema", record as unknown as typeof anyClaims]
    ] as const) {
      it.effect.prop(
        `is read as an ordinary claim: ${name}, with a scheme for ${schema}`,
        { codes },
        ({ codes }) =>
          Effect.gen(function* () {
            const claims = claimsOf(nested(codes))
            const [token, layer] = yield* way(claims)
            const context = yield* Layer.build(auth.layer(layer))
            for (const _ of times(3)) {
              const verified = yield* auth.authorize.pipe(
                Effect.provide(BearerToken.layerTest(token)),
                Effect.provideContext(context as any)
              )
              assertOwn(verified.claims, claims)
              assert.notStrictEqual(verified.subject, "root")
              assert.isFalse(verified.scopes.has("admin"))
            }
            assert.isFalse("admin" in {})
          }).pipe(Effect.scoped, Effect.provide(Issuer)),
        { arbitrary }
      )
    }
  }

  it.effect.prop(
    "is read as an ordinary claim: a token of layerTest",
    { codes },
    ({ codes }) =>
      Effect.gen(function* () {
        const claims = claimsOf(nested(codes))
        const test = record.layerTest({ scopes: ["a"], claims })
        const token = yield* record.authorize.pipe(Effect.provide([BearerToken.layerTest("a"), test]))
        assertOwn(token.claims, claims)
        const granted = yield* Effect.provide(record.granted("a"), record.layerTestGranted({ scopes: ["a"], claims }))
        assertOwn(granted.claims, claims)
      }),
    { arbitrary }
  )

  it.effect("does not set the claims that a verifier reads", () =>
    Effect.gen(function* () {
      const { mint } = yield* TestIssuer
      const verify = (options: Partial<JwtVerifier.Options>, mintOptions: Parameters<typeof mint>[0]) =>
        Effect.flatMap(mint(mintOptions), (token) =>
          TokenVerifier.use(({ verify }) => verify(Redacted.make(token))).pipe(
            Effect.provide(JwtVerifier.layer({ issuer, audience, ...options }))
          )
        )
      const claims = JSON.parse(
        `{"__proto__":{"admin":"yes","scope":"admin","realm_access":{"roles":["admin"]},"client_id":"root"}}`
      )
      const { clientId, scopes } = yield* verify(
        { profile: "jwt" },
        { claims, profile: "jwt", without: ["client_id"], scopes: ["a"] }
      )
      assert.deepStrictEqual([Option.isNone(clientId), [...scopes]], [true, ["a"]])
      assert.strictEqual((yield* verify({ scopesPath: ["realm_access", "roles"] }, { claims })).scopes.size, 0)
      const error = yield* Effect.flip(verify({ requiredClaims: { admin: "yes" } }, { claims }))
      assert(error._tag === "InvalidToken" && error.claim === "admin")
    }).pipe(Effect.provide(Issuer))
  )

  it.effect("and the names of inherited members, such as constructor, are not read as claims", () =>
    Effect.gen(function* () {
      const { mint, mintOpaque } = yield* TestIssuer
      const verify = (token: string, layer: Layer.Layer<TokenVerifier, unknown, any>) =>
        TokenVerifier.use(({ verify }) => verify(Redacted.make(token))).pipe(Effect.provide(layer))
      const claims = { realm_access: {} }
      const scopesPath = ["realm_access", "constructor", "name"] as const
      for (const [token, layer] of [
        [yield* mint({ claims }), JwtVerifier.layer({ issuer, audience, scopesPath })],
        [yield* mintOpaque({ claims }), TokenIntrospection.layer({ ...options, scopesPath })]
      ] as const) {
        assert.strictEqual((yield* verify(token, layer)).scopes.size, 0)
      }
      for (const requiredClaims of [{ constructor: true }, { toString: true }] as const) {
        for (const [token, layer] of [
          [yield* mint(), JwtVerifier.layer({ issuer, audience, requiredClaims })],
          [yield* mintOpaque(), TokenIntrospection.layer({ ...options, requiredClaims })]
        ] as const) {
          const error = yield* Effect.flip(verify(token, layer))
          assert(SecurityError.isSecurityError(error) && error._tag === "InvalidToken")
          assert.strictEqual(error.claim, Object.keys(requiredClaims)[0])
        }
      }
    }).pipe(Effect.provide(Issuer))
  )
})
