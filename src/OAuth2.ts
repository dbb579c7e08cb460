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
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as HttpRouter from "effect/http/HttpRouter"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { AccessToken, type OptionalAccessToken, type VerifiedToken } from "./AccessToken.ts"
import { BearerToken } from "./BearerToken.ts"
import * as Challenge from "./Challenge.ts"
import { Authenticator } from "./internal/authenticator.ts"
import * as guard from "./internal/guard.ts"
import { assertScopeTokens } from "./internal/scope.ts"
import type { SecurityError } from "./SecurityError.ts"
import { SecurityScopes } from "./SecurityScopes.ts"
import { TokenVerifier } from "./TokenVerifier.ts"

/**
 * The authorization-code flow (RFC 6749 §4.1), as OpenAPI describes it. URLs are written into documents as they are given; relative ones
 * are the client's to resolve.
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
 * The service that authenticates requests for the scheme `Name`. `auth.layer` provides it; it has no members of its own to use.
 *
 * @category services
 * @since 0.1.0
 */
export interface Authentication<in out Name extends string> {
  readonly "~effect-oauth2/Authentication": (_: Name) => Name
}

/**
 * What a route demands: provide its `route.layer` to the route's layer.
 *
 * @category models
 * @since 0.1.0
 */
export interface Requirement<Name extends string, Provides> {
  /** The scopes that this requirement adds, in the order given. */
  readonly scopes: ReadonlyArray<string>
  /**
   * Middleware for `HttpRouter`. Requirements accumulate, outermost first: the later `Layer.provide` is the outer one. Those of one scheme
   * that stand next to each other are checked together, once, and the challenge names all their scopes.
   */
  readonly route: HttpRouter.Middleware<{
    provides: Provides
    handles: never
    error: SecurityError
    requires: never
    layerError: never
    layerRequires: Authentication<Name>
  }>
}

/**
 * A security scheme with the declared scopes `Scope`.
 *
 * @category models
 * @since 0.1.0
 */
export interface OAuth2Scheme<in out Name extends string, in out Scope extends string> {
  /** The scheme's name in OpenAPI's `components.securitySchemes`. */
  readonly name: Name
  readonly flows: { readonly authorizationCode: AuthorizationCodeFlow }
  /** The declared scopes with their descriptions. */
  readonly scopes: Readonly<Record<Scope, string>>
  readonly description: string | undefined

  /**
   * Requires a valid token with all of the given scopes; with none, any valid token. Handlers get the `AccessToken`.
   *
   * **Example** (A route that needs a scope)
   *
   * ```ts
   * import { Effect, Layer } from "effect"
   * import { HttpRouter, HttpServerResponse } from "effect/http"
   * import { OAuth2 } from "effect-oauth2"
   *
   * const auth = OAuth2.authorizationCode("OAuth2", {
   *   authorizationUrl: "https://idp.example.com/authorize",
   *   tokenUrl: "https://idp.example.com/token",
   *   scopes: { "items:read": "Read your items" }
   * })
   *
   * export const Items = HttpRouter.add("GET", "/items", Effect.succeed(HttpServerResponse.jsonUnsafe([]))).pipe(
   *   Layer.provide(auth.require("items:read").route.layer)
   * )
   * ```
   */
  readonly require: (
    ...scopes: ReadonlyArray<Scope>
  ) => Requirement<Name, AccessToken | OptionalAccessToken | BearerToken>

  /**
   * Takes anonymous requests too: handlers get an `OptionalAccessToken`, `None` where no bearer token was sent. A token that was sent must be
   * valid and have all of the given scopes: a bad one is refused, never taken for none.
   */
  readonly optional: (...scopes: ReadonlyArray<Scope>) => Requirement<Name, OptionalAccessToken>

  /**
   * Verifies the `BearerToken` in the context against the `SecurityScopes` in force: what guards are made of, in HTTP or not. The errors
   * respond by themselves in an `HttpRouter` app.
   *
   * **Example** (FastAPI's `get_current_user`)
   *
   * ```ts
   * import { Effect } from "effect"
   * import { OAuth2, SecurityScopes } from "effect-oauth2"
   *
   * const auth = OAuth2.authorizationCode("OAuth2", {
   *   authorizationUrl: "https://idp.example.com/authorize",
   *   tokenUrl: "https://idp.example.com/token",
   *   scopes: { "items:read": "Read your items" }
   * })
   *
   * const currentUser = Effect.map(auth.authorize, (token) => token.subject)
   *
   * export const reader = currentUser.pipe(SecurityScopes.require("items:read"))
   * ```
   */
  readonly authorize: Effect.Effect<VerifiedToken, SecurityError, BearerToken | Authentication<Name>>

  /** The same for the request in the context, `None` where it carries no bearer token. */
  readonly authorizeOption: Effect.Effect<
    Option.Option<VerifiedToken>,
    SecurityError,
    HttpServerRequest | Authentication<Name>
  >

  /**
   * Fails with an error of a guard's own, answered as this scheme answers: with its settings, its renderers, and a challenge that names the
   * `SecurityScopes` in force.
   *
   * **Example** (A valid token of nobody)
   *
   * ```ts
   * import { Effect } from "effect"
   * import { OAuth2, SecurityError } from "effect-oauth2"
   *
   * const auth = OAuth2.authorizationCode("OAuth2", {
   *   authorizationUrl: "https://idp.example.com/authorize",
   *   tokenUrl: "https://idp.example.com/token",
   *   scopes: { me: "Read your profile" }
   * })
   *
   * export const currentUser = Effect.gen(function* () {
   *   const token = yield* auth.authorize
   *   if (token.subject === "demo") return { name: "Demo" }
   *   return yield* auth.refuse(new SecurityError.InvalidToken({ reason: "Rejected" }))
   * })
   * ```
   */
  readonly refuse: <E extends SecurityError>(error: E) => Effect.Effect<never, E>

