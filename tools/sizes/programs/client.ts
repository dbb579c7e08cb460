/** A browser client of the shared api module. */
import * as Effect from "effect/Effect"
import { FetchHttpClient } from "effect/http"
import { HttpApiClient } from "effect/http-api"
import { Api, auth } from "./api.ts"

export const list = HttpApiClient.make(Api, { baseUrl: "/" }).pipe(
  Effect.flatMap((client) => client.items.list()),
  Effect.provide([FetchHttpClient.layer, auth.client("anonymous")]),
  Effect.runPromise
)
