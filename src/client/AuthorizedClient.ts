/**
 * Sends the tokens of a `TokenSource` to the APIs that may have them.
 *
 * **Details**
 *
 * | response | what happens |
 * |---|---|
 * | 401 with `invalid_token`, or with a challenge without an error | the token is forgotten, and the request is sent once more with a new one |
 * | 401 `use_dpop_nonce` | the request is sent once more, with the nonce |
 * | 401 `insufficient_user_authentication` (RFC 9470) | the request fails with `StepUpRequired` |
 * | 403 `insufficient_scope`, within `ceiling` | the request is sent once more with a token that has these scopes, too |
 * | 403 `insufficient_scope`, beyond `ceiling` | the request fails with `ScopesRequired` |
 * | any other, and the second one | the program gets the response |
 *
 * A request is sent once more only if its body can be sent again: an empty body, bytes, text, JSON, or a form. A stream
 * cannot.
 *
 * **Gotchas**
 *
 * - The token goes only to `origins`. A request to another origin, or with an `Authorization` header of its own, is
 *   sent without the token.
 * - `fetch` would follow redirects with the token, so this module turns that off. Use `HttpClient.followRedirects`
 *   around the client: each redirect is then checked against `origins`.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Headers from "effect/http/Headers"
import * as HttpClient from "effect/http/HttpClient"
import type { HttpClientError } from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Option from "effect/Option"
import { ownProperties } from "../core/lib/ownProperties.ts"
import { httpClient, type NeedsHttpClient } from "../core/missing.ts"
import { refuseOption } from "../core/refuseOption.ts"
import type { ConfigurationError } from "../core/SecurityError.ts"
import * as sender from "../core/sendWithToken.ts"
import { requireHttpHosts, requireSecureUrl } from "../core/url.ts"
import type { RequestError } from "./ClientError.ts"
import { TokenSource } from "./TokenSource.ts"

/**
 * Options for `AuthorizedClient`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Origins that may have the token, such as `["https://api.example.com"]`. */
  readonly origins: readonly [string, ...ReadonlyArray<string>]
  /** Scopes to ask for. Default: the scopes of the source. */
  readonly scopes?: ReadonlyArray<string>
  /**
   * Scopes that the client may ask for in addition when an API wants them. The client remembers them for the origin.
   *
   * @default []
   */
  readonly ceiling?: ReadonlyArray<string>
  /**
   * Hosts that plain `http` may reach with a token, such as `["items:8080"]` inside a container network.
   *
   * @default []
   */
  readonly httpHosts?: ReadonlyArray<string>
}

/**
 * Makes an `HttpClient` that sends the tokens of the `TokenSource` in the context.
 *
 * **Example** (Calling an API)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { AuthorizedClient } from "effect-oauth2/client"
 *
 * export const items = Effect.gen(function* () {
 *   const client = yield* AuthorizedClient.make({ origins: ["https://api.example.com"] })
 *   const response = yield* client.get("https://api.example.com/items")
 *   return yield* response.json
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  given: Options
): Effect.Effect<
  HttpClient.HttpClient.With<HttpClientError | RequestError>,
  ConfigurationError,
  TokenSource | NeedsHttpClient
> =>
  Effect.gen(function* () {
    const options = ownProperties(given)
    const httpHosts = yield* requireHttpHosts(options.httpHosts)
    const origins = new Set<string>()
    for (const origin of options.origins) {
      const url = yield* requireSecureUrl("origins", origin, httpHosts)
      if (url.href !== `${url.origin}/`) {
        return yield* refuseOption("origins", `must be origins without a path, such as "${url.origin}"`)
      }
      origins.add(url.origin)
    }
    if (origins.size === 0) return yield* refuseOption("origins", "must name the origins that may have the token")
    const source = yield* TokenSource
    // The places are origins of the options, which bounds what the sender remembers.
    const sendWithToken = sender.make(source, new Set(options.ceiling))

    const base = yield* httpClient
    const requestInit = {
      ...Option.getOrUndefined(yield* Effect.serviceOption(FetchHttpClient.RequestInit)),
      redirect: "manual"
    } as const
    const send = (request: HttpClientRequest.HttpClientRequest) => base.postprocess(Effect.succeed(request))

    const run = (request: HttpClientRequest.HttpClientRequest) => {
      const url = Option.getOrUndefined(HttpClientRequest.toUrl(request))
      return url === undefined || !origins.has(url.origin) || Headers.has(request.headers, "authorization")
        ? send(request)
        : sendWithToken({ request, url, place: url.origin, scopes: options.scopes, send })
    }

    return HttpClient.makeWith(
      (request: Effect.Effect<HttpClientRequest.HttpClientRequest, HttpClientError>) =>
        Effect.flatMap(request, run).pipe(
          Effect.provideService(FetchHttpClient.RequestInit, requestInit),
          Effect.updateService(Headers.CurrentRedactedNames, (names) => [...names, "dpop", "dpop-nonce"])
        ),
      base.preprocess
    )
  })
