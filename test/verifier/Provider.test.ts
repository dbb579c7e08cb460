import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Option, Redacted } from "effect"
import { JwtVerifier, Provider, SecurityError, TokenVerifier } from "effect-oauth2"
import { TestIssuer } from "effect-oauth2/testing"
import { inspect } from "node:util"

const algorithms = ["RS256", "RS512", "PS256", "ES256", "EdDSA"] as const
const keys = await Effect.runPromise(
  Effect.forEach(algorithms, (algorithm) => TestIssuer.makeKey(algorithm, algorithm), { concurrency: "unbounded" })
)

/** A provider's access token, and another token of the provider that must be refused, such as an ID token. */
interface Shape {
  readonly options: JwtVerifier.Options
  readonly access: Record<string, unknown>
  readonly client: string
  readonly scopes: ReadonlyArray<string>
  readonly id: Record<string, unknown>
}

const guid = "11111111-2222-3333-4444-555555555555"
const api = "https://api.example.com"

const keycloak = { iss: "https://sso.example.com/realms/main", aud: "items", sub: guid, azp: "items-web" }

const shapes: Readonly<Record<string, Shape>> = {
  Auth0: {
    options: Provider.auth0({ domain: "example.eu.auth0.com", audience: api }),
    access: {
      iss: "https://example.eu.auth0.com/",
      sub: "auth0|507f1f77bcf86cd799439020",
      aud: [api, "https://example.eu.auth0.com/userinfo"],
      azp: "my_client_id",
      scope: "openid profile items:read",
      permissions: ["items:read"]
    },
    client: "my_client_id",
    scopes: ["openid", "profile", "items:read"],
    id: { iss: "https://example.eu.auth0.com/", sub: "auth0|5", aud: api, nonce: "n", name: "Demo" }
  },
  "Auth0 with permissions": {
    options: Provider.auth0({ domain: "login.example.com", audience: api, permissions: true }),
    access: {
      iss: "https://login.example.com/",
      sub: "c@clients",
      aud: api,
      azp: "c",
      gty: "client-credentials",
      scope: "items:write",
      permissions: ["items:read"]
    },
    client: "c",
    scopes: ["items:read"],
    id: { iss: "https://login.example.com/", sub: "auth0|5", aud: api }
  },
  "Auth0, client credentials without scopes": {
    options: Provider.auth0({ domain: "example.eu.auth0.com", audience: api }),
    access: {
      iss: "https://example.eu.auth0.com/",
      sub: "c@clients",
      aud: api,
      azp: "c",
      gty: "client-credentials"
    },
    client: "c",
    scopes: [],
    id: { iss: "https://example.eu.auth0.com/", sub: "auth0|5", aud: api, azp: "c", nonce: "n" }
  },
  Okta: {
    options: Provider.okta({ domain: "example.okta.com", audience: "api://default" }),
    access: {
      ver: 1,
      jti: "AT.0mP4JKAZX1iACIT4vbEDF7LpvDVjxypPMf0D7uX39RE",
      iss: "https://example.okta.com/oauth2/default",
      aud: "api://default",
      sub: "demo@example.com",
      cid: "nmdP1fcyvdVO11AL7ECm",
      uid: "00ugmgsvbQdvgC3wD0g3",
      scp: ["openid", "items:read"]
    },
    client: "nmdP1fcyvdVO11AL7ECm",
    scopes: ["openid", "items:read"],
    id: {
      ver: 1,
      iss: "https://example.okta.com/oauth2/default",
      aud: "api://default",
      sub: "00u",
      amr: ["pwd"],
      at_hash: "h"
    }
  },
  Keycloak: {
    options: Provider.keycloak({ url: "https://sso.example.com/", realm: "main", audience: "items" }),
    access: {
      iss: "https://sso.example.com/realms/main",
      aud: ["items", "account"],
      sub: guid,
      typ: "Bearer",
      azp: "items-web",
      sid: guid,
      acr: "1",
      realm_access: { roles: ["admin"] },
      resource_access: { items: { roles: ["writer"] } },
      scope: "openid items:read"
    },
    client: "items-web",
    scopes: ["openid", "items:read"],
    id: {
      iss: "https://sso.example.com/realms/main",
      aud: "items",
      sub: guid,
      typ: "ID",
      azp: "items",
      scope: "openid"
    }
  },
  "Keycloak before version 25, with a nonce": {
    options: Provider.keycloak({ url: "https://sso.example.com", realm: "main", audience: "items" }),
    access: { ...keycloak, typ: "Bearer", nonce: "n", scope: "openid items:read" },
    client: "items-web",
    scopes: ["openid", "items:read"],
    id: { ...keycloak, typ: "ID", nonce: "n", scope: "openid" }
  },
  "Keycloak with roles of the realm": {
    options: Provider.keycloak({
      url: "https://sso.example.com",
      realm: "main",
      audience: "items",
      scopesFrom: "realm"
    }),
    access: {
      iss: "https://sso.example.com/realms/main",
      aud: "items",
      sub: guid,
      typ: "Bearer",
      azp: "w",
      realm_access: { roles: ["admin"] }
    },
    client: "w",
    scopes: ["admin"],
    id: {
      iss: "https://sso.example.com/realms/main",
      aud: "items",
      sub: guid,
      typ: "ID",
      realm_access: { roles: ["admin"] }
    }
  },
  "Keycloak with roles of a client": {
    options: Provider.keycloak({
      url: "https://sso.example.com",
      realm: "main",
      audience: "items",
      scopesFrom: { client: "items" }
    }),
    access: {
      iss: "https://sso.example.com/realms/main",
      aud: "items",
      sub: guid,
      typ: "Bearer",
      azp: "w",
      resource_access: { items: { roles: ["writer"] } }
    },
    client: "w",
    scopes: ["writer"],
    id: { iss: "https://sso.example.com/realms/main", aud: "items", sub: guid, typ: "ID" }
  },
  "Entra ID, delegated": {
    options: Provider.entra({ tenant: guid, audience: "api-app-id" }),
    access: {
      aud: "api-app-id",
      iss: `https://login.microsoftonline.com/${guid}/v2.0`,
      sub: "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ",
      azp: "client-app-id",
      azpacr: "0",
      name: "Demo",
      oid: guid,
      scp: "Items.Read Items.Write",
      tid: guid,
      ver: "2.0"
    },
    client: "client-app-id",
    scopes: ["Items.Read", "Items.Write"],
    id: {
      aud: "api-app-id",
      iss: `https://login.microsoftonline.com/${guid}/v2.0`,
      sub: "A",
      ver: "2.0",
      roles: ["Admin"]
    }
  },
  "Entra ID, application": {
    options: Provider.entra({ tenant: guid, audience: "api-app-id", permissions: "application" }),
    access: {
      aud: "api-app-id",
      iss: `https://login.microsoftonline.com/${guid}/v2.0`,
      sub: guid,
      oid: guid,
      azp: "daemon",
      azpacr: "1",
      roles: ["Items.Read.All"],
      tid: guid,
      ver: "2.0"
    },
    client: "daemon",
    scopes: ["Items.Read.All"],
    id: {
      aud: "api-app-id",
      iss: `https://login.microsoftonline.com/${guid}/v2.0`,
      sub: "A",
      ver: "2.0",
      roles: ["Admin"]
    }
  },
  "Entra ID, application, as opposed to a user with roles": {
    options: Provider.entra({ tenant: guid, audience: "api-app-id", permissions: "application" }),
    access: {
      aud: "api-app-id",
      iss: `https://login.microsoftonline.com/${guid}/v2.0`,
      sub: guid,
      azp: "daemon",
      roles: ["Items.Read.All"],
      ver: "2.0"
    },
    client: "daemon",
    scopes: ["Items.Read.All"],
    id: {
      aud: "api-app-id",
      iss: `https://login.microsoftonline.com/${guid}/v2.0`,
      sub: "A",
      azp: "spa",
      scp: "Items.Read",
      roles: ["Items.Read.All"],
      ver: "2.0"
    }
  },
  "Amazon Cognito": {
    options: Provider.cognito({
      region: "eu-central-1",
      userPoolId: "eu-central-1_abc",
      clientId: "57cbishk4j24pabc1234567890"
    }),
    access: {
      sub: guid,
      iss: "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_abc",
      version: 2,
      client_id: "57cbishk4j24pabc1234567890",
      token_use: "access",
      scope: "openid items/read",
      username: "demo"
    },
    client: "57cbishk4j24pabc1234567890",
    scopes: ["openid", "items/read"],
    id: {
      sub: guid,
      iss: "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_abc",
      aud: "57cbishk4j24pabc1234567890",
      client_id: "57cbishk4j24pabc1234567890",
      token_use: "id"
    }
  },
  Google: {
    options: Provider.google({ audience: "https://items-abc.a.run.app" }),
    access: {
      iss: "https://accounts.google.com",
      aud: "https://items-abc.a.run.app",
      azp: "109876543210987654321",
      sub: "109876543210987654321",
      email: "caller@project.iam.gserviceaccount.com",
      email_verified: true
    },
    client: "109876543210987654321",
    scopes: [],
    id: { iss: "https://accounts.google.com", aud: "https://other.a.run.app", sub: "1" }
  },
  "any with OpenID Connect": {
    options: Provider.oidc({ issuer: "https://id.example.com", audience: api }),
    access: {
      iss: "https://id.example.com",
      sub: "demo",
      aud: [api, "https://id.example.com/userinfo"],
      client_id: "c",
      scope: "openid items:read"
    },
    client: "c",
    scopes: ["openid", "items:read"],
    id: { iss: "https://id.example.com", sub: "demo", aud: api, azp: "c", nonce: "n" }
  }
}

