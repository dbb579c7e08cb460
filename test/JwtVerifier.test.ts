import { assert, describe, it } from "@effect/vitest"
import {
  ConfigProvider,
  Config,
  Context,
  DateTime,
  Duration,
  Effect,
  Exit,
  Layer,
  Logger,
  Option,
  Redacted,
  References,
  type Scope,
  Tracer
} from "effect"
import { HttpClient } from "effect/http"
import { JwtVerifier, KeySet, SecurityError, TokenVerifier } from "effect-oauth2"
import { type MintOptions, type RawPart, type SigningKey, TestIssuer } from "effect-oauth2/testing"
import { TestClock } from "effect/testing"

const issuer = "https://issuer.test"
const audience = "https://api.test"

const { ec, other, rsa } = await Effect.runPromise(
  Effect.all({
    rsa: TestIssuer.makeKey("rsa-1"),
    other: TestIssuer.makeKey("rsa-1"),
    ec: TestIssuer.makeKey("ec-1", "ES256")
  })
)

/** A test with an issuer whose key is `rsa`. */
const test = (
  name: string,
  body: () => Effect.Effect<void, unknown, TestIssuer | HttpClient.HttpClient | Scope.Scope>
) => it.effect(name, () => Effect.provide(body(), TestIssuer.layer({ issuer, audience, keys: [rsa] })))

/** A token with scopes, good but for what the options change. */
const mint = (options: MintOptions = {}) =>
  TestIssuer.use((issuer) => issuer.mint({ scopes: ["items:read", "me"], ...options }))

const verifyWith = (options: Partial<JwtVerifier.Options>, published: ReadonlyArray<SigningKey>, token: string) =>
  Effect.flatMap(TokenVerifier, (verifier) => verifier.verify(Redacted.make(token))).pipe(
    Effect.provide(
      JwtVerifier.layerKeySet({ issuer, audience, ...options }).pipe(
        Layer.provide(KeySet.layerStatic({ keys: published.map((key) => key.jwk) }))
      )
    )
  )

