import { assert, describe, it } from "@effect/vitest"
import { Config, ConfigProvider, Context, DateTime, Effect, Exit, Layer, Option, Redacted } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { TestClock } from "effect/testing"
import { OAuth2, SecurityError, TokenIntrospection } from "effect-oauth2"
import { type OpaqueOptions, TestIssuer } from "effect-oauth2/testing"
import { authorizationServer } from "../support/authorizationServer.ts"
import {
  answering,
  asked,
  assertRefused,
  audience,
  good,
  Issuer,
  issuer,
  mint,
  options,
  secret,
  test,
  verifier,
  verify
} from "../support/introspection.ts"
import { serve } from "../support/web.ts"

describe("TokenIntrospection", () => {
  test(
    "reads what the server says of an active token",
    Effect.gen(function* () {
      yield* TestClock.setTime(1_700_000_000_000)
      const token = yield* verify(yield* mint({ claims: { username: "demo", tenant: "t1" } }))
      assert.strictEqual(token.subject, "demo")
      assert.deepStrictEqual(token.clientId, Option.some("test-client"))
      assert.deepStrictEqual(Array.from(token.scopes), ["items:read", "me"])
      assert.strictEqual(token.issuer, issuer)
      assert.deepStrictEqual(token.audience, [audience])
      assert.strictEqual(DateTime.toEpochMillis(token.expiresAt), 1_700_000_600_000)
      assert.deepStrictEqual(token.tokenId, Option.some("token-1"))
      assert.strictEqual(token.claims["tenant"], "t1")
      assert.strictEqual(token.claims["active"], true)
      assert.strictEqual(Object.getPrototypeOf(token.claims), null)
    })
  )

  test(
    "takes a JWT as it takes any token: by what the server says",
    Effect.gen(function* () {
      const { mint, revoke } = yield* TestIssuer
      const [kept, revoked] = [yield* mint(), yield* mint()]
      yield* revoke(revoked)
      assert.strictEqual((yield* verify(kept)).subject, "demo")
      assertRefused(yield* Effect.flip(verify(revoked)), { reason: "Rejected" })
    })
  )

  describe("refuses a token", () => {
    const cases: ReadonlyArray<readonly [name: string, options: OpaqueOptions, reason: string, claim?: string]> = [
      ["that has expired", { lifetime: 0 }, "Rejected"],
      ["of another issuer", { claims: { iss: "https://evil.example.com" } }, "Claim", "iss"],
      ["whose issuer is an array", { claims: { iss: [issuer] } }, "Claim", "iss"],
      ["for another audience", { audience: "https://other.test" }, "Claim", "aud"],
      ["without an audience", { without: ["aud"] }, "Claim", "aud"],
      ["without a subject", { without: ["sub"] }, "Claim", "sub"],
      ["whose subject is empty", { claims: { sub: "" } }, "Claim", "sub"],
      ["whose subject is a number", { claims: { sub: 7 } }, "Claim", "sub"],
      ["whose expiry is no time", { claims: { exp: "soon" } }, "Claim", "exp"],
      ["whose time has not come", { claims: { nbf: 6 } }, "Claim", "nbf"],
      ["that is a refresh token: the server marks it as nothing", { without: ["token_type"] }, "Claim", "token_type"],
      ["that is a refresh token: the server says so", { claims: { token_use: "refresh_token" } }, "Claim", "token_use"],
      ["that is bound to a key, by its type", { claims: { token_type: "DPoP" } }, "Claim", "token_type"],
      ["that is bound to a key, by its confirmation", { claims: { cnf: { jkt: "abc" } } }, "Claim", "cnf"],
      ["that is a refresh token of Keycloak's", { claims: { typ: "Refresh" } }, "Claim", "typ"],
      ["that is an ID token by its type", { claims: { typ: "ID" } }, "Claim", "typ"],
      ["that is for refreshing", { claims: { purpose: "refresh_token" } }, "Claim", "purpose"],
      ["that is an ID token by its claims", { claims: { at_hash: "x" } }, "Claim", "at_hash"],
      ["that is a logout token", { claims: { events: {} } }, "Claim", "events"],
      ["that is bound to a key of which nothing is said", { claims: { cnf: null } }, "Claim", "cnf"],
      ["whose type is no text", { claims: { token_type: ["Bearer"] } }, "Claim", "token_type"]
    ]
    for (const [name, options, reason, claim] of cases) {
      test(
        name,
        Effect.gen(function* () {
          const error = yield* Effect.flip(verify(yield* mint(options)))
          assertRefused(error, claim === undefined ? { reason } : { reason, claim })
        })
      )
    }

    for (const exp of [1_699_999_995, 1, 0, -1, -1_800_000_000]) {
      it.effect(`whose exp is ${exp}, even if the server calls it active`, () =>
        Effect.gen(function* () {
          yield* TestClock.setTime(1_700_000_000_000)
          const { layer } = answering(() => ({ body: { ...good.body, exp } }))
          const error = yield* Effect.flip(Effect.provide(verify("opaque"), layer))
          assertRefused(error, { reason: "Expired", claim: "exp" })
        })
      )
    }

    // RFC 7662 §2.2 has an integer number of seconds.
    const malformed = [
      "1700000600.5",
      "-1.5",
      "1e308",
      "1e999",
      "8640000000001",
      '"1700000600"',
      '""',
      "true",
      "[1700000600]",
      "{}"
    ]
    for (const exp of malformed) {
      it.effect(`whose exp is ${exp}, even if the server calls it active`, () =>
        Effect.gen(function* () {
          yield* TestClock.setTime(1_700_000_000_000)
          const text = JSON.stringify({ ...good.body, exp: "EXP" }).replace('"EXP"', exp)
          const { layer } = answering(() => ({ text }))
          const error = yield* Effect.flip(Effect.provide(verify("opaque"), layer))
          assertRefused(error, { reason: "Claim", claim: "exp" })
        })
      )
    }

    test(
      "that the server does not know",
      Effect.gen(function* () {
        assertRefused(yield* Effect.flip(verify("never-minted")), { reason: "Rejected" })
      })
    )

    test(
      "that is none by its form, without asking",
      Effect.gen(function* () {
        for (const token of ["", "a b", "a\nb", "ü", "=", "a&b", "x".repeat(8193)]) {
          assertRefused(yield* Effect.flip(verify(token)), { reason: "Malformed" })
        }
        assert.strictEqual(yield* asked, 0)
      })
    )
  })

  describe("takes what its settings say", () => {
    const cases: ReadonlyArray<
      readonly [name: string, options: OpaqueOptions, settings: Parameters<typeof verifier>[0], refused: boolean]
    > = [
      ["any audience", { audience: "https://other.test" }, { audience: false }, false],
      ["an audience of several", { audience: ["a", "b"] }, { audience: ["b", "c"] }, false],
      [
        "the client for an audience",
        { without: ["aud"] },
        { audience: "test-client", audienceClaim: "client_id" },
        false
      ],
      ["a bearer token in lower case", { claims: { token_type: "bearer" } }, {}, false],
      ["a use that is an access token's", { claims: { token_use: "access_token" } }, {}, false],
      ["an answer that names no issuer", { without: ["iss"] }, {}, false],
      ["a use that is access", { claims: { token_use: "access" } }, {}, false],
      ["a type of Keycloak's", { claims: { typ: "Bearer" } }, {}, false],
      ["a type of a JWT", { claims: { typ: "at+jwt" } }, {}, false],
      ["a token_type that is access_token", { claims: { token_type: "access_token" } }, {}, false],
      ["members that say nothing", { claims: { iss: null, exp: null, nbf: null, iat: null, jti: null } }, {}, false],
      [
        "the client where the subject says nothing",
        { claims: { sub: null } },
        { subjectClaims: ["sub", "client_id"] },
        false
      ],
      [
        "no refresh token where its use is named",
        { claims: { token_use: "refresh_token" } },
        { accessTokenClaims: { client_id: true, token_use: "access_token" } },
        true
      ],
      [
        "no refresh token where its type is named",
        { claims: { token_type: "refresh_token" } },
        { accessTokenClaims: { client_id: true, token_type: "Bearer" } },
        true
      ],
      [
        "no token bound to a key where its type is named",
        { claims: { token_type: "DPoP" } },
        { accessTokenClaims: { client_id: true, token_type: "Bearer" } },
        true
      ],
      [
        "the type in any case",
        { claims: { token_type: "bEARER" } },
        { accessTokenClaims: { token_type: "Bearer" } },
        false
      ],
      [
        "any type, where that is said",
        { claims: { token_type: "x" } },
        { accessTokenClaims: { token_type: true } },
        false
      ],
      [
        "no token without any of the marks",
        { without: ["token_type"] },
        { accessTokenClaims: { token_type: true } },
        true
      ],
      [
        "claims of ID tokens, where they are not forbidden",
        { claims: { at_hash: "x" } },
        { forbiddenClaims: [] },
        false
      ],
      ["a mark of one's own", { without: ["token_type"] }, { accessTokenClaims: { client_id: true } }, false],
      ["no token without the mark", { claims: { kind: "refresh" } }, { accessTokenClaims: { kind: "access" } }, true],
      ["no other type beside the mark", { claims: { token_type: "mac" } }, { accessTokenClaims: { jti: true } }, true],
      [
        "the type that is the mark",
        { claims: { token_type: "at" } },
        { accessTokenClaims: { token_type: "at" } },
        false
      ],
      ["a claim that is required", { claims: { tenant: "t1" } }, { requiredClaims: { tenant: "t1" } }, false],
      ["no end that the server does not say itself", { without: ["exp"] }, { requiredClaims: { exp: true } }, true],
      [
        "no issuer that the server does not say itself",
        { without: ["iss"] },
        { requiredClaims: { iss: issuer } },
        true
      ],
      ["none without it", { claims: { tenant: "t2" } }, { requiredClaims: { tenant: "t1" } }, true],
      ["none with one that is forbidden", { claims: { act: {} } }, { forbiddenClaims: ["act"] }, true],
      ["a client for a subject", { without: ["sub"] }, { subjectClaims: ["sub", "client_id"] }, false],
      ["a clock that is behind", { claims: { nbf: 30 } }, { clockTolerance: "30 seconds" }, false],
      ["no token that is too old", { claims: { iat: -3600 } }, { maxTokenAge: "30 minutes" }, true]
    ]
    for (const [name, options, settings, refused] of cases) {
      test(
        name,
        Effect.gen(function* () {
          const exit = yield* Effect.exit(verify(yield* mint(options)))
          assert.strictEqual(Exit.isFailure(exit), refused, String(exit))
        }),
        verifier(settings)
      )
    }

    it.effect("an exp within the clock tolerance", () =>
      Effect.gen(function* () {
        yield* TestClock.setTime(1_700_000_000_000)
        for (const exp of [1_699_999_996, 1_700_000_600, 8_640_000_000_000]) {
          const { layer } = answering(() => ({ body: { ...good.body, exp } }))
          const { expiresAt } = yield* Effect.provide(verify("opaque"), layer)
          assert.strictEqual(DateTime.toEpochMillis(expiresAt), exp * 1000)
        }
      })
    )

    test(
      "the client for a subject, even if the answer has a sub",
      Effect.gen(function* () {
        assert.strictEqual((yield* verify(yield* mint({ subject: "alice" }))).subject, "test-client")
      }),
      verifier({ subjectClaims: ["client_id"] })
    )

    test(
      "the client for a subject, before the user",
      Effect.gen(function* () {
        assert.strictEqual((yield* verify(yield* mint({ subject: "alice" }))).subject, "test-client")
      }),
      verifier({ subjectClaims: ["client_id", "sub"] })
    )

    test(
      "the user for a subject, where both are named",
      Effect.gen(function* () {
        assert.strictEqual((yield* verify(yield* mint({ subject: "alice" }))).subject, "alice")
        assert.strictEqual((yield* verify(yield* mint({ without: ["sub"] }))).subject, "test-client")
        assertRefused(yield* Effect.flip(verify(yield* mint({ claims: { sub: "" } }))), {
          reason: "Claim",
          claim: "sub"
        })
      }),
      verifier({ subjectClaims: ["sub", "client_id"] })
    )

    test(
      "scopes from where they are",
      Effect.gen(function* () {
        const token = yield* verify(yield* mint({ claims: { realm: { roles: ["admin", "not a scope"] } } }))
        assert.deepStrictEqual(Array.from(token.scopes), ["admin"])
      }),
      verifier({ scopesPath: ["realm", "roles"] })
    )
  })

  describe("refuses at the start", () => {
    const cases: ReadonlyArray<readonly [setting: string, settings: object]> = [
      ["issuer", { issuer: "http://idp.example.com" }],
      ["issuer", { issuer: `${issuer}/.well-known/openid-configuration` }],
      ["endpoint", { endpoint: "http://idp.example.com/introspect" }],
      ["audience", { audience: "" }],
      ["audience", { audience: undefined }],
      ["audience", { audience: [] }],
      ["audience", { audience: true }],
      ["clientId", { clientId: "" }],
      ["clientId", { clientId: undefined }],
      ["clientSecret", { clientSecret: Redacted.make("") }],
      ["clientSecret", { clientSecret: "plain" }],
      ["clientSecret", { clientSecret: undefined }],
      ["clientSecret", { clientSecret: Redacted.make("of a file\n") }],
      ["clientId", { clientId: "ü" }],
      ["authMethod", { authMethod: "private_key_jwt" }],
      ["endpoint", { endpoint: `${issuer}/introspect#part` }],
      ["credentials", { credentials: Effect.succeed({}) }],
      ["credentials", { clientId: undefined, clientSecret: undefined, credentials: 7 }],
      ["clientId", { clientId: undefined, clientSecret: undefined, credentials: undefined }],
      ["accessTokenClaims", { accessTokenClaims: {} }],
      ["accessTokenClaims", { accessTokenClaims: null }],
      ["maxTokenLength", { maxTokenLength: 0 }],
      ["subjectClaims", { subjectClaims: [" sub"] }],
      ["subjectClaims", { subjectClaims: [] }],
      ["subjectClaims", { subjectClaims: [""] }],
      ["accessTokenClaims", { accessTokenClaims: { kind: undefined } }],
      ["requiredClaims", { requiredClaims: { tenant: "" } }],
      ["clockTolerance", { clockTolerance: "2 minutes" }],
      ["cache.timeToLive", { cache: { timeToLive: "2 days" } }]
    ]
    for (const [setting, settings] of cases) {
      it.effect(`${setting} as ${JSON.stringify(settings)}`, () =>
        Effect.gen(function* () {
          const layer = TokenIntrospection.layer({ ...options, ...settings }).pipe(Layer.provide(Issuer))
          const error = yield* Effect.flip(Effect.scoped(Layer.build(layer)))
          assert.instanceOf(error, SecurityError.ConfigurationError)
          assert.strictEqual(error.setting, setting)
          assert(error.message.startsWith(`${setting} `), error.message)
          assert.notInclude(error.message, "plain")
        })
      )
    }
  })

  test(
    "takes its settings from the environment",
    Effect.gen(function* () {
      assert.strictEqual((yield* verify(yield* mint())).subject, "demo")
    }),
    TokenIntrospection.layerConfig({
      issuer: Config.String("ISSUER"),
      audience: Config.String("AUDIENCE"),
      clientId: Config.String("CLIENT_ID"),
      clientSecret: Config.Redacted("CLIENT_SECRET")
    }).pipe(
      Layer.orDie,
      Layer.provide(
        ConfigProvider.layer(
          ConfigProvider.fromUnknown({ ISSUER: issuer, AUDIENCE: audience, CLIENT_ID: "api", CLIENT_SECRET: secret })
        )
      )
    )
  )

  it.live("guards routes", () =>
    Effect.gen(function* () {
      const auth = OAuth2.authorizationCode("OAuth2", { ...authorizationServer, scopes: { me: "", admin: "" } })
      const route = (path: `/${string}`, requirement: "me" | "admin") =>
        HttpRouter.add(
          "GET",
          path,
          Effect.map(auth.accessToken, ({ subject }) => HttpServerResponse.text(subject))
        ).pipe(Layer.provide(auth.require(requirement).route.layer))
      const context = yield* Layer.build(Issuer)
      const { mintOpaque, respond, revoke } = Context.get(context, TestIssuer)
      const send = yield* serve(
        Layer.mergeAll(route("/me", "me"), route("/admin", "admin")).pipe(
          Layer.provide(auth.layer),
          Layer.provide(verifier()),
          Layer.provide(Layer.succeedContext(context))
        )
      )
      const token = yield* mintOpaque({ scopes: ["me"] })
      const revoked = yield* mintOpaque({ scopes: ["me"] })
      yield* revoke(revoked)
      const answers = [yield* send("/me", token), yield* send("/admin", token), yield* send("/me", revoked)]
      yield* respond("introspection", "unreachable")
      answers.push(yield* send("/me", yield* mintOpaque({ scopes: ["me"] })), yield* send("/me", token))
      assert.deepStrictEqual(
        answers.map(({ challenge, status }) => [status, challenge]),
        [
          [200, null],
          [401, 'Bearer scope="admin"'],
          [401, 'Bearer scope="me"'],
          [503, null],
          [200, null]
        ]
      )
      assert.strictEqual(answers[3]?.headers.get("retry-after"), "1")
    })
  )
})
