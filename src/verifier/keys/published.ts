/** Fetches a key set from its URL (RFC 7517 §5). */
import * as Effect from "effect/Effect"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import { parse, type Reader, statusIsBad, type Unavailable } from "../authorizationServer/http.ts"
import { type Bounds, freshFor } from "./cacheControl.ts"

export interface Published {
  readonly keys: ReadonlyArray<unknown>
  /** Milliseconds. */
  readonly freshFor: number
}

export const fetchKeys = (reader: Reader, url: URL, bounds: Bounds): Effect.Effect<Published, Unavailable> =>
  reader(HttpClientRequest.get(url, { acceptJson: true })).pipe(
    Effect.mapError(statusIsBad),
    Effect.flatMap((answer) =>
      Effect.flatMap(parse(answer), ({ keys }): Effect.Effect<Published, Unavailable> =>
        Array.isArray(keys)
          ? Effect.succeed({ keys, freshFor: freshFor(answer.headers, bounds) })
          : Effect.fail("BadResponse")
      )
    )
  )
