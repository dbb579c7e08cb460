/** Constructors of schemes without OAuth flows: API keys, passwords (RFC 7617), and bearer tokens of any origin. */
import { noCredentials } from "../core/authorizationHeader.ts"
import * as credentialSource from "../core/credentialSource.ts"
import { ownProperties } from "../core/lib/ownProperties.ts"
import type { Implications } from "../guard/scheme/implication.ts"
import type { Dpop } from "../verifier/Dpop.ts"
import type { MutualTls } from "../verifier/MutualTls.ts"
import { make as scheme } from "./make.ts"
import { defaultCookie, type SessionCookie } from "../core/sessionCookie.ts"
import type { SchemeOf, UnknownClaims } from "./oauth2Scheme.ts"
import type { Options, RequiredOptions } from "./options.ts"

type NoImplications = {}

type CredentialOptions<
  Scopes extends Readonly<Record<string, string>>,
  Implies,
  Claims extends object,
  Wildcards extends boolean
> = Omit<
  Options<Scopes, Implies, Claims, Wildcards>,
  "scopes" | "oauth2MetadataUrl" | "resource" | "dpop" | "mutualTls" | "senderConstrained" | "session"
> & {
  /** The scope names, each with a description for users. Default: none. */
  readonly scopes?: Scopes
}

/**
 * Constructor of schemes whose credentials have no OAuth flow. `scopes` is optional.
 *
 * @category models
 * @since 0.1.0
 */
export interface CredentialConstructor<Extra> {
  <
    const Name extends string,
    const Scopes extends Readonly<Record<string, string>> = {},
    const Implies extends Implications<keyof Scopes & string> = NoImplications,
    Claims extends object = UnknownClaims,
    const Wildcards extends boolean = false
  >(
    name: Name,
    options: CredentialOptions<Scopes, Implies, Claims, Wildcards> & RequiredOptions<Implies, Claims, Wildcards> & Extra
  ): SchemeOf<Name, keyof Scopes & string, Implies, Claims, Wildcards>
}

/** Adds the default of `scopes`. Safe cast: without `scopes`, their type is `{}`. */
const withScopes = <
  Scopes extends Readonly<Record<string, string>>,
  Implies,
  Claims extends object,
  Wildcards extends boolean,
  Extra
>(
  options: CredentialOptions<Scopes, Implies, Claims, Wildcards> & Extra
): Options<Scopes, Implies, Claims, Wildcards> & Extra => ownProperties({ scopes: {} as Scopes, ...options })

/**
 * Place of an API key in a request (OpenAPI, "Security Scheme Object").
 *
 * @category models
 * @since 0.1.0
 */
export interface ApiKey {
  /** The part of the request. A key in a query appears in logs and in browser histories. */
  readonly in: "header" | "query" | "cookie"
  /** The name of the header, query parameter or cookie. */
  readonly name: string
  /**
   * For cookies: origins whose pages may send requests that change data, such as `"https://app.example.com"`. Default:
   * only the origin of the API itself.
   */
  readonly trustedOrigins?: ReadonlyArray<string>
}

/** A token of RFC 9110 §5.6.2. */
const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/

const assertPlace = (where: string, { in: place, name, trustedOrigins = [] }: ApiKey): void => {
  if (place !== "header" && place !== "query" && place !== "cookie") {
    throw new TypeError(`${where}: in must be "header", "query" or "cookie".`)
  }
  if (typeof name !== "string" || name === "" || (place !== "query" && !token.test(name))) {
    throw new TypeError(`${where}: name must be the name of a ${place === "query" ? "query parameter" : place}.`)
  }
  if (place === "header" && ["authorization", "cookie"].includes(name.toLowerCase())) {
    throw new TypeError(
      `${where}: name must not be ${JSON.stringify(name)}. Use OAuth2.bearer or OAuth2.basic for Authorization, and in: "cookie" for a cookie.`
    )
  }
  const invalid = trustedOrigins.find((origin) => !URL.canParse(origin) || new URL(origin).origin !== origin)
  if (invalid !== undefined) {
    throw new TypeError(
      `${where}: trustedOrigins has ${JSON.stringify(invalid)}, which is not an origin. Write it as https://app.example.com, without a path.`
    )
  }
}

