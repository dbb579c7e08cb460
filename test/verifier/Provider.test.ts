import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Option, Redacted } from "effect"
import { JwtVerifier, KeySet, Provider, SecurityError, TokenVerifier } from "effect-oauth2"
import { TestIssuer } from "effect-oauth2/testing"
import { readFileSync } from "node:fs"
import { inspect } from "node:util"

const algorithms = ["RS256", "RS512", "PS256", "ES256", "EdDSA"] as const
const keys = await Effect.runPromise(
  Effect.forEach(algorithms, (algorithm) => TestIssuer.makeKey(algorithm, algorithm), { concurrency: "unbounded" })
)

/** A provider's access token, and another token of the provider that must be refused, such as an ID token. */
interface Shape {
  readonly options: JwtVerifier.Options
  readonly access: Record<string, unknown>
  /** Header parameters other than `alg` and `kid`. Default: `typ: "JWT"`. */
  readonly header?: Record<string, unknown>
  /** Default: the claim `sub`. */
  readonly subject?: string
  readonly client: string | undefined
  readonly scopes: ReadonlyArray<string>
  readonly id: Record<string, unknown>
}

const guid = "11111111-2222-3333-4444-555555555555"
const api = "https://api.example.com"

const keycloak = { iss: "https://sso.example.com/realms/main", aud: "items", sub: guid, azp: "items-web" }

