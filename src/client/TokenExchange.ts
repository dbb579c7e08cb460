/**
 * Exchanges the token of a request for a token of another API, on behalf of its user.
 *
 * **When to use**
 *
 * | authorization server | use |
 * |---|---|
 * | Keycloak, Auth0, Ory, Zitadel, Curity and others that support RFC 8693 | `make` |
 * | Microsoft Entra ID, which has a grant of its own | `onBehalfOf` |
 *
 * **Details**
 *
 * | situation | what happens |
 * |---|---|
 * | a handler without a requirement | does not compile, because `subject` needs a verified token |
 * | the same token and the same scopes again | the cached token; the key is the SHA-256 digest of the user's token, and the scopes |
 * | the user's token expires | the exchanged token expires with it; then `ReauthenticationRequired` with `expired_token` |
 * | `TokenVerifier.invalidate` for the user's token | its exchanged tokens are not used any more |
 * | more than 1000 cached tokens | the token that was not used for the longest time is removed |
 * | the user must act, for example because of conditional access | `ReauthenticationRequired`, with the `claims` of Entra |
 * | `issued_token_type` is missing, or is not an access token or a JWT | `TokenUnavailable` with `BadResponse` |
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import * as base64url from "jose/base64url"
import { ownProperties } from "../core/lib/ownProperties.ts"
import type { NeedsHttpClient } from "../core/missing.ts"
import { refuseOption } from "../core/refuseOption.ts"
import type { ConfigurationError } from "../core/SecurityError.ts"
import { isVerifiedCredential, type VerifiedCredential } from "../core/verifiedCredential.ts"
import * as invalidations from "../verifier/cache/invalidations.ts"
import type { Renewal } from "./cache/options.ts"
import * as tokenCache from "./cache/tokenCache.ts"
import { ReauthenticationRequired, type TokenError, TokenUnavailable } from "./ClientError.ts"
import { issuedOf } from "./protocol/issued.ts"
import type { Registration } from "./protocol/options.ts"
import * as tokenEndpoint from "./protocol/tokenEndpoint.ts"
import { type ClientToken, type TokenRequest, TokenSource } from "./TokenSource.ts"

/**
 * Options for `onBehalfOf`.
 *
 * **Example** (Naming the scheme that verifies the token)
 *
 * ```ts
 * import { OAuth2 } from "effect-oauth2"
 * import type { TokenExchange } from "effect-oauth2/client"
 *
 * const auth = OAuth2.bearer("Items", {})
 *
 * export const subject: TokenExchange.OnBehalfOfOptions<unknown>["subject"] = auth.credential
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export interface OnBehalfOfOptions<R> extends Registration, Renewal {
  /** The credential to exchange: `auth.credential` of the scheme that verifies it. */
  readonly subject: Effect.Effect<VerifiedCredential, never, R>
  /** Scopes to ask for, such as `["https://graph.microsoft.com/.default"]`. Default: none. */
  readonly scopes?: ReadonlyArray<string>
  /** Other parameters of the token request. Default: none. */
  readonly parameters?: Readonly<Record<string, string>>
}

/**
 * Options for `make`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<R> extends OnBehalfOfOptions<R> {
  /** API that the token is for, by its URL (RFC 8707). Default: none. */
  readonly resource?: string
  /** API that the token is for, by the name that the authorization server gives it. Default: none. */
  readonly audience?: string
}

/**
 * Exchanges tokens. Its effects compile only where a requirement has verified a token.
 *
 * **Example** (Getting a token for the user of the request)
 *
 * ```ts
 * import type { TokenExchange } from "effect-oauth2/client"
 *
 * export const tokenOf = <R>(exchange: TokenExchange.TokenExchange<R>) => exchange.get({ scopes: ["items:read"] })
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export interface TokenExchange<R> {
  /** Returns a token of the other API for the user of the current request. */
  readonly get: (request?: TokenRequest) => Effect.Effect<ClientToken, TokenError, R>
  /** The exchange for the current request, as a `TokenSource`. */
  readonly source: Effect.Effect<TokenSource["Service"], never, R>
}

interface Key {
  readonly subject: VerifiedCredential
  readonly digest: string
  readonly scopes: ReadonlyArray<string>
}

/** Token types that an API can get as a bearer token (RFC 8693 §3). */
const usableTypes: ReadonlySet<string | undefined> = new Set([
  "urn:ietf:params:oauth:token-type:access_token",
  "urn:ietf:params:oauth:token-type:jwt"
])

