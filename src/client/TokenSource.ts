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
import type { TokenError } from "./ClientError.ts"

/**
 * What a token is asked for. Each combination has a token of its own.
 *
 * @category models
 * @since 0.1.0
 */
export interface TokenRequest {
  /** Scopes to ask for. Default: the scopes of the source. */
  readonly scopes?: ReadonlyArray<string>
}

/**
 * A token to send.
 *
 * @category models
 * @since 0.1.0
 */
export interface ClientToken {
  /** The access token. Clients must not read it (RFC 9068 §6). */
  readonly value: Redacted.Redacted
  /** `"DPoP"` is bound to the key of the source. */
  readonly type: "Bearer" | "DPoP"
  /** Granted scopes: those of the response, or the scopes that were asked for (RFC 6749 §5.1). */
  readonly scopes: ReadonlySet<string>
  /** Expiration time in milliseconds since 1970, counted from when the token was requested. */
  readonly expiresAt: number
  /**
   * Makes a DPoP proof for one request (RFC 9449 §4). Default: present if `type` is `"DPoP"`, otherwise none.
   *
   * **Example** (Sending a proof with your own client)
   *
   * ```ts
   * import { Effect, Redacted } from "effect"
   * import type { ClientToken } from "effect-oauth2/client"
   *
   * export const headersOf = Effect.fnUntraced(function* (token: ClientToken, url: URL) {
   *   const authorization = `${token.type} ${Redacted.value(token.value)}`
   *   return token.proof === undefined
   *     ? { authorization }
   *     : { authorization, dpop: yield* token.proof({ method: "GET", url }) }
   * })
   * ```
   */
  readonly proof?: (request: ProofRequest) => Effect.Effect<string>
}

/**
 * The request that a DPoP proof is for.
 *
 * @category models
 * @since 0.1.0
 */
export interface ProofRequest {
  readonly method: string
  readonly url: URL
  /** The nonce that the server gave last. Default: none. */
  readonly nonce?: string | undefined
}

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
export class TokenSource extends Context.Service<
  TokenSource,
  {
    /** Returns a token. Requests one if none is cached, or if the cached one is about to expire. */
    readonly get: (request?: TokenRequest) => Effect.Effect<ClientToken, TokenError>
    /** Removes this token from the cache. A newer token stays. */
    readonly forget: (token: ClientToken) => Effect.Effect<void>
  }
>()("effect-oauth2/client/TokenSource") {
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
