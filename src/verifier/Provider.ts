/**
 * Options of `JwtVerifier` for well-known identity providers.
 *
 * **Details**
 *
 * Each function returns a plain object. Change it with a spread: `{ ...Provider.auth0({ … }), maxTokenAge: "1 hour" }`.
 * If the endpoints of a provider are fixed, the object also has them for the `provider` option of a scheme.
 *
 * | your provider | use |
 * |---|---|
 * | has a function in this module | that function |
 * | marks its access tokens (RFC 9068) | `JwtVerifier.layer({ issuer, audience })`, which is stricter |
 * | follows OpenID Connect Discovery | `oidc` |
 *
 * An impossible value, such as a domain with a scheme, throws a `TypeError` that names the option and its form.
 *
 * **Example** (Verifying tokens of Auth0)
 *
 * ```ts
 * import { JwtVerifier, Provider } from "effect-oauth2"
 *
 * export const Verifier = JwtVerifier.layer(
 *   Provider.auth0({ domain: "example.eu.auth0.com", audience: "https://api.example.com" })
 * )
 * ```
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { NeedsHttpClient } from "../core/missing.ts"
import type { AuthorizationServerUnavailable, ConfigurationError } from "../core/SecurityError.ts"
import { fetchEndpoints } from "./authorizationServer/endpoints.ts"
import { otherClaims } from "./claims/profile.ts"
import { ownProperties } from "../core/lib/ownProperties.ts"
import type { Options } from "./JwtVerifier.ts"

/** `audience: false` is not an audience. The only preset that sets it is `workos`. */
type Audience = Exclude<Options["audience"], false>

/** Validates a part of an issuer's identifier. A malformed part could produce the identifier of another issuer. */
const checked = (option: string, value: string, form: RegExp, description: string): string => {
  // `RegExp.test(undefined)` tests the string "undefined", so check the type first.
  if (typeof value === "string" && form.test(value)) return value
  throw new TypeError(`Provider.${option} must be ${description}.`)
}

const assertOneOf = (option: string, value: unknown, values: ReadonlyArray<string>): void => {
  if (values.some((allowed) => allowed === value)) return
  throw new TypeError(`Provider.${option} must be ${values.map((allowed) => JSON.stringify(allowed)).join(" or ")}.`)
}

const domainName = /^[a-z0-9-]+(\.[a-z0-9-]+)+(:\d+)?$/i
const domain = (provider: string, value: string, example: string): string =>
  checked(
    `${provider}: domain`,
    value,
    domainName,
    `a domain name without a scheme and a path, such as ${example}`
  ).toLowerCase()

/**
 * The endpoints of a provider at which clients get tokens. Schemes write them into OpenAPI documents.
 *
 * @category models
 * @since 0.1.0
 */
export interface Endpoints {
  /** The authorization endpoint (RFC 6749 §3.1). */
  readonly authorizationUrl: string
  /** The token endpoint (RFC 6749 §3.2). */
  readonly tokenUrl: string
  /** The device authorization endpoint (RFC 8628 §3.1). */
  readonly deviceAuthorizationUrl?: string
}

/**
 * Options for `JwtVerifier`, and the endpoints for the `provider` option of a scheme.
 *
 * @category models
 * @since 0.1.0
 */
export interface LoginOptions<out E extends Endpoints = Endpoints> extends Options {
  readonly endpoints: E
}

const withEndpoints = <E extends Endpoints>(options: Options, endpointsOf: (issuer: string) => E): LoginOptions<E> => ({
  ...options,
  endpoints: endpointsOf(options.issuer)
})

/** The endpoints of a provider that supports the device flow. */
type DeviceEndpoints = Required<Endpoints>

/** Returns endpoints below a URL, such as the issuer. */
const below =
  (authorization: string, token: string) =>
  (url: string): Endpoints => {
    const base = url.replace(/\/$/, "")
    return { authorizationUrl: `${base}/${authorization}`, tokenUrl: `${base}/${token}` }
  }

const belowWithDevice =
  (authorization: string, token: string, device: string) =>
  (url: string): DeviceEndpoints => ({
    ...below(authorization, token)(url),
    deviceAuthorizationUrl: `${url.replace(/\/$/, "")}/${device}`
  })

const googleEndpoints: DeviceEndpoints = {
  authorizationUrl: "https://accounts.google.com/o/oauth2/v2/auth",
  tokenUrl: "https://oauth2.googleapis.com/token",
  deviceAuthorizationUrl: "https://oauth2.googleapis.com/device/code"
}

/**
 * Creates options for Auth0.
 *
 * **Details**
 *
 * - The issuer ends in a slash.
 * - The `typ` header is `JWT`, unless the API's token profile is RFC 9068. `azp` names the client.
 * - With role-based access control and "Add Permissions in the Access Token", `permissions` holds the user's
 *   permissions. `scope` then holds only the scopes that the client requested.
 *
 * Source: Auth0 documentation, "Access Token Profiles", "Validate Access Tokens", "Enable Role-Based Access Control for
 * APIs".
 *
 * **Example** (Reading permissions of role-based access control)
 *
 * ```ts import.meta.vitest
 * import { Provider } from "effect-oauth2"
 *
 * const options = Provider.auth0({
 *   domain: "example.eu.auth0.com",
 *   audience: "https://api.example.com",
 *   permissions: true
 * })
 *
 * options.issuer // => "https://example.eu.auth0.com/"
 * options.scopesPath // => ["permissions"]
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const auth0 = (options: {
  /** Domain of the tenant, or your custom domain, without a scheme: `example.eu.auth0.com`. */
  readonly domain: string
  /** Identifier of the API. */
  readonly audience: Audience
  /** Reads the scopes from `permissions`. @default false */
  readonly permissions?: boolean
}): LoginOptions<DeviceEndpoints> =>
  withEndpoints(
    {
      issuer: `https://${domain("auth0", options.domain, "example.eu.auth0.com")}/`,
      audience: options.audience,
      algorithms: ["RS256", "PS256"],
      profile: "jwt",
      // If a client requests no scopes, its token has no `scope` claim.
      accessTokenClaims: { scope: true, azp: true, client_id: true },
      ...(ownProperties(options).permissions === true ? { scopesPath: ["permissions"] as const } : undefined)
    },
    belowWithDevice("authorize", "oauth/token", "oauth/device/code")
  )

/**
 * Creates options for a custom authorization server of Okta.
 *
 * **Details**
 *
 * - `cid` names the client, and the array `scp` holds the scopes. The header does not mark access tokens.
 * - Your API cannot verify tokens of the org authorization server.
 *
 * Source: Okta documentation, "Validate access tokens", "OpenID Connect & OAuth 2.0 API: Access token".
 *
 * **Example** (Using the default authorization server)
 *
 * ```ts import.meta.vitest
 * import { Provider } from "effect-oauth2"
 *
 * const options = Provider.okta({ domain: "example.okta.com", audience: "api://default" })
 *
 * options.issuer // => "https://example.okta.com/oauth2/default"
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const okta = (options: {
  /** Domain of the org without a scheme: `example.okta.com`. */
  readonly domain: string
  /** ID of the custom authorization server. @default "default" */
  readonly authorizationServer?: string
  /** Audience of the authorization server. Okta's default server has `api://default`. */
  readonly audience: Audience
}): LoginOptions<DeviceEndpoints> =>
  withEndpoints(
    {
      issuer: `https://${domain("okta", options.domain, "example.okta.com")}/oauth2/${checked(
        "okta: authorizationServer",
        ownProperties(options).authorizationServer ?? "default",
        /^\w+$/,
        "the ID of a custom authorization server, such as default"
      )}`,
      audience: options.audience,
      algorithms: ["RS256"],
      profile: "jwt",
      clientIdClaim: "cid",
      accessTokenClaims: { cid: true }
    },
    belowWithDevice("v1/authorize", "v1/token", "v1/device/authorize")
  )

