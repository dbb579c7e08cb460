/**
 * The credential of the current request: the bearer token as it was presented in the `Authorization` field (RFC 6750 §2.1, RFC 9110 §11.4).
 *
 * Nothing here verifies a token. Extraction is strict about what may be a token at all: one `Authorization` field, a bounded length, the
 * scheme `Bearer` in any case, and the token68 grammar. Tokens in a query or a form are ignored (OAuth 2.1 §5.1).
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import * as authorizationHeader from "./authorizationHeader.ts"
import type { InvalidRequest, NotAuthenticated } from "./SecurityError.ts"

/**
 * The bearer token of the current request, redacted.
 *
 * **Details**
 *
 * | `Authorization` field | answer |
 * |---|---|
 * | absent, empty, or another scheme | `NotAuthenticated` |
 * | longer than `BearerToken.MaxLength`, sent twice, empty or not token68 after `Bearer` | `InvalidRequest` |
 * | `Bearer` in any case, a space, one token68 (RFC 9110 §11.2) | the token |
 *
 * **Example** (A program that is given a token)
 *
 * ```ts import.meta.vitest
 * import { Effect, Redacted } from "effect"
 * import { BearerToken } from "effect-oauth2"
 *
 * const program = Effect.map(BearerToken, String)
 *
 * Effect.runSync(Effect.provide(program, BearerToken.layerTest("token"))) // => "<redacted:access_token>"
 * ```
 *
 * @category services
 * @since 0.1.0
 */
export class BearerToken extends Context.Service<BearerToken, Redacted.Redacted>()("effect-oauth2/BearerToken") {
  /**
   * The longest `Authorization` field that is looked at, in characters: a longer one is an `InvalidRequest`. Default: 8192.
   *
   * **Example** (An app whose tokens are long)
   *
   * ```ts
   * import { Layer } from "effect"
   * import { BearerToken } from "effect-oauth2"
   *
   * // Give it to what serves the app. For JWTs, raise the verifier's `maxTokenLength`, too.
   * export const LongTokens = Layer.succeed(BearerToken.MaxLength, 16_384)
   * ```
   *
   * @since 0.1.0
   */
  static readonly MaxLength = Context.Reference<number>("effect-oauth2/BearerToken/MaxLength", {
    defaultValue: () => 8192
  })

  /**
   * Reads the bearer token of the current request: `NotAuthenticated` where there is none, `InvalidRequest` where it is malformed.
   *
   * **Example** (Calling another service for the same user)
   *
   * ```ts
   * import { Effect } from "effect"
   * import { HttpClient, HttpClientRequest } from "effect/http"
   * import { BearerToken } from "effect-oauth2"
   *
   * export const stock = Effect.flatMap(BearerToken.extract, (token) =>
   *   HttpClientRequest.get("https://stock.example.com/items").pipe(
   *     HttpClientRequest.bearerToken(token),
   *     HttpClient.execute
   *   )
   * )
   * ```
   *
   * @since 0.1.0
   */
  static readonly extract: Effect.Effect<Redacted.Redacted, NotAuthenticated | InvalidRequest, HttpServerRequest> =
    Effect.flatMap(
      Effect.all([HttpServerRequest, BearerToken.MaxLength]),
      ([request, maxLength]): Effect.Effect<Redacted.Redacted, NotAuthenticated | InvalidRequest> => {
        const credential = authorizationHeader.fromRequest(request, maxLength)
        return typeof credential === "string"
          ? Effect.succeed(authorizationHeader.redact(credential))
          : Effect.fail(credential)
      }
    )

  /**
   * Reads the bearer token of the current request, `None` where there is none or another scheme is used (FastAPI's
   * `auto_error=False`). Malformed credentials are still refused.
   *
   * **Example** (What a shared cache may keep)
   *
   * ```ts
   * import { Effect, Option } from "effect"
   * import { BearerToken } from "effect-oauth2"
   *
   * export const cacheControl = Effect.map(BearerToken.extractOption, (token) =>
   *   Option.isSome(token) ? "private, no-store" : "public, max-age=60"
   * )
   * ```
   *
   * @since 0.1.0
   */
  static readonly extractOption: Effect.Effect<Option.Option<Redacted.Redacted>, InvalidRequest, HttpServerRequest> =
    BearerToken.extract.pipe(
      Effect.map(Option.some),
      Effect.catchTag("NotAuthenticated", () => Effect.succeedNone)
    )

  /**
   * Provides the bearer token of the request in the context. Built anew for each use: a layer that remembers would hand one
   * request's token to another.
   *
   * **Example** (A route that reads the credential by itself)
   *
   * ```ts
   * import { Effect } from "effect"
   * import { HttpRouter, HttpServerResponse } from "effect/http"
   * import { BearerToken, TokenVerifier } from "effect-oauth2"
   *
   * const logOut = Effect.flatMap(BearerToken, TokenVerifier.invalidate)
   *
   * export const LogOut = HttpRouter.add(
   *   "POST",
   *   "/logout",
   *   Effect.as(logOut, HttpServerResponse.empty()).pipe(Effect.provide(BearerToken.layer))
   * )
   * ```
   *
   * @since 0.1.0
   */
  static readonly layer: Layer.Layer<BearerToken, NotAuthenticated | InvalidRequest, HttpServerRequest> = Layer.fresh(
    Layer.effect(BearerToken, BearerToken.extract)
  )

  /**
   * For tests: provides the given token. It is a credential, never a proof: what verifies tokens verifies this one too.
   *
   * **Example** (A test of a verifier)
   *
   * ```ts import.meta.vitest
   * import { DateTime, Effect, Layer } from "effect"
   * import { AccessToken, BearerToken, TokenVerifier } from "effect-oauth2"
   *
   * const token = AccessToken.make({
   *   subject: "demo",
   *   scopes: "me",
   *   issuer: "test",
   *   expiresAt: DateTime.makeUnsafe("2100-01-01T00:00:00Z")
   * })
   * const Verifier = TokenVerifier.layer({ verify: () => Effect.succeed(token) })
   *
   * const subject = Effect.gen(function* () {
   *   const { verify } = yield* TokenVerifier
   *   return (yield* verify(yield* BearerToken)).subject
   * }).pipe(Effect.provide(Layer.merge(Verifier, BearerToken.layerTest("anything"))))
   *
   * await Effect.runPromise(subject) // => "demo"
   * ```
   *
   * @since 0.1.0
   */
  static layerTest(token: string): Layer.Layer<BearerToken> {
    return Layer.succeed(BearerToken, authorizationHeader.redact(token))
  }
}
