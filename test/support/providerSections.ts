/** Sections of docs/guides/providers.md: what to set at each provider, and the warning if a setting is wrong. */
import { type JwtVerifier, Provider } from "effect-oauth2"
import type { MintOptions, ProviderName, TestIssuerOptions } from "effect-oauth2/testing"

export interface ProviderSection {
  readonly title: string
  /** Name of the function in `Provider`. */
  readonly name: keyof typeof Provider
  readonly set: ReadonlyArray<string>
  /** Argument of the function in the program. */
  readonly argument: string
  /** URL of the keys, if discovery does not find them. */
  readonly keys?: string
  /** The claim that carries the scopes. */
  readonly scopes: string
  /** The mistake that causes the warning, as a sentence without its first capital and its full stop. */
  readonly mistake: string
  readonly fix: string
  readonly options: JwtVerifier.Options
  /** `aud` of genuine tokens. */
  readonly audience: TestIssuerOptions["audience"]
  readonly imitates?: ProviderName
  readonly issuer?: string
  readonly mint?: MintOptions
  /** Signs with a shared secret. */
  readonly secret?: true
  /** An opaque token instead of a minted token. */
  readonly opaque?: true
}

const tenant = "11111111-2222-3333-4444-555555555555"
const api = "https://api.example.com"
const application = "66666666-7777-8888-9999-000000000000"

