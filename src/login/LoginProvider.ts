/**
 * Describes the identity provider of a login.
 *
 * **Details**
 *
 * | provider | what is different there |
 * |---|---|
 * | `oidc` | nothing: any issuer with OpenID Connect Discovery |
 * | `google` | refresh tokens only after `offline`, no end of session, scopes come back as URLs |
 * | `entra` | several tenants share their keys, and accounts are `oid` within `tid` |
 * | `github` | no ID tokens: the API says who signed in |
 * | `auth0` | `audience`, and an end session endpoint that the metadata may not name |
 * | `keycloak` | the issuer is the URL of the realm |
 * | `cognito` | the pages have a domain of their own, and the end session endpoint has parameters of its own |
 * | `apple` | the response is a form from another site, the client secret is a signed JWT, the name comes once |
 *
 * @since 0.1.0
 */
import type * as Redacted from "effect/Redacted"
import * as ClientAuthentication from "../client/ClientAuthentication.ts"
import { ownProperties } from "../core/lib/ownProperties.ts"
import * as apple_ from "./provider/apple.ts"
import * as github_ from "./provider/github.ts"
import type { LoginProvider } from "./provider/model.ts"

export type { Claims, Identity, LoginProvider, ProviderEndpoints } from "./provider/model.ts"

/**
 * The registration of the app at a provider.
 *
 * @category models
 * @since 0.1.0
 */
export interface Registration {
  /** Client identifier. */
  readonly clientId: string
  /** Credential of the client. A web app has one (RFC 10017 §6.1.3.1). */
  readonly authentication: ClientAuthentication.ClientAuthentication
  /** Scopes to ask for. The default depends on the provider. */
  readonly scopes?: ReadonlyArray<string>
  /** Other parameters of the authorization request, such as `{ ui_locales: "de" }`. Default: none. */
  readonly parameters?: Readonly<Record<string, string>>
}

type Registered = Pick<LoginProvider, "clientId" | "authentication" | "scopes" | "parameters">

const registered = (
  options: Registration,
  scopes: ReadonlyArray<string>,
  parameters: Readonly<Record<string, string>> = {}
): Registered => ({
  clientId: options.clientId,
  authentication: options.authentication,
  scopes: options.scopes ?? scopes,
  parameters: { ...parameters, ...options.parameters }
})

const standard = {
  responseMode: "query",
  endpoints: undefined,
  endSessionUrl: undefined,
  endSessionParameter: "post_logout_redirect_uri",
  identity: { _tag: "IdToken" },
  scopeNames: {},
  errorNames: {},
  scopeSeparator: " ",
  httpHosts: []
} as const

const defaultScopes = ["openid", "profile", "email"]

/** Throws a `TypeError` if a domain is not a host name, because it becomes a part of URLs. */
const assertHost = (provider: string, domain: unknown, example: string): void => {
  if (typeof domain === "string" && /^[a-z0-9.-]+$/i.test(domain)) return
  throw new TypeError(`LoginProvider.${provider}: domain must be a host name, such as "${example}".`)
}

/**
 * Creates a provider with OpenID Connect Discovery.
 *
 * **Example** (Signing in at your own issuer)
 *
 * ```ts
 * import { Redacted } from "effect"
 * import { ClientAuthentication } from "effect-oauth2/client"
 * import { LoginProvider } from "effect-oauth2/login"
 *
 * export const provider = LoginProvider.oidc({
 *   issuer: "https://idp.example.com",
 *   clientId: "web",
 *   authentication: ClientAuthentication.secret(Redacted.make("secret")),
 *   scopes: ["openid", "email", "offline_access"]
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const oidc = (
  options: Registration & {
    /** Issuer identifier, exactly as the metadata names it. */
    readonly issuer: string
    /** Hosts that plain `http` may reach, such as `["keycloak:8080"]` inside a container network. @default [] */
    readonly httpHosts?: ReadonlyArray<string>
  }
): LoginProvider => {
  const own = ownProperties(options)
  return {
    ...standard,
    ...registered(own, defaultScopes),
    issuer: own.issuer,
    httpHosts: own.httpHosts ?? []
  }
}

