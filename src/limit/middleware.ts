/** Refuses requests of clients with too many failed authentications. */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import type * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import type { RateLimiter } from "effect/persistence/RateLimiter"
import { AccessToken } from "../core/AccessToken.ts"
import { delaySeconds } from "../core/answer.ts"
import * as counter from "../core/lib/counter.ts"
import type { ConfigurationError } from "../core/SecurityError.ts"
import { noteOperation } from "../guard/middleware/routeRecorder.ts"
import { FailedAttempts } from "../guard/scheme/failedAttempts.ts"
import { networkOf } from "./address.ts"
import { Blocked } from "./blocked.ts"
import type { CheckedOptions } from "./options.ts"
import { response } from "./response.ts"

const total = Metric.counter("oauth2_failure_limit_total", {
  description: "Failed authentications that count, and refused requests, by outcome: Counted, Uncounted, Refused",
  incremental: true
})

/** A limiter, and its keys. */
export interface Counter {
  readonly limiter: RateLimiter
  /** Returns the key of a client, or `undefined` if its failures cannot be counted now. */
  readonly keyOf: (client: string, now: number) => Effect.Effect<string | undefined>
  /** Runs a command of the limiter. */
  readonly run: <A>(command: Effect.Effect<A, unknown>) => Effect.Effect<A, unknown>
}

/** What counts the failures. The first counter that answers counts a failure. */
export interface Counting {
  readonly options: CheckedOptions
  readonly counters: ReadonlyArray<Counter>
}

const isInside =
  "FailureLimit runs inside a requirement, so it sees no refused request. Provide the layer after the requirement: routes.pipe(auth.require(…), Layer.provide(limit))."

const detail = "Too many failed authentications"

const refuse = (millis: number): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.jsonUnsafe(
    { detail },
    { status: 429, headers: { "retry-after": delaySeconds(Duration.millis(millis)), "cache-control": "no-store" } }
  )

export const layer = <E, R>(
  make: Effect.Effect<Counting, ConfigurationError | E, R>
): Layer.Layer<never, ConfigurationError | E, R> =>
  HttpRouter.middleware(
    Effect.gen(function* () {
      const { counters, options } = yield* make
      const context = yield* Effect.context<never>()
      const blocked = new Blocked(options.capacity)
      const counts = (outcome: string) => counter.make(total, { outcome }, context)
      const [counted, uncounted, refused] = [counts("Counted"), counts("Uncounted"), counts("Refused")]

      const consume = (limiter: RateLimiter, key: string) =>
        limiter.consume({ key: `failed:v1:{${key}}`, limit: options.limit, window: options.window }).pipe(
          Effect.map(({ remaining, resetAfter }) => (remaining > 0 ? undefined : resetAfter)),
          Effect.catch((error) =>
            error.reason._tag === "RateLimitExceeded" ? Effect.succeed(error.reason.retryAfter) : Effect.fail(error)
          )
        )

      const notCounted = Effect.sync(() => {
        uncounted.count++
      })

      const countedBy = ({ keyOf, limiter, run }: Counter, client: string, orElse: Effect.Effect<void>) =>
        Effect.clockWith((clock) =>
          Effect.flatMap(keyOf(client, clock.currentTimeMillisUnsafe()), (key) =>
            key === undefined
              ? orElse
              : Effect.matchEffect(run(consume(limiter, key)), {
                  onFailure: () => orElse,
                  onSuccess: (blockedFor) =>
                    Effect.sync(() => {
                      counted.count++
                      if (blockedFor === undefined) return
                      blocked.add(client, clock.currentTimeMillisUnsafe() + Duration.toMillis(blockedFor))
                    })
                })
          )
        )

      /** Counts a failure. A store that does not answer must not make the API unavailable. */
      const failed = (client: string): Effect.Effect<void> =>
        counters.reduceRight<Effect.Effect<void>>((orElse, by) => countedBy(by, client, orElse), notCounted)

      return (handler) => {
        noteOperation({ responses: { "429": response } })
        return Effect.withFiber((fiber) => {
          if (Context.getOrUndefined(fiber.context, AccessToken) !== undefined) return Effect.die(new Error(isInside))
          const { remoteAddress } = Context.getUnsafe(fiber.context, HttpServerRequest.HttpServerRequest)
          if (Option.isNone(remoteAddress)) return handler
          const client = networkOf(remoteAddress.value)
          return Effect.clockWith((clock) => {
            const left = blocked.find(client, clock.currentTimeMillisUnsafe())
            if (left === undefined) return Effect.provideService(handler, FailedAttempts, failed(client))
            refused.count++
            return Effect.succeed(refuse(left))
          })
        })
      }
    })
  ).layer
