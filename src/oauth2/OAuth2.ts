/**
 * Declares OAuth 2 security schemes that protect routes, verify tokens in any effect, and describe themselves in
 * OpenAPI.
 *
 * **Example** (`auth.ts`: the scheme that is shared by the other examples)
 *
 * ```ts
 * import { OAuth2 } from "effect-oauth2"
 *
 * export const auth = OAuth2.authorizationCode("OAuth2", {
 *   authorizationUrl: "https://idp.example.com/authorize",
 *   tokenUrl: "https://idp.example.com/token",
 *   scopes: {
 *     "items:read": "Read your items",
 *     "items:write": "Modify your items",
 *     me: "Read your profile"
 *   }
 * })
 * ```
 *
 * **Example** (Protecting a route)
 *
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { FetchHttpClient, HttpRouter, HttpServerResponse } from "effect/http"
 * import { JwtVerifier } from "effect-oauth2"
 * import { auth } from "./auth.ts"
 *
 * const Me = HttpRouter.add(
 *   "GET",
 *   "/users/me",
 *   Effect.map(auth.token, (token) => HttpServerResponse.jsonUnsafe({ subject: token.subject }))
 * ).pipe(auth.require("me"))
 *
 * export const App = Me.pipe(
 *   Layer.provide(
 *     auth.layer(JwtVerifier.layer({ issuer: "https://idp.example.com", audience: "https://api.example.com" }))
 *   ),
 *   Layer.provide(FetchHttpClient.layer)
 * )
 * ```
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import { isReadonlyObject } from "effect/Predicate"
import * as Struct from "effect/Struct"
import type { Implications } from "../guard/scheme/implication.ts"
import type { SchemeOf, UnknownClaims } from "./oauth2Scheme.ts"
import type { Options, RequiredOptions } from "./options.ts"
import { make as scheme } from "./make.ts"
import { nameMissingVariableOf } from "../core/effect/missingVariable.ts"
import { ownProperties } from "../core/lib/ownProperties.ts"
import type {
  AuthorizationCodeFlow,
  ClientCredentialsFlow,
  DeviceAuthorizationFlow,
  Flows,
  ImplicitFlow,
  PasswordFlow
} from "../guard/scheme/securitySchemeObject.ts"

export { describe } from "./describe.ts"
export { either } from "./either.ts"
export { Public, type PublicEndpoint } from "./public.ts"
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
export type { Missing } from "../core/missing.ts"
export type { VerifiedCredential } from "../core/verifiedCredential.ts"
export type { Implications, ImpliedBy, WildcardOf, Wildcards } from "../guard/scheme/implication.ts"
export type { DpopSupport, Grants, MutualTlsSupport, OAuth2Scheme, TestToken } from "./oauth2Scheme.ts"
export type { Options, RequiredOptions } from "./options.ts"
export { openApi } from "../openApi/apiDocument.ts"

export type {
  AuthorizationCodeFlow,
  ClientCredentialsFlow,
  DeviceAuthorizationFlow,
  Flows,
  FlowScopes,
  ImplicitFlow,
  PasswordFlow
} from "../guard/scheme/securitySchemeObject.ts"

type NoImplications = {}

/**
 * Constructor of schemes with several flows, each of which may list scopes of its own.
 *
 * @category models
 * @since 0.1.0
 */
export interface FlowsConstructor {
  <
    const Name extends string,
    const Scopes extends Readonly<Record<string, string>>,
    const Implies extends Implications<keyof Scopes & string> = NoImplications,
    Claims extends object = UnknownClaims,
    const Wildcards extends boolean = false
  >(
    name: Name,
    options: Options<Scopes, Implies, Claims, Wildcards> &
      RequiredOptions<Implies, Claims, Wildcards> & { readonly flows: Flows<NoInfer<keyof Scopes & string>> }
  ): SchemeOf<Name, keyof Scopes & string, Implies, Claims, Wildcards>
}

/**
 * Constructor of schemes, with the options of one flow.
 *
 * **Details**
 *
 * Throws a `TypeError` that names the mistake:
 *
 * | option | cause |
 * |---|---|
 * | `name` | OpenAPI does not allow the name |
 * | `scopes` | a scope is not a scope token (RFC 6749 §3.3), or a value of a placeholder makes two scopes equal |
 * | `implies` | a scope is not declared, implies itself, or implies a scope that lacks one of its placeholders |
 * | `wildcards` | a scope has an asterisk that is not its last segment |
 * | `realm` | the realm is empty, or is not printable ASCII |
 * | `resource` | the identifier is not an https URL, or has a fragment or an unusual path |
 * | URLs | a required URL is missing, or a URL contains white space |
 *
 * An app with two different schemes of one name does not start. Each of them must have a name of its own, because
 * guards and documents tell schemes apart by name.
 *
 * @category models
 * @since 0.1.0
 */