  /** Authenticates requests with the `TokenVerifier` in the context. */
  readonly layer: Layer.Layer<Authentication<Name>, never, TokenVerifier>

  /**
   * Authentication as a layer, for an effect that is given a request: `BearerToken` and `AccessToken`, verified against the
   * `SecurityScopes` in force. Built anew for each use.
   */
  readonly layerRequest: Layer.Layer<BearerToken | AccessToken, SecurityError, HttpServerRequest | Authentication<Name>>
}

/**
 * A scheme for the authorization-code flow: FastAPI's `OAuth2AuthorizationCodeBearer`.
 *
 * **Details**
 *
 * Throws a `TypeError` that names the mistake when a scope's name is no scope-token (RFC 6749 §3.3), or when the scheme's name or the realm
 * cannot be written.
 *
 * **Example** (Declaring a scheme)
 *
 * ```ts import.meta.vitest
 * import { OAuth2 } from "effect-oauth2"
 *
 * const auth = OAuth2.authorizationCode("OAuth2", {
 *   authorizationUrl: "https://idp.example.com/authorize",
 *   tokenUrl: "https://idp.example.com/token",
 *   scopes: { "items:read": "Read your items" }
 * })
 *
 * auth.require("items:read").scopes // => ["items:read"]
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const authorizationCode = <const Name extends string, const Scopes extends Readonly<Record<string, string>>>(
  name: Name,
  options: AuthorizationCodeFlow & {
    /** Scope names with a description for people. */
    readonly scopes: Scopes
    readonly description?: string
    /** The form of the answers (see `Challenge`). Default: `"fastapi"`. */
    readonly responses?: Challenge.Responses
    /** The protection space that a challenge names (RFC 9110 §11.5): printable ASCII. Default: the scheme's name. */
    readonly realm?: string
    /** The user's own responses, by the error's tag. */
    readonly renderers?: Challenge.Renderers
  }
): OAuth2Scheme<Name, keyof Scopes & string> => {
  const where = `OAuth2.authorizationCode(${JSON.stringify(name)})`
  // OpenAPI 3.1 "Components Object": the keys are of this form.
  if (!/^[A-Za-z0-9._-]+$/.test(name)) {
    throw new TypeError(`${where}: a scheme's name has one or more of A-Z a-z 0-9 . _ - (OpenAPI, Components Object).`)
  }
  assertScopeTokens(where, Object.keys(options.scopes))
  const realm = options.realm ?? name
  if (!/^[\x20-\x7E]+$/.test(realm)) {
    throw new TypeError(`${where}: the realm has one or more printable ASCII characters (RFC 9110 §11.5).`)
  }
  const { authorizationUrl, description, refreshUrl, renderers = {}, responses = "fastapi", scopes, tokenUrl } = options

  const Service = Context.Service<Authentication<Name>, Authenticator>(`effect-oauth2/OAuth2/${name}`)
  const settings = (scopes: ReadonlyArray<string>): Challenge.Settings => ({ responses, realm, scopes, renderers })
  const declared = (method: string, scopes: ReadonlyArray<string>) => {
    const unknown = scopes.find((scope) => !Object.hasOwn(options.scopes, scope))
    if (unknown !== undefined) {
      const names = Object.keys(options.scopes).map((scope) => JSON.stringify(scope))
      throw new TypeError(
        `${where}: ${method}(${JSON.stringify(unknown)}) is not declared; declared are ${names.join(", ")}.`
      )
    }
    return scopes
  }
  const requirement = <Provides>(own: guard.Demand): Requirement<Name, Provides> => ({
    scopes: own.scopes,
    route: HttpRouter.middleware<{ provides: Provides }>()(
      Effect.map(Service, (authenticator) => (effect) => guard.make(authenticator, settings, own, effect))
    )
  })

  const authorizeOption: OAuth2Scheme<Name, string>["authorizeOption"] = Effect.flatMap(
    Effect.all([Service, HttpServerRequest, SecurityScopes, BearerToken.MaxLength]),
    ([authenticator, request, required, maxLength]) =>
      Effect.map(
        guard.decide(authenticator.fromRequest(request, maxLength), true, settings(required.scopes)),
        Option.map((granted) => granted.accessToken)
      )
  )

  const authorize: OAuth2Scheme<Name, string>["authorize"] = Effect.flatMap(
    Effect.all([Service, BearerToken, SecurityScopes, Effect.serviceOption(HttpServerRequest)]),
    ([authenticator, token, required, request]) =>
      guard.verify(authenticator.fromToken(Option.getOrUndefined(request), token), settings(required.scopes))
  )

  return {
    name,
    scopes,
    description,
    flows: {
      authorizationCode: { authorizationUrl, tokenUrl, ...(refreshUrl === undefined ? undefined : { refreshUrl }) }
    },
    require: (...scopes) => requirement({ scopes: declared("require", scopes), optional: false }),
    optional: (...scopes) => requirement({ scopes: declared("optional", scopes), optional: true }),
    authorize,
    authorizeOption,
    refuse: (error) =>
      Effect.flatMap(SecurityScopes, (required) => Effect.fail(Challenge.within(error, settings(required.scopes)))),
    layer: Layer.effect(
      Service,
      Effect.map(TokenVerifier, (verifier) => new Authenticator(verifier))
    ),
    layerRequest: Layer.fresh(Layer.provideMerge(Layer.effect(AccessToken, authorize), BearerToken.layer))
  }
}
