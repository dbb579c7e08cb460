/** Ends streamed responses when their token ends. The requirement decides only when the request begins. */
import * as Effect from "effect/Effect"
import { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as HttpBody from "effect/http/HttpBody"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Context from "effect/Context"
import * as Stream from "effect/Stream"
import type { InvalidToken } from "../core/SecurityError.ts"
import type { Handler } from "../guard/decision/decide.ts"
import * as refusal from "./refusal.ts"

const encoder = new TextEncoder()

/** Returns the event that answers a request whose token has ended. Without this answer, clients wait for a timeout. */
const lastEvent = (body: string, error: refusal.Refused): Uint8Array | undefined => {
  try {
    const message: unknown = JSON.parse(body)
    // The server may have answered some messages of a batch, so the end of the stream must tell the client.
    if (typeof message !== "object" || message === null || Array.isArray(message)) return
    const id: unknown = Reflect.get(message, "id")
    const { code, data, message: text } = error
    const answer = { jsonrpc: "2.0", id, error: { code, message: text, data } }
    return id === undefined ? undefined : encoder.encode(`data: ${JSON.stringify(answer)}\n\n`)
  } catch {
    return
  }
}

/** Returns the function that guards the handler of an endpoint. It must run inside the requirement of the endpoint. */
export const make =
  (expiry: Effect.Effect<never, InvalidToken>) =>
  (handler: Handler): Handler =>
    Effect.withFiber(({ context }) => {
      const request = Context.getUnsafe(context, HttpServerRequest)
      const end = Effect.gen(function* () {
        const error = yield* Effect.flip(expiry)
        // The request caches its body, and the server has read the body.
        const body = yield* Effect.orElseSucceed(request.text, () => "")
        return lastEvent(body, refusal.refusedOf(error, context))
      }).pipe(Effect.provideContext(context))
      const last = Stream.flatMap(Stream.fromEffect(end), (event) =>
        event === undefined ? Stream.empty : Stream.make(event)
      )
      return Effect.map(handler, (response) => {
        if (!HttpServerResponse.isHttpServerResponse(response) || response.body._tag !== "Stream") return response
        const { contentType, stream } = response.body
        return HttpServerResponse.setBody(
          response,
          HttpBody.stream(Stream.merge(stream, last, { haltStrategy: "either" }), contentType)
        )
      })
    })