export interface Constructor<Flow> {
  <
    const Name extends string,
    const Scopes extends Readonly<Record<string, string>>,
    const Implies extends Implications<keyof Scopes & string> = NoImplications,
    Claims extends object = UnknownClaims,
    const Wildcards extends boolean = false
  >(
    name: Name,
    options: Options<Scopes, Implies, Claims, Wildcards> & RequiredOptions<Implies, Claims, Wildcards> & Flow
  ): SchemeOf<Name, keyof Scopes & string, Implies, Claims, Wildcards>
}

/**
 * Constructor of schemes with one flow, whose URLs are options or the endpoints of a `provider`.
 *
 * **Details**
 *
 * Throws a `TypeError` like `Constructor`.
 *
 * @category models
 * @since 0.1.0
 */
export interface FlowConstructor<Flow> {
  <
    const Name extends string,
    const Scopes extends Readonly<Record<string, string>>,
    const Implies extends Implications<keyof Scopes & string> = NoImplications,
    Claims extends object = UnknownClaims,
    const Wildcards extends boolean = false,
    ProviderOption extends ProviderEndpoints<Flow> | Effect.Effect<ProviderEndpoints<Flow>, unknown, unknown> = never
  >(
    name: Name,
    options: Options<Scopes, Implies, Claims, Wildcards> &
      RequiredOptions<Implies, Claims, Wildcards> &
      (Flow | ProviderFlow<Flow, ProviderOption>)
  ): SchemeOf<
    Name,
    keyof Scopes & string,
    Implies,
    Claims,
    Wildcards,
    ProviderError<ProviderOption>,
    ProviderServices<ProviderOption>
  >
}

// ProviderError<Config.Config<…>> -> ConfigError. ProviderError<ProviderEndpoints<…>> -> never
type ProviderError<ProviderOption> = [ProviderOption] extends [never]
  ? never
  : ProviderOption extends Effect.Effect<unknown, infer E, unknown>
    ? E
    : never

// ProviderServices<ReturnType<typeof Provider.discover>> -> NeedsHttpClient. ProviderServices<Config.Config<…>> -> never
type ProviderServices<ProviderOption> = [ProviderOption] extends [never]
  ? never
  : ProviderOption extends Effect.Effect<unknown, unknown, infer R>
    ? R
    : never

/**
 * Endpoints of a provider that a flow needs, as `Provider.auth0` and others return them.
 *
 * @category models
 * @since 0.1.0
 */
export interface ProviderEndpoints<Flow> {
  readonly endpoints: Pick<Flow, RequiredKeys<Flow>>
}

// RequiredKeys<AuthorizationCodeFlow> -> "authorizationUrl" | "tokenUrl"
type RequiredKeys<Flow> = { [K in keyof Flow]-?: {} extends Pick<Flow, K> ? never : K }[keyof Flow]

/**
 * The option `provider` in place of the URLs of a flow.
 *
 * @category models
 * @since 0.1.0
 */
export type ProviderFlow<Flow, ProviderOption> = { readonly [K in RequiredKeys<Flow>]?: never } & {
  /**
   * The provider whose endpoints clients use: the result of a function of `Provider`, a `Config` of one, or an effect
   * such as `Provider.discover`. The scheme's layer reads a `Config` and runs an effect, so that a module with the scheme
   * can be loaded without configuration.
   */
  readonly provider: ProviderOption
}

/** Creates the constructor of schemes with one flow. Picks the fields of the flow from the options. */
const ofFlow =
  <Flow extends object>(flow: keyof Flows, fields: ReadonlyArray<keyof Flow>): FlowConstructor<Flow> =>
  (name, options) => {
    const own = ownProperties(options)
    const provider: unknown = Object.hasOwn(own, "provider") ? (own as { provider?: unknown }).provider : undefined
    const at = (urls: object): Flows => ({
      [flow]: Struct.pick({ ...ownProperties(urls), ...own } as unknown as Flow, fields)
    })
    const kind = Effect.isEffect(provider)
      ? // Safe cast: the scheme's layer requires the services of the effect.
        {
          lateFlows: Effect.map(
            nameMissingVariableOf(provider as Effect.Effect<unknown, unknown>),
            endpointsOf(flow, at)
          )
        }
      : { flows: provider === undefined ? at({}) : endpointsOf(flow, at)(provider) }
    return scheme(`OAuth2.${flow}`, name, own, kind)
  }

/** Returns the flows at the endpoints of a provider. A provider without endpoints has no flow. */
const endpointsOf =
  (flow: string, at: (urls: object) => Flows) =>
  (provider: unknown): Flows => {
    const endpoints: unknown = isReadonlyObject(provider) ? ownProperties(provider)["endpoints"] : undefined
    if (isReadonlyObject(endpoints)) return at(endpoints)
    throw new TypeError(
      `OAuth2.${flow}: provider has no endpoints. Use a function of Provider that returns endpoints, or { endpoints: { … } } with the URLs.`
    )
  }

