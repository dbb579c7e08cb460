/**
 * Gets tokens for a user who has signed in, with the refresh token of a `TokenStore`.
 *
 * **Details**
 *
 * | situation | what happens |
 * |---|---|
 * | the access token expires in less than 2 minutes | it is renewed in the background, and stays in use |
 * | several fibers or processes need a new token | one token request; the others read its result from the store |
 * | the authorization server rotates the refresh token | the new one is written before the access token is used |
 * | the request that needed the token is interrupted, or the program ends | the token request and its write still end |
 * | no response comes, or one of 500 or more | the same refresh token is sent once more, 1 second later |
 * | the authorization server does not answer | `TokenUnavailable`; the grant stays, and the unexpired token is used |
 * | `invalid_grant`, and the store has a newer refresh token | the newer one is used |
 * | `invalid_grant`, and the store is unchanged | the grant is removed, and `ReauthenticationRequired` |
 * | no grant is stored, or it belongs to another issuer or client | `ReauthenticationRequired` with `login_required` |
 * | the grant does not include a scope | `ReauthenticationRequired` with `insufficient_scope` |
 * | the store accepts no writes | `TokenUnavailable` with `Store`; the refresh token is not used |
 * | the store fails between the token request and the write | `TokenUnavailable` with `Store`; the next request writes the tokens again |
 * | the process loses its lock before the token request | the refresh token is not used; the tokens of the new holder are |
 * | the process loses its lock during the token request | the new tokens replace none that another process has written |
 *
 * **Gotchas**
 *
 * A source has one access token, with all scopes of the grant. A narrower token would cost another use of the refresh
 * token.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import * as oauth from "oauth4webapi"
import { ownProperties } from "../core/lib/ownProperties.ts"
import type { NeedsHttpClient } from "../core/missing.ts"
import type { ConfigurationError } from "../core/SecurityError.ts"
import type { Renewal } from "./cache/options.ts"
import * as tokenCache from "./cache/tokenCache.ts"
import { ReauthenticationRequired, type TokenError, type TokenStoreError, TokenUnavailable } from "./ClientError.ts"
import { grantOf, isSameUser, type StoredGrant } from "./protocol/grant.ts"
import { proofWith } from "./protocol/issued.ts"
import type { Registration } from "./protocol/options.ts"
import * as tokenEndpoint from "./protocol/tokenEndpoint.ts"
import type { VersionedGrant } from "./store/model.ts"
import { TokenSource } from "./TokenSource.ts"
import { TokenStore } from "./TokenStore.ts"

/**
 * Options for `RefreshToken`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends Registration, Renewal {
  /** Other parameters of the token request, such as `resource`. Default: none. */
  readonly parameters?: Readonly<Record<string, string>>
}

/**
 * A source of tokens for the user of a stored grant.
 *
 * **Example** (Signing the user out)
 *
 * ```ts
 * import type { RefreshToken } from "effect-oauth2/client"
 *
 * export const logOut = (source: RefreshToken.RefreshTokenSource) => source.signOut
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export interface RefreshTokenSource {
  /** Returns the access token of the grant. Renews it if it is about to expire. */
  readonly get: TokenSource["Service"]["get"]
  /** Lets the next `get` renew this token. A newer token stays. */
  readonly forget: TokenSource["Service"]["forget"]
  /** Stores the grant of a user who signed in now, in place of another one. */
  readonly save: (grant: StoredGrant) => Effect.Effect<void, TokenStoreError>
  /**
   * Revokes the grant (RFC 7009) and removes it from the store. It is removed also if the authorization server does not
   * answer. Returns whether it was revoked: `false` if nothing was stored, or if the server has no revocation endpoint.
   */
  readonly signOut: Effect.Effect<boolean, TokenError | TokenStoreError>
}

/** Pause before the same refresh token is sent again. A server that forgives a lost response does so for seconds. */
const retryPause = Duration.seconds(1)

