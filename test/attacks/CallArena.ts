/** The app under attack by calls and messages: MCP servers, `effect/rpc`, and WebSockets, with a real issuer in memory. */
import { assert } from "@effect/vitest"
import { Context, Effect, Layer, Redacted, Schema, Stream } from "effect"
import { McpProtocol, McpServer, Tool, Toolkit } from "effect/ai"
import { HttpRouter, type HttpServer, HttpServerRequest, HttpServerResponse } from "effect/http"
import { Rpc, RpcGroup, RpcSerialization, RpcServer } from "effect/rpc"
import { Socket } from "effect/socket"
import { AccessToken, JwtVerifier, OAuth2, SecurityError } from "effect-oauth2"
import * as Mcp from "effect-oauth2/Mcp"
import { type MintOptions, TestIssuer } from "effect-oauth2/testing"
import { serve } from "../conformance/Wire.ts"
import { fromContext } from "../support/contextVerifier.ts"
import { info, message, meta, type Reply, send } from "../support/mcpServer.ts"
import { portOf } from "../support/rpc.ts"
import * as Arena from "./Arena.ts"

const auth = OAuth2.bearer("Calls", {
  scopes: { mcp: "", read: "", write: "" },
  responses: "rfc6750",
  resource: "https://api.test/mcp"
})

/** The tools and procedures that have run, with the subject of their token. */
export const ran: Array<string> = []
const run = (name: string) =>
  Effect.map(AccessToken, ({ subject }) => {
    ran.push(`${name} ${subject}`)
    return subject
  })

const writing = Mcp.require(auth.require("write"))
const Open = Toolkit.make(Tool.make("whoami", { success: Schema.String, dependencies: [AccessToken] }))
const Guarded = Toolkit.make(Tool.make("write", { success: Schema.String, dependencies: [writing.grant] }))
const Tools = Layer.merge(
  McpServer.toolkit(Open).pipe(Layer.provide(Open.toLayer({ whoami: () => run("whoami") }))),
  McpServer.toolkit(Guarded).pipe(
    Layer.provide(Guarded.toLayer({ write: () => Effect.andThen(auth.granted("write"), run("write")) })),
    Layer.provide(writing.layer)
  )
)
const McpEndpoint = McpServer.layerHttp({
  ...info,
  path: "/mcp",
  protocols: [McpProtocol.v2025_03_26, McpProtocol.v2025_11_25, McpProtocol.v2026_07_28],
  registrations: Tools,
  allowSessionTermination: true
}).pipe(Mcp.protect(auth, { authorizationServers: ["https://issuer.test"], require: ["mcp"] }))

const text = { success: Schema.String }
const Procedures = OAuth2.secured(
  RpcGroup.make(
    Rpc.make("Read", text).middleware(auth.require("read").rpc),
    Rpc.make("Write", text).middleware(auth.require("write").rpc),
    Rpc.make("Keep", text).middleware(auth.require("write").rpc),
    Rpc.make("UseKept", text).middleware(auth.require("read").rpc),
    Rpc.make("Ticks", { success: Schema.Number, stream: true }).middleware(auth.require("read").rpc)
  )
)

type Proof = readonly [key: string, proof: unknown]
const proofIn = Effect.contextWith((context: Context.Context<never>) =>
  Effect.succeed(Array.from(context.mapUnsafe).find(([key]) => key.endsWith("/Proof")) as Proof | undefined)
)
/** Runs a handler with the proof of another message, as a faulty program might. */
const withProof = (proof: Proof | undefined, handler: Effect.Effect<unknown, never, any>) =>
  Effect.updateContext(handler as Effect.Effect<string>, (context: Context.Context<never>) =>
    proof === undefined ? context : Context.addUnsafe<never, never, unknown>(context, proof[0], proof[1])
  )

let kept: Proof | undefined
const stolen = Effect.suspend(() => withProof(kept, Effect.andThen(auth.granted("write"), run("stolen"))))

const Handlers = Procedures.toLayer({
  Read: () => Effect.andThen(auth.granted("read"), run("Read")),
  Write: () => Effect.andThen(auth.granted("write"), run("Write")),
  Keep: () => Effect.map(proofIn, (proof) => ((kept = proof), "kept")),
  UseKept: () => stolen,
  Ticks: () => Stream.concat(Stream.make(0), Stream.never)
})

const rpc = (path: `/${string}`, protocol: "http" | "websocket") =>
  RpcServer.layerHttp({ group: Procedures, path, protocol, disableFatalDefects: true })

