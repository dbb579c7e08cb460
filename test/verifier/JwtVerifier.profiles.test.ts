import { assert, describe } from "@effect/vitest"
import { Effect, Exit, Layer, Logger, Redacted, References } from "effect"
import { JwtVerifier, KeySet, TokenVerifier } from "effect-oauth2"
import type { MintOptions } from "effect-oauth2/testing"
import { TestClock } from "effect/testing"
import { assertRefused, audience, issuer, mint, other, outcome, rsa, test, verifyWith } from "../support/jwts.ts"

describe("JwtVerifier", () => {
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

    const now = 1_764_500_000
    for (const [profile, header] of [
      ["at+jwt", {}],
      ["jwt", {}],
      ["id-token", { typ: "JWT" }]
    ] as const) {
      test(`${profile}: refuse an exp in milliseconds, and take one of 100 years`, () =>
        Effect.gen(function* () {
          yield* TestClock.setTime(now * 1000)
          const policy = { profile }
          assertRefused(yield* outcome({ header, claims: { exp: (now + 3600) * 1000 } }, policy), {
            reason: "Claim",
            claim: "exp"
          })
          assert(Exit.isSuccess(yield* outcome({ header, lifetime: "36525 days" }, policy)))
          // Issuers write this number for a token that never expires.
          assert(Exit.isSuccess(yield* outcome({ header, claims: { exp: 9_999_999_999 } }, policy)))
        }))
    }

    test("bound how far ahead a token may expire, where that is set", () =>
      Effect.gen(function* () {
        const policy = { maxLifetime: "1 hour" } as const
        assert(Exit.isSuccess(yield* outcome({ lifetime: "3605 seconds" }, policy)), "the clock tolerance is 5 seconds")
        const token = yield* mint({ lifetime: "3606 seconds" })
        const verify = Effect.exit(verifyWith(policy, [rsa], token))
        assertRefused(yield* verify, { reason: "Claim", claim: "exp" })
        yield* TestClock.adjust("1 second")
        assert(Exit.isSuccess(yield* verify))
        assert(Exit.isSuccess(yield* outcome({}, { maxLifetime: "10 minutes", clockTolerance: 0 })))
        assertRefused(yield* outcome({}, { maxLifetime: "599 seconds", clockTolerance: 0 }), {
          reason: "Claim",
          claim: "exp"
        })
      }))

    test("say in the log that a token expires too far ahead, and at the level Debug which claim that is", () =>
      Effect.gen(function* () {
        const messages: Array<string> = []
        const logger = Logger.make(({ logLevel, message }) => messages.push(`${logLevel} ${String(message)}`))
        yield* TestClock.setTime(now * 1000)
        yield* outcome({ claims: { exp: now * 1000 } }).pipe(
          Effect.provide(Logger.layer([logger])),
          Effect.provideService(References.MinimumLogLevel, "Debug")
        )
        assert.deepStrictEqual(messages, [
          `Warn A token of ${issuer} was refused, because its exp is further ahead than maxLifetime allows. exp is a number of seconds, not of milliseconds (RFC 7519 §2). If the issuer's tokens are to live that long, set maxLifetime.`,
          "Debug The access token was refused: Claim (exp)"
        ])
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
})
