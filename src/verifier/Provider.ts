/**
 * Policies for well-known identity providers: what their access tokens really look like, as options of `JwtVerifier`.
 *
 * Each is a plain value to look at and to change: `{ ...Provider.auth0({ … }), clockTolerance: "10 seconds" }`. Any other provider that follows OpenID
 * Connect Discovery is `oidc`; one that marks its access tokens (RFC 9068) needs none: `JwtVerifier.layer({ issuer, audience })` is stricter.
 *
 * A value that no issuer of the provider can have (a domain with a scheme, a tenant that is no GUID) is a `TypeError` that says what it must be.
 *
 * **Example** (An API for users of Auth0)
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

/** A value that an issuer's identifier is made of: one that is not of the right form would make another one's. */
const checked = (what: string, value: string, form: RegExp, words: string): string => {
  // Of `undefined` an expression tests the word.
  if (typeof value === "string" && form.test(value)) return value
  throw new TypeError(`Provider.${what} must be ${words}.`)
}

const assertOneOf = (what: string, value: unknown, values: ReadonlyArray<string>): void => {
  if (values.some((one) => one === value)) return
  throw new TypeError(`Provider.${what} must be ${values.join(" or ")}.`)
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
 * Auth0. The issuer ends in a slash. Access tokens have `typ: JWT` unless the API's token profile is RFC 9068, and name the client in `azp`. With role-based
 * access control and "Add Permissions in the Access Token" what a user may do is in `permissions`, and `scope` is only what the client asked for.
 *
 * Source: Auth0 documentation, "Access Token Profiles", "Validate Access Tokens", "Enable Role-Based Access Control for APIs".
 *
 * **Example** (What a user may do, by role-based access control)
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
  /** The tenant's domain or a custom domain, without a scheme: `example.eu.auth0.com`. */
  readonly domain: string
  /** The API's identifier. */
  readonly audience: Audience
  /** Read scopes from `permissions`. Default: `false`. */
  readonly permissions?: boolean
}): Options => ({
  issuer: `https://${domain("auth0", options.domain, "example.eu.auth0.com")}/`,
  audience: options.audience,
  algorithms: ["RS256", "PS256"],
  profile: "jwt",
  // A token that was asked for without scopes has none.
  accessTokenClaims: { scope: true, azp: true, client_id: true },
  ...(ownProperties(options).permissions === true ? { scopesPath: ["permissions"] as const } : undefined)
})

/**
 * Okta, with a custom authorization server (the tokens of the org server are not for APIs of one's own). Access tokens have no mark in the header; they name
 * the client in `cid` and hold scopes in the array `scp`.
 *
 * Source: Okta documentation, "Validate access tokens", "OpenID Connect & OAuth 2.0 API: Access token".
 *
 * **Example** (The default authorization server, and its audience)
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
  /** The org's domain without a scheme: `example.okta.com`. */
  readonly domain: string
  /** The id of the custom authorization server. Default: `default`. */
  readonly authorizationServer?: string
  /** The audience of the authorization server. Okta's default server has `api://default`. */
  readonly audience: Audience
}): Options => ({
  issuer: `https://${domain("okta", options.domain, "example.okta.com")}/oauth2/${checked(
    "okta: authorizationServer",
    ownProperties(options).authorizationServer ?? "default",
    /^\w+$/,
    "the id of a custom authorization server, such as default"
  )}`,
  audience: options.audience,
  algorithms: ["RS256"],
  profile: "jwt",
  clientIdClaim: "cid",
  accessTokenClaims: { cid: true }
})

/**
 * Keycloak. Access tokens have `typ: JWT` in the header and `Bearer` in the claim `typ` (ID tokens have `ID` there), and name the client in `azp`. An audience is
 * there only where a client scope has an audience mapper. Roles are nested: `realm_access.roles`, or `resource_access.CLIENT.roles`.
 *
 * Source: Keycloak documentation, "Server Administration Guide": "Audience support", "Role mappings"; "Securing applications": "OpenID Connect".
 *
 * **Example** (Roles of a client as scopes)
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
  /** The server's base URL, without the realm: `https://sso.example.com`. */
  readonly url: string
  /** The realm's name, as its URL writes it before it is encoded: no path. */
  readonly realm: string
  /** What the audience mapper puts into `aud`: the id of the API's client, as a rule. */
  readonly audience: Audience
  /** Where the scopes are: `scope`, the roles of the realm, or the roles of a client. Default: `scope`. */
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
    // That tells; before version 25, and with the mapper "Nonce backwards compatible", access tokens have a nonce, too.
    forbiddenClaims: [],
    ...(client === undefined ? undefined : { scopesPath: ["resource_access", client, "roles"] as const }),
    ...(scopesFrom === "realm" ? { scopesPath: ["realm_access", "roles"] as const } : undefined)
  }
}

