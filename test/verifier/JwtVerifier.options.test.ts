import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Config, Duration, Effect, Exit, Layer, Redacted } from "effect"
import { FetchHttpClient } from "effect/http"
import { TestClock } from "effect/testing"
import { JwtVerifier, SecurityError, TokenVerifier } from "effect-oauth2"
import { assertRefused, audience, issuer, mint, outcome, test, verifyWith } from "../support/jwts.ts"

describe("JwtVerifier", () => {
  describe("options", () => {
    const cases: ReadonlyArray<readonly [setting: string, options: Partial<JwtVerifier.Options>]> = [
      ["issuer", { issuer: "" }],
      ["issuer", { issuer: " https://idp.example.com" }],
      ["issuer", { issuer: "https://idp.example.com\n" }],
      ["issuer", { issuer: undefined as never }],
      ["readScopes", { readScopes: "groups" as never }],
      ["readScopes", { readScopes: () => [], scopesPath: ["groups"] }],
      ["readScopes", { readScopes: () => [], scopesFormat: "commas" }],
      ["audience", { audience: true as never }],
      ["audience", { audience: "" }],
      ["audience", { audience: [] }],
      ["audience", { audience: ["x", " "] }],
      ["audience", { audience: "https://api.example.com\n" }],
      ["audience", { audience: undefined as never }],
      ["audienceClaim", { audienceClaim: "" }],
      ["audienceClaim", { audienceClaim: ["azp"] as never }],
      ["subjectClaims", { subjectClaims: [] as never }],
      ["subjectClaims", { subjectClaims: "sub" as never }],
      ["subjectClaims", { subjectClaims: [""] }],
      ["scopesFormat", { scopesFormat: "toString" as never }],
      ["scopesPath", { scopesPath: [["scope"], []] as never }],
      ["scopesPath", { scopesPath: [["scope"], "roles"] as never }],
      ["scopesPath", { scopesPath: [[""]] }],
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
      ["maxLifetime", { maxLifetime: 0 }],
      ["maxLifetime", { maxLifetime: Infinity }],
      ["maxLifetime", { maxLifetime: "-1 hours" }],
      ["maxLifetime", { maxLifetime: NaN }],
      ["maxLifetime", { maxLifetime: "1y" as "1 hour" }],
      ["maxLifetime", { maxLifetime: null as never }],
      ["maxTokenLength", { maxTokenLength: 0 }]
    ]
    for (const [setting, options] of cases) {
      test(`fail at start-up if ${setting} is invalid: ${JSON.stringify(options)}`, () =>
        Effect.gen(function* () {
          const error = yield* Effect.flip(verifyWith(options, [], "x"))
          assert.instanceOf(error, SecurityError.ConfigurationError)
          assert.strictEqual(error.setting, setting)
          assert.include(error.message, `${setting} must`)
        }))
    }

    for (const issuer of [
      "idp.example.com",
      "http://idp.example.com",
      "https://user:secret@idp.example.com",
      "https://idp.example.com?x",
      "https://idp.example.com?",
      "https://idp.example.com#",
      "https://idp.example.com#x",
      "https://user@idp.example.com",
      "https://@idp.example.com",
      " https://idp.example.com",
      "https://idp.example.com\n",
      "https:idp.example.com",
      "https:///idp.example.com",
      "https:\\\\idp.example.com",
      "HTTPS://idp.example.com",
      "https://idp.example.com/.well-known/openid-configuration"
    ]) {
      test(`fail at start-up if the issuer cannot be discovered: ${JSON.stringify(issuer)}`, () =>
        Effect.gen(function* () {
          const error = yield* Effect.flip(Effect.scoped(Layer.build(JwtVerifier.layer({ issuer, audience }))))
          assert.instanceOf(error, SecurityError.ConfigurationError)
          assert.strictEqual(error.setting, "issuer")
        }))
    }

    test("accept a duration in each form, and name the expected form in the error", () =>
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

    test("are read from Effect's Config", () =>
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
        assert.include(
          error.message,
          "The configuration value AUDIENCE is missing or empty. Set the variable AUDIENCE."
        )
      }))

    it.effect("says that a variable is missing or empty, and which, also in a nested configuration", () =>
      Effect.gen(function* () {
        const messageOf = (config: Config.Config<string>, env: Record<string, string>) =>
          Effect.scoped(
            Layer.build(JwtVerifier.layerConfig({ issuer: config, audience: Config.succeed(audience) }))
          ).pipe(
            Effect.provide([FetchHttpClient.layer, ConfigProvider.layer(ConfigProvider.fromEnv({ env }))]),
            Effect.flip,
            Effect.map(({ message }) => message)
          )
        const missing = (name: string) =>
          `The configuration value ${name} is missing or empty. Set the variable ${name}.`
        assert.include(yield* messageOf(Config.String("ISSUER"), {}), missing("ISSUER"))
        assert.include(yield* messageOf(Config.String("ISSUER"), { ISSUER: "" }), missing("ISSUER"))
        assert.include(yield* messageOf(Config.NonEmptyString("ISSUER"), { ISSUER: "" }), missing("ISSUER"))
        const url = Config.map(Config.URL("ISSUER"), ({ href }) => href)
        assert.include(yield* messageOf(url, {}), missing("ISSUER"))
        assert.include(yield* messageOf(Config.nested(Config.String("ISSUER"), "AUTH"), {}), missing("AUTH_ISSUER"))
        // A value that is there keeps the error of Effect.
        assert.notInclude(yield* messageOf(url, { ISSUER: "no url" }), "is missing")
      })
    )
  })
})
