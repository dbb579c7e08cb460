/**
 * WebSockets of a browser, which cannot send an `Authorization` header: one with a ticket as a sub-protocol, and one with
 * the token in the first message. The client uses only what a page can use.
 */
import { NodeHttpServer } from "@effect/platform-node"
import { Effect, Layer, Queue, Redacted } from "effect"
import { HttpRouter, HttpServer, HttpServerRequest, HttpServerResponse } from "effect/http"
import { NetAddress } from "effect/net"
import { Socket } from "effect/socket"
import { BearerToken, JwtVerifier, OAuth2, type SecurityError, SocketTicket } from "effect-oauth2"
import { TestIssuer } from "effect-oauth2/testing"

const auth = OAuth2.authorizationCode("OAuth2", {
  authorizationUrl: "https://issuer.test/authorize",
  tokenUrl: "https://issuer.test/token",
  scopes: { chat: "Take part in the chat" }
})

// ---------------------------------------------------------------------------------------------------------------------
// The server
// ---------------------------------------------------------------------------------------------------------------------

/** Private codes (RFC 6455 §7.4.2) that tell the page what to do. 1013 means "try again later". */
const closeOf = (error: SecurityError.SecurityError): Socket.CloseEvent => {
  switch (error._tag) {
    case "InsufficientScope":
      return new Socket.CloseEvent(4403, "the token lacks a scope")
    case "FailedCheck":
      return new Socket.CloseEvent(4403, "access denied")
    case "AuthorizationServerUnavailable":
      return new Socket.CloseEvent(1013, "the token cannot be verified now")
    default:
      return new Socket.CloseEvent(4401, "get a new token")
  }
}

/** Sends each message back, until the token ends. */
const echo = Effect.fnUntraced(function* ({ pull, write }: Channel) {
  const { subject } = yield* auth.granted("chat")
  const answer = Effect.flatMap(pull, (messages) =>
    Effect.forEach(messages, (message) => write(`${subject}: ${String(message)}`))
  )
  yield* Effect.raceFirst(Effect.forever(answer), auth.expiry)
})

interface Channel {
  readonly pull: Effect.Effect<ReadonlyArray<string | Uint8Array>, Socket.SocketError>
  readonly write: (message: string | Socket.CloseEvent) => Effect.Effect<void, Socket.SocketError>
}

const accept = Effect.gen(function* () {
  const { upgrade } = yield* HttpServerRequest.HttpServerRequest
  const socket = yield* upgrade
  const { pull } = yield* socket.reader
  const { write } = yield* socket.writer
  return { pull, write }
})

/** Runs a conversation, and closes the socket with a code if the token is refused or ends. */
const conversation = <R>(
  talk: (channel: Channel) => Effect.Effect<void, SecurityError.SecurityError | Socket.SocketError, R>
) =>
  Effect.gen(function* () {
    const channel = yield* accept
    yield* talk(channel).pipe(
      Effect.catchTag("SocketError", () => Effect.void),
      Effect.catch((error) => Effect.ignore(channel.write(closeOf(error))))
    )
    return HttpServerResponse.empty()
  }).pipe(Effect.scoped)

/** The ticket is decided before the socket opens, so a refusal is an HTTP response. */
const withTicket = Effect.gen(function* () {
  const token = yield* Effect.flatMap(BearerToken.fromSubprotocol, SocketTicket.redeem).pipe(Effect.catch(auth.refuse))
  return yield* conversation(echo).pipe(auth.proveToken(token, "chat"))
})

/** The token is the first message, which must arrive within 5 seconds. */
const withFirstMessage = conversation((channel) =>
  Effect.gen(function* () {
    const first = yield* Effect.timeoutOption(channel.pull, "5 seconds")
    if (first._tag === "None") return yield* channel.write(new Socket.CloseEvent(4408, "send the token first"))
    const token = Redacted.make(String(first.value[0]))
    yield* Effect.andThen(channel.write("welcome"), echo(channel)).pipe(auth.proveToken(token, "chat"))
  })
)