/**
 * Microsoft Entra ID, tokens of version 2.0 (`requestedAccessTokenVersion: 2` in the API's manifest). The audience is the API's application id. Delegated
 * permissions are in `scp`; those of an application that acts for itself are in `roles`. One tenant: tokens of others have another issuer.
 *
 * **Gotchas**
 *
 * A token of version 1.0 (the manifest's default) has another issuer, `https://sts.windows.net/…`, and is refused for its `iss`: set the version in the manifest.
 * Users and applications that act for themselves are two policies of one issuer: two schemes, each with a verifier of its own.
 *
 * Source: Microsoft identity platform documentation, "Access tokens", "Access token claims reference", "Verify scopes and app roles".
 *
 * **Example** (Users, and daemons beside them)
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
  /** The directory (tenant) id, a GUID: not `common` or `organizations`, which are no issuers. */
  readonly tenant: string
  /** The API's application (client) id. */
  readonly audience: Audience
  /** `"delegated"` reads `scp` (a user is there), `"application"` reads `roles` (an application for itself: a token with `scp` is refused). Default: `"delegated"`. */
  readonly permissions?: "delegated" | "application"
}): Options => {
  const { audience, permissions = "delegated", tenant } = ownProperties(options)
  assertOneOf("entra: permissions", permissions, ["delegated", "application"])
  return {
    issuer: `https://login.microsoftonline.com/${checked(
      "entra: tenant",
      tenant,
      /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i,
      "the directory (tenant) id, a GUID: common and organizations are no issuers"
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
          // Of a user who has signed in, roles are those that the user was assigned.
          forbiddenClaims: ["scp", ...otherClaims.jwt]
        }
      : { scopesPath: ["scp"] as const, accessTokenClaims: { scp: true as const }, requiredClaims: { ver: "2.0" } })
  }
}

/**
 * Amazon Cognito user pools. Access tokens have no `aud`: the API is known by the clients that may use it (`client_id`), and an access token by
 * `token_use`.
 *
 * Source: Amazon Cognito documentation, "Verifying JSON web tokens", "Understanding the access token".
 *
 * **Example** (The app clients of a pool that may call the API)
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
  /** Where the pool is: `eu-central-1`. */
  readonly region: string
  /** The pool's id, which begins with its region: `eu-central-1_Ab1Cd2Ef3`. */
  readonly userPoolId: string
  /** The app clients whose tokens are taken. */
  readonly clientId: Audience
}): Options => {
  const region = checked("cognito: region", options.region, /^[a-z]+(-[a-z]+)+-\d+$/, "a region, such as eu-central-1")
  const userPoolId = checked(
    "cognito: userPoolId",
    options.userPoolId,
    new RegExp(`^${region}_[0-9a-zA-Z]+$`),
    `the id of a user pool in the region, such as ${region}_Ab1Cd2Ef3`
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
 * Google. Its access tokens are opaque and for Google's own APIs; what a service of one's own can verify is an ID token, which is what Google's clients send
 * to it (Cloud Run, Identity-Aware clients, service accounts). It holds no scopes: decide by subject, or by a check of `email` or `hd`.
 *
 * Source: Google documentation, "OpenID Connect: Validating an ID token", "Cloud Run: Authenticating service-to-service".
 *
 * **Example** (Only people of one Workspace domain)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { JwtVerifier, Provider, Requirement } from "effect-oauth2"
 *
 * export const Verifier = JwtVerifier.layer(Provider.google({ audience: "https://items-abc.a.run.app" }))
 *
 * // For `auth.require(colleague)`: there are no scopes to ask for.
 * export const colleague = Requirement.check("hd", ({ claims }) => Effect.succeed(claims["hd"] === "example.com"))
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const google = (options: {
  /** The OAuth client id, or the service's URL for tokens of service accounts. */
  readonly audience: Audience
}): Options => ({
  issuer: "https://accounts.google.com",
  audience: options.audience,
  algorithms: ["RS256"],
  profile: "id-token",
  clientIdClaim: "azp"
})

/**
 * Any provider that follows OpenID Connect Discovery and whose access tokens are JWTs, marked (RFC 9068) or not. An unmarked one has to have what ID tokens
 * lack: `scope`, `scp` or `client_id`; and nothing that only they have (`nonce`, `at_hash`, `c_hash`, `s_hash`).
 *
 * **Gotchas**
 *
 * The standard does not say what tells the two apart. If your provider does, say it in `accessTokenClaims`: `{ ...Provider.oidc({ … }), accessTokenClaims: { … } }`.
 *
 * Source: OpenID Connect Discovery 1.0 §4, OpenID Connect Core 1.0 §2, RFC 9068 §2.
 *
 * **Example** (A provider that marks its access tokens in a way of its own)
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
  /** The issuer's identifier, as its discovery document and its tokens write it. */
  readonly issuer: string
  /** This API's identifier, never a client's id: that is the audience of ID tokens. */
  readonly audience: Audience
}): Options => ({ issuer: options.issuer, audience: options.audience, profile: "jwt" })
