/**
 * Gives tokens to a client, which sends them to APIs.
 *
 * **When to use**
 *
 * | you have | use |
 * |---|---|
 * | a service that acts for itself | `ClientCredentials` |
 * | a user's request, and an API behind your own | `TokenExchange` |
 * | a user who signed in | `RefreshToken` |
 * | a token that something else gives you | `TokenSource.fromToken` |
 *
 * `AuthorizedClient` sends the tokens.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import type { ClientToken, ClientTokens } from "../core/clientToken.ts"

export type { ClientToken, ProofRequest, TokenRequest } from "../core/clientToken.ts"

/**
 * Service that gives tokens, cached until they expire.
 *
 * **Example** (Using a fixed token in a test)
 *
 * ```ts import.meta.vitest
 * import { Effect, Redacted } from "effect"
 * import { TokenSource } from "effect-oauth2/client"
 *
 * const program = Effect.gen(function* () {
 *   const { get } = yield* TokenSource
 *   const { type } = yield* get()
 *   return type
 * })
 *
 * const source = TokenSource.fromToken(Redacted.make("token"))
 *
 * await Effect.runPromise(Effect.provideService(program, TokenSource, source)) // => "Bearer"
 * ```
 *
 * @category services
 * @since 0.1.0
 */
export class TokenSource extends Context.Service<TokenSource, ClientTokens>()("effect-oauth2/client/TokenSource") {
  /**
   * Source with one token, such as a personal access token. It never expires here.
   *
   * **Example** (Sending a personal access token)
   *
   * ```ts
   * import { Config, Effect, Layer } from "effect"
   * import { TokenSource } from "effect-oauth2/client"
   *
   * export const Source = Layer.effect(TokenSource, Effect.map(Config.Redacted("API_TOKEN"), TokenSource.fromToken))
   * ```
   *
   * @since 0.1.0
   */
  static fromToken(token: Redacted.Redacted): TokenSource["Service"] {
    const fixed: ClientToken = { value: token, type: "Bearer", scopes: new Set(), expiresAt: Infinity }
    return { get: () => Effect.succeed(fixed), forget: () => Effect.void }
  }
}
