/**
 * Makes the session of a signed-in browser a credential of a scheme, so that one requirement protects pages and API.
 *
 * **Details**
 *
 * | combinator | what a session proves | for |
 * |---|---|---|
 * | `accessTokens` | the scopes of its access token, which the verifier verifies | an issuer whose tokens are for this API |
 * | `identities` | the scopes that your function returns | GitHub, Google, and APIs with their own rules |
 *
 * The store is read for each request, so no request passes after a logout. `auth.expiry` ends the sockets and streams of
 * a session. If the store is unavailable, the response is
 * 503 with `Retry-After`, and the browser keeps its cookie.
 *
 * @since 0.1.0
 */
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type { TokenError } from "../client/ClientError.ts"
import { AccessToken } from "../core/AccessToken.ts"
import { noCredentials } from "../core/authorizationHeader.ts"
import { failConstant, failWith } from "../core/constantErrors.ts"
import { ownProperties } from "../core/lib/ownProperties.ts"
import { AuthorizationServerUnavailable, InvalidToken, type NotAuthenticated } from "../core/SecurityError.ts"
import type { StoreUnavailable } from "../stores/storeUnavailable.ts"
import * as invalidations from "../verifier/cache/invalidations.ts"
import * as sessionEnds from "../verifier/request/sessionEnds.ts"
import { attach, type Resolved } from "../verifier/request/sessionResolvers.ts"
import { TokenVerifier } from "../verifier/TokenVerifier.ts"
import { Login, type NotSignedIn } from "./Login.ts"
import { type Session, Sessions } from "./Sessions.ts"

const ended = failWith(noCredentials)

const unavailable = ({ retryAfter }: StoreUnavailable) =>
  Effect.fail(new AuthorizationServerUnavailable({ reason: "StoreUnavailable", retryAfter }))

const reasons = {
  Unreachable: "Unreachable",
  Timeout: "Timeout",
  BadResponse: "BadResponse",
  IssuerMismatch: "IssuerMismatch",
  ServerError: "BadResponse",
  Store: "StoreUnavailable",
  Credential: "Unspecified"
} as const

/** A session without a usable access token has ended for this API. An outage of the provider ends no session. */
const withoutToken = (
  error: NotSignedIn | StoreUnavailable | TokenError
): Effect.Effect<never, NotAuthenticated | AuthorizationServerUnavailable> => {
  switch (error._tag) {
    case "NotSignedIn":
    case "ReauthenticationRequired":
      return ended
    case "StoreUnavailable":
      return unavailable(error)
    case "TokenUnavailable": {
      const { issuer, reason, retryAfter } = error
      return Effect.fail(
        new AuthorizationServerUnavailable({
          issuer,
          reason: reasons[reason],
          retryAfter
        })
      )
    }
    case "TokenRefused":
      return Effect.fail(
        new AuthorizationServerUnavailable({
          issuer: error.issuer,
          reason: "BadResponse",
          retryAfter: Duration.seconds(10)
        })
      )
  }
}

/** Reads the session of a cookie for each request. A long connection with the credential ends with the session. */
const reading =
  ({ exists, read }: Sessions["Service"]) =>
  (resolve: (session: Session) => Effect.Effect<Resolved>) =>
  (cookie: Redacted.Redacted) =>
    Effect.suspend(() => {
      const since = invalidations.soFar()
      return Effect.flatMap(
        Effect.catch(read(cookie), unavailable),
        Option.match({
          onNone: () => ended,
          onSome: (session) =>
            Effect.tap(resolve(session), ({ token }) =>
              Effect.sync(() => sessionEnds.remember(token, { id: session.id, since, exists: exists(cookie) }))
            )
        })
      )
    })

