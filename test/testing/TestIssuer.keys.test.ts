// The keys of a TestIssuer: generating, publishing, rotating and retiring them.
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { JwtVerifier, KeySet, TokenVerifier } from "effect-oauth2"
import { TestIssuer } from "effect-oauth2/testing"
import * as jose from "jose"
import { algorithms } from "../support/algorithms.ts"
import { audience, decode, issuer, kids, published, test, verifyWith } from "../support/testIssuers.ts"

describe("the keys of a TestIssuer", () => {
  for (const algorithm of algorithms) {
    test(
      `sign with ${algorithm}, and JwtVerifier accepts the token`,
      () =>
        Effect.gen(function* () {
          const token = yield* TestIssuer.use((issuer) => issuer.mint())
          assert.deepInclude(decode(token).header, { alg: algorithm, kid: `${algorithm}-1` })
          const verify = yield* verifyWith({ algorithms: [algorithm] })
          assert.strictEqual(yield* verify(token), "demo")
        }),
      { keys: [algorithm] }
    )
  }

  for (const algorithm of ["HS256", "HS384", "HS512"] as const) {
    test(`sign with ${algorithm}, and JwtVerifier refuses the token although the secret is published`, () =>
      Effect.gen(function* () {
        const { mint, publish } = yield* TestIssuer
        const key = yield* TestIssuer.makeSecretKey("secret", new Uint8Array(64).fill(7), algorithm)
        yield* publish(key.jwk)
        const token = yield* mint({ key })
        yield* Effect.promise(() => jose.jwtVerify(token, new Uint8Array(64).fill(7), { currentDate: new Date(0) }))
        assert.strictEqual(yield* (yield* verifyWith())(token), "InvalidToken Algorithm")
      }))
  }

  it.effect("are one RS256 key by default", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* kids, ["RS256-1"])
    }).pipe(Effect.provide(TestIssuer.layer()))
  )

  test(
    "are named after algorithm and number, and mint selects a key by name",
    () =>
      Effect.gen(function* () {
        const { keys, mint } = yield* TestIssuer
        assert.deepStrictEqual(yield* kids, ["ES256-1", "Ed25519-1", "ES256-2"])
        assert.deepStrictEqual(
          (yield* keys).map(({ kid }) => kid),
          ["ES256-1", "Ed25519-1", "ES256-2"]
        )
        assert.strictEqual(decode(yield* mint()).header.kid, "ES256-1")
        const verify = yield* verifyWith()
        for (const key of ["ES256-1", "Ed25519-1", "ES256-2"]) {
          const token = yield* mint({ key })
          assert.strictEqual(decode(token).header.kid, key)
          assert.strictEqual(yield* verify(token), "demo")
        }
      }),
    { keys: ["ES256", "Ed25519", "ES256"] }
  )

  test("are published without private members", () =>
    Effect.gen(function* () {
      const [key] = yield* published
      assert.hasAllKeys(key, ["kty", "n", "e", "kid", "alg", "use"])
    }))

  test("sign with the new key after rotate, and the old key stays published", () =>
    Effect.gen(function* () {
      const { currentKey, mint, rotate } = yield* TestIssuer
      const verify = yield* verifyWith()
      const old = yield* mint()
      assert.strictEqual(yield* verify(old), "demo")
      const key = yield* rotate("ES256")
      assert.strictEqual(yield* currentKey, key)
      const next = yield* mint()
      assert.strictEqual(decode(next).header.kid, "ES256-1")
      assert.strictEqual(yield* verify(next), "demo")
      assert.strictEqual(yield* verify(old), "demo")
      assert.strictEqual((yield* rotate()).kid, "ES256-2")
      assert.strictEqual((yield* rotate(yield* TestIssuer.makeKey("mine", "ES384"))).kid, "mine")
      assert.deepStrictEqual(yield* kids, ["rsa", "ES256-1", "ES256-2", "mine"])
    }))

  test("still sign after retire, which removes a key from the key set", () =>
    Effect.gen(function* () {
      const { mint, retire, rotate } = yield* TestIssuer
      yield* rotate("ES256")
      yield* retire("rsa")
      assert.deepStrictEqual(yield* kids, ["ES256-1"])
      const verify = yield* verifyWith()
      assert.strictEqual(yield* verify(yield* mint({ key: "rsa" })), "InvalidToken UnknownKey")
      assert.strictEqual(yield* verify(yield* mint()), "demo")
      yield* retire("ES256-1")
      assert.deepStrictEqual(yield* kids, [])
    }))

  test("stay in the key set beside any JSON that publish adds", () =>
    Effect.gen(function* () {
      const { mint, publish } = yield* TestIssuer
      const other = yield* TestIssuer.makeKey("other", "ES256")
      for (const jwk of [null, 1, "key", {}, { kty: "XYZ", kid: "x" }, { ...other.jwk, use: "enc" }, other.jwk]) {
        yield* publish(jwk)
      }
      assert.lengthOf(yield* published, 8)
      assert.strictEqual((yield* kids)[5], "x")
      assert.strictEqual(decode(yield* mint({ key: other })).header.kid, "other")
      assert.strictEqual(decode(yield* mint()).header.kid, "rsa")
    }))

  test("do not verify a token that a foreign key of the same name signed", () =>
    Effect.gen(function* () {
      const { mint } = yield* TestIssuer
      const forged = yield* mint({ key: yield* TestIssuer.makeKey("rsa") })
      assert.strictEqual(yield* (yield* verifyWith())(forged), "InvalidToken Signature")
    }))

  test("verify a token through KeySet.layerStatic without a request", () =>
    Effect.gen(function* () {
      const { keys, mint, requests } = yield* TestIssuer
      const token = yield* mint()
      const given = KeySet.layerStatic({ keys: (yield* keys).map(({ jwk }) => jwk) })
      const verified = yield* TokenVerifier.use(({ verify }) => verify(Redacted.make(token))).pipe(
        Effect.provide(JwtVerifier.layerKeySet({ issuer, audience }).pipe(Layer.provide(given)))
      )
      assert.strictEqual(verified.subject, "demo")
      assert.deepStrictEqual(yield* requests, [])
    }))
})
