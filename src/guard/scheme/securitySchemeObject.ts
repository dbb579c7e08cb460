/** Defines the OAuth flows of a scheme and creates its Security Scheme Object. */
import { own } from "../../core/lib/ownProperties.ts"

/**
 * Options for the authorization-code flow (RFC 6749 §4.1).
 *
 * **Details**
 *
 * Documents contain the URLs unchanged. Clients resolve relative URLs.
 *
 * @category models
 * @since 0.1.0
 */
export interface AuthorizationCodeFlow {
  /** The authorization endpoint (RFC 6749 §3.1). */
  readonly authorizationUrl: string
  /** The token endpoint (RFC 6749 §3.2). */
  readonly tokenUrl: string
  /** The URL for refresh requests (RFC 6749 §6). Default: none, so clients use the token endpoint. */
  readonly refreshUrl?: string
}

/**
 * Options for the client-credentials flow (RFC 6749 §4.4).
 *
 * @category models
 * @since 0.1.0
 */
export interface ClientCredentialsFlow {
  /** The token endpoint (RFC 6749 §3.2). */
  readonly tokenUrl: string
  /** The URL for refresh requests (RFC 6749 §6). Default: none, so clients use the token endpoint. */
  readonly refreshUrl?: string
}

/**
 * Options for the device flow (RFC 8628).
 *
 * @category models
 * @since 0.1.0
 */
export interface DeviceAuthorizationFlow {
  /** The device authorization endpoint (RFC 8628 §3.1). */
  readonly deviceAuthorizationUrl: string
  /** The token endpoint (RFC 6749 §3.2). */
  readonly tokenUrl: string
  /** The URL for refresh requests (RFC 6749 §6). Default: none, so clients use the token endpoint. */
  readonly refreshUrl?: string
}

/**
 * Options for the password flow (RFC 6749 §4.3). OAuth 2.1 removes this flow.
 *
 * @category models
 * @since 0.1.0
 */
export interface PasswordFlow {
  /** The token endpoint (RFC 6749 §3.2). */
  readonly tokenUrl: string
  /** The URL for refresh requests (RFC 6749 §6). Default: none, so clients use the token endpoint. */
  readonly refreshUrl?: string
}

/**
 * Options for the implicit flow (RFC 6749 §4.2). OAuth 2.1 removes this flow.
 *
 * @category models
 * @since 0.1.0
 */
export interface ImplicitFlow {
  /** The authorization endpoint (RFC 6749 §3.1). */
  readonly authorizationUrl: string
  /** The URL for refresh requests (RFC 6749 §6). Default: none, so clients do not refresh tokens. */
  readonly refreshUrl?: string
}

/**
 * Scopes of one flow among several (OpenAPI, "OAuth Flow Object").
 *
 * @category models
 * @since 0.1.0
 */
export interface FlowScopes<Scope extends string> {
  /** The declared scopes that documents list for this flow. Default: all scopes of the scheme. */
  readonly scopes?: ReadonlyArray<Scope>
}

/**
 * OAuth flows of a scheme (OpenAPI, "OAuth Flows Object").
 *
 * @category models
 * @since 0.1.0
 */
export interface Flows<Scope extends string = string> {
  /** For users in a browser. Default: the scheme does not have this flow. */
  readonly authorizationCode?: AuthorizationCodeFlow & FlowScopes<Scope>
  /** For programs that act on their own behalf. Default: the scheme does not have this flow. */
  readonly clientCredentials?: ClientCredentialsFlow & FlowScopes<Scope>
  /** For devices without a browser. Default: the scheme does not have this flow. */
  readonly deviceAuthorization?: DeviceAuthorizationFlow & FlowScopes<Scope>
  /** For clients that are older than OAuth 2.1. Default: the scheme does not have this flow. */
  readonly password?: PasswordFlow & FlowScopes<Scope>
  /** For web pages that are older than OAuth 2.1. Default: the scheme does not have this flow. */
  readonly implicit?: ImplicitFlow & FlowScopes<Scope>
}

type Fields = Readonly<Record<string, unknown>>

/** Creates a Security Scheme Object for a document of the given OpenAPI version. */
export type Definition = (version: string) => Fields

const present = (fields: Fields): Fields =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))

/** Returns the scopes that a flow lists. */
const ofFlow = (scopes: Readonly<Record<string, string>>, listed: unknown): Readonly<Record<string, string>> =>
  Array.isArray(listed) ? Object.fromEntries(Object.entries(scopes).filter(([name]) => listed.includes(name))) : scopes

export const make =
  (options: {
    readonly flows: () => Flows
    readonly openIdConnectUrl: string | undefined
    readonly scopes: Readonly<Record<string, string>>
    readonly description?: string
    readonly oauth2MetadataUrl?: string
    readonly deprecated?: boolean
    /** The fields of a scheme without OAuth flows. */
    readonly definition?: Fields | undefined
  }): Definition =>
  (version) => {
    const { deprecated = false, description, flows, oauth2MetadataUrl, openIdConnectUrl, scopes } = options
    // Write the fields that OpenAPI 3.2 added as extensions in 3.1: tools refuse unknown fields that do not begin with
    // "x-".
    const added = (name: string) => (/^3\.[01]\./.test(version) ? `x-${name}` : name)
    const common = present({ description, [added("deprecated")]: deprecated ? true : undefined })
    if (options.definition !== undefined) return { ...options.definition, ...common }
    if (openIdConnectUrl !== undefined) return { type: "openIdConnect", ...common, openIdConnectUrl }
    const metadata = present({ [added("oauth2MetadataUrl")]: oauth2MetadataUrl })
    const written = Object.fromEntries(
      Object.entries(present({ ...flows() })).map(([name, flow]) => [
        name === "deviceAuthorization" ? added(name) : name,
        { ...(flow as Fields), scopes: ofFlow(scopes, own(flow, "scopes")) }
      ])
    )
    // Generated clients send no token for a scheme of type oauth2 without a flow that they know.
    return Object.keys(written).every((name) => name.startsWith("x-"))
      ? { type: "http", scheme: "bearer", ...common, ...metadata, ...written }
      : { type: "oauth2", ...common, ...metadata, flows: written }
  }
