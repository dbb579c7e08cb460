/** Serves an `RpcGroup` over HTTP and a WebSocket, and calls it with real clients. */
import { DateTime, Effect, Layer, Redacted } from "effect"
import { FetchHttpClient, HttpClient, HttpClientRequest, HttpServer } from "effect/http"
import { NetAddress } from "effect/net"
import { RpcClient, RpcSerialization } from "effect/rpc"
import { Socket } from "effect/socket"
import { AccessToken, SecurityError, TokenVerifier } from "effect-oauth2"

/** Tokens that the verifier refuses although they have not expired. */
export const revoked = new Set<string>()
/** The tokens that the verifier has verified. */
export const verified: Array<string> = []

/**
 * A verifier for tokens that say who and what they are: `alice~a+b~60` is a token of alice with the scopes a and b that
 * expires 60 seconds after 1970 begins, where the clock of a test starts. Without seconds, it expires in 2100.
 */
export const verifierLayer = TokenVerifier.layer({
  verify: (token) =>
    Effect.gen(function* () {
      const text = Redacted.value(token)
      verified.push(text)
      yield* Effect.yieldNow
      const [subject = "", scopes = "", seconds = "4102444800"] = text.split("~")
      if (subject === "bad" || revoked.has(text)) {
        return yield* Effect.fail(new SecurityError.InvalidToken({ reason: "Rejected" }))
      }
      return AccessToken.make({
        subject,
        scopes: scopes.split("+").filter((scope) => scope !== ""),
        issuer: "https://idp.example.com",
        expiresAt: DateTime.makeUnsafe(Number(seconds) * 1000)
      })
    })
}).pipe(Layer.orDie)

export const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } })

export const portOf = Effect.map(HttpServer.HttpServer, ({ address }) =>
  NetAddress.isUnixPathAddress(address) ? 0 : address.port
)

// The global constructor of Node accepts headers, but the layer of Effect for it does not.
const webSocketConstructor = Layer.succeed(
  Socket.WebSocketConstructor,
  (url, options) => new WebSocket(url, options as never)
)

/** How the clients of a test connect. `headers` are those of the HTTP requests, or of the upgrade request. */
export const transports: Readonly<
  Record<
    "HTTP" | "WebSocket",
    (headers?: Readonly<Record<string, string>>) => Layer.Layer<RpcClient.Protocol, never, HttpServer.HttpServer>
  >
> = {
  HTTP: (headers = {}) =>
    Layer.unwrap(
      Effect.map(portOf, (port) =>
        RpcClient.layerProtocolHttp({
          url: `http://127.0.0.1:${port}/http`,
          transformClient: HttpClient.mapRequest(HttpClientRequest.setHeaders(headers))
        })
      )
    ).pipe(Layer.provide([FetchHttpClient.layer, RpcSerialization.layerNdjson])),
  WebSocket: (headers = {}) =>
    // A test sets the clock forward, so a client with pings would miss answers.
    RpcClient.layerProtocolSocket({ pingInterval: "365 days" }).pipe(
      Layer.provide(
        Layer.unwrap(Effect.map(portOf, (port) => Socket.layerWebSocket(`ws://127.0.0.1:${port}/socket`, { headers })))
      ),
      Layer.provide([webSocketConstructor, RpcSerialization.layerNdjson])
    )
}
