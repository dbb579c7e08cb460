/**
 * Calls an API of which the program knows only the URL, such as a server of the Model Context Protocol (MCP).
 *
 * **Details**
 *
 * | response | what happens |
 * |---|---|
 * | 401 to a request without a token | `ResourceDiscovery` finds the authorization server, `authorize` gets a source of tokens, and the request is sent once more |
 * | 401 `invalid_token` | the source gives another token; if it cannot, the authorization server is looked up again, and `authorize` runs |
 * | 403 `insufficient_scope` | `authorize` runs with the requested scopes and the missing ones |
 * | 403 `insufficient_scope` for scopes that were asked for already | the request fails with `ScopesRequired` |
 * | 401 `insufficient_user_authentication` (RFC 9470) | the request fails with `StepUpRequired` |
 * | 401 `use_dpop_nonce` | the request is sent once more, with the nonce |
 * | any other | the program gets the response |
 *
 * - Requests at the same time share one run of `authorize`. One request causes at most two runs.
 * - A run goes on if the request that caused it is interrupted. The next request then finds its result.
 * - If the API names another authorization server, `authorize` gets the new one. Nothing of the old one is sent there.
 *
 * **Gotchas**
 *
 * - The token goes only to the URL of the API and to the paths below it. A request to another URL, or with an
 *   `Authorization` header of its own, is sent without the token.
 * - A request whose body is a stream cannot be sent once more, so the program gets the 401.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Headers from "effect/http/Headers"
import * as HttpClient from "effect/http/HttpClient"
import { HttpClientError, isHttpClientError, TransportError } from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type { HttpClientResponse } from "effect/http/HttpClientResponse"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import type { ConfigurationError } from "../core/SecurityError.ts"
import { ownProperties } from "../core/lib/ownProperties.ts"
import { httpClient, type NeedsHttpClient } from "../core/missing.ts"
import { parse } from "../core/receivedChallenges.ts"
import { refuseOption } from "../core/refuseOption.ts"
import * as sender from "../core/sendWithToken.ts"
import { requireHttpHosts, requireSecureUrl } from "../core/url.ts"
import type { DiscoveryFailed, RequestError } from "./ClientError.ts"
import * as ResourceDiscovery from "./ResourceDiscovery.ts"
import type { TokenSource } from "./TokenSource.ts"

/**
 * What a source of tokens is needed for.
 *
 * @category models
 * @since 0.1.0
 */
export interface Authorization {
  /** Identifier of the API, for the parameter `resource` (RFC 8707). */
  readonly resource: string
  /** The authorization server of the API. */
  readonly server: ResourceDiscovery.AuthorizationServer
  /** Scopes to ask for. Empty to ask for none. */
  readonly scopes: ReadonlyArray<string>
  /** `true` if the API takes tokens that are bound to a key (RFC 9449). Give the option `dpop` a key pair then. */
  readonly dpop: boolean
  /** Metadata of the API (RFC 9728 §2). */
  readonly metadata: Readonly<Record<string, unknown>>
}

/**
 * Options for `make`.
 *
 * **Example** (Using the client credentials of a service)
 *
 * ```ts
 * import { Redacted } from "effect"
 * import { ClientAuthentication, ClientCredentials, type ResourceClient } from "effect-oauth2/client"
 *
 * const authentication = ClientAuthentication.secret(Redacted.make("the secret of the report"))
 *
 * export const authorize = ({ resource, scopes, server }: ResourceClient.Authorization) =>
 *   ClientCredentials.make({ ...server, clientId: "nightly-report", authentication, resource, scopes })
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<E, R> extends Omit<ResourceDiscovery.Options, "challenge"> {
  /**
   * Gets a source of tokens: by a sign-in of the user, by `ClientCredentials`, or by another grant. It runs once the API
   * wants a token, and again if the API wants more scopes or names another authorization server.
   */
  readonly authorize: (authorization: Authorization) => Effect.Effect<TokenSource["Service"], E, R>
  /**
   * Asks for `offline_access`, too, if the authorization server lists that scope. Most servers give a refresh token only
   * for it.
   *
   * @default false
   */
  readonly offlineAccess?: boolean
}

interface Session {
  readonly source: TokenSource["Service"]
  readonly sendWithToken: ReturnType<typeof sender.make>
  readonly scopes: ReadonlyArray<string>
  readonly dpop: boolean
}

/** What the session lacks. */
interface Need {
  /** The `WWW-Authenticate` header of the response. */
  readonly challenge: string | undefined
  /** Scopes beyond those of the challenge. */
  readonly scopes: ReadonlyArray<string>
}

const maxRuns = 2

