/** Finds the user's own response to an error, and runs it. */
import * as Effect from "effect/Effect"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import type { ErrorFields } from "./answer.ts"

/**
 * Result of a renderer: a response, or an effect of a response. The effect can use the request, which is
 * `HttpServerRequest`.
 *
 * @category models
 * @since 0.1.0
 */
export type Rendered =
  | HttpServerResponse.HttpServerResponse
  | Effect.Effect<HttpServerResponse.HttpServerResponse, unknown, HttpServerRequest>

/** `Challenge.Renderers`, which take the errors themselves. */
export type Renderers = {
  readonly [Tag in ErrorFields["_tag"]]?: (error: never, request: HttpServerRequest | undefined) => Rendered
}

/** A renderer may return anything, whatever its type says. */
export type Renderer = (error: ErrorFields, request: HttpServerRequest | undefined) => unknown

/** Safe cast: the renderer under the tag of an error takes that error. */
export const rendererOf = (renderers: Renderers, { _tag }: ErrorFields): Renderer | undefined =>
  (Object.hasOwn(renderers, _tag) ? renderers[_tag] : undefined) as Renderer | undefined

// A request waits no longer for a renderer. Otherwise, refused requests could pile up.
const maxDuration = "5 seconds"

const withinTime = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.timeoutOrElse(self, {
    duration: maxDuration,
    orElse: () => Effect.die(new Error(`The renderer took longer than ${maxDuration}.`))
  })

/** Runs a renderer. Fails or dies if the renderer does, takes too long, or returns no response. */
export const render = (
  renderer: Renderer,
  error: ErrorFields,
  request: HttpServerRequest | undefined
): Effect.Effect<HttpServerResponse.HttpServerResponse, unknown> =>
  Effect.flatMap(
    Effect.suspend((): Effect.Effect<unknown, unknown> => {
      const rendered = renderer(error, request)
      if (!Effect.isEffect(rendered)) return Effect.succeed(rendered)
      // Safe cast: the type of a renderer allows only the services of a request. Without a request, the effect dies.
      return withinTime(rendered as Effect.Effect<unknown, unknown>)
    }),
    (response) =>
      HttpServerResponse.isHttpServerResponse(response)
        ? Effect.succeed(response)
        : Effect.die(new TypeError("A renderer must return an HttpServerResponse, or an Effect of one."))
  )
