/**
 * OAuth 2 security schemes: declared once, they guard routes, verify tokens in any effect, and write the challenge.
 *
 * **Example** (A protected API)
 *
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { FetchHttpClient, HttpRouter, HttpServerResponse } from "effect/http"
 * import { AccessToken, JwtVerifier, OAuth2 } from "effect-oauth2"
 *
 * const auth = OAuth2.authorizationCode("OAuth2", {
 *   authorizationUrl: "https://idp.example.com/authorize",
 *   tokenUrl: "https://idp.example.com/token",
 *   scopes: { "items:read": "Read your items", me: "Read your profile" }
 * })
 *
 * const Me = HttpRouter.add(
 *   "GET",
 *   "/users/me",
 *   Effect.map(AccessToken, (token) => HttpServerResponse.jsonUnsafe({ subject: token.subject }))
 * ).pipe(Layer.provide(auth.require("me").route.layer))
 *
 * export const App = Me.pipe(
 *   Layer.provide(auth.layer),
 *   Layer.provide(JwtVerifier.layer({ issuer: "https://idp.example.com", audience: "https://api.example.com" })),
 *   Layer.provide(FetchHttpClient.layer)
 * )
 * ```
 *
 * @since 0.1.0
 */
import type * as Schema from "effect/Schema"
import * as Struct from "effect/Struct"
import type * as Challenge from "./Challenge.ts"
import { ownProperties } from "./internal/ownProperties.ts"
import type { Implications } from "./internal/requirement/impliedBy.ts"
import type { OAuth2Scheme, UnknownClaims } from "./internal/scheme/model.ts"
import { make as scheme } from "./internal/scheme/oauth2Scheme.ts"
import type {
  AuthorizationCodeFlow,
  ClientCredentialsFlow,
  DeviceAuthorizationFlow,
  Flows,
  ImplicitFlow,
  PasswordFlow
} from "./internal/scheme/securitySchemeObject.ts"

export { either } from "./internal/requirement/either.ts"
export { Public, type PublicEndpoint } from "./internal/guard/public.ts"
export { type Proven, proven } from "./internal/guard/proven.ts"
export { route, type Secured, secured } from "./internal/guard/secured.ts"
export type {
  Authenticated,
  Authentication,
  Granted,
  Requires,
  Seal,
  SecurityRequirement,
  SecurityRequirementTypes,
  Verified
} from "./internal/requirement/securityRequirement.ts"
export type { Implications, ImpliedBy } from "./internal/requirement/impliedBy.ts"
export type { Grants, OAuth2Scheme, TestToken } from "./internal/scheme/model.ts"
export { openApi } from "./internal/openApi/openApi.ts"

export type {
  AuthorizationCodeFlow,
  ClientCredentialsFlow,
  DeviceAuthorizationFlow,
  Flows,
  ImplicitFlow,
  PasswordFlow
} from "./internal/scheme/securitySchemeObject.ts"

/**
 * What every constructor takes besides its flow.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<
  Scopes extends Readonly<Record<string, string>>,
  Implies,
  Claims extends object = UnknownClaims
> {
  /** Scope names with a description for people. Write them as a literal: of a `Record<string, string>` the compiler knows none, and checks none. */
  readonly scopes: Scopes
  /** Which scopes imply which others: a token with `items:write` then satisfies `items:read`. Default: none. */
  readonly implies?: Implies
  /** What documents say of the scheme (CommonMark). Default: nothing. */
  readonly description?: string
  /**
   * What the claims of a token must be: a schema of an object. A token whose claims do not decode is refused; of one whose claims do, `claims` has the
   * decoded value, typed where the scheme gives the token (`accessToken`, `granted`, `authorize`) and to its `check`. The claims of a cached token are decoded
   * once. If they decode to a value that can change, such as a `Date` or an instance of a class, they are decoded for each request.
   * Default: any claims, as they are.
   */
  readonly claims?: Schema.Decoder<Claims>
  /** The form of the answers (see `Challenge`). Default: `"fastapi"`. */
  readonly responses?: Challenge.Responses
  /** The protection space that a challenge names (RFC 9110 §11.5): printable ASCII. Default: the scheme's name. */
  readonly realm?: string
  /**
   * The user's own responses, by the error's tag. Documents say their status and media type; the typed client of an `HttpApi` knows the standard ones, and sees
   * of others the status.
   */
  readonly renderers?: Challenge.Renderers
  /** Where the authorization server's metadata is (RFC 8414), for documents: `oauth2MetadataUrl` in OpenAPI 3.2, `x-oauth2MetadataUrl` in 3.1. */
  readonly oauth2MetadataUrl?: string
  /** Whether documents mark the scheme as deprecated (OpenAPI 3.2). Default: `false`. */
  readonly deprecated?: boolean
}

