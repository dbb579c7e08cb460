/** `client.ts` without security: what Effect alone costs. */
import * as Effect from "effect/Effect"
import { FetchHttpClient } from "effect/http"
import { HttpApi, HttpApiClient, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import * as Schema from "effect/Schema"

const Api = HttpApi.make("api").add(
  HttpApiGroup.make("items").add(HttpApiEndpoint.get("list", "/items", { success: Schema.Array(Schema.String) }))
)

export const list = HttpApiClient.make(Api, { baseUrl: "/" }).pipe(
  Effect.flatMap((client) => client.items.list()),
  Effect.provide(FetchHttpClient.layer),
  Effect.runPromise
)