/**
 * Creates options for Keycloak.
 *
 * **Details**
 *
 * - The `typ` header is `JWT`. The claim `typ` is `Bearer` in access tokens and `ID` in ID tokens. `azp` names the
 *   client.
 * - Roles are nested in `realm_access.roles` or `resource_access.CLIENT.roles`.
 *
 * **Gotchas**
 *
 * Tokens have an audience only if a client scope has an audience mapper.
 *
 * Source: Keycloak documentation, "Server Administration Guide": "Audience support", "Role mappings"; "Securing
 * applications": "OpenID Connect".
 *
 * **Example** (Reading the roles of a client as scopes)
 *
 * ```ts import.meta.vitest
 * import { Provider } from "effect-oauth2"
 *
 * const options = Provider.keycloak({
 *   url: "https://sso.example.com",
 *   realm: "main",
 *   audience: "items",
 *   scopesFrom: { client: "items" }
 * })
 *
 * options.issuer // => "https://sso.example.com/realms/main"
 * options.scopesPath // => ["resource_access", "items", "roles"]
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const keycloak = (options: {
  /** Base URL of the server, without the realm: `https://sso.example.com`. */
  readonly url: string
  /** Name of the realm, not URL-encoded and not a path. */
  readonly realm: string
  /** Audience that the audience mapper adds to `aud`, usually the ID of the API's client. */
  readonly audience: Audience
  /** Source of the scopes: the claim `scope`, the roles of the realm, or the roles of a client. @default "scope" */
  readonly scopesFrom?: "scope" | "realm" | { readonly client: string }
}): LoginOptions<DeviceEndpoints> => {
  const { audience, realm, scopesFrom = "scope" } = ownProperties(options)
  const url = checked(
    "keycloak: url",
    options.url,
    /^https?:\/\/(?!.*\/realms(\/|$))\S+$/,
    "the server's base URL without /realms/…, such as https://sso.example.com"
  )
  const name = encodeURIComponent(
    checked("keycloak: realm", realm, /^(?!\.\.?$)[^/]+$/, "the name of a realm, not a path")
  )
  const client = typeof scopesFrom === "object" ? scopesFrom.client : undefined
  if (typeof client !== "string" || client === "") assertOneOf("keycloak: scopesFrom", scopesFrom, ["scope", "realm"])
  return withEndpoints(
    {
      issuer: `${url.replace(/\/+$/, "")}/realms/${name}`,
      audience,
      profile: "jwt",
      accessTokenClaims: { typ: "Bearer" },
      // The claim `typ` is a sufficient mark. Before version 25, and with the mapper "Nonce backwards compatible", access
      // tokens have a nonce, too.
      forbiddenClaims: [],
      ...(client === undefined ? undefined : { scopesPath: ["resource_access", client, "roles"] as const }),
      ...(scopesFrom === "realm" ? { scopesPath: ["realm_access", "roles"] as const } : undefined)
    },
    belowWithDevice(
      "protocol/openid-connect/auth",
      "protocol/openid-connect/token",
      "protocol/openid-connect/auth/device"
    )
  )
}

/**
 * Creates options for one tenant of Microsoft Entra ID.
 *
 * **Details**
 *
 * - The audience is the API's application ID.
 * - `scp` holds delegated permissions of a user. `roles` holds the permissions of an application that acts for itself.
 * - Tokens of another tenant have another issuer.
 *
 * **Gotchas**
 *
 * - The API's manifest decides which version its tokens have (`requestedAccessTokenVersion`). Set the version to 2
 *   there, or pass `version: "1.0"` here. By default, Entra ID issues version 1.0, whose issuer is
 *   `https://sts.windows.net/…`.
 * - For several tenants, use `Provider.entraTenants`.
 * - The metadata of a national cloud is not at the issuer of version 1.0. Use version 2.0 there.
 * - To accept both users and applications, declare two schemes and give each its own verifier.
 *
 * Source: https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference,
 * https://learn.microsoft.com/entra/identity-platform/scenario-protected-web-api-verification-scope-app-roles,
 * https://learn.microsoft.com/entra/identity-platform/authentication-national-cloud.
 *
 * **Example** (Accepting users and daemons)
 *
 * ```ts
 * import { Layer } from "effect"
 * import { JwtVerifier, OAuth2, Provider } from "effect-oauth2"
 *
 * const tenant = "11111111-2222-3333-4444-555555555555"
 * const audience = "66666666-7777-8888-9999-000000000000"
 * const tokenUrl = `https://login.microsoftonline.com/${tenant}/oauth2/v2.0/token`
 *
 * const users = OAuth2.authorizationCode("Users", {
 *   authorizationUrl: `https://login.microsoftonline.com/${tenant}/oauth2/v2.0/authorize`,
 *   tokenUrl,
 *   scopes: { "Items.Read": "Read your items" }
 * })
 * const daemons = OAuth2.clientCredentials("Daemons", { tokenUrl, scopes: { "Items.Read.All": "Read all items" } })
 *
 * export const Authentication = Layer.mergeAll(
 *   users.layer(JwtVerifier.layer(Provider.entra({ tenant, audience }))),
 *   daemons.layer(JwtVerifier.layer(Provider.entra({ tenant, audience, permissions: "application" })))
 * )
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const entra = (options: {
  /** Directory (tenant) ID, a GUID. `common` and `organizations` are not issuers. */
  readonly tenant: string
  /** Application (client) ID of the API. */
  readonly audience: Audience
  /**
   * Kind of permissions that are read as scopes.
   *
   * | value | scopes | accepted tokens |
   * |---|---|---|
   * | `"delegated"` | `scp` | of users |
   * | `"application"` | `roles` | of applications that act for themselves; a token with `scp` is refused |
   *
   * @default "delegated"
   */
  readonly permissions?: "delegated" | "application"
  /**
   * Version of the tokens. In version 1.0, `appid` names the client, and `aud` can be the application ID URI
   * (`api://…`).
   *
   * @default "2.0"
   */
  readonly version?: "1.0" | "2.0"
  /** National cloud: `"us"` is Azure Government, `"china"` is operated by 21Vianet. @default "global" */
  readonly cloud?: "global" | "us" | "china"
}): LoginOptions<DeviceEndpoints> => {
  const { audience, cloud = "global", permissions = "delegated", tenant, version = "2.0" } = ownProperties(options)
  assertOneOf("entra: permissions", permissions, ["delegated", "application"])
  assertOneOf("entra: version", version, ["1.0", "2.0"])
  assertOneOf("entra: cloud", cloud, ["global", "us", "china"])
  const directory = checked(
    "entra: tenant",
    tenant,
    /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i,
    "the directory (tenant) ID, which is a GUID. The values common and organizations are not issuers"
  ).toLowerCase()
  if (version === "1.0" && cloud !== "global") {
    throw new TypeError('Provider.entra: version must be "2.0" in a national cloud.')
  }
  return withEndpoints(
    {
      issuer:
        version === "1.0" ? `https://sts.windows.net/${directory}/` : `https://${entraHosts[cloud]}/${directory}/v2.0`,
      ...entraRules(audience, permissions, version)
    },
    () => belowWithDevice("authorize", "token", "devicecode")(`https://${entraHosts[cloud]}/${directory}/oauth2/v2.0`)
  )
}

