/** Extraction of bearer tokens from HTTP/2 requests. */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { assert, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { HttpRouter, HttpServer } from "effect/http"
import { NetAddress } from "effect/net"
import * as http2 from "node:http2"
import * as net from "node:net"
import { Routes, serve } from "../support/bearerTokenApp.ts"

layer(
  HttpRouter.serve(Routes, serve).pipe(
    Layer.provideMerge(NodeHttpServer.layer(() => http2.createServer(), { port: 0 }))
  )
)("BearerToken over HTTP/2", (it) => {
  // The test writes frames (RFC 9113 §4.1) and literal header fields (RFC 7541 §6.2.2) itself, because Node's client
  // refuses to send a header twice.
  const frame = (type: number, flags: number, stream: number, payload: Buffer) => {
    const header = Buffer.alloc(9)
    header.writeUIntBE(payload.length, 0, 3)
    header.writeUInt8(type, 3)
    header.writeUInt8(flags, 4)
    header.writeUInt32BE(stream, 5)
    return Buffer.concat([header, payload])
  }
  const literal = ([name, value]: readonly [string, string]) =>
    Buffer.concat([
      Buffer.from([0, name.length]),
      Buffer.from(name, "latin1"),
      Buffer.from([value.length]),
      Buffer.from(value, "latin1")
    ])
  const DATA = 0
  const HEADERS = 1
  const SETTINGS = 4
  const END_STREAM = 1
  const END_HEADERS = 4

  /** Returns the body of the response to a request with these `authorization` headers. */
  const ask = (...values: ReadonlyArray<string>) =>
    Effect.flatMap(HttpServer.HttpServer, ({ address }) =>
      Effect.callback<string, Error>((resume) => {
        const port = NetAddress.isInetAddress(address) ? address.port : 0
        const fields = [
          [":method", "GET"],
          [":scheme", "http"],
          [":path", "/rfc6750"],
          [":authority", "localhost"],
          ...values.map((value) => ["authorization", value] as const)
        ] as const
        const socket = net.connect({ port, host: "127.0.0.1" }, () =>
          socket.write(
            Buffer.concat([
              Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
              frame(SETTINGS, 0, 0, Buffer.alloc(0)),
              frame(HEADERS, END_STREAM | END_HEADERS, 1, Buffer.concat(fields.map(literal)))
            ])
          )
        )
        let received = Buffer.alloc(0)
        let body = ""
        socket.on("data", (chunk: Buffer) => {
          received = Buffer.concat([received, chunk])
          while (received.length >= 9 && received.length >= 9 + received.readUIntBE(0, 3)) {
            const end = 9 + received.readUIntBE(0, 3)
            const type = received.readUInt8(3)
            if (type === DATA) body += received.toString("latin1", 9, end)
            if ((type === DATA || type === HEADERS) && (received.readUInt8(4) & END_STREAM) !== 0) {
              resume(Effect.succeed(body))
              socket.destroy()
            }
            received = received.subarray(end)
          }
        })
        socket.on("error", (error) => resume(Effect.fail(error)))
        socket.on("close", () => resume(Effect.fail(new Error("The server closed the connection"))))
        return Effect.sync(() => socket.destroy())
      })
    )

  it.effect("accepts one Authorization header, refuses several, and serves the next valid request", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* ask("Bearer one"), "one")
      for (const several of [
        ["Bearer one", "Bearer two"],
        ["Bearer one", "Bearer one"],
        ["Basic dTpw", "Bearer one"],
        ["", "Bearer one"]
      ]) {
        assert.strictEqual(yield* ask(...several), '{"detail":"Malformed credentials"}', JSON.stringify(several))
      }
      assert.strictEqual(yield* ask(), '{"detail":"Not authenticated"}')
      assert.strictEqual(yield* ask("Bearer two"), "two")
    })
  )
})
