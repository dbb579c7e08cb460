/** Adds services to a context without making a new one for each. */
import * as Context from "effect/Context"

interface Overlay {
  readonly key: string
  readonly value: unknown
  readonly parent: Overlay | undefined
}

/**
 * Adds a service to a context that is the caller's own, just made by `Context.add`.
 *
 * Effect makes a new context for each service that is added, and after eight of them copies all that the context has. For the services of a request this
 * takes longer than to decide about it, so here they are added to the one context, in the way that Effect 4 keeps them: as a list on top of a map. A
 * context that looks different from inside, or has been read as a whole, is added to as everywhere. Not for a reference that fibers keep a copy of
 * (`fiberCached`): of these Effect notes when they are added.
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
