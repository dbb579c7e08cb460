/** Makes a test issuer: its functions, its HTTP app, and an in-memory client. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientError from "effect/http/HttpClientError"
import type * as HttpClientRequest from "effect/http/HttpClientRequest"
import { fromClientRequest, HttpServerRequest } from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Ref from "effect/Ref"
import { ownProperties } from "../internal/ownProperties.ts"
import { requireIssuer } from "../internal/url.ts"
import * as endpoints from "./endpoints.ts"
import type { Answer, Endpoint, Issuer, IssuerRequest, MintOptions, TestIssuerOptions } from "./model.ts"
import * as states from "./state.ts"
import * as token from "./token.ts"

/** An issuer, and a client that reaches nobody else. */
export const make = Effect.fnUntraced(function* (given: TestIssuerOptions) {
  const options = ownProperties(given)
  const identifier = options.issuer ?? "https://issuer.test"
  yield* Effect.orDie(requireIssuer("issuer", identifier))
  const audience = options.audience ?? "https://api.test"
  const initial = yield* states.initial(options.keys ?? ["RS256"])
  const ref = yield* Ref.make(initial)
  const state = Ref.get(ref)
  const address = endpoints.address(identifier)
  const metadata = Effect.map(state, (state) => endpoints.metadata(address, state, options.metadata))

  const nextDefaults = Effect.fnUntraced(function* (options: MintOptions) {
    const lifetime = yield* states.millis("the lifetime of a token", options.lifetime ?? "10 minutes")
    const now = yield* Clock.currentTimeMillis
    const { tokens } = yield* Ref.updateAndGet(ref, (state) => ({ ...state, tokens: state.tokens + 1 }))
    return { issuer: identifier, audience, now, lifetime, tokenId: `token-${tokens}` }
  })

  /** What it says of its access tokens, when it is asked about one. */
  const known = new Map<string, token.Claims>()
  let opaqueTokens = 0

  const issuer: Issuer = {
    issuer: identifier,
    audience,
    jwksUri: address.jwksUri,
    metadata,
    introspectionEndpoint: address.introspectionEndpoint,
    mint: Effect.fnUntraced(function* (given = {}) {
      const options = ownProperties(given)
      const key = yield* states.find(yield* state, options.key)
      const claims = token.claims(options, yield* nextDefaults(options))
      const minted = yield* token.good(options, claims, key)
      // Of ID tokens an authorization server says nothing (RFC 7662 §1), and what is not its own it does not know.
      const isOwn = (yield* state).keys.includes(key) && options.header === undefined
      if (isOwn && options.profile !== "id-token") known.set(minted, { token_type: "Bearer", ...claims })
      return minted
    }),
    mintOpaque: Effect.fnUntraced(function* (given = {}) {
      const { claims, ...rest } = ownProperties(given)
      const options = ownProperties(rest)
      const defaults = yield* nextDefaults(options)
      // Never the same again, not after `reset` either: what is kept of one is not another's.
      const minted = `opaque-${++opaqueTokens}`
      known.set(
        minted,
        token.claims(ownProperties({ ...options, claims: { token_type: "Bearer", ...claims } }), defaults)
      )
      return minted
    }),
    revoke: (token) =>
      Effect.suspend(() =>
        known.delete(token)
          ? Effect.void
          : states.mistake("it has minted no access token like the one to revoke, or that is revoked already")
      ),
    mintRaw: (given) => {
      const raw = ownProperties(given)
      return state.pipe(
        Effect.flatMap((state) => states.find(state, raw.key)),
        Effect.flatMap((key) => token.raw(raw, key))
      )
    },
    keys: Effect.map(state, ({ keys }) => keys),
    currentKey: Effect.map(state, ({ current }) => current),
    rotate: (key) => states.rotate(ref, key),
    retire: (kid) => states.retire(ref, kid),
    publish: (jwk) => Ref.update(ref, (state) => ({ ...state, published: [...state.published, jwk] })),
    respond: Effect.fnUntraced(function* (endpoint, given) {
      const answer = typeof given === "string" ? given : ownProperties(given)
      if (typeof answer !== "string") yield* states.millis("the delay of an answer", answer.delay ?? 0, 0)
      yield* Ref.update(ref, (state) => ({ ...state, answers: { ...state.answers, ...answers(endpoint, answer) } }))
    }),
    requests: Effect.map(state, ({ requests }) => requests),
    reset: Effect.suspend(() => {
      known.clear()
      return Ref.set(ref, initial)
    }),
    // A server's handlers cannot be interrupted by themselves, and then an answer that never comes would keep the server open.
    app: Effect.interruptible(
      Effect.flatMap(HttpServerRequest, (request) =>
        receive(asked(request), request).pipe(Effect.catch(() => breakConnection(request)))
      )
    )
  }

  // A server knows itself by its path alone.
  const asked = ({ method, originalUrl }: HttpServerRequest): Asked => {
    const { pathname, search } = URL.parse(originalUrl, address.origin) ?? { pathname: originalUrl, search: "" }
    return { endpoint: address.paths.get(pathname) ?? "other", method, url: `${address.origin}${pathname}${search}` }
  }

  const receive = (asked: Asked, request: HttpServerRequest) =>
    Effect.andThen(endpoints.record(ref, asked), endpoints.respond(ref, asked, request, metadata, known))

  const client = HttpClient.make((request, url) => {
    const { method } = request
    if (url.origin !== address.origin) {
      return Effect.andThen(
        endpoints.record(ref, { endpoint: "other", method, url: url.href }),
        unreachable(request, `TestIssuer answers at ${address.origin} only`)
      )
    }
    const asked = { endpoint: address.paths.get(url.pathname) ?? "other", method, url: url.href } as const
    return receive(asked, fromClientRequest(request)).pipe(
      Effect.map((response) => HttpServerResponse.toClientResponse(response, { request })),
      Effect.catch(() => unreachable(request, "TestIssuer was told to be unreachable"))
    )
  })

  return { issuer, client }
})

type Asked = Omit<IssuerRequest, "time">

const answers = (endpoint: Endpoint | "discovery", answer: Answer): { readonly [E in Endpoint]?: Answer } =>
  endpoint === "discovery"
    ? { "openid-configuration": answer, "oauth-authorization-server": answer }
    : { [endpoint]: answer }

const unreachable = (request: HttpClientRequest.HttpClientRequest, description: string) =>
  Effect.fail(
    new HttpClientError.HttpClientError({ reason: new HttpClientError.TransportError({ request, description }) })
  )

// A Node server's request has its socket. Where there is none, as in a web handler, nothing can break, and the answer is a 503.
const breakConnection = (request: HttpServerRequest): Effect.Effect<HttpServerResponse.HttpServerResponse> =>
  Effect.suspend(() => {
    const { socket } = request.source as { readonly socket?: { readonly destroy?: () => void } }
    if (typeof socket?.destroy !== "function") return Effect.succeed(HttpServerResponse.empty({ status: 503 }))
    socket.destroy()
    return Effect.never
  })
