/** Where the authorization server is asked about tokens: found once, and looked for again where it is there no longer. */
import * as Effect from "effect/Effect"
import type { Status, Unavailable } from "../authorizationServer/http.ts"
import { elapsed, type Instant, readInstant } from "../../core/lib/instant.ts"
import { Shared } from "../cache/shared.ts"

const lookAgainAfter = 60_000

/** Pause after metadata that could not be read, in milliseconds. No token causes such a failure, so the pause holds for all tokens. */
const coolDown = 1000

const moved = ({ status }: Status): boolean =>
  status === 404 || status === 405 || status === 410 || (status >= 300 && status < 400)

export class Endpoint {
  readonly #find: Effect.Effect<URL, Unavailable | Status>
  #found: { readonly url: URL; readonly at: Instant } | undefined
  #failed: { readonly reason: Unavailable | Status; readonly at: Instant } | undefined
  #isDoubted = false

  constructor(discover: Effect.Effect<URL, Unavailable | Status>) {
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
      )
    ).outcome
  }

  readonly url: Effect.Effect<URL, Unavailable | Status> = Effect.clockWith((clock) => {
    if (this.#found === undefined) {
      return this.#failed !== undefined && elapsed(this.#failed.at, readInstant(clock)) < coolDown
        ? Effect.fail(this.#failed.reason)
        : this.#find
    }
    const { at, url } = this.#found
    if (!this.#isDoubted || elapsed(at, readInstant(clock)) < lookAgainAfter) return Effect.succeed(url)
    this.#found = { url, at: readInstant(clock) }
    return Effect.orElseSucceed(this.#find, () => url)
  })

  /** It answered with this status there. */
  doubt(status: Status): void {
    if (moved(status)) this.#isDoubted = true
  }
}
