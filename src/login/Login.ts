/**
 * Signs people in to a web app.
 *
 * **Details**
 *
 * | path | what it does |
 * |---|---|
 * | `GET /login?return_to=…` | starts a sign-in. A script gets 401, because it cannot follow to the provider |
 * | `GET /callback` | ends a sign-in: creates a session, and goes to `return_to` |
 * | `POST /logout` | ends the session here and at the provider, and revokes the refresh token |
 * | `GET /session` | says who is signed in, as JSON without tokens |
 * | `POST /backchannel-logout` | ends sessions because the provider says so |
 * | `GET /frontchannel-logout` | the same in a frame, only with `frontChannelLogout` |
 *
 * With several providers, `/login` takes `provider`, and the paths of callbacks and of logouts by the provider end with
 * its name.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpClient from "effect/http/HttpClient"
import { HttpServerRequest } from "effect/http/HttpServerRequest"
import type { HttpServerResponse } from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type * as Types from "effect/Types"
import type { TokenError } from "../client/ClientError.ts"
import * as tokenEndpoint from "../client/protocol/tokenEndpoint.ts"
import { ownProperties } from "../core/lib/ownProperties.ts"
import { httpClient, type NeedsHttpClient } from "../core/missing.ts"
import { refuseOption } from "../core/refuseOption.ts"
import type { ConfigurationError } from "../core/SecurityError.ts"
import { registerMarker } from "../guard/middleware/placement.ts"
import * as routeRecorder from "../guard/middleware/routeRecorder.ts"
import * as JwtVerifier from "../verifier/JwtVerifier.ts"
import * as KeySet from "../verifier/KeySet.ts"
import * as invalidations from "../verifier/cache/invalidations.ts"
import * as sessionEnds from "../verifier/request/sessionEnds.ts"
import { TokenVerifier } from "../verifier/TokenVerifier.ts"
import { type Connection, type LoginContext, pathOf } from "./flow/context.ts"
import { maxTokenAge } from "./flow/issuerLogout.ts"
import { type LoginOptions, read } from "./flow/options.ts"
import * as refresh from "./flow/refresh.ts"
import { loginPath } from "./flow/responses.ts"
import * as routes from "./flow/routes.ts"
import { adaptWith } from "./provider/responses.ts"
import type { LoginProvider } from "./provider/model.ts"
import { Sessions, type Session, type StoreUnavailable } from "./Sessions.ts"
import * as keyRing from "../stores/keyRing.ts"
import * as cookies from "./web/cookies.ts"
import { page } from "./web/problem.ts"
import { safeReturnTo } from "./web/returnTo.ts"

export type { LoginOptions } from "./flow/options.ts"
export { NotSignedIn } from "./flow/refresh.ts"
export type { Problem } from "./web/problem.ts"

/** A token of a user with many groups is long. */
const maxTokenLength = 65_536

/**
 * Service that knows who is signed in.
 *
 * **Example** (Greeting the user)
 *
 * ```ts
 * import { Effect, Option } from "effect"
 * import { HttpRouter, HttpServerResponse } from "effect/http"
 * import { Login } from "effect-oauth2/login"
 *
 * export const Home = HttpRouter.use((router) =>
 *   Effect.flatMap(Login, ({ session }) =>
 *     router.add(
 *       "GET",
 *       "/",
 *       Effect.map(session, (session) =>
 *         HttpServerResponse.text(Option.match(session, { onNone: () => "Sign in", onSome: ({ subject }) => subject }))
 *       )
 *     )
 *   )
 * )
 * ```
 *
 * @category services
 * @since 0.1.0
 */
