/**
 * Options of `JwtVerifier` for well-known identity providers.
 *
 * **Details**
 *
 * Each function returns a plain object. Change it with a spread: `{ ...Provider.auth0({ … }), maxTokenAge: "1 hour" }`.
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
import { otherClaims } from "./claims/profile.ts"
import { ownProperties } from "../core/lib/ownProperties.ts"
import type { Options } from "./JwtVerifier.ts"

type Audience = Options["audience"]

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
}): Options => ({
  issuer: `https://${domain("auth0", options.domain, "example.eu.auth0.com")}/`,
  audience: options.audience,
  algorithms: ["RS256", "PS256"],
  profile: "jwt",
  // If a client requests no scopes, its token has no `scope` claim.
  accessTokenClaims: { scope: true, azp: true, client_id: true },
  ...(ownProperties(options).permissions === true ? { scopesPath: ["permissions"] as const } : undefined)
})

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
}): Options => ({
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
})

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
}): Options => {
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
  return {
    issuer: `${url.replace(/\/+$/, "")}/realms/${name}`,
    audience,
    profile: "jwt",
    accessTokenClaims: { typ: "Bearer" },
    // The claim `typ` is a sufficient mark. Before version 25, and with the mapper "Nonce backwards compatible", access
    // tokens have a nonce, too.
    forbiddenClaims: [],
    ...(client === undefined ? undefined : { scopesPath: ["resource_access", client, "roles"] as const }),
    ...(scopesFrom === "realm" ? { scopesPath: ["realm_access", "roles"] as const } : undefined)
  }
}

/**
 * Creates options for one tenant of Microsoft Entra ID with tokens of version 2.0.
 *
 * **Details**
 *
 * - The audience is the API's application ID.
 * - `scp` holds delegated permissions of a user. `roles` holds the permissions of an application that acts for itself.
 * - Tokens of another tenant have another issuer.
 *
 * **Gotchas**
 *
 * - Set `requestedAccessTokenVersion: 2` in the API's manifest. The default is version 1.0, whose tokens are refused
 *   because their issuer is `https://sts.windows.net/…`.
 * - To accept both users and applications, declare two schemes and give each its own verifier.
 *
 * Source: Microsoft identity platform documentation, "Access tokens", "Access token claims reference", "Verify scopes
 * and app roles".
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
 *   users.layer.pipe(Layer.provide(JwtVerifier.layer(Provider.entra({ tenant, audience })))),
 *   daemons.layer.pipe(Layer.provide(JwtVerifier.layer(Provider.entra({ tenant, audience, permissions: "application" }))))
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
}): Options => {
  const { audience, permissions = "delegated", tenant } = ownProperties(options)
  assertOneOf("entra: permissions", permissions, ["delegated", "application"])
  return {
    issuer: `https://login.microsoftonline.com/${checked(
      "entra: tenant",
      tenant,
      /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i,
      "the directory (tenant) ID, which is a GUID. The values common and organizations are not issuers"
    ).toLowerCase()}/v2.0`,
    audience,
    algorithms: ["RS256"],
    profile: "jwt",
    clientIdClaim: "azp",
    ...(permissions === "application"
      ? {
          scopesPath: ["roles"] as const,
          accessTokenClaims: { azp: true as const },
          requiredClaims: { ver: "2.0", roles: true as const },
          // In a user's token, `roles` holds the roles of the user, not those of the application.
          forbiddenClaims: ["scp", ...otherClaims.jwt]
        }
      : { scopesPath: ["scp"] as const, accessTokenClaims: { scp: true as const }, requiredClaims: { ver: "2.0" } })
  }
}

/**
 * Creates options for a user pool of Amazon Cognito.
 *
 * **Details**
 *
 * - Access tokens have no `aud`. Instead, the API accepts the tokens of certain clients (`client_id`).
 * - `token_use` marks access tokens.
 *
 * Source: Amazon Cognito documentation, "Verifying JSON web tokens", "Understanding the access token".
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
}): Options => {
  const region = checked("cognito: region", options.region, /^[a-z]+(-[a-z]+)+-\d+$/, "a region, such as eu-central-1")
  const userPoolId = checked(
    "cognito: userPoolId",
    options.userPoolId,
    new RegExp(`^${region}_[0-9a-zA-Z]+$`),
    `the ID of a user pool in the region, such as ${region}_Ab1Cd2Ef3`
  )
  return {
    issuer: `https://cognito-idp.${region}.amazonaws.com/${userPoolId}`,
    audience: options.clientId,
    audienceClaim: "client_id",
    algorithms: ["RS256"],
    profile: "jwt",
    accessTokenClaims: { token_use: "access" }
  }
}

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
}): Options => ({
  issuer: "https://accounts.google.com",
  audience: options.audience,
  algorithms: ["RS256"],
  profile: "id-token",
  clientIdClaim: "azp"
})

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
