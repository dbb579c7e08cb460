/** Defines the error of a store that cannot answer. */
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"

/**
 * A shared store cannot answer now.
 *
 * **Details**
 *
 * The error contains no key, no value and no text of the store, so you may log it.
 *
 * | reason | cause |
 * |---|---|
 * | `Timeout` | the store did not answer in time, or did not answer a moment ago |
 * | `Unreachable` | the connection failed, or the store answered with an error |
 * | `ReadOnly` | the server is a replica, so it accepts no writes |
 * | `OutOfMemory` | the server is at its memory limit |
 * | `Full` | the store in memory is at its `capacity` |
 * | `Stale` | the local copy of the store is older than its `maxAge` |
 *
 * **Example** (Refusing a request if the store is unavailable)
 *
 * ```ts
 * import { Duration, Effect } from "effect"
 * import { HttpServerResponse } from "effect/http"
 * import { ReplayStore } from "effect-oauth2/ReplayStore"
 *
 * export const use = (linkId: string) =>
 *   Effect.flatMap(ReplayStore, (store) => store.addOnce(linkId, Duration.minutes(10))).pipe(
 *     Effect.map((isNew) => HttpServerResponse.empty({ status: isNew ? 204 : 409 })),
 *     Effect.catchTag("StoreUnavailable", () => Effect.succeed(HttpServerResponse.empty({ status: 503 })))
 *   )
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class StoreUnavailable extends Data.TaggedError("StoreUnavailable")<{
  /** The kind of store. */
  readonly store: "ReplayStore" | "Revocations" | "SessionStore" | "SharedIntrospection" | "FailureLimit" | "TokenStore"
  readonly reason: "Timeout" | "Unreachable" | "ReadOnly" | "OutOfMemory" | "Full" | "Stale"
  /** The time until a retry makes sense. */
  readonly retryAfter: Duration.Duration
}> {
  override get message(): string {
    return `The ${this.store} is unavailable: ${this.reason} (retry after ${Duration.format(this.retryAfter)})`
  }
}