/** Rules for the tokens of every tenant. */
const entraRules = (
  audience: Audience,
  permissions: "delegated" | "application",
  version: "1.0" | "2.0"
): Omit<Options, "issuer"> => {
  const client = version === "1.0" ? "appid" : "azp"
  return {
    audience,
    algorithms: ["RS256"],
    profile: "jwt",
    clientIdClaim: client,
    ...(permissions === "application"
      ? {
          scopesPath: ["roles"] as const,
          accessTokenClaims: { [client]: true as const },
          requiredClaims: { ver: version, roles: true as const },
          // In a user's token, `roles` holds the roles of the user, not those of the application.
          forbiddenClaims: ["scp", ...otherClaims.jwt]
        }
      : { scopesPath: ["scp"] as const, accessTokenClaims: { scp: true as const }, requiredClaims: { ver: version } })
  }
}

/**
 * Creates options for several tenants of Microsoft Entra ID, for an API whose app registration is multi-tenant.
 *
 * **Details**
 *
 * - Every tenant has its own issuer, and all tenants share their keys. So pass the options to
 *   `JwtVerifier.layerKeySet` and to `KeySet.layerRemote`, which reads their `url`.
 * - A token is accepted if its `tid` is one of `tenants`, and its `iss` names this tenant. Everyone can create a tenant, so
 *   the list is required.
 * - Subjects are unique only within a tenant. Store a user by `issuer` and `subject`.
 *
 * Source: https://learn.microsoft.com/entra/identity-platform/claims-validation,
 * https://learn.microsoft.com/entra/identity-platform/access-tokens.
 *
 * **Example** (Accepting the tenants of your customers)
 *
 * ```ts
 * import { Layer } from "effect"
 * import { FetchHttpClient } from "effect/http"
 * import { JwtVerifier, KeySet, Provider } from "effect-oauth2"
 *
 * const customers = new Set(["11111111-2222-3333-4444-555555555555"])
 * const options = Provider.entraTenants({
 *   tenants: (tenant) => customers.has(tenant),
 *   audience: "66666666-7777-8888-9999-000000000000"
 * })
 *
 * export const Verifier = JwtVerifier.layerKeySet(options).pipe(
 *   Layer.provide(KeySet.layerRemote(options)),
 *   Layer.provide(FetchHttpClient.layer)
 * )
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const entraTenants = (options: {
  /** Directory (tenant) IDs of the tenants that may use this API, or a function that returns `true` for them. */
  readonly tenants: ReadonlyArray<string> | ((tenant: string) => boolean)
  /** Application (client) ID of the API. */
  readonly audience: Audience
  /** Kind of permissions that are read as scopes, as for `entra`. @default "delegated" */
  readonly permissions?: "delegated" | "application"
  /** National cloud: `"us"` is Azure Government, `"china"` is operated by 21Vianet. @default "global" */
  readonly cloud?: "global" | "us" | "china"
}): Options & { readonly url: string } => {
  const { audience, cloud = "global", permissions = "delegated", tenants } = ownProperties(options)
  assertOneOf("entraTenants: permissions", permissions, ["delegated", "application"])
  assertOneOf("entraTenants: cloud", cloud, ["global", "us", "china"])
  const host = `https://${entraHosts[cloud]}`
  return {
    issuer: `${host}/{tenantid}/v2.0`,
    tenants,
    url: `${host}/common/discovery/v2.0/keys`,
    ...entraRules(audience, permissions, "2.0")
  }
}

const entraHosts = {
  global: "login.microsoftonline.com",
  us: "login.microsoftonline.us",
  china: "login.partner.microsoftonline.cn"
}

/**
 * Creates options for a user pool of Amazon Cognito.
 *
 * **Details**
 *
 * - Access tokens have no `aud`. Instead, the API accepts the tokens of certain clients (`client_id`).
 * - `token_use` marks access tokens.
 * - A pool has one of two issuers, which `IssuerConfiguration` of the pool names: `ORIGINAL` or `UPDATED`.
 * - The issuer ends in `amazonaws.com.cn` for regions in China, and in `amazonaws.eu` for the European Sovereign Cloud.
 *   These are the DNS suffixes of the AWS partitions.
 *
 * **Gotchas**
 *
 * The updated issuer outside `amazonaws.com` is not confirmed against documentation of AWS, which names only
 * `https://issuer-cognito-idp.REGION.amazonaws.com/…`. Compare it with the `iss` of a token.
 *
 * Source: https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-the-access-token.html,
 * https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_IssuerConfigurationType.html,
 * https://github.com/boto/botocore/blob/develop/botocore/data/partitions.json.
 *
 * **Example** (Accepting the tokens of two app clients)
 *
 * ```ts import.meta.vitest
 * import { Provider } from "effect-oauth2"
 *
 * const options = Provider.cognito({
 *   region: "eu-central-1",
 *   userPoolId: "eu-central-1_Ab1Cd2Ef3",
 *   clientId: ["57cbishk4j24pabc1234567890", "1example23456789"]
 * })
 *
 * options.issuer // => "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_Ab1Cd2Ef3"
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const cognito = (options: {
  /** Region of the pool: `eu-central-1`. */
  readonly region: string
  /** ID of the pool, which begins with its region: `eu-central-1_Ab1Cd2Ef3`. */
  readonly userPoolId: string
  /** IDs of the app clients whose tokens are accepted. */
  readonly clientId: Audience
  /** Form of the issuer: `https://cognito-idp.…`, or `https://issuer-cognito-idp.…`. @default "original" */
  readonly issuer?: "original" | "updated"
}): Options => {
  const { issuer = "original" } = ownProperties(options)
  assertOneOf("cognito: issuer", issuer, ["original", "updated"])
  const region = checked("cognito: region", options.region, /^[a-z]+(-[a-z]+)+-\d+$/, "a region, such as eu-central-1")
  const userPoolId = checked(
    "cognito: userPoolId",
    options.userPoolId,
    new RegExp(`^${region}_[0-9a-zA-Z]+$`),
    `the ID of a user pool in the region, such as ${region}_Ab1Cd2Ef3`
  )
  return {
    issuer: `https://${issuer === "updated" ? "issuer-" : ""}cognito-idp.${region}.${awsDomain(region)}/${userPoolId}`,
    audience: options.clientId,
    audienceClaim: "client_id",
    algorithms: ["RS256"],
    profile: "jwt",
    accessTokenClaims: { token_use: "access" }
  }
}

/** Each partition of AWS has its own domain. */
const awsDomain = (region: string): string =>
  region.startsWith("cn-") ? "amazonaws.com.cn" : region.startsWith("eusc-") ? "amazonaws.eu" : "amazonaws.com"