const assertRefused = (
  exit: Exit.Exit<unknown, unknown>,
  expected?: Partial<Pick<SecurityError.InvalidToken, "reason" | "claim">>
) => {
  assert(Exit.isFailure(exit))
  const error = Option.getOrThrow(Exit.findErrorOption(exit))
  assert.instanceOf(error, SecurityError.InvalidToken)
  if (expected !== undefined) assert.deepInclude(error, expected)
}

/** Verifies a token with exactly these claims, signed by a key of the provider. */
const verifyWith = (options: JwtVerifier.Options, claims: Record<string, unknown>, key = keys[0]) =>
  Effect.gen(function* () {
    const { mint } = yield* TestIssuer
    const { verify } = yield* TokenVerifier
    const without = ["iss", "aud", "sub", "client_id", "jti"].filter((name) => !Object.hasOwn(claims, name))
    const minting = { profile: "jwt", claims, without, ...(key === undefined ? {} : { key }) } as const
    return yield* Effect.exit(verify(Redacted.make(yield* mint(minting))))
  }).pipe(
    Effect.provide(
      JwtVerifier.layer(options).pipe(Layer.provideMerge(TestIssuer.layer({ issuer: options.issuer, keys })))
    )
  )

describe("Provider", () => {
  for (const [name, { access, client, id, options, scopes }] of Object.entries(shapes)) {
    const verify = (claims: Record<string, unknown>, change: Partial<JwtVerifier.Options> = {}) =>
      verifyWith({ ...options, ...change }, claims)

    it.effect(`${name}: accepts an access token of the provider`, () =>
      Effect.gen(function* () {
        const exit = yield* verify(access)
        assert(Exit.isSuccess(exit), JSON.stringify(exit))
        assert.strictEqual(exit.value.subject, access["sub"])
        assert.deepStrictEqual(exit.value.clientId, Option.some(client))
        assert.deepStrictEqual(Array.from(exit.value.scopes), scopes)
      })
    )

    it.effect(`${name}: refuses a token of the provider that is not an access token for the API`, () =>
      Effect.map(verify(id), assertRefused)
    )

    it.effect(`${name}: refuses that token also with requiredClaims`, () =>
      Effect.gen(function* () {
        const more = { requiredClaims: { tenant: "t1" } }
        assert(Exit.isSuccess(yield* verify({ ...access, tenant: "t1" }, more)))
        assertRefused(yield* verify(access, more))
        assertRefused(yield* verify({ ...id, tenant: "t1" }, more))
      })
    )

    it.effect(`${name}: refuses a wrong issuer and a wrong audience`, () =>
      Effect.gen(function* () {
        assertRefused(yield* verify({ ...access, iss: "https://evil.example.com" }))
        assertRefused(yield* verify(access, { audience: "another" }))
      })
    )
  }
})

