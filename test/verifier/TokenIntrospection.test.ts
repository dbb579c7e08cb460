/** Tests of `TokenIntrospection`: which tokens it accepts, which it refuses, and its options. */
import { assert, describe, it } from "@effect/vitest"
import { Config, ConfigProvider, Context, DateTime, Effect, Exit, Layer, Option, Redacted } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { TestClock } from "effect/testing"
import { OAuth2, SecurityError, TokenIntrospection } from "effect-oauth2"
import { type OpaqueOptions, TestIssuer } from "effect-oauth2/testing"
import { authorizationServer } from "../support/authorizationServer.ts"
import {
  serverResponding,
  introspectionCount,
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
    "reads an active token from the introspection response",
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
    "accepts or refuses a JWT by the introspection response alone",
    Effect.gen(function* () {
      const { mint, revoke } = yield* TestIssuer
      const [active, revoked] = [yield* mint(), yield* mint()]
      yield* revoke(revoked)
      assert.strictEqual((yield* verify(active)).subject, "demo")
      assertRefused(yield* Effect.flip(verify(revoked)), { reason: "Rejected" })
    })
  )

  describe("refuses a token", () => {
    const cases: ReadonlyArray<readonly [name: string, options: OpaqueOptions, reason: string, claim?: string]> = [
      ["that has expired", { lifetime: 0 }, "Rejected"],
      ["from another issuer", { claims: { iss: "https://evil.example.com" } }, "Claim", "iss"],
      ["whose iss is an array", { claims: { iss: [issuer] } }, "Claim", "iss"],
      ["for another audience", { audience: "https://other.test" }, "Claim", "aud"],
      ["without an audience", { without: ["aud"] }, "Claim", "aud"],
      ["without a subject", { without: ["sub"] }, "Claim", "sub"],
      ["whose subject is empty", { claims: { sub: "" } }, "Claim", "sub"],
      ["whose subject is a number", { claims: { sub: 7 } }, "Claim", "sub"],
      ["whose exp is a string", { claims: { exp: "soon" } }, "Claim", "exp"],
      ["whose nbf is in the future", { claims: { nbf: 6 } }, "Claim", "nbf"],
      ["that is a refresh token without token_type", { without: ["token_type"] }, "Claim", "token_type"],
      ["that is a refresh token by its token_use", { claims: { token_use: "refresh_token" } }, "Claim", "token_use"],
      ["that is bound to a key by its token_type", { claims: { token_type: "DPoP" } }, "Claim", "token_type"],
      ["that is bound to a key by its cnf", { claims: { cnf: { jkt: "abc" } } }, "Claim", "cnf"],
      ["that is a Keycloak refresh token by its typ", { claims: { typ: "Refresh" } }, "Claim", "typ"],
      ["that is an ID token by its typ", { claims: { typ: "ID" } }, "Claim", "typ"],
      ["that is a refresh token by its purpose", { claims: { purpose: "refresh_token" } }, "Claim", "purpose"],
      ["that is an ID token by its at_hash", { claims: { at_hash: "x" } }, "Claim", "at_hash"],
      ["that is a logout token by its events", { claims: { events: {} } }, "Claim", "events"],
      ["whose cnf is null", { claims: { cnf: null } }, "Claim", "cnf"],
      ["whose token_type is an array", { claims: { token_type: ["Bearer"] } }, "Claim", "token_type"]
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
      it.effect(`whose exp is ${exp}, even if the server reports it as active`, () =>
        Effect.gen(function* () {
          yield* TestClock.setTime(1_700_000_000_000)
          const { layer } = serverResponding(() => ({ body: { ...good.body, exp } }))
          const error = yield* Effect.flip(Effect.provide(verify("opaque"), layer))
          assertRefused(error, { reason: "Expired", claim: "exp" })
        })
      )
    }

    // RFC 7662 §2.2 requires an integer number of seconds.
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
      it.effect(`whose exp is ${exp}, even if the server reports it as active`, () =>
        Effect.gen(function* () {
          yield* TestClock.setTime(1_700_000_000_000)
          const text = JSON.stringify({ ...good.body, exp: "EXP" }).replace('"EXP"', exp)
          const { layer } = serverResponding(() => ({ text }))
          const error = yield* Effect.flip(Effect.provide(verify("opaque"), layer))
          assertRefused(error, { reason: "Claim", claim: "exp" })
        })
      )
    }

    test(
      "never issued by the server",
      Effect.gen(function* () {
        assertRefused(yield* Effect.flip(verify("never-minted")), { reason: "Rejected" })
      })
    )

    test(
      "in a malformed form, without an introspection request",
      Effect.gen(function* () {
        for (const token of ["", "a b", "a\nb", "ü", "=", "a&b", "x".repeat(8193)]) {
          assertRefused(yield* Effect.flip(verify(token)), { reason: "Malformed" })
        }
        assert.strictEqual(yield* introspectionCount, 0)
      })
    )
  })

  describe("applies its options:", () => {
    const cases: ReadonlyArray<
      readonly [name: string, options: OpaqueOptions, settings: Parameters<typeof verifier>[0], refused: boolean]
    > = [
      ["accepts any audience if audience is false", { audience: "https://other.test" }, { audience: false }, false],
      ["accepts one of several audiences", { audience: ["a", "b"] }, { audience: ["b", "c"] }, false],
      [
        "accepts the client ID as the audience if audienceClaim is client_id",
        { without: ["aud"] },
        { audience: "test-client", audienceClaim: "client_id" },
        false
      ],
      ["accepts token_type bearer in lower case", { claims: { token_type: "bearer" } }, {}, false],
      ["accepts token_use access_token", { claims: { token_use: "access_token" } }, {}, false],
      ["accepts a response without iss", { without: ["iss"] }, {}, false],
      ["accepts token_use access", { claims: { token_use: "access" } }, {}, false],
      ["accepts typ Bearer of Keycloak", { claims: { typ: "Bearer" } }, {}, false],
      ["accepts typ at+jwt", { claims: { typ: "at+jwt" } }, {}, false],
      ["accepts token_type access_token", { claims: { token_type: "access_token" } }, {}, false],
      [
        "accepts members that are null",
        { claims: { iss: null, exp: null, nbf: null, iat: null, jti: null } },
        {},
        false
      ],
      [
        "accepts the client ID as the subject if sub is null",
        { claims: { sub: null } },
        { subjectClaims: ["sub", "client_id"] },
        false
      ],
      [
        "refuses a refresh token if accessTokenClaims requires a token_use",
        { claims: { token_use: "refresh_token" } },
        { accessTokenClaims: { client_id: true, token_use: "access_token" } },
        true
      ],
      [
        "refuses a refresh token if accessTokenClaims requires a token_type",
        { claims: { token_type: "refresh_token" } },
        { accessTokenClaims: { client_id: true, token_type: "Bearer" } },
        true
      ],
      [
        "refuses a token that is bound to a key if accessTokenClaims requires a token_type",
        { claims: { token_type: "DPoP" } },
        { accessTokenClaims: { client_id: true, token_type: "Bearer" } },
        true
      ],
      [
        "compares the token_type of accessTokenClaims without case",
        { claims: { token_type: "bEARER" } },
        { accessTokenClaims: { token_type: "Bearer" } },
        false
      ],
      [
        "accepts any token_type if accessTokenClaims allows it",
        { claims: { token_type: "x" } },
        { accessTokenClaims: { token_type: true } },
        false
      ],
      [
        "refuses a token without any of the accessTokenClaims",
        { without: ["token_type"] },
        { accessTokenClaims: { token_type: true } },
        true
      ],
      [
        "accepts claims of ID tokens if forbiddenClaims is empty",
        { claims: { at_hash: "x" } },
        { forbiddenClaims: [] },
        false
      ],
      [
        "accepts a token with a custom access token claim",
        { without: ["token_type"] },
        { accessTokenClaims: { client_id: true } },
        false
      ],
      [
        "refuses a token with another value in the custom access token claim",
        { claims: { kind: "refresh" } },
        { accessTokenClaims: { kind: "access" } },
        true
      ],
      [
        "refuses another token_type in addition to a custom access token claim",
        { claims: { token_type: "mac" } },
        { accessTokenClaims: { jti: true } },
        true
      ],
      [
        "accepts a custom token_type",
        { claims: { token_type: "at" } },
        { accessTokenClaims: { token_type: "at" } },
        false
      ],
      [
        "accepts a token with a required claim",
        { claims: { tenant: "t1" } },
        { requiredClaims: { tenant: "t1" } },
        false
      ],
      [
        "refuses a response without exp if requiredClaims requires exp",
        { without: ["exp"] },
        { requiredClaims: { exp: true } },
        true
      ],
      [
        "refuses a response without iss if requiredClaims requires iss",
        { without: ["iss"] },
        { requiredClaims: { iss: issuer } },
        true
      ],
      [
        "refuses a token with another value in a required claim",
        { claims: { tenant: "t2" } },
        { requiredClaims: { tenant: "t1" } },
        true
      ],
      ["refuses a token with a forbidden claim", { claims: { act: {} } }, { forbiddenClaims: ["act"] }, true],
      [
        "accepts the client ID as the subject if there is no sub",
        { without: ["sub"] },
        { subjectClaims: ["sub", "client_id"] },
        false
      ],
      ["accepts an nbf within the clock tolerance", { claims: { nbf: 30 } }, { clockTolerance: "30 seconds" }, false],
      [
        "refuses a token that is older than maxTokenAge",
        { claims: { iat: -3600 } },
        { maxTokenAge: "30 minutes" },
        true
      ]
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

    it.effect("accepts an exp within the clock tolerance", () =>
      Effect.gen(function* () {
        yield* TestClock.setTime(1_700_000_000_000)
        for (const exp of [1_699_999_996, 1_700_000_600, 8_640_000_000_000]) {
          const { layer } = serverResponding(() => ({ body: { ...good.body, exp } }))
          const { expiresAt } = yield* Effect.provide(verify("opaque"), layer)
          assert.strictEqual(DateTime.toEpochMillis(expiresAt), exp * 1000)
        }
      })
    )

    test(
      "reads the subject from client_id, even if the response has a sub",
      Effect.gen(function* () {
        assert.strictEqual((yield* verify(yield* mint({ subject: "alice" }))).subject, "test-client")
      }),
      verifier({ subjectClaims: ["client_id"] })
    )

    test(
      "prefers client_id to sub if subjectClaims lists client_id first",
      Effect.gen(function* () {
        assert.strictEqual((yield* verify(yield* mint({ subject: "alice" }))).subject, "test-client")
      }),
      verifier({ subjectClaims: ["client_id", "sub"] })
    )

    test(
      "prefers sub to client_id if subjectClaims lists sub first",
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
      "reads the scopes from scopesPath",
      Effect.gen(function* () {
        const token = yield* verify(yield* mint({ claims: { realm: { roles: ["admin", "not a scope"] } } }))
        assert.deepStrictEqual(Array.from(token.scopes), ["admin"])
      }),
      verifier({ scopesPath: ["realm", "roles"] })
    )
  })

  describe("refuses at start-up", () => {
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
      ["clientSecret", { clientSecret: Redacted.make("ends-with-a-line-break\n") }],
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
    "reads its options from the environment",
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

  it.live("protects routes", () =>
    Effect.gen(function* () {
      const auth = OAuth2.authorizationCode("OAuth2", { ...authorizationServer, scopes: { me: "", admin: "" } })
      const route = (path: `/${string}`, requirement: "me" | "admin") =>
        HttpRouter.add(
          "GET",
          path,
          Effect.map(auth.token, ({ subject }) => HttpServerResponse.text(subject))
        ).pipe(auth.require(requirement))
      const context = yield* Layer.build(Issuer)
      const { mintOpaque, respond, revoke } = Context.get(context, TestIssuer)
      const send = yield* serve(
        Layer.mergeAll(route("/me", "me"), route("/admin", "admin")).pipe(
          Layer.provide(auth.layer(verifier())),
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

it.effect("accepts an issuer that is not a URL if the endpoint is given, and reads scopes with a function", () =>
  Effect.gen(function* () {
    const { client } = serverResponding(() => ({ body: { ...good.body, iss: "my-server", groups: ["a"] } }))
    const layer = TokenIntrospection.layer({
      ...options,
      issuer: "my-server",
      endpoint: `${issuer}/introspect`,
      readScopes: ({ groups }) => (Array.isArray(groups) ? groups.map((group) => `group:${String(group)}`) : [])
    }).pipe(Layer.provide(client))
    const verified = yield* Effect.provide(verify("opaque"), layer)
    assert.strictEqual(verified.issuer, "my-server")
    assert.deepStrictEqual(Array.from(verified.scopes), ["group:a"])
    const error = yield* Effect.flip(
      Effect.scoped(
        Layer.build(TokenIntrospection.layer({ ...options, issuer: "my-server" }).pipe(Layer.provide(client)))
      )
    )
    assert.strictEqual(error.setting, "issuer")
  })
)
