/** Defines the options that all constructors of schemes have in common. */
import type * as Schema from "effect/Schema"
import type { VerifiedToken } from "../core/AccessToken.ts"
import type * as Challenge from "../core/Challenge.ts"
import type { Dpop } from "../verifier/Dpop.ts"
import type { SessionCookie } from "../core/sessionCookie.ts"
import type { MutualTls } from "../verifier/MutualTls.ts"
import type { UnknownClaims } from "./oauth2Scheme.ts"

/**
 * Options for every constructor of schemes, in addition to the options of its flow.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<
  Scopes extends Readonly<Record<string, string>>,
  Implies,
  Claims extends object = UnknownClaims,
  Wildcards extends boolean = false
> {
  /**
   * The scope names, each with a description for users. Write them as a literal. With a `Record<string, string>`, the
   * compiler cannot check scopes.
   *
   * A name may have placeholders as whole segments, which colons separate: `read:{org}` stands for one scope for each
   * organization. `require` takes their values from the path parameters of the route, and `scopeOf` from an effect.
   * Documents show `read:{org}`. No value may make it equal to another declared scope, so `read:{org}` and `read:items`
   * cannot both be declared.
   */
  readonly scopes: Scopes
  /**
   * Scopes that imply other scopes. With `{ "items:write": ["items:read"] }`, a token with `items:write` satisfies
   * `items:read`. Default: none.
   */
  readonly implies?: Implies
  /**
   * Whether a declared scope that ends with the segment `*` stands for other declared scopes. A token with `read:*` then
   * satisfies `read:items`. Default: `false`, so that `*` has no meaning.
   *
   * - The asterisk stands for exactly one segment, the last one. Colons separate segments: `read:*` does not satisfy
   *   `read:items:all`.
   * - Only declared wildcard scopes count. An undeclared `write:*` in a token grants nothing.
   * - `*` alone satisfies every scope. Declare it only if your issuer grants it to administrators.
   * - A requirement cannot name a wildcard scope, and challenges ask for the scope that a requirement names.
   */
  readonly wildcards?: Wildcards
  /** The description in OpenAPI documents (CommonMark). Default: none. */
  readonly description?: string
  /**
   * The schema of the claims, which decodes an object. A token whose claims do not decode is refused. The tokens of
   * `token`, `granted`, `authorize` and `check` have the decoded, typed claims.
   *
   * The claims of a cached token are decoded once. If the decoded value is mutable, such as a `Date` or a class
   * instance, they are decoded for each request. Default: any claims, not decoded.
   */
  readonly claims?: Schema.Decoder<Claims>
  /**
   * Support for tokens that are bound to a key of the client (RFC 9449): the result of `Dpop.make`. Default: none, so
   * bound tokens are refused.
   */
  readonly dpop?: Dpop
  /**
   * Support for tokens that are bound to a certificate of the client (RFC 8705): the result of `MutualTls.make`.
   * Default: none, so such tokens are refused.
   */
  readonly mutualTls?: MutualTls
  /**
   * Whether tokens must be bound to a key or a certificate. `"accepted"` accepts bearer tokens, too.
   * `Requirement.senderConstrained` requires a bound token for single routes. Default: `"accepted"` with `dpop` or
   * `mutualTls`.
   */
  readonly senderConstrained?: "accepted" | "required"
  /**
   * Returns `true` for a token that no user has, such as a token of the client-credentials flow. If such a token does
   * not satisfy `Requirement.acr` or `Requirement.authenticatedWithin`, it is refused with `FailedCheck`, because
   * the client would ask for a user in vain.
   *
   * Default: the subject is the client (RFC 9068 §2.2), as Auth0 writes it, too, or the claim `idtyp` is `"app"`
   * (Microsoft Entra ID).
   */
  readonly isMachine?: (token: VerifiedToken) => boolean
  /** The style of error responses (see `Challenge`). Default: `"fastapi"`, or `"rfc6750"` with `dpop` or `mutualTls`. */
  readonly responses?: Challenge.Responses
  /** The `realm` of challenges, in printable ASCII characters (RFC 9110 §11.5). Default: the scheme's name. */
  readonly realm?: string
  /**
   * The identifier of the API as a protected resource, such as `"https://api.example.com/mcp"` (RFC 9728 §1.2). Every
   * challenge then names the URL of the API's metadata, which `ResourceMetadata.layer` serves. Default: none.
   */
  readonly resource?: string
  /**
   * Custom responses, by the error's tag, which may read the request. Documents contain their status and media type. The typed client of an
   * `HttpApi` decodes only standard responses, and reports the status of others. Default: standard responses.
   */
  readonly renderers?: Challenge.Renderers
  /**
   * The URL of the authorization server's metadata (RFC 8414). Documents of OpenAPI 3.2 contain it as
   * `oauth2MetadataUrl`, and documents of 3.1 as `x-oauth2MetadataUrl`. Default: none.
   */
  readonly oauth2MetadataUrl?: string
  /**
   * `true` marks the scheme as deprecated in documents: `deprecated` in OpenAPI 3.2, `x-deprecated` in 3.1. Default:
   * `false`.
   */
  readonly deprecated?: boolean
  /**
   * Accepts the session cookie of a browser as well as a bearer token. `{}` uses the default of every option. The verifier
   * must read sessions: pipe it through `SessionVerifier.accessTokens` or `SessionVerifier.identities`. Documents show
   * the cookie as a second scheme, whose name ends with `Session`. Default: no session.
   */
  readonly session?: SessionCookie
}

/**
 * Options `implies`, `claims` and `wildcards` as required properties, if type arguments name them.
 *
 * **Details**
 *
 * Without this, explicit type arguments could describe implications or claims that the options do not have.
 *
 * @category utility types
 * @since 0.1.0
 */
export type RequiredOptions<Implies, Claims, Wildcards = false> = ({} extends Implies
  ? unknown
  : { readonly implies: unknown }) &
  ([UnknownClaims] extends [Claims] ? unknown : { readonly claims: unknown }) &
  ([Wildcards] extends [false] ? unknown : { readonly wildcards: unknown })
