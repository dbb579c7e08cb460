import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Config, DateTime, Effect, Exit, Layer, Option, Redacted } from "effect"
import { JwtVerifier, KeySet, SecurityError, TokenVerifier } from "effect-oauth2"
import * as jose from "jose"
import { TestClock } from "effect/testing"
import { audience, Endpoints, issuer, type Key, makeKey, mint, type MintOptions } from "./support/Issuer.ts"

const keys = Effect.runPromise(
  Effect.all({ rsa: makeKey("rsa-1"), other: makeKey("rsa-1"), ec: makeKey("ec-1", "ES256") })
)

const verifyWith = (options: Partial<JwtVerifier.Options>, published: ReadonlyArray<Key>, token: string) =>
  Effect.flatMap(TokenVerifier, (verifier) => verifier.verify(Redacted.make(token))).pipe(
    Effect.provide(
      JwtVerifier.layerKeySet({ issuer, audience, ...options }).pipe(
        Layer.provide(KeySet.layerStatic({ keys: published.map((key) => key.jwk) }))
      )
    )
  )

/** Mints with the first key, verifies with it. */
const outcome = (mintOptions: MintOptions, options: Partial<JwtVerifier.Options> = {}) =>
  Effect.gen(function* () {
    const { rsa } = yield* Effect.promise(() => keys)
    const token = yield* mint(rsa, mintOptions)
    return yield* Effect.exit(verifyWith(options, [rsa], token))
  })

const assertRefused = (
  exit: Exit.Exit<unknown, unknown>,
  expected: { readonly reason: string; readonly claim?: string }
) => {
  assert(Exit.isFailure(exit), "the token was accepted")
  const error = Option.getOrThrow(Exit.findErrorOption(exit))
  assert.instanceOf(error, SecurityError.InvalidToken)
  assert.deepStrictEqual({ reason: error.reason, claim: error.claim }, { claim: undefined, ...expected })
}

