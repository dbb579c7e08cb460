/** Says if requests must not share what holds I/O. */
import * as Context from "effect/Context"

export interface Isolation {
  /** Keeps a request's context until a promise settles. */
  readonly waitUntil: ((promise: Promise<unknown>) => void) | undefined
}

const isWorker = (): boolean => globalThis.navigator?.userAgent === "Cloudflare-Workers"

/**
 * Cloudflare Workers cancel a request that waits for an operation of another request. They also drop the I/O and the
 * timers of a request after its response.
 */
export const RequestIsolation = Context.Reference<Isolation | undefined>("effect-oauth2/RequestIsolation", {
  defaultValue: () => (isWorker() ? { waitUntil: undefined } : undefined)
})
