/** Reads responses of the authorization server: no redirects, a bounded body, strict UTF-8. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import { httpClient } from "../../core/missing.ts"
import * as HttpClient from "effect/http/HttpClient"
import type { HttpClientError } from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type { HttpClientResponse } from "effect/http/HttpClientResponse"
import * as Option from "effect/Option"
import { isReadonlyObject } from "effect/Predicate"
import * as Stream from "effect/Stream"
import type { Json } from "../../core/lib/json.ts"
import { ownProperties } from "../../core/lib/ownProperties.ts"
import { codeOf, type Document, Failure, isLostConnection, locationOf } from "./failure.ts"

export interface ServerResponse {
  readonly text: string
  readonly headers: HttpClientResponse["headers"]
}

export type Reader = (request: HttpClientRequest.HttpClientRequest) => Effect.Effect<ServerResponse, Failure>

export const makeReader = Effect.fnUntraced(function* (maxBytes: number) {
  // Closing the scope aborts the request, so a refused body is not downloaded.
  const client = HttpClient.withScope(yield* httpClient)
  // `fetch` follows redirects by default. Effect's other clients do not.
  const requestInit = {
    ...Option.getOrUndefined(yield* Effect.serviceOption(FetchHttpClient.RequestInit)),
    redirect: "manual"
  } as const
  const reader: Reader = (request) =>
    client.execute(request).pipe(
      Effect.catch(responseOf),
      Effect.filterOrFail(isFinalResponse, failureOf),
      Effect.flatMap((response) =>
        Effect.map(readText(response, maxBytes), (text) => ({ text, headers: response.headers }))
      ),
      Effect.scoped,
      Effect.provideService(FetchHttpClient.RequestInit, requestInit)
    )
  return reader
})

/**
 * Adds a time limit to a request, in milliseconds. Stops waiting at the limit, even if the client cannot be
 * interrupted. `onStart` runs each time when the request is sent.
 */
export const withTimeLimit = (
  request: ReturnType<Reader>,
  millis: number,
  onStart: (clock: Clock.Clock) => void
): ReturnType<Reader> =>
  Clock.clockWith((clock) => {
    onStart(clock)
    return Effect.flatMap(Effect.forkDetach(request, { startImmediately: true }), (fiber) =>
      Fiber.join(fiber).pipe(
        Effect.timeoutOrElse({ duration: millis, orElse: () => Effect.fail(new Failure("Timeout")) }),
        Effect.ensuring(Effect.sync(() => fiber.interruptUnsafe()))
      )
    )
  })

// A client with `filterStatusOk` turns a status into an error. The response is in the error, and it is an answer.
const responseOf = (error: HttpClientError): Effect.Effect<HttpClientResponse, Failure> =>
  error.reason._tag === "StatusCodeError"
    ? Effect.succeed(error.reason.response)
    : Effect.fail(new Failure("Unreachable", { code: codeOf(error) }))

const failureOf = ({ headers, request, status }: HttpClientResponse): Failure => {
  if (status === 200)
    return new Failure("BadResponse", { detail: "it is from another URL, so a redirect was followed" })
  const isRedirect = status >= 300 && status < 400
  return new Failure("BadResponse", {
    status,
    retryAfter: headers["retry-after"],
    location: isRedirect ? locationOf(headers["location"], urlOf(request)) : undefined
  })
}

const urlOf = (request: HttpClientRequest.HttpClientRequest): URL | undefined =>
  Option.getOrUndefined(HttpClientRequest.toUrl(request))

// A custom `fetch` may ignore `redirect: "manual"`. The response URL then differs from the request URL.
const isFinalResponse = (response: HttpClientResponse): boolean => {
  const asked = urlOf(response.request)
  if (asked !== undefined) asked.hash = ""
  return response.status === 200 && (response.url === "" || response.url === asked?.href)
}

/** Reads a body of at most `maxBytes` as UTF-8. */
export const readText = (response: HttpClientResponse, maxBytes: number): Effect.Effect<string, Failure> => {
  const tooLong = new Failure("BadResponse", { detail: `it is longer than ${maxBytes} bytes` })
  if (Number(response.headers["content-length"] ?? 0) > maxBytes) return Effect.fail(tooLong)
  // `ignoreBOM: true` keeps a byte order mark. The reader of the text decides about it (RFC 8259 §8.1).
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
  let length = 0
  return response.stream.pipe(
    Stream.mapError((error) => new Failure("Unreachable", { code: codeOf(error) })),
    // Count decompressed bytes, because a small response may expand.
    Stream.mapEffect((chunk) => {
      length += chunk.length
      return length > maxBytes
        ? Effect.fail(tooLong)
        : decoded("it is not UTF-8", () => decoder.decode(chunk, { stream: true }))
    }),
    Stream.runFold(
      () => "",
      (text, part: string) => text + part
    ),
    Effect.flatMap((text) =>
      Effect.map(
        decoded("it is not UTF-8", () => decoder.decode()),
        (rest) => text + rest
      )
    )
  )
}

const decoded = <A>(detail: string, decode: () => A) =>
  Effect.try({ try: decode, catch: () => new Failure("BadResponse", { detail }) })

/** Sends a request for a public JSON document, and parses it. */
export const readDocument = (
  reader: Reader,
  document: Document,
  url: URL,
  accept: string
): Effect.Effect<ServerResponse & { readonly json: Json }, Failure> =>
  reader(HttpClientRequest.get(url, { accept })).pipe(
    // The server may close a kept-alive connection at the moment when the request is sent.
    Effect.retry({ times: 1, while: isLostConnection }),
    Effect.flatMap((answer) => Effect.map(parse(answer), (json) => ({ ...answer, json }))),
    Effect.mapError((failure) => failure.of(document, url))
  )

/**
 * Parses a JSON object, without a prototype. Fails with `"BadResponse"` for anything else. An absent member reads as
 * `undefined`. Editors and file servers add a byte order mark, which a parser may ignore (RFC 8259 §8.1).
 */
const parse = ({ text }: ServerResponse): Effect.Effect<Json, Failure> =>
  Effect.filterOrFail(
    decoded("it is not JSON", (): unknown => JSON.parse(text.replace(/^\ufeff/, ""))),
    isReadonlyObject,
    () => new Failure("BadResponse", { detail: "it is not a JSON object" })
  ).pipe(Effect.map(ownProperties))
