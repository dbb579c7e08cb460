/** The tokens that clients send, and what gives them. */
import type * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import type { TokenError } from "./clientErrors.ts"

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
 * Gives tokens, cached until they expire. `TokenSource` of `effect-oauth2/client` is one.
 *
 * @category models
 * @since 0.1.0
 */
export interface ClientTokens {
  /** Returns a token. Requests one if none is cached, or if the cached one is about to expire. */
  readonly get: (request?: TokenRequest) => Effect.Effect<ClientToken, TokenError>
  /** Removes this token from the cache. A newer token stays. */
  readonly forget: (token: ClientToken) => Effect.Effect<void>
}
