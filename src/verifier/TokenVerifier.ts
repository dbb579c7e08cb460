/**
 * Service that verifies bearer tokens, with a cache of verified tokens.
 *
 * **When to use**
 *
 * Use `JwtVerifier` for JWTs and `TokenIntrospection` for opaque tokens. Use `TokenVerifier.layerByForm` for both. Use
 * `TokenVerifier.layer` for a custom verifier.
 *
 * **Details**
 *
 * Every verifier has a cache of verified tokens:
 *
 * | token | what the cache does |
 * |---|---|
 * | accepted | caches it for 1 minute (`timeToLive`), until it expires, or until its key leaves the issuer's key set |
 * | accepted, but the cache is full | admits it on its second use, and evicts an unused token |
 * | refused | does not cache it, and evicts no token |
 * | refused for its form, at least twice | caches the error, for at most 64 tokens of at most 256 characters |
 * | presented by several requests at the same time | verifies it once, or again if the verification takes 10 seconds |
 * | from a custom verifier, with mutable claims such as a `Date` or an instance of a class | verifies it for each request |
 *
 * The cache holds at most 10 000 tokens (`capacity`) in at most 16 MiB (`maxBytes`, estimated). A lookup compares the
 * whole token, so it never returns another token's entry. The counter `oauth2_token_cache_lookups_total` counts lookups
 * by `outcome`: `hit`, `miss`.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { redact } from "../core/authorizationHeader.ts"
import * as byForm from "./cache/byForm.ts"
import * as cachedVerifier from "./cache/cachedVerifier.ts"
import type { TokenCaching } from "./cache/options.ts"
import * as invalidations from "./cache/invalidations.ts"
import { countInvalidation } from "./cache/shared.ts"
import { copyUnexpired } from "./cache/customVerifier.ts"
import { alwaysValid, isImmutable, type VerifierService, type Verify } from "./cache/verified.ts"
import type { ConfigurationError } from "../core/SecurityError.ts"
import { ownProperties } from "../core/lib/ownProperties.ts"
import { refuseOption } from "../core/refuseOption.ts"

export type { TokenFormOptions } from "./cache/byForm.ts"
export type { TokenCacheOptions, TokenCaching } from "./cache/options.ts"

const notCached =
  "A verified token is not cached. Its claims hold a mutable value, such as a Date, a Map or an instance of a class. Return plain data in claims, or set cache: false."

/**
 * Service that verifies bearer tokens. A scheme's `layer` requires it.
 *
 * **Example** (Writing a custom verifier)
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
   * Creates a verifier from a function that verifies one token, and adds a token cache.
   *
   * **When to use**
   *
   * Use when your tokens are neither JWTs nor known to an introspection endpoint, such as session identifiers.
   *
   * **Details**
   *
   * - `verify` receives the token and returns a `VerifiedToken`. Fail with `InvalidToken` to refuse the token, and with
   *   `AuthorizationServerUnavailable` if the token cannot be verified now.
   * - The verifier returns a frozen copy of the `VerifiedToken`, so you may change the original later.
   * - A token past its `expiresAt` is refused, without clock tolerance. If `verify` calls a verifier with a
   *   `clockTolerance`, the exact time still applies.
   * - An invalid `cache` option fails with a `ConfigurationError`.
   *
   * **Gotchas**
   *
   * - `verify` does not run for a cached token. A revoked token is accepted until `timeToLive` ends or you call
   *   `invalidate`.
   * - Set `cache: false` if `verify` reads the request, for example to check a client address or a proof of possession.
   * - A token is not cached if its claims hold a value that cannot be frozen: a `Date`, a `Map` or an instance of a
   *   class. In that case, `verify` runs for each request, and one warning is logged. Return plain data, `Option`,
   *   `DateTime.Utc` or `Duration`.
   * - If `verify` calls another verifier with a cache, `invalidate` clears only the outer cache. Provide a service
   *   whose `invalidate` calls the inner verifier's `invalidate` first, and then the outer verifier's.
   *
   * **Example** (Verifying session identifiers)
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
    // Not read as an own property, because the options may be an instance of a class with a `verify` method.
    const { verify } = options
    const { cache } = ownProperties(options)
    let isReported = cache === false
    return cachedVerifier.make({
      cache: ownProperties(options).cache,
      read: (text: string) => text,
      // A custom verifier has no rules about the form of a token.
      refused: () => {},
      verify: (text, fiber) =>
        Effect.flatMapEager(copyUnexpired(verify(redact(text)), fiber.getRef(Clock.Clock)), (copy) => {
          const verified = { ...copy, validUntil: copy.token.expiresAt.epochMilliseconds, validity: alwaysValid }
          if (isReported || isImmutable(copy)) return Effect.succeed(verified)
          isReported = true
          return Effect.as(Effect.logWarning(notCached), verified)
        })
    })
  }

  /**
   * Layer with a verifier from a function that verifies one token. `make` describes the options.
   *
   * **Example** (Accepting fixed tokens in development)
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
   * Layer with a verifier that chooses between two verifiers by the form of each token: one for JWTs, one for opaque
   * tokens. A scheme with this verifier has one challenge for both.
   *
   * **When to use**
   *
   * Use if clients send JWTs and opaque tokens to the same routes, for example during a migration. For the JWTs of
   * several issuers, use `JwtVerifier.layerIssuers` as the `jwt` verifier.
   *
   * **Details**
   *
   * | token | verifier |
   * |---|---|
   * | begins with a header in JSON that has `alg`, and a dot, also if the rest is damaged | `jwt` |
   * | a JWT whose unverified `iss` is one of `opaqueIssuers` | `opaque` |
   * | an encrypted JWT (five parts, and `enc` in the header) | `opaque` |
   * | every other token, with or without dots | `opaque` |
   *
   * A JWT that is refused is never sent to the authorization server, unless you set `refusedJwts: "opaque"`. An
   * invalid option fails the layer with a `ConfigurationError`.
   *
   * **Gotchas**
   *
   * - Both verifiers can grant every scope of a scheme. If the two kinds of tokens need different permissions, use two
   *   schemes.
   * - If your authorization server issues opaque tokens in the form of a JWT, name its issuer in `opaqueIssuers`.
   *
   * **Example** (Accepting JWTs and opaque tokens)
   *
   * ```ts
   * import { Layer, Redacted } from "effect"
   * import { FetchHttpClient } from "effect/http"
   * import { JwtVerifier, TokenIntrospection, TokenVerifier } from "effect-oauth2"
   *
   * const issuer = "https://idp.example.com"
   * const audience = "https://api.example.com"
   *
   * export const Verifier = TokenVerifier.layerByForm({
   *   jwt: JwtVerifier.layer({ issuer, audience }),
   *   opaque: TokenIntrospection.layer({
   *     issuer,
   *     audience,
   *     clientId: "items-api",
   *     clientSecret: Redacted.make("the API's own secret")
   *   })
   * }).pipe(Layer.provide(FetchHttpClient.layer))
   * ```
   *
   * @since 0.1.0
   */
  static layerByForm<E1, R1, E2, R2>(
    options: byForm.TokenFormOptions & {
      /** Verifier of JWTs. */
      readonly jwt: Layer.Layer<TokenVerifier, E1, R1>
      /** Verifier of all other tokens. */
      readonly opaque: Layer.Layer<TokenVerifier, E2, R2>
    }
  ): Layer.Layer<TokenVerifier, ConfigurationError | E1 | E2, R1 | R2> {
    return Layer.effect(
      TokenVerifier,
      Effect.gen(function* () {
        const { jwt, opaque, ...form } = ownProperties(options)
        const { opaqueIssuers = [], refusedJwts = "refuse" } = form
        if (!Array.isArray(opaqueIssuers) || !opaqueIssuers.every((issuer) => typeof issuer === "string")) {
          return yield* refuseOption("opaqueIssuers", "must be a list of iss values")
        }
        if (refusedJwts !== "refuse" && refusedJwts !== "opaque") {
          return yield* refuseOption("refusedJwts", 'must be "refuse" or "opaque"')
        }
        return byForm.make(
          {
            jwt: Context.get(yield* Layer.build(jwt), TokenVerifier),
            opaque: Context.get(yield* Layer.build(opaque), TokenVerifier)
          },
          form
        )
      })
    )
  }

  /**
   * Removes a token from the cache of the `TokenVerifier` in the context.
   *
   * **Details**
   *
   * The next request with the token verifies it again. A verification in progress still completes. `auth.expiry` and the
   * streams of `effect/rpc` end for the token.
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
      // A custom service does not do this itself.
      Effect.ensuring(
        verifier.invalidate(token),
        Effect.sync(() => {
          invalidations.add(Redacted.value(token))
          countInvalidation()
        })
      )
    )
}