/**
 * Makes an `HttpClient` that gets tokens for the API when the API wants them.
 *
 * **Example** (Signing the user in when the server wants that)
 *
 * ```ts
 * import { NodeHttpServer } from "@effect/platform-node"
 * import { Console, Effect } from "effect"
 * import { ClientRegistration, LoopbackLogin, RefreshToken, ResourceClient } from "effect-oauth2/client"
 * import { createServer } from "node:http"
 *
 * export const client = Effect.gen(function* () {
 *   const registrations = yield* ClientRegistration.make({
 *     register: { name: "Items", redirectUris: ["http://127.0.0.1/callback"] }
 *   })
 *   return yield* ResourceClient.make({
 *     resource: "https://mcp.example.com/mcp",
 *     authorize: ({ resource, scopes, server }) =>
 *       Effect.gen(function* () {
 *         const registration = yield* registrations.get(server)
 *         const source = yield* RefreshToken.make({ ...registration, parameters: { resource } })
 *         const grant = yield* LoopbackLogin.signIn({
 *           ...registration,
 *           resource,
 *           scopes,
 *           listen: (port) => NodeHttpServer.make(createServer, { host: "127.0.0.1", port }),
 *           show: (url) => Console.log(`Sign in at ${url}`)
 *         })
 *         yield* source.save(grant)
 *         return source
 *       })
 *   })
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <E, R>(
  given: Options<E, R>
): Effect.Effect<
  HttpClient.HttpClient.With<HttpClientError | RequestError | DiscoveryFailed | ConfigurationError | E>,
  ConfigurationError,
  NeedsHttpClient | R | Scope.Scope
> =>
  Effect.gen(function* () {
    type Failure = HttpClientError | RequestError | DiscoveryFailed | ConfigurationError | E
    const { authorize, offlineAccess = false, ...discovery } = ownProperties(given)
    const httpHosts = yield* requireHttpHosts(discovery.httpHosts)
    const resourceUrl = yield* requireSecureUrl("resource", discovery.resource, httpHosts)
    if (discovery.resource.includes("#"))
      return yield* refuseOption("resource", "must have no fragment (RFC 9728 §1.2)")
    const base = yield* httpClient
    const context = yield* Effect.context<NeedsHttpClient | R>()
    const scope = yield* Scope.Scope
    const requestInit = {
      ...Option.getOrUndefined(yield* Effect.serviceOption(FetchHttpClient.RequestInit)),
      redirect: "manual"
    } as const
    const send = (request: HttpClientRequest.HttpClientRequest) => base.postprocess(Effect.succeed(request))

    let current: Session | undefined
    /** The run of `authorize` in place of one session. */
    let running: { readonly before: Session | undefined; readonly fiber: Fiber.Fiber<Session, Failure> } | undefined

    const start = Effect.fnUntraced(function* (need: Need, before: Session | undefined) {
      const found = yield* ResourceDiscovery.discover({ ...discovery, challenge: need.challenge })
      const asked = new Set([...found.scopes, ...need.scopes])
      const { metadata, resource, server } = found
      // A source that gives no token causes no challenge.
      const dpop = found.dpop || before?.dpop === true
      const listed = server.metadata["scopes_supported"]
      if (offlineAccess && Array.isArray(listed) && listed.includes("offline_access")) asked.add("offline_access")
      const scopes = Array.from(asked)
      const source = yield* authorize({ resource, server, scopes, dpop, metadata })
      const session: Session = { source, scopes, dpop, sendWithToken: sender.make(source, new Set()) }
      if (current === before) current = session
      return session
    })

    /** Replaces a session, once for all requests that found the same one. */
    const replace = (need: Need, before: Session | undefined): Effect.Effect<Session, Failure> =>
      Effect.gen(function* () {
        if (current !== before && current !== undefined) return current
        if (running === undefined || running.before !== before) {
          const fiber = yield* start(need, before).pipe(
            Effect.provideContext(context),
            Effect.ensuring(
              Effect.sync(() => {
                running = undefined
              })
            ),
            Effect.forkIn(scope, { startImmediately: false })
          )
          running = { before, fiber }
        }
        return yield* Fiber.join(running.fiber)
      })

    const attempt = Effect.fnUntraced(function* (
      session: Session | undefined,
      request: HttpClientRequest.HttpClientRequest,
      url: URL
    ) {
      if (session === undefined) {
        const response = yield* send(request)
        return { exit: Exit.succeed(response), need: needOf(response, []) }
      }
      let challenge: string | undefined
      const exit = yield* session
        .sendWithToken({
          request,
          url,
          place: "",
          scopes: undefined,
          send: (request) =>
            Effect.tap(send(request), ({ headers }) =>
              Effect.sync(() => {
                challenge = headers["www-authenticate"]
              })
            )
        })
        .pipe(Effect.exit)
      if (Exit.isSuccess(exit)) return { exit, need: needOf(exit.value, session.scopes) }
      const error = Option.getOrUndefined(Exit.findErrorOption(exit))
      switch (error?._tag) {
        case "ReauthenticationRequired":
          return { exit, need: { challenge, scopes: session.scopes } }
        case "ScopesRequired": {
          // Scopes that were asked for are not granted, so asking again leads to the same refusal.
          if (error.scopes.every((scope) => session.scopes.includes(scope))) return { exit, need: undefined }
          const granted = yield* Effect.option(session.source.get())
          const before = Option.isSome(granted) ? Array.from(granted.value.scopes) : []
          return { exit, need: { challenge, scopes: [...session.scopes, ...before] } }
        }
        default:
          return { exit, need: undefined }
      }
    })

    const run = (request: HttpClientRequest.HttpClientRequest): Effect.Effect<HttpClientResponse, Failure> =>
      Effect.gen(function* () {
        const url = Option.getOrUndefined(HttpClientRequest.toUrl(request))
        if (url === undefined || !isBelow(url, resourceUrl) || Headers.has(request.headers, "authorization")) {
          return yield* send(request)
        }
        let session = current
        for (let runs = 0; ; runs++) {
          const { exit, need } = yield* attempt(session, request, url)
          if (need === undefined || runs === maxRuns || !sender.isReplayable(request)) return yield* exit
          if (Exit.isSuccess(exit)) yield* sender.discard(exit.value)
          session = yield* replace(need, session)
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

/** Returns what a 401 asks for, or `undefined` if another party than the API has sent it. */
const needOf = ({ headers, status }: HttpClientResponse, scopes: ReadonlyArray<string>): Need | undefined => {
  if (status !== 401) return
  const challenge = headers["www-authenticate"]
  // A 401 of a proxy has a challenge of another scheme. Some APIs send none.
  if (challenge === undefined) return { challenge, scopes }
  const ours = parse(challenge).filter(({ scheme }) => scheme === "bearer" || scheme === "dpop")
  const isOurs = ours.some(({ parameters }) => [undefined, "invalid_token"].includes(parameters.get("error")))
  return isOurs ? { challenge, scopes } : undefined
}

/** Returns `true` for the URL of the API, and for the paths below it. */
const isBelow = (url: URL, resource: URL): boolean => {
  const path = resource.pathname.replace(/\/$/, "")
  return url.origin === resource.origin && (url.pathname === resource.pathname || url.pathname.startsWith(`${path}/`))
}

/**
 * Layer that provides the client as `HttpClient`, such as to `McpClient` of `effect/ai`. An error of getting a token is
 * the cause of an `HttpClientError`.
 *
 * **Example** (Connecting to an MCP server)
 *
 * ```ts
 * import { Effect, Layer, Redacted } from "effect"
 * import { McpClient, McpProtocol } from "effect/ai"
 * import { FetchHttpClient } from "effect/http"
 * import { ClientAuthentication, ClientCredentials, ResourceClient } from "effect-oauth2/client"
 *
 * const url = "https://mcp.example.com/mcp"
 *
 * const Authorized = ResourceClient.layer({
 *   resource: url,
 *   authorize: ({ resource, scopes, server }) =>
 *     ClientCredentials.make({
 *       ...server,
 *       resource,
 *       scopes,
 *       clientId: "nightly-report",
 *       authentication: ClientAuthentication.secret(Redacted.make("the secret of the report"))
 *     })
 * })
 *
 * export const Client = McpClient.layerHttp({
 *   name: "nightly-report",
 *   version: "1.0.0",
 *   protocol: McpProtocol.v2025_11_25,
 *   url
 * }).pipe(Layer.provide(Authorized), Layer.provide(FetchHttpClient.layer))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <E, R>(
  options: Options<E, R>
): Layer.Layer<HttpClient.HttpClient, ConfigurationError, NeedsHttpClient | Exclude<R, Scope.Scope>> =>
  Layer.effect(
    HttpClient.HttpClient,
    Effect.gen(function* () {
      const client = yield* make(options)
      const { preprocess } = yield* httpClient
      return HttpClient.makeWith(
        (request: Effect.Effect<HttpClientRequest.HttpClientRequest, HttpClientError>) =>
          Effect.flatMap(request, (request) =>
            Effect.mapError(client.postprocess(Effect.succeed(request)), (error) =>
              isHttpClientError(error)
                ? error
                : new HttpClientError({
                    reason: new TransportError({ request, cause: error, description: messageOf(error) })
                  })
            )
          ),
        preprocess
      )
    })
  )

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : "no token")
