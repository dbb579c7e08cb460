/** Finds the user's own response to an error. */
import type { Renderers } from "../Challenge.ts"
import type { SecurityError } from "../SecurityError.ts"

/** Safe cast: the renderer under the tag of an error takes that error. A renderer may return anything, whatever its type says. */
export const rendererOf = (
  renderers: Renderers,
  { _tag }: SecurityError
): ((error: SecurityError) => unknown) | undefined =>
  (Object.hasOwn(renderers, _tag) ? renderers[_tag] : undefined) as ((error: SecurityError) => unknown) | undefined