describe("JwtVerifier", () => {
  it.effect("reads what a good token says", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(1_700_000_000_000)
      const { rsa } = yield* Effect.promise(() => keys)
      const token = yield* verifyWith({}, [rsa], yield* mint(rsa, { claims: { tenant: "t1" } }))
      assert.strictEqual(token.subject, "demo")
      assert.deepStrictEqual(token.clientId, Option.some("items-docs"))
      assert.deepStrictEqual(Array.from(token.scopes), ["items:read", "me"])
      assert.strictEqual(token.issuer, issuer)
      assert.deepStrictEqual(token.audience, [audience])
      assert.strictEqual(DateTime.toEpochMillis(token.expiresAt), 1_700_000_600_000)
      assert.strictEqual(DateTime.toEpochMillis(Option.getOrThrow(token.issuedAt)), 1_700_000_000_000)
      assert.deepStrictEqual(token.tokenId, Option.some("token-1"))
      assert.strictEqual(token.claims["tenant"], "t1")
      assert.strictEqual(Object.getPrototypeOf(token.claims), null)
    })
  )

  it.effect("accepts a token until it expires, by the test's clock", () =>
    Effect.gen(function* () {
      const { rsa } = yield* Effect.promise(() => keys)
      const token = yield* mint(rsa)
      const verify = Effect.exit(verifyWith({}, [rsa], token))
      assert(Exit.isSuccess(yield* verify))
      yield* TestClock.adjust("604 seconds")
      assert(Exit.isSuccess(yield* verify), "the clock tolerance is 5 seconds")
      yield* TestClock.adjust("2 seconds")
      assertRefused(yield* verify, { reason: "Expired", claim: "exp" })
    })
  )

  it.effect("does not accept a token before its time", () =>
    Effect.gen(function* () {
      assertRefused(yield* outcome({ claims: { nbf: 60 } }), { reason: "Claim", claim: "nbf" })
      assert(Exit.isSuccess(yield* outcome({ claims: { nbf: 5 } })), "the clock tolerance is 5 seconds")
    })
  )

  describe("refuses a token", () => {
    const cases: ReadonlyArray<readonly [name: string, options: MintOptions, reason: string, claim?: string]> = [
      ["of another issuer", { claims: { iss: "https://evil.example.com" } }, "Claim", "iss"],
      ["whose issuer has a trailing slash", { claims: { iss: `${issuer}/` } }, "Claim", "iss"],
      ["whose issuer is an array", { claims: { iss: [issuer] } }, "Claim", "iss"],
      ["without an issuer", { without: ["iss"] }, "Claim", "iss"],
      ["for another audience", { claims: { aud: "https://other.example.com" } }, "Claim", "aud"],
      ["for an audience that starts like ours", { claims: { aud: `${audience}/v2` } }, "Claim", "aud"],
      ["for several other audiences", { claims: { aud: ["a", "b"] } }, "Claim", "aud"],
      ["without an audience", { without: ["aud"] }, "Claim", "aud"],
      ["without an expiry", { without: ["exp"] }, "Claim", "exp"],
      ["whose expiry is a string", { claims: { exp: "9999999999" } }, "Claim", "exp"],
      ["whose expiry is past every date", { claims: { exp: 1e300 } }, "Claim", "exp"],
      ["whose expiry is negative", { claims: { exp: -10 } }, "Expired", "exp"],
      ["without a subject", { without: ["sub"] }, "Claim", "sub"],
      ["whose subject is empty", { claims: { sub: "" } }, "Claim", "sub"],
      ["whose subject is a number", { claims: { sub: 1 } }, "Claim", "sub"],
      ["that is an ID token", { header: { typ: "JWT" } }, "Claim", "typ"],
      ["of a key that is not in the set", { header: { kid: "unknown" } }, "UnknownKey"]
    ]
    for (const [name, options, reason, claim] of cases) {
      it.effect(name, () =>
        Effect.gen(function* () {
          const exit = yield* outcome(options)
          assertRefused(exit, claim === undefined ? { reason } : { reason, claim })
        })
      )
    }

    it.effect("with a critical header that nobody knows", () =>
      Effect.gen(function* () {
        const { rsa } = yield* Effect.promise(() => keys)
        const token = yield* Effect.promise(() =>
          new jose.SignJWT({ iss: issuer, aud: audience, sub: "demo" })
            .setExpirationTime(600)
            .setProtectedHeader({ alg: "RS256", kid: rsa.kid, typ: "at+jwt", crit: ["x"], x: 1 })
            .sign(rsa.privateKey, { crit: { x: true } })
        )
        assertRefused(yield* Effect.exit(verifyWith({}, [rsa], token)), { reason: "Malformed" })
      })
    )

    it.effect("signed by a key that only has the right name", () =>
      Effect.gen(function* () {
        const { other, rsa } = yield* Effect.promise(() => keys)
        assertRefused(yield* Effect.exit(verifyWith({}, [rsa], yield* mint(other))), { reason: "Signature" })
      })
    )

    it.effect("whose claims were changed", () =>
      Effect.gen(function* () {
        const { rsa } = yield* Effect.promise(() => keys)
        const [header, , signature] = (yield* mint(rsa)).split(".")
        const claims = jose.base64url.encode(
          JSON.stringify({ iss: issuer, aud: audience, sub: "admin", exp: 9_999_999_999 })
        )
        assertRefused(yield* Effect.exit(verifyWith({}, [rsa], `${header}.${claims}.${signature}`)), {
          reason: "Signature"
        })
      })
    )

    it.effect("without a signature, whatever the algorithm is called", () =>
      Effect.gen(function* () {
        const { rsa } = yield* Effect.promise(() => keys)
        const [, claims] = (yield* mint(rsa)).split(".")
        for (const alg of ["none", "nOnE", "NONE", "", undefined, null, 1, ["RS256"], { toString: "RS256" }]) {
          const header = jose.base64url.encode(JSON.stringify({ alg, typ: "at+jwt" }))
          for (const signature of ["", "AAAA"]) {
            const exit = yield* Effect.exit(verifyWith({}, [rsa], `${header}.${claims}.${signature}`))
            assertRefused(exit, { reason: "Algorithm" })
          }
        }
      })
    )

    it.effect("signed with the public key as an HMAC secret", () =>
      Effect.gen(function* () {
        const { rsa } = yield* Effect.promise(() => keys)
        const secret = new TextEncoder().encode(JSON.stringify(rsa.jwk))
        const token = yield* Effect.promise(() =>
          new jose.SignJWT({ iss: issuer, aud: audience, sub: "demo", exp: 600 })
            .setProtectedHeader({ alg: "HS256", typ: "at+jwt", kid: rsa.kid })
            .sign(secret)
        )
        assertRefused(yield* Effect.exit(verifyWith({}, [rsa], token)), { reason: "Algorithm" })
      })
    )

    it.effect("under an algorithm that is not allowed here", () =>
      Effect.gen(function* () {
        assertRefused(yield* outcome({}, { algorithms: ["ES256"] }), { reason: "Algorithm" })
      })
    )

    it.effect("that is no JWT", () =>
      Effect.gen(function* () {
        const { rsa } = yield* Effect.promise(() => keys)
        for (const token of [
          "",
          "x",
          ".",
          "..",
          "...",
          "a.b.c",
          "e30.e30.",
          "e30.e30.e30.e30.e30",
          "{}",
          "🔑",
          "W10.W10.W10"
        ]) {
          const exit = yield* Effect.exit(verifyWith({}, [rsa], token))
          assert(Exit.isFailure(exit))
          const error = Option.getOrThrow(Exit.findErrorOption(exit))
          assert.instanceOf(error, SecurityError.InvalidToken, token)
        }
      })
    )
  })

  it.effect("tries each key that fits where the token names none", () =>
    Effect.gen(function* () {
      const { other, rsa } = yield* Effect.promise(() => keys)
      const token = yield* mint(other, { header: { kid: undefined } })
      const second = { ...other, jwk: { ...other.jwk, kid: "rsa-2" } }
      const accepted = yield* verifyWith({}, [rsa, second], token)
      assert.strictEqual(accepted.subject, "demo")
      assertRefused(yield* Effect.exit(verifyWith({}, [rsa, { ...rsa, jwk: { ...rsa.jwk, kid: "rsa-3" } }], token)), {
        reason: "Signature"
      })
    })
  )

  it.effect("verifies ECDSA too", () =>
    Effect.gen(function* () {
      const { ec, rsa } = yield* Effect.promise(() => keys)
      assert.strictEqual((yield* verifyWith({}, [rsa, ec], yield* mint(ec))).subject, "demo")
    })
  )

  it.effect("takes one of several audiences, on either side", () =>
    Effect.gen(function* () {
      assert(Exit.isSuccess(yield* outcome({ claims: { aud: ["x", audience] } })))
      assert(Exit.isSuccess(yield* outcome({ claims: { aud: "y" } }, { audience: ["x", "y"] })))
    })
  )

  it.effect("takes an unmarked token under the profile jwt only", () =>
    Effect.gen(function* () {
      assert(Exit.isSuccess(yield* outcome({ header: { typ: "JWT" } }, { profile: "jwt" })))
      assert(Exit.isSuccess(yield* outcome({ header: { typ: "application/at+jwt" } })))
    })
  )

  it.effect("knows the client by azp where there is no client_id", () =>
    Effect.gen(function* () {
      const exit = yield* outcome({ claims: { azp: "spa" }, without: ["client_id"] })
      assert(Exit.isSuccess(exit))
      assert.deepStrictEqual(exit.value.clientId, Option.some("spa"))
    })
  )

  describe("scopes", () => {
    const cases: ReadonlyArray<
      readonly [
        name: string,
        claims: Record<string, unknown>,
        scopes: ReadonlyArray<string>,
        path?: [string, ...Array<string>]
      ]
    > = [
      ["scope as a string", { scope: "a b" }, ["a", "b"]],
      ["scope as an array", { scope: ["a", "b"] }, ["a", "b"]],
      ["scp as a string", { scp: "a b" }, ["a", "b"]],
      ["scp as an array", { scp: ["a", "b"] }, ["a", "b"]],
      ["scope before scp", { scope: "a", scp: "b" }, ["a"]],
      ["an empty scope, though there is scp", { scope: "", scp: "b" }, []],
      ["nothing", {}, []],
      ["a number", { scope: 1 }, []],
      ["an object", { scope: { a: true } }, []],
      ["an array with other things in it", { scope: ["a", 1, null, ["b"], "c d", ""] }, ["a"]],
      ["double spaces", { scope: "a  b " }, ["a", "b"]],
      ["a tab or a no-break space separates nothing", { scope: "a\tb c\u00a0d e" }, ["e"]],
      ["upper case is another scope", { scope: "A" }, ["A"]],
      ["a path", { realm_access: { roles: ["admin"] } }, ["admin"], ["realm_access", "roles"]],
      ["a path to one claim", { permissions: ["p"] }, ["p"], ["permissions"]],
      ["a path into nothing", { realm_access: null }, [], ["realm_access", "roles"]],
      ["a path along a prototype", {}, [], ["constructor", "name"]]
    ]
    for (const [name, claims, scopes, scopesPath] of cases) {
      it.effect(`are read from ${name}`, () =>
        Effect.gen(function* () {
          const minted = { claims, without: Object.hasOwn(claims, "scope") ? [] : ["scope"] }
          const exit = yield* outcome(minted, scopesPath === undefined ? {} : { scopesPath })
          assert(Exit.isSuccess(exit))
          assert.deepStrictEqual(Array.from(exit.value.scopes), scopes)
        })
      )
    }
  })

  describe("settings", () => {
    const cases: ReadonlyArray<readonly [setting: string, options: Partial<JwtVerifier.Options>]> = [
      ["issuer", { issuer: "idp.example.com" }],
      ["issuer", { issuer: "http://idp.example.com" }],
      ["issuer", { issuer: "https://user:secret@idp.example.com" }],
      ["issuer", { issuer: "https://idp.example.com?x" }],
      ["audience", { audience: "" }],
      ["audience", { audience: [] }],
      ["algorithms", { algorithms: [] }],
      ["algorithms", { algorithms: ["none" as "RS256"] }],
      ["algorithms", { algorithms: ["HS256" as "RS256"] }],
      ["clockTolerance", { clockTolerance: "61 seconds" }],
      ["clockTolerance", { clockTolerance: Infinity }]
    ]
    for (const [setting, options] of cases) {
      it.effect(`fail at start-up where ${setting} cannot work: ${JSON.stringify(options)}`, () =>
        Effect.gen(function* () {
          const error = yield* Effect.flip(verifyWith(options, [], "x"))
          assert.instanceOf(error, SecurityError.ConfigurationError)
          assert.strictEqual(error.setting, setting)
          assert.include(error.message, setting)
        })
      )
    }

    it.effect("come from Effect's Config", () =>
      Effect.gen(function* () {
        const { rsa } = yield* Effect.promise(() => keys)
        const token = yield* mint(rsa)
        const layer = JwtVerifier.layerConfig({
          issuer: Config.String("ISSUER"),
          audience: Config.String("AUDIENCE")
        }).pipe(Layer.provide(new Endpoints([rsa]).layer))
        const verify = Effect.flatMap(TokenVerifier, (verifier) => verifier.verify(Redacted.make(token)))
        const provider = (env: Record<string, string>) =>
          Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown(env)))
        const verified = yield* verify.pipe(Effect.provide(layer), provider({ ISSUER: issuer, AUDIENCE: audience }))
        assert.strictEqual(verified.subject, "demo")
        const error = yield* verify.pipe(Effect.provide(layer), provider({ ISSUER: issuer }), Effect.flip)
        assert.strictEqual(error._tag, "ConfigError")
      })
    )
  })
})