/**
 * Makes `implies` and `claims` required where the type arguments name them: a scheme's type says nothing that its options do not.
 *
 * @category utility types
 * @since 0.1.0
 */
export type RequiredOptions<Implies, Claims> = ({} extends Implies ? unknown : { readonly implies: unknown }) &
  ([UnknownClaims] extends [Claims] ? unknown : { readonly claims: unknown })

type NoImplications = {}

/**
 * A constructor of schemes: it takes a name, and the options of every scheme with those of its flow.
 *
 * **Details**
 *
 * Throws a `TypeError` that names the mistake when a scope's name is no scope-token (RFC 6749 §3.3), when scopes imply each other in a
 * circle, when a URL of the flow is missing, or when the scheme's name or the realm cannot be written.
 *
 * @category models
 * @since 0.1.0
 */
export interface Constructor<Flow> {
  <
    const Name extends string,
    const Scopes extends Readonly<Record<string, string>>,
    const Implies extends Implications<keyof Scopes & string> = NoImplications,
    Claims extends object = UnknownClaims
  >(
    name: Name,
    options: Options<Scopes, Implies, Claims> & RequiredOptions<Implies, Claims> & Flow
  ): OAuth2Scheme<Name, keyof Scopes & string, Implies, Claims>
}

/** The constructor of schemes with one flow, whose fields are picked out of the options. */
const ofFlow =
  <Name extends keyof Flows>(
    flow: Name,
    fields: ReadonlyArray<keyof Required<Flows>[Name]>
  ): Constructor<Required<Flows>[Name]> =>
  (name, options) => {
    const own = ownProperties(options)
    return scheme(`OAuth2.${flow}`, name, own, { [flow]: Struct.pick(own as Required<Flows>[Name], fields) })
  }

/**
 * A scheme for the authorization-code flow (RFC 6749 §4.1): FastAPI's `OAuth2AuthorizationCodeBearer`.
 *
 * **Example** (Declaring a scheme)
 *
 * ```ts
 * import { OAuth2 } from "effect-oauth2"
 *
 * export const auth = OAuth2.authorizationCode("OAuth2", {
 *   authorizationUrl: "https://idp.example.com/authorize",
 *   tokenUrl: "https://idp.example.com/token",
 *   scopes: { "items:read": "Read your items", "items:write": "Modify your items" },
 *   implies: { "items:write": ["items:read"] }
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const authorizationCode: Constructor<AuthorizationCodeFlow> = ofFlow("authorizationCode", [
  "authorizationUrl",
  "tokenUrl",
  "refreshUrl"
])

/**
 * A scheme for the client-credentials flow (RFC 6749 §4.4): programs that act for themselves.
 *
 * **Example** (Jobs that run at night)
 *
 * ```ts
 * import { OAuth2 } from "effect-oauth2"
 *
 * export const jobs = OAuth2.clientCredentials("Jobs", {
 *   tokenUrl: "https://idp.example.com/token",
 *   scopes: { "reports:write": "Write the reports of the day" }
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const clientCredentials: Constructor<ClientCredentialsFlow> = ofFlow("clientCredentials", [
  "tokenUrl",
  "refreshUrl"
])

/**
 * A scheme for the device flow (RFC 8628): devices without a browser. OpenAPI 3.2 knows it; in a document of 3.1 it stands in an extension.
 *
 * **Example** (An app on television sets)
 *
 * ```ts
 * import { OAuth2 } from "effect-oauth2"
 *
 * export const television = OAuth2.deviceAuthorization("Television", {
 *   deviceAuthorizationUrl: "https://idp.example.com/device",
 *   tokenUrl: "https://idp.example.com/token",
 *   scopes: { watch: "Watch films" }
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const deviceAuthorization: Constructor<DeviceAuthorizationFlow> = ofFlow("deviceAuthorization", [
  "deviceAuthorizationUrl",
  "tokenUrl",
  "refreshUrl"
])

/**
 * A scheme for the password flow (RFC 6749 §4.3): FastAPI's `OAuth2PasswordBearer`.
 *
 * **Example** (FastAPI's tutorial, whose clients cannot change yet)
 *
 * ```ts
 * import { OAuth2 } from "effect-oauth2"
 *
 * export const auth = OAuth2.password("OAuth2PasswordBearer", {
 *   tokenUrl: "token",
 *   scopes: { me: "Read information about the current user.", items: "Read items." }
 * })
 * ```
 *
 * @deprecated OAuth 2.1 has removed this flow: it hands the user's password to the client. Use `authorizationCode`.
 * @category constructors
 * @since 0.1.0
 */