/**
 * Creates options for ID tokens of Google.
 *
 * **Details**
 *
 * Google's access tokens are opaque and only for Google's APIs. Cloud Run, Identity-Aware clients and service accounts
 * send ID tokens to your API instead.
 *
 * **Gotchas**
 *
 * ID tokens have no scopes. Authorize by subject, or with a custom check of `email` or `hd`.
 *
 * Source: Google documentation, "OpenID Connect: Validating an ID token", "Cloud Run: Authenticating
 * service-to-service".
 *
 * **Example** (Accepting users of one Workspace domain)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { JwtVerifier, Provider, Requirement } from "effect-oauth2"
 *
 * export const Verifier = JwtVerifier.layer(Provider.google({ audience: "https://items-abc.a.run.app" }))
 *
 * // Use it as `auth.require(colleague)`.
 * export const colleague = Requirement.check("hd", ({ claims }) => Effect.succeed(claims["hd"] === "example.com"))
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const google = (options: {
  /** OAuth client ID. For tokens of service accounts, the URL of the service. */
  readonly audience: Audience
}): LoginOptions<DeviceEndpoints> =>
  withEndpoints(
    {
      issuer: "https://accounts.google.com",
      issuerAliases: ["accounts.google.com"],
      audience: options.audience,
      algorithms: ["RS256"],
      profile: "id-token",
      clientIdClaim: "azp"
    },
    () => googleEndpoints
  )

const httpUrl = /^https?:\/\/[^\s?#]+$/

/** Validates a URL that is the base of an issuer, and removes slashes at its end. */
const baseUrl = (option: string, value: string, example: string): string =>
  checked(option, value, httpUrl, `a URL such as ${example}`).replace(/\/+$/, "")

/**
 * Creates options for Zitadel.
 *
 * **Details**
 *
 * - Applications must issue JWT access tokens (Auth Token Type: JWT).
 * - `jti` marks access tokens: ID tokens have none. `client_id` names the client.
 * - The scopes are the names of the project's roles, which are the names in an object.
 *
 * **Gotchas**
 *
 * - Clients must request the scopes `urn:zitadel:iam:org:project:id:PROJECT:aud` and
 *   `urn:zitadel:iam:org:projects:roles`.
 * - The claim `urn:zitadel:iam:org:project:roles` has the roles of the client's project, which can be another project.
 *
 * Source: https://zitadel.com/docs/apis/openidoauth/claims, https://zitadel.com/docs/apis/openidoauth/scopes,
 * https://zitadel.com/docs/guides/integrate/retrieve-user-roles,
 * https://github.com/zitadel/oidc/blob/main/pkg/oidc/token.go (`NewAccessTokenClaims`, `NewIDTokenClaims`).
 *
 * **Example** (Reading the roles of a project as scopes)
 *
 * ```ts
 * import { JwtVerifier, Provider } from "effect-oauth2"
 *
 * export const Verifier = JwtVerifier.layer(
 *   Provider.zitadel({ domain: "example.eu1.zitadel.cloud", projectId: "228318482348" })
 * )
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const zitadel = (options: {
  /** Domain of the instance without a scheme: `example.eu1.zitadel.cloud`. */
  readonly domain: string
  /** ID of the API's project, which is the audience. */
  readonly projectId: string
}): LoginOptions<DeviceEndpoints> => {
  const projectId = checked(
    "zitadel: projectId",
    options.projectId,
    /^\w+$/,
    "the ID of a project, such as 228318482348"
  )
  return withEndpoints(
    {
      issuer: `https://${domain("zitadel", options.domain, "example.eu1.zitadel.cloud")}`,
      audience: projectId,
      profile: "jwt",
      accessTokenClaims: { jti: true },
      scopesPath: [`urn:zitadel:iam:org:project:${projectId}:roles`],
      scopesFormat: "names"
    },
    belowWithDevice("oauth/v2/authorize", "oauth/v2/token", "oauth/v2/device_authorization")
  )
}

/**
 * Creates options for authentik.
 *
 * **Details**
 *
 * - `uid` marks access tokens. An access token repeats the `nonce` of the request, so `nonce` is accepted.
 * - `aud` and `azp` are the client ID of the provider. The issuer names the application and ends in a slash.
 *
 * **Gotchas**
 *
 * - The provider must sign with a certificate ("Signing Key"). Without one, it signs with the client secret.
 * - If the issuer mode is "Same identifier is used for all providers", pass `issuer` to a spread of this object.
 *
 * Source: https://docs.goauthentik.io/add-secure-apps/providers/oauth2/,
 * https://github.com/goauthentik/authentik/blob/main/authentik/providers/oauth2/id_token.py.
 *
 * **Example** (Accepting the tokens of one application)
 *
 * ```ts
 * import { JwtVerifier, Provider } from "effect-oauth2"
 *
 * export const Verifier = JwtVerifier.layer(
 *   Provider.authentik({ url: "https://auth.example.com", application: "items", clientId: "vFVyqXYkqS7W" })
 * )
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const authentik = (options: {
  /** Base URL of the server: `https://auth.example.com`. */
  readonly url: string
  /** Slug of the application. */
  readonly application: string
  /** Client ID of the application's provider, or the IDs of several. */
  readonly clientId: Audience
}): LoginOptions<DeviceEndpoints> =>
  withEndpoints(
    {
      issuer: `${baseUrl("authentik: url", options.url, "https://auth.example.com")}/application/o/${checked(
        "authentik: application",
        options.application,
        /^[\w-]+$/,
        "the slug of an application, such as items"
      )}/`,
      audience: options.clientId,
      profile: "jwt",
      clientIdClaim: "azp",
      accessTokenClaims: { uid: true },
      forbiddenClaims: otherClaims.jwt.filter((claim) => claim !== "nonce")
    },
    (issuer) => belowWithDevice("authorize/", "token/", "device/")(issuer.replace(/\/[^/]+\/$/, ""))
  )

/**
 * Creates options for Ory Hydra and Ory Network with JWT access tokens.
 *
 * **Details**
 *
 * - `client_id` marks access tokens: ID tokens have none. The array `scp` holds the scopes, or `scope` if
 *   `strategies.jwt.scope_claim` says so.
 * - `ext` holds the claims that your consent app adds. With the client credentials grant, `sub` is the client.
 *
 * **Gotchas**
 *
 * - Set `strategies.access_token: jwt`. The default is opaque tokens, for which you can use `TokenIntrospection`.
 * - A client must request the audience, and its registration must allow it. Otherwise, `aud` is empty.
 *
 * Source: https://www.ory.sh/docs/oauth2-oidc/jwt-access-token, https://www.ory.sh/docs/hydra/guides/audiences,
 * https://github.com/ory/hydra/blob/master/oauth2/session.go (`GetJWTClaims`),
 * https://github.com/ory/hydra/blob/master/fosite/token/jwt/claims_jwt.go.
 *
 * **Example** (Verifying tokens of Hydra)
 *
 * ```ts
 * import { JwtVerifier, Provider } from "effect-oauth2"
 *
 * export const Verifier = JwtVerifier.layer(
 *   Provider.hydra({ issuer: "https://auth.example.com/", audience: "https://api.example.com" })
 * )
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const hydra = (options: {
  /** The option `urls.self.issuer` of Hydra, exactly, including a trailing slash. */
  readonly issuer: string
  /** Audience that clients request. */
  readonly audience: Audience
}): LoginOptions<DeviceEndpoints> =>
  withEndpoints(
    {
      issuer: options.issuer,
      audience: options.audience,
      profile: "jwt",
      accessTokenClaims: { client_id: true }
    },
    belowWithDevice("oauth2/auth", "oauth2/token", "oauth2/device/auth")
  )

