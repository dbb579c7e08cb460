/** The time-outs of sessions. */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { toMillis } from "../../core/duration.ts"
import { refuseOption } from "../../core/refuseOption.ts"

/**
 * Time-outs of sessions.
 *
 * @category models
 * @since 0.1.0
 */
export interface TimeoutOptions {
  /** Time without a request after which a session ends, at least 2 minutes. Default: 1 day. */
  readonly idleTimeout?: Duration.Input
  /** Time from the sign-in after which a session ends. Default: 7 days. */
  readonly absoluteTimeout?: Duration.Input
}

export interface Timeouts {
  readonly idle: number
  readonly absolute: number
}

const day = 86_400_000
// The last use is known with an accuracy of 1 minute.
const shortest = 120_000

export const readTimeouts = Effect.fnUntraced(function* (options: TimeoutOptions) {
  const idle = toMillis(options.idleTimeout ?? "1 day")
  const absolute = toMillis(options.absoluteTimeout ?? "7 days")
  for (const [option, millis] of [
    ["idleTimeout", idle],
    ["absoluteTimeout", absolute]
  ] as const) {
    if (!(millis >= shortest && millis <= 400 * day)) {
      return yield* refuseOption(option, 'must be a duration between 2 minutes and 400 days, such as "8 hours"')
    }
  }
  const timeouts: Timeouts = { idle, absolute }
  return timeouts
})
