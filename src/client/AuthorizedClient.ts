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
import type { HttpClientResponse } from "effect/http/HttpClientResponse"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import { ownProperties } from "../core/lib/ownProperties.ts"
import { httpClient, type NeedsHttpClient } from "../core/missing.ts"
import { refuseOption } from "../core/refuseOption.ts"
import type { ConfigurationError } from "../core/SecurityError.ts"
import { requireHttpHosts, requireSecureUrl } from "../core/url.ts"
import { type RequestError, ScopesRequired, StepUpRequired } from "./ClientError.ts"
import * as challenges from "./protocol/challenges.ts"
import { type ClientToken, TokenSource } from "./TokenSource.ts"

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
    const ceiling = new Set(options.ceiling)
    // Both are bounded by the number of origins in the options.
    const widened = new Map<string, ReadonlyArray<string>>()
    const nonces = new Map<string, string>()
    const tokenFor = (origin: string) => {
      const scopes = widened.get(origin) ?? options.scopes
      return source.get(scopes === undefined ? {} : { scopes })
    }

    const base = yield* httpClient
    const requestInit = {
      ...Option.getOrUndefined(yield* Effect.serviceOption(FetchHttpClient.RequestInit)),
      redirect: "manual"
    } as const
    const send = (request: HttpClientRequest.HttpClientRequest) => base.postprocess(Effect.succeed(request))

    const sendWith = Effect.fnUntraced(function* (
      request: HttpClientRequest.HttpClientRequest,
      url: URL,
      token: ClientToken
    ) {
      const headers = { authorization: `${token.type} ${Redacted.value(token.value)}` }
      const proof = yield* token.proof?.({ method: request.method, url, nonce: nonces.get(url.origin) }) ?? noProof
      const response = yield* send(
        HttpClientRequest.setHeaders(request, proof === undefined ? headers : { ...headers, dpop: proof })
      )
      const nonce = response.headers["dpop-nonce"]
      if (nonce !== undefined && nonce.length <= maxNonceLength) nonces.set(url.origin, nonce)
      return response
    })

    const run = Effect.fnUntraced(function* (request: HttpClientRequest.HttpClientRequest) {
      const url = Option.getOrUndefined(HttpClientRequest.toUrl(request))
      if (url === undefined || !origins.has(url.origin) || Headers.has(request.headers, "authorization")) {
        return yield* send(request)
      }
      const token = yield* tokenFor(url.origin)
      const response = yield* sendWith(request, url, token)
      const answer = yield* answerTo(response, token, nonces.has(url.origin))
      if (answer === undefined) return response
      const again = yield* nextTry(answer, token, url.origin)
      if (again === undefined || !isReplayable(request)) return response
      yield* discard(response)
      const second = yield* sendWith(request, url, again.token)
      // The wider token was accepted, so the next requests start with it.
      if (again.scopes !== undefined && second.status !== 401 && second.status !== 403) {
        widened.set(url.origin, again.scopes)
      }
      return second
    })

    /** Returns the token of the second try, or `undefined` if there is none. */
    const nextTry = Effect.fnUntraced(function* (answer: Answer, token: ClientToken, origin: string) {
      switch (answer._tag) {
        case "Nonce":
          return { token, scopes: undefined }
        case "Refused": {
          yield* source.forget(token)
          const fresh = yield* tokenFor(origin)
          // A source with one token has no other.
          return fresh === token ? undefined : { token: fresh, scopes: undefined }
        }
        case "Scopes": {
          const asked = widened.get(origin) ?? options.scopes ?? Array.from(token.scopes)
          const isNew = answer.scopes.some((scope) => !asked.includes(scope))
          if (!isNew || !answer.scopes.every((scope) => ceiling.has(scope) || asked.includes(scope))) {
            return yield* Effect.fail(new ScopesRequired({ scopes: answer.scopes }))
          }
          const scopes = Array.from(new Set([...asked, ...answer.scopes]))
          return { token: yield* source.get({ scopes }), scopes }
        }
      }
    })

    return HttpClient.makeWith(
      (request: Effect.Effect<HttpClientRequest.HttpClientRequest, HttpClientError>) =>
        Effect.flatMap(request, run).pipe(
          Effect.provideService(FetchHttpClient.RequestInit, requestInit),
          Effect.updateService(Headers.CurrentRedactedNames, (names) => [...names, "dpop", "dpop-nonce"])
        ),
      base.preprocess
    )
  })

type Answer =
  | { readonly _tag: "Refused" }
  | { readonly _tag: "Nonce" }
  | { readonly _tag: "Scopes"; readonly scopes: ReadonlyArray<string> }

const noProof = Effect.undefined

// The nonce of a server is kept, and sent with each proof.
const maxNonceLength = 1024

/** Reads what the API says about the token. `undefined` means that the token is not the cause. */
const answerTo = (
  { headers, status }: HttpClientResponse,
  { type }: ClientToken,
  hasNonce: boolean
): Effect.Effect<Answer | undefined, StepUpRequired> => {
  if (status !== 401 && status !== 403) return Effect.undefined
  // A 401 of a proxy has a challenge of another scheme.
  const challenge = challenges
    .parse(headers["www-authenticate"] ?? "")
    .find(({ scheme }) => scheme === type.toLowerCase())
  if (challenge === undefined) return Effect.undefined
  const { parameters } = challenge
  const scopes = words(parameters.get("scope"))
  switch (parameters.get("error")) {
    case undefined:
    case "invalid_token":
      return status === 401 ? Effect.succeed<Answer>({ _tag: "Refused" }) : Effect.undefined
    case "use_dpop_nonce":
      return hasNonce ? Effect.succeed<Answer>({ _tag: "Nonce" }) : Effect.undefined
    case "insufficient_scope":
      return scopes.length > 0 ? Effect.succeed<Answer>({ _tag: "Scopes", scopes }) : Effect.undefined
    case "insufficient_user_authentication": {
      const maxAge = parameters.get("max_age") ?? ""
      return Effect.fail(
        new StepUpRequired({
          acrValues: words(parameters.get("acr_values")),
          maxAge: /^\d{1,10}$/.test(maxAge) ? Number(maxAge) : undefined,
          scopes
        })
      )
    }
    default:
      return Effect.undefined
  }
}

const words = (value: string | undefined): ReadonlyArray<string> =>
  value === undefined ? [] : value.split(" ").filter((word) => /^[\x21\x23-\x5b\x5d-\x7e]{1,256}$/.test(word))

/** A stream is used up by the first try. */
const isReplayable = ({ body }: HttpClientRequest.HttpClientRequest): boolean =>
  body._tag === "Empty" || body._tag === "Uint8Array" || body._tag === "FormData"

/** Frees the connection of a response that is not read. */
const discard = ({ stream }: HttpClientResponse) => Effect.ignore(Stream.runDrain(Stream.take(stream, 16)))