/**
 * Creates options for Logto.
 *
 * **Details**
 *
 * - Access tokens for API resources are marked (`at+jwt`), and `scope` holds the permissions of the resource.
 * - Logto signs with ES384 by default. Your own keys can be RSA keys (RS256) or have another curve (ES256, ES512).
 * - For machine-to-machine applications, `sub` is the ID of the application.
 *
 * **Gotchas**
 *
 * - Clients must request the resource. Otherwise, Logto issues an opaque token.
 *
 * Source: https://docs.logto.io/authorization/validate-access-tokens,
 * https://github.com/logto-io/logto/blob/master/packages/core/src/oidc/resource.ts,
 * https://github.com/panva/node-oidc-provider/blob/main/lib/models/formats/jwt.js (Logto uses this library).
 *
 * **Example** (Verifying tokens for an API resource)
 *
 * ```ts
 * import { JwtVerifier, Provider } from "effect-oauth2"
 *
 * export const Verifier = JwtVerifier.layer(
 *   Provider.logto({ domain: "example.logto.app", audience: "https://api.example.com" })
 * )
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const logto = (options: {
  /** Domain of the tenant, or your custom domain, without a scheme: `example.logto.app`. */
  readonly domain: string
  /** Identifier of the API resource. */
  readonly audience: Audience
}): LoginOptions =>
  withEndpoints(
    {
      issuer: `https://${domain("logto", options.domain, "example.logto.app")}/oidc`,
      audience: options.audience,
      algorithms: ["ES384", "ES256", "ES512", "RS256"]
    },
    below("auth", "token")
  )

/**
 * Creates options for session tokens of Clerk.
 *
 * **Details**
 *
 * - Session tokens have no `aud`. Instead, `azp` is the origin of the page that requested the token.
 * - `sid` marks session tokens.
 *
 * **Gotchas**
 *
 * - A token has no `azp` if the request had no `Origin` header. Such a token is refused.
 * - Tokens have no scopes. Set `scopesPath` if a custom claim has permissions, or authorize by subject.
 * - `sts` is `pending` while a user must complete a task. Check it if your instance uses session tasks.
 *
 * Source: https://clerk.com/docs/guides/sessions/session-tokens,
 * https://clerk.com/docs/guides/sessions/manual-jwt-verification.
 *
 * **Example** (Accepting the tokens of two origins)
 *
 * ```ts
 * import { Layer } from "effect"
 * import { JwtVerifier, KeySet, Provider } from "effect-oauth2"
 *
 * export const Verifier = JwtVerifier.layerKeySet(
 *   Provider.clerk({ domain: "clerk.example.com", origins: ["https://example.com", "https://app.example.com"] })
 * ).pipe(Layer.provide(KeySet.layerRemote({ url: "https://clerk.example.com/.well-known/jwks.json" })))
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const clerk = (options: {
  /** Domain of the Frontend API without a scheme: `clerk.example.com`, or `example.clerk.accounts.dev`. */
  readonly domain: string
  /** Origins of your pages, exactly as in `azp`: `https://app.example.com`. */
  readonly origins: Audience
}): LoginOptions =>
  withEndpoints(
    {
      issuer: `https://${domain("clerk", options.domain, "clerk.example.com")}`,
      audience: options.origins,
      audienceClaim: "azp",
      algorithms: ["RS256"],
      profile: "jwt",
      accessTokenClaims: { sid: true }
    },
    below("oauth/authorize", "oauth/token")
  )

/**
 * Creates options for session tokens of WorkOS AuthKit.
 *
 * **Details**
 *
 * - Session tokens have no `aud`, so the audience is not checked (`audience: false`). The issuer and the keys belong to
 *   one client.
 * - `sid` marks session tokens. `permissions` holds the scopes.
 * - The `iss` of environments that were created before mid-2025 is `https://api.workos.com`, and that of newer ones names
 *   the client. Both are accepted, because only the keys of your client sign your tokens.
 *
 * **Gotchas**
 *
 * - Every session token of your client is accepted.
 * - Use only the keys at `https://api.workos.com/sso/jwks/CLIENT_ID`.
 * - If `iss` has your custom domain, pass `issuer`. Then only this issuer is accepted.
 *
 * Source: https://workos.com/docs/reference/authkit/session-tokens,
 * https://github.com/workos/workos-node/pull/1694 (forms of the issuer).
 *
 * **Example** (Reading permissions as scopes)
 *
 * ```ts
 * import { Layer } from "effect"
 * import { JwtVerifier, KeySet, Provider } from "effect-oauth2"
 *
 * export const Verifier = JwtVerifier.layerKeySet(
 *   Provider.workos({ clientId: "client_01HZ" })
 * ).pipe(Layer.provide(KeySet.layerRemote({ url: "https://api.workos.com/sso/jwks/client_01HZ" })))
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const workos = (options: {
  /** Client ID of your WorkOS environment: `client_…`. */
  readonly clientId: string
  /** The `iss` of your tokens. Default: `https://api.workos.com/user_management/CLIENT_ID` or `https://api.workos.com`. */
  readonly issuer?: string
}): Options => {
  const clientId = checked("workos: clientId", options.clientId, /^client_\w+$/, "a client ID, such as client_01HZ")
  const { issuer } = ownProperties(options)
  return {
    ...(issuer === undefined
      ? {
          issuer: `https://api.workos.com/user_management/${clientId}`,
          issuerAliases: ["https://api.workos.com"]
        }
      : { issuer }),
    audience: false,
    algorithms: ["RS256"],
    profile: "jwt",
    accessTokenClaims: { sid: true },
    scopesPath: ["permissions"]
  }
}

/**
 * Creates options for FusionAuth.
 *
 * **Details**
 *
 * - `applicationId` marks access tokens: ID tokens have none since version 1.24. `aud` is the client ID, which is the
 *   ID of the application.
 * - `tty: "at"` marks access tokens, too. It is in tokens of recent versions, but FusionAuth does not document it.
 * - `scope` holds the scopes of the request, and `roles` the roles of the user.
 *
 * **Gotchas**
 *
 * - Users must be registered for the application. Otherwise, tokens have neither `applicationId` nor `roles`.
 * - Tokens of entities (client credentials grant) have neither mark. For them, set `accessTokenClaims` to
 *   `{ permissions: true }` and `audience` to the ID of the target entity.
 * - The issuer is a setting of the tenant ("Issuer"), and often not a URL. Keys are at `/.well-known/jwks.json` of the
 *   server.
 * - Choose an RSA or EC key for access tokens. The default key is a secret (HS256).
 *
 * Source: https://fusionauth.io/docs/lifecycle/authenticate-users/oauth/tokens.
 *
 * **Example** (Reading roles as scopes)
 *
 * ```ts
 * import { Layer } from "effect"
 * import { JwtVerifier, KeySet, Provider } from "effect-oauth2"
 *
 * export const Verifier = JwtVerifier.layerKeySet(
 *   Provider.fusionAuth({ issuer: "example.com", clientId: "8306958a-db30-48a6-a93c-27353669cb71", scopesFrom: "roles" })
 * ).pipe(Layer.provide(KeySet.layerRemote({ url: "https://auth.example.com/.well-known/jwks.json" })))
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const fusionAuth = (options: {
  /** Issuer of the tenant, exactly as configured. */
  readonly issuer: string
  /** ID of the application, or the IDs of several. */
  readonly clientId: Audience
  /** Source of the scopes: the claim `scope`, or the roles of the user. @default "scope" */
  readonly scopesFrom?: "scope" | "roles"
}): Options => {
  const { scopesFrom = "scope" } = ownProperties(options)
  assertOneOf("fusionAuth: scopesFrom", scopesFrom, ["scope", "roles"])
  return {
    issuer: options.issuer,
    audience: options.clientId,
    profile: "jwt",
    clientIdClaim: "applicationId",
    accessTokenClaims: { tty: "at", applicationId: true },
    scopesPath: [scopesFrom]
  }
}

