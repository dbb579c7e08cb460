// Each refusal of a genuine token logs its cause and the option once, at Warn.
import { assert, describe } from "@effect/vitest"
import { Effect, Exit, Layer, Logger, Redacted } from "effect"
import { JwtVerifier, KeySet, Provider, TokenVerifier } from "effect-oauth2"
import { type MintOptions, TestIssuer } from "effect-oauth2/testing"
import { TestClock } from "effect/testing"
import { assertRefused, audience, ec, issuer, mint, other, outcome, rsa, test } from "../support/jwts.ts"

/** Verifies tokens with one verifier. Returns its log messages. Every token must be refused. */
const logOf = Effect.fnUntraced(function* (
  tokens: ReadonlyArray<string>,
  options: Partial<JwtVerifier.Options> = {},
  expected: "refused" | "accepted" = "refused"
) {
  const messages: Array<string> = []
  const logger = Logger.make(({ logLevel, message }) => messages.push(`${logLevel} ${String(message)}`))
  const verifier = JwtVerifier.layerKeySet({ issuer, audience, ...options }).pipe(
    Layer.provide(KeySet.layerStatic({ keys: [rsa.jwk] }))
  )
  yield* Effect.flatMap(TokenVerifier, ({ verify }) =>
    Effect.forEach(tokens, (token) => Effect.exit(verify(Redacted.make(token))))
  ).pipe(
    Effect.tap((exits) =>
      Effect.sync(() => assert(exits.every((exit) => Exit.isSuccess(exit) === (expected === "accepted"))))
    ),
    Effect.provide(verifier),
    Effect.provide(Logger.layer([logger]))
  )
  return messages
})

