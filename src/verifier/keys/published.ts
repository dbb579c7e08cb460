/** Fetches a key set from its URL (RFC 7517 §5). */
import * as Effect from "effect/Effect"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Schema from "effect/Schema"
import { parse, type Reader, statusIsBad, type Unavailable } from "../authorizationServer/http.ts"
import { type Bounds, freshFor } from "./cacheControl.ts"

const readKeys = parse(Schema.Struct({ keys: Schema.Array(Schema.Unknown) }))

export interface Published {
  readonly keys: ReadonlyArray<unknown>
  /** Milliseconds. */
  readonly freshFor: number
}

export const fetchKeys = (reader: Reader, url: URL, bounds: Bounds): Effect.Effect<Published, Unavailable> =>
  reader(HttpClientRequest.get(url, { acceptJson: true })).pipe(
    Effect.mapError(statusIsBad),
    Effect.flatMap((answer) =>
      Effect.map(readKeys(answer), ({ keys }) => ({ keys, freshFor: freshFor(answer.headers, bounds) }))
    )
  )
