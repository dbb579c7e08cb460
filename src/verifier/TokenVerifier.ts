/**
 * The service that turns a credential into an access token, or says why not.
 *
 * `JwtVerifier` is the implementation for JWTs. One of your own is a function from the presented token to a `VerifiedToken`, which fails with
 * `InvalidToken` where the token is refused, and with `AuthorizationServerUnavailable` where nobody could tell.
 *
 * **Details**
 *
 * In front of every verifier stands a cache of verified tokens:
 *
 * | what | bound |
 * |---|---|
 * | a token that was accepted is not verified again | for 1 minute (`timeToLive`), never from `expiresAt` on, never after its key has left the issuer's key set |
 * | tokens that are kept | 10 000 (`capacity`) in 16 MiB (`maxBytes`, estimated) |
 * | a token that was accepted, where there is no room | is kept when it comes again, in the place of one that nobody uses |
 * | a token that was refused | drops no other; what was refused by its form alone, twice, is known by it (64 tokens of at most 256 characters) |
 * | a token that many present at once | is verified once |
 * | a token of your own verifier whose claims can change (a `Date`, an instance of a class) | is verified for each request |
 *
 * A token is found by its whole text: what is kept of one is never another's. The metric `oauth2_token_cache_lookups_total` (counter) counts by `outcome`:
 * `hit`, `miss`.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import { redact } from "../core/authorizationHeader.ts"
import * as cachedVerifier from "./cache/cachedVerifier.ts"
import type { TokenCaching } from "./cache/options.ts"
import { countInvalidation } from "./cache/shared.ts"
import { copyUnexpired } from "./cache/userVerifier.ts"
import { always, isImmutable, type VerifierService, type Verify } from "./cache/verified.ts"
import type { ConfigurationError } from "../core/SecurityError.ts"
import { ownProperties } from "../core/lib/ownProperties.ts"

export type { TokenCacheOptions, TokenCaching } from "./cache/options.ts"

const notCached =
  "A verified token is not cached. Its claims hold a value that a request could change for the next one, such as a Date, a Map or an instance of a class. Return plain data in claims, or set cache: false."

/**
 * Verifies bearer tokens. A scheme's `layer` asks for it.
 *
 * **Example** (A verifier of one's own)
 *
 * ```ts
 * import { DateTime, Effect, Redacted } from "effect"
 * import { AccessToken, SecurityError, TokenVerifier } from "effect-oauth2"
 *
 * export const Sessions = TokenVerifier.layer({
 *   verify: (token) =>
 *     Redacted.value(token) === "opaque-token-of-demo"
 *       ? Effect.succeed(
 *           AccessToken.make({
 *             subject: "demo",
 *             scopes: "items:read",
 *             issuer: "https://sessions.example.com",
 *             expiresAt: DateTime.makeUnsafe("2100-01-01T00:00:00Z")
 *           })
 *         )
 *       : Effect.fail(new SecurityError.InvalidToken({ reason: "Rejected" })),
 *   cache: { timeToLive: "5 seconds" }
 * })
 * ```
 *
 * @category services
 * @since 0.1.0
 */