/**
 * Creates options for Google.
 *
 * **Details**
 *
 * - `offline` asks for a refresh token. Google gives one only after a consent, so the user sees the page of consent at
 *   each sign-in.
 * - `hostedDomain` accepts only accounts of a domain. The claim `hd` decides, because a user can change the parameter.
 * - Google has no end session endpoint: a logout ends the session of your app.
 *
 * Source: https://developers.google.com/identity/openid-connect/openid-connect.
 *
 * **Example** (Signing in employees)
 *
 * ```ts
 * import { Redacted } from "effect"
 * import { ClientAuthentication } from "effect-oauth2/client"
 * import { LoginProvider } from "effect-oauth2/login"
 *
 * export const provider = LoginProvider.google({
 *   clientId: "123.apps.googleusercontent.com",
 *   authentication: ClientAuthentication.secret(Redacted.make("secret")),
 *   hostedDomain: "example.com"
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const google = (
  options: Registration & {
    /** Whether to ask for a refresh token. Default: `false`. */
    readonly offline?: boolean
    /** Google Workspace domain of the users. Default: any account. */
    readonly hostedDomain?: string
  }
): LoginProvider => {
  const own = ownProperties(options)
  const { hostedDomain, offline = false } = own
  return {
    ...standard,
    ...registered(own, defaultScopes, {
      ...(offline && { access_type: "offline", prompt: "consent" }),
      ...(hostedDomain !== undefined && { hd: hostedDomain })
    }),
    issuer: "https://accounts.google.com",
    identity: {
      _tag: "IdToken",
      issuerAliases: ["accounts.google.com"],
      check: (claims) => (hostedDomain === undefined || claims["hd"] === hostedDomain ? undefined : "hd")
    },
    scopeNames: {
      "https://www.googleapis.com/auth/userinfo.email": "email",
      "https://www.googleapis.com/auth/userinfo.profile": "profile"
    }
  }
}

const entraOrigin = "https://login.microsoftonline.com"
const guid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

/**
 * Creates options for Microsoft Entra ID.
 *
 * **Details**
 *
 * - The subject is `oid`, which is the same in all apps of a tenant. The issuer names the tenant.
 * - With `tenants`, people of several tenants sign in. Each ID token must be from one of them, because everyone can
 *   have a tenant.
 * - Entra ID supports front-channel logout only.
 *
 * A tenant that is not a GUID throws a `TypeError`.
 *
 * Source: https://learn.microsoft.com/entra/identity-platform/id-token-claims-reference.
 *
 * **Example** (Signing in the people of two tenants)
 *
 * ```ts
 * import { Redacted } from "effect"
 * import { ClientAuthentication } from "effect-oauth2/client"
 * import { LoginProvider } from "effect-oauth2/login"
 *
 * export const provider = LoginProvider.entra({
 *   tenants: ["11111111-2222-3333-4444-555555555555", "66666666-7777-8888-9999-000000000000"],
 *   clientId: "00000000-1111-2222-3333-444444444444",
 *   authentication: ClientAuthentication.secret(Redacted.make("secret"), "client_secret_post")
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const entra = (
  options: Registration &
    (
      | {
          /** Directory (tenant) ID. */
          readonly tenant: string
          readonly tenants?: never
        }
      | {
          readonly tenant?: never
          /** Directory (tenant) IDs, or a function that returns `true` for them. */
          readonly tenants: ReadonlyArray<string> | ((tenant: string) => boolean)
        }
    )
): LoginProvider => {
  const own = ownProperties(options)
  const { tenant, tenants } = own
  const listed = tenant === undefined ? (typeof tenants === "function" ? [] : (tenants ?? [""])) : [tenant]
  for (const id of listed) {
    if (typeof id === "string" && guid.test(id)) continue
    throw new TypeError("LoginProvider.entra: each tenant must be a directory (tenant) ID, which is a GUID.")
  }
  const common = { ...standard, ...registered(own, [...defaultScopes, "offline_access"]) }
  if (tenant !== undefined) {
    return {
      ...common,
      issuer: `${entraOrigin}/${tenant.toLowerCase()}/v2.0`,
      identity: { _tag: "IdToken", subjectClaim: "oid" }
    }
  }
  const base = `${entraOrigin}/organizations/oauth2/v2.0`
  return {
    ...common,
    // The metadata of `organizations` names a pattern as its issuer, so the endpoints are written here.
    issuer: `${entraOrigin}/{tenantid}/v2.0`,
    endpoints: { authorization: `${base}/authorize`, token: `${base}/token`, endSession: `${base}/logout` },
    identity: {
      _tag: "IdToken",
      subjectClaim: "oid",
      tenants,
      keysUrl: `${entraOrigin}/organizations/discovery/v2.0/keys`
    }
  }
}