/**
 * Creates options for PingOne.
 *
 * **Details**
 *
 * - `scope` and `client_id` mark access tokens. The `typ` header is `at+jwt` or absent.
 * - The issuer contains the ID of the environment.
 *
 * **Gotchas**
 *
 * - A token of the client credentials grant has no `sub`. To accept such tokens, set `machineClients: true`. Then no
 *   client may have the identifier of a user.
 * - Clients must request scopes of your custom resource. Otherwise, the audience is the API of PingOne.
 * - For PingFederate, use `oidc`. Its administrator chooses the claims.
 *
 * Source: https://developer.pingidentity.com/pingone-api/foundations/authentication-concepts/access-tokens-and-id-tokens/token-claims.html.
 *
 * **Example** (Verifying tokens for a custom resource)
 *
 * ```ts
 * import { JwtVerifier, Provider } from "effect-oauth2"
 *
 * export const Verifier = JwtVerifier.layer(
 *   Provider.pingOne({
 *     domain: "auth.pingone.eu",
 *     environmentId: "11111111-2222-3333-4444-555555555555",
 *     audience: "https://api.example.com"
 *   })
 * )
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const pingOne = (options: {
  /** Domain of your region, or your custom domain, without a scheme: `auth.pingone.eu`. */
  readonly domain: string
  /** ID of the environment, a GUID. */
  readonly environmentId: string
  /** Audience of the custom resource. */
  readonly audience: Audience
  /** Accepts tokens without `sub`, and uses `client_id` as their subject. @default false */
  readonly machineClients?: boolean
}): LoginOptions<DeviceEndpoints> =>
  withEndpoints(
    {
      issuer: `https://${domain("pingOne", options.domain, "auth.pingone.eu")}/${checked(
        "pingOne: environmentId",
        options.environmentId,
        /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i,
        "the ID of the environment, which is a GUID"
      ).toLowerCase()}/as`,
      audience: options.audience,
      algorithms: ["RS256"],
      profile: "jwt",
      accessTokenClaims: { scope: true, client_id: true },
      ...subjectOf(options)
    },
    belowWithDevice("authorize", "token", "device_authorization")
  )

/** Some providers write no `sub` for clients that act for themselves (RFC 9068 §2.2 requires it). */
const subjectOf = (options: { readonly machineClients?: boolean }): Pick<Options, "subjectClaims"> =>
  ownProperties(options).machineClients === true ? { subjectClaims: ["sub", "client_id"] } : {}

/**
 * Creates options for tokens of the JWT plugin of better-auth.
 *
 * **Details**
 *
 * - `iss` and `aud` are the origin of `baseURL`, without a path and a slash at its end.
 * - Tokens contain the user. The claim `id` marks them. The default algorithm is EdDSA.
 *
 * **Gotchas**
 *
 * - If you set `jwt.issuer` of the plugin, pass it as `issuer` in a spread of this object.
 * - If you set `definePayload`, set `accessTokenClaims` to a claim of your payload.
 * - Tokens have no scopes. Set `scopesPath` if your payload has permissions.
 *
 * Source: https://www.better-auth.com/docs/plugins/jwt,
 * https://github.com/better-auth/better-auth/blob/main/packages/better-auth/src/plugins/jwt/sign.ts.
 *
 * **Example** (Verifying tokens of better-auth)
 *
 * ```ts
 * import { Layer } from "effect"
 * import { JwtVerifier, KeySet, Provider } from "effect-oauth2"
 *
 * export const Verifier = JwtVerifier.layerKeySet(
 *   Provider.betterAuth({ url: "https://app.example.com" })
 * ).pipe(Layer.provide(KeySet.layerRemote({ url: "https://app.example.com/api/auth/jwks" })))
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const betterAuth = (options: {
  /** The `baseURL` of better-auth. */
  readonly url: string
  /** Option `jwt.audience` of the plugin. Default: the origin of `url`. */
  readonly audience?: Audience
}): Options => {
  const url = checked("betterAuth: url", options.url, httpUrl, "a URL such as https://app.example.com")
  const { origin } = new URL(url)
  const { audience = origin } = ownProperties(options)
  return { issuer: origin, audience, profile: "jwt", accessTokenClaims: { id: true } }
}

/**
 * Creates options for users of Supabase Auth.
 *
 * **Details**
 *
 * - `session_id` marks the tokens of users: ID tokens have none. `aud` is `authenticated`. The keys `anon` and
 *   `service_role` are refused.
 * - The project must use asymmetric signing keys. For the legacy secret, see the second example.
 *
 * **Gotchas**
 *
 * - `is_anonymous` is `true` for anonymous sign-ins. Check it if your project allows them.
 * - Tokens have no scopes. An access token hook can add them.
 *
 * Source: https://supabase.com/docs/guides/auth/jwt-fields, https://supabase.com/docs/guides/auth/signing-keys,
 * https://github.com/supabase/auth/blob/master/internal/tokens/service.go (`AccessTokenClaims`, `IDTokenClaims`).
 *
 * **Example** (Verifying tokens with signing keys, or with the legacy secret)
 *
 * ```ts
 * import { Layer, Redacted } from "effect"
 * import { JwtVerifier, KeySet, Provider } from "effect-oauth2"
 *
 * const options = Provider.supabase({ project: "abcdefghijklmnopqrst" })
 *
 * export const Verifier = JwtVerifier.layerKeySet(options).pipe(
 *   Layer.provide(KeySet.layerRemote({ url: `${options.issuer}/.well-known/jwks.json` }))
 * )
 *
 * export const legacy = (secret: Redacted.Redacted) => JwtVerifier.layerSecret({ ...options, secret, algorithm: "HS256" })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const supabase = (options: {
  /** Reference of the project: the first part of `abcdefghijklmnopqrst.supabase.co`. */
  readonly project: string
}): Options => ({
  issuer: `https://${checked(
    "supabase: project",
    options.project,
    /^[a-z0-9]+$/,
    "the reference of a project, such as abcdefghijklmnopqrst"
  )}.supabase.co/auth/v1`,
  audience: "authenticated",
  algorithms: ["ES256", "RS256"],
  profile: "jwt",
  accessTokenClaims: { session_id: true }
})

/**
 * Creates options for ID tokens of Firebase Authentication and Google Identity Platform.
 *
 * **Details**
 *
 * - Clients send ID tokens. The claim `firebase` marks them. `aud` is the ID of the project.
 * - Session cookies have another issuer and are refused.
 *
 * **Gotchas**
 *
 * - Tokens have no scopes. Custom claims can have roles: set `scopesPath`.
 *
 * Source: https://firebase.google.com/docs/auth/admin/verify-id-tokens#verify_id_tokens_using_a_third-party_jwt_library,
 * https://github.com/firebase/firebase-admin-node/blob/main/src/auth/token-verifier.ts (`DecodedIdToken`).
 *
 * **Example** (Reading a custom claim as scopes)
 *
 * ```ts
 * import { JwtVerifier, Provider } from "effect-oauth2"
 *
 * export const Verifier = JwtVerifier.layer({
 *   ...Provider.firebase({ projectId: "example-app" }),
 *   scopesPath: ["roles"]
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const firebase = (options: {
  /** ID of the project. */
  readonly projectId: string
}): Options => {
  const projectId = checked(
    "firebase: projectId",
    options.projectId,
    /^[a-z0-9.:-]+$/,
    "the ID of a project, such as example-app"
  )
  return {
    issuer: `https://securetoken.google.com/${projectId}`,
    audience: projectId,
    algorithms: ["RS256"],
    profile: "jwt",
    accessTokenClaims: { firebase: true }
  }
}

