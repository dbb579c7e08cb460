/**
 * Says that a request must not wait for I/O of another request, as on Cloudflare Workers.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"

/**
 * Isolation of requests.
 *
 * @category models
 * @since 0.1.0
 */
export interface Isolation {
  /**
   * Function of the runtime that lets a promise settle after the response is sent. With it, keys are refreshed before
   * they expire. Without it, the first request after they expire fetches them.
   *
   * @default none
   */
  readonly waitUntil?: (promise: Promise<unknown>) => void
}

const isWorker = (): boolean => globalThis.navigator?.userAgent === "Cloudflare-Workers"

/**
 * Reference that isolates requests. Default: `{}` on Cloudflare Workers, `undefined` elsewhere.
 *
 * **When to use**
 *
 * Use on Cloudflare Workers to pass `waitUntil`, and on other runtimes that cancel the I/O of a request when its
 * response is sent. Provide it to the layer of the verifier.
 *
 * **Details**
 *
 * | between requests | with isolation | without |
 * |---|---|---|
 * | keys, metadata and verified tokens that are available | shared | shared |
 * | a fetch of keys in progress | each request checks for its end with its own timers, and fetches itself if it stops | shared |
 * | a verification or an introspection in progress | each request runs its own | shared by requests with the same token |
 * | refresh of keys before they expire | only with `waitUntil` | in the background |
 *
 * Cloudflare Workers cancel a request that waits for I/O of another request. They also stop the I/O and the timers of a
 * request when its response is sent, unless `waitUntil` has a promise.
 *
 * **Gotchas**
 *
 * `KeySet.refresh` needs an HTTP request if requests are isolated. Do not run it at start-up.
 *
 * **Example** (Refreshing keys in the background on Cloudflare Workers)
 *
 * ```ts
 * import { waitUntil } from "cloudflare:workers"
 * import { Layer } from "effect"
 * import { FetchHttpClient } from "effect/http"
 * import { JwtVerifier, RequestIsolation } from "effect-oauth2"
 *
 * export const Verifier = JwtVerifier.layer({
 *   issuer: "https://idp.example.com",
 *   audience: "https://api.example.com"
 * }).pipe(Layer.provide([FetchHttpClient.layer, Layer.succeed(RequestIsolation, { waitUntil })]))
 * ```
 *
 * @category references
 * @since 0.1.0
 */
export class RequestIsolation extends Context.Reference<Isolation | undefined>("effect-oauth2/RequestIsolation", {
  defaultValue: () => (isWorker() ? {} : undefined)
}) {}
