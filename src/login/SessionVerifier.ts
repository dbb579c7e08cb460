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
 * The store is read for each request, so no request passes after a logout. If the store is unavailable, the response is
 * 503 with `Retry-After`, and the browser keeps its cookie.
 *
 * @since 0.2.0
 */
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { AccessToken } from "../core/AccessToken.ts"
import { noCredentials } from "../core/authorizationHeader.ts"
import { failConstant, failWith } from "../core/constantErrors.ts"
import { ownProperties } from "../core/lib/ownProperties.ts"
import { AuthorizationServerUnavailable, InvalidToken } from "../core/SecurityError.ts"
import type { StoreUnavailable } from "../stores/storeUnavailable.ts"
import { attach, type Resolved } from "../verifier/request/sessionResolvers.ts"
import { TokenVerifier } from "../verifier/TokenVerifier.ts"
import { type Session, Sessions } from "./Sessions.ts"

const ended = failWith(noCredentials)

const unavailable = ({ retryAfter }: StoreUnavailable) =>
  Effect.fail(new AuthorizationServerUnavailable({ reason: "StoreUnavailable", retryAfter }))

/** Reads the session of a cookie for each request. */
const reading =
  ({ read }: Sessions["Service"]) =>
  (resolve: (session: Session) => Effect.Effect<Resolved, typeof noCredentials | InvalidToken>) =>
  (cookie: Redacted.Redacted) =>
    Effect.flatMap(Effect.catch(read(cookie), unavailable), Option.match({ onNone: () => ended, onSome: resolve }))

/**
 * Adds sessions to a verifier. The verifier verifies the access token of the session like a bearer token.
 *
 * **Details**
 *
 * Scopes, expiry, claims and revocations are those of the access token, and `BearerToken` is the access token. A session
 * without an access token, or with an expired one, counts as no session, so a browser signs in again.
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
 * @since 0.2.0
 */
export const accessTokens = <E, R>(
  verifier: Layer.Layer<TokenVerifier, E, R>
): Layer.Layer<TokenVerifier, E, R | Sessions> =>
  Layer.effect(
    TokenVerifier,
    Effect.gen(function* () {
      const read = reading(yield* Sessions)
      return attach(
        yield* TokenVerifier,
        read(({ accessToken, accessTokenExpiresAt = Infinity }) =>
          Effect.clockWith((clock) =>
            accessToken === undefined || accessTokenExpiresAt <= clock.currentTimeMillisUnsafe()
              ? ended
              : Effect.succeed({ _tag: "AccessToken", token: accessToken })
          )
        )
      )
    })
  ).pipe(Layer.provide(verifier))

/**
 * Options for `identities` and `layer`.
 *
 * @category models
 * @since 0.2.0
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
 * @since 0.2.0
 */
export const identities =
  <R = never>(options: IdentityOptions<R>) =>
  <E, R2>(verifier: Layer.Layer<TokenVerifier, E, R2>): Layer.Layer<TokenVerifier, E, R | R2 | Sessions> =>
    Layer.effect(
      TokenVerifier,
      Effect.gen(function* () {
        return attach(yield* TokenVerifier, yield* identify(ownProperties(options)))
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
 * @since 0.2.0
 */
export const layer = <R = never>(options: IdentityOptions<R>): Layer.Layer<TokenVerifier, never, R | Sessions> =>
  identities(options)(Layer.succeed(TokenVerifier, { verify: () => refused, invalidate: () => Effect.void }))
