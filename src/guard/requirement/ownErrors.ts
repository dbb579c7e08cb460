/** Makes the errors of checks and look-ups respond on a route of `HttpRouter` as they do in an `HttpApi`. */
import * as Effect from "effect/Effect"
import { isRespondable, symbol } from "effect/http/HttpServerRespondable"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import { isReadonlyObject } from "effect/Predicate"
import * as Schema from "effect/Schema"
import { encodingOf, statusOf } from "../../core/effect/errorSchema.ts"

/** Makes the failures of an effect respond with the status and the body of their schema. */
export const responding = <A, E, R>(self: Effect.Effect<A, E, R>, schema: Schema.Top): Effect.Effect<A, E, R> => {
  const respond = responseOf(schema)
  return Effect.catch(self, (error) => {
    if (isRespondable(error)) return Effect.fail(error)
    if (isReadonlyObject(error) && Object.isExtensible(error)) {
      // The error stays what it is, so that middleware outside the requirement can catch it.
      Object.defineProperty(error, symbol, { value: () => respond(error) })
      return Effect.fail(error)
    }
    // Safe cast: a response is respondable. `HttpRouter` sends it.
    return Effect.flatMap(respond(error), (response) => Effect.fail(response as E))
  })
}

/** Returns the function that encodes an error. An error that its schema cannot encode is a defect. */
const responseOf = (schema: Schema.Top) => {
  const status = statusOf(schema)
  const encoding = encodingOf(schema)
  if (encoding === undefined) return () => Effect.succeed(HttpServerResponse.empty({ status }))
  const { _tag, contentType } = encoding
  // Safe cast: the services of the schema are those of the requirement.
  const encode = Schema.encodeUnknownEffect(
    (_tag === "Json" ? Schema.toCodecJson(schema) : schema) as Schema.Codec<unknown>
  )
  return (error: unknown): Effect.Effect<HttpServerResponse.HttpServerResponse> =>
    Effect.map(Effect.orDie(encode(error)), (body) => {
      const options = { status, contentType }
      switch (_tag) {
        case "Json":
          return HttpServerResponse.text(JSON.stringify(body), options)
        case "Uint8Array":
          return HttpServerResponse.uint8Array(body as Uint8Array, options)
        case "FormUrlEncoded":
          return HttpServerResponse.urlParams(body as Record<string, string>, { status })
        default:
          return HttpServerResponse.text(String(body), options)
      }
    })
}
