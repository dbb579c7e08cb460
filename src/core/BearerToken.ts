/**
 * The credential of the current request: the bearer token from its `Authorization` header (RFC 6750 §2.1).
 *
 * This module extracts tokens and does not verify them. Extraction is strict: one `Authorization` header, a limited
 * length, the scheme `Bearer` in any case, and the token68 grammar. Tokens in a query or a form are ignored
 * (OAuth 2.1 §5.1).
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Headers from "effect/http/Headers"
import { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import * as authorizationHeader from "./authorizationHeader.ts"
import type { InvalidRequest, NotAuthenticated } from "./SecurityError.ts"
import * as subprotocol from "./subprotocol.ts"

/**
 * The redacted bearer token of the current request.
 *
 * **Details**
 *
 * | `Authorization` header | result |
 * |---|---|
 * | absent, empty, or another scheme | `NotAuthenticated` |
 * | longer than `BearerToken.MaxLength`, sent twice, empty or not token68 after `Bearer` | `InvalidRequest` |
 * | `Bearer` in any case, a space, one token68 (RFC 9110 §11.2) | the token |
 *
 * **Example** (Reading a token without HTTP)
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
   * Maximum length of the `Authorization` header, in characters. Default: 8192.
   *
   * **Details**
   *
   * A longer header fails with `InvalidRequest`.
   *
   * **Example** (Accepting long tokens)
   *
   * ```ts
   * import { Layer } from "effect"
   * import { BearerToken } from "effect-oauth2"
   *
   * // Provide this layer to the server. For JWTs, raise the `maxTokenLength` option of the verifier, too.
   * export const LongTokens = Layer.succeed(BearerToken.MaxLength, 16_384)
   * ```
   *
   * @since 0.1.0
   */
  static readonly MaxLength = Context.Reference<number>("effect-oauth2/BearerToken/MaxLength", {
    defaultValue: () => 8192
  })

  /**
   * Reads the bearer token of the current request, without verifying it.
   *
   * **Details**
   *
   * | failure | cause |
   * |---|---|
   * | `NotAuthenticated` | the request has no bearer token |
   * | `InvalidRequest` | the credentials are malformed |
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
   * @see {@link BearerToken.extractOption} for requests that may have no token
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
   * Reads the bearer token in the headers of a message, without verifying it.
   *
   * **When to use**
   *
   * Use for messages with headers of their own, such as those of a queue or of a WebSocket. `auth.proveToken` verifies
   * the token.
   *
   * **Details**
   *
   * The rules are those for requests. Names of headers are not case-sensitive. An array is a header that was sent
   * several times.
   *
   * **Example** (Handling a message of a queue)
   *
   * ```ts
   * import { Effect } from "effect"
   * import { BearerToken } from "effect-oauth2"
   * import { auth } from "./auth.ts"
   *
   * interface Message {
   *   readonly headers: Readonly<Record<string, string>>
   *   readonly item: number
   * }
   *
   * const deleteItem = (id: number) => Effect.map(auth.granted("items:write"), ({ subject }) => `${subject} deleted ${id}`)
   *
   * export const onMessage = ({ headers, item }: Message) =>
   *   Effect.flatMap(BearerToken.fromHeaders(headers), (token) =>
   *     deleteItem(item).pipe(auth.proveToken(token, "items:write"))
   *   )
   * ```
   *
   * @see {@link BearerToken.extract} for the current request
   * @since 0.1.0
   */
  static readonly fromHeaders = (
    headers: Readonly<Record<string, string | ReadonlyArray<string> | undefined>>
  ): Effect.Effect<Redacted.Redacted, NotAuthenticated | InvalidRequest> =>
    Effect.flatMap(
      BearerToken.MaxLength,
      (maxLength): Effect.Effect<Redacted.Redacted, NotAuthenticated | InvalidRequest> => {
        const credential = authorizationHeader.fromHeaders(headers, maxLength)
        return typeof credential === "string"
          ? Effect.succeed(authorizationHeader.redact(credential))
          : Effect.fail(credential)
      }
    )

  /**
   * Reads the token that a browser sent as a sub-protocol of a WebSocket, without verifying it.
   *
   * **When to use**
   *
   * Use for the request that opens a WebSocket. Browsers cannot set its `Authorization` header. The credential is an
   * access token, or a ticket for `SocketTicket.redeem`.
   *
   * **Details**
   *
   * The page calls `new WebSocket(url, ["chat", "bearer." + token])`. The server accepts the first protocol, `chat`, and
   * does not send the token back.
   *
   * | `Sec-WebSocket-Protocol` header | result |
   * |---|---|
   * | no protocol begins with `bearer.` | `NotAuthenticated` |
   * | the token is the first protocol, is sent twice, or has a wrong form | `InvalidRequest` |
   * | longer than `BearerToken.MaxLength` | `InvalidRequest` |
   * | `chat, bearer.…` | the token |
   *
   * **Gotchas**
   *
   * - Spans and logs can contain the headers of requests. Provide `layerSubprotocol` to the server. Without it, a request
   *   with a token dies with a defect.
   * - The errors respond with the default options. Add `Effect.catch(auth.refuse)` to respond as the scheme does.
   * - A protocol cannot contain the characters `/` and `=` of some tokens. JWTs do not have these characters.
   *
   * **Example** (Authorizing a WebSocket)
   *
   * ```ts
   * import { Effect } from "effect"
   * import { HttpServerRequest, HttpServerResponse } from "effect/http"
   * import { BearerToken } from "effect-oauth2"
   * import { auth } from "./auth.ts"
   *
   * const serve = Effect.gen(function* () {
   *   const { subject } = yield* auth.token
   *   const { upgrade } = yield* HttpServerRequest.HttpServerRequest
   *   const socket = yield* upgrade
   *   yield* socket.reader
   *   const { write } = yield* socket.writer
   *   yield* write(`hello ${subject}`)
   *   return HttpServerResponse.empty()
   * })
   *
   * export const chat = BearerToken.fromSubprotocol.pipe(
   *   Effect.catch(auth.refuse),
   *   Effect.flatMap((token) => Effect.scoped(serve).pipe(auth.proveToken(token, "items:read")))
   * )
   * ```
   *
   * @see {@link BearerToken.extract} for the `Authorization` header
   * @since 0.1.0
   */
  static readonly fromSubprotocol: Effect.Effect<
    Redacted.Redacted,
    NotAuthenticated | InvalidRequest,
    HttpServerRequest
  > = Effect.flatMap(
    Effect.all([HttpServerRequest, BearerToken.MaxLength, Headers.CurrentRedactedNames]),
    ([request, maxLength, names]): Effect.Effect<Redacted.Redacted, NotAuthenticated | InvalidRequest> => {
      const credential = subprotocol.fromRequest(request, maxLength)
      if (typeof credential !== "string") return Effect.fail(credential)
      if (subprotocol.isRedacted(names)) return Effect.succeed(authorizationHeader.redact(credential))
      const defect = new Error(
        "BearerToken.fromSubprotocol: spans and logs could contain the token, because the header Sec-WebSocket-Protocol is not redacted. Provide BearerToken.layerSubprotocol to the server."
      )
      return Effect.andThen(Effect.logError(defect.message), Effect.die(defect))
    }
  )

  /**
   * Layer that hides the `Sec-WebSocket-Protocol` header in spans and logs. `fromSubprotocol` needs this layer.
   *
   * **Details**
   *
   * The layer adds the header to `Headers.CurrentRedactedNames`. Provide it to the server, because the span of a request
   * is outside of its route.
   *
   * **Example** (Serving routes)
   *
   * ```ts
   * import { Layer } from "effect"
   * import { HttpRouter, HttpServerResponse } from "effect/http"
   * import { BearerToken } from "effect-oauth2"
   *
   * const Routes = HttpRouter.add("GET", "/", HttpServerResponse.empty())
   *
   * export const Server = HttpRouter.serve(Routes).pipe(Layer.provide(BearerToken.layerSubprotocol))
   * ```
   *
   * @since 0.1.0
   */
  static readonly layerSubprotocol: Layer.Layer<never> = Layer.effect(
    Headers.CurrentRedactedNames,
    Effect.map(Headers.CurrentRedactedNames, subprotocol.redacting)
  )

  /**
   * Reads the bearer token of the current request, or returns `None` if the request has no bearer token.
   * Equivalent to FastAPI's `auto_error=False`.
   *
   * **Gotchas**
   *
   * Malformed credentials fail with `InvalidRequest`.
   *
   * **Example** (Choosing cache headers)
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
   * Layer that provides the bearer token of the current request.
   *
   * **Details**
   *
   * This layer is not memoized (`Layer.fresh`), because a memoized layer would leak one request's token into another
   * request.
   *
   * **Example** (Invalidating the token of a request)
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
   * Creates a layer that provides the given token, for tests.
   *
   * **Gotchas**
   *
   * The token is only a credential. A `TokenVerifier` verifies it like every other token.
   *
   * **Example** (Testing a verifier)
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