export class Login extends Context.Service<
  Login,
  {
    /** Name of the session's cookie. */
    readonly cookieName: string
    /** Public origin of the app. */
    readonly origin: string
    /**
     * The session of the request, if there is one. Pages of other sites can send requests with the cookie, so protect
     * routes that change data with a requirement.
     */
    readonly session: Effect.Effect<Option.Option<Session>, StoreUnavailable, HttpServerRequest>
    /**
     * The access token of the session, renewed if it is about to expire. If the provider does not answer, the token
     * stays in use until it expires. If the refresh token has ended, the session ends.
     */
    readonly accessToken: Effect.Effect<
      Redacted.Redacted,
      refresh.NotSignedIn | StoreUnavailable | TokenError,
      HttpServerRequest
    >
    /** Path that starts a sign-in, and then returns to a path of the app. */
    readonly loginPath: (returnTo?: string, provider?: string) => string
  }
>()("effect-oauth2/login/Login") {
  /**
   * Layer that adds the routes of a login to the `HttpRouter`, and provides `Login`.
   *
   * **Details**
   *
   * `name` is the name of the session's cookie, which gets the prefix `__Host-`. A security scheme has a `name`, too.
   *
   * **Gotchas**
   *
   * Serve the layer on the router of the host, without a prefix of the router. Use the option `prefix` instead.
   *
   * **Example** (Signing in at an issuer)
   *
   * ```ts
   * import { Config, Effect, Layer } from "effect"
   * import { FetchHttpClient } from "effect/http"
   * import { ClientAuthentication } from "effect-oauth2/client"
   * import { Login, LoginProvider, Sessions } from "effect-oauth2/login"
   *
   * export const SignIn = Layer.unwrap(
   *   Effect.gen(function* () {
   *     return Login.layer("session", {
   *       baseUrl: "https://app.example.com",
   *       secret: yield* Config.Redacted("LOGIN_SECRET"),
   *       provider: LoginProvider.oidc({
   *         issuer: "https://idp.example.com",
   *         clientId: "web",
   *         authentication: ClientAuthentication.secret(yield* Config.Redacted("CLIENT_SECRET"))
   *       })
   *     })
   *   })
   * ).pipe(Layer.provide(Sessions.layerMemory()), Layer.provide(FetchHttpClient.layer))
   * ```
   *
   * @since 0.1.0
   */
  static layer(
    name: string | { readonly name: string },
    given: LoginOptions
  ): Layer.Layer<Login, ConfigurationError, HttpRouter.HttpRouter | Sessions | NeedsHttpClient> {
    return Layer.effect(Login, make(typeof name === "string" ? name : name.name, given)).pipe(Layer.provide(unlisted))
  }
}

/** Marks the routes as public, and leaves them out of OpenAPI documents. */
const unlisted = HttpRouter.middleware(
  registerMarker((handler: Effect.Effect<HttpServerResponse, Types.unhandled>) => {
    routeRecorder.notePublic()
    routeRecorder.noteOperation(undefined)
    return handler
  })
).layer

const make = Effect.fnUntraced(function* (name: string, given: LoginOptions) {
  const options = ownProperties(given)
  const { isSecure, providers, ...checked } = yield* read(name, options)
  const sessions = yield* Sessions
  const client = yield* httpClient
  const connections = yield* Effect.forEach(providers, ([id, provider]) =>
    connect(id, provider, `${checked.origin}${pathOf(checked.paths.callback, { name: id })}`, client)
  )
  const { problemPage } = options
  const context: LoginContext = {
    ...checked,
    connections,
    sessions,
    client,
    cookies: cookies.make(name, isSecure),
    keys: yield* keyRing.make("secret", options.secret, "effect-oauth2 login attempt"),
    respond: (problem) => (problemPage === undefined ? Effect.succeed(page(problem)) : problemPage(problem))
  }
  const router = yield* HttpRouter.HttpRouter
  yield* Effect.catchDefect(router.addAll(routes.make(context, options.frontChannelLogout === true)), (defect) =>
    defect instanceof Error && defect.message.includes("already declared")
      ? refuseOption("prefix", `must give the paths of the login to no other route. Router error: ${defect.message}`)
      : Effect.die(defect)
  )
  return Login.of(serviceOf(context))
})

