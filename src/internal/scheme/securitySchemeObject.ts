/**
 * The authorization-code flow (RFC 6749 §4.1), as OpenAPI describes it. URLs are written into documents as they are given; relative ones are the
 * client's to resolve.
 *
 * @category models
 * @since 0.1.0
 */
export interface AuthorizationCodeFlow {
  readonly authorizationUrl: string
  readonly tokenUrl: string
  readonly refreshUrl?: string
}

/**
 * The client-credentials flow (RFC 6749 §4.4).
 *
 * @category models
 * @since 0.1.0
 */
export interface ClientCredentialsFlow {
  readonly tokenUrl: string
  readonly refreshUrl?: string
}

/**
 * The device flow (RFC 8628).
 *
 * @category models
 * @since 0.1.0
 */
export interface DeviceAuthorizationFlow {
  readonly deviceAuthorizationUrl: string
  readonly tokenUrl: string
  readonly refreshUrl?: string
}

/**
 * The password flow (RFC 6749 §4.3), which OAuth 2.1 has removed.
 *
 * @category models
 * @since 0.1.0
 */
export interface PasswordFlow {
  readonly tokenUrl: string
  readonly refreshUrl?: string
}

/**
 * The implicit flow (RFC 6749 §4.2), which OAuth 2.1 has removed.
 *
 * @category models
 * @since 0.1.0
 */
export interface ImplicitFlow {
  readonly authorizationUrl: string
  readonly refreshUrl?: string
}

/**
 * The flows of a scheme (OpenAPI, "OAuth Flows Object").
 *
 * @category models
 * @since 0.1.0
 */
export interface Flows {
  readonly authorizationCode?: AuthorizationCodeFlow
  readonly clientCredentials?: ClientCredentialsFlow
  readonly deviceAuthorization?: DeviceAuthorizationFlow
  readonly password?: PasswordFlow
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