/**
 * Creates a scheme for API keys in a header, a query or a cookie. Equivalent to FastAPI's `APIKeyHeader`, `APIKeyQuery`
 * and `APIKeyCookie`.
 *
 * **Details**
 *
 * The scheme's verifier gets the key as its token: use `TokenVerifier.layer`. A key is 1 to `BearerToken.MaxLength`
 * visible ASCII characters without a comma. A request with the key twice fails with `InvalidRequest`.
 *
 * A key in a cookie is refused if a page of another site has sent the request (`InvalidRequest`, reason `CrossSite`).
 * The `Sec-Fetch-Site` header tells, or `Origin` in older browsers. `GET`, `HEAD` and `OPTIONS` pass, but not a
 * WebSocket. Handlers of these methods must not change data.
 *
 * **Example** (Accepting users or an API key)
 *
 * ```ts
 * import { HttpApiEndpoint } from "effect/http-api"
 * import { OAuth2 } from "effect-oauth2"
 * import { auth } from "./auth.ts"
 *
 * export const jobs = OAuth2.apiKey("ApiKey", { in: "header", name: "X-API-Key" })
 *
 * export const list = HttpApiEndpoint.get("list", "/items").middleware(
 *   OAuth2.either(auth.require("items:read"), jobs.require())
 * )
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const apiKey: CredentialConstructor<ApiKey> = (name, options) => {
  const own = withScopes(options)
  assertPlace(`OAuth2.apiKey(${JSON.stringify(name)})`, own)
  return scheme("OAuth2.apiKey", name, own, {
    authScheme: "APIKey",
    source: credentialSource.apiKey(own.in, own.name, new Set(own.trustedOrigins ?? [])),
    definition: { type: "apiKey", in: own.in, name: own.name }
  })
}

/**
 * Creates a scheme for user names and passwords in the `Authorization` header (RFC 7617). Equivalent to FastAPI's
 * `HTTPBasic`.
 *
 * **Details**
 *
 * The scheme's verifier gets `user:password` as its token. The user name ends at the first colon. The credentials must
 * be valid base64 and UTF-8, without control characters. Accepted credentials are cached like tokens, so a slow
 * password hash runs once a minute.
 *
 * **Example** (Checking a password)
 *
 * ```ts
 * import { DateTime, Effect, Redacted } from "effect"
 * import { AccessToken, OAuth2, SecurityError, TokenVerifier } from "effect-oauth2"
 *
 * export const admin = OAuth2.basic("Admin", { realm: "Metrics" })
 *
 * declare const isPassword: (user: string, password: string) => Effect.Effect<boolean>
 *
 * export const Admins = admin.layer(
 *   TokenVerifier.layer({
 *     verify: (credentials) => {
 *       const [user = "", ...rest] = Redacted.value(credentials).split(":")
 *       return Effect.filterOrFail(
 *         isPassword(user, rest.join(":")),
 *         (isRight) => isRight,
 *         () => new SecurityError.InvalidToken({ reason: "Rejected" })
 *       ).pipe(
 *         Effect.as(
 *           AccessToken.make({
 *             subject: user,
 *             scopes: [],
 *             issuer: "passwords",
 *             expiresAt: DateTime.makeUnsafe("2100-01-01T00:00:00Z")
 *           })
 *         )
 *       )
 *     }
 *   })
 * )
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const basic: CredentialConstructor<unknown> = (name, options) =>
  scheme("OAuth2.basic", name, withScopes(options), {
    authScheme: "Basic",
    source: credentialSource.basic,
    definition: { type: "http", scheme: "basic" }
  })

/**
 * Creates a scheme for bearer tokens whose origin documents do not tell. Equivalent to FastAPI's `HTTPBearer`.
 *
 * **Example** (Declaring a scheme for tokens of a command-line tool)
 *
 * ```ts
 * import { OAuth2 } from "effect-oauth2"
 *
 * export const tool = OAuth2.bearer("Tool", { bearerFormat: "JWT", scopes: { deploy: "Deploy the site" } })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const bearer: CredentialConstructor<{
  /** A hint for readers of documents, such as `"JWT"`. Default: none. */
  readonly bearerFormat?: string
  /**
   * The identifier of the API as a protected resource, such as `"https://api.example.com/mcp"` (RFC 9728 §1.2). Every
   * challenge then names the URL of the API's metadata, which `ResourceMetadata.layer` serves. Default: none.
   */
  readonly resource?: string
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
   * Whether tokens must be bound to a key or a certificate. `"accepted"` accepts bearer tokens, too. Default:
   * `"accepted"` with `dpop` or `mutualTls`.
   */
  readonly senderConstrained?: "accepted" | "required"
  /** Accepts the session cookie of a browser as well as a bearer token, as the option of `OAuth2.authorizationCode`. Default: none. */
  readonly session?: SessionCookie
}> = (name, options) => {
  const own = withScopes(options)
  return scheme("OAuth2.bearer", name, own, {
    definition: {
      type: "http",
      scheme: "bearer",
      ...(own.bearerFormat === undefined ? {} : { bearerFormat: own.bearerFormat })
    }
  })
}

/**
 * Creates a scheme for the session cookies of signed-in browsers, without bearer tokens.
 *
 * **When to use**
 *
 * Use for pages of an app whose API has no other clients. Use it also if the provider's access tokens are not for your API,
 * such as those of GitHub or Google. To accept bearer tokens, too, use the option `session` of another scheme.
 *
 * **Details**
 *
 * The scheme's verifier reads sessions: use `SessionVerifier.layer` of `effect-oauth2/login`. A request with the cookie
 * must come from the app's own pages, as `SessionCookie` describes.
 *
 * | request without a session | response |
 * |---|---|
 * | opens a page in a tab | 303 to `login`, with `return_to` |
 * | of a script | 401 |
 *
 * Documents show the scheme as an `apiKey` in a cookie.
 *
 * **Example** (Declaring what signed-in users may do)
 *
 * ```ts
 * import { OAuth2 } from "effect-oauth2"
 * import { SessionVerifier } from "effect-oauth2/login"
 *
 * export const users = OAuth2.session("Users", { scopes: { "items:read": "Read your items" } })
 *
 * export const Users = users.layer(SessionVerifier.layer({ scopes: () => ["items:read"] }))
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const session: CredentialConstructor<SessionCookie> = (name, options) => {
  const own = withScopes(options)
  const { cookie = defaultCookie } = own
  return scheme(
    "OAuth2.session",
    name,
    { ...own, session: own },
    {
      authScheme: "APIKey",
      // Without a session, the request has no credentials.
      source: { place: `cookie ${cookie}`, form: "the value of a session cookie", read: () => noCredentials },
      definition: { type: "apiKey", in: "cookie", name: cookie }
    }
  )
}
