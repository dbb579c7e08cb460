/**
 * The service that turns a credential into an access token, or says why not.
 *
 * `JwtVerifier` is the implementation for JWTs. An own one is a function from the presented token to a `VerifiedToken`, which fails with
 * `InvalidToken` where the token is refused, and with `AuthorizationServerUnavailable` where nobody could tell.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import type { VerifiedToken } from "./AccessToken.ts"
import type { AuthorizationServerUnavailable, InvalidToken } from "./SecurityError.ts"

/**
 * Verifies bearer tokens. A scheme's `layer` asks for it.
 *
 * **Example** (A verifier of one's own)
 *
 * ```ts
 * import { DateTime, Effect, Layer, Redacted } from "effect"
 * import { AccessToken, SecurityError, TokenVerifier } from "effect-oauth2"
 *
 * export const Sessions = Layer.succeed(TokenVerifier, {
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
 *       : Effect.fail(new SecurityError.InvalidToken({ reason: "Rejected" }))
 * })
 * ```
 *
 * @category services
 * @since 0.1.0
 */
export class TokenVerifier extends Context.Service<
  TokenVerifier,
  {
    readonly verify: (
      token: Redacted.Redacted
    ) => Effect.Effect<VerifiedToken, InvalidToken | AuthorizationServerUnavailable>
  }
>()("effect-oauth2/TokenVerifier") {}