export const providerSections: ReadonlyArray<ProviderSection> = [
  {
    title: "Amazon Cognito",
    name: "cognito",
    set: [
      "Copy the ID of the user pool, and the IDs of the app clients that may call the API.",
      'A pool has one of two issuers. For the updated issuer, pass `issuer: "updated"`.',
      "Add a resource server with custom scopes. Its scopes are `IDENTIFIER/NAME`."
    ],
    argument: '{ region: "eu-central-1", userPoolId: "eu-central-1_Ab1Cd2Ef3", clientId: "1example23456789" }',
    scopes: "`scope`",
    mistake: "the token is of another app client",
    fix: "Add the ID of the client to `clientId`. Access tokens of Cognito have no `aud`.",
    options: Provider.cognito({
      region: "eu-central-1",
      userPoolId: "eu-central-1_Ab1Cd2Ef3",
      clientId: "1example23456789"
    }),
    audience: "another-client"
  },
  {
    title: "Auth0",
    name: "auth0",
    set: [
      "Register the API. Its identifier is the audience.",
      "Declare the scopes as permissions of the API.",
      "Clients must request the audience. The documentation page does this with `additionalQueryStringParams: { audience }`."
    ],
    argument: '{ domain: "example.eu.auth0.com", audience: "https://api.example.com" }',
    scopes: "`scope`. With role-based access control and `permissions: true`, `permissions`",
    mistake: "a client does not request the audience, so Auth0 issues an opaque token",
    fix: "Request the audience. See [OpenAPI](openapi.md#what-can-go-wrong) for the documentation page.",
    options: Provider.auth0({ domain: "example.eu.auth0.com", audience: api }),
    audience: api,
    opaque: true
  },
  {
    title: "authentik",
    name: "authentik",
    set: [
      "Create an OAuth2 provider and an application. The slug of the application is part of the issuer.",
      "Choose a certificate as the signing key of the provider."
    ],
    argument: '{ url: "https://auth.example.com", application: "items", clientId: "vFVyqXYkqS7W" }',
    scopes: "`scope`",
    mistake: "the provider has no signing key, so it signs with the client secret",
    fix: "Choose a certificate as the signing key.",
    options: Provider.authentik({ url: "https://auth.example.com", application: "items", clientId: "vFVyqXYkqS7W" }),
    audience: "vFVyqXYkqS7W",
    secret: true
  },
  {
    title: "better-auth",
    name: "betterAuth",
    set: ["Add the JWT plugin. Clients get a token from its endpoint `/token`."],
    argument: '{ url: "https://app.example.com" }',
    keys: "https://app.example.com/api/auth/jwks",
    scopes: "none. If your payload has permissions, set `scopesPath`",
    mistake: "the option `definePayload` of the plugin leaves out the user's `id`",
    fix: "Set `accessTokenClaims` to a claim that your payload always has.",
    options: Provider.betterAuth({ url: "https://app.example.com" }),
    audience: "https://app.example.com",
    mint: { without: ["id"] }
  },
  {
    title: "Clerk",
    name: "clerk",
    set: ["Nothing. Name the origins of your pages.", "Clients send the session token of `getToken()`."],
    argument: '{ domain: "clerk.example.com", origins: ["https://app.example.com"] }',
    keys: "https://clerk.example.com/.well-known/jwks.json",
    scopes: "none. If a custom claim has permissions, set `scopesPath`",
    mistake: "the page has an origin that `origins` does not have",
    fix: "Add the origin of the page, with its scheme and without a slash at the end.",
    options: Provider.clerk({ domain: "clerk.example.com", origins: ["https://app.example.com"] }),
    audience: "https://other.example.com"
  },
  {
    title: "Cloudflare Access",
    name: "cloudflareAccess",
    set: [
      "Copy the AUD tag of the application.",
      "Cloudflare sends the token in `Cf-Access-Jwt-Assertion`. Copy it to `Authorization: Bearer` in a proxy.",
      'For service tokens, pass `callers: "services"`.'
    ],
    argument: '{ team: "example", audience: "32eafc7626e974616deaf0dc3ce63d7bcbed58a2731e84d0" }',
    keys: "https://example.cloudflareaccess.com/cdn-cgi/access/certs",
    scopes: "none. Authorize by subject, or with `auth.check`",
    mistake: "the token is of another application of the team",
    fix: "Copy the AUD tag of this application.",
    options: Provider.cloudflareAccess({
      team: "example",
      audience: "32eafc7626e974616deaf0dc3ce63d7bcbed58a2731e84d0"
    }),
    audience: "another-tag"
  },
  {
    title: "Duende IdentityServer",
    name: "duende",
    set: [
      "Declare an API resource. Its name is the audience.",
      "For clients without users, pass `machineClients: true`. No client may then have the identifier of a user."
    ],
    argument: '{ issuer: "https://id.example.com", audience: "items" }',
    scopes: "`scope`, as an array or as a text",
    mistake: "the scope belongs to no API resource, so tokens have no `aud`",
    fix: "Declare an API resource that has the scope.",
    options: Provider.duende({ issuer: "https://id.example.com", audience: "items" }),
    audience: "items",
    mint: { without: ["aud"] }
  },
  {
    title: "Firebase",
    name: "firebase",
    set: ["Nothing. Clients send the ID token of `getIdToken()`."],
    argument: '{ projectId: "example-app" }',
    scopes: "none. If a custom claim has roles, set `scopesPath`",
    mistake: "the token is of another project",
    fix: "Set `projectId` to the project of the client.",
    options: Provider.firebase({ projectId: "example-app" }),
    audience: "example-app",
    mint: { claims: { iss: "https://securetoken.google.com/other-app" } }
  },
  {
    title: "FusionAuth",
    name: "fusionAuth",
    set: [
      "Set the issuer of the tenant.",
      "Choose an RSA or EC key for access tokens. The default key is a secret.",
      "Register users for the application."
    ],
    argument: '{ issuer: "https://auth.example.com", clientId: "8306958a-db30-48a6-a93c-27353669cb71" }',
    keys: "https://auth.example.com/.well-known/jwks.json",
    scopes: '`scope`. With `scopesFrom: "roles"`, `roles`',
    mistake: "the access token key is the default key",
    fix: 'Choose an RSA or EC key in "JWT" of the application or the tenant.',
    options: Provider.fusionAuth({
      issuer: "https://auth.example.com",
      clientId: "8306958a-db30-48a6-a93c-27353669cb71"
    }),
    audience: "8306958a-db30-48a6-a93c-27353669cb71",
    secret: true
  },
  {
    title: "GitHub Actions",
    name: "githubActions",
    set: [
      "Give the workflow `permissions: id-token: write`.",
      "Request a token with `core.getIDToken(audience)`, and send it."
    ],
    argument: '{ repository: "example/items", audience: "https://api.example.com" }',
    scopes: "none. Authorize with `requiredClaims`, such as `ref`",
    mistake: "the workflow is of another repository",
    fix: 'Pass this repository, or all repositories of an owner: `{ owner: "example" }`.',
    options: Provider.githubActions({ repository: "example/items", audience: api }),
    audience: api,
    mint: { claims: { repository: "example/other" } }
  },
  {
    title: "Google",
    name: "google",
    set: [
      "Create an OAuth client, and use its ID as the audience. For service accounts, use the URL of the service.",
      "Clients send ID tokens, because the access tokens of Google are opaque."
    ],
    argument: '{ audience: "https://api.example.com" }',
    scopes: "none. Authorize by subject, or with a check of `hd` or `email`",
    mistake: "a client sends its access token instead of its ID token",
    fix: "Send the ID token.",
    options: Provider.google({ audience: api }),
    audience: api,
    opaque: true
  },
  {
    title: "Keycloak",
    name: "keycloak",
    set: [
      "Add a client scope with an audience mapper, and give it to the clients. Without the mapper, tokens lack your audience.",
      "Create a client scope for each scope of the API, or use roles.",
      'In a container network, allow plain http by the name of the host: `httpHosts: ["keycloak:8080"]`.'
    ],
    argument: '{ url: "https://sso.example.com", realm: "main", audience: "items" }',
    scopes: '`scope`. With `scopesFrom: "realm"` or `{ client: "items" }`, roles',
    mistake: "the client scope has no audience mapper",
    fix: "Add the mapper. Do not set the audience to `account`, which tokens for other APIs have, too.",
    options: Provider.keycloak({ url: "https://sso.example.com", realm: "main", audience: "items" }),
    audience: "account"
  },
  {
    title: "Kubernetes",
    name: "kubernetes",
    set: [
      "Mount a `serviceAccountToken` volume with your audience into the pods that call the API.",
      "Make the keys of the issuer readable. Managed clusters have a public issuer."
    ],
    argument:
      '{ issuer: "https://oidc.eks.eu-central-1.amazonaws.com/id/80D562ED8026E912", audience: "https://api.example.com" }',
    scopes: "none. Authorize by subject, which is `system:serviceaccount:NAMESPACE:NAME`",
    mistake: "the pod sends its default token, which is for the API server",
    fix: "Send the token of the volume with your audience.",
    options: Provider.kubernetes({
      issuer: "https://oidc.eks.eu-central-1.amazonaws.com/id/80D562ED8026E912",
      audience: api
    }),
    audience: "https://kubernetes.default.svc"
  },
  {
    title: "Logto",
    name: "logto",
    set: [
      "Register the API resource with its permissions. Its identifier is the audience.",
      "Clients must request the resource (`resource`)."
    ],
    argument: '{ domain: "example.logto.app", audience: "https://api.example.com" }',
    scopes: "`scope`",
    mistake: "a client does not request the resource, so Logto issues an opaque token",
    fix: "Request the resource at the authorization endpoint, and at the token endpoint.",
    options: Provider.logto({ domain: "example.logto.app", audience: api }),
    audience: api,
    opaque: true
  },
  {
    title: "Microsoft Entra ID",
    name: "entra",
    set: [
      'Set `requestedAccessTokenVersion` to 2 in the manifest of the API, or pass `version: "1.0"`.',
      "The audience is the application ID of the API.",
      'Expose scopes in "Expose an API". For applications without users, declare app roles and pass `permissions: "application"`.'
    ],
    argument: `{ tenant: "${tenant}", audience: "${application}" }`,
    scopes: '`scp`. With `permissions: "application"`, `roles`',
    mistake: "the manifest does not set the version, so tokens have version 1.0",
    fix: 'Set the version to 2, or pass `version: "1.0"`.',
    options: Provider.entra({ tenant, audience: application }),
    audience: application,
    mint: { claims: { iss: `https://sts.windows.net/${tenant}/`, ver: "1.0" } }
  },
  {
    title: "Microsoft Entra ID, several tenants",
    name: "entraTenants",
    set: [
      "Make the app registration multi-tenant. Set `requestedAccessTokenVersion` to 2.",
      "List the tenants of your customers. Everyone can create a tenant."
    ],
    argument: `{ tenants: ["${tenant}"], audience: "${application}" }`,
    keys: "https://login.microsoftonline.com/common/discovery/v2.0/keys",
    scopes: '`scp`. With `permissions: "application"`, `roles`',
    mistake: "the tenant of the token is not in the list",
    fix: "Add the tenant if it is your customer.",
    options: Provider.entraTenants({ tenants: [tenant], audience: application }),
    audience: application,
    imitates: "entra",
    issuer: "https://login.microsoftonline.com/99999999-2222-3333-4444-555555555555/v2.0"
  },
  {
    title: "Okta",
    name: "okta",
    set: [
      "Use a custom authorization server. Your API cannot verify the tokens of the org authorization server.",
      "Add the scopes and an access policy to this server."
    ],
    argument: '{ domain: "example.okta.com", audience: "api://default" }',
    scopes: "`scp`",
    mistake: "the client uses the org authorization server",
    fix: "Use the URLs below `/oauth2/default` in the client.",
    options: Provider.okta({ domain: "example.okta.com", audience: "api://default" }),
    audience: "api://default",
    mint: { claims: { iss: "https://example.okta.com" } }
  },
  {
    title: "Ory Hydra and Ory Network",
    name: "hydra",
    set: ["Set `strategies.access_token: jwt`.", "Allow the audience for each client. Clients must request it."],
    argument: '{ issuer: "https://auth.example.com/", audience: "https://api.example.com" }',
    scopes: "`scp`, or `scope` if `strategies.jwt.scope_claim` says so",
    mistake: "Hydra has its default strategy, so it issues opaque tokens",
    fix: "Set `strategies.access_token: jwt`, or use [`TokenIntrospection`](introspection.md).",
    options: Provider.hydra({ issuer: "https://auth.example.com/", audience: api }),
    audience: api,
    opaque: true
  },
  {
    title: "PingOne",
    name: "pingOne",
    set: [
      "Create a custom resource with its audience and scopes.",
      "For clients without users, pass `machineClients: true`. No client may then have the identifier of a user."
    ],
    argument: `{ domain: "auth.pingone.eu", environmentId: "${tenant}", audience: "https://api.example.com" }`,
    scopes: "`scope`",
    mistake: "a client requests no scope of the resource, so tokens are for the API of PingOne",
    fix: "Request a scope of the custom resource.",
    options: Provider.pingOne({ domain: "auth.pingone.eu", environmentId: tenant, audience: api }),
    audience: "https://api.pingone.eu"
  },
  {
    title: "SAP XSUAA",
    name: "xsuaa",
    set: ["Bind the service, and read `url`, `xsappname` and `clientid`.", "Declare scopes in `xs-security.json`."],
    argument:
      '{ url: "https://example.authentication.eu10.hana.ondemand.com", application: "items!t123", clientId: "sb-items!t123" }',
    keys: "https://example.authentication.eu10.hana.ondemand.com/token_keys",
    scopes: "`scope`, without the name of the application: `items!t123.Read` grants `Read`",
    mistake: "the token is for another application",
    fix: "Request the token with the binding of this application.",
    options: Provider.xsuaa({
      url: "https://example.authentication.eu10.hana.ondemand.com",
      application: "items!t123",
      clientId: "sb-items!t123"
    }),
    audience: "sb-other!t123"
  },
  {
    title: "Supabase",
    name: "supabase",
    set: ["Migrate the project to asymmetric signing keys. For the legacy secret, use `JwtVerifier.layerSecret`."],
    argument: '{ project: "abcdefghijklmnopqrst" }',
    keys: "https://abcdefghijklmnopqrst.supabase.co/auth/v1/.well-known/jwks.json",
    scopes: "none. An access token hook can add them",
    mistake: "the project has its legacy secret",
    fix: "Migrate the keys, or use `JwtVerifier.layerSecret`.",
    options: Provider.supabase({ project: "abcdefghijklmnopqrst" }),
    audience: "authenticated",
    secret: true
  },
  {
    title: "WorkOS AuthKit",
    name: "workos",
    set: [
      "Nothing. Tokens have no audience, and the keys belong to one client.",
      "For a custom domain, pass `issuer`."
    ],
    argument: '{ clientId: "client_01HZ" }',
    keys: "https://api.workos.com/sso/jwks/client_01HZ",
    scopes: "`permissions`",
    mistake: "the environment has a custom domain",
    fix: 'Pass `issuer: "https://auth.example.com"`, exactly as in the message.',
    options: Provider.workos({ clientId: "client_01HZ" }),
    audience: undefined,
    mint: { claims: { iss: "https://auth.example.com" } }
  },
  {
    title: "Zitadel",
    name: "zitadel",
    set: [
      "Set the token type of the application to JWT.",
      "Clients must request the scopes `urn:zitadel:iam:org:project:id:PROJECT:aud` and `urn:zitadel:iam:org:projects:roles`.",
      "Declare roles in the project."
    ],
    argument: '{ domain: "example.eu1.zitadel.cloud", projectId: "228318482348" }',
    scopes: "`urn:zitadel:iam:org:project:228318482348:roles`. Its names are the scopes",
    mistake: "a client does not request the audience of the project",
    fix: "Request the scope that ends in `:aud`.",
    options: Provider.zitadel({ domain: "example.eu1.zitadel.cloud", projectId: "228318482348" }),
    audience: "another-client"
  },
  {
    title: "Any other provider",
    name: "oidc",
    set: [
      "The provider must follow OpenID Connect Discovery, and issue JWT access tokens with an audience.",
      "If the provider documents a claim that marks access tokens, set `accessTokenClaims`."
    ],
    argument: '{ issuer: "https://id.example.com", audience: "https://api.example.com" }',
    scopes: "`scope`, or `scp` if `scope` is absent",
    mistake: "the issuer has a slash at the end, and the option has none",
    fix: "Copy `issuer` from the discovery document.",
    options: Provider.oidc({ issuer: "https://id.example.com", audience: api }),
    audience: api,
    mint: { claims: { iss: "https://id.example.com/" } }
  }
]
