/** What a login needs to know about an identity provider. */
import type * as Effect from "effect/Effect"
import type { HttpClient } from "effect/http/HttpClient"
import type * as Redacted from "effect/Redacted"
import type { ClientAuthentication } from "../../client/ClientAuthentication.ts"
import type { TokenError } from "../../client/ClientError.ts"

/**
 * Claims of a user.
 *
 * @category models
 * @since 0.1.0
 */
export type Claims = Readonly<Record<string, unknown>>

/**
 * Endpoints of a provider that has no metadata, or whose metadata names another issuer.
 *
 * @category models
 * @since 0.1.0
 */
export interface ProviderEndpoints {
  readonly authorization: string
  readonly token: string
  /** Revocation endpoint (RFC 7009). Default: none, so tokens are not revoked at a logout. */
  readonly revocation?: string
  /** End session endpoint. Default: none, so a logout is local. */
  readonly endSession?: string
}

/**
 * How a login finds out who signed in.
 *
 * @category models
 * @since 0.1.0
 */
export type Identity =
  | {
      readonly _tag: "IdToken"
      /** URL of the keys. Default: `jwks_uri` of the metadata. */
      readonly keysUrl?: string | undefined
      /** Other values of `iss` that mean the issuer. Default: none. */
      readonly issuerAliases?: ReadonlyArray<string> | undefined
      /** Tenants that may sign in, if the issuer contains `{tenantid}`. Default: none. */
      readonly tenants?: ReadonlyArray<string> | ((tenant: string) => boolean) | undefined
      /** The claim that becomes `subject`. Default: `"sub"`. */
      readonly subjectClaim?: string | undefined
      /** Returns the name of a claim that refuses the user, or `undefined`. Default: no check. */
      readonly check?: ((claims: Claims) => string | undefined) | undefined
      /** Changes the verified claims. `form` has the unsigned parameters of the response. Default: no change. */
      readonly read?: ((claims: Claims, form: Readonly<Record<string, string>>) => Claims) | undefined
    }
  | {
      readonly _tag: "Request"
      /** Asks an API of the provider who the user of an access token is. */
      readonly identify: (
        token: Redacted.Redacted
      ) => Effect.Effect<{ readonly subject: string; readonly claims: Claims }, TokenError, HttpClient>
    }

/**
 * An identity provider, and the registration of the app there.
 *
 * @category models
 * @since 0.1.0
 */
export interface LoginProvider {
  /** Issuer identifier, exactly as ID tokens name it. A provider without ID tokens has the URL of its origin. */
  readonly issuer: string
  readonly clientId: string
  readonly authentication: ClientAuthentication
  /** Scopes to ask for. */
  readonly scopes: ReadonlyArray<string>
  /** Other parameters of the authorization request. */
  readonly parameters: Readonly<Record<string, string>>
  /** How the provider sends its response. `"form_post"` is a request of the provider's page, across sites. */
  readonly responseMode: "query" | "form_post"
  readonly endpoints: ProviderEndpoints | undefined
  /** End session endpoint, if the metadata does not name it. */
  readonly endSessionUrl: string | undefined
  /** Parameter of the end session endpoint that has the address of the app. */
  readonly endSessionParameter: "post_logout_redirect_uri" | "logout_uri"
  readonly identity: Identity
  /** Names of scopes as the provider writes them, with the names that the app asked for. */
  readonly scopeNames: Readonly<Record<string, string>>
  /** Error codes of the token endpoint as the provider writes them, with those of RFC 6749 §5.2. */
  readonly errorNames: Readonly<Record<string, string>>
  /** What separates scopes in a token response. */
  readonly scopeSeparator: " " | ","
  /** Hosts that plain `http` may reach. */
  readonly httpHosts: ReadonlyArray<string>
}
