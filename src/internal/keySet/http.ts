/** Reads JSON from the authorization server: no redirects, a bounded body, strict UTF-8. */
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type { HttpClientResponse } from "effect/http/HttpClientResponse"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { AuthorizationServerUnavailable } from "../../SecurityError.ts"

export type Unavailable = AuthorizationServerUnavailable["reason"]

export interface Answer<A> {
  readonly value: A
  readonly headers: HttpClientResponse["headers"]
}

export interface Reader {
  readonly json: <A>(schema: Schema.Decoder<A>, url: URL) => Effect.Effect<Answer<A>, Unavailable | "NotFound">
}

export const makeReader = Effect.fnUntraced(function* (maxBytes: number) {
  // The scope aborts the request: what is not read is not downloaded.
  const client = HttpClient.withScope(yield* HttpClient.HttpClient)
  // fetch follows redirects unless it is told here; Effect's other clients do not follow any.
  const requestInit = {
    ...Option.getOrUndefined(yield* Effect.serviceOption(FetchHttpClient.RequestInit)),
    redirect: "manual"
  } as const
  const reader: Reader = {
    json: (schema, url) =>
      client.execute(HttpClientRequest.get(url, { acceptJson: true })).pipe(
        Effect.mapError((): Unavailable => "Unreachable"),
        Effect.filterOrFail(isAnswer, ({ status }) => (notThere.has(status) ? "NotFound" : "BadResponse")),
        Effect.flatMap((response) =>
          Effect.map(Effect.flatMap(readText(response, maxBytes), decode(schema)), (value) => ({
            value,
            headers: response.headers
          }))
        ),
        Effect.scoped,
        Effect.provideService(FetchHttpClient.RequestInit, requestInit)
      )
  }
  return reader
})

/** How servers, and the gateways before them, answer for what they do not have. */
const notThere: ReadonlySet<number> = new Set([400, 403, 404, 405, 410])

/** Where a `fetch` followed a redirect all the same, the answer's URL is not the request's. */
const isAnswer = (response: HttpClientResponse): boolean => {
  const asked = Option.getOrUndefined(HttpClientRequest.toUrl(response.request))
  if (asked !== undefined) asked.hash = ""
  return response.status === 200 && (response.url === "" || response.url === asked?.href)
}

const readText = (response: HttpClientResponse, maxBytes: number): Effect.Effect<string, Unavailable> => {
  if (Number(response.headers["content-length"] ?? 0) > maxBytes) return Effect.fail("BadResponse")
  // A byte order mark is kept for the JSON parser to refuse (RFC 8259 §8.1).
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
  let length = 0
  return response.stream.pipe(
    Stream.mapError((): Unavailable => "Unreachable"),
    // Counted after any content coding is undone: a small answer may unfold.
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

const decoded = (decode: () => string) => Effect.try({ try: decode, catch: (): Unavailable => "BadResponse" })

const decode = <A>(schema: Schema.Decoder<A>) => {
  const parse = Schema.decodeUnknownEffect(Schema.fromJsonString(schema))
  return (text: string): Effect.Effect<A, Unavailable> => Effect.mapError(parse(text), (): Unavailable => "BadResponse")
}
