/** Fetches a key set from its URL (RFC 7517 §5). */
import * as Effect from "effect/Effect"
import { Failure } from "../authorizationServer/failure.ts"
import { readDocument, type Reader } from "../authorizationServer/http.ts"
import { type FreshnessBounds, freshFor } from "./cacheControl.ts"

export interface Published {
  readonly keys: ReadonlyArray<unknown>
  /** Milliseconds. */
  readonly freshFor: number
  readonly url: URL
}

// Some servers have only one of the two media types (RFC 7517 §8.5.2), and respond with 406 to a request for the other.
const mediaTypes = "application/jwk-set+json, application/json"

export const fetchKeys = (reader: Reader, url: URL, bounds: FreshnessBounds): Effect.Effect<Published, Failure> =>
  Effect.flatMap(readDocument(reader, "key set", url, mediaTypes), ({ headers, json: { keys } }) =>
    Array.isArray(keys)
      ? Effect.succeed({ keys, freshFor: freshFor(headers, bounds), url })
      : Effect.fail(new Failure("BadResponse", { detail: "it has no list of keys" }).of("key set", url))
  )