/**
 * Creates options for GitHub, which has no ID tokens.
 *
 * **Details**
 *
 * - The API says who signed in: `GET /user`, and `GET /user/emails` for a verified address.
 * - The subject is the number of the account, because login names can change hands.
 * - The issuer of the session is `https://github.com/login/oauth`, which GitHub also sends as `iss` of the response.
 * - Tokens of an OAuth App do not expire. `Login` renews those of a GitHub App, which expire after 8 hours.
 * - GitHub has no end session endpoint: a logout ends the session of your app.
 *
 * Source: https://docs.github.com/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps.
 *
 * **Example** (Signing in with GitHub)
 *
 * ```ts
 * import { Redacted } from "effect"
 * import { ClientAuthentication } from "effect-oauth2/client"
 * import { LoginProvider } from "effect-oauth2/login"
 *
 * export const provider = LoginProvider.github({
 *   clientId: "Iv1.0123456789abcdef",
 *   authentication: ClientAuthentication.secret(Redacted.make("secret"), "client_secret_post")
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const github = (options: Registration): LoginProvider => {
  const issuer = "https://github.com/login/oauth"
  const identify = github_.identifyAt(issuer, "https://api.github.com")
  return {
    ...standard,
    ...registered(ownProperties(options), ["read:user", "user:email"]),
    issuer,
    endpoints: {
      authorization: `${issuer}/authorize`,
      token: `${issuer}/access_token`
    },
    identity: { _tag: "Request", identify },
    errorNames: { bad_verification_code: "invalid_grant", bad_refresh_token: "invalid_grant" },
    scopeSeparator: ","
  }
}

/**
 * Creates options for Auth0.
 *
 * **Details**
 *
 * - `audience` names your API. Without it, the access token is not a JWT, and works only at Auth0.
 * - The issuer ends with a slash.
 *
 * Source: https://auth0.com/docs/get-started/authentication-and-authorization-flow/authorization-code-flow-with-pkce.
 *
 * **Example** (Signing in with Auth0)
 *
 * ```ts
 * import { Redacted } from "effect"
 * import { ClientAuthentication } from "effect-oauth2/client"
 * import { LoginProvider } from "effect-oauth2/login"
 *
 * export const provider = LoginProvider.auth0({
 *   domain: "example.eu.auth0.com",
 *   clientId: "web",
 *   authentication: ClientAuthentication.secret(Redacted.make("secret")),
 *   audience: "https://api.example.com"
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const auth0 = (
  options: Registration & {
    /** Domain of the tenant, or your own domain, without `https://`. */
    readonly domain: string
    /** Identifier of the API. Default: none. */
    readonly audience?: string
  }
): LoginProvider => {
  const own = ownProperties(options)
  const { audience, domain } = own
  assertHost("auth0", domain, "example.eu.auth0.com")
  const issuer = `https://${domain.toLowerCase()}/`
  return {
    ...standard,
    ...registered(own, [...defaultScopes, "offline_access"], audience === undefined ? {} : { audience }),
    issuer,
    endSessionUrl: `${issuer}oidc/logout`
  }
}

/**
 * Creates options for a realm of Keycloak.
 *
 * **Details**
 *
 * Keycloak sends `iss` and `sid`, and supports back-channel logout: set the backchannel logout URL of the client to
 * `/backchannel-logout` of your app.
 *
 * Source: https://www.keycloak.org/securing-apps/oidc-layers.
 *
 * **Example** (Signing in with Keycloak)
 *
 * ```ts
 * import { Redacted } from "effect"
 * import { ClientAuthentication } from "effect-oauth2/client"
 * import { LoginProvider } from "effect-oauth2/login"
 *
 * export const provider = LoginProvider.keycloak({
 *   url: "https://login.example.com",
 *   realm: "shop",
 *   clientId: "web",
 *   authentication: ClientAuthentication.secret(Redacted.make("secret"))
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const keycloak = (
  options: Registration & {
    /** URL of the server, without the realm. */
    readonly url: string
    readonly realm: string
    /** Hosts that plain `http` may reach, such as `["keycloak:8080"]` inside a container network. @default [] */
    readonly httpHosts?: ReadonlyArray<string>
  }
): LoginProvider => {
  const own = ownProperties(options)
  return {
    ...standard,
    ...registered(own, defaultScopes),
    issuer: `${own.url.replace(/\/+$/, "")}/realms/${encodeURIComponent(own.realm)}`,
    httpHosts: own.httpHosts ?? []
  }
}