/**
 * Adds sessions to a verifier. The verifier verifies the access token of the session like a bearer token.
 *
 * **Details**
 *
 * - Scopes, expiry, claims and revocations are those of the access token, and `BearerToken` is the access token.
 * - `Login` renews the access token before it expires. If the provider refuses to renew the token, the request has no
 *   session, so a browser signs in again. If the provider does not answer, the response is 503.
 *
 * **Gotchas**
 *
 * - The access token must be for this API (`audience`). Otherwise, every request with a session gets 401.
 * - Use it as the last step, after `Revocations.enforce`.
 *
 * **Example** (Accepting bearer tokens and sessions)
 *
 * ```ts
 * import { JwtVerifier, OAuth2 } from "effect-oauth2"
 * import { SessionVerifier } from "effect-oauth2/login"
 *
 * export const auth = OAuth2.authorizationCode("OAuth2", {
 *   authorizationUrl: "https://idp.example.com/authorize",
 *   tokenUrl: "https://idp.example.com/token",
 *   scopes: { "items:read": "Read your items" },
 *   session: {}
 * })
 *
 * export const Auth = auth.layer(
 *   JwtVerifier.layer({ issuer: "https://idp.example.com", audience: "https://app.example.com" }).pipe(
 *     SessionVerifier.accessTokens
 *   )
 * )
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const accessTokens = <E, R>(
  verifier: Layer.Layer<TokenVerifier, E, R>
): Layer.Layer<TokenVerifier, E, R | Login> =>
  Layer.effect(
    TokenVerifier,
    Effect.gen(function* () {
      const { accessToken, cookieName } = yield* Login
      const resolve = Effect.matchEffect(accessToken, {
        onFailure: withoutToken,
        onSuccess: (token): Effect.Effect<Resolved> => Effect.succeed({ _tag: "AccessToken", token })
      })
      return attach(yield* TokenVerifier, {
        cookieName,
        resolve: (_, request) => Effect.provideService(resolve, HttpServerRequest, request)
      })
    })
  ).pipe(Layer.provide(verifier))

/**
 * Options for `identities` and `layer`.
 *
 * **Example** (Giving every user the same scope)
 *
 * ```ts
 * import type { SessionVerifier } from "effect-oauth2/login"
 *
 * export const options: SessionVerifier.IdentityOptions = { scopes: () => ["items:read"] }
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export interface IdentityOptions<R = never> {
  /**
   * Returns the scopes that a session has at this API, or an effect of them. It runs for each request with a session. The
   * effect must not fail: return no scopes if the user may do nothing.
   */
  readonly scopes: (session: Session) => Iterable<string> | Effect.Effect<Iterable<string>, never, R>
}

/** Builds the token of a session. It is valid as long as the session. */
const identify = <R>({ scopes }: IdentityOptions<R>) =>
  Effect.gen(function* () {
    const read = reading(yield* Sessions)
    const services = yield* Effect.context<R>()
    return read((session) =>
      Effect.suspend(() => {
        const granted = scopes(session)
        const effect: Effect.Effect<Iterable<string>, never, R> = Effect.isEffect(granted)
          ? granted
          : Effect.succeed(granted)
        return Effect.map(Effect.provide(effect, services), (scopes): Resolved => ({
          _tag: "Identity",
          // The handler's credential must not be the cookie, because handlers may pass it to other services.
          token: Redacted.make(session.id, { label: "session" }),
          identity: AccessToken.make({
            subject: session.subject,
            issuer: session.issuer,
            clientId: session.clientId,
            scopes: Array.from(scopes),
            claims: session.claims,
            ...(session.acr !== undefined && { acr: session.acr }),
            ...(session.authenticatedAt !== undefined && {
              authenticatedAt: DateTime.makeUnsafe(session.authenticatedAt)
            }),
            issuedAt: DateTime.makeUnsafe(session.createdAt),
            expiresAt: DateTime.makeUnsafe(session.expiresAt)
          })
        }))
      })
    )
  })

/**
 * Adds sessions to a verifier. A session itself is the verified identity, and your function decides about its scopes.
 *
 * **Details**
 *
 * `AccessToken` has the subject, issuer, client and claims of the session, and expires with the session. `BearerToken` is
 * the identifier of the session, which gives access to nothing.
 *
 * **Example** (Giving an administrator more scopes)
 *
 * ```ts
 * import { JwtVerifier } from "effect-oauth2"
 * import { SessionVerifier } from "effect-oauth2/login"
 *
 * export const Verifier = JwtVerifier.layer({
 *   issuer: "https://idp.example.com",
 *   audience: "https://app.example.com"
 * }).pipe(
 *   SessionVerifier.identities({
 *     scopes: ({ subject }) => (subject === "583231" ? ["items:read", "items:write"] : ["items:read"])
 *   })
 * )
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const identities =
  <R = never>(options: IdentityOptions<R>) =>
  <E, R2>(verifier: Layer.Layer<TokenVerifier, E, R2>): Layer.Layer<TokenVerifier, E, R | R2 | Sessions> =>
    Layer.effect(
      TokenVerifier,
      Effect.gen(function* () {
        const resolve = yield* identify(ownProperties(options))
        return attach(yield* TokenVerifier, { cookieName: undefined, resolve })
      })
    ).pipe(Layer.provide(verifier))

const refused = failConstant(new InvalidToken({ reason: "Rejected" }))

/**
 * Layer with a verifier that accepts sessions, and no bearer token. For `OAuth2.session`.
 *
 * **Example** (Reading the scopes of a user from a database)
 *
 * ```ts
 * import { Context, type Effect } from "effect"
 * import { SessionVerifier } from "effect-oauth2/login"
 *
 * declare class Roles extends Context.Service<
 *   Roles,
 *   { readonly scopesOf: (subject: string) => Effect.Effect<ReadonlyArray<string>> }
 * >()("Roles") {}
 *
 * export const Verifier = SessionVerifier.layer({
 *   scopes: ({ subject }) => Roles.use(({ scopesOf }) => scopesOf(subject))
 * })
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <R = never>(options: IdentityOptions<R>): Layer.Layer<TokenVerifier, never, R | Sessions> =>
  identities(options)(Layer.succeed(TokenVerifier, { verify: () => refused, invalidate: () => Effect.void }))
