/** Serves an app on a real socket, and sends requests with exact headers. */
import { NodeHttpServer } from "@effect/platform-node"
import { assert } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { HttpRouter, HttpServer } from "effect/http"
import { createServer, request as httpRequest } from "node:http"

export const serve = <A, E, R>(app: Layer.Layer<A, E, R>) =>
  HttpRouter.serve(app, { disableListenLog: true, disableLogger: true }).pipe(
    Layer.provideMerge(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1", gracefulShutdownTimeout: 0 }))
  )

export interface WireResponse {
  readonly status: number
  /** Headers in the order of arrival, with names in lower case. */
  readonly fields: ReadonlyArray<readonly [name: string, value: string]>
  readonly body: string
}

export interface Outgoing {
  readonly headers?: ReadonlyArray<readonly [name: string, value: string]>
  readonly body?: string
}

export const send = Effect.fnUntraced(function* (method: string, path: string, { headers = [], body }: Outgoing = {}) {
  const { origin } = new URL(HttpServer.formatAddress((yield* HttpServer.HttpServer).address))
  return yield* Effect.callback<WireResponse>((resume) => {
    const fail = (error: Error) => resume(Effect.die(error))
    const outgoing = httpRequest(
      new URL(path, origin),
      // Node sends headers in a list unchanged, and sends repeated headers separately.
      { method, agent: false, headers: ["Host", "api.example.com", ...headers.flat()] },
      (incoming) => {
        const chunks: Array<Buffer> = []
        incoming.on("data", (chunk: Buffer) => chunks.push(chunk))
        incoming.on("error", fail)
        incoming.on("end", () =>
          resume(
            Effect.succeed({
              status: incoming.statusCode ?? 0,
              fields: pairs(incoming.rawHeaders),
              body: Buffer.concat(chunks).toString("utf8")
            })
          )
        )
      }
    )
    outgoing.on("error", fail)
    outgoing.end(body)
  })
})

const pairs = (raw: ReadonlyArray<string>): WireResponse["fields"] =>
  Array.from({ length: raw.length / 2 }, (_, i) => [(raw[2 * i] ?? "").toLowerCase(), raw[2 * i + 1] ?? ""])

/** Returns all values of a header. */
export const values = (answer: WireResponse, name: string): ReadonlyArray<string> =>
  answer.fields.filter(([field]) => field === name).map(([, value]) => value)

export const get = (path: string, authorization?: string) =>
  send("GET", path, authorization === undefined ? {} : { headers: [["Authorization", authorization]] })

export const json = (answer: WireResponse): unknown => JSON.parse(answer.body)

/** Asserts a 401 response with exactly one challenge and these bytes in the body. */
export const assertUnauthorized = (answer: WireResponse, detail: string, challenge: string): void =>
  assert.deepStrictEqual(
    {
      status: answer.status,
      challenge: values(answer, "www-authenticate"),
      type: values(answer, "content-type"),
      body: answer.body
    },
    { status: 401, challenge: [challenge], type: ["application/json"], body: JSON.stringify({ detail }) }
  )

/** Asserts a JSON response without a challenge. */
export const assertJson = (answer: WireResponse, status: number, body: unknown): void =>
  assert.deepStrictEqual(
    {
      status: answer.status,
      challenge: values(answer, "www-authenticate"),
      type: values(answer, "content-type"),
      body: answer.body
    },
    { status, challenge: [], type: ["application/json"], body: JSON.stringify(body) }
  )
