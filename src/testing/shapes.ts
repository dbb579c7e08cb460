/** Writes access tokens as well-known providers do. `Provider` names the sources of each shape. */
import type { ProviderName } from "./issuerModel.ts"

/** The facts in a token that do not depend on the provider. */
export interface Facts {
  readonly issuer: string
  readonly subject: string
  readonly audience: string | ReadonlyArray<string>
  readonly client: string
  readonly tokenId: string
  readonly scopes: ReadonlyArray<string> | undefined
  readonly isBound: boolean
  /** Seconds since 1970. */
  readonly issuedAt: number
}

export interface Shape {
  /** Header parameters beside `alg` and `kid`. */
  readonly header: Readonly<Record<string, unknown>>
  /** Claims beside `iss`, `iat` and `exp`. */
  readonly claims: Readonly<Record<string, unknown>>
}

const jwt = { typ: "JWT" }
const atJwt = { typ: "at+jwt" }
const id = "11111111-2222-3333-4444-555555555555"

const listOf = (audience: Facts["audience"]): ReadonlyArray<string> =>
  typeof audience === "string" ? [audience] : audience

/** A provider that writes no scopes has no scope claim either if the test names none. */
const scopeText = ({ scopes }: Facts) => (scopes === undefined ? {} : { scope: scopes.join(" ") })