export const password: Constructor<PasswordFlow> = ofFlow("password", ["tokenUrl", "refreshUrl"])

/**
 * A scheme for the implicit flow (RFC 6749 §4.2).
 *
 * **Example** (A page that cannot change yet)
 *
 * ```ts
 * import { OAuth2 } from "effect-oauth2"
 *
 * export const auth = OAuth2.implicit("OAuth2", {
 *   authorizationUrl: "https://idp.example.com/authorize",
 *   scopes: { "items:read": "Read your items" }
 * })
 * ```
 *
 * @deprecated OAuth 2.1 has removed this flow: it puts access tokens into URLs. Use `authorizationCode`.
 * @category constructors
 * @since 0.1.0
 */
export const implicit: Constructor<ImplicitFlow> = ofFlow("implicit", ["authorizationUrl", "refreshUrl"])

/**
 * A scheme with several flows: FastAPI's `OAuth2(flows=…)`.
 *
 * **Example** (People and programs)
 *
 * ```ts
 * import { OAuth2 } from "effect-oauth2"
 *
 * const tokenUrl = "https://idp.example.com/token"
 *
 * export const auth = OAuth2.make("OAuth2", {
 *   flows: {
 *     authorizationCode: { authorizationUrl: "https://idp.example.com/authorize", tokenUrl },
 *     clientCredentials: { tokenUrl }
 *   },
 *   scopes: { "items:read": "Read your items" }
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: Constructor<{ readonly flows: Flows }> = (name, options) => {
  const own = ownProperties(options)
  if (Object.keys(own.flows ?? {}).length === 0) {
    throw new TypeError(`OAuth2.make(${JSON.stringify(name)}): name at least one flow.`)
  }
  return scheme("OAuth2.make", name, own, own.flows)
}

/**
 * A scheme whose flows are found by OpenID Connect Discovery: FastAPI's `OpenIdConnect`. The URL is written into documents as it is given.
 *
 * **Example** (A scheme that names its metadata)
 *
 * ```ts
 * import { OAuth2 } from "effect-oauth2"
 *
 * export const auth = OAuth2.openIdConnect("OpenIdConnect", {
 *   openIdConnectUrl: "https://idp.example.com/.well-known/openid-configuration",
 *   scopes: { openid: "Sign in", "items:read": "Read your items" }
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const openIdConnect: Constructor<{
  readonly openIdConnectUrl: string
  readonly oauth2MetadataUrl?: never
}> = (name, options) => {
  const own = ownProperties(options)
  return scheme("OAuth2.openIdConnect", name, own, {}, own.openIdConnectUrl)
}
