/** Reads the parameters of a request. A repeated parameter makes the request invalid (RFC 6749 §3.1). */
import * as ByteSize from "effect/ByteSize"
import * as Effect from "effect/Effect"
import { MaxBodySize } from "effect/http/HttpIncomingMessage"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as UrlParams from "effect/http/UrlParams"

export type Parameters = Readonly<Record<string, string>>

const maxBytes = 128 * 1024

const recordOf = (entries: Iterable<readonly [string, string]>): Parameters | undefined => {
  const record = Object.create(null) as Record<string, string>
  for (const [name, value] of entries) {
    if (name in record) return
    record[name] = value
  }
  return record
}

/** Reads the query. Returns `undefined` if a parameter is repeated. */
export const ofQuery = (request: HttpServerRequest): Parameters | undefined => {
  const { originalUrl } = request
  const start = originalUrl.indexOf("?")
  return recordOf(new URLSearchParams(start === -1 ? "" : originalUrl.slice(start)))
}

/** Reads a form of at most 128 KiB. Returns `undefined` if it has another form, or if a parameter is repeated. */
export const ofForm = (request: HttpServerRequest): Effect.Effect<Parameters | undefined> =>
  request.urlParamsBody.pipe(
    Effect.map((form) => recordOf(new URLSearchParams(UrlParams.toString(form)))),
    Effect.orElseSucceed(() => undefined),
    Effect.provideService(MaxBodySize, ByteSize.bytes(maxBytes))
  )
