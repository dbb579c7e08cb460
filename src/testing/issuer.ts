/** Builds a test issuer: its functions, its HTTP app, and an in-memory client. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientError from "effect/http/HttpClientError"
import type * as HttpClientRequest from "effect/http/HttpClientRequest"
import { fromClientRequest, HttpServerRequest } from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Ref from "effect/Ref"
import { requireIssuer } from "../core/url.ts"
import { ownProperties } from "../core/lib/ownProperties.ts"
import * as authorizationServer from "./authorizationServer/make.ts"
import { confirmationOf } from "./confirmation.ts"
import * as endpoints from "./endpoints.ts"
import type { IssuerResponse, Endpoint, Issuer, IssuerRequest, MintOptions, TestIssuerOptions } from "./issuerModel.ts"
import { millis, mistake } from "./lib/mistake.ts"
import * as shapes from "./shapes.ts"
import * as states from "./state.ts"
import * as token from "./token.ts"

/** Returns an issuer, and an `HttpClient` that reaches only this issuer. */
export const make = Effect.fnUntraced(function* (given: TestIssuerOptions) {
  const options = ownProperties(given)
  const identifier = options.issuer ?? "https://issuer.test"
  yield* Effect.orDie(requireIssuer("issuer", identifier))
  const audience = options.audience ?? "https://api.test"
  const initial = yield* states.initial(options.keys ?? ["RS256"])
  const ref = yield* Ref.make(initial)
  const state = Ref.get(ref)
  const { provider } = options
  if (provider !== undefined && !shapes.names.includes(provider)) {
    yield* mistake(`provider must be one of ${shapes.names.join(", ")}.`)
  }
  const address = endpoints.address(identifier, options.metadataAt, options.jwksPath)
  const metadata = Effect.map(state, (state) => endpoints.metadata(address, state, options.metadata))

  const nextDefaults = Effect.fnUntraced(function* (options: MintOptions) {
    const lifetime = yield* millis("lifetime", options.lifetime ?? "10 minutes")
    const now = yield* Clock.currentTimeMillis
    const { authenticatedAgo } = options
    const ago = authenticatedAgo === undefined ? undefined : yield* millis("authenticatedAgo", authenticatedAgo)
    const authTime = ago === undefined ? undefined : Math.floor((now - ago) / 1000)
    const confirmation = yield* confirmationOf(options.boundTo)
    const { tokens } = yield* Ref.updateAndGet(ref, (state) => ({ ...state, tokens: state.tokens + 1 }))
    return { issuer: identifier, audience, now, lifetime, tokenId: `token-${tokens}`, authTime, confirmation }
  })

  /** Access tokens that introspection reports as active until they expire, with their claims. */
  const minted = new Map<string, token.Claims>()
  let opaqueTokens = 0

  const mint: Issuer["mint"] = Effect.fnUntraced(function* (given = {}) {
    const options = ownProperties(given)
    const key = yield* states.find(yield* state, options.key)
    const defaults = yield* nextDefaults(options)
    const shape = options.profile === undefined ? token.shapeOf(provider, options, defaults) : undefined
    const claims = token.claims(options, defaults, shape)
    const jwt = yield* token.sign(options, claims, key, shape)
    // Introspection reports ID tokens (RFC 7662 §1), foreign keys and changed headers as inactive.
    const isOwn = (yield* state).keys.includes(key) && options.header === undefined
    if (isOwn && options.profile !== "id-token") minted.set(jwt, { token_type: tokenType(options), ...claims })
    return jwt
  })

  const currentKey = Effect.map(state, ({ current }) => current)

  const server = yield* authorizationServer.make(options, identifier, address.endpoints, minted, mint, currentKey)

  const issuer: Issuer = {
    ...server.issuer,
    issuer: identifier,
    audience,
    jwksUri: address.jwksUri,
    metadata,
    introspectionEndpoint: address.introspectionEndpoint,
    mint,
    mintOpaque: Effect.fnUntraced(function* (given = {}) {
      const { claims, ...rest } = ownProperties(given)
      const options = ownProperties(rest)
      const defaults = yield* nextDefaults(options)
      // `reset` does not restart this number. A repeated token would match the cache entry of an earlier token.
      const opaque = `opaque-${++opaqueTokens}`
      minted.set(
        opaque,
        token.claims(ownProperties({ ...options, claims: { token_type: tokenType(options), ...claims } }), defaults)
      )
      return opaque
    }),
    revoke: (token) =>
      Effect.suspend(() =>
        minted.delete(token)
          ? Effect.void
          : mistake("revoke received a token that is not active. Revoke an access token of this issuer once.")
      ),
    mintRaw: (given) => {
      const raw = ownProperties(given)
      return state.pipe(
        Effect.flatMap((state) => states.find(state, raw.key)),
        Effect.flatMap((key) => token.raw(raw, key))
      )
    },
    keys: Effect.map(state, ({ keys }) => keys),
    currentKey,
    rotate: (key) => states.rotate(ref, key),
    retire: (kid) => states.retire(ref, kid),
    publish: (jwk) => Ref.update(ref, (state) => ({ ...state, published: [...state.published, jwk] })),
    respond: Effect.fnUntraced(function* (endpoint, given) {
      const answer = typeof given === "string" ? given : ownProperties(given)
      if (typeof answer !== "string") yield* millis("delay", answer.delay ?? 0, 0)
      yield* Ref.update(ref, (state) => ({ ...state, answers: { ...state.answers, ...answers(endpoint, answer) } }))
    }),
    requests: Effect.map(state, ({ requests }) => requests),
    reset: Effect.suspend(() => {
      minted.clear()
      return Effect.andThen(Ref.set(ref, initial), server.reset)
    }),
    // Server handlers are uninterruptible by default. A response that never comes would keep the server from closing.
    app: Effect.interruptible(
      Effect.flatMap(HttpServerRequest, (request) =>
        receive(fromServerRequest(request), request).pipe(Effect.catch(() => breakConnection(request)))
      )
    )
  }

  // A server request has only a path, so the URL gets the issuer's origin.
  const fromServerRequest = ({ headers, method, originalUrl }: HttpServerRequest): ReceivedRequest => {
    const { pathname, search } = URL.parse(originalUrl, address.origin) ?? { pathname: originalUrl, search: "" }
    const url = `${address.origin}${pathname}${search}`
    return { endpoint: address.paths.get(pathname) ?? "other", method, url, ...cacheControlOf(headers) }
  }

  const receive = (received: ReceivedRequest, request: HttpServerRequest) =>
    endpoints.respond(ref, received, request, metadata, minted, server.respond)

  const client = HttpClient.make((request, url) => {
    const { method } = request
    if (url.origin !== address.origin) {
      return Effect.andThen(
        endpoints.record(ref, { endpoint: "other", method, url: url.href }),
        unreachable(request, `TestIssuer responds only at ${address.origin}.`)
      )
    }
    const endpoint: Endpoint | "other" = address.paths.get(url.pathname) ?? "other"
    const received = { endpoint, method, url: url.href, ...cacheControlOf(request.headers) }
    return receive(received, fromClientRequest(request)).pipe(
      Effect.map((response) => HttpServerResponse.toClientResponse(response, { request })),
      Effect.catch(() => unreachable(request, "TestIssuer.respond made this endpoint unreachable."))
    )
  })

  return { issuer, client }
})

