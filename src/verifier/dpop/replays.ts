/** Remembers used proofs, in memory or in a `ReplayStore`. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { readInstant } from "../../core/lib/instant.ts"
import { AuthorizationServerUnavailable } from "../../core/SecurityError.ts"
import { ReplayMemory } from "../../stores/replayMemory.ts"
import type { StoreUnavailable } from "../../stores/storeUnavailable.ts"
import type { Replays } from "./checker.ts"
import type { Sha256 } from "./sha256.ts"

/** A `ReplayStore`. */
interface Store {
  readonly addOnce: (key: string, timeToLive: Duration.Duration) => Effect.Effect<boolean, StoreUnavailable>
}

const capacity = 100_000

/** The part of one key: more than 200 requests per second for 90 seconds, the lifetime of a proof by default. */
const capacityOfKey = 20_000

const full = (): AuthorizationServerUnavailable =>
  new AuthorizationServerUnavailable({ reason: "StoreUnavailable", retryAfter: Duration.seconds(1) })

/** Remembers used proofs in the memory of this process. A full store refuses proofs, because it must not forget one. */
export const inMemory = (hash: Sha256, total = capacity, ofKey = capacityOfKey): Replays => {
  const store = new ReplayMemory(total, ofKey)
  return {
    store,
    addOnce: (thumbprint, id, millis, clock) =>
      Effect.flatMapEager(hash(JSON.stringify([thumbprint, id])), (key) => {
        const isNew = store.addOnce(key, millis, readInstant(clock), thumbprint)
        return isNew === undefined ? Effect.fail(full()) : Exit.succeed(isNew)
      })
  }
}

/** Remembers used proofs in a store that several processes may share. */
export const inStore = (store: Store): Replays => ({
  store,
  addOnce: (thumbprint, id, millis) =>
    Effect.mapError(
      store.addOnce(JSON.stringify(["dpop", thumbprint, id]), Duration.millis(millis)),
      ({ retryAfter }) => new AuthorizationServerUnavailable({ reason: "StoreUnavailable", retryAfter })
    )
})