const answerOf = Effect.match({
  onFailure: (error: unknown) => (SecurityError.isSecurityError(error) ? error._tag : "failure"),
  onSuccess: (answer: string) => answer
})

/** Authorizes each message of a WebSocket: the message is a token and a command. */
const messages = Effect.gen(function* () {
  const request = yield* HttpServerRequest.HttpServerRequest
  const socket = yield* request.upgrade
  const { pull } = yield* socket.reader
  const { write } = yield* socket.writer
  let proof: Proof | undefined
  const onMessage = (message: string | Uint8Array) => {
    const [token = "", command] = String(message).split(" ")
    const handler =
      command === "keep"
        ? Effect.map(proofIn, (found) => ((proof = found), "kept"))
        : command === "steal"
          ? Effect.suspend(() => withProof(proof, Effect.andThen(auth.granted("write"), run("stolen"))))
          : Effect.andThen(auth.granted("write"), run("message"))
    return handler.pipe(
      auth.proveToken(Redacted.make(token), command === "steal" ? "read" : "write"),
      answerOf,
      Effect.catchCause(() => Effect.succeed("defect")),
      Effect.flatMap(write)
    ) as Effect.Effect<void, Socket.SocketError>
  }
  yield* Effect.forever(Effect.flatMap(pull, (messages) => Effect.forEach(messages, onMessage, { discard: true })))
  return HttpServerResponse.empty()
}).pipe(
  Effect.scoped,
  Effect.catchTag("SocketError", () => Effect.succeed(HttpServerResponse.empty()))
)

/** A WebSocket that its token opened, and that ends with its token. */
const echo = Effect.gen(function* () {
  const request = yield* HttpServerRequest.HttpServerRequest
  const socket = yield* request.upgrade
  const { pull } = yield* socket.reader
  const { write } = yield* socket.writer
  yield* Effect.forever(Effect.flatMap(pull, (messages) => Effect.forEach(messages, write))).pipe(
    Effect.raceFirst(auth.expiry),
    Effect.catchTag("InvalidToken", () => write(new Socket.CloseEvent(4401, "token expired"))),
    Effect.catchTag("SocketError", () => Effect.void)
  )
  return HttpServerResponse.empty()
}).pipe(Effect.scoped)

const Authentication = auth.layer(fromContext)

const App = Layer.mergeAll(
  McpEndpoint,
  Layer.mergeAll(rpc("/http", "http"), rpc("/socket", "websocket")).pipe(
    OAuth2.Public("each procedure has its requirement")
  ),
  // The connections have a requirement, too.
  Layer.mergeAll(rpc("/guarded", "websocket"), HttpRouter.add("GET", "/echo", echo)).pipe(auth.require("read")),
  HttpRouter.add("GET", "/guarded-messages", messages).pipe(auth.require("read")),
  HttpRouter.add("GET", "/messages", messages).pipe(OAuth2.Public("each message has its token"))
).pipe(
  Layer.provide(Handlers),
  OAuth2.secured,
  HttpRouter.provideRequest(Authentication),
  Layer.provide([Authentication, RpcSerialization.layerNdjson])
)

export const layer = Layer.unwrap(
  Effect.map(
    Effect.promise(() => Arena.keys),
    ({ rsa }) =>
      serve(App).pipe(
        Layer.provideMerge(JwtVerifier.layer({ issuer: "https://issuer.test", audience: Arena.audience })),
        Layer.provideMerge(TestIssuer.layer({ issuer: "https://issuer.test", audience: Arena.audience, keys: [rsa] })),
        Layer.provideMerge(Arena.Recorder),
        Layer.provideMerge(Arena.Spans)
      )
  )
)

/** The tokens of the current attack. No response, log, span or metric may contain a part of them. */
export const tokens: Array<string> = []

/** Mints a token for a user with the given scopes. */
export const tokenOf = (subject: string, scopes: string, options: MintOptions = {}) =>
  Effect.tap(
    TestIssuer.use((issuer) => issuer.mint({ subject, scopes: scopes.split(" "), ...options })),
    (token) => Effect.sync(() => void tokens.push(token))
  )

/** Asserts that a text contains no part of a token. */
export const assertSecret = (text: string): void => {
  for (const part of tokens.flatMap((token) => [token, ...token.split(".")])) assert.notInclude(text, part)
}

/** Sends a message to the MCP server. */
export const mcp = (...args: Parameters<typeof send>): Effect.Effect<Reply, never, HttpServer.HttpServer> =>
  Effect.tap(send(...args), ({ headers, text }) => Effect.sync(() => assertSecret(text + JSON.stringify([...headers]))))

