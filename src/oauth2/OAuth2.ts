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
import * as Struct from "effect/Struct"
import type { Implications } from "../guard/scheme/implication.ts"
import type { OAuth2Scheme, UnknownClaims } from "./oauth2Scheme.ts"
import type { Options, RequiredOptions } from "./options.ts"
import { make as scheme } from "./make.ts"
import type {
  AuthorizationCodeFlow,
  ClientCredentialsFlow,
  DeviceAuthorizationFlow,
  Flows,
  ImplicitFlow,
  PasswordFlow
} from "../guard/scheme/securitySchemeObject.ts"

export { either } from "./either.ts"
export { Public, type PublicEndpoint } from "./public.ts"
export { type Proven, proven } from "./proven.ts"
export { route, type Secured, secured } from "./secured.ts"
export type {
  Authenticated,
  Authentication,
  Granted,
  Requires,
  Seal,
  SecurityRequirement,
  SecurityRequirementTypes,
  Verified
} from "../guard/middleware/securityRequirement.ts"
export type { Implications, ImpliedBy } from "../guard/scheme/implication.ts"
export type { Grants, OAuth2Scheme, TestToken } from "./oauth2Scheme.ts"
export type { Options, RequiredOptions } from "./options.ts"
export { openApi } from "../openApi/apiDocument.ts"

export type {
  AuthorizationCodeFlow,
  ClientCredentialsFlow,
  DeviceAuthorizationFlow,
  Flows,
  ImplicitFlow,
  PasswordFlow
} from "../guard/scheme/securitySchemeObject.ts"

type NoImplications = {}

/**
 * A constructor of schemes: it takes a name, and the options of every scheme with those of its flow.
 *
 * **Details**
 *
 * Throws a `TypeError` that names the mistake when a scope's name is no scope-token (RFC 6749 §3.3), when scopes imply
 * each other in a circle, when a URL of the flow is missing, or when the scheme's name or the realm cannot be written.
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
  (name, options) =>
    scheme(`OAuth2.${flow}`, name, options, {
      [flow]: Struct.pick(options as Required<Flows>[Name], fields)
    })

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
 * A scheme for the device flow (RFC 8628): devices without a browser. OpenAPI 3.2 knows it; in a document of 3.1 it
 * stands in an extension.
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
  if (Object.keys(options.flows ?? {}).length === 0) {
    throw new TypeError(`OAuth2.make(${JSON.stringify(name)}): name at least one flow.`)
  }
  return scheme("OAuth2.make", name, options, options.flows)
}

/**
 * A scheme whose flows are found by OpenID Connect Discovery: FastAPI's `OpenIdConnect`. The URL is written into
 * documents as it is given.
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
}> = (name, options) => scheme("OAuth2.openIdConnect", name, options, {}, options.openIdConnectUrl)