describe("Provider refuses a token", () => {
  const signedWith: Readonly<Record<string, ReadonlyArray<(typeof algorithms)[number]>>> = {
    Auth0: ["RS256", "PS256"],
    "Auth0 with permissions": ["RS256", "PS256"],
    Okta: ["RS256"],
    Keycloak: algorithms,
    "Entra ID, delegated": ["RS256"],
    "Entra ID, application": ["RS256"],
    "Amazon Cognito": ["RS256"],
    Google: ["RS256"],
    "any with OpenID Connect": algorithms
  }
  for (const [name, own] of Object.entries(signedWith)) {
    it.effect(`${name}: signed by a published key with an algorithm other than ${own.join(", ")}`, () =>
      Effect.gen(function* () {
        const { access, options } = shapes[name] ?? assert.fail(name)
        for (const key of keys) {
          const exit = yield* verifyWith(options, access, key)
          if (own.some((algorithm) => algorithm === key.alg)) assert.isTrue(Exit.isSuccess(exit), key.alg)
          else assertRefused(exit, { reason: "Algorithm" })
        }
      })
    )
  }

  // Each case changes one claim of a valid access token. The last column is the reported claim: `scope` means "no
  // mark".
  const marksOfOthers = ["nonce", "at_hash", "c_hash", "s_hash", "events"]
  const changed: ReadonlyArray<readonly [name: string, change: Record<string, unknown>, claim: string]> = [
    ...["Auth0", "Okta", "Entra ID, delegated", "Entra ID, application", "Amazon Cognito"].flatMap((name) =>
      marksOfOthers.map((claim) => [name, { [claim]: "x" }, claim] as const)
    ),
    ["Google", { events: {} }, "events"],
    ["Auth0", { scope: undefined, azp: undefined, scp: ["items:read"] }, "scope"],
    ["Auth0 with permissions", { scope: undefined, azp: undefined }, "scope"],
    ["Okta", { cid: undefined }, "scope"],
    ["Okta", { cid: undefined, client_id: "c", scope: "items:read" }, "scope"],
    ["Keycloak", { typ: "ID" }, "scope"],
    ["Keycloak", { typ: "Refresh" }, "scope"],
    ["Keycloak", { typ: undefined }, "scope"],
    ["Entra ID, delegated", { ver: "1.0" }, "ver"],
    ["Entra ID, delegated", { ver: undefined }, "ver"],
    ["Entra ID, delegated", { scp: undefined, roles: ["Items.Read.All"] }, "scope"],
    ["Entra ID, application", { ver: "1.0" }, "ver"],
    ["Entra ID, application", { ver: undefined }, "ver"],
    ["Entra ID, application", { scp: "Items.Read" }, "scp"],
    ["Entra ID, application", { scp: "" }, "scp"],
    ["Entra ID, application", { roles: undefined }, "roles"],
    ["Entra ID, application", { azp: undefined }, "scope"],
    ["Amazon Cognito", { token_use: "id" }, "scope"],
    ["Amazon Cognito", { token_use: undefined }, "scope"],
    ["Amazon Cognito", { client_id: "another" }, "client_id"]
  ]
  for (const [name, change, claim] of changed) {
    it.effect(`${name}: with ${inspect(change, { breakLength: Infinity })}`, () =>
      Effect.gen(function* () {
        const { access, options } = shapes[name] ?? assert.fail(name)
        const claims = Object.entries({ ...access, ...change }).filter(([, value]) => value !== undefined)
        assertRefused(yield* verifyWith(options, Object.fromEntries(claims)), { reason: "Claim", claim })
      })
    )
  }
})