/**
 * Makes a source over the `TokenStore` in the context. It ends with the scope, after a token request that is running.
 *
 * **Example** (Calling an API for a user)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { AuthorizedClient, ClientAuthentication, RefreshToken, TokenSource } from "effect-oauth2/client"
 *
 * export const items = Effect.gen(function* () {
 *   const source = yield* RefreshToken.make({
 *     issuer: "https://idp.example.com",
 *     clientId: "items-cli",
 *     authentication: ClientAuthentication.none
 *   })
 *   const client = yield* AuthorizedClient.make({ origins: ["https://api.example.com"] }).pipe(
 *     Effect.provideService(TokenSource, source)
 *   )
 *   return yield* client.get("https://api.example.com/items")
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  given: Options
): Effect.Effect<RefreshTokenSource, ConfigurationError, TokenStore | NeedsHttpClient | Scope.Scope> =>
  Effect.gen(function* () {
    const options = ownProperties(given)
    const endpoint = yield* tokenEndpoint.make(options)
    const lifetimes = yield* tokenCache.lifetimesOf(options)
    const store = yield* TokenStore
    const { clientId, dpop, issuer } = options
    // The cached token is one for these parameters, so they must not change.
    const parameters = { ...options.parameters }

    const unavailable = new TokenUnavailable({ issuer, reason: "Store", retryAfter: Duration.seconds(1) })
    const fromStore = <A, E, R>(self: Effect.Effect<A, E | TokenStoreError, R>) =>
      Effect.mapError(self, (error) => (isStoreError(error) ? unavailable : error))

    /** Tokens that the store has refused to write. The refresh token before them is used up. */
    let unwritten: { readonly grant: StoredGrant; readonly expected: string } | undefined
    /** The access token that an API has refused. */
    let refused: string | undefined
    /** The number of sign-ins and sign-outs. Tokens from before one are not used any more. */
    let sessions = 0

    const read = Effect.map(
      store.read,
      Option.filter(({ grant }) => grant.issuer === issuer && grant.clientId === clientId)
    )

    const issuedOf = ({ accessToken, expiresAt, scopes, sentAt, type }: StoredGrant): tokenCache.Issued => ({
      sentAt,
      token: {
        value: accessToken,
        type,
        scopes: new Set(scopes),
        expiresAt,
        ...(type === "DPoP" && dpop !== undefined && { proof: proofWith(dpop, accessToken) })
      }
    })

    /** Returns the stored access token if it may be used in place of the one before. */
    const usable = (stored: Option.Option<VersionedGrant>, before: string | undefined, now: number) =>
      Option.filter(stored, ({ grant: { accessToken, expiresAt, sentAt } }) => {
        const text = Redacted.value(accessToken)
        if (text === before || text === refused) return false
        return expiresAt - now > Math.min(lifetimes.expiryMargin, (expiresAt - sentAt) / 5)
      })

    const required = (error: string) => new ReauthenticationRequired({ issuer, error })

    const exchange = (refreshToken: Redacted.Redacted, asked: ReadonlyArray<string>, before: StoredGrant) => {
      const request = endpoint.request("refresh_token", {
        ...parameters,
        refresh_token: Redacted.value(refreshToken)
      })
      return request.pipe(
        // The server may have rotated the token, and only its response is lost, or a gateway has replaced it. The server
        // forgives a second use only soon.
        Effect.catchTag("TokenUnavailable", (error) =>
          Duration.isGreaterThan(error.retryAfter, retryPause) ? Effect.fail(error) : Effect.delay(request, retryPause)
        ),
        Effect.map((response) => grantOf(response, options, asked, lifetimes.defaultLifetime, before))
      )
    }

    /** Writes new tokens before they are used. */
    const write = (grant: StoredGrant, expected: string): Effect.Effect<StoredGrant, TokenError | TokenStoreError> =>
      Effect.suspend(() => {
        unwritten = { grant, expected }
        return Effect.flatMap(store.write(grant, expected), (version) =>
          Option.isSome(version) ? Effect.succeed(grant) : notWritten(grant)
        )
      }).pipe(
        Effect.tap(() => forgetUnwritten),
        Effect.tapError((error) => (isStoreError(error) ? Effect.void : forgetUnwritten))
      )

    const forgetUnwritten = Effect.sync(() => {
      unwritten = undefined
    })

    /** The stored version is another one. */
    const notWritten = Effect.fnUntraced(function* (
      grant: StoredGrant
    ): Effect.fn.Return<StoredGrant, TokenError | TokenStoreError> {
      const stored = yield* store.read
      // The write before was done, and only its answer was lost.
      if (Option.isSome(stored) && isSameText(stored.value.grant.accessToken, grant.accessToken)) return grant
      // After a sign-out, these tokens must not stay. After the write of another process, they are not revoked: many
      // servers would revoke the stored tokens, too, because they belong to the same grant.
      if (Option.isNone(stored)) yield* Effect.ignore(revoke(grant))
      return yield* fromOther
    })

    /** Returns the tokens that another process has written, which has taken the lock over. */
    const fromOther: Effect.Effect<StoredGrant, TokenStoreError | TokenError> = Effect.gen(function* () {
      const stored = yield* read
      const found = usable(stored, undefined, yield* Clock.currentTimeMillis)
      if (Option.isSome(found)) return found.value.grant
      return yield* Effect.fail(Option.isNone(stored) ? required("login_required") : unavailable)
    })

    /** Runs with the lock: one exchange and its write. */
    const renew = Effect.fnUntraced(function* (
      before: string | undefined,
      mayRetry: boolean
    ): Effect.fn.Return<StoredGrant, TokenError | TokenStoreError> {
      if (unwritten !== undefined) return yield* write(unwritten.grant, unwritten.expected)
      const stored = yield* read
      // Another process may have done it while this one was waiting.
      const found = usable(stored, before, yield* Clock.currentTimeMillis)
      if (Option.isSome(found)) return found.value.grant
      if (Option.isNone(stored)) return yield* Effect.fail(required("login_required"))
      const { grant, version } = stored.value
      if (grant.refreshToken === undefined) return yield* Effect.fail(required("login_required"))
      // The version is claimed before the refresh token is used. This fails if the lock has passed to another process, and
      // if the store accepts no writes, which would lose the new refresh token.
      const claimed = yield* store.write(grant, version)
      if (Option.isNone(claimed)) return yield* fromOther
      const result = yield* Effect.result(exchange(grant.refreshToken, grant.scopes, grant))
      if (result._tag === "Success") {
        if (isSameUser(grant.idToken, result.success.idToken)) return yield* write(result.success, claimed.value)
        yield* store.remove(claimed.value)
        return yield* Effect.fail(required("login_required"))
      }
      const error = result.failure
      if (error._tag !== "ReauthenticationRequired" || error.error !== "invalid_grant") return yield* Effect.fail(error)
      const again = yield* read
      if (Option.isSome(again) && !isSameText(again.value.grant.refreshToken, grant.refreshToken)) {
        return mayRetry ? yield* renew(before, false) : yield* Effect.fail(error)
      }
      // If another process has claimed the version since, that process may be about to write.
      const isOver = Option.isNone(again) || (yield* store.remove(claimed.value))
      return yield* Effect.fail(isOver ? error : unavailable)
    })

    // The detached fiber cannot be interrupted. The fiber that waits for it is not interrupted either, so the scope waits
    // for the write, too.
    const detached = <A, E>(self: Effect.Effect<A, E>): Effect.Effect<A, E> =>
      Effect.uninterruptible(Effect.flatMap(Effect.forkDetach(Effect.interruptible(self)), Fiber.join))

    const cache = tokenCache.make<null>({
      lifetimes,
      scope: yield* Scope.Scope,
      textOf: () => "",
      // After a sign-in of another process, the next request must find the new grant.
      refusalPause: 0,
      fetch: (_, token) =>
        fromStore(
          Effect.gen(function* () {
            const session = sessions
            const before = token && Redacted.value(token.value)
            const found = usable(yield* read, before, yield* Clock.currentTimeMillis)
            const grant =
              unwritten === undefined && Option.isSome(found)
                ? found.value.grant
                : yield* store.withLock(detached(renew(before, true)))
            return { ...issuedOf(grant), isCurrent: () => session === sessions }
          })
        )
    })

    const revoke = (grant: StoredGrant): Effect.Effect<boolean, TokenError> =>
      Effect.gen(function* () {
        const { json } = yield* endpoint.metadata
        if (json["revocation_endpoint"] === undefined) return false
        const token = Redacted.value(grant.refreshToken ?? grant.accessToken)
        yield* endpoint.call("revocation_endpoint", async ({ authentication, client, options, server }) =>
          oauth.processRevocationResponse(
            await oauth.revocationRequest(server, client, authentication, token, {
              ...options,
              additionalParameters: {
                token_type_hint: grant.refreshToken === undefined ? "access_token" : "refresh_token"
              }
            })
          )
        )
        return true
      })

    const source: RefreshTokenSource = {
      get: ({ scopes = [] } = {}) =>
        Effect.flatMap(cache.get(null), (token) =>
          // A server that names no scopes has granted what the client has asked for.
          token.scopes.size === 0 || scopes.every((scope) => token.scopes.has(scope))
            ? Effect.succeed(token)
            : Effect.fail(required("insufficient_scope"))
        ),
      forget: (token) =>
        Effect.suspend(() => {
          refused = Redacted.value(token.value)
          return cache.forget(token)
        }),
      save: (grant) =>
        store.withLock(
          detached(
            Effect.gen(function* () {
              const stored = yield* store.read
              unwritten = undefined
              sessions += 1
              yield* store.write(grant, Option.getOrUndefined(Option.map(stored, ({ version }) => version)))
              yield* cache.clear
            })
          )
        ),
      signOut: store.withLock(
        detached(
          Effect.gen(function* () {
            const stored = yield* store.read
            const grant = unwritten?.grant ?? Option.getOrUndefined(Option.map(stored, ({ grant }) => grant))
            unwritten = undefined
            sessions += 1
            // The tokens go first, so that an outage does not keep the user signed in.
            yield* store.remove()
            yield* cache.clear
            return grant === undefined ? false : yield* revoke(grant)
          })
        )
      )
    }
    return source
  })

const isSameText = (one: Redacted.Redacted | undefined, other: Redacted.Redacted | undefined): boolean =>
  (one && Redacted.value(one)) === (other && Redacted.value(other))

const isStoreError = (error: unknown): error is TokenStoreError =>
  typeof error === "object" && error !== null && "_tag" in error && error._tag === "TokenStoreError"

/**
 * Layer that provides the source as `TokenSource`.
 *
 * **Example** (Using the tokens of a file)
 *
 * ```ts
 * import { NodeServices } from "@effect/platform-node"
 * import { Layer } from "effect"
 * import { FetchHttpClient } from "effect/http"
 * import { ClientAuthentication, RefreshToken, TokenStore } from "effect-oauth2/client"
 *
 * export const Source = RefreshToken.layer({
 *   issuer: "https://idp.example.com",
 *   clientId: "items-cli",
 *   authentication: ClientAuthentication.none
 * }).pipe(
 *   Layer.provide(TokenStore.layerFile({ path: "tokens.json" })),
 *   Layer.provide([FetchHttpClient.layer, NodeServices.layer])
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<TokenSource, ConfigurationError, TokenStore | NeedsHttpClient> =>
  Layer.effect(TokenSource, make(options))
