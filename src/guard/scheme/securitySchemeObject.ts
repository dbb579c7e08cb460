/**
 * The authorization-code flow (RFC 6749 §4.1), as OpenAPI describes it. URLs are written into documents as they are given; relative ones are the
 * client's to resolve.
 *
 * @category models
 * @since 0.1.0
 */
export interface AuthorizationCodeFlow {
  /** The authorization endpoint (RFC 6749 §3.1). */
  readonly authorizationUrl: string
  /** The token endpoint (RFC 6749 §3.2). */
  readonly tokenUrl: string
  /** Where tokens are refreshed (RFC 6749 §6). Default: none, and clients use the token endpoint. */
  readonly refreshUrl?: string
}

/**
 * The client-credentials flow (RFC 6749 §4.4).
 *
 * @category models
 * @since 0.1.0
 */
export interface ClientCredentialsFlow {
  /** The token endpoint (RFC 6749 §3.2). */
  readonly tokenUrl: string
  /** Where tokens are refreshed (RFC 6749 §6). Default: none, and clients use the token endpoint. */
  readonly refreshUrl?: string
}

/**
 * The device flow (RFC 8628).
 *
 * @category models
 * @since 0.1.0
 */
export interface DeviceAuthorizationFlow {
  /** The device authorization endpoint (RFC 8628 §3.1). */
  readonly deviceAuthorizationUrl: string
  /** The token endpoint (RFC 6749 §3.2). */
  readonly tokenUrl: string
  /** Where tokens are refreshed (RFC 6749 §6). Default: none, and clients use the token endpoint. */
  readonly refreshUrl?: string
}

/**
 * The password flow (RFC 6749 §4.3), which OAuth 2.1 has removed.
 *
 * @category models
 * @since 0.1.0
 */
export interface PasswordFlow {
  /** The token endpoint (RFC 6749 §3.2). */
  readonly tokenUrl: string
  /** Where tokens are refreshed (RFC 6749 §6). Default: none, and clients use the token endpoint. */
  readonly refreshUrl?: string
}

/**
 * The implicit flow (RFC 6749 §4.2), which OAuth 2.1 has removed.
 *
 * @category models
 * @since 0.1.0
 */
export interface ImplicitFlow {
  /** The authorization endpoint (RFC 6749 §3.1). */
  readonly authorizationUrl: string
  /** Where tokens are refreshed (RFC 6749 §6). Default: none, and tokens are not refreshed. */
  readonly refreshUrl?: string
}

/**
 * The flows of a scheme (OpenAPI, "OAuth Flows Object").
 *
 * @category models
 * @since 0.1.0
 */
export interface Flows {
  /** For people, in a browser. */
  readonly authorizationCode?: AuthorizationCodeFlow
  /** For programs that act for themselves. */
  readonly clientCredentials?: ClientCredentialsFlow
  /** For devices without a browser. */
  readonly deviceAuthorization?: DeviceAuthorizationFlow
  /** For clients from before OAuth 2.1. */
  readonly password?: PasswordFlow
  /** For pages from before OAuth 2.1. */
  readonly implicit?: ImplicitFlow
}

type Fields = Readonly<Record<string, unknown>>

/** A Security Scheme Object, for a document of the given OpenAPI version. */
export type Definition = (version: string) => Fields

const present = (fields: Fields): Fields =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))

export const make =
  (options: {
    readonly flows: Flows
    readonly openIdConnectUrl: string | undefined
    readonly scopes: Readonly<Record<string, string>>
    readonly description?: string
    readonly oauth2MetadataUrl?: string
    readonly deprecated?: boolean
  }): Definition =>
  (version) => {
    const { deprecated = false, description, flows, oauth2MetadataUrl, openIdConnectUrl, scopes } = options
    // What OpenAPI 3.2 has added is an extension before: tools of 3.1 refuse unknown fields that do not begin with "x-".
    const added = (name: string) => (/^3\.[01]\./.test(version) ? `x-${name}` : name)
    const common = present({ description, [added("deprecated")]: deprecated ? true : undefined })
    if (openIdConnectUrl !== undefined) return { type: "openIdConnect", ...common, openIdConnectUrl }
    return {
      type: "oauth2",
      ...common,
      ...present({ [added("oauth2MetadataUrl")]: oauth2MetadataUrl }),
      flows: Object.fromEntries(
        Object.entries(flows).map(([name, flow]) => [
          name === "deviceAuthorization" ? added(name) : name,
          { ...flow, scopes }
        ])
      )
    }
  }
