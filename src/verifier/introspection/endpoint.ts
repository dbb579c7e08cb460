/** Discovers the introspection endpoint once, and again if the endpoint has moved. */
import * as Effect from "effect/Effect"
import type { Failure } from "../authorizationServer/failure.ts"
import { elapsed, type Instant, readInstant } from "../../core/lib/instant.ts"
import { joining, Shared } from "../cache/shared.ts"

/** Minimum time between two discoveries of a moved endpoint, in milliseconds. */
const rediscoverAfter = 60_000

/**
 * Pause after failed discovery, in milliseconds. No token causes such a failure, so the pause applies to all tokens.
 */
const coolDown = 1000

const isMoved = ({ status }: Failure): boolean =>
  status === 404 || status === 405 || status === 410 || (status !== undefined && status >= 300 && status < 400)

export class Endpoint {
  readonly #find: Effect.Effect<URL, Failure>
  #found: { readonly url: URL; readonly at: Instant } | undefined
  #failed: { readonly reason: Failure; readonly at: Instant } | undefined
  #isDoubted = false

  constructor(discover: Effect.Effect<URL, Failure>, isIsolated: boolean) {
    this.#find = new Shared(
      Effect.clockWith((clock) =>
        Effect.matchEffect(discover, {
          onFailure: (reason) => {
            this.#failed = { reason, at: readInstant(clock) }
            return Effect.fail(reason)
          },
          onSuccess: (url) => {
            this.#found = { url, at: readInstant(clock) }
            this.#isDoubted = false
            return Effect.succeed(url)
          }
        })
      ),
      { ...joining, isIsolated }
    ).outcome
  }

  readonly url: Effect.Effect<URL, Failure> = Effect.clockWith((clock) => {
    if (this.#found === undefined) {
      return this.#failed !== undefined && elapsed(this.#failed.at, readInstant(clock)) < coolDown
        ? Effect.fail(this.#failed.reason)
        : this.#find
    }
    const { at, url } = this.#found
    if (!this.#isDoubted || elapsed(at, readInstant(clock)) < rediscoverAfter) return Effect.succeed(url)
    this.#found = { url, at: readInstant(clock) }
    return Effect.orElseSucceed(this.#find, () => url)
  })

  /** Starts a new discovery with a later token if the endpoint responded with a status such as 404. */
  doubt(failure: Failure): void {
    if (isMoved(failure)) this.#isDoubted = true
  }
}