/**
 * Creates options for application tokens of Cloudflare Access.
 *
 * **Details**
 *
 * - `type` is `app` in application tokens. `aud` is the AUD tag of the application.
 * - In the token of a service, `sub` is empty, and `common_name` names the service token.
 *
 * **Gotchas**
 *
 * - Cloudflare sends the token in the header `Cf-Access-Jwt-Assertion`. Copy it to `Authorization: Bearer` in a proxy
 *   or a middleware.
 *
 * Source:
 * https://developers.cloudflare.com/cloudflare-one/access-controls/applications/http-apps/authorization-cookie/application-token/,
 * https://developers.cloudflare.com/cloudflare-one/access-controls/applications/http-apps/authorization-cookie/validating-json/.
 *
 * **Example** (Verifying tokens of users)
 *
 * ```ts
 * import { Layer } from "effect"
 * import { JwtVerifier, KeySet, Provider } from "effect-oauth2"
 *
 * export const Verifier = JwtVerifier.layerKeySet(
 *   Provider.cloudflareAccess({ team: "example", audience: "32eafc7626e974616deaf0dc3ce63d7bcbed58a2731e84d0" })
 * ).pipe(Layer.provide(KeySet.layerRemote({ url: "https://example.cloudflareaccess.com/cdn-cgi/access/certs" })))
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const cloudflareAccess = (options: {
  /** Name of the team: the first part of `example.cloudflareaccess.com`. */
  readonly team: string
  /** Application audience (AUD) tag. */
  readonly audience: Audience
  /** Kind of tokens that are accepted. @default "users" */
  readonly callers?: "users" | "services"
}): Options => {
  const { callers = "users" } = ownProperties(options)
  assertOneOf("cloudflareAccess: callers", callers, ["users", "services"])
  const isService = callers === "services"
  return {
    issuer: `https://${checked(
      "cloudflareAccess: team",
      options.team,
      /^[a-z0-9-]+$/,
      "the name of a team, such as example"
    )}.cloudflareaccess.com`,
    audience: options.audience,
    algorithms: ["RS256"],
    profile: "jwt",
    accessTokenClaims: { type: "app" },
    ...(isService ? { subjectClaims: ["common_name"] as const, clientIdClaim: "common_name" } : undefined)
  }
}

/**
 * Creates options for OpenID Connect tokens of GitHub Actions.
 *
 * **Details**
 *
 * - The claims name the repository, the branch and the workflow. `repository` marks the tokens.
 * - `aud` is the audience that the workflow requests: `core.getIDToken("https://api.example.com")`.
 *
 * **Gotchas**
 *
 * - Every workflow on GitHub can get a token for your audience. Therefore, you must name a repository or an owner.
 * - To accept only one branch or environment, check `ref` or `environment` in `requiredClaims`.
 * - The form of `sub` differs: since July 2026, the `sub` of new repositories contains IDs (`repo:example@1/items@2:…`).
 * - With data residency, the issuer is `https://token.actions.SUBDOMAIN.ghe.com`. Pass it in a spread of this object.
 *
 * Source: https://docs.github.com/en/actions/reference/security/oidc.
 *
 * **Example** (Accepting the workflows of one repository on its main branch)
 *
 * ```ts
 * import { JwtVerifier, Provider } from "effect-oauth2"
 *
 * const options = Provider.githubActions({ repository: "example/items", audience: "https://api.example.com" })
 *
 * export const Verifier = JwtVerifier.layer({
 *   ...options,
 *   requiredClaims: { ...options.requiredClaims, ref: "refs/heads/main" }
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const githubActions = (options: {
  /** Audience that the workflow requests. Do not use the default audience, which each service of the owner has. */
  readonly audience: Audience
  /** Repository (`owner/name`), or all repositories of an owner (`{ owner: "example" }`). */
  readonly repository: string | { readonly owner: string }
  /** Slug of the enterprise, if its tokens have their own issuer. @default none */
  readonly enterprise?: string
}): Options => {
  const { enterprise, repository } = ownProperties(options)
  const slug =
    enterprise === undefined
      ? ""
      : `/${checked("githubActions: enterprise", enterprise, /^[\w-]+$/, "the slug of an enterprise, such as octo")}`
  const requiredClaims: Readonly<Record<string, string>> =
    typeof repository === "object"
      ? {
          repository_owner: checked(
            "githubActions: repository.owner",
            repository.owner,
            /^[\w-]+$/,
            "the name of an owner, such as example"
          )
        }
      : {
          repository: checked(
            "githubActions: repository",
            repository,
            /^[\w-]+\/[\w.-]+$/,
            "the owner and the name of a repository, such as example/items"
          )
        }
  return {
    issuer: `https://token.actions.githubusercontent.com${slug}`,
    audience: options.audience,
    algorithms: ["RS256"],
    profile: "jwt",
    accessTokenClaims: { repository: true },
    requiredClaims
  }
}

/**
 * Creates options for tokens of Kubernetes service accounts.
 *
 * **Details**
 *
 * - `sub` is `system:serviceaccount:NAMESPACE:NAME`. The claim `kubernetes.io` marks bound tokens.
 * - The pod chooses the audience in its `serviceAccountToken` volume.
 *
 * **Gotchas**
 *
 * - Tokens of secrets (`kubernetes/serviceaccount`) have no audience and never expire. They are refused.
 * - The API server responds to the keys only with credentials, unless you bind
 *   `system:service-account-issuer-discovery` to unauthenticated users.
 * - Tokens have no scopes. Authorize by subject, or with `readScopes`.
 *
 * Source: https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/,
 * https://github.com/kubernetes/kubernetes/blob/master/pkg/serviceaccount/claims.go,
 * https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/#serviceaccount-token-volume-projection.
 *
 * **Example** (Verifying tokens of a cluster whose issuer is public)
 *
 * ```ts
 * import { JwtVerifier, Provider } from "effect-oauth2"
 *
 * export const Verifier = JwtVerifier.layer(
 *   Provider.kubernetes({
 *     issuer: "https://oidc.eks.eu-central-1.amazonaws.com/id/80D562ED8026E912",
 *     audience: "https://api.example.com"
 *   })
 * )
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const kubernetes = (options: {
  /** Option `--service-account-issuer` of the API server, exactly. */
  readonly issuer: string
  /** Audience in the volume of the pod. */
  readonly audience: Audience
}): Options => ({
  issuer: options.issuer,
  audience: options.audience,
  profile: "jwt",
  accessTokenClaims: { "kubernetes.io": true }
})

