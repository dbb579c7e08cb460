/** `handler.ts` without security: what Effect alone costs. */
import * as Effect from "effect/Effect"
import { HttpRouter, HttpServerResponse } from "effect/http"

export const { handler } = HttpRouter.toWebHandler(
  HttpRouter.add("GET", "/users/me", Effect.succeed(HttpServerResponse.text("")))
)
