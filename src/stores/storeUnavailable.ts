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
 * @category errors
 * @since 0.2.0
 */
export class StoreUnavailable extends Data.TaggedError("StoreUnavailable")<{
  /** The kind of store. */
  readonly store: "ReplayStore" | "Revocations" | "SessionStore" | "SharedIntrospection"
  readonly reason: "Timeout" | "Unreachable" | "ReadOnly" | "OutOfMemory" | "Full" | "Stale"
  /** The time until a retry makes sense. */
  readonly retryAfter: Duration.Duration
}> {
  override get message(): string {
    return `The ${this.store} is unavailable: ${this.reason} (retry after ${Duration.format(this.retryAfter)})`
  }
}