const shapes: Readonly<Record<ProviderName, (facts: Facts) => Shape>> = {
  auth0: (facts) => ({
    header: jwt,
    claims: { sub: facts.subject, aud: facts.audience, azp: facts.client, ...scopeText(facts) }
  }),
  authentik: (facts) => ({
    header: jwt,
    claims: {
      sub: facts.subject,
      aud: facts.audience,
      auth_time: facts.issuedAt,
      acr: "goauthentik.io/providers/oauth2/default",
      azp: listOf(facts.audience)[0],
      uid: facts.tokenId,
      ...scopeText(facts)
    }
  }),
  betterAuth: (facts) => ({
    header: {},
    claims: {
      sub: facts.subject,
      aud: facts.audience,
      id: facts.subject,
      name: facts.subject,
      email: `${facts.subject}@example.com`,
      emailVerified: true,
      ...scopeText(facts)
    }
  }),
  clerk: (facts) => ({
    header: jwt,
    claims: {
      sub: facts.subject,
      azp: listOf(facts.audience)[0],
      nbf: facts.issuedAt,
      sid: "sess_1",
      sts: "active",
      v: 2,
      ...scopeText(facts)
    }
  }),
  cloudflareAccess: (facts) => ({
    header: jwt,
    claims: {
      sub: facts.subject,
      aud: listOf(facts.audience),
      email: `${facts.subject}@example.com`,
      nbf: facts.issuedAt,
      type: "app",
      identity_nonce: "n",
      country: "US"
    }
  }),
  cognito: (facts) => ({
    header: {},
    claims: {
      sub: facts.subject,
      client_id: listOf(facts.audience)[0],
      jti: facts.tokenId,
      origin_jti: facts.tokenId,
      token_use: "access",
      username: facts.subject,
      version: 2,
      ...scopeText(facts)
    }
  }),
  duende: (facts) => ({
    header: atJwt,
    claims: {
      sub: facts.subject,
      aud: facts.audience,
      client_id: facts.client,
      jti: facts.tokenId,
      nbf: facts.issuedAt,
      ...(facts.scopes === undefined ? {} : { scope: facts.scopes })
    }
  }),
  entra: (facts) => {
    const isVersion1 = facts.issuer.startsWith("https://sts.")
    const tenant = /[0-9a-f-]{36}/.exec(facts.issuer)?.[0] ?? id
    return {
      header: { ...jwt, x5t: "nOo3ZDrODXEK1jKWhXslHR_KXEg" },
      claims: {
        sub: facts.subject,
        aud: facts.audience,
        nbf: facts.issuedAt,
        ...(isVersion1 ? { appid: facts.client, appidacr: "0" } : { azp: facts.client, azpacr: "0" }),
        oid: id,
        scp: (facts.scopes ?? []).join(" "),
        tid: tenant,
        ver: isVersion1 ? "1.0" : "2.0"
      }
    }
  },
  firebase: (facts) => ({
    header: jwt,
    claims: {
      sub: facts.subject,
      aud: facts.audience,
      auth_time: facts.issuedAt,
      user_id: facts.subject,
      firebase: { identities: {}, sign_in_provider: "password" },
      ...scopeText(facts)
    }
  }),
  fusionAuth: (facts) => ({
    header: jwt,
    claims: {
      sub: facts.subject,
      aud: facts.audience,
      applicationId: listOf(facts.audience)[0],
      auth_time: facts.issuedAt,
      authenticationType: "PASSWORD",
      jti: facts.tokenId,
      roles: facts.scopes ?? [],
      tid: id,
      tty: "at",
      ...scopeText(facts)
    }
  }),
  githubActions: (facts) => ({
    header: { ...jwt, x5t: "example-thumbprint" },
    claims: {
      sub: "repo:example/items:ref:refs/heads/main",
      aud: facts.audience,
      jti: facts.tokenId,
      ref: "refs/heads/main",
      repository: "example/items",
      repository_owner: "example",
      event_name: "push"
    }
  }),
  google: (facts) => ({
    header: jwt,
    claims: {
      sub: facts.subject,
      aud: facts.audience,
      azp: facts.client,
      email: `${facts.subject}@example.com`,
      email_verified: true
    }
  }),
  hydra: (facts) => ({
    header: jwt,
    claims: {
      sub: facts.subject,
      aud: listOf(facts.audience),
      client_id: facts.client,
      ext: {},
      jti: facts.tokenId,
      nbf: facts.issuedAt,
      scp: facts.scopes ?? []
    }
  }),
  keycloak: (facts) => ({
    header: jwt,
    claims: {
      sub: facts.subject,
      aud: facts.audience,
      jti: facts.tokenId,
      typ: facts.isBound ? "DPoP" : "Bearer",
      azp: facts.client,
      sid: id,
      acr: "1",
      realm_access: { roles: facts.scopes ?? [] },
      resource_access: Object.fromEntries(
        listOf(facts.audience).map((client) => [client, { roles: facts.scopes ?? [] }])
      ),
      ...scopeText(facts)
    }
  }),
  kubernetes: (facts) => ({
    header: {},
    claims: {
      sub: "system:serviceaccount:default:default",
      aud: listOf(facts.audience),
      nbf: facts.issuedAt,
      "kubernetes.io": { namespace: "default", serviceaccount: { name: "default", uid: id } }
    }
  }),
  logto: (facts) => ({
    header: atJwt,
    claims: {
      sub: facts.subject,
      aud: facts.audience,
      client_id: facts.client,
      jti: facts.tokenId,
      ...scopeText(facts)
    }
  }),
  okta: (facts) => ({
    header: {},
    claims: {
      ver: 1,
      jti: `AT.${facts.tokenId}`,
      sub: facts.subject,
      aud: facts.audience,
      cid: facts.client,
      uid: facts.subject,
      scp: facts.scopes ?? []
    }
  }),
  pingOne: (facts) => ({
    header: {},
    claims: {
      sub: facts.subject,
      aud: listOf(facts.audience),
      client_id: facts.client,
      jti: facts.tokenId,
      env: id,
      org: id,
      ...scopeText(facts)
    }
  }),
  supabase: (facts) => ({
    header: jwt,
    claims: {
      sub: facts.subject,
      aud: "authenticated",
      aal: "aal1",
      email: `${facts.subject}@example.com`,
      is_anonymous: false,
      role: "authenticated",
      session_id: id,
      ...scopeText(facts)
    }
  }),
  workos: (facts) => ({
    header: {},
    claims: { sub: facts.subject, sid: "session_1", jti: facts.tokenId, permissions: facts.scopes ?? [] }
  }),
  xsuaa: (facts) => {
    const audience = listOf(facts.audience)
    return {
      header: { ...jwt, jku: `${facts.issuer.replace(/\/oauth\/token$/, "")}/token_keys` },
      claims: {
        sub: facts.subject,
        aud: audience,
        jti: facts.tokenId,
        ext_attr: { enhancer: "XSUAA" },
        client_id: facts.client,
        cid: facts.client,
        azp: facts.client,
        grant_type: "authorization_code",
        zid: id,
        scope: ["openid", ...(facts.scopes ?? []).map((scope) => `${audience.at(-1)}.${scope}`)]
      }
    }
  },
  zitadel: (facts) => ({
    header: jwt,
    claims: {
      sub: facts.subject,
      aud: listOf(facts.audience),
      client_id: facts.client,
      jti: facts.tokenId,
      nbf: facts.issuedAt,
      ...Object.fromEntries(
        listOf(facts.audience).map((project) => [
          `urn:zitadel:iam:org:project:${project}:roles`,
          Object.fromEntries((facts.scopes ?? []).map((role) => [role, { "1": "example.com" }]))
        ])
      )
    }
  })
}

export const names: ReadonlyArray<string> = Object.keys(shapes)

export const shapeOf = (provider: ProviderName, facts: Facts): Shape => shapes[provider](facts)
