/** Marks routes that the library itself serves. */
import type * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import type * as HttpServerResponse from "effect/http/HttpServerResponse"
import type * as Types from "effect/Types"
import { registerMarker } from "./placement.ts"
import * as routeRecorder from "./routeRecorder.ts"

/** Marks the routes as public, and leaves them out of OpenAPI documents. */
export const unlisted = HttpRouter.middleware(
  registerMarker((handler: Effect.Effect<HttpServerResponse.HttpServerResponse, Types.unhandled>) => {
    routeRecorder.notePublic()
    routeRecorder.noteOperation(undefined)
    return handler
  })
).layer