/**
 * Creates a scheme for the authorization-code flow (RFC 6749 §4.1). Equivalent to FastAPI's
 * `OAuth2AuthorizationCodeBearer`.
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
 * **Example** (Reading the provider from the environment)
 *
 * ```ts
 * import { Config } from "effect"
 * import { JwtVerifier, OAuth2, Provider } from "effect-oauth2"
 *
 * const auth0 = Config.map(
 *   Config.all({ domain: Config.String("AUTH0_DOMAIN"), audience: Config.String("AUDIENCE") }),
 *   Provider.auth0
 * )
 *
 * export const auth = OAuth2.authorizationCode("Auth0", { provider: auth0, scopes: { me: "Read your profile" } })
 *
 * export const Authentication = auth.layer(JwtVerifier.layerConfig(auth0))
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const authorizationCode: FlowConstructor<AuthorizationCodeFlow> = ofFlow<AuthorizationCodeFlow>(
  "authorizationCode",
  ["authorizationUrl", "tokenUrl", "refreshUrl"]
)

/**
 * Creates a scheme for the client-credentials flow (RFC 6749 §4.4).
 *
 * **When to use**
 *
 * Use for programs that act on their own behalf.
 *
 * **Example** (Declaring a scheme for nightly jobs)
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
export const clientCredentials: FlowConstructor<ClientCredentialsFlow> = ofFlow<ClientCredentialsFlow>(
  "clientCredentials",
  ["tokenUrl", "refreshUrl"]
)

/**
 * Creates a scheme for the device flow (RFC 8628).
 *
 * **When to use**
 *
 * Use for devices without a browser.
 *
 * **Details**
 *
 * Documents of OpenAPI 3.2 contain the flow as `deviceAuthorization`, and documents of 3.1 as `x-deviceAuthorization`.
 *
 * **Example** (Declaring a scheme for television sets)
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
export const deviceAuthorization: FlowConstructor<DeviceAuthorizationFlow> = ofFlow<DeviceAuthorizationFlow>(
  "deviceAuthorization",
  ["deviceAuthorizationUrl", "tokenUrl", "refreshUrl"]
)

/**
 * Creates a scheme for the password flow (RFC 6749 §4.3). Equivalent to FastAPI's `OAuth2PasswordBearer`.
 *
 * **Example** (Declaring the scheme of FastAPI's tutorial)
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
 * @deprecated OAuth 2.1 removes this flow, because the client sees the user's password. Use `authorizationCode`.
 * @category constructors
 * @since 0.1.0
 */
export const password: FlowConstructor<PasswordFlow> = ofFlow<PasswordFlow>("password", ["tokenUrl", "refreshUrl"])

/**
 * Creates a scheme for the implicit flow (RFC 6749 §4.2).
 *
 * **Example** (Declaring a scheme for an old web page)
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
 * @deprecated OAuth 2.1 removes this flow, because it puts access tokens into URLs. Use `authorizationCode`.
 * @category constructors
 * @since 0.1.0
 */
export const implicit: FlowConstructor<ImplicitFlow> = ofFlow<ImplicitFlow>("implicit", [
  "authorizationUrl",
  "refreshUrl"
])

/**
 * Creates a scheme with several flows. Equivalent to FastAPI's `OAuth2(flows=…)`.
 *
 * **Details**
 *
 * With `scopes`, a flow lists some of the declared scopes in documents, so that a documentation page offers only these.
 * Decisions do not depend on the flow.
 *
 * **Example** (Declaring a scheme for users and programs)
 *
 * ```ts
 * import { OAuth2 } from "effect-oauth2"
 *
 * const tokenUrl = "https://idp.example.com/token"
 *
 * export const auth = OAuth2.make("OAuth2", {
 *   flows: {
 *     authorizationCode: { authorizationUrl: "https://idp.example.com/authorize", tokenUrl },
 *     clientCredentials: { tokenUrl, scopes: ["reports:write"] }
 *   },
 *   scopes: { "items:read": "Read your items", "reports:write": "Write the reports of the day" }
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: FlowsConstructor = (name, options) => {
  const own = ownProperties(options)
  if (Object.keys(own.flows ?? {}).length === 0) {
    throw new TypeError(`OAuth2.make(${JSON.stringify(name)}): flows is empty. Name at least one flow.`)
  }
  return scheme("OAuth2.make", name, own, { flows: own.flows })
}

/**
 * Creates a scheme whose clients find the flows by OpenID Connect Discovery. Equivalent to FastAPI's `OpenIdConnect`.
 *
 * **Details**
 *
 * Documents contain the URL unchanged.
 *
 * **Example** (Declaring a scheme with a discovery URL)
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
  return scheme("OAuth2.openIdConnect", name, own, { openIdConnectUrl: own.openIdConnectUrl })
}

export { apiKey, type ApiKey, basic, bearer, type CredentialConstructor, session } from "./credentials.ts"
export type { SessionCookie } from "../core/sessionCookie.ts"
