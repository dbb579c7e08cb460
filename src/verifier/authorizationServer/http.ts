/** Reads responses of the authorization server: no redirects, a bounded body, strict UTF-8. */
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type { HttpClientResponse } from "effect/http/HttpClientResponse"
import * as Option from "effect/Option"
import { isReadonlyObject } from "effect/Predicate"
import * as Stream from "effect/Stream"
import type { AuthorizationServerUnavailable } from "../../core/SecurityError.ts"
import type { Json } from "../../core/lib/json.ts"
import { ownProperties } from "../../core/lib/ownProperties.ts"

export type Unavailable = AuthorizationServerUnavailable["reason"]

export interface Answer {
  readonly text: string
  readonly headers: HttpClientResponse["headers"]
}

/** Status of a response other than 200. */
export interface Status {
  readonly status: number
  /** The unparsed `Retry-After` header. */
  readonly retryAfter: string | undefined
}

export type Reader = (request: HttpClientRequest.HttpClientRequest) => Effect.Effect<Answer, Unavailable | Status>

export const makeReader = Effect.fnUntraced(function* (maxBytes: number) {
  // Closing the scope aborts the request, so a refused body is not downloaded.
  const client = HttpClient.withScope(yield* HttpClient.HttpClient)
  // `fetch` follows redirects by default. Effect's other clients do not.
  const requestInit = {
    ...Option.getOrUndefined(yield* Effect.serviceOption(FetchHttpClient.RequestInit)),
    redirect: "manual"
  } as const
  const reader: Reader = (request) =>
    client.execute(request).pipe(
      Effect.mapError((): Unavailable => "Unreachable"),
      Effect.filterOrFail(isFinalResponse, ({ headers, status }) =>
        status === 200 ? "BadResponse" : { status, retryAfter: headers["retry-after"] }
      ),
      Effect.flatMap((response) =>
        Effect.map(readText(response, maxBytes), (text) => ({ text, headers: response.headers }))
      ),
      Effect.scoped,
      Effect.provideService(FetchHttpClient.RequestInit, requestInit)
    )
  return reader
})

/** Maps any status other than 200 to `"BadResponse"`. */
export const statusIsBad = (reason: Unavailable | Status): Unavailable =>
  typeof reason === "object" ? "BadResponse" : reason

// A custom `fetch` may ignore `redirect: "manual"`. The response URL then differs from the request URL.
const isFinalResponse = (response: HttpClientResponse): boolean => {
  const asked = Option.getOrUndefined(HttpClientRequest.toUrl(response.request))
  if (asked !== undefined) asked.hash = ""
  return response.status === 200 && (response.url === "" || response.url === asked?.href)
}

const readText = (response: HttpClientResponse, maxBytes: number): Effect.Effect<string, Unavailable> => {
  if (Number(response.headers["content-length"] ?? 0) > maxBytes) return Effect.fail("BadResponse")
  // `ignoreBOM: true` keeps a byte order mark, so the JSON parser refuses it (RFC 8259 §8.1).
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
  let length = 0
  return response.stream.pipe(
    Stream.mapError((): Unavailable => "Unreachable"),
    // Count decompressed bytes, because a small response may expand.
    Stream.mapEffect((chunk) => {
      length += chunk.length
      return length > maxBytes
        ? Effect.fail<Unavailable>("BadResponse")
        : decoded(() => decoder.decode(chunk, { stream: true }))
    }),
    Stream.runFold(
      () => "",
      (text, part: string) => text + part
    ),
    Effect.flatMap((text) =>
      Effect.map(
        decoded(() => decoder.decode()),
        (rest) => text + rest
      )
    )
  )
}

const decoded = <A>(decode: () => A) => Effect.try({ try: decode, catch: (): Unavailable => "BadResponse" })

/**
 * Parses a JSON object, without a prototype. Fails with `"BadResponse"` for anything else. An absent member reads as
 * `undefined`.
 */
export const parse = ({ text }: Answer): Effect.Effect<Json, Unavailable> =>
  Effect.filterOrFail(
    decoded((): unknown => JSON.parse(text)),
    isReadonlyObject,
    (): Unavailable => "BadResponse"
  ).pipe(Effect.map(ownProperties))
