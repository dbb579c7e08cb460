import { assert, describe } from "@effect/vitest"
import { Context, Effect, Exit, Layer, Redacted } from "effect"
import { HttpClient } from "effect/http"
import { JwtVerifier, TokenVerifier } from "effect-oauth2"
import { TestIssuer } from "effect-oauth2/testing"
import { assertRefused, audience, issuer, mint, other, rsa, test } from "../support/jwts.ts"

describe("JwtVerifier", () => {
  describe("several issuers", () => {
    test("do not share keys, audiences or profiles", () =>
      Effect.gen(function* () {
        const ours = yield* TestIssuer
        // Both keys have the same kid, so only the issuer distinguishes them.
        const theirContext = yield* Layer.build(
          TestIssuer.layer({ issuer: "https://other.example.com", audience: "urn:other", keys: [other] })
        )
        const theirs = Context.get(theirContext, TestIssuer)
        // The client of a test issuer reaches only that issuer.
        const ourClient = yield* HttpClient.HttpClient
        const theirClient = Context.get(theirContext, HttpClient.HttpClient)
        const client = HttpClient.make((request, { origin }) =>
          (origin === theirs.issuer ? theirClient : ourClient).execute(request)
        )
        const Verifier = JwtVerifier.layerIssuers([
          { issuer, audience },
          { issuer: theirs.issuer, audience: "urn:other", profile: "jwt" }
        ]).pipe(Layer.provide(Layer.succeed(HttpClient.HttpClient, client)))
        const verify = (token: string) =>
          Effect.exit(Effect.flatMap(TokenVerifier, (verifier) => verifier.verify(Redacted.make(token))))
        yield* Effect.gen(function* () {
          assert(Exit.isSuccess(yield* verify(yield* ours.mint())))
          assert(Exit.isSuccess(yield* verify(yield* theirs.mint({ profile: "jwt" }))))
          assertRefused(yield* verify(yield* ours.mint({ key: other })), { reason: "Signature" })
          assertRefused(yield* verify(yield* theirs.mint({ key: rsa })), { reason: "Signature" })
          assertRefused(yield* verify(yield* theirs.mint({ audience })), { reason: "Claim", claim: "aud" })
          assertRefused(yield* verify(yield* ours.mint({ profile: "jwt" })), { reason: "Claim", claim: "typ" })
          for (const iss of ["https://evil.example.com", `${issuer}/`, [issuer], undefined]) {
            assertRefused(yield* verify(yield* ours.mint({ claims: { iss } })), { reason: "Claim", claim: "iss" })
          }
        }).pipe(Effect.provide(Verifier))
        for (const { requests } of [ours, theirs]) {
          assert.deepStrictEqual(
            (yield* requests).map(({ endpoint }) => endpoint),
            ["openid-configuration", "jwks", "openid-configuration", "jwks"],
            "only the documents of the two issuers are fetched, again after the first signature that does not match"
          )
        }
      }))

    test("each have their own maxTokenLength", () =>
      Effect.gen(function* () {
        const Verifier = JwtVerifier.layerIssuers([
          { issuer, audience, maxTokenLength: 1000 },
          { issuer: "https://other.example.com", audience, maxTokenLength: 100_000 }
        ])
        const long = yield* mint({ claims: { x: "x".repeat(2000) } })
        const exit = yield* Effect.exit(
          Effect.flatMap(TokenVerifier, (verifier) => verifier.verify(Redacted.make(long))).pipe(
            Effect.provide(Verifier)
          )
        )
        assertRefused(exit, { reason: "Malformed" })
      }))

    test("are refused at start-up if one is named twice", () =>
      Effect.gen(function* () {
        const layer = JwtVerifier.layerIssuers([
          { issuer, audience },
          { issuer, audience: "x" }
        ])
        const error = yield* Effect.flip(Effect.scoped(Layer.build(layer)))
        assert.strictEqual(error._tag, "ConfigurationError")
        assert.include(error.message, "must be named once")
        const secret = { issuer: "https://user:password@issuer.test", audience }
        const refused = yield* Effect.flip(Effect.scoped(Layer.build(JwtVerifier.layerIssuers([secret, secret]))))
        assert.notInclude(refused.message, "password")
      }))

    test("name the issuer with an invalid option", () =>
      Effect.gen(function* () {
        const other = { issuer: "https://other.test", audience }
        for (const [setting, bad] of [
          ["issuers[1].issuer", { ...other, issuer: "other.test" }],
          ["issuers[1].audience", { ...other, audience: "" }],
          ["issuers[1].staleFor", { ...other, staleFor: "25 hours" as const }]
        ] as const) {
          const layer = JwtVerifier.layerIssuers([{ issuer, audience }, bad])
          const error = yield* Effect.flip(Effect.scoped(Layer.build(layer)))
          assert.strictEqual(error.setting, setting)
          assert.include(error.message, setting)
        }
      }))
  })

  describe("a shared secret", () => {
    const secret = "0123456789abcdef0123456789abcdef"
    const layerSecret = (value = secret) =>
      JwtVerifier.layerSecret({ issuer, audience, secret: Redacted.make(value), algorithm: "HS256" })
    const verify = (token: string) =>
      Effect.flatMap(TokenVerifier, (verifier) => verifier.verify(Redacted.make(token))).pipe(
        Effect.provide(layerSecret()),
        Effect.exit
      )
    const sign = (alg: "HS256" | "HS512", value: string) =>
      Effect.flatMap(TestIssuer.makeSecretKey("secret", value, alg), (key) => mint({ key, header: { kid: undefined } }))

    test("verifies only tokens that it signed with the configured algorithm", () =>
      Effect.gen(function* () {
        assert(Exit.isSuccess(yield* verify(yield* sign("HS256", secret))))
        assertRefused(yield* verify(yield* sign("HS256", secret.replace("0", "1"))), { reason: "Signature" })
        assertRefused(yield* verify(yield* sign("HS512", secret.repeat(2))), { reason: "Algorithm" })
        assertRefused(yield* verify(yield* mint()), { reason: "Algorithm" })
      }))

    for (const [algorithm, least] of [
      ["HS256", 32],
      ["HS384", 48],
      ["HS512", 64]
    ] as const) {
      test(`is refused at start-up if it is shorter than ${least} bytes (${algorithm})`, () =>
        Effect.gen(function* () {
          const build = (value: string) =>
            Effect.scoped(
              Layer.build(JwtVerifier.layerSecret({ issuer, audience, algorithm, secret: Redacted.make(value) }))
            )
          const error = yield* Effect.flip(build("s".repeat(least - 1)))
          assert.strictEqual(error.setting, "secret")
          assert.notInclude(error.message, "sss")
          yield* build("s".repeat(least))
          // The length counts UTF-8 bytes, and each "é" has two.
          yield* build("é".repeat(least / 2))
          assert.strictEqual((yield* Effect.flip(build("é".repeat(least / 2 - 1)))).setting, "secret")
        }))
    }

    test("is refused at start-up with an algorithm other than HS256, HS384 and HS512", () =>
      Effect.gen(function* () {
        for (const algorithm of ["hs256", "RS256", "none", "constructor"]) {
          const options = { issuer, audience, algorithm: algorithm as "HS256", secret: Redacted.make(secret) }
          const error = yield* Effect.flip(Effect.scoped(Layer.build(JwtVerifier.layerSecret(options))))
          assert.strictEqual(error.setting, "algorithm")
        }
      }))

    const verifyWithSecrets = (given: Parameters<typeof JwtVerifier.layerSecret>[0]["secret"], token: string) =>
      Effect.flatMap(TokenVerifier, (verifier) => verifier.verify(Redacted.make(token))).pipe(
        Effect.provide(JwtVerifier.layerSecret({ issuer, audience, secret: given, algorithm: "HS256" })),
        Effect.exit
      )

    test("is given as bytes, which do not have to be text", () =>
      Effect.gen(function* () {
        const bytes = Uint8Array.from({ length: 32 }, (_, i) => 255 - i)
        const key = yield* TestIssuer.makeSecretKey("secret", bytes)
        const token = yield* mint({ key })
        assert(Exit.isSuccess(yield* verifyWithSecrets(Redacted.make(bytes), token)))
        assertRefused(yield* verifyWithSecrets(Redacted.make(bytes.with(31, 0)), token), { reason: "Signature" })
      }))

    test("is one of two during a rotation, and each of them verifies its tokens with and without a kid", () =>
      Effect.gen(function* () {
        const secrets = [Redacted.make(secret), Redacted.make(new TextEncoder().encode(secret.toUpperCase()))]
        for (const value of [secret, secret.toUpperCase()]) {
          const key = yield* TestIssuer.makeSecretKey("secret", value)
          for (const kid of ["secret", undefined]) {
            const token = yield* mint({ key, header: { kid } })
            assert(Exit.isSuccess(yield* verifyWithSecrets(secrets, token)))
          }
        }
        const third = yield* sign("HS256", "x".repeat(32))
        assertRefused(yield* verifyWithSecrets(secrets, third), { reason: "Signature" })
        const old = yield* sign("HS256", secret.toUpperCase())
        assertRefused(yield* verifyWithSecrets(secrets.slice(0, 1), old), { reason: "Signature" })
      }))

    test("is refused at start-up if one of several is too short, not Redacted, or missing", () =>
      Effect.gen(function* () {
        const good = Redacted.make(secret)
        for (const [given, setting, message] of [
          [[good, Redacted.make("s".repeat(31))], "secret[1]", "at least 32 bytes"],
          [[Redacted.make(new Uint8Array(31)), good], "secret[0]", "at least 32 bytes"],
          [[good, secret], "secret[1]", "Redacted"],
          [[good, Redacted.make(1)], "secret[1]", "Redacted"],
          [Redacted.make(null), "secret", "Redacted"],
          [[], "secret", "Redacted"]
        ] as const) {
          const options = { issuer, audience, algorithm: "HS256", secret: given as never } as const
          const error = yield* Effect.flip(Effect.scoped(Layer.build(JwtVerifier.layerSecret(options))))
          assert.strictEqual(error.setting, setting)
          assert.include(error.message, message)
          assert.notInclude(error.message, "sss")
        }
      }))

    test("verifies by default a token of typ JWT with a scope and without client_id, as libraries for JWTs sign it", () =>
      Effect.gen(function* () {
        const key = yield* TestIssuer.makeSecretKey("secret", secret)
        const tutorial = {
          key,
          header: { kid: undefined, typ: "JWT" },
          without: ["client_id", "jti", "iat"]
        }
        const token = yield* mint(tutorial)
        const exit = yield* verify(token)
        assert(Exit.isSuccess(exit))
        assert.deepStrictEqual(Array.from(exit.value.scopes), ["items:read", "me"])
        // A token without the mark of an access token can be a refresh token.
        assertRefused(yield* verify(yield* mint({ ...tutorial, without: ["client_id", "scope"] })), {
          reason: "Claim",
          claim: "scope"
        })
        const strict = JwtVerifier.layerSecret({
          issuer,
          audience,
          secret: Redacted.make(secret),
          algorithm: "HS256",
          profile: "at+jwt"
        })
        const refused = yield* Effect.flatMap(TokenVerifier, (verifier) => verifier.verify(Redacted.make(token))).pipe(
          Effect.provide(strict),
          Effect.exit
        )
        assertRefused(refused, { reason: "Claim", claim: "typ" })
      }))

    test("is refused at start-up if it is not Redacted", () =>
      Effect.gen(function* () {
        for (const plain of [secret, undefined]) {
          const options = { issuer, audience, algorithm: "HS256", secret: plain as never } as const
          const error = yield* Effect.flip(Effect.scoped(Layer.build(JwtVerifier.layerSecret(options))))
          assert.deepStrictEqual(
            [error.setting, error.message],
            [
              "secret",
              "secret must be a Redacted text or Uint8Array, such as Redacted.make(secret), or a list of at least one of them"
            ]
          )
        }
      }))
  })
})
