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
        ["at+jwt: typ application/AT+JWT", { header: { typ: "application/AT+JWT" } }, {}],
        ["jwt: typ JWT", { header: { typ: "JWT" } }, { profile: "jwt" }],
        ["jwt: no typ", { header: { typ: undefined } }, { profile: "jwt" }],
        ["jwt: typ at+jwt", {}, { profile: "jwt" }],
        ["jwt: no jti and no iat", { without: ["jti", "iat"] }, { profile: "jwt" }],
        ["jwt: scopes without a client", { without: ["client_id"] }, { profile: "jwt" }],
        ["jwt: a client without scopes", { without: ["scope"] }, { profile: "jwt" }],
        [
          "jwt: a claim at scopesPath",
          { claims: { roles: [] }, without: ["scope", "client_id"] },
          { profile: "jwt", scopesPath: ["roles"] }
        ],
        [
          "jwt: an accessTokenClaims claim with the right value",
          { claims: { token_use: "access" }, without: ["scope", "client_id"] },
          { profile: "jwt", accessTokenClaims: { token_use: "access", other: true } }
        ],
        [
          "jwt: an accessTokenClaims claim",
          { claims: { azp: "c" }, without: ["scope", "client_id"] },
          { profile: "jwt", accessTokenClaims: { azp: true } }
        ],
        ["jwt: a nonce that is not forbidden", { claims: { nonce: "n" } }, { profile: "jwt", forbiddenClaims: [] }],
        ["id-token: typ JWT", { header: { typ: "JWT" }, claims: { nonce: "n" } }, { profile: "id-token" }],
        ["a required claim of any value", { claims: { tenant: 1 } }, { requiredClaims: { tenant: true } }],
        ["the audience in client_id", { without: ["aud"] }, { audienceClaim: "client_id", audience: "test-client" }],
        [
          "the audience in azp",
          { without: ["aud"], claims: { azp: "web" } },
          { audienceClaim: "azp", audience: "web" }
        ],
        [
          "the audience in a list of another name",
          { claims: { resource: ["x", "y"] } },
          { audienceClaim: "resource", audience: "y" }
        ],
        ["the subject in client_id", { without: ["sub"] }, { subjectClaims: ["sub", "client_id"] }],
        [
          "null as sub and the subject in client_id",
          { claims: { sub: null } },
          { subjectClaims: ["sub", "client_id"] }
        ],
        ["the client in another claim", { claims: { cid: "c" } }, { clientIdClaim: "cid" }]
      ]
    for (const [name, options, policy] of accepted) {
      test(`accept a token with ${name}`, () =>
        Effect.map(outcome(options, policy), (exit) => assert(Exit.isSuccess(exit), JSON.stringify(exit))))
    }

    test("read the subject from the first claim of subjectClaims that is present", () =>
      Effect.gen(function* () {
        const subject = (options: MintOptions, subjectClaims: readonly [string, ...Array<string>]) =>
          Effect.map(outcome(options, { subjectClaims }), (exit) => (Exit.isSuccess(exit) ? exit.value.subject : exit))
        assert.strictEqual(yield* subject({}, ["sub", "client_id"]), "demo")
        assert.strictEqual(yield* subject({ without: ["sub"] }, ["sub", "client_id"]), "test-client")
        assert.strictEqual(yield* subject({ claims: { uid: "7" } }, ["uid", "sub"]), "7")
      }))

    const refused: ReadonlyArray<
      readonly [name: string, claim: string, options: MintOptions, policy: Partial<JwtVerifier.Options>]
    > = [
      ["at+jwt: no client_id", "client_id", { without: ["client_id"] }, {}],
      ["at+jwt: a client_id that is not a string", "client_id", { claims: { client_id: 1 } }, {}],
      ["at+jwt: no jti", "jti", { without: ["jti"] }, {}],
      ["at+jwt: an empty jti", "jti", { claims: { jti: "" } }, {}],
      ["at+jwt: a jti that is not a string", "jti", { claims: { jti: 1 } }, {}],
      ["at+jwt: no iat", "iat", { without: ["iat"] }, {}],
      ["at+jwt: an iat that is not a number", "iat", { claims: { iat: "0" } }, {}],
      ["at+jwt: a sub that is not a string", "sub", { claims: { sub: 1 } }, {}],
      [
        "a required claim whose value is null",
        "tenant",
        { claims: { tenant: null } },
        { requiredClaims: { tenant: true } }
      ],
      ["jwt: null as its only mark", "scope", { claims: { scope: null }, without: ["client_id"] }, { profile: "jwt" }],
      [
        "the audience in another claim than the option names",
        "azp",
        { claims: { azp: "x" } },
        { audienceClaim: "azp" }
      ],
      ["an aud of this API, and no audienceClaim", "azp", {}, { audienceClaim: "azp" }],
      ["no claim of subjectClaims", "sub", { without: ["sub"] }, { subjectClaims: ["sub", "uid"] }],
      [
        "a sub that is not a string, and another claim of subjectClaims",
        "sub",
        { claims: { sub: 1 } },
        { subjectClaims: ["sub", "client_id"] }
      ],
      [
        "a sub that is empty, and another claim of subjectClaims",
        "sub",
        { claims: { sub: "" } },
        { subjectClaims: ["sub", "client_id"] }
      ],
      ["at+jwt: no typ", "typ", { header: { typ: undefined } }, {}],
      ["jwt: the typ of a logout token", "typ", { header: { typ: "logout+jwt" } }, { profile: "jwt" }],
      ["jwt: the typ of a DPoP proof", "typ", { header: { typ: "dpop+jwt" } }, { profile: "jwt" }],
      ["jwt: no mark of an access token", "scope", { without: ["scope", "client_id"] }, { profile: "jwt" }],
      ["jwt: a nonce", "nonce", { claims: { nonce: "n" } }, { profile: "jwt" }],
      ["jwt: the hash of an access token", "at_hash", { claims: { at_hash: "h" } }, { profile: "jwt" }],
      ["jwt: the hash of a code", "c_hash", { claims: { c_hash: "h" } }, { profile: "jwt" }],
      ["jwt: the hash of a state", "s_hash", { claims: { s_hash: "h" } }, { profile: "jwt" }],
      ["jwt: no accessTokenClaims claim", "scope", {}, { profile: "jwt", accessTokenClaims: { azp: true } }],
      [
        "jwt: a wrong value of an accessTokenClaims claim, and a claim at scopesPath",
        "scope",
        { claims: { token_use: "id", roles: [] } },
        { profile: "jwt", scopesPath: ["roles"], accessTokenClaims: { token_use: "access" } }
      ],
      [
        "jwt: a required claim as its only mark",
        "scope",
        { claims: { tenant: "t1" }, without: ["scope", "client_id"] },
        { profile: "jwt", requiredClaims: { tenant: "t1" } }
      ],
      [
        "id-token: the events of a logout token",
        "events",
        { header: { typ: "JWT" }, claims: { events: {} } },
        { profile: "id-token" }
      ],
      ["jwt: the events of a logout token", "events", { claims: { events: {} } }, { profile: "jwt" }],
      ["at+jwt: a forbidden claim", "scp", { claims: { scp: [] } }, { forbiddenClaims: ["scp"] }],
      [
        "id-token: a forbidden claim",
        "act",
        { header: { typ: "JWT" }, claims: { act: {} } },
        { profile: "id-token", forbiddenClaims: ["act"] }
      ],
      ["id-token: the typ of an access token", "typ", {}, { profile: "id-token" }],
      [
        "a wrong value of a required claim",
        "token_use",
        { claims: { token_use: "id" } },
        { requiredClaims: { token_use: "access" } }
      ],
      [
        "a required claim that only the prototype has",
        "toString",
        {},
        { requiredClaims: Object.fromEntries([["toString", true as const]]) }
      ],
      ["a key binding (cnf)", "cnf", { claims: { cnf: { jkt: "x" } } }, {}],
      ["an iat in the future", "iat", { claims: { iat: 60 } }, {}],
      ["an nbf that is not a number", "nbf", { claims: { nbf: "0" } }, {}],
      ["an aud that contains a number", "aud", { claims: { aud: [audience, 1] } }, {}],
      ["no iat although maxTokenAge is set", "iat", { without: ["iat"] }, { maxTokenAge: "1 minute" }]
    ]
    for (const [name, claim, options, policy] of refused) {
      test(`refuse a token with ${name}`, () =>
        Effect.map(outcome(options, policy), (exit) => assertRefused(exit, { reason: "Claim", claim })))
    }

    test("refuse a token that is older than maxTokenAge", () =>
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
      test(`${profile}: refuse an exp in milliseconds and accept a lifetime of 100 years`, () =>
        Effect.gen(function* () {
          yield* TestClock.setTime(now * 1000)
          const policy = { profile }
          assertRefused(yield* outcome({ header, claims: { exp: (now + 3600) * 1000 } }, policy), {
            reason: "Claim",
            claim: "exp"
          })
          assert(Exit.isSuccess(yield* outcome({ header, lifetime: "36525 days" }, policy)))
          // Issuers use this number for tokens that never expire.
          assert(Exit.isSuccess(yield* outcome({ header, claims: { exp: 9_999_999_999 } }, policy)))
        }))
    }

    test("refuse a token whose exp is further ahead than maxLifetime", () =>
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

    test("warn about an exp beyond maxLifetime, and name the claim at the level Debug", () =>
      Effect.gen(function* () {
        const messages: Array<string> = []
        const logger = Logger.make(({ logLevel, message }) => messages.push(`${logLevel} ${String(message)}`))
        yield* TestClock.setTime(now * 1000)
        yield* outcome({ claims: { exp: now * 1000 } }).pipe(
          Effect.provide(Logger.layer([logger])),
          Effect.provideService(References.MinimumLogLevel, "Debug")
        )
        assert.deepStrictEqual(messages, [
          `Warn A token of ${issuer} was refused, because its exp is further ahead than maxLifetime allows. exp must be in seconds, not milliseconds (RFC 7519 §2). If tokens of this issuer live that long, set the maxLifetime option.`,
          "Debug The access token was refused: Claim (exp)"
        ])
      }))

    for (const [what, options, { header = { typ: "JWT" }, ...rest }, advice] of [
      ["an unmarked access token and profile at+jwt", {}, {}, `set profile: "jwt"`],
      ["a marked access token without client_id", {}, { header: {}, without: ["client_id"] }, `set profile: "jwt"`],
      [
        "an ID token and profile at+jwt",
        {},
        { claims: { nonce: "n" }, without: ["client_id", "scope"] },
        `set profile: "id-token"`
      ],
      [
        "an ID token and profile jwt",
        { profile: "jwt" },
        { claims: { nonce: "n" }, without: ["client_id", "scope"] },
        `set profile: "id-token"`
      ],
      [
        "an access token with a nonce and profile at+jwt",
        {},
        { claims: { nonce: "n", scp: "read" }, without: ["client_id", "scope"] },
        `set profile: "jwt", and forbiddenClaims without it`
      ],
      ["a marked access token without jti", {}, { header: {}, without: ["jti"] }, `its jti claim is missing`],
      [
        "an access token with a nonce",
        { profile: "jwt" },
        { claims: { nonce: "n" } },
        `If the issuer documents that its access tokens have this claim, set forbiddenClaims without it.`
      ],
      [
        "a token without the configured mark",
        { profile: "jwt", accessTokenClaims: { scp: true } },
        {},
        `The token has no claim that marks access tokens (scp)`
      ],
      ["a token of another typ", {}, { header: { typ: "dpop+jwt" } }, `The typ header of the token is not one of`],
      ["a token without any mark", { profile: "jwt" }, { without: ["client_id", "scope"] }, `set accessTokenClaims`],
      ["an access token and profile id-token", { profile: "id-token" }, { header: {} }, `Set profile: "at+jwt"`],
      ["another JWT", {}, { header: { typ: "logout+jwt" } }, `No profile accepts the token`]
    ] satisfies ReadonlyArray<[string, Partial<JwtVerifier.Options>, MintOptions, string]>) {
      test(`log which profile accepts ${what}`, () =>
        Effect.gen(function* () {
          const messages: Array<string> = []
          const logger = Logger.make(({ message }) => messages.push(String(message)))
          const exit = yield* outcome({ header, ...rest }, options).pipe(Effect.provide(Logger.layer([logger])))
          assert(Exit.isFailure(exit))
          assert.lengthOf(messages, 1)
          assert.include(messages[0], advice)
        }))
    }

    for (const claim of ["scp", "roles", "azp", "scope", "client_id", "permissions", "cid"]) {
      for (const profile of ["at+jwt", "jwt"] as const) {
        test(`do not log that ${profile} must become id-token for a token with ${claim}`, () =>
          Effect.gen(function* () {
            const messages: Array<string> = []
            const logger = Logger.make(({ message }) => messages.push(String(message)))
            for (const claims of [{ [claim]: "x" }, { [claim]: "x", nonce: "n" }]) {
              const without = ["client_id", "scope"].filter((name) => name !== claim)
              yield* outcome({ header: { typ: "JWT" }, claims, without }, { profile }).pipe(
                Effect.provide(Logger.layer([logger]))
              )
            }
            assert.isAtLeast(messages.length, 1)
            assert.notInclude(messages.join("\n"), `"id-token"`)
          }))
      }
    }

    for (const [what, options, expected] of [
      ["a wrong issuer", { issuer: `${issuer}/` }, `its iss claim differs from the issuer option`],
      [
        "a wrong audience",
        { audience: ["https://one.test", "https://two.test"] },
        `does not contain "https://one.test" or "https://two.test"`
      ],
      ["a wrong audience in client_id", { audienceClaim: "client_id" }, `its client_id claim does not contain`]
    ] satisfies ReadonlyArray<[string, Partial<JwtVerifier.Options>, string]>) {
      test(`log the advice for ${what}`, () =>
        Effect.gen(function* () {
          const messages: Array<string> = []
          const logger = Logger.make(({ message }) => messages.push(String(message)))
          const exit = yield* outcome({}, options).pipe(Effect.provide(Logger.layer([logger])))
          assert(Exit.isFailure(exit))
          assert.lengthOf(messages, 1)
          assert.include(messages[0], expected)
        }))
    }

    test("log no warning for forged tokens, one for each cause of other tokens, and each reason at the level Debug", () =>
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
        assert.deepStrictEqual(
          messages.map((message) => String(message).split(" was refused, because ")[1]?.split(/[.,]/)[0]),
          ["it is not a JWT", "it has no sub", "it expired 59 seconds ago"]
        )
        messages.length = 0
        yield* Effect.provideService(refuseAll, References.MinimumLogLevel, "Debug")
        const refused = (why: string) => ["Debug", `The access token was refused: ${why}`]
        const logged = (messages as Array<Array<string>>).filter(([level]) => level === "Debug")
        assert.deepStrictEqual(logged, [
          refused("Malformed"),
          refused("Signature"),
          refused("Claim (sub)"),
          refused("Expired (exp)"),
          refused("Malformed"),
          refused("Malformed")
        ])
      }))

    test("log no advice for a token with a wrong signature", () =>
      Effect.gen(function* () {
        const messages: Array<unknown> = []
        const logger = Logger.make(({ message }) => messages.push(message))
        const forged = yield* mint({ key: other, header: { typ: "JWT" } })
        const exit = yield* Effect.exit(verifyWith({}, [rsa], forged)).pipe(Effect.provide(Logger.layer([logger])))
        assertRefused(exit, { reason: "Signature" })
        assert.deepStrictEqual(messages, [])
      }))

    test("log the advice once for many tokens", () =>
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