/** Begins a subscription of the MCP server. Returns the whole text of the stream when the stream ends. */
export const subscribe = Effect.fnUntraced(function* (token: string) {
  const port = yield* portOf
  const { body } = yield* Effect.promise(() =>
    fetch(`http://127.0.0.1:${port}/mcp`, {
      method: "POST",
      headers: {
        accept: "application/json, text/event-stream",
        "content-type": "application/json",
        authorization: `Bearer ${token}`,
        "mcp-protocol-version": "2026-07-28",
        "mcp-method": "subscriptions/listen"
      },
      body: JSON.stringify(message("subscriptions/listen", { notifications: {}, _meta: meta }))
    })
  )
  assert.isNotNull(body)
  return Effect.tap(
    Effect.promise(() => new Response(body).text()),
    (text) => Effect.sync(() => assertSecret(text))
  )
})

/** A header of a call, as the wire has it. */
type Field = readonly [name: string, value: unknown]

let id = 0

/** Returns a call as `effect/rpc` sends it, one line of JSON. */
export const line = (tag: string, headers: ReadonlyArray<Field> = []) =>
  `${JSON.stringify({ _tag: "Request", id: String(++id), tag, payload: null, headers })}\n`

export const bearer = (token: string): Field => ["authorization", `Bearer ${token}`]

/** Returns the results of calls: the value, the tag of the error, or `defect`. */
const resultsOf = (text: string): ReadonlyArray<unknown> =>
  text.split("\n").flatMap((line): ReadonlyArray<unknown> => {
    if (line === "") return []
    const { _tag, exit, values } = JSON.parse(line)
    if (_tag === "Chunk") return values
    if (_tag !== "Exit") return []
    if (exit._tag === "Success") return [exit.value]
    return [exit.cause.find((reason: { readonly _tag: string }) => reason._tag === "Fail")?.error._tag ?? "defect"]
  })

/** Sends calls in one HTTP request, and returns their results. */
export const http = Effect.fnUntraced(function* (body: string, token?: string) {
  const port = yield* portOf
  const text = yield* Effect.promise(async () => {
    const headers = {
      "content-type": "application/ndjson",
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` })
    }
    return (await fetch(`http://127.0.0.1:${port}/http`, { method: "POST", headers, body })).text()
  })
  assertSecret(text)
  return resultsOf(text)
})

/** Opens a WebSocket, with a token in the request that opens the socket. */
export const open = Effect.fnUntraced(function* (path: string, token?: string) {
  const port = yield* portOf
  const received: Array<string> = []
  let onEvent = () => {}
  let code = 0
  const socket = yield* Effect.acquireRelease(
    Effect.promise(
      () =>
        new Promise<WebSocket>((resolve, reject) => {
          const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, {
            headers: token === undefined ? {} : { authorization: `Bearer ${token}` }
          } as never)
          socket.addEventListener("open", () => resolve(socket))
          socket.addEventListener("error", () => reject(new Error("refused")))
          socket.addEventListener("message", ({ data }) => {
            received.push(String(data))
            onEvent()
          })
          socket.addEventListener("close", (event) => {
            code = event.code
            onEvent()
          })
        })
    ),
    (socket) => Effect.sync(() => socket.close())
  )
  const until = (isDone: () => boolean) =>
    Effect.promise(
      () =>
        new Promise<void>((resolve) => {
          onEvent = () => {
            if (isDone()) resolve()
          }
          onEvent()
        })
    )
  return {
    /** Sends a text, and returns the next message. */
    ask: (text: string) =>
      Effect.suspend(() => {
        socket.send(text)
        return Effect.as(
          until(() => received.length > 0),
          received
        )
      }).pipe(
        Effect.map((received) => {
          const [message = ""] = received.splice(0, 1)
          assertSecret(message)
          return message
        })
      ),
    /** Sends calls of `effect/rpc`, and returns as many results. */
    call: (text: string, count = 1) =>
      Effect.suspend(() => {
        socket.send(text)
        return until(() => resultsOf(received.join("")).length >= count)
      }).pipe(Effect.map(() => resultsOf(received.splice(0).join("")))),
    /** Returns the results of calls that have already begun. */
    next: (count = 1) =>
      Effect.map(
        until(() => resultsOf(received.join("")).length >= count),
        () => resultsOf(received.splice(0).join(""))
      ),
    /** Returns the code of the event that closes the socket. */
    closed: Effect.map(
      until(() => code > 0),
      () => code
    )
  }
})
