/**
 * Ends the sessions of users that log out at their identity provider (OpenID Connect Back-Channel Logout 1.0).
 *
 * **When to use**
 *
 * Use if a logout at the identity provider must refuse the user's access tokens before they expire.
 *
 * **Details**
 *
 * The identity provider sends a logout token to the app, from server to server. The app validates the token, and revokes
 * with `Revocations`. The response has `Cache-Control: no-store`.
 *
 * | response | cause |
 * |---|---|
 * | 200 | the tokens of the session or of the subject are revoked, also if no request has ever used one of them |
 * | 400 | the logout token is invalid, was used before, or is not in a form |
 * | 503 with `Retry-After` | a store or the keys of the issuer are unavailable. The identity provider should try again |
 *
 * A logout token is valid if it meets all of these conditions:
 *
 * - A key of the issuer signed it with an allowed algorithm, and its `typ` is `logout+jwt` or absent.
 * - Its `iss` is the issuer, and its `aud` contains the client ID.
 * - It has an `exp` in the future, an `iat` that is not older than `maxTokenAge`, and a `jti` that was not used before.
 * - Its `events` has the event of back-channel logout. It has `sub`, `sid` or both, and no `nonce`.
 *
 * The counter `oauth2_logout_tokens_total` counts logout tokens by `outcome`. The first refusal of a signed token for each
 * cause is logged as a warning.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as HttpRouter from "effect/http/HttpRouter"
import * as Layer from "effect/Layer"
import { ownProperties } from "../core/lib/ownProperties.ts"
import type { NeedsHttpClient } from "../core/missing.ts"
import { refuseOption } from "../core/refuseOption.ts"
import type { ConfigurationError } from "../core/SecurityError.ts"
import { ReplayStore } from "../stores/ReplayStore.ts"
import type { Target } from "../stores/revocationEntry.ts"
import type { CacheOptions } from "../verifier/keys/options.ts"
import * as KeySet from "../verifier/KeySet.ts"
import { Revocations } from "../verifier/Revocations.ts"
import * as endpoint from "./endpoint.ts"
import * as logoutToken from "./logoutToken.ts"
import type { LogoutTokenPolicy } from "./options.ts"

export type { LogoutTokenPolicy } from "./options.ts"

/**
 * Options for `layerKeySet`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends LogoutTokenPolicy {
  /** Path of the route. Register it at the issuer as `backchannel_logout_uri`. @default "/backchannel-logout" */
  readonly path?: HttpRouter.PathInput
  /**
   * What a logout token with `sid` revokes. A token without `sid` always revokes the tokens of its `sub`.
   *
   * - `"session"` revokes the tokens with this `sid` claim. Many issuers write `sid` only into ID tokens. Their access
   *   tokens stay valid.
   * - `"subject"` also revokes the tokens of its `sub` that were issued before the logout token, on all devices.
   *
   * @default "session"
   */
  readonly revoke?: "session" | "subject"
}

/**
 * Options for `layer`, including the options of the key cache.
 *
 * @category models
 * @since 0.1.0
 */
export interface DiscoveryOptions extends Options, CacheOptions {}

/**
 * Adds the route that receives logout tokens to the `HttpRouter`, and finds the keys of the issuer by discovery.
 *
 * **Details**
 *
 * - The layer needs `Revocations` and a `ReplayStore`. Share both with `Revocations.enforce` of the verifier.
 * - The route is a public route for `OAuth2.secured`. OpenAPI documents do not contain the route.
 * - An invalid option fails the layer with a `ConfigurationError`, whose `setting` is the name of the option.
 *
 * **Gotchas**
 *
 * - Do not apply a requirement to this layer. The identity provider sends no access token.
 * - Stores in memory reach only one process. The identity provider sends each logout token once, to one process.
 *
 * **Example** (Receiving logout tokens)
 *
 * ```ts
 * import { NodeRedis } from "@effect/platform-node"
 * import { Layer } from "effect"
 * import { FetchHttpClient } from "effect/http"
 * import * as BackChannelLogout from "effect-oauth2/BackChannelLogout"
 * import { ReplayStore } from "effect-oauth2/ReplayStore"
 * import * as Revocations from "effect-oauth2/Revocations"
 *
 * // POST /backchannel-logout
 * export const Logout = BackChannelLogout.layer({
 *   issuer: "https://idp.example.com",
 *   clientId: "items-web"
 * }).pipe(
 *   Layer.provide(Layer.merge(Revocations.layerRedis(), ReplayStore.layerRedis())),
 *   Layer.provide(NodeRedis.layer({ url: "redis://127.0.0.1:6379", disableOfflineQueue: true })),
 *   Layer.provide(FetchHttpClient.layer)
 * )
 * ```
 *
 * @see {@link layerKeySet} for keys that discovery does not find
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options: DiscoveryOptions
): Layer.Layer<never, ConfigurationError, HttpRouter.HttpRouter | Revocations | ReplayStore | NeedsHttpClient> =>
  layerKeySet(options).pipe(Layer.provide(KeySet.layerDiscovery(options)))

/**
 * Adds the route of `layer`, with the `KeySet` in the context.
 *
 * **When to use**
 *
 * Use if the app has a `KeySet` for its access tokens, or if discovery does not find the keys of the issuer.
 *
 * **Example** (Using keys at a fixed URL)
 *
 * ```ts
 * import { Layer } from "effect"
 * import { FetchHttpClient } from "effect/http"
 * import { KeySet } from "effect-oauth2"
 * import * as BackChannelLogout from "effect-oauth2/BackChannelLogout"
 *
 * export const Logout = BackChannelLogout.layerKeySet({
 *   issuer: "https://idp.example.com",
 *   clientId: "items-web",
 *   revoke: "subject"
 * }).pipe(
 *   Layer.provide(KeySet.layerRemote({ url: "https://idp.example.com/keys.json" })),
 *   Layer.provide(FetchHttpClient.layer)
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerKeySet = (
  options: Options
): Layer.Layer<never, ConfigurationError, HttpRouter.HttpRouter | Revocations | ReplayStore | KeySet.KeySet> =>
  endpoint.layer(
    Effect.gen(function* () {
      const { path = "/backchannel-logout", revoke = "session", ...policy } = ownProperties(options)
      if (revoke !== "session" && revoke !== "subject") {
        return yield* refuseOption("revoke", 'must be "session" or "subject"')
      }
      if (typeof path !== "string" || !path.startsWith("/")) {
        return yield* refuseOption("path", 'must begin with a slash, such as "/backchannel-logout"')
      }
      const { addOnce } = yield* ReplayStore
      const revocations = yield* Revocations
      return {
        path,
        validate: yield* logoutToken.make(policy, yield* KeySet.KeySet),
        targetsOf: targetsWith(revoke),
        revoke: revocations.revoke,
        addOnce
      }
    })
  )

const targetsWith =
  (revoke: "session" | "subject") =>
  ({ issuedAt, issuer, sessionId, subject }: logoutToken.LogoutToken): ReadonlyArray<Target> => {
    const session: ReadonlyArray<Target> = sessionId === undefined ? [] : [{ issuer, sessionId }]
    return subject === undefined || (sessionId !== undefined && revoke === "session")
      ? session
      : [...session, { issuer, subject, issuedBefore: issuedAt }]
  }
