/**
 * Key of the `ReplayStore` in a context. `Dpop` reads the store with the key, and need not load the layers of
 * `ReplayStore`, which load the services for Redis and SQL of Effect.
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type { StoreUnavailable } from "./storeUnavailable.ts"

export const key = "effect-oauth2/ReplayStore"

/** The service of `ReplayStore`. */
export interface ReplayService {
  readonly addOnce: (key: string, timeToLive: Duration.Duration) => Effect.Effect<boolean, StoreUnavailable>
}

export const replayStoreIn = (context: Context.Context<never>): ReplayService | undefined =>
  Context.getOrUndefined(context, Context.Service<unknown, ReplayService>(key))
