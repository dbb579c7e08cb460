/** Caches the URL of the keys between failed fetches, so that a slow issuer makes progress with each fetch. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { Failure } from "../authorizationServer/failure.ts"
import { elapsed, type Instant, readInstant } from "../../core/lib/instant.ts"

/**
 * How long the URL is cached, in milliseconds. After this time, the metadata is read again, because the issuer may have
 * moved its keys to a reachable host.
 */
const cachedFor = 60_000

export class DiscoveredUrl {
  #found: { readonly url: URL; readonly at: Instant } | undefined

  /** Returns the cached URL. If there is none, runs the discovery and caches its URL. */
  getOr<E>(discovery: Effect.Effect<URL, E>): Effect.Effect<URL, E> {
    return Clock.clockWith((clock) => {
      if (this.#found !== undefined && elapsed(this.#found.at, readInstant(clock)) < cachedFor) {
        return Effect.succeed(this.#found.url)
      }
      return Effect.tap(discovery, (url) =>
        Effect.sync(() => {
          this.#found = { url, at: readInstant(clock) }
        })
      )
    })
  }

  /** Runs a fetch from the URL. Forgets the URL unless the fetch got no response. */
  forget<A>(fetch: Effect.Effect<A, Failure>): Effect.Effect<A, Failure> {
    const forget = Effect.sync(() => {
      this.#found = undefined
    })
    return fetch.pipe(
      Effect.tap(() => forget),
      Effect.tapError(({ reason }) => (reason === "Timeout" || reason === "Unreachable" ? Effect.void : forget))
    )
  }
}