/** Mints with the issuer's key, verifies with it. */
const outcome = (mintOptions: MintOptions, options: Partial<JwtVerifier.Options> = {}) =>
  Effect.gen(function* () {
    const token = yield* mint(mintOptions)
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
  test("reads what a good token says", () =>
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

  test("accepts a token until it expires, by the test's clock", () =>
    Effect.gen(function* () {
      const token = yield* mint()
      const verify = Effect.exit(verifyWith({}, [rsa], token))
      assert(Exit.isSuccess(yield* verify))
      yield* TestClock.adjust("604 seconds")
      assert(Exit.isSuccess(yield* verify), "the clock tolerance is 5 seconds")
      yield* TestClock.adjust("2 seconds")
      assertRefused(yield* verify, { reason: "Expired", claim: "exp" })
    }))

  test("does not accept a token before its time", () =>
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
      test(name, () =>
        Effect.gen(function* () {
          const exit = yield* outcome(options)
          assertRefused(exit, claim === undefined ? { reason } : { reason, claim })
        })
      )
    }

    test("with a critical header that nobody knows", () =>
      Effect.gen(function* () {
        assertRefused(yield* outcome({ header: { crit: ["x"], x: 1 } }), { reason: "Malformed" })
      }))

    test("signed by a key that only has the right name", () =>
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

    test("without a signature, whatever the algorithm is called", () =>
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

    test("under an algorithm that is not allowed here", () =>
      Effect.gen(function* () {
        assertRefused(yield* outcome({}, { algorithms: ["ES256"] }), { reason: "Algorithm" })
      }))

    test("that is no JWT", () =>
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

  test("tries each key that fits where the token names none", () =>
    Effect.gen(function* () {
      const token = yield* mint({ key: other, header: { kid: undefined } })
      const second = { ...other, jwk: { ...other.jwk, kid: "rsa-2" } }
      const accepted = yield* verifyWith({}, [rsa, second], token)
      assert.strictEqual(accepted.subject, "demo")
      assertRefused(yield* Effect.exit(verifyWith({}, [rsa, { ...rsa, jwk: { ...rsa.jwk, kid: "rsa-3" } }], token)), {
        reason: "Signature"
      })
    }))

  test("verifies ECDSA too", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* verifyWith({}, [rsa, ec], yield* mint({ key: ec }))).subject, "demo")
    }))

  test("takes one of several audiences, on either side", () =>
    Effect.gen(function* () {
      assert(Exit.isSuccess(yield* outcome({ claims: { aud: ["x", audience] } })))
      assert(Exit.isSuccess(yield* outcome({ claims: { aud: "y" } }, { audience: ["x", "y"] })))
    }))

  describe("profiles", () => {
    const accepted: ReadonlyArray<readonly [name: string, options: MintOptions, policy: Partial<JwtVerifier.Options>]> =
      [
        ["at+jwt: the long form of the type", { header: { typ: "application/AT+JWT" } }, {}],
        ["jwt: the type JWT", { header: { typ: "JWT" } }, { profile: "jwt" }],
        ["jwt: no type", { header: { typ: undefined } }, { profile: "jwt" }],
        ["jwt: the type at+jwt", {}, { profile: "jwt" }],
        ["jwt: no client, but scopes", { without: ["client_id"] }, { profile: "jwt" }],
        ["jwt: no scopes, but a client", { without: ["scope"] }, { profile: "jwt" }],
        [
          "jwt: scopes at the named path",
          { claims: { roles: [] }, without: ["scope", "client_id"] },
          { profile: "jwt", scopesPath: ["roles"] }
        ],
        [
          "jwt: a mark with a value",
          { claims: { token_use: "access" }, without: ["scope", "client_id"] },
          { profile: "jwt", accessTokenClaims: { token_use: "access", other: true } }
        ],
        [
          "jwt: a mark of the issuer's own",
          { claims: { azp: "c" }, without: ["scope", "client_id"] },
          { profile: "jwt", accessTokenClaims: { azp: true } }
        ],
        ["jwt: a nonce that is not forbidden", { claims: { nonce: "n" } }, { profile: "jwt", forbiddenClaims: [] }],
        ["id-token: the type JWT", { header: { typ: "JWT" }, claims: { nonce: "n" } }, { profile: "id-token" }],
        ["a required claim of any value", { claims: { tenant: 1 } }, { requiredClaims: { tenant: true } }],
        ["the audience in client_id", { without: ["aud"] }, { audienceClaim: "client_id", audience: "test-client" }],
        ["the client in another claim", { claims: { cid: "c" } }, { clientIdClaim: "cid" }]
      ]
    for (const [name, options, policy] of accepted) {
      test(`take ${name}`, () =>
        Effect.map(outcome(options, policy), (exit) => assert(Exit.isSuccess(exit), JSON.stringify(exit))))
    }

    const refused: ReadonlyArray<
      readonly [name: string, claim: string, options: MintOptions, policy: Partial<JwtVerifier.Options>]
    > = [
      ["at+jwt: no client", "client_id", { without: ["client_id"] }, {}],
      ["at+jwt: no type", "typ", { header: { typ: undefined } }, {}],
      ["jwt: a logout token", "typ", { header: { typ: "logout+jwt" } }, { profile: "jwt" }],
      ["jwt: a DPoP proof", "typ", { header: { typ: "dpop+jwt" } }, { profile: "jwt" }],
      ["jwt: nothing that marks an access token", "scope", { without: ["scope", "client_id"] }, { profile: "jwt" }],
      ["jwt: a nonce", "nonce", { claims: { nonce: "n" } }, { profile: "jwt" }],
      ["jwt: an access token's hash", "at_hash", { claims: { at_hash: "h" } }, { profile: "jwt" }],
      ["jwt: a code's hash", "c_hash", { claims: { c_hash: "h" } }, { profile: "jwt" }],
      ["jwt: a state's hash", "s_hash", { claims: { s_hash: "h" } }, { profile: "jwt" }],
      ["jwt: no mark of the issuer's own", "scope", {}, { profile: "jwt", accessTokenClaims: { azp: true } }],
      [
        "jwt: a mark with another value, though scopes are where they were said to be",
        "scope",
        { claims: { token_use: "id", roles: [] } },
        { profile: "jwt", scopesPath: ["roles"], accessTokenClaims: { token_use: "access" } }
      ],
      [
        "jwt: a required claim, which is no mark",
        "scope",
        { claims: { tenant: "t1" }, without: ["scope", "client_id"] },
        { profile: "jwt", requiredClaims: { tenant: "t1" } }
      ],
      [
        "id-token: a logout token's events",
        "events",
        { header: { typ: "JWT" }, claims: { events: {} } },
        { profile: "id-token" }
      ],
      ["jwt: a logout token's events", "events", { claims: { events: {} } }, { profile: "jwt" }],
      ["at+jwt: a forbidden claim", "scp", { claims: { scp: [] } }, { forbiddenClaims: ["scp"] }],
      [
        "id-token: a forbidden claim",
        "act",
        { header: { typ: "JWT" }, claims: { act: {} } },
        { profile: "id-token", forbiddenClaims: ["act"] }
      ],
      ["id-token: an access token", "typ", {}, { profile: "id-token" }],
      [
        "another value of a required claim",
        "token_use",
        { claims: { token_use: "id" } },
        { requiredClaims: { token_use: "access" } }
      ],
      [
        "a required claim of the prototype",
        "toString",
        {},
        { requiredClaims: Object.fromEntries([["toString", true as const]]) }
      ],
      ["a token that is bound to a key", "cnf", { claims: { cnf: { jkt: "x" } } }, {}],
      ["a token from the future", "iat", { claims: { iat: 60 } }, {}],
      ["a time that is no number", "nbf", { claims: { nbf: "0" } }, {}],
      ["an audience with other things in it", "aud", { claims: { aud: [audience, 1] } }, {}],
      ["no issue time, where the age is bounded", "iat", { without: ["iat"] }, { maxTokenAge: "1 minute" }]
    ]
    for (const [name, claim, options, policy] of refused) {
      test(`refuse ${name}`, () =>
        Effect.map(outcome(options, policy), (exit) => assertRefused(exit, { reason: "Claim", claim })))
    }

    test("bound the age where that is set", () =>
      Effect.gen(function* () {
        const token = yield* mint()
        const verify = Effect.exit(verifyWith({ maxTokenAge: "1 minute" }, [rsa], token))
        yield* TestClock.adjust("65 seconds")
        assert(Exit.isSuccess(yield* verify))
        yield* TestClock.adjust("1 second")
        assertRefused(yield* verify, { reason: "Claim", claim: "iat" })
      }))

    for (const [what, options, { header = { typ: "JWT" }, ...rest }, advice] of [
      ["an access token without a mark, for at+jwt", {}, {}, `set profile: "jwt"`],
      ["a marked one without client_id", {}, { header: {}, without: ["client_id"] }, `set profile: "jwt"`],
      ["an ID token, for at+jwt", {}, { claims: { nonce: "n" } }, `set profile: "id-token"`],
      ["an ID token, for jwt", { profile: "jwt" }, { claims: { nonce: "n" } }, `set profile: "id-token"`],
      ["no mark at all", { profile: "jwt" }, { without: ["client_id", "scope"] }, `in accessTokenClaims`],
      ["an access token, for id-token", { profile: "id-token" }, { header: {} }, `profile: "at+jwt" takes it`],
      ["another JWT", {}, { header: { typ: "logout+jwt" } }, `No profile takes it`]
    ] satisfies ReadonlyArray<[string, Partial<JwtVerifier.Options>, MintOptions, string]>) {
      test(`say in the log which setting fits ${what}`, () =>
        Effect.gen(function* () {
          const messages: Array<string> = []
          const logger = Logger.make(({ message }) => messages.push(String(message)))
          const exit = yield* outcome({ header, ...rest }, options).pipe(Effect.provide(Logger.layer([logger])))
          assert(Exit.isFailure(exit))
          assert.lengthOf(messages, 1)
          assert.include(messages[0], advice)
        }))
    }

    for (const [what, options, expected] of [
      ["an issuer that is another string", { issuer: `${issuer}/` }, `iss is another one`],
      [
        "another audience",
        { audience: ["https://one.test", "https://two.test"] },
        `not "https://one.test" or "https://two.test"`
      ],
      ["another audience, where it is in client_id", { audienceClaim: "client_id" }, `its client_id is not`]
    ] satisfies ReadonlyArray<[string, Partial<JwtVerifier.Options>, string]>) {
      test(`say in the log what may be wrong: ${what}`, () =>
        Effect.gen(function* () {
          const messages: Array<string> = []
          const logger = Logger.make(({ message }) => messages.push(String(message)))
          const exit = yield* outcome({}, options).pipe(Effect.provide(Logger.layer([logger])))
          assert(Exit.isFailure(exit))
          assert.lengthOf(messages, 1)
          assert.include(messages[0], expected)
        }))
    }

    test("say nothing in the log for an expired token, and at the level Debug why each was refused", () =>
      Effect.gen(function* () {
        const forged = yield* mint({ key: other })
        const bad = ["garbage", forged, yield* mint({ without: ["sub"] }), yield* mint({ lifetime: "1 second" })]
        yield* TestClock.adjust("1 minute")
        const messages: Array<unknown> = []
        const logger = Logger.make(({ logLevel, message }) => messages.push([logLevel, ...(message as Array<string>)]))
        const refuseAll = Effect.flatMap(TokenVerifier, ({ verify }) =>
          Effect.forEach([...bad, "garbage", "garbage"], (token) => Effect.exit(verify(Redacted.make(token))))
        ).pipe(
          Effect.provide(
            JwtVerifier.layerKeySet({ issuer, audience }).pipe(Layer.provide(KeySet.layerStatic({ keys: [rsa.jwk] })))
          ),
          Effect.provide(Logger.layer([logger]))
        )
        yield* refuseAll
        assert.deepStrictEqual(messages, [])
        yield* Effect.provideService(refuseAll, References.MinimumLogLevel, "Debug")
        const refused = (why: string) => ["Debug", `The access token was refused: ${why}`]
        assert.deepStrictEqual(messages, [
          refused("Malformed"),
          refused("Signature"),
          refused("Claim (sub)"),
          refused("Expired (exp)"),
          refused("Malformed"),
          refused("Malformed")
        ])
      }))

    test("give no advice for a token that the issuer has not signed", () =>
      Effect.gen(function* () {
        const messages: Array<unknown> = []
        const logger = Logger.make(({ message }) => messages.push(message))
        const forged = yield* mint({ key: other, header: { typ: "JWT" } })
        const exit = yield* Effect.exit(verifyWith({}, [rsa], forged)).pipe(Effect.provide(Logger.layer([logger])))
        assertRefused(exit, { reason: "Signature" })
        assert.deepStrictEqual(messages, [])
      }))

    test("say once in the log which setting fits", () =>
      Effect.gen(function* () {
        const token = yield* mint({ header: { typ: "JWT" } })
        const messages: Array<unknown> = []
        const logger = Logger.make(({ logLevel, message }) => messages.push([logLevel, message]))
        yield* Effect.flatMap(TokenVerifier, (verifier) =>
          Effect.all([1, 2, 3].map(() => Effect.exit(verifier.verify(Redacted.make(token)))))
        ).pipe(
          Effect.provide(
            JwtVerifier.layerKeySet({ issuer, audience }).pipe(Layer.provide(KeySet.layerStatic({ keys: [rsa.jwk] })))
          ),
          Effect.provide(Logger.layer([logger]))
        )
        assert.lengthOf(messages, 1)
        assert.include(JSON.stringify(messages).replaceAll("\\", ""), `profile: "jwt"`)
        assert.notInclude(JSON.stringify(messages), token.slice(0, 20))
      }))
  })

  describe("the strict form", () => {
    const changes: ReadonlyArray<readonly [name: string, change: (token: string) => string]> = [
      ["padding", (token) => `${token}=`],
      ["a space", (token) => token.replace(".", ". ")],
      ["a line break", (token) => `${token}\n`],
      ["a fourth segment", (token) => `${token}.e30`],
      ["an empty payload", (token) => token.replace(/\.[^.]*\./, "..")],
      ["the alphabet of base64", (token) => token.replace(/.$/, "/")],
      ["another spelling of the same signature", (token) => otherSpelling(token)],
      ["JSON serialisation", (token) => JSON.stringify({ payload: token.split(".")[1] })]
    ]
    // The last character of a 256-byte signature holds four bits that count for nothing.
    const otherSpelling = (token: string) => {
      const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
      const last = alphabet.indexOf(token.charAt(token.length - 1))
      return token.slice(0, -1) + alphabet.charAt(last | 1)
    }
    for (const [name, change] of changes) {
      test(`refuses ${name}`, () =>
        Effect.gen(function* () {
          const token = yield* mint()
          assertRefused(yield* Effect.exit(verifyWith({}, [rsa], change(token))), { reason: "Malformed" })
        }))
    }

    test("refuses headers that would change what counts", () =>
      Effect.gen(function* () {
        const { mintRaw } = yield* TestIssuer
        for (const name of ["crit", "b64", "zip", "enc", "jku", "jwk", "x5u", "x5c"]) {
          const header = JSON.stringify({ alg: "RS256", typ: "at+jwt", [name]: ["x"] })
          const token = yield* mintRaw({ header, payload: "{}", signature: "AAAA" })
          assertRefused(yield* Effect.exit(verifyWith({}, [rsa], token)), { reason: "Malformed" })
        }
      }))

    test("refuses headers and claims that two parsers may read in two ways", () =>
      Effect.gen(function* () {
        const { mintRaw } = yield* TestIssuer
        const good = JSON.stringify({ iss: issuer, aud: audience, sub: "demo", client_id: "c", exp: 600 })
        const header = JSON.stringify({ alg: "RS256", kid: rsa.kid, typ: "at+jwt" })
        const verify = (header: RawPart, payload: RawPart) =>
          mintRaw({ header, payload }).pipe(
            Effect.flatMap((token) => verifyWith({}, [rsa], token)),
            Effect.exit
          )
        assert(Exit.isSuccess(yield* verify(header, good)))
        const nested = `{"a":${"[".repeat(20)}${"]".repeat(20)},${good.slice(1)}`
        const bad: ReadonlyArray<readonly [header: RawPart, payload: RawPart]> = [
          [header, good.replace("{", `{"sub":"admin",`)],
          [header, good.replace("{", `{"s\\u0075b":"admin",`)],
          [header, good.replace("{", `{"x":{"y":1,"y":2},`)],
          [header.replace("{", `{"alg":"none",`), good],
          [header, nested],
          [header, `\ufeff${good}`],
          [
            header,
            new Uint8Array([...new TextEncoder().encode(good.slice(0, -1)), 0x2c, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])
          ],
          [header, "[]"],
          [header, "null"],
          [header, "1"],
          [header, ""],
          ["[]", good],
          [`${header} `.repeat(2), good]
        ]
        for (const [header, payload] of bad) {
          assertRefused(yield* verify(header, payload), { reason: "Malformed" })
        }
        // A brace in a string, a repeated name in different objects and an escaped quotation mark are fine.
        const odd = good.replace("{", `{"x":"{[\\"","y":{"sub":{"sub":1}},`)
        assert(Exit.isSuccess(yield* verify(header, odd)))
      }))

    test("refuses what is longer than it may be", () =>
      Effect.gen(function* () {
        assertRefused(yield* outcome({}, { maxTokenLength: 100 }), { reason: "Malformed" })
        assertRefused(yield* outcome({ header: { kid: "k".repeat(257) } }), { reason: "Malformed" })
      }))
  })

  describe("a verification", () => {
    for (const [name, tracer, expected] of [
      [
        "a span of its own where a tracer listens",
        Tracer.make({ span: (options) => new Tracer.NativeSpan(options) }),
        "JwtVerifier.verify"
      ],
      ["no span where nobody does: Effect's own tracer has nobody to tell", undefined, "request"]
    ] as const) {
      test(`is ${name}`, () =>
        Effect.gen(function* () {
          const within: Array<string> = []
          const keySet = Layer.effect(
            KeySet.KeySet,
            Effect.map(KeySet.KeySet, (keySet) => ({
              ...keySet,
              known: () => [],
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

  describe("several issuers", () => {
    test("never mix keys, audiences and profiles", () =>
      Effect.gen(function* () {
        const ours = yield* TestIssuer
        // Both keys have the same name, and only the issuer tells them apart.
        const theirContext = yield* Layer.build(
          TestIssuer.layer({ issuer: "https://other.example.com", audience: "urn:other", keys: [other] })
        )
        const theirs = Context.get(theirContext, TestIssuer)
        // The client of a test issuer reaches that one alone.
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
            ["openid-configuration", "jwks"],
            "nothing but the two issuers' own documents was fetched"
          )
        }
      }))

    test("each have their own bound for the length", () =>
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

    test("are each named once", () =>
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

    test("say which of them has a setting that cannot work", () =>
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

    test("verifies its own tokens and no others", () =>
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
      test(`has to be long enough (${algorithm})`, () =>
        Effect.gen(function* () {
          const build = (value: string) =>
            Effect.scoped(
              Layer.build(JwtVerifier.layerSecret({ issuer, audience, algorithm, secret: Redacted.make(value) }))
            )
          const error = yield* Effect.flip(build("s".repeat(least - 1)))
          assert.strictEqual(error.setting, "secret")
          assert.notInclude(error.message, "sss")
          yield* build("s".repeat(least))
        }))
    }

    test("is for an algorithm that there is", () =>
      Effect.gen(function* () {
        for (const algorithm of ["hs256", "RS256", "none", "constructor"]) {
          const options = { issuer, audience, algorithm: algorithm as "HS256", secret: Redacted.make(secret) }
          const error = yield* Effect.flip(Effect.scoped(Layer.build(JwtVerifier.layerSecret(options))))
          assert.strictEqual(error.setting, "algorithm")
        }
      }))

    test("is redacted", () =>
      Effect.gen(function* () {
        for (const plain of [secret, undefined]) {
          const options = { issuer, audience, algorithm: "HS256", secret: plain as never } as const
          const error = yield* Effect.flip(Effect.scoped(Layer.build(JwtVerifier.layerSecret(options))))
          assert.deepStrictEqual([error.setting, error.message], ["secret", "secret must be Redacted"])
        }
      }))
  })

  test("knows the client by azp where there is no client_id", () =>
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
      test(`are read from ${name}`, () =>
        Effect.gen(function* () {
          const minted = { claims, without: Object.hasOwn(claims, "scope") ? [] : ["scope"] }
          const exit = yield* outcome(minted, scopesPath === undefined ? {} : { scopesPath })
          assert(Exit.isSuccess(exit))
          assert.deepStrictEqual(Array.from(exit.value.scopes), scopes)
        }))
    }
  })

  describe("settings", () => {
    const cases: ReadonlyArray<readonly [setting: string, options: Partial<JwtVerifier.Options>]> = [
      ["issuer", { issuer: "idp.example.com" }],
      ["issuer", { issuer: "http://idp.example.com" }],
      ["issuer", { issuer: "https://user:secret@idp.example.com" }],
      ["issuer", { issuer: "https://idp.example.com?x" }],
      ["issuer", { issuer: "https://idp.example.com?" }],
      ["issuer", { issuer: "https://idp.example.com#" }],
      ["issuer", { issuer: "https://idp.example.com#x" }],
      ["issuer", { issuer: "https://user@idp.example.com" }],
      ["issuer", { issuer: "https://@idp.example.com" }],
      ["issuer", { issuer: " https://idp.example.com" }],
      ["issuer", { issuer: "https://idp.example.com\n" }],
      ["issuer", { issuer: "https:idp.example.com" }],
      ["issuer", { issuer: "https:///idp.example.com" }],
      ["issuer", { issuer: "https:\\\\idp.example.com" }],
      ["issuer", { issuer: "HTTPS://idp.example.com" }],
      ["issuer", { issuer: "https://idp.example.com/.well-known/openid-configuration" }],
      ["audience", { audience: "" }],
      ["audience", { audience: [] }],
      ["audience", { audience: ["x", " "] }],
      ["audience", { audience: "https://api.example.com\n" }],
      ["audience", { audience: undefined as never }],
      ["audienceClaim", { audienceClaim: "azp" as "aud" }],
      ["profile", { profile: "at-jwt" as "jwt" }],
      ["requiredClaims", { requiredClaims: { tenant: undefined as never } }],
      ["requiredClaims", { requiredClaims: { tenant: "" } }],
      ["requiredClaims", { requiredClaims: "tenant" as never }],
      ["requiredClaims", { requiredClaims: ["tenant"] as never }],
      ["accessTokenClaims", { accessTokenClaims: {}, profile: "jwt" }],
      ["requiredClaims", { requiredClaims: { tenant: false as never } }],
      ["requiredClaims", { requiredClaims: { "": "t1" } }],
      ["accessTokenClaims", { profile: "jwt", accessTokenClaims: { typ: undefined as never } }],
      ["forbiddenClaims", { forbiddenClaims: null as never }],
      ["forbiddenClaims", { forbiddenClaims: [""] }],
      ["scopesPath", { scopesPath: "roles" as never as readonly [string] }],
      ["scopesPath", { scopesPath: [undefined as never] }],
      ["scopesPath", { scopesPath: [] as never }],
      ["clientIdClaim", { clientIdClaim: "" }],
      ["algorithms", { algorithms: [] }],
      ["algorithms", { algorithms: "RS256" as never }],
      ["algorithms", { algorithms: ["none" as "RS256"] }],
      ["algorithms", { algorithms: ["HS256" as "RS256"] }],
      ["clockTolerance", { clockTolerance: "61 seconds" }],
      ["clockTolerance", { clockTolerance: Infinity }],
      ["clockTolerance", { clockTolerance: -1 }],
      ["clockTolerance", { clockTolerance: NaN }],
      ["clockTolerance", { clockTolerance: "5 secnds" as "5 seconds" }],
      ["clockTolerance", { clockTolerance: "5" as "5 seconds" }],
      ["clockTolerance", { clockTolerance: false as never }],
      ["clockTolerance", { clockTolerance: [1] as never }],
      ["clockTolerance", { clockTolerance: [NaN, 0] }],
      ["clockTolerance", { clockTolerance: { secnds: 5 } as never }],
      ["clockTolerance", { clockTolerance: { seconds: "5" as never } }],
      ["maxTokenAge", { maxTokenAge: 0 }],
      ["maxTokenAge", { maxTokenAge: Infinity }],
      ["maxTokenAge", { maxTokenAge: "-1 hours" }],
      ["maxTokenAge", { maxTokenAge: NaN }],
      ["maxTokenAge", { maxTokenAge: "1h" as "1 hour" }],
      ["maxTokenAge", { maxTokenAge: null as never }],
      ["maxTokenLength", { maxTokenLength: 0 }]
    ]
    for (const [setting, options] of cases) {
      test(`fail at start-up where ${setting} cannot work: ${JSON.stringify(options)}`, () =>
        Effect.gen(function* () {
          const error = yield* Effect.flip(verifyWith(options, [], "x"))
          assert.instanceOf(error, SecurityError.ConfigurationError)
          assert.strictEqual(error.setting, setting)
          assert.include(error.message, `${setting} must`)
        }))
    }

    test("say what is expected of a duration, and take it in each form", () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(verifyWith({ clockTolerance: "x" as "5 seconds" }, [], "x"))
        assert.strictEqual(
          error.message,
          'clockTolerance must be a duration between 0 and 60 seconds, such as "5 seconds"'
        )
        yield* TestClock.setTime(1_700_000_000_000)
        const expired = { lifetime: "-5 seconds" } as const
        assertRefused(yield* outcome(expired, { clockTolerance: "0 seconds" }), { reason: "Expired", claim: "exp" })
        const clockTolerances = [
          "60 seconds",
          60_000,
          60_000_000_000n,
          [60, 0],
          { minutes: 1 },
          Duration.minutes(1)
        ] as const
        for (const clockTolerance of clockTolerances) {
          assert(Exit.isSuccess(yield* outcome(expired, { clockTolerance })))
        }
      }))

    test("come from Effect's Config", () =>
      Effect.gen(function* () {
        const token = yield* mint()
        const layer = JwtVerifier.layerConfig({
          issuer: Config.String("ISSUER"),
          audience: Config.String("AUDIENCE")
        })
        const verify = Effect.flatMap(TokenVerifier, (verifier) => verifier.verify(Redacted.make(token)))
        const provider = (env: Record<string, string>) =>
          Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown(env)))
        const verified = yield* verify.pipe(Effect.provide(layer), provider({ ISSUER: issuer, AUDIENCE: audience }))
        assert.strictEqual(verified.subject, "demo")
        const error = yield* verify.pipe(Effect.provide(layer), provider({ ISSUER: issuer }), Effect.flip)
        assert.strictEqual(error._tag, "ConfigError")
      }))
  })
})