describe("JwtVerifier", () => {
  describe("logs once at Warn why a genuine token is refused", () => {
    const cases: ReadonlyArray<
      readonly [name: string, options: MintOptions, policy: Partial<JwtVerifier.Options>, parts: ReadonlyArray<string>]
    > = [
      ["no sub", { without: ["sub"] }, {}, ["it has no sub", "Set the subjectClaims option"]],
      ["no client_id", { without: ["client_id"] }, {}, ["its client_id claim is missing", "RFC 9068 §2.2"]],
      [
        "a key binding",
        { claims: { cnf: { jkt: "x" } } },
        {},
        ["it is bound in a way that this library does not verify (cnf)", "DPoP key"]
      ],
      [
        "a future iat",
        { claims: { iat: 1009 } },
        {},
        ["its iat is 9 seconds ahead of this server's clock", "clockTolerance"]
      ],
      ["a future nbf", { claims: { nbf: 2000 } }, {}, ["its nbf is 1000 seconds ahead", "Synchronize the clocks"]],
      ["an iat as text", { claims: { iat: "1000" } }, {}, ["its iat claim is not a number of seconds"]],
      ["no exp", { without: ["exp"] }, {}, ["its exp claim is missing or not a number"]],
      ["an exp of the past", { lifetime: "-1 hour" }, {}, ["it expired 3600 seconds ago", "server's clock is ahead"]],
      [
        "an old iat",
        { claims: { iat: 100 } },
        { maxTokenAge: "1 minute" },
        ["it was issued 900 seconds ago", "maxTokenAge"]
      ],
      ["no iat", { without: ["iat"] }, { maxTokenAge: "1 minute" }, ["it has no iat, which maxTokenAge needs"]],
      [
        "a missing required claim",
        {},
        { requiredClaims: { tenant: "t" } },
        ["its tenant claim", "requiredClaims option"]
      ],
      [
        "another audience",
        { claims: { aud: ["https://other.test"] } },
        {},
        ["its aud claim does not contain", "audience option", `iss "${issuer}" and aud ["https://other.test"]`]
      ],
      ["no audience", { without: ["aud"] }, {}, ["its aud claim is missing", "audienceClaim", "and aud (absent)"]],
      [
        "no claim that audienceClaim names",
        {},
        { audienceClaim: "azp" },
        ["its azp claim is missing", `and aud "${audience}" and azp (absent)`]
      ],
      [
        "an audience in another claim",
        { claims: { azp: "web" } },
        { audienceClaim: "azp" },
        ["its azp claim does not contain", `and aud "${audience}" and azp "web"`]
      ],
      [
        "another issuer, whose name has a line break",
        { claims: { iss: "https://x.test\n" } },
        {},
        ["its iss claim differs from the issuer option", `The token has iss "https://x.test\\n" and aud`]
      ],
      ["another algorithm", { key: ec }, { algorithms: ["RS256"] }, ["its algorithm is ES256", "algorithms option"]],
      [
        "a key that the set does not have",
        { key: ec },
        {},
        ["no usable key for ES256 with the kid of the token", "issuer option"]
      ],
      [
        "no kid and no key",
        { key: ec, header: { kid: undefined } },
        {},
        ["no usable key for ES256 (the token has no kid)"]
      ],
      [
        "too many characters",
        {},
        { maxTokenLength: 100 },
        ["longer than the maxTokenLength option", "BearerToken.MaxLength"]
      ],
      ["crit", { header: { crit: ["exp"] } }, {}, ["it is not a well-formed JWT", "crit"]]
    ]
    for (const [name, options, policy, parts] of cases) {
      test(`if it has ${name}`, () =>
        Effect.gen(function* () {
          yield* TestClock.setTime(1_000_000)
          const tokens = [yield* mint(options), yield* mint({ ...options, subject: "another" })]
          const messages = yield* logOf(tokens, policy)
          assert.lengthOf(messages, 1)
          for (const part of parts) assert.include(messages[0], part)
          assert.match(messages[0] ?? "", /^Warn A token .* was refused, because/)
          for (const token of tokens) for (const part of token.split(".")) assert.notInclude(messages[0], part)
        }))
    }

    test("if its claims are not strict JSON", () =>
      Effect.gen(function* () {
        const { mintRaw } = yield* TestIssuer
        const header = JSON.stringify({ alg: "RS256", kid: rsa.kid, typ: "at+jwt" })
        const [message = ""] = yield* logOf([yield* mintRaw({ header, payload: `{"sub":"a","sub":"b"}` })])
        assert.include(message, "its claims are not strict JSON")
      }))

    test("if it is not a signed JWT", () =>
      Effect.gen(function* () {
        const [opaque = "", encrypted = "", ...others] = yield* logOf(["opaque", "also-opaque", "a.b.c.d.e"])
        assert.include(opaque, "it is not a JWT")
        assert.include(opaque, "TokenIntrospection")
        assert.include(encrypted, "it is encrypted (JWE)")
        assert.deepStrictEqual(others, [])
      }))

    test("without the algorithm, the kid or the issuer of a forged token", () =>
      Effect.gen(function* () {
        const forged = [
          yield* mint({ key: other, header: { alg: "evil-algorithm" } }),
          yield* mint({ key: other, header: { alg: "HS256" } }),
          yield* mint({ key: other, header: { kid: "evil-kid" } }),
          yield* mint({ key: other, claims: { iss: "https://evil.test" } })
        ]
        const messages = yield* logOf(forged)
        assert.lengthOf(messages, 2)
        assert.include(messages[0], "its algorithm is not one that this verifier supports")
        assert.include(messages[1], "no usable key for RS256 with the kid")
        assert.notInclude(messages.join(), "evil")
      }))

    test("with at most 200 characters of a claim", () =>
      Effect.gen(function* () {
        const [message = ""] = yield* logOf([yield* mint({ claims: { iss: "x".repeat(1000) } })])
        assert.include(message, `"${"x".repeat(199)}…`)
        assert.isBelow(message.length, 700)
      }))
  })

  for (const [claims, policy, part] of [
    [{ roles: { admin: {} } }, { scopesPath: ["roles"] }, `set scopesFormat: "names"`],
    [{ scope: "a,b" }, {}, `set scopesFormat: "commas"`]
  ] as const) {
    test(`accepts a token whose scopes have another format, and logs once how to read them: ${part}`, () =>
      Effect.gen(function* () {
        const tokens = [yield* mint({ claims }), yield* mint({ claims, subject: "another" })]
        const messages = yield* logOf(tokens, policy, "accepted")
        assert.lengthOf(messages, 1)
        assert.include(messages[0], part)
        assert.deepStrictEqual(yield* logOf([yield* mint({})], {}, "accepted"), [])
      }))
  }

  test("accepts any audience with audience: false, and logs once if a token has one", () =>
    Effect.gen(function* () {
      const options = { audience: false } as const
      const without = yield* mint({ without: ["aud"] })
      assert.deepStrictEqual(yield* logOf([without], options, "accepted"), [])
      const tokens = [
        yield* mint({ claims: { aud: "web" } }),
        yield* mint({ claims: { aud: "web" }, subject: "another" })
      ]
      const messages = yield* logOf([without, ...tokens], options, "accepted")
      assert.lengthOf(messages, 1)
      assert.include(messages[0], `has aud "web". If it names this API, set the audience option`)
      const required = yield* logOf(tokens, { ...options, requiredClaims: { aud: "api" } })
      assert.include(required.join(), "correct aud in the requiredClaims option")
      const missing = yield* logOf([without], { ...options, requiredClaims: { aud: "api" } })
      assert.include(missing.join(), "correct aud in the requiredClaims option")
    }))

  test("reads scopes with the function readScopes", () =>
    Effect.gen(function* () {
      const readScopes = ({ groups }: Readonly<Record<string, unknown>>) =>
        Array.isArray(groups) ? groups.map((group) => `group:${String(group)}`) : (undefined as never)
      for (const [groups, scopes] of [
        [["a", "b c"], ["group:a"]],
        ["a", []]
      ] as const) {
        const exit = yield* outcome({ claims: { groups } }, { readScopes })
        assert(Exit.isSuccess(exit))
        assert.deepStrictEqual<ReadonlyArray<string>>(Array.from(exit.value.scopes), scopes)
      }
    }))

  test("accepts an issuer that is not a URL if nothing is discovered", () =>
    Effect.gen(function* () {
      for (const iss of ["supabase", "kubernetes/serviceaccount", "accounts.google.com"]) {
        assert(Exit.isSuccess(yield* outcome({ claims: { iss } }, { issuer: iss })))
        assertRefused(yield* outcome({}, { issuer: iss }), { reason: "Claim", claim: "iss" })
        const secret = "a-shared-secret-of-32-characters"
        const key = yield* TestIssuer.makeSecretKey("key", secret)
        const verified = yield* Effect.flatMap(TokenVerifier, ({ verify }) =>
          Effect.flatMap(mint({ key, claims: { iss } }), (token) => verify(Redacted.make(token)))
        ).pipe(
          Effect.provide(
            JwtVerifier.layerSecret({ issuer: iss, audience, secret: Redacted.make(secret), algorithm: "HS256" })
          )
        )
        assert.strictEqual(verified.issuer, iss)
      }
    }))

  test("names the option of Provider.entra for tokens of version 1.0 and of applications", () =>
    Effect.gen(function* () {
      const tenant = "11111111-2222-3333-4444-555555555555"
      const options = Provider.entra({ tenant, audience })
      const header = { typ: "JWT" }
      const base = { header, without: ["scope", "client_id"] }
      const versionOne = { ...base, claims: { iss: `https://sts.windows.net/${tenant}/`, ver: "1.0", scp: "read" } }
      const application = { ...base, claims: { iss: options.issuer, ver: "2.0", azp: "c", roles: ["read"] } }
      const [first = ""] = yield* logOf([yield* mint(versionOne)], options)
      assert.include(first, "Set requestedAccessTokenVersion: 2")
      const government = Provider.entra({ tenant, audience, cloud: "us" })
      assert.include((yield* logOf([yield* mint(versionOne)], government)).join(), "This is a token of version 1.0.")
      const versionTwo = { ...base, claims: { iss: options.issuer, ver: "2.0", scp: "read" } }
      const old = Provider.entra({ tenant, audience, version: "1.0" })
      assert.include((yield* logOf([yield* mint(versionTwo)], old)).join(), "This is a token of version 2.0.")
      const [second = ""] = yield* logOf([yield* mint(application)], options)
      assert.include(second, `permissions: "application"`)
    }))
})
