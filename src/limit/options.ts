/** Defines the options of `FailureLimit`, and checks them. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { toMillis } from "../core/duration.ts"
import { refuseOption } from "../core/refuseOption.ts"
import type { ConfigurationError } from "../core/SecurityError.ts"

/**
 * Options for every limit.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Failed authentications that a client may have in each `window`. From 1 to 1 000 000. @default 20 */
  readonly limit?: number
  /** Time in which the failures count. From 1 second to 24 hours. @default "1 minute" */
  readonly window?: Duration.Input
  /**
   * Number of clients that a process remembers. An entry takes about 200 bytes. If more clients fail in one `window`, the
   * failures of the others do not count. From 1 to 10 000 000.
   *
   * @default 10000
   */
  readonly capacity?: number
}

export interface CheckedOptions {
  readonly limit: number
  readonly window: Duration.Duration
  readonly capacity: number
}

const isWhole = (value: number, most: number): boolean => Number.isSafeInteger(value) && value >= 1 && value <= most

export const check = Effect.fnUntraced(function* ({
  capacity = 10_000,
  limit = 20,
  window = "1 minute"
}: Options): Effect.fn.Return<CheckedOptions, ConfigurationError> {
  if (!isWhole(limit, 1_000_000)) return yield* refuseOption("limit", "must be a whole number between 1 and 1000000")
  if (!isWhole(capacity, 10_000_000)) {
    return yield* refuseOption("capacity", "must be a whole number of clients between 1 and 10000000")
  }
  const millis = toMillis(window)
  if (!(millis >= 1000 && millis <= 86_400_000)) {
    return yield* refuseOption("window", 'must be a duration between 1 second and 24 hours, such as "1 minute"')
  }
  return { limit, capacity, window: Duration.millis(millis) }
})
