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
import * as authorizationHeader from "./internal/credential/authorizationHeader.ts"
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
   * The longest `Authorization` field that is looked at, in characters. Default: 8192 (8 KiB).
   *
   * @since 0.1.0
   */
  static readonly MaxLength = Context.Reference<number>("effect-oauth2/BearerToken/MaxLength", {
    defaultValue: () => 8192
  })

  /**
   * Reads the bearer token of the current request.
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
   * @since 0.1.0
   */
  static readonly layer: Layer.Layer<BearerToken, NotAuthenticated | InvalidRequest, HttpServerRequest> = Layer.fresh(
    Layer.effect(BearerToken, BearerToken.extract)
  )

  /**
   * For tests: provides the given token. It is a credential, never a proof: what verifies tokens verifies this one too.
   *
   * @since 0.1.0
   */
  static layerTest(token: string): Layer.Layer<BearerToken> {
    return Layer.succeed(BearerToken, authorizationHeader.redact(token))
  }
}
