import { assert, describe } from "@effect/vitest"
import { DateTime, Effect, Exit, Layer, Option, Redacted, Tracer } from "effect"
import { JwtVerifier, KeySet, SecurityError, TokenVerifier } from "effect-oauth2"
import { type MintOptions, TestIssuer } from "effect-oauth2/testing"
import { TestClock } from "effect/testing"
import { assertRefused, audience, ec, issuer, mint, other, outcome, rsa, test, verifyWith } from "../support/jwts.ts"

describe("JwtVerifier", () => {
  test("reads the claims of a valid token", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(1_700_000_000_000)
      const token = yield* verifyWith({}, [rsa], yield* mint({ claims: { tenant: "t1" } }))
      assert.strictEqual(token.subject, "demo")
      assert.deepStrictEqual(token.clientId, Option.some("test-client"))
      assert.deepStrictEqual(Array.from(token.scopes), ["items:read", "me"])
      assert.strictEqual(token.issuer, issuer)
      assert.deepStrictEqual(token.audience, [audience])
      assert.strictEqual(DateTime.toEpochMillis(token.expiresAt), 1_700_000_600_000)
      assert.strictEqual(DateTime.toEpochMillis(Option.getOrThrow(token.issuedAt)), 1_700_000_000_000)
      assert.deepStrictEqual(token.tokenId, Option.some("token-1"))
      assert.strictEqual(token.claims["tenant"], "t1")
      assert.strictEqual(Object.getPrototypeOf(token.claims), null)
    }))

  test("accepts a token until 5 seconds after its exp", () =>
    Effect.gen(function* () {
      const token = yield* mint()
      const verify = Effect.exit(verifyWith({}, [rsa], token))
      assert(Exit.isSuccess(yield* verify))
      yield* TestClock.adjust("604 seconds")
      assert(Exit.isSuccess(yield* verify), "the clock tolerance is 5 seconds")
      yield* TestClock.adjust("2 seconds")
      assertRefused(yield* verify, { reason: "Expired", claim: "exp" })
    }))

  test("refuses a token until 5 seconds before its nbf", () =>
    Effect.gen(function* () {
      assertRefused(yield* outcome({ claims: { nbf: 60 } }), { reason: "Claim", claim: "nbf" })
      assert(Exit.isSuccess(yield* outcome({ claims: { nbf: 5 } })), "the clock tolerance is 5 seconds")
    }))

  describe("refuses a token", () => {
    const cases: ReadonlyArray<readonly [name: string, options: MintOptions, reason: string, claim?: string]> = [
      ["of another issuer", { claims: { iss: "https://evil.example.com" } }, "Claim", "iss"],
      ["whose issuer has a trailing slash", { claims: { iss: `${issuer}/` } }, "Claim", "iss"],
      ["whose issuer is an array", { claims: { iss: [issuer] } }, "Claim", "iss"],
      ["without an issuer", { without: ["iss"] }, "Claim", "iss"],
      ["for another audience", { claims: { aud: "https://other.example.com" } }, "Claim", "aud"],
      ["for an audience that begins with the configured one", { claims: { aud: `${audience}/v2` } }, "Claim", "aud"],
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
      ["whose kid is not in the key set", { header: { kid: "unknown" } }, "UnknownKey"]
    ]
    for (const [name, options, reason, claim] of cases) {
      test(name, () =>
        Effect.gen(function* () {
          const exit = yield* outcome(options)
          assertRefused(exit, claim === undefined ? { reason } : { reason, claim })
        })
      )
    }

    test("with an unsupported critical header", () =>
      Effect.gen(function* () {
        assertRefused(yield* outcome({ header: { crit: ["x"], x: 1 } }), { reason: "Malformed" })
      }))

    test("signed by another key with the right kid", () =>
      Effect.gen(function* () {
        assertRefused(yield* Effect.exit(verifyWith({}, [rsa], yield* mint({ key: other }))), { reason: "Signature" })
      }))

    test("whose claims were changed", () =>
      Effect.gen(function* () {
        const { mintRaw } = yield* TestIssuer
        const [header = "", , signature = ""] = (yield* mint()).split(".")
        const payload = JSON.stringify({ iss: issuer, aud: audience, sub: "admin", exp: 9_999_999_999 })
        const forged = yield* mintRaw({ header: { encoded: header }, payload, signature })
        assertRefused(yield* Effect.exit(verifyWith({}, [rsa], forged)), { reason: "Signature" })
      }))

    test("without a signature, with any spelling of alg none", () =>
      Effect.gen(function* () {
        const { mintRaw } = yield* TestIssuer
        const [, encoded = ""] = (yield* mint()).split(".")
        for (const alg of ["none", "nOnE", "NONE", "", undefined, null, 1, ["RS256"], { toString: "RS256" }]) {
          const header = JSON.stringify({ alg, typ: "at+jwt" })
          for (const [signature, reason] of [
            ["", "Malformed"],
            ["AAAA", "Algorithm"]
          ] as const) {
            const token = yield* mintRaw({ header, payload: { encoded }, signature })
            assertRefused(yield* Effect.exit(verifyWith({}, [rsa], token)), { reason })
          }
        }
      }))

    test("signed with the public key as an HMAC secret", () =>
      Effect.gen(function* () {
        const key = yield* TestIssuer.makeSecretKey(rsa.kid, JSON.stringify(rsa.jwk))
        assertRefused(yield* outcome({ key }), { reason: "Algorithm" })
      }))

    test("signed with an algorithm outside the algorithms option", () =>
      Effect.gen(function* () {
        assertRefused(yield* outcome({}, { algorithms: ["ES256"] }), { reason: "Algorithm" })
      }))

    test("in another form than a JWT", () =>
      Effect.gen(function* () {
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
      }))
  })

  test("tries each key for the algorithm if the token has no kid", () =>
    Effect.gen(function* () {
      const token = yield* mint({ key: other, header: { kid: undefined } })
      const second = { ...other, jwk: { ...other.jwk, kid: "rsa-2" } }
      const accepted = yield* verifyWith({}, [rsa, second], token)
      assert.strictEqual(accepted.subject, "demo")
      assertRefused(yield* Effect.exit(verifyWith({}, [rsa, { ...rsa, jwk: { ...rsa.jwk, kid: "rsa-3" } }], token)), {
        reason: "Signature"
      })
    }))

  test("verifies an ECDSA signature", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* verifyWith({}, [rsa, ec], yield* mint({ key: ec }))).subject, "demo")
    }))

  test("accepts one common audience among several in the token or in the option", () =>
    Effect.gen(function* () {
      assert(Exit.isSuccess(yield* outcome({ claims: { aud: ["x", audience] } })))
      assert(Exit.isSuccess(yield* outcome({ claims: { aud: "y" } }, { audience: ["x", "y"] })))
    }))

  describe("a verification", () => {
    for (const [name, tracer, expected] of [
      [
        "its own span if a tracer is installed",
        Tracer.make({ span: (options) => new Tracer.NativeSpan(options) }),
        "JwtVerifier.verify"
      ],
      ["not a span with Effect's default tracer", undefined, "request"]
    ] as const) {
      test(`is ${name}`, () =>
        Effect.gen(function* () {
          const within: Array<string> = []
          const keySet = Layer.effect(
            KeySet.KeySet,
            Effect.map(KeySet.KeySet, (keySet) => ({
              ...keySet,
              findFetched: () => [],
              find: (header: KeySet.KeySelector) =>
                Effect.currentSpan.pipe(
                  Effect.orDie,
                  Effect.tap((span) => Effect.sync(() => within.push(span.name))),
                  Effect.andThen(keySet.find(header))
                )
            }))
          ).pipe(Layer.provide(KeySet.layerStatic({ keys: [rsa.jwk] })))
          const token = yield* mint()
          const verify = Effect.flatMap(TokenVerifier, ({ verify }) => verify(Redacted.make(token))).pipe(
            Effect.withSpan("request"),
            Effect.provide(JwtVerifier.layerKeySet({ issuer, audience, cache: false }).pipe(Layer.provide(keySet)))
          )
          yield* tracer === undefined ? verify : Effect.provideService(verify, Tracer.Tracer, tracer)
          assert.deepStrictEqual(within, [expected])
        }))
    }
  })

  test("reads the client from azp if client_id is absent", () =>
    Effect.gen(function* () {
      const exit = yield* outcome({ claims: { azp: "spa" }, without: ["client_id"] }, { profile: "jwt" })
      assert(Exit.isSuccess(exit))
      assert.deepStrictEqual(exit.value.clientId, Option.some("spa"))
    }))

  describe("scopes", () => {
    const cases: ReadonlyArray<
      readonly [
        name: string,
        claims: Record<string, unknown>,
        scopes: ReadonlyArray<string>,
        path?: JwtVerifier.Options["scopesPath"],
        format?: JwtVerifier.Options["scopesFormat"]
      ]
    > = [
      ["scope as a string", { scope: "a b" }, ["a", "b"]],
      ["scope as an array", { scope: ["a", "b"] }, ["a", "b"]],
      ["scp as a string", { scp: "a b" }, ["a", "b"]],
      ["scp as an array", { scp: ["a", "b"] }, ["a", "b"]],
      ["scope if there is also scp", { scope: "a", scp: "b" }, ["a"]],
      ["an empty scope if there is also scp", { scope: "", scp: "b" }, []],
      ["no claim", {}, []],
      ["a number", { scope: 1 }, []],
      ["an object", { scope: { a: true } }, []],
      ["an array with values that are not scopes", { scope: ["a", 1, null, ["b"], "c d", ""] }, ["a"]],
      ["a string with double spaces", { scope: "a  b " }, ["a", "b"]],
      ["a string with a tab and a no-break space, which are not separators", { scope: "a\tb c\u00a0d e" }, ["e"]],
      ["an upper-case scope without changing it", { scope: "A" }, ["A"]],
      ["a path", { realm_access: { roles: ["admin"] } }, ["admin"], ["realm_access", "roles"]],
      ["a path to one claim", { permissions: ["p"] }, ["p"], ["permissions"]],
      ["a path into null", { realm_access: null }, [], ["realm_access", "roles"]],
      [
        "several paths",
        { scope: "a b", roles: ["b", "c"], x: { y: "d" } },
        ["a", "b", "c", "d"],
        [["scope"], ["roles"], ["x", "y"]]
      ],
      ["several paths of which one has no claim", { roles: ["c"] }, ["c"], [["scope"], ["roles"]]],
      ["several paths without any claim", {}, [], [["scope"], ["roles"]]],
      ["commas", { scope: "a,b, c ,," }, ["a", "b", "c"], undefined, "commas"],
      ["commas in scp", { scp: "a,b" }, ["a", "b"], undefined, "commas"],
      ["an array, although commas are configured", { roles: ["a", "b"] }, ["a", "b"], ["roles"], "commas"],
      ["a string with a comma as one scope by default", { scope: "a,b c" }, ["a,b", "c"]],
      [
        "the names in an object",
        { roles: { admin: { "1": "org" }, user: true, guest: false, none: null, "a b": {} } },
        ["admin", "user"],
        ["roles"],
        "names"
      ],
      ["a string, although names are configured", { scope: "a b" }, ["a", "b"], undefined, "names"],
      ["an array, although names are configured", { scope: ["a", "b"] }, ["a", "b"], undefined, "names"],
      ["an object by default", { roles: { admin: {} } }, [], ["roles"]],
      ["a path along a prototype, which has no claims", {}, [], ["constructor", "name"]]
    ]
    for (const [name, claims, scopes, scopesPath, scopesFormat] of cases) {
      test(`are read from ${name}`, () =>
        Effect.gen(function* () {
          const minted = { claims, without: Object.hasOwn(claims, "scope") ? [] : ["scope"] }
          const exit = yield* outcome(minted, {
            ...(scopesPath === undefined ? {} : { scopesPath }),
            ...(scopesFormat === undefined ? {} : { scopesFormat })
          })
          assert(Exit.isSuccess(exit))
          assert.deepStrictEqual(Array.from(exit.value.scopes), scopes)
        }))
    }
  })
})