export class TokenVerifier extends Context.Service<TokenVerifier, VerifierService>()("effect-oauth2/TokenVerifier") {
  /**
   * A verifier with a cache in front. A cache setting that cannot work fails it with a `ConfigurationError`. Of what `verify` gives a copy is taken, and a
   * token whose time is over (`expiresAt`) is refused, without a tolerance: of a verifier with a `clockTolerance`, that you put into this one, only the exact
   * time counts.
   *
   * **Gotchas**
   *
   * While a token is kept, `verify` is not asked about it: choose `timeToLive` by how long a token that you have revoked may still be taken, or call
   * `invalidate`. Where `verify` reads the request (a proof of possession, an address), say `cache: false`.
   *
   * All requests with a cached token get the same frozen copy. If the claims hold a value that cannot be frozen, such as a `Date`, a `Map` or an instance of a
   * class, the token is not cached. Then `verify` runs for each request, and a warning says so once. Give plain data, `Option`, `DateTime.Utc` or `Duration`.
   *
   * If `verify` calls another verifier that has a cache, `invalidate` reaches the outer cache only. Provide a service whose `invalidate` calls that of the inner
   * verifier first, and then that of the outer one.
   *
   * **Example** (A verifier that needs a service)
   *
   * ```ts
   * import { Context, Effect, Layer, Redacted } from "effect"
   * import { SecurityError, TokenVerifier, type VerifiedToken } from "effect-oauth2"
   *
   * export class Sessions extends Context.Service<
   *   Sessions,
   *   { readonly find: (id: string) => Effect.Effect<VerifiedToken | undefined> }
   * >()("Sessions") {}
   *
   * export const Verifier = Layer.effect(
   *   TokenVerifier,
   *   Effect.flatMap(Sessions, ({ find }) =>
   *     TokenVerifier.make({
   *       verify: (token) =>
   *         Effect.flatMap(find(Redacted.value(token)), (session) =>
   *           session === undefined
   *             ? Effect.fail(new SecurityError.InvalidToken({ reason: "Rejected" }))
   *             : Effect.succeed(session)
   *         )
   *     })
   *   )
   * )
   * ```
   *
   * @since 0.1.0
   */
  static make(
    options: TokenCaching & { readonly verify: Verify }
  ): Effect.Effect<TokenVerifier["Service"], ConfigurationError> {
    // A class of the user's may have `verify` as a method.
    const { verify } = options
    const { cache } = ownProperties(options)
    let isReported = cache === false
    return cachedVerifier.make({
      cache: ownProperties(options).cache,
      read: (text: string) => text,
      // A custom verifier refuses no token by its form.
      refused: () => {},
      verify: (text, fiber) =>
        Effect.flatMapEager(copyUnexpired(verify(redact(text)), fiber.getRef(Clock.Clock)), (copy) => {
          const verified = { ...copy, until: copy.token.expiresAt.epochMilliseconds, standing: always }
          if (isReported || isImmutable(copy)) return Effect.succeed(verified)
          isReported = true
          return Effect.as(Effect.logWarning(notCached), verified)
        })
    })
  }

  /**
   * The same as a layer.
   *
   * **Example** (Fixed tokens for development)
   *
   * ```ts
   * import { DateTime, Effect, Redacted } from "effect"
   * import { AccessToken, SecurityError, TokenVerifier } from "effect-oauth2"
   *
   * const issuer = "development"
   * const expiresAt = DateTime.makeUnsafe("2100-01-01T00:00:00Z")
   * const tokens = new Map([
   *   ["alice", AccessToken.make({ subject: "alice", scopes: "items:read items:write", issuer, expiresAt })],
   *   ["bob", AccessToken.make({ subject: "bob", scopes: "items:read", issuer, expiresAt })]
   * ])
   *
   * export const Development = TokenVerifier.layer({
   *   verify: (token) => {
   *     const found = tokens.get(Redacted.value(token))
   *     return found === undefined
   *       ? Effect.fail(new SecurityError.InvalidToken({ reason: "Rejected" }))
   *       : Effect.succeed(found)
   *   }
   * })
   * ```
   *
   * @since 0.1.0
   */
  static layer(options: TokenCaching & { readonly verify: Verify }): Layer.Layer<TokenVerifier, ConfigurationError> {
    return Layer.effect(TokenVerifier, TokenVerifier.make(options))
  }

  /**
   * Forgets what is kept of a token, in the verifier of the context.
   *
   * **Example** (Logging out)
   *
   * ```ts
   * import { Effect } from "effect"
   * import { HttpServerResponse } from "effect/http"
   * import { BearerToken, TokenVerifier } from "effect-oauth2"
   *
   * export const logOut = Effect.flatMap(BearerToken, TokenVerifier.invalidate).pipe(Effect.as(HttpServerResponse.empty()))
   * ```
   *
   * @since 0.1.0
   */
  static readonly invalidate = (token: Redacted.Redacted): Effect.Effect<void, never, TokenVerifier> =>
    Effect.flatMap(TokenVerifier, (verifier) =>
      // A service of the user's own does not count by itself.
      Effect.ensuring(verifier.invalidate(token), Effect.sync(countInvalidation))
    )
}