it("converts domains and tenants to lower case, as in the issuer", () => {
  assert.strictEqual(
    Provider.auth0({ domain: "Example.EU.auth0.com", audience: api }).issuer,
    "https://example.eu.auth0.com/"
  )
  assert.include(Provider.entra({ tenant: "ABCDEF01-2222-3333-4444-555555555555", audience: api }).issuer, "/abcdef01-")
})

describe("an impossible option value of a provider", () => {
  const guarded: Readonly<Record<string, () => unknown>> = {
    "auth0: domain": () => Provider.auth0({ domain: "https://example.eu.auth0.com", audience: api }),
    "auth0: domain ": () => Provider.auth0({ domain: "example.eu.auth0.com/", audience: api }),
    "auth0: domain  ": () => Provider.auth0({ domain: undefined as never, audience: api }),
    "okta: domain": () => Provider.okta({ domain: "", audience: api }),
    "okta: authorizationServer": () =>
      Provider.okta({ domain: "example.okta.com", authorizationServer: "a/b", audience: api }),
    "keycloak: url": () =>
      Provider.keycloak({ url: "https://sso.example.com/realms/main", realm: "main", audience: api }),
    "keycloak: url ": () => Provider.keycloak({ url: "sso.example.com", realm: "main", audience: api }),
    "keycloak: realm": () => Provider.keycloak({ url: "https://sso.example.com", realm: "", audience: api }),
    "keycloak: realm ": () => Provider.keycloak({ url: "https://sso.example.com", realm: ".", audience: api }),
    "keycloak: realm  ": () => Provider.keycloak({ url: "https://sso.example.com", realm: "..", audience: api }),
    "keycloak: realm   ": () => Provider.keycloak({ url: "https://sso.example.com", realm: "a/b", audience: api }),
    "keycloak: realm    ": () =>
      Provider.keycloak({ url: "https://sso.example.com", realm: undefined as never, audience: api }),
    "keycloak: scopesFrom": () =>
      Provider.keycloak({ url: "https://sso.example.com", realm: "a", audience: api, scopesFrom: "roles" as "realm" }),
    "keycloak: scopesFrom ": () =>
      Provider.keycloak({ url: "https://sso.example.com", realm: "a", audience: api, scopesFrom: { client: "" } }),
    "keycloak: scopesFrom  ": () =>
      Provider.keycloak({ url: "https://sso.example.com", realm: "a", audience: api, scopesFrom: {} as never }),
    "entra: permissions": () =>
      Provider.entra({
        tenant: "11111111-2222-3333-4444-555555555555",
        audience: api,
        permissions: "app" as "application"
      }),
    "entra: tenant": () => Provider.entra({ tenant: "common", audience: api }),
    "cognito: region": () => Provider.cognito({ region: "", userPoolId: "eu-central-1_x", clientId: "c" }),
    "cognito: userPoolId": () => Provider.cognito({ region: "eu-central-1", userPoolId: "", clientId: "c" }),
    "cognito: userPoolId ": () =>
      Provider.cognito({ region: "eu-central-1", userPoolId: "eu-west-1_Ab1Cd2Ef3", clientId: "c" })
  }
  for (const [setting, make] of Object.entries(guarded)) {
    it(`throws a TypeError that names the option and its form (${setting.trimEnd()})`, () => {
      assert.throws(make, TypeError, `Provider.${setting.trimEnd()} must be `)
    })
  }
})