const entraApplication = {
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
  scopes: ["Items.Read.All"]
} satisfies Omit<Shape, "id">

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
    ...entraApplication,
    id: {
      aud: "api-app-id",
      iss: `https://login.microsoftonline.com/${guid}/v2.0`,
      sub: "A",
      ver: "2.0",
      roles: ["Admin"]
    }
  },
  "Entra ID, application, as opposed to a user with roles": {
    ...entraApplication,
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
  "Google, iss without https": {
    options: Provider.google({ audience: "https://items-abc.a.run.app" }),
    access: {
      iss: "accounts.google.com",
      aud: "https://items-abc.a.run.app",
      azp: "109876543210987654321",
      sub: "109876543210987654321"
    },
    client: "109876543210987654321",
    scopes: [],
    id: { iss: "accounts.google.com", aud: "https://other.a.run.app", sub: "1" }
  },
  "Entra ID, several tenants": {
    options: Provider.entraTenants({ tenants: [guid], audience: "api-app-id" }),
    access: {
      aud: "api-app-id",
      iss: `https://login.microsoftonline.com/${guid}/v2.0`,
      tid: guid,
      sub: "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ",
      azp: "client-app-id",
      scp: "Items.Read",
      ver: "2.0"
    },
    client: "client-app-id",
    scopes: ["Items.Read"],
    id: {
      aud: "api-app-id",
      iss: `https://login.microsoftonline.com/${guid}/v2.0`,
      tid: guid,
      sub: "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ",
      nonce: "n",
      ver: "2.0"
    }
  },
  // Source: learn.microsoft.com/entra/identity-platform/access-token-claims-reference.
  "Entra ID, version 1.0": {
    options: Provider.entra({ tenant: guid, audience: "api://items", version: "1.0" }),
    header: { typ: "JWT", x5t: "nOo3ZDrODXEK1jKWhXslHR_KXEg" },
    access: {
      aud: "api://items",
      iss: `https://sts.windows.net/${guid}/`,
      sub: "rxBr2VkRsXxwQkm9MHGmNyzYMNTkMlxm0zQ",
      acr: "1",
      amr: ["pwd"],
      appid: "client-app-id",
      appidacr: "0",
      oid: guid,
      scp: "Items.Read",
      tid: guid,
      unique_name: "demo@example.com",
      ver: "1.0"
    },
    client: "client-app-id",
    scopes: ["Items.Read"],
    id: { aud: "api://items", iss: `https://sts.windows.net/${guid}/`, sub: "A", ver: "1.0", oid: guid }
  },
  "Entra ID, version 1.0, application": {
    options: Provider.entra({ tenant: guid, audience: "api://items", version: "1.0", permissions: "application" }),
    access: {
      aud: "api://items",
      iss: `https://sts.windows.net/${guid}/`,
      sub: guid,
      appid: "daemon",
      appidacr: "1",
      roles: ["Items.Read.All"],
      ver: "1.0"
    },
    client: "daemon",
    scopes: ["Items.Read.All"],
    id: { aud: "api://items", iss: `https://sts.windows.net/${guid}/`, sub: "A", ver: "1.0", roles: ["Admin"] }
  },
  "Entra ID, Azure Government": {
    options: Provider.entra({ tenant: guid, audience: "api-app-id", cloud: "us" }),
    access: {
      aud: "api-app-id",
      iss: `https://login.microsoftonline.us/${guid}/v2.0`,
      sub: "A",
      azp: "client-app-id",
      scp: "Items.Read",
      ver: "2.0"
    },
    client: "client-app-id",
    scopes: ["Items.Read"],
    id: { aud: "api-app-id", iss: `https://login.microsoftonline.us/${guid}/v2.0`, sub: "A", ver: "2.0" }
  },
  "Entra ID, China": {
    options: Provider.entra({ tenant: guid, audience: "api-app-id", cloud: "china" }),
    access: {
      aud: "api-app-id",
      iss: `https://login.partner.microsoftonline.cn/${guid}/v2.0`,
      sub: "A",
      azp: "client-app-id",
      scp: "Items.Read",
      ver: "2.0"
    },
    client: "client-app-id",
    scopes: ["Items.Read"],
    id: { aud: "api-app-id", iss: `https://login.partner.microsoftonline.cn/${guid}/v2.0`, sub: "A", ver: "2.0" }
  },
  ...Object.fromEntries(
    (
      [
        ["updated issuer", "eu-central-1", "updated", "https://issuer-cognito-idp.eu-central-1.amazonaws.com"],
        ["China", "cn-north-1", "original", "https://cognito-idp.cn-north-1.amazonaws.com.cn"],
        ["European Sovereign Cloud", "eusc-de-east-1", "original", "https://cognito-idp.eusc-de-east-1.amazonaws.eu"]
      ] as const
    ).map(([name, region, issuer, origin]): [string, Shape] => [
      `Amazon Cognito, ${name}`,
      {
        options: Provider.cognito({ region, userPoolId: `${region}_Ab1Cd2Ef3`, clientId: "1example23456789", issuer }),
        access: {
          sub: guid,
          iss: `${origin}/${region}_Ab1Cd2Ef3`,
          version: 2,
          client_id: "1example23456789",
          origin_jti: guid,
          token_use: "access",
          scope: "items/read",
          username: "demo"
        },
        client: "1example23456789",
        scopes: ["items/read"],
        id: {
          sub: guid,
          iss: `${origin}/${region}_Ab1Cd2Ef3`,
          aud: "1example23456789",
          client_id: "1example23456789",
          token_use: "id"
        }
      }
    ])
  ),
  // Source: github.com/zitadel/oidc: pkg/oidc/token.go, as internal/api/oidc/token.go of github.com/zitadel/zitadel uses it.
  Zitadel: {
    options: Provider.zitadel({ domain: "example.eu1.zitadel.cloud", projectId: "228318482348" }),
    access: {
      iss: "https://example.eu1.zitadel.cloud",
      sub: "165617850692654601",
      aud: ["170097776451453185@items", "228318482348"],
      jti: "V2_281512431938347011-at_281512431938412547",
      client_id: "170097776451453185@items",
      "urn:zitadel:iam:org:project:228318482348:roles": {
        admin: { "170086824411201793": "example.com" },
        user: { "170086824411201793": "example.com" }
      },
      "urn:zitadel:iam:org:project:roles": { owner: { "170086824411201793": "example.com" } }
    },
    client: "170097776451453185@items",
    scopes: ["admin", "user"],
    id: {
      iss: "https://example.eu1.zitadel.cloud",
      sub: "165617850692654601",
      aud: ["170097776451453185@items", "228318482348"],
      azp: "170097776451453185@items",
      client_id: "170097776451453185@items",
      amr: ["pwd"]
    }
  },
  // Source: github.com/goauthentik/authentik: authentik/providers/oauth2/id_token.py (`to_access_token`).
  authentik: {
    options: Provider.authentik({ url: "https://auth.example.com/", application: "items", clientId: "vFVyqXYkqS7W" }),
    access: {
      iss: "https://auth.example.com/application/o/items/",
      sub: "f5c4c2a7",
      aud: "vFVyqXYkqS7W",
      auth_time: 1,
      acr: "goauthentik.io/providers/oauth2/default",
      amr: ["pwd"],
      sid: "9f86d081",
      nonce: "n",
      email: "demo@example.com",
      azp: "vFVyqXYkqS7W",
      uid: "kFjC8ZBc"
    },
    client: "vFVyqXYkqS7W",
    scopes: [],
    id: { iss: "https://auth.example.com/application/o/items/", sub: "f5c4c2a7", aud: "vFVyqXYkqS7W", nonce: "n" }
  },
  // Source: github.com/ory/hydra: oauth2/session.go and fosite/token/jwt/claims_jwt.go.
  "Ory Hydra": {
    options: Provider.hydra({ issuer: "https://auth.example.com/", audience: api }),
    access: {
      iss: "https://auth.example.com/",
      sub: "demo",
      aud: [api],
      client_id: "b6a3e9d4",
      ext: {},
      jti: guid,
      nbf: 0,
      scp: ["items:read", "offline"]
    },
    client: "b6a3e9d4",
    scopes: ["items:read", "offline"],
    id: { iss: "https://auth.example.com/", sub: "demo", aud: ["b6a3e9d4", api], at_hash: "h", rat: 1, sid: guid }
  },
  // Source: github.com/panva/node-oidc-provider: lib/models/formats/jwt.js, as Logto uses it.
  Logto: {
    options: Provider.logto({ domain: "example.logto.app", audience: api }),
    header: { typ: "at+jwt" },
    access: {
      iss: "https://example.logto.app/oidc",
      sub: "foo1bar2",
      aud: api,
      client_id: "dntrbx",
      jti: "K9e6",
      scope: "items:read"
    },
    client: "dntrbx",
    scopes: ["items:read"],
    id: { iss: "https://example.logto.app/oidc", sub: "foo1bar2", aud: "dntrbx", at_hash: "h" }
  },
  "Logto, machine-to-machine application with an RSA key": {
    options: { ...Provider.logto({ domain: "example.logto.app", audience: api }), algorithms: ["RS256"] },
    header: { typ: "at+jwt" },
    access: {
      iss: "https://example.logto.app/oidc",
      sub: "dntrbx",
      aud: api,
      client_id: "dntrbx",
      jti: "K9e7",
      scope: "items:read"
    },
    client: "dntrbx",
    scopes: ["items:read"],
    id: { iss: "https://example.logto.app/oidc", sub: "foo1bar2", aud: api, at_hash: "h" }
  },
  // Source: clerk.com/docs/guides/sessions/session-tokens.
  Clerk: {
    options: Provider.clerk({ domain: "clerk.example.com", origins: "https://app.example.com" }),
    access: {
      azp: "https://app.example.com",
      fva: [5, -1],
      iss: "https://clerk.example.com",
      jti: "6d61f6b7bb0ba7a2d6ee",
      nbf: 0,
      sid: "sess_2GaMqUCB3Sc1WNAkWuNzsnYVVEy",
      sts: "active",
      sub: "user_2F2u1wtUyUlxKgFkKqtJNtpJJWj",
      v: 2
    },
    client: "https://app.example.com",
    scopes: [],
    id: { iss: "https://clerk.example.com", sub: "user_2F2", aud: "oauth_client", azp: "oauth_client", nonce: "n" }
  },
  // Source: workos.com/docs/reference/authkit/session-tokens and github.com/workos/workos-node/pull/1694.
  WorkOS: {
    options: Provider.workos({ clientId: "client_01HZ" }),
    access: {
      iss: "https://api.workos.com/user_management/client_01HZ",
      sub: "user_01HBEQKA6K4QJAS93VPE39W1JT",
      sid: "session_01HQSXZGF8FHF7A9ZZFCW4387R",
      org_id: "org_01HRDMC6CM357W30QMHMQ96Q0S",
      role: "member",
      permissions: ["posts:read", "posts:write"],
      jti: "01HQSXZXPPFPKMDD32RKTFY6PV"
    },
    client: undefined,
    scopes: ["posts:read", "posts:write"],
    id: { iss: "https://api.workos.com/user_management/client_01HZ", sub: "user_01H", aud: "client_01HZ", nonce: "n" }
  },
  // Source: workos.com/docs/reference/authkit/session-tokens (sample token).
  "WorkOS, an environment from before mid-2025": {
    options: Provider.workos({ clientId: "client_01HZ" }),
    access: {
      iss: "https://api.workos.com",
      sub: "user_01HBEQKA6K4QJAS93VPE39W1JT",
      act: { sub: "admin@foocorp.com" },
      org_id: "org_01HRDMC6CM357W30QMHMQ96Q0S",
      role: "member",
      roles: ["member"],
      permissions: ["posts:read"],
      entitlements: ["audit-logs"],
      sid: "session_01HQSXZGF8FHF7A9ZZFCW4387R",
      jti: "01HQSXZXPPFPKMDD32RKTFY6PV"
    },
    client: undefined,
    scopes: ["posts:read"],
    id: { iss: "https://api.workos.com/user_management/client_02", sub: "user_01H", sid: "session_1" }
  },
  // Source: fusionauth.io/docs/lifecycle/authenticate-users/oauth/tokens (sample token).
  "FusionAuth before version 1.60": {
    options: Provider.fusionAuth({ issuer: "https://acme.example.com", clientId: guid }),
    header: { typ: "JWT", gty: ["authorization_code"] },
    access: {
      aud: guid,
      iss: "https://acme.example.com",
      sub: "00000000-0000-0000-0000-111111111111",
      jti: "2e2271d7-3057-4bfd-99ab-34af48e84567",
      authenticationType: "PASSWORD",
      email: "demo@example.com",
      email_verified: true,
      applicationId: guid,
      scope: "offline_access profile openid",
      roles: [],
      sid: "0abe7139-0bd0-4fd0-a450-c1e8b16e710a",
      auth_time: 1,
      tid: "d7d09513-a3f5-401c-9685-34ab6c552453"
    },
    client: guid,
    scopes: ["offline_access", "profile", "openid"],
    id: {
      aud: guid,
      iss: "https://acme.example.com",
      sub: "00000000-0000-0000-0000-111111111111",
      authenticationType: "PASSWORD",
      scope: "offline_access profile openid",
      sid: "0abe7139-0bd0-4fd0-a450-c1e8b16e710a",
      tid: "d7d09513-a3f5-401c-9685-34ab6c552453"
    }
  },
  // Source: a published token of a newer server. FusionAuth does not document `tty`.
  FusionAuth: {
    options: Provider.fusionAuth({ issuer: "https://auth.example.com", clientId: guid }),
    access: {
      applicationId: guid,
      aud: guid,
      auth_time: 1,
      authenticationType: "PASSWORD",
      gty: ["password"],
      iss: "https://auth.example.com",
      jti: "4526e18a",
      roles: ["patient"],
      scope: "offline_access openid",
      sid: "c59e6f96",
      sub: "ca565f40",
      tid: "5ba05e07",
      tty: "at"
    },
    client: guid,
    scopes: ["offline_access", "openid"],
    id: { aud: guid, iss: "https://auth.example.com", sub: "ca565f40", at_hash: "h", tid: "5ba05e07" }
  },
  "FusionAuth with roles": {
    options: Provider.fusionAuth({ issuer: "https://auth.example.com", clientId: guid, scopesFrom: "roles" }),
    access: { aud: guid, iss: "https://auth.example.com", sub: "ca565f40", roles: ["patient"], tty: "at" },
    client: undefined,
    scopes: ["patient"],
    id: { aud: guid, iss: "https://auth.example.com", sub: "ca565f40", roles: ["patient"] }
  },
  // Source: developer.pingidentity.com/pingone-api/foundations/authentication-concepts/access-tokens-and-id-tokens/token-claims.html.
  PingOne: {
    options: Provider.pingOne({ domain: "auth.pingone.eu", environmentId: guid, audience: api }),
    header: { typ: "at+jwt" },
    access: {
      client_id: "3c8e2b12",
      iss: `https://auth.pingone.eu/${guid}/as`,
      jti: "e2f7",
      aud: [api],
      scope: "items:read",
      sub: "b8e6",
      sid: "a1",
      env: guid,
      org: guid
    },
    client: "3c8e2b12",
    scopes: ["items:read"],
    id: { iss: `https://auth.pingone.eu/${guid}/as`, sub: "b8e6", aud: api, at_hash: "h", env: guid }
  },
  // Source: a published token of the client credentials grant, which has no `sub`.
  "PingOne, machine client": {
    options: Provider.pingOne({
      domain: "auth.pingone.com",
      environmentId: guid,
      audience: "items",
      machineClients: true
    }),
    header: {},
    access: {
      aud: ["items"],
      client_id: "adeeb901-7b64-453d-92bc-059bcbcc5958",
      env: guid,
      iss: `https://auth.pingone.com/${guid}/as`,
      jti: "722238d2-4748-4681-889d-7fe7a321b037",
      org: guid,
      "p1.rid": "722238d2-4748-4681-889d-7fe7a321b037",
      scope: "items:read"
    },
    subject: "adeeb901-7b64-453d-92bc-059bcbcc5958",
    client: "adeeb901-7b64-453d-92bc-059bcbcc5958",
    scopes: ["items:read"],
    id: { iss: `https://auth.pingone.com/${guid}/as`, sub: "b8e6", aud: "items", nonce: "n", env: guid }
  },
  // Source: github.com/better-auth/better-auth: packages/better-auth/src/plugins/jwt/sign.ts, src/context/create-context.ts.
  "better-auth": {
    options: Provider.betterAuth({ url: "https://app.example.com/api/auth/" }),
    header: { typ: undefined },
    access: {
      id: "dUYqMj",
      name: "Demo",
      email: "demo@example.com",
      emailVerified: true,
      image: null,
      createdAt: "2026-01-01T00:00:00.000Z",
      updatedAt: "2026-01-01T00:00:00.000Z",
      sub: "dUYqMj",
      iss: "https://app.example.com",
      aud: "https://app.example.com"
    },
    client: undefined,
    scopes: [],
    id: { iss: "https://app.example.com", aud: "https://app.example.com", sub: "dUYqMj", nonce: "n" }
  },
  // Source: github.com/supabase/auth: internal/tokens/service.go.
  Supabase: {
    options: Provider.supabase({ project: "abcdefghijklmnopqrst" }),
    access: {
      aal: "aal1",
      amr: [{ method: "password", timestamp: 1640991600 }],
      app_metadata: { provider: "email", providers: ["email"] },
      aud: "authenticated",
      email: "demo@example.com",
      iss: "https://abcdefghijklmnopqrst.supabase.co/auth/v1",
      phone: "",
      role: "authenticated",
      session_id: guid,
      sub: guid,
      user_metadata: { name: "Demo" },
      is_anonymous: false
    },
    client: undefined,
    scopes: [],
    id: { iss: "supabase", ref: "abcdefghijklmnopqrst", role: "service_role" }
  },
  "Supabase, as opposed to an ID token of its OAuth server": {
    options: Provider.supabase({ project: "abcdefghijklmnopqrst" }),
    access: {
      aal: "aal1",
      aud: "authenticated",
      client_id: guid,
      email: "demo@example.com",
      iss: "https://abcdefghijklmnopqrst.supabase.co/auth/v1",
      phone: "",
      role: "authenticated",
      scope: "openid email",
      session_id: guid,
      sub: guid,
      is_anonymous: false
    },
    client: guid,
    scopes: ["openid", "email"],
    id: {
      iss: "https://abcdefghijklmnopqrst.supabase.co/auth/v1",
      aud: "authenticated",
      sub: guid,
      auth_time: 1,
      client_id: guid,
      email: "demo@example.com",
      email_verified: true,
      phone_number_verified: false
    }
  },
  // Source: github.com/firebase/firebase-admin-node: src/auth/token-verifier.ts.
  Firebase: {
    options: Provider.firebase({ projectId: "example-app" }),
    access: {
      iss: "https://securetoken.google.com/example-app",
      aud: "example-app",
      auth_time: 1,
      user_id: "abcdefghijklmnopqrstu",
      sub: "abcdefghijklmnopqrstu",
      email: "demo@example.com",
      email_verified: true,
      firebase: { identities: { email: ["demo@example.com"] }, sign_in_provider: "password" }
    },
    client: undefined,
    scopes: [],
    id: { iss: "https://session.firebase.google.com/example-app", aud: "example-app", sub: "a", firebase: {} }
  },
  // Source: developers.cloudflare.com/cloudflare-one/access-controls/applications/http-apps/authorization-cookie/application-token/.
  "Cloudflare Access": {
    options: Provider.cloudflareAccess({ team: "example", audience: "32eafc76" }),
    access: {
      aud: ["32eafc76"],
      email: "demo@example.com",
      nbf: 0,
      iss: "https://example.cloudflareaccess.com",
      type: "app",
      identity_nonce: "6ei69kawdKzMIAPF",
      sub: "7335d417-61da-459d-899c-0a01c76a2f94",
      country: "US"
    },
    client: undefined,
    scopes: [],
    id: { aud: ["32eafc76"], iss: "https://example.cloudflareaccess.com", type: "org", sub: "7335d417" }
  },
  "Cloudflare Access, service token": {
    options: Provider.cloudflareAccess({ team: "example", audience: "32eafc76", callers: "services" }),
    access: {
      type: "app",
      aud: ["32eafc76"],
      iss: "https://example.cloudflareaccess.com",
      common_name: "e367826f93b8d71185e03fe518aff3b4.access",
      sub: ""
    },
    subject: "e367826f93b8d71185e03fe518aff3b4.access",
    client: "e367826f93b8d71185e03fe518aff3b4.access",
    scopes: [],
    id: { type: "app", aud: ["32eafc76"], iss: "https://example.cloudflareaccess.com", sub: "7335d417" }
  },
  // Source: docs.github.com/en/actions/reference/security/oidc.
  "GitHub Actions": {
    options: Provider.githubActions({ repository: "example/items", audience: api }),
    header: { typ: "JWT", x5t: "example-thumbprint" },
    access: {
      jti: "example-id",
      sub: "repo:example/items:environment:prod",
      environment: "prod",
      aud: api,
      ref: "refs/heads/main",
      sha: "example-sha",
      repository: "example/items",
      repository_owner: "example",
      actor_id: "12",
      run_id: "example-run-id",
      event_name: "workflow_dispatch",
      ref_type: "branch",
      iss: "https://token.actions.githubusercontent.com"
    },
    client: undefined,
    scopes: [],
    id: { iss: "https://token.actions.githubusercontent.com", sub: "repo:example/items", aud: api }
  },
  "GitHub Actions, immutable subject": {
    options: Provider.githubActions({ repository: "example/items", audience: api }),
    access: {
      jti: "example-id",
      sub: "repo:example@123456/items@456789:ref:refs/heads/main",
      aud: api,
      ref: "refs/heads/main",
      repository: "example/items",
      repository_id: "456789",
      repository_owner: "example",
      repository_owner_id: "123456",
      iss: "https://token.actions.githubusercontent.com"
    },
    client: undefined,
    scopes: [],
    id: {
      iss: "https://token.actions.githubusercontent.com",
      sub: "repo:example@1/items@2:ref:refs/heads/main",
      aud: api
    }
  },
  // Source: github.com/kubernetes/kubernetes: pkg/serviceaccount/claims.go.
  "Kubernetes service account": {
    options: Provider.kubernetes({ issuer: "https://oidc.eks.us-west-2.amazonaws.com/id/80D562ED", audience: api }),
    header: { typ: undefined },
    access: {
      aud: [api],
      iss: "https://oidc.eks.us-west-2.amazonaws.com/id/80D562ED",
      jti: "aed34954-b33a-4142-b1ec-389d6bbb4936",
      "kubernetes.io": {
        namespace: "default",
        node: { name: "node-1", uid: "646e7c5e" },
        pod: { name: "web", uid: "0d64402f" },
        serviceaccount: { name: "web", uid: "8145a6d5" }
      },
      nbf: 0,
      sub: "system:serviceaccount:default:web"
    },
    client: undefined,
    scopes: [],
    id: {
      iss: "https://oidc.eks.us-west-2.amazonaws.com/id/80D562ED",
      aud: [api],
      "kubernetes.io/serviceaccount/namespace": "default",
      sub: "system:serviceaccount:default:web"
    }
  },
  // Source: github.com/cloudfoundry/uaa: UaaTokenServices.java and openid/IdToken.java.
  "SAP XSUAA": {
    options: Provider.xsuaa({
      url: "https://example.authentication.eu10.hana.ondemand.com",
      application: "items!t123",
      clientId: "sb-items!t123"
    }),
    header: {
      typ: "JWT",
      jku: "https://example.authentication.eu10.hana.ondemand.com/token_keys",
      jid: "V0g+"
    },
    access: {
      jti: "e7858cafea9344f392f0dc8b64bdc014",
      ext_attr: { enhancer: "XSUAA", zdn: "example" },
      "xs.system.attributes": { "xs.rolecollections": ["Admin"] },
      given_name: "Demo",
      "xs.user.attributes": {},
      sub: guid,
      scope: ["openid", "items!t123.Read", "other!b1.Write"],
      client_id: "sb-items!t123",
      cid: "sb-items!t123",
      azp: "sb-items!t123",
      grant_type: "authorization_code",
      zid: guid,
      iss: "https://example.authentication.eu10.hana.ondemand.com/oauth/token",
      aud: ["sb-items!t123", "openid"]
    },
    client: "sb-items!t123",
    scopes: ["Read"],
    id: {
      iss: "https://example.authentication.eu10.hana.ondemand.com/oauth/token",
      sub: guid,
      aud: ["sb-items!t123"],
      azp: "sb-items!t123",
      cid: "sb-items!t123",
      scope: ["openid"],
      grant_type: "authorization_code",
      jti: "e7858cafea9344f392f0dc8b64bdc015",
      user_name: "demo",
      zid: guid
    }
  },
  // Source: github.com/SAP/cloud-security-services-integration-library: xsuaaCCAccessTokenRSA256.txt.
  "SAP XSUAA, client credentials": {
    options: Provider.xsuaa({
      url: "https://example.authentication.eu10.hana.ondemand.com",
      application: "items!t123",
      clientId: "sb-items!t123"
    }),
    access: {
      jti: "2a6b47182ce34c83a3c4641b556b946c",
      ext_attr: { enhancer: "XSUAA" },
      sub: "sb-items!t123",
      authorities: ["uaa.resource", "items!t123.Read"],
      scope: ["items!t123.Read", "uaa.resource"],
      client_id: "sb-items!t123",
      cid: "sb-items!t123",
      azp: "sb-items!t123",
      grant_type: "client_credentials",
      zid: guid,
      iss: "https://example.authentication.eu10.hana.ondemand.com/oauth/token",
      aud: ["uaa", "sb-items!t123"]
    },
    client: "sb-items!t123",
    scopes: ["Read"],
    id: {
      iss: "https://example.authentication.eu10.hana.ondemand.com/oauth/token",
      sub: guid,
      aud: ["sb-items!t123"],
      azp: "sb-items!t123",
      cid: "sb-items!t123",
      scope: ["openid"]
    }
  },
  // Source: github.com/DuendeSoftware/products: DefaultClaimsService.cs and TokenExtensions.cs.
  "Duende IdentityServer": {
    options: Provider.duende({ issuer: "https://id.example.com", audience: "items" }),
    header: { typ: "at+jwt" },
    access: {
      iss: "https://id.example.com",
      aud: "items",
      sub: "1",
      client_id: "web_viewer",
      jti: "A1",
      scope: ["openid", "read"],
      amr: ["pwd"],
      idp: "local",
      sid: "S1"
    },
    client: "web_viewer",
    scopes: ["openid", "read"],
    id: { iss: "https://id.example.com", aud: "items", client_id: "w", jti: "A1" }
  },
  "Duende IdentityServer, machine client": {
    options: Provider.duende({ issuer: "https://id.example.com", audience: "items", machineClients: true }),
    header: { typ: "at+jwt" },
    access: { iss: "https://id.example.com", aud: "items", client_id: "worker", jti: "A1", scope: "read write" },
    subject: "worker",
    client: "worker",
    scopes: ["read", "write"],
    id: { iss: "https://id.example.com", aud: "worker", sub: "1", at_hash: "h" }
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

/** Returns the first key that the provider can sign with. */
const keyOf = ({ algorithms: allowed }: JwtVerifier.Options) =>
  keys.find(({ alg }) => allowed === undefined || allowed.some((name) => name === alg))

/** Verifies a token with exactly these claims, signed by a key of the provider. */
const verifyWith = (
  options: JwtVerifier.Options,
  claims: Record<string, unknown>,
  key = keys[0],
  header: Record<string, unknown> = { typ: "JWT" }
) =>
  Effect.gen(function* () {
    const { mint } = yield* TestIssuer
    const { verify } = yield* TokenVerifier
    const without = ["iss", "aud", "sub", "client_id", "jti"].filter((name) => !Object.hasOwn(claims, name))
    const minting = { header, claims, without, ...(key === undefined ? {} : { key }) } as const
    return yield* Effect.exit(verify(Redacted.make(yield* mint(minting))))
  }).pipe(
    Effect.provide(
      "url" in options
        ? verifierOfTenants(options as typeof options & { readonly url: string })
        : JwtVerifier.layer(options).pipe(Layer.provideMerge(TestIssuer.layer({ issuer: options.issuer, keys })))
    )
  )

/** The issuer of each tenant differs, and all tenants share the keys at `url`. */
const verifierOfTenants = (options: JwtVerifier.Options & { readonly url: string }) => {
  const { origin, pathname } = new URL(options.url)
  return JwtVerifier.layerKeySet(options).pipe(
    Layer.provide(KeySet.layerRemote(options)),
    Layer.provideMerge(TestIssuer.layer({ issuer: origin, jwksPath: pathname as `/${string}`, keys }))
  )
}

describe("Provider", () => {
  for (const [name, { access, client, header, id, options, scopes, subject }] of Object.entries(shapes)) {
    const verify = (claims: Record<string, unknown>, change: Partial<JwtVerifier.Options> = {}) =>
      verifyWith({ ...options, ...change }, claims, keyOf(options), header)

    it.effect(`${name}: accepts an access token of the provider`, () =>
      Effect.gen(function* () {
        const exit = yield* verify(access)
        assert(Exit.isSuccess(exit), JSON.stringify(exit))
        assert.strictEqual(exit.value.subject, subject ?? access["sub"])
        assert.deepStrictEqual(exit.value.clientId, Option.fromUndefinedOr(client))
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
    Zitadel: algorithms,
    Logto: ["RS256", "ES256"],
    Supabase: ["RS256", "ES256"],
    Clerk: ["RS256"],
    WorkOS: ["RS256"],
    PingOne: ["RS256"],
    Firebase: ["RS256"],
    "Cloudflare Access": ["RS256"],
    "GitHub Actions": ["RS256"],
    "SAP XSUAA": ["RS256"],
    "any with OpenID Connect": algorithms
  }
  for (const [name, own] of Object.entries(signedWith)) {
    it.effect(`${name}: signed by a published key with an algorithm other than ${own.join(", ")}`, () =>
      Effect.gen(function* () {
        const { access, options } = shapes[name] ?? assert.fail(name)
        for (const key of keys) {
          const exit = yield* verifyWith(options, access, key, shapes[name]?.header)
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
    ["Amazon Cognito", { client_id: "another" }, "client_id"],
    ["Entra ID, version 1.0", { ver: "2.0" }, "ver"],
    ["Entra ID, version 1.0, application", { appid: undefined, azp: "daemon" }, "scope"],
    ["Zitadel", { jti: undefined }, "scope"],
    ["authentik", { uid: undefined, nonce: undefined }, "scope"],
    ["Clerk", { azp: undefined }, "azp"],
    ["Clerk", { azp: "https://evil.example.com" }, "azp"],
    ["WorkOS", { sid: undefined }, "scope"],
    ["FusionAuth", { tty: "id", applicationId: undefined }, "scope"],
    ["FusionAuth before version 1.60", { at_hash: "h" }, "at_hash"],
    ["PingOne", { sub: undefined }, "sub"],
    ["SAP XSUAA", { client_id: undefined }, "scope"],
    ["Ory Hydra", { client_id: undefined }, "scope"],
    ["WorkOS", { iss: "https://api.workos.com/user_management/client_02" }, "iss"],
    ["Supabase", { aud: "anon" }, "aud"],
    ["Supabase", { session_id: undefined }, "scope"],
    ["Firebase", { firebase: undefined }, "scope"],
    ["Cloudflare Access", { type: "org" }, "scope"],
    ["Cloudflare Access", { sub: "", common_name: "a.access" }, "sub"],
    ["Cloudflare Access, service token", { common_name: undefined, sub: "user" }, "sub"],
    ["GitHub Actions", { repository: "evil/items" }, "repository"],
    ["GitHub Actions", { repository: "example/items2" }, "repository"],
    ["SAP XSUAA", { aud: ["sb-other!t1"] }, "aud"],
    ["Entra ID, several tenants", { tid: "22222222-2222-3333-4444-555555555555" }, "iss"],
    ["Google, iss without https", { iss: "http://accounts.google.com" }, "iss"]
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
      Provider.cognito({ region: "eu-central-1", userPoolId: "eu-west-1_Ab1Cd2Ef3", clientId: "c" }),
    "cognito: issuer": () =>
      Provider.cognito({
        region: "eu-central-1",
        userPoolId: "eu-central-1_x",
        clientId: "c",
        issuer: "UPDATED" as "updated"
      }),
    "entra: version": () => Provider.entra({ tenant: guid, audience: api, version: "1" as "1.0" }),
    "entraTenants: cloud": () => Provider.entraTenants({ tenants: [guid], audience: api, cloud: "eu" as "us" }),
    "entra: cloud": () => Provider.entra({ tenant: guid, audience: api, cloud: "germany" as "us" }),
    "entra: version ": () => Provider.entra({ tenant: guid, audience: api, version: "1.0", cloud: "us" }),
    "zitadel: domain": () => Provider.zitadel({ domain: "https://x.zitadel.cloud", projectId: "1" }),
    "zitadel: projectId": () => Provider.zitadel({ domain: "x.zitadel.cloud", projectId: "a b" }),
    "authentik: url": () => Provider.authentik({ url: "auth.example.com", application: "a", clientId: "c" }),
    "authentik: application": () =>
      Provider.authentik({ url: "https://auth.example.com", application: "a/b", clientId: "c" }),
    "logto: domain": () => Provider.logto({ domain: "https://x.logto.app/oidc", audience: api }),
    "clerk: domain": () => Provider.clerk({ domain: "clerk.example.com/", origins: api }),
    "workos: clientId": () => Provider.workos({ clientId: "a/b" }),
    "fusionAuth: scopesFrom": () =>
      Provider.fusionAuth({ issuer: "x", clientId: "c", scopesFrom: "groups" as "roles" }),
    "pingOne: domain": () => Provider.pingOne({ domain: "", environmentId: guid, audience: api }),
    "pingOne: environmentId": () =>
      Provider.pingOne({ domain: "auth.pingone.eu", environmentId: "main", audience: api }),
    "betterAuth: url": () => Provider.betterAuth({ url: "app.example.com" }),
    "supabase: project": () => Provider.supabase({ project: "x.supabase.co" }),
    "firebase: projectId": () => Provider.firebase({ projectId: "a/b" }),
    "cloudflareAccess: team": () => Provider.cloudflareAccess({ team: "x.cloudflareaccess.com", audience: "a" }),
    "cloudflareAccess: callers": () =>
      Provider.cloudflareAccess({ team: "x", audience: "a", callers: "all" as "users" }),
    "githubActions: repository": () => Provider.githubActions({ repository: "items", audience: api }),
    "githubActions: repository.owner": () => Provider.githubActions({ repository: { owner: "" }, audience: api }),
    "githubActions: enterprise": () => Provider.githubActions({ repository: "a/b", audience: api, enterprise: "a/b" }),
    "xsuaa: url": () => Provider.xsuaa({ url: "x", application: "a", clientId: "c" }),
    "xsuaa: application": () => Provider.xsuaa({ url: "https://x.test", application: "", clientId: "c" })
  }
  for (const [setting, make] of Object.entries(guarded)) {
    it(`throws a TypeError that names the option and its form (${setting.trimEnd()})`, () => {
      assert.throws(make, TypeError, `Provider.${setting.trimEnd()} must be `)
    })
  }
})

it("accepts the workflows of all repositories of an owner", () => {
  const { issuer, requiredClaims } = Provider.githubActions({
    repository: { owner: "example" },
    audience: api,
    enterprise: "octo"
  })
  assert.strictEqual(issuer, "https://token.actions.githubusercontent.com/octo")
  assert.deepStrictEqual(requiredClaims, { repository_owner: "example" })
})

it("docs/guides/providers.md and the shapes above name each provider", () => {
  const page = readFileSync(new URL("../../docs/guides/providers.md", import.meta.url), "utf8")
  const source = readFileSync(new URL(import.meta.url), "utf8")
  for (const name of Object.keys(Provider)) {
    assert.include(page, `Provider.${name}({`)
    // Its options are those of the caller, and test/oauth2/OAuth2.provider.test.ts tests it.
    if (name !== "discover") assert.include(source, `options: Provider.${name}({`)
  }
})
