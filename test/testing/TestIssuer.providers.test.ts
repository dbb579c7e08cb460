// A TestIssuer imitates each provider, so that the options of the provider accept its tokens.
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Redacted } from "effect"
import { type JwtVerifier as Jwt, JwtVerifier, KeySet, Provider, TokenVerifier } from "effect-oauth2"
import { type ProviderName, TestIssuer, type TestIssuerOptions } from "effect-oauth2/testing"
import { decode, rsa } from "../support/testIssuers.ts"

const tenant = "11111111-2222-3333-4444-555555555555"
const api = "https://api.test"

/** Options of each provider, the `audience` of the issuer if it differs, and whether tokens can have scopes. */
const cases: Readonly<Record<ProviderName, readonly [Jwt.Options, TestIssuerOptions["audience"], "scopes"?]>> = {
  auth0: [Provider.auth0({ domain: "example.eu.auth0.com", audience: api }), api, "scopes"],
  authentik: [
    Provider.authentik({ url: "https://auth.test", application: "items", clientId: "client" }),
    "client",
    "scopes"
  ],
  betterAuth: [Provider.betterAuth({ url: "https://app.test" }), "https://app.test"],
  clerk: [Provider.clerk({ domain: "clerk.example.com", origins: "https://app.test" }), "https://app.test"],
  cloudflareAccess: [Provider.cloudflareAccess({ team: "example", audience: "tag" }), "tag"],
  cognito: [
    Provider.cognito({ region: "eu-central-1", userPoolId: "eu-central-1_Ab1", clientId: "client" }),
    "client",
    "scopes"
  ],
  duende: [Provider.duende({ issuer: "https://id.test", audience: "items" }), "items", "scopes"],
  entra: [Provider.entra({ tenant, audience: "api" }), "api", "scopes"],
  firebase: [Provider.firebase({ projectId: "example-app" }), "example-app"],
  fusionAuth: [
    Provider.fusionAuth({ issuer: "https://auth.test", clientId: "app", scopesFrom: "roles" }),
    "app",
    "scopes"
  ],
  githubActions: [Provider.githubActions({ repository: "example/items", audience: api }), api],
  google: [Provider.google({ audience: api }), api],
  hydra: [Provider.hydra({ issuer: "https://auth.test/", audience: api }), api, "scopes"],
  keycloak: [
    Provider.keycloak({ url: "https://sso.test", realm: "main", audience: "items", scopesFrom: { client: "items" } }),
    "items",
    "scopes"
  ],
  kubernetes: [Provider.kubernetes({ issuer: "https://kubernetes.test", audience: api }), api],
  logto: [Provider.logto({ domain: "example.logto.app", audience: api }), api, "scopes"],
  okta: [Provider.okta({ domain: "example.okta.com", audience: "api://default" }), "api://default", "scopes"],
  pingOne: [Provider.pingOne({ domain: "auth.pingone.eu", environmentId: tenant, audience: api }), api, "scopes"],
  supabase: [{ ...Provider.supabase({ project: "example" }), algorithms: ["RS256"] }, api],
  workos: [Provider.workos({ clientId: "client_01HZ" }), api, "scopes"],
  xsuaa: [
    Provider.xsuaa({ url: "https://example.hana.test", application: "items!t1", clientId: "sb-items!t1" }),
    ["sb-items!t1", "items!t1"],
    "scopes"
  ],
  zitadel: [Provider.zitadel({ domain: "example.zitadel.cloud", projectId: "1234" }), "1234", "scopes"]
}

const verify = (token: string) =>
  Effect.exit(Effect.flatMap(TokenVerifier, (verifier) => verifier.verify(Redacted.make(token))))

const run = <A, E>(
  options: Jwt.Options,
  issuer: TestIssuerOptions,
  body: Effect.Effect<A, E, TestIssuer | TokenVerifier>
) =>
  Effect.flatMap(
    Effect.promise(() => rsa),
    (key) =>
      Effect.provide(
        body,
        JwtVerifier.layer(options).pipe(
          Layer.provideMerge(TestIssuer.layer({ issuer: options.issuer, keys: [key], ...issuer }))
        )
      )
  )

describe("TestIssuer imitates", () => {
  for (const name of Object.keys(cases) as ReadonlyArray<ProviderName>) {
    const [options, audience, hasScopes] = cases[name]
    const settings = { provider: name, ...(audience === undefined ? {} : { audience }) }
    it.effect(`${name}: Provider.${name} accepts its access tokens and refuses its ID tokens`, () =>
      run(
        options,
        settings,
        Effect.gen(function* () {
          const { mint } = yield* TestIssuer
          const accepted = yield* verify(yield* mint({ scopes: ["read", "write"] }))
          assert(Exit.isSuccess(accepted), JSON.stringify(accepted))
          if (hasScopes !== undefined) assert.deepStrictEqual(Array.from(accepted.value.scopes), ["read", "write"])
          assert(Exit.isSuccess(yield* verify(yield* mint())))
          assert(Exit.isFailure(yield* verify(yield* mint({ profile: "id-token" }))))
          assert(Exit.isFailure(yield* verify(yield* mint({ claims: { iss: "https://evil.test" } }))))
        })
      )
    )
  }

  it.effect("version 1.0 of Entra ID, if the issuer is that of version 1.0", () =>
    run(
      Provider.entra({ tenant, audience: "api", version: "1.0" }),
      { provider: "entra", audience: "api" },
      Effect.gen(function* () {
        const token = yield* TestIssuer.use(({ mint }) => mint({ scopes: ["read"] }))
        assert(Exit.isSuccess(yield* verify(token)))
        assert.deepInclude(decode(token).claims, { appid: "test-client", ver: "1.0", tid: tenant })
        assert.include(decode(token).header, { typ: "JWT" })
      })
    )
  )

  it.effect("a provider whose keys are at another path", () =>
    Effect.gen(function* () {
      const options = Provider.xsuaa({ url: "https://example.hana.test", application: "a!t1", clientId: "c" })
      const key = yield* Effect.promise(() => rsa)
      const { issuer } = options
      const layer = JwtVerifier.layerKeySet(options).pipe(
        Layer.provide(KeySet.layerRemote({ url: "https://example.hana.test/token_keys" })),
        Layer.provideMerge(
          TestIssuer.layer({ issuer, audience: ["c", "a!t1"], provider: "xsuaa", jwksPath: "/token_keys", keys: [key] })
        )
      )
      const program = Effect.gen(function* () {
        const { jwksUri, metadata, mint } = yield* TestIssuer
        assert.strictEqual(jwksUri, "https://example.hana.test/token_keys")
        assert.include(yield* metadata, {
          jwks_uri: jwksUri,
          token_endpoint: "https://example.hana.test/oauth/token/token"
        })
        return yield* verify(yield* mint())
      })
      assert(Exit.isSuccess(yield* Effect.provide(program, layer)))
    })
  )

  it.effect("no provider that does not exist", () =>
    Effect.gen(function* () {
      const layer = TestIssuer.layer({ provider: "toString" as "okta" })
      const exit = yield* Effect.exit(Effect.scoped(Layer.build(layer)))
      assert(Exit.isFailure(exit))
      assert.include(String(exit.cause), "provider must be one of auth0")
    })
  )
})