const Routes = Layer.mergeAll(
  HttpRouter.add(
    "POST",
    "/tickets",
    Effect.map(SocketTicket.issue, (ticket) => HttpServerResponse.jsonUnsafe({ ticket: Redacted.value(ticket) }))
  ).pipe(auth.require("chat")),
  HttpRouter.add("GET", "/chat", withTicket).pipe(OAuth2.Public("the sub-protocol carries a ticket")),
  HttpRouter.add("GET", "/first", withFirstMessage).pipe(OAuth2.Public("the first message carries the token"))
).pipe(OAuth2.secured, HttpRouter.provideRequest(SocketTicket.layer()))

const Authentication = auth
  .layer(JwtVerifier.layer({ issuer: "https://issuer.test", audience: "https://api.test" }))
  .pipe(Layer.provideMerge(TestIssuer.layer()))

const Server = HttpRouter.serve(Routes, { disableLogger: true, disableListenLog: true }).pipe(
  Layer.provide(BearerToken.layerSubprotocol),
  Layer.provideMerge(Layer.merge(Authentication, NodeHttpServer.layerTest))
)

// ---------------------------------------------------------------------------------------------------------------------
// The page
// ---------------------------------------------------------------------------------------------------------------------

const hostOf = Effect.map(HttpServer.HttpServer, ({ address }) =>
  NetAddress.isUnixPathAddress(address) ? "" : `127.0.0.1:${address.port}`
)

/** Opens a WebSocket as a page does. The queue has its messages, and then `closed: code reason`. */
const open = (url: string, protocols: Array<string> = []) =>
  Effect.gen(function* () {
    const heard = yield* Queue.unbounded<string>()
    const socket = yield* Effect.acquireRelease(
      Effect.sync(() => new WebSocket(url, protocols)),
      (socket) => Effect.sync(() => socket.close())
    )
    socket.addEventListener("open", () => Queue.offerUnsafe(heard, `open: ${socket.protocol}`))
    socket.addEventListener("message", ({ data }) => Queue.offerUnsafe(heard, String(data)))
    socket.addEventListener("close", ({ code, reason }) => Queue.offerUnsafe(heard, `closed: ${code} ${reason}`.trim()))
    return { next: Queue.take(heard), send: (text: string) => Effect.sync(() => socket.send(text)) }
  })

/** Tells `print` what the page sees. */
export const program = (print: (line: string) => Effect.Effect<void>) =>
  Effect.gen(function* () {
    const host = yield* hostOf
    const { mint } = yield* TestIssuer
    const token = yield* mint({ subject: "demo", scopes: ["chat"], lifetime: "2 seconds" })

    const response = yield* Effect.promise(() =>
      fetch(`http://${host}/tickets`, { method: "POST", headers: { authorization: `Bearer ${token}` } })
    )
    const { ticket } = (yield* Effect.promise(() => response.json())) as { readonly ticket: string }
    const protocols = ["chat", `bearer.${ticket}`]

    const chat = yield* open(`ws://${host}/chat`, protocols)
    yield* print(`with a ticket, ${yield* chat.next}`)
    yield* chat.send("hello")
    yield* print(yield* chat.next)
    const again = yield* open(`ws://${host}/chat`, protocols)
    yield* print(`with the same ticket, ${yield* again.next}`)
    yield* print("the token ends")
    yield* print(yield* chat.next)

    const first = yield* open(`ws://${host}/first`)
    yield* print(`without a ticket, ${(yield* first.next).trim()}`)
    yield* first.send(yield* mint({ subject: "demo", scopes: ["chat"] }))
    yield* print(`with the token in the first message, ${yield* first.next}`)
    yield* first.send("hello")
    yield* print(yield* first.next)

    const visitor = yield* open(`ws://${host}/first`)
    yield* visitor.next
    yield* visitor.send(yield* mint({ subject: "visitor" }))
    yield* print(`with a token without the scope, ${yield* visitor.next}`)

    const silent = yield* open(`ws://${host}/first`)
    yield* silent.next
    yield* print("a page sends nothing for 5 seconds")
    yield* print(yield* silent.next)
  }).pipe(Effect.scoped, Effect.provide(Server))