/**
 * Creates options for a user pool of Amazon Cognito.
 *
 * **Details**
 *
 * - The groups of a user are in the claim `cognito:groups`.
 * - A logout ends the session at `/logout` of the domain. Register `https://app.example.com/logout/callback` as a sign-out
 *   URL. Cognito returns no `state`, so the browser then goes to `afterLogout`.
 *
 * Source: https://docs.aws.amazon.com/cognito/latest/developerguide/logout-endpoint.html.
 *
 * **Example** (Signing in at a user pool)
 *
 * ```ts
 * import { Redacted } from "effect"
 * import { ClientAuthentication } from "effect-oauth2/client"
 * import { LoginProvider } from "effect-oauth2/login"
 *
 * export const provider = LoginProvider.cognito({
 *   issuer: "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_Ab1Cd2Ef3",
 *   domain: "example.auth.eu-central-1.amazoncognito.com",
 *   clientId: "57cbishk4j24pabc1234567890",
 *   authentication: ClientAuthentication.secret(Redacted.make("secret"))
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const cognito = (
  options: Registration & {
    /** Issuer of the pool, exactly as its tokens name it. `Provider.cognito` builds it from a region and an ID. */
    readonly issuer: string
    /** Domain of the sign-in pages, without `https://`. */
    readonly domain: string
  }
): LoginProvider => {
  const own = ownProperties(options)
  assertHost("cognito", own.domain, "example.auth.eu-central-1.amazoncognito.com")
  return {
    ...standard,
    ...registered(own, defaultScopes),
    issuer: own.issuer,
    endSessionUrl: `https://${own.domain.toLowerCase()}/logout`,
    endSessionParameter: "logout_uri"
  }
}

/**
 * Creates options for Sign in with Apple.
 *
 * **Details**
 *
 * - The client secret is a JWT that `privateKey` signs for each request.
 * - Apple sends its response as a form, so the cookie of the attempt has `SameSite=None`.
 * - The name of the user comes only at the first consent, and unsigned. Store it at the first sign-in.
 * - `email_verified` and `is_private_email` become booleans.
 * - Apple accepts neither `localhost` nor an IP address as the redirect URI.
 *
 * Source: https://developer.apple.com/documentation/signinwithapplerestapi.
 *
 * **Example** (Signing in with Apple)
 *
 * ```ts
 * import { Config, Effect } from "effect"
 * import { LoginProvider } from "effect-oauth2/login"
 *
 * export const provider = Effect.map(Config.Redacted("APPLE_PRIVATE_KEY"), (privateKey) =>
 *   LoginProvider.apple({ clientId: "com.example.web", teamId: "ABCDE12345", keyId: "FGHIJ67890", privateKey })
 * )
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const apple = (
  options: Omit<Registration, "authentication"> & {
    /** Identifier of your team at Apple. */
    readonly teamId: string
    /** Identifier of the private key. */
    readonly keyId: string
    /** The private key in PEM: the contents of the file `AuthKey_….p8`. */
    readonly privateKey: Redacted.Redacted
  }
): LoginProvider => {
  const own = ownProperties(options)
  const authentication = ClientAuthentication.secretFrom(apple_.clientSecret(own), "client_secret_post")
  return {
    ...standard,
    ...registered(ownProperties({ ...own, authentication }), ["name", "email"]),
    issuer: apple_.issuer,
    responseMode: "form_post",
    identity: { _tag: "IdToken", read: apple_.readClaims }
  }
}

/**
 * Creates a provider without ID tokens, whose API says who signed in.
 *
 * **Example** (Asking an API of your own)
 *
 * ```ts
 * import { Effect, Redacted } from "effect"
 * import { ClientAuthentication } from "effect-oauth2/client"
 * import { LoginProvider } from "effect-oauth2/login"
 *
 * export const provider = LoginProvider.oauth({
 *   issuer: "https://chat.example.com",
 *   endpoints: {
 *     authorization: "https://chat.example.com/oauth/authorize",
 *     token: "https://chat.example.com/oauth/token"
 *   },
 *   clientId: "web",
 *   authentication: ClientAuthentication.secret(Redacted.make("secret")),
 *   identify: () => Effect.succeed({ subject: "1", claims: {} })
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const oauth = (
  options: Registration & {
    /** Issuer identifier, or the URL of the provider's origin. */
    readonly issuer: string
    readonly endpoints: NonNullable<LoginProvider["endpoints"]>
    /** Asks an API of the provider who the user of an access token is. */
    readonly identify: Extract<LoginProvider["identity"], { readonly _tag: "Request" }>["identify"]
  }
): LoginProvider => {
  const own = ownProperties(options)
  return {
    ...standard,
    ...registered(own, []),
    issuer: own.issuer,
    endpoints: own.endpoints,
    identity: { _tag: "Request", identify: own.identify }
  }
}
