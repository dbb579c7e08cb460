/** Creates the layer that gives typed clients a token with exactly the scopes of each endpoint or procedure. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Headers from "effect/http/Headers"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type { HttpClientResponse } from "effect/http/HttpClientResponse"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import type { ClientTokens } from "../core/clientToken.ts"
import { ownProperties } from "../core/lib/ownProperties.ts"
import * as sender from "../core/sendWithToken.ts"
import { scopesForClient } from "../guard/requirement/clientScopes.ts"
import type { Scheme } from "../guard/scheme/scheme.ts"

/**
 * Options for `auth.client`.
 *
 * @category models
 * @since 0.1.0
 */
export interface ClientOptions {
  /**
   * Scopes that the client may ask for in addition to those of an endpoint when the API wants them.
   *
   * @default []
   */
  readonly ceiling?: ReadonlyArray<string>
  /** Base URL of the API, as in the options of the typed client. DPoP proofs need it. Default: none. */
  readonly baseUrl?: string | URL
}

/** The argument of a client middleware of `HttpApi` or of `effect/rpc`. */
type Call = HttpCall | RpcCall

interface HttpCall {
  readonly endpoint: { readonly identifier: string; readonly path: string; readonly middlewares: Iterable<object> }
  readonly group: { readonly identifier: string }
  readonly request: HttpClientRequest.HttpClientRequest
  readonly next: (request: HttpClientRequest.HttpClientRequest) => Effect.Effect<HttpClientResponse, unknown>
}

interface RpcRequest {
  readonly headers: Headers.Headers
}

interface RpcCall {
  readonly rpc: { readonly _tag: string; readonly middlewares: Iterable<object> }
  readonly request: RpcRequest
  readonly next: (request: RpcRequest) => Effect.Effect<unknown, unknown>
}

type Middleware = (call: Call) => Effect.Effect<unknown, unknown>

export const make =
  (scheme: Scheme) =>
  <E, R>(
    source: ClientTokens | Effect.Effect<ClientTokens, E, R> | "anonymous",
    given: ClientOptions = {}
  ): Layer.Layer<never, E, Exclude<R, Scope.Scope>> => {
    if (source !== "anonymous" && scheme.source !== undefined) {
      throw new TypeError(
        `client of ${JSON.stringify(scheme.name)}: the layer sends tokens in the Authorization header. Use layerClient for an API key, or transformClient of the typed client.`
      )
    }
    const options = ownProperties(given)
    const provide = (middleware: Middleware) =>
      Context.makeUnsafe<never>(new Map([[`${scheme.service.key}/Client`, middleware]]))
    if (source === "anonymous")
      return Layer.succeedContext(provide(({ next, request }: Call) => next(request as never)))
    const made: Effect.Effect<ClientTokens, E, R> = Effect.isEffect(source) ? source : Effect.succeed(source)
    return Layer.effectContext(Effect.map(made, (tokens) => provide(middlewareOf(scheme, tokens, options))))
  }

const middlewareOf = (scheme: Scheme, tokens: ClientTokens, options: ClientOptions): Middleware => {
  const sendWithToken = sender.make(tokens, new Set(options.ceiling))
  // Nested requirements share one key, so the client calls the middleware once for each. Only the first call adds a token
  // and sends again. A header that the program has set itself wins.
  return (call) => {
    if (Headers.has(call.request.headers, "authorization")) return call.next(call.request as never)
    return "rpc" in call ? callProcedure(scheme, tokens, call) : callEndpoint(scheme, sendWithToken, options, call)
  }
}

const callEndpoint = (
  scheme: Scheme,
  sendWithToken: ReturnType<typeof sender.make>,
  { baseUrl }: ClientOptions,
  { endpoint, group, next, request }: HttpCall
) =>
  Effect.withFiber(({ context }) =>
    sendWithToken({
      request,
      url: urlOf(request, baseUrl),
      place: `${group.identifier} ${endpoint.identifier}`,
      scopes: scopesForClient(scheme, endpoint.middlewares, (names) => parametersOf(endpoint.path, request.url, names)),
      send: next
    }).pipe(
      // `fetch` would follow a redirect with the proof of another address.
      Effect.provideService(FetchHttpClient.RequestInit, {
        ...Context.getOrUndefined(context, FetchHttpClient.RequestInit),
        redirect: "manual"
      }),
      Effect.updateService(Headers.CurrentRedactedNames, (names) => [...names, "dpop", "dpop-nonce"])
    )
  )

const urlOf = (request: HttpClientRequest.HttpClientRequest, baseUrl: string | URL | undefined): URL | undefined =>
  Option.getOrUndefined(
    HttpClientRequest.toUrl(baseUrl === undefined ? request : HttpClientRequest.prependUrl(request, baseUrl.toString()))
  )

/** Reads the path parameters of a request, because a middleware gets only its URL. */
const parametersOf = (
  path: string,
  url: string,
  names: ReadonlyArray<string>
): Readonly<Record<string, string>> | undefined => {
  const [given = ""] = url.split(/[?#]/)
  const pattern = path
    .split("/")
    .map((segment) => (segment.startsWith(":") ? "([^/]+)" : segment.replace(/[$()*+.?[\\\]^{|}]/g, "\\$&")))
    .join("/")
  const found = new RegExp(`${pattern}$`).exec(given)
  if (found === null) return
  const parameters = path.split("/").flatMap((segment) => (segment.startsWith(":") ? [segment.slice(1)] : []))
  const values = Object.fromEntries(parameters.map((name, i) => [name, decodeURIComponent(found[i + 1] ?? "")]))
  return names.every((name) => Object.hasOwn(values, name)) ? values : undefined
}

// A middleware of `effect/rpc` learns only that the call was sent. The response goes to the caller, so the call is not
// sent again.
const callProcedure = (scheme: Scheme, { get }: ClientTokens, { next, request, rpc }: RpcCall) =>
  Effect.flatMap(get({ scopes: scopesForClient(scheme, rpc.middlewares, () => undefined) }), ({ type, value }) =>
    type === "DPoP"
      ? Effect.die(new TypeError("auth.client: effect/rpc carries no DPoP proofs. Give the client a bearer token."))
      : next({ ...request, headers: Headers.set(request.headers, "authorization", `Bearer ${Redacted.value(value)}`) })
  )