/**
 * Creates options for the authorization service of SAP BTP (XSUAA).
 *
 * **Details**
 *
 * - `aud` contains the client ID or the name of the application. `azp` names the client.
 * - `client_id` marks access tokens: ID tokens have `azp` and `cid`, but no `client_id`.
 * - Scopes begin with the name of the application. They are read without it: `items!t123.Read` grants `Read`.
 * - The header's `jku` is ignored. Keys come only from the URL that you name.
 *
 * **Gotchas**
 *
 * - Scopes of other applications grant nothing.
 * - Each tenant has its own issuer, which its subdomain names. These options accept the tokens of one tenant.
 *
 * Source: https://help.sap.com/docs/btp/sap-business-technology-platform/what-is-sap-authorization-and-trust-management-service,
 * https://github.com/cloudfoundry/uaa/blob/develop/server/src/main/java/org/cloudfoundry/identity/uaa/oauth/UaaTokenServices.java,
 * https://github.com/cloudfoundry/uaa/blob/develop/server/src/main/java/org/cloudfoundry/identity/uaa/oauth/openid/IdToken.java,
 * https://github.com/SAP/cloud-security-services-integration-library (`XsuaaToken.getClientId`).
 *
 * **Example** (Verifying tokens with the service binding)
 *
 * ```ts
 * import { Layer } from "effect"
 * import { JwtVerifier, KeySet, Provider } from "effect-oauth2"
 *
 * export const Verifier = JwtVerifier.layerKeySet(
 *   Provider.xsuaa({
 *     url: "https://example.authentication.eu10.hana.ondemand.com",
 *     application: "items!t123",
 *     clientId: "sb-items!t123"
 *   })
 * ).pipe(Layer.provide(KeySet.layerRemote({ url: "https://example.authentication.eu10.hana.ondemand.com/token_keys" })))
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const xsuaa = (options: {
  /** The `url` of the service binding. */
  readonly url: string
  /** The `xsappname` of the service binding. */
  readonly application: string
  /** The `clientid` of the service binding. */
  readonly clientId: string
}): Options => {
  const application = checked("xsuaa: application", options.application, /^\S+$/, "the xsappname, such as items!t123")
  const prefix = `${application}.`
  return {
    issuer: `${baseUrl("xsuaa: url", options.url, "https://example.authentication.eu10.hana.ondemand.com")}/oauth/token`,
    audience: [options.clientId, application],
    algorithms: ["RS256"],
    profile: "jwt",
    clientIdClaim: "azp",
    accessTokenClaims: { client_id: true },
    readScopes: ({ scope }) =>
      Array.isArray(scope)
        ? scope.flatMap((name) =>
            typeof name === "string" && name.startsWith(prefix) ? [name.slice(prefix.length)] : []
          )
        : []
  }
}

/**
 * Creates options for Duende IdentityServer.
 *
 * **Details**
 *
 * - Access tokens are marked (`at+jwt`). `scope` is an array, or a text if `EmitScopesAsSpaceDelimitedStringInJwt` is
 *   set.
 * - `aud` is the name of the API resource.
 *
 * **Gotchas**
 *
 * - A token of the client credentials grant has no `sub`. To accept such tokens, set `machineClients: true`. Then no
 *   client may have the identifier of a user.
 * - Without an API resource, tokens have no `aud`. Declare one, or set `EmitStaticAudienceClaim` and use
 *   `ISSUER/resources`.
 *
 * Source: https://docs.duendesoftware.com/identityserver/apis/aspnetcore/authorization,
 * https://docs.duendesoftware.com/identityserver/fundamentals/resources/api-resources,
 * https://github.com/DuendeSoftware/products/blob/main/identity-server/src/IdentityServer/Services/Default/DefaultClaimsService.cs.
 *
 * **Example** (Accepting users and machine clients)
 *
 * ```ts
 * import { JwtVerifier, Provider } from "effect-oauth2"
 *
 * export const Verifier = JwtVerifier.layer(
 *   Provider.duende({ issuer: "https://id.example.com", audience: "items", machineClients: true })
 * )
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const duende = (options: {
  /** Issuer, exactly as in the discovery document. */
  readonly issuer: string
  /** Name of the API resource. */
  readonly audience: Audience
  /** Accepts tokens without `sub`, and uses `client_id` as their subject. @default false */
  readonly machineClients?: boolean
}): LoginOptions<DeviceEndpoints> =>
  withEndpoints(
    {
      issuer: options.issuer,
      audience: options.audience,
      profile: "at+jwt",
      ...subjectOf(options)
    },
    belowWithDevice("connect/authorize", "connect/token", "connect/deviceauthorization")
  )

/**
 * Fetches the endpoints of an issuer from its metadata, for the `provider` option of a scheme.
 *
 * **When to use**
 *
 * Use if the issuer comes from the environment, and you do not want to write its other URLs down.
 *
 * **Details**
 *
 * The scheme's layer fetches the metadata once when it is built (OpenID Connect Discovery 1.0 §4, RFC 8414 §3). Only
 * documents contain the endpoints, so requests are not affected. The effect fails with one of these errors:
 *
 * | failure | cause |
 * |---|---|
 * | `ConfigurationError` | an option is not valid |
 * | `AuthorizationServerUnavailable` | no metadata, metadata of another issuer, or metadata without an endpoint. A warning says which. |
 *
 * **Gotchas**
 *
 * The program does not start if the issuer is unreachable. To start without it, write the URLs into the scheme. On
 * Cloudflare Workers, layers must not fetch.
 *
 * **Example** (Discovering the endpoints of an issuer from the environment)
 *
 * ```ts
 * import { Config, Effect } from "effect"
 * import { JwtVerifier, OAuth2, Provider } from "effect-oauth2"
 *
 * const issuer = Config.String("ISSUER")
 *
 * export const auth = OAuth2.authorizationCode("OAuth2", {
 *   provider: Effect.flatMap(issuer, (issuer) => Provider.discover({ issuer })),
 *   scopes: { me: "Read your profile" }
 * })
 *
 * export const Authentication = auth.layer(JwtVerifier.layerConfig({ issuer, audience: Config.String("AUDIENCE") }))
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const discover = (options: {
  /** Identifier of the issuer, exactly as in its metadata. An `https` URL (`http` on loopback). */
  readonly issuer: string
  /** Hosts that plain http may reach, such as `keycloak:8080` in a container network. @default none */
  readonly httpHosts?: ReadonlyArray<string>
}): Effect.Effect<
  { readonly endpoints: Endpoints },
  ConfigurationError | AuthorizationServerUnavailable,
  NeedsHttpClient
> => {
  const { httpHosts, issuer } = ownProperties(options)
  return Effect.map(fetchEndpoints(issuer, httpHosts), (endpoints) => ({ endpoints }))
}

/**
 * Creates options for any provider that follows OpenID Connect Discovery and issues JWT access tokens.
 *
 * **Details**
 *
 * An access token must have `scope`, `scp` or `client_id`. It must not have `nonce`, `at_hash`, `c_hash` or `s_hash`,
 * which only ID tokens have, or `events`, which only logout tokens have.
 *
 * **Gotchas**
 *
 * OpenID Connect does not define how to distinguish unmarked access tokens from ID tokens. If your provider documents a
 * mark, set `accessTokenClaims`.
 *
 * Source: OpenID Connect Discovery 1.0 §4, OpenID Connect Core 1.0 §2, RFC 9068 §2.
 *
 * **Example** (Naming the claim that marks access tokens)
 *
 * ```ts
 * import { JwtVerifier, Provider } from "effect-oauth2"
 *
 * export const Verifier = JwtVerifier.layer({
 *   ...Provider.oidc({ issuer: "https://id.example.com", audience: "https://api.example.com" }),
 *   accessTokenClaims: { token_use: "access" }
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const oidc = (options: {
  /** Identifier of the issuer, exactly as in its discovery document and in its tokens. */
  readonly issuer: string
  /** Identifier of the API. Do not use a client ID, which is the audience of ID tokens. */
  readonly audience: Audience
}): Options => ({ issuer: options.issuer, audience: options.audience, profile: "jwt" })