/**
 * Makes a token exchange (RFC 8693). It ends with the scope.
 *
 * **Example** (Calling another API for the user of a request)
 *
 * ```ts
 * import { Effect, Redacted } from "effect"
 * import { HttpRouter, HttpServerResponse } from "effect/http"
 * import { AuthorizedClient, ClientAuthentication, TokenExchange, TokenSource } from "effect-oauth2/client"
 * import { auth } from "./auth.ts"
 *
 * export const Orders = HttpRouter.use((router) =>
 *   Effect.gen(function* () {
 *     const exchange = yield* TokenExchange.make({
 *       issuer: "https://idp.example.com",
 *       clientId: "orders",
 *       authentication: ClientAuthentication.secret(Redacted.make("the secret of orders")),
 *       subject: auth.credential,
 *       audience: "https://stock.example.com"
 *     })
 *     const stock = Effect.gen(function* () {
 *       const client = yield* AuthorizedClient.make({ origins: ["https://stock.example.com"] })
 *       const response = yield* client.get("https://stock.example.com/items")
 *       return HttpServerResponse.jsonUnsafe(yield* response.json)
 *     }).pipe(Effect.provideServiceEffect(TokenSource, exchange.source))
 *     yield* router.add("GET", "/orders", stock)
 *   })
 * ).pipe(auth.require("items:read"))
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <R>(
  given: Options<R>
): Effect.Effect<TokenExchange<R>, ConfigurationError, NeedsHttpClient | Scope.Scope> =>
  Effect.suspend(() => {
    const options = ownProperties(given)
    const { audience, resource } = options
    return makeWith(options, "urn:ietf:params:oauth:grant-type:token-exchange", (token) => ({
      subject_token: token,
      subject_token_type: "urn:ietf:params:oauth:token-type:access_token",
      ...(audience !== undefined && { audience }),
      ...(resource !== undefined && { resource })
    }))
  })

/**
 * Makes an exchange by the on-behalf-of grant of Microsoft Entra ID. It ends with the scope.
 *
 * **Details**
 *
 * The audience of the user's token must be your own API. Entra refuses the token of an app without a user.
 *
 * **Gotchas**
 *
 * If conditional access needs the user, the error `ReauthenticationRequired` has `claims`. Send them to your client in a
 * challenge, and the client sends them in its next authorization request.
 *
 * **Example** (Calling Microsoft Graph)
 *
 * ```ts
 * import { Redacted } from "effect"
 * import { ClientAuthentication, TokenExchange } from "effect-oauth2/client"
 * import { auth } from "./auth.ts"
 *
 * export const graph = TokenExchange.onBehalfOf({
 *   issuer: "https://login.microsoftonline.com/8eaef023-2b34-4da1-9baa-8bc8c9d6a490/v2.0",
 *   clientId: "11112222-bbbb-3333-cccc-4444dddd5555",
 *   authentication: ClientAuthentication.secret(Redacted.make("the secret of the app")),
 *   subject: auth.credential,
 *   scopes: ["https://graph.microsoft.com/.default"]
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const onBehalfOf = <R>(
  given: OnBehalfOfOptions<R>
): Effect.Effect<TokenExchange<R>, ConfigurationError, NeedsHttpClient | Scope.Scope> =>
  makeWith(ownProperties(given), "urn:ietf:params:oauth:grant-type:jwt-bearer", (token) => ({
    assertion: token,
    requested_token_use: "on_behalf_of"
  }))

const makeWith = <R>(
  options: OnBehalfOfOptions<R>,
  grantType: string,
  parametersOf: (token: string) => tokenEndpoint.Parameters
) =>
  Effect.gen(function* () {
    const endpoint = yield* tokenEndpoint.make(options)
    const lifetimes = yield* tokenCache.lifetimesOf(options)
    if (!Effect.isEffect(options.subject)) {
      return yield* refuseOption("subject", "must be auth.credential of the scheme that verifies the token")
    }
    const { dpop, issuer, scopes: defaultScopes = [] } = options
    // The key of the cache does not contain the parameters, so they must not change.
    const parameters = { ...options.parameters }

    const fetch = Effect.fnUntraced(function* ({ scopes, subject }: Key) {
      const token = Redacted.value(subject.token)
      const since = invalidations.soFar()
      if (subject.expiresAt <= (yield* Clock.currentTimeMillis)) {
        return yield* Effect.fail(new ReauthenticationRequired({ issuer, error: "expired_token" }))
      }
      const response = yield* endpoint.request(grantType, {
        ...parameters,
        ...parametersOf(token),
        ...(scopes.length > 0 && { scope: scopes.join(" ") })
      })
      // Entra's grant is not RFC 8693, so its response has no `issued_token_type`.
      if (grantType.endsWith("token-exchange") && !usableTypes.has(response.issuedTokenType)) {
        const retryAfter = Duration.seconds(1)
        return yield* Effect.fail(new TokenUnavailable({ issuer, reason: "BadResponse", retryAfter }))
      }
      const issued = issuedOf(response, scopes, lifetimes.defaultLifetime, dpop)
      return {
        ...issued,
        token: { ...issued.token, expiresAt: Math.min(issued.token.expiresAt, subject.expiresAt) },
        isCurrent: () => !invalidations.isInvalidated(token, since)
      }
    })

    const cache = tokenCache.make<Key>({
      lifetimes,
      scope: yield* Scope.Scope,
      // The subject alone is not enough: another session of the same user may have other rights.
      textOf: ({ digest, scopes }) => `${digest} ${scopes.join(" ")}`,
      fetch
    })

    const source = Effect.flatMap(options.subject, (subject) => {
      if (!isVerifiedCredential(subject)) {
        return Effect.die(new TypeError("TokenExchange: subject must be auth.credential of a scheme."))
      }
      return Effect.map(digestOf(subject.token), (digest): TokenSource["Service"] => ({
        get: ({ scopes = defaultScopes } = {}) =>
          cache.get({ subject, digest, scopes: Array.from(new Set(scopes)).toSorted() }),
        forget: cache.forget
      }))
    })

    const exchange: TokenExchange<R> = {
      source,
      get: (request) => Effect.flatMap(source, ({ get }) => get(request))
    }
    return exchange
  })

const digestOf = (token: Redacted.Redacted): Effect.Effect<string> =>
  Effect.map(
    Effect.promise(() => crypto.subtle.digest("SHA-256", new TextEncoder().encode(Redacted.value(token)))),
    (digest) => base64url.encode(new Uint8Array(digest))
  )