// RFC 9449 §6.2
const tokenType = ({ boundTo }: MintOptions): string => (boundTo?.jkt === undefined ? "Bearer" : "DPoP")

type ReceivedRequest = Omit<IssuerRequest, "time">

const cacheControlOf = ({ "cache-control": value }: Readonly<Record<string, string | undefined>>) =>
  value === undefined ? undefined : { cacheControl: value }

const answers = (
  endpoint: Endpoint | "discovery" | "other",
  answer: IssuerResponse
): { readonly [E in Endpoint | "other"]?: IssuerResponse } =>
  endpoint === "discovery"
    ? { "openid-configuration": answer, "oauth-authorization-server": answer }
    : { [endpoint]: answer }

const unreachable = (request: HttpClientRequest.HttpClientRequest, description: string) =>
  Effect.fail(
    new HttpClientError.HttpClientError({ reason: new HttpClientError.TransportError({ request, description }) })
  )

// Only a request of a Node server has a socket to close. Other servers, such as a web handler, respond with 503.
const breakConnection = (request: HttpServerRequest): Effect.Effect<HttpServerResponse.HttpServerResponse> =>
  Effect.suspend(() => {
    const { socket } = request.source as { readonly socket?: { readonly destroy?: () => void } }
    if (typeof socket?.destroy !== "function") return Effect.succeed(HttpServerResponse.empty({ status: 503 }))
    socket.destroy()
    return Effect.never
  })