const serviceOf = (context: LoginContext): Login["Service"] => {
  const refreshed = refresh.make(context)
  const cookieOf = Effect.map(HttpServerRequest, (request) => {
    const value = cookies.valueOf(request, context.cookies.session)
    return value === undefined ? undefined : Redacted.make(value)
  })
  const read = (cookie: Redacted.Redacted | undefined) =>
    cookie === undefined ? Effect.succeedNone : context.sessions.read(cookie)
  return {
    cookieName: context.cookies.session,
    origin: context.origin,
    session: Effect.flatMap(cookieOf, read),
    accessToken: Effect.gen(function* () {
      const since = invalidations.soFar()
      const cookie = yield* cookieOf
      const session = Option.getOrUndefined(yield* read(cookie))
      if (cookie === undefined || session === undefined) return yield* Effect.fail(new refresh.NotSignedIn())
      const { accessToken, id } = yield* refreshed(cookie, session)
      if (accessToken === undefined) return yield* Effect.fail(new refresh.NotSignedIn())
      // A store may return the same object for several requests.
      const own = Redacted.make(Redacted.value(accessToken))
      sessionEnds.remember(own, { id, since, exists: context.sessions.exists(cookie) })
      return own
    }),
    loginPath: (returnTo, provider) => loginPath(context, provider, safeReturnTo(returnTo, context.origin))
  }
}

const connect = Effect.fnUntraced(function* (
  name: string | undefined,
  given: LoginProvider,
  redirectUri: string,
  client: HttpClient.HttpClient
) {
  const provider: LoginProvider = ownProperties({
    ...given,
    endpoints: given.endpoints && ownProperties(given.endpoints),
    identity: ownProperties(given.identity)
  })
  const { authentication, clientId, endpoints, httpHosts, identity, issuer } = provider
  const metadata = endpoints && {
    authorization_endpoint: endpoints.authorization,
    token_endpoint: endpoints.token,
    ...(endpoints.revocation !== undefined && { revocation_endpoint: endpoints.revocation }),
    ...(endpoints.endSession !== undefined && { end_session_endpoint: endpoints.endSession })
  }
  const endpoint = yield* tokenEndpoint.make(
    { issuer, clientId, authentication, httpHosts },
    { metadata, adapt: adaptWith(provider) }
  )
  const base = { name, provider, endpoint, redirectUri }
  if (identity._tag === "Request") {
    const connection: Connection = {
      ...base,
      identity: {
        _tag: "Request",
        identify: (token) => Effect.provideService(identity.identify(token), HttpClient.HttpClient, client)
      }
    }
    return connection
  }
  const { issuerAliases, keysUrl, tenants } = identity
  const keys = yield* Layer.build(
    Layer.fresh(
      keysUrl === undefined
        ? KeySet.layerDiscovery({ issuer, httpHosts })
        : KeySet.layerRemote({ url: keysUrl, httpHosts })
    )
  )
  const policy = {
    issuer,
    audience: clientId,
    maxTokenLength,
    cache: false,
    ...(issuerAliases !== undefined && { issuerAliases }),
    ...(tenants !== undefined && { tenants })
  } as const
  const verifierOf = (options: JwtVerifier.Options & { readonly cache: false }) =>
    Effect.map(
      Effect.provideContext(Layer.build(JwtVerifier.layerKeySet(options)), keys),
      (context) => Context.get(context, TokenVerifier).verify
    )
  const connection: Connection = {
    ...base,
    identity: {
      _tag: "IdToken",
      verify: yield* verifierOf({ ...policy, profile: "id-token" }),
      verifyLogoutToken: yield* verifierOf({
        ...policy,
        profile: "logout+jwt",
        // A logout token names a user, a session, or both.
        subjectClaims: ["sub", "sid"],
        maxTokenAge
      })
    }
  }
  return connection
})
