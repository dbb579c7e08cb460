/** Finds the user's own response to an error. */
import type * as HttpServerResponse from "effect/http/HttpServerResponse"
import type { ErrorFields } from "./answer.ts"

/** `Challenge.Renderers`, which take the errors themselves. */
export type Renderers = {
  readonly [Tag in ErrorFields["_tag"]]?: (error: never) => HttpServerResponse.HttpServerResponse
}

/**
 * Safe cast: the renderer under the tag of an error takes that error. A renderer may return anything, whatever its type
 * says.
 */
export const rendererOf = (
  renderers: Renderers,
  { _tag }: ErrorFields
): ((error: ErrorFields) => unknown) | undefined =>
  (Object.hasOwn(renderers, _tag) ? renderers[_tag] : undefined) as ((error: ErrorFields) => unknown) | undefined
