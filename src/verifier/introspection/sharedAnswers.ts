/** Shares accepted introspection responses between the processes of a fleet. */
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import type * as Persistence from "effect/persistence/Persistence"
import * as counter from "../../core/lib/counter.ts"
import { own } from "../../core/lib/ownProperties.ts"
import type { Commands } from "../../stores/commands.ts"
import * as hash from "../../stores/hash.ts"
import type { StoreUnavailable } from "../../stores/storeUnavailable.ts"
import type { Rejection } from "../cache/verified.ts"
import type { Claims } from "../claims/policy.ts"
import { parseText } from "../claims/strictJson.ts"
import type { Answer, SharedAnswers } from "./verify.ts"

const lookups = Metric.counter("oauth2_shared_introspection_total", {
  description: "Lookups of shared introspection responses, by outcome: hit, miss",
  incremental: true
})

/** How far the clocks of two processes may differ, in milliseconds. */
const maxSkew = 60_000

/** How long one process alone may ask the authorization server for a token. */
const lockTime = Duration.seconds(1)

/** Pauses before a process that waits for another process looks for the response, in milliseconds. */
const pauses = [20, 60, 120]

/** What a fleet shares. */
export interface Sharing {
  readonly store: Persistence.BackingPersistenceStore
  readonly commands: Commands
  /** Returns `true` for the first process that asks about a token. */
  readonly addOnce: (key: string, timeToLive: Duration.Duration) => Effect.Effect<boolean, StoreUnavailable>
  /** Identifies the issuer, the audience, the endpoint, the client and the format. Others use no response of this verifier. */
  readonly verifier: string
  /** How long a response is used, in milliseconds. */
  readonly freshFor: number
  readonly context: Context.Context<never>
}

const keyOf = (verifier: string, token: string): Effect.Effect<string> =>
  Effect.map(hash.of("intro", verifier, token), (hash) => `{${hash}}`)

/** Reads what another process has stored. A wrong format counts as absent, so the source is asked. */
const decode = (value: object | undefined, freshFor: number, now: number): Answer | undefined => {
  const [askedAt, text] = [own(value, "askedAt"), own(value, "response")]
  if (typeof askedAt !== "number" || typeof text !== "string") return
  const validUntil = askedAt + freshFor
  if (!(now < validUntil && askedAt <= now + maxSkew)) return
  const response = parseText(text)
  return response?.["active"] === true ? { response, askedAt, validUntil } : undefined
}

export const make = ({ addOnce, commands, context, freshFor, store, verifier }: Sharing): SharedAnswers => {
  const hits = counter.make(lookups, { outcome: "hit" }, context)
  const misses = counter.make(lookups, { outcome: "miss" }, context)

  // The store is a cache and no authority: without it, the authorization server is asked.
  const find = (key: string): Effect.Effect<Answer | undefined> =>
    Effect.clockWith((clock) =>
      Effect.match(commands.run(store.get(key)), {
        onFailure: () => undefined,
        onSuccess: (value) => decode(value, freshFor, clock.currentTimeMillisUnsafe())
      })
    )

  const findLater = (key: string): Effect.Effect<Answer | undefined> =>
    pauses.reduceRight<Effect.Effect<Answer | undefined>>(
      (later, pause) =>
        Effect.andThen(
          Effect.sleep(Duration.millis(pause)),
          Effect.flatMap(find(key), (found) => (found === undefined ? later : Effect.succeed(found)))
        ),
      Effect.succeed(undefined)
    )

  const asked = (ask: Effect.Effect<Claims, Rejection>): Effect.Effect<Answer, Rejection> =>
    Effect.clockWith((clock) => {
      const askedAt = clock.currentTimeMillisUnsafe()
      misses.count++
      return Effect.map(ask, (response) => ({ response, askedAt, validUntil: askedAt + freshFor }))
    })

  const hit = (answer: Answer): Effect.Effect<Answer> => {
    hits.count++
    return Effect.succeed(answer)
  }

  return {
    find: (token, ask) =>
      Effect.flatMap(keyOf(verifier, token), (key) =>
        Effect.flatMap(find(key), (found) => {
          if (found !== undefined) return hit(found)
          return Effect.flatMap(
            Effect.orElseSucceed(addOnce(`${verifier} ${key}`, lockTime), () => true),
            (isFirst) =>
              isFirst
                ? asked(ask)
                : // The first process may have failed, or its token was refused. Refusals are not shared.
                  Effect.flatMap(findLater(key), (found) => (found === undefined ? asked(ask) : hit(found)))
          )
        })
      ),
    add: (token, { askedAt, response, validUntil }, expiresAt) =>
      Effect.clockWith((clock) => {
        const left = Math.min(validUntil, expiresAt) - clock.currentTimeMillisUnsafe()
        if (!(left >= 1)) return Effect.void
        const value = { askedAt, response: JSON.stringify(response) }
        // Some servers repeat the token in the response, for example as its jti. The store must contain no token.
        if (value.response.includes(token)) return Effect.void
        return Effect.flatMap(keyOf(verifier, token), (key) =>
          Effect.ignore(commands.run(store.set(key, value, Duration.millis(left))))
        )
      })
  }
}

/** Removes a response, so the next request of any process asks the authorization server. */
export const remove = ({ commands, store, verifier }: Sharing, token: string): Effect.Effect<void, StoreUnavailable> =>
  Effect.flatMap(keyOf(verifier, token), (key) => commands.run(store.remove(key)))
