/** Several forms of one issuer, and issuers of tenants that share their keys. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Option, Redacted } from "effect"
import { HttpClient, HttpClientResponse } from "effect/http"
import { JwtVerifier, KeySet, TokenVerifier } from "effect-oauth2"
import { TestIssuer, type MintOptions } from "effect-oauth2/testing"
import { audience, issuer } from "../support/jwts.ts"
import { first, withLogs } from "../support/keySets.ts"

const ours = "11111111-2222-3333-4444-555555555555"
const theirs = "99999999-2222-3333-4444-555555555555"
const pattern = "https://login.microsoftonline.com/{tenantid}/v2.0"
const issuerOf = (tenant: string) => pattern.replace("{tenantid}", tenant)

/** Returns the issuer of the verified token, or the claim that was refused. */
const verifyWith = (options: Omit<JwtVerifier.Options, "audience" | "profile">, minted: ReadonlyArray<MintOptions>) =>
  Effect.gen(function* () {
    const { mint } = yield* TestIssuer
    const { verify } = yield* TokenVerifier
    return yield* Effect.forEach(minted, (options) =>
      Effect.gen(function* () {
        const exit = yield* Effect.exit(verify(Redacted.make(yield* mint(options))))
        if (Exit.isSuccess(exit)) return exit.value.issuer
        const error = Option.getOrThrow(Exit.findErrorOption(exit))
        return error._tag === "InvalidToken" ? `refused: ${error.claim}` : error._tag
      })
    )
  }).pipe(
    Effect.provide(
      JwtVerifier.layerKeySet({ audience, ...options }).pipe(
        Layer.provide(KeySet.layerStatic({ keys: [first.jwk] })),
        Layer.provideMerge(TestIssuer.layer({ issuer, audience, keys: [first] }))
      )
    ),
    (program) => withLogs(() => program)
  )

const withIss = (iss: unknown, claims = {}): MintOptions => ({ claims: { iss, ...claims } })

const failureOf = (options: object) =>
  Effect.flip(
    Effect.scoped(
      Layer.build(
        JwtVerifier.layerKeySet({ issuer, audience, ...options }).pipe(
          Layer.provide(KeySet.layerStatic({ keys: [first.jwk] }))
        )
      )
    )
  )

