/** Opens WebSockets with headers that a test chooses, and reads the response to the upgrade. */
import { Effect } from "effect"
import { HttpServerRequest, HttpServerResponse } from "effect/http"
import { AccessToken } from "effect-oauth2"
import * as http from "node:http"
import * as https from "node:https"
import { portOf } from "./rpc.ts"

export interface Upgrade {
  /** 101 if the socket opened. */
  readonly status: number
  /** The sub-protocol that the server accepted. */
  readonly protocol?: string
  /** The first message of the server. */
  readonly text?: string
  /** The raw headers of the response. */
  readonly headers: string
}

/** Sends a request that opens a WebSocket, to a server with a self-signed certificate if `protocol` is `https`. */
export const upgrade = (path: string, headers: Readonly<Record<string, string>>, protocol: "http" | "https" = "http") =>
  Effect.flatMap(portOf, (port) =>
    Effect.callback<Upgrade, Error>((resume) => {
      const { request } = protocol === "http" ? http : https
      const sent = request({
        rejectUnauthorized: false,
        port,
        host: "127.0.0.1",
        path,
        headers: {
          connection: "Upgrade",
          upgrade: "websocket",
          "sec-websocket-version": "13",
          "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
          ...headers
        }
      })
      sent.on("response", (response) => {
        response.resume()
        resume(Effect.succeed({ status: response.statusCode ?? 0, headers: response.rawHeaders.join("\n") }))
      })
      sent.on("upgrade", ({ headers, rawHeaders, statusCode = 0 }, socket, head) => {
        const protocol = headers["sec-websocket-protocol"]
        const read = (frame: Buffer) => {
          socket.destroy()
          // A short text frame without a mask: two bytes, of which the second is the length (RFC 6455 §5.2).
          const text = frame.subarray(2, 2 + (frame[1] ?? 0)).toString()
          const response = { status: statusCode, text, headers: rawHeaders.join("\n") }
          resume(Effect.succeed(protocol === undefined ? response : { ...response, protocol }))
        }
        if (head.length > 0) read(head)
        else socket.once("data", read)
      })
      sent.on("error", (error) => resume(Effect.fail(error)))
      sent.end()
      return Effect.sync(() => sent.destroy())
    })
  )

/** Accepts the WebSocket of a request, and sends the subject of the token. */
export const hello = Effect.gen(function* () {
  const { subject } = yield* AccessToken
  const { upgrade } = yield* HttpServerRequest.HttpServerRequest
  const socket = yield* upgrade
  yield* socket.reader
  const { write } = yield* socket.writer
  yield* Effect.ignore(write(subject))
  return HttpServerResponse.empty()
}).pipe(Effect.scoped)
