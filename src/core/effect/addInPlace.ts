/** Adds services to a context without creating a new context for each service. */
import * as Context from "effect/Context"

interface Overlay {
  readonly key: string
  readonly value: unknown
  readonly parent: Overlay | undefined
}

/**
 * Adds a service to a context that the caller has created with `Context.add` and not shared yet.
 *
 * `Context.add` creates a new context for each service, and after eight services copies the whole map. For one request
 * this costs more than its authorization. Effect 4 stores added services as a list (`overlay`) on top of a map, so this
 * function extends that list. It falls back to `Context.addUnsafe` if the context has another shape or its map was
 * read.
 *
 * Do not add a reference that fibers cache (`fiberCached`): Effect must notice when such a reference is added.
 */
export const addInPlace = (
  own: Context.Context<never> & { overlay?: Overlay | undefined; readonly _flat?: unknown },
  key: string,
  value: unknown
): Context.Context<never> => {
  const { overlay } = own
  if (overlay === undefined || own._flat !== undefined) return Context.addUnsafe<never, never, unknown>(own, key, value)
  own.overlay = { key, value, parent: overlay }
  return own
}