describe("JwtVerifier", () => {
  describe("issuerAliases", () => {
    for (const [name, canonical, aliases] of [
      ["Google", "https://accounts.google.com", ["accounts.google.com"]],
      [
        "Cognito",
        "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_Ab1",
        ["https://issuer.cognito-idp.eu-central-1.amazonaws.com/eu-central-1_Ab1"]
      ],
      ["a slash", "https://idp.example.com", ["https://idp.example.com/"]]
    ] as const) {
      it.effect(`accept each form exactly, as one issuer: ${name}`, () =>
        Effect.gen(function* () {
          const forms = [canonical, ...aliases]
          const others = [`${canonical}x`, canonical.toUpperCase(), "https://evil.example.com", forms, "", undefined]
          const outcomes = yield* verifyWith(
            { issuer: canonical, issuerAliases: aliases },
            [...forms, ...others].map((iss) => withIss(iss))
          )
          assert.deepStrictEqual(outcomes, [...forms.map(() => canonical), ...others.map(() => "refused: iss")])
        })
      )
    }

    it.effect("must be texts", () =>
      Effect.forEach(["x", [""], [1], [" a"]], (issuerAliases) =>
        Effect.map(failureOf({ issuerAliases }), ({ setting }) => assert.strictEqual(setting, "issuerAliases"))
      )
    )

    it.effect("must not overlap between issuers", () =>
      Effect.gen(function* () {
        const layer = JwtVerifier.layerIssuers([
          { issuer: "https://a.example.com", audience, issuerAliases: ["https://b.example.com"] },
          { issuer: "https://b.example.com", audience }
        ])
        const error = yield* Effect.flip(Effect.scoped(Layer.build(layer)))
        assert.strictEqual(error._tag === "ConfigurationError" ? error.setting : "", "issuerAliases")
      }).pipe(Effect.provide(TestIssuer.layer({ keys: [first] })))
    )
  })

  describe("tenants", () => {
    for (const [name, tenants] of [
      ["a list", [ours]],
      ["a function", (tenant: string) => tenant === ours]
    ] as const) {
      it.effect(`by ${name}: accept only the issuer of an allowed tenant`, () =>
        Effect.gen(function* () {
          const outcomes = yield* verifyWith({ issuer: pattern, tenants }, [
            withIss(issuerOf(ours), { tid: ours }),
            withIss(issuerOf(theirs), { tid: theirs }),
            withIss(issuerOf(theirs), { tid: ours }),
            withIss(issuerOf(ours), { tid: theirs }),
            withIss(issuerOf(ours)),
            withIss(issuerOf(ours), { tid: [ours] }),
            withIss(pattern, { tid: "{tenantid}" }),
            withIss(issuerOf("organizations"), { tid: "organizations" }),
            withIss(`https://evil.example.com/${ours}/v2.0`, { tid: ours })
          ])
          assert.deepStrictEqual(outcomes, [issuerOf(ours), ...Array.from({ length: 8 }, () => "refused: iss")])
        })
      )
    }

    it.effect("cannot add segments to the issuer, whatever the function allows", () =>
      Effect.gen(function* () {
        const bad = [`${ours}/../x`, "a/b", "", "$&", "..", "a".repeat(129), "a%2fb"]
        const outcomes = yield* verifyWith(
          { issuer: pattern, tenants: () => true },
          bad.map((tid) => withIss(issuerOf(tid), { tid }))
        )
        assert.deepStrictEqual(
          outcomes,
          bad.map(() => "refused: iss")
        )
      })
    )

    it.effect("are named by another claim", () =>
      Effect.gen(function* () {
        const outcomes = yield* verifyWith(
          { issuer: "https://{tenantid}.idp.example.com", tenants: ["acme"], tenantClaim: "org" },
          [
            withIss("https://acme.idp.example.com", { org: "acme" }),
            withIss("https://acme.idp.example.com", { tid: "acme" })
          ]
        )
        assert.deepStrictEqual(outcomes, ["https://acme.idp.example.com", "refused: iss"])
      })
    )

    it.effect("are mandatory if the issuer is a pattern, and refused if it is not a pattern", () =>
      Effect.gen(function* () {
        for (const [options, setting] of [
          [{ issuer: pattern }, "tenants"],
          [{ issuer: pattern, tenants: [] }, "tenants"],
          [{ issuer: pattern, tenants: ["*"] }, "tenants"],
          [{ issuer: pattern, tenants: ours }, "tenants"],
          [{ issuer: pattern, tenants: [ours], tenantClaim: "" }, "tenantClaim"],
          [{ issuer: pattern, tenants: [ours], issuerAliases: ["x"] }, "issuerAliases"],
          [{ tenants: [ours] }, "tenants"]
        ] as const) {
          assert.strictEqual((yield* failureOf(options)).setting, setting, JSON.stringify(options))
        }
      })
    )

    it.effect("are suggested in the log if the issuer is organizations or common", () =>
      withLogs((logs) =>
        Effect.gen(function* () {
          const client = HttpClient.make((request) =>
            Effect.succeed(
              HttpClientResponse.fromWeb(request, Response.json({ issuer: pattern, jwks_uri: "https://x.test/keys" }))
            )
          )
          yield* KeySet.KeySet.use(({ refresh }) => Effect.exit(refresh)).pipe(
            Effect.provide(KeySet.layerDiscovery({ issuer: issuerOf("organizations") })),
            Effect.provideService(HttpClient.HttpClient, client)
          )
          assert.include(logs[0]?.message, "its metadata is for many tenants")
          assert.include(logs[0]?.message, "set tenants with JwtVerifier.layerKeySet")
        })
      )
    )

    it.effect("have no metadata, so discovery refuses a pattern", () =>
      Effect.gen(function* () {
        const layer = JwtVerifier.layer({ issuer: pattern, tenants: [ours], audience })
        const error = yield* Effect.flip(Effect.scoped(Layer.build(layer)))
        assert.include(error.message, "KeySet.layerRemote")
      }).pipe(Effect.provide(TestIssuer.layer({ keys: [first] })))
    )
  })
})
