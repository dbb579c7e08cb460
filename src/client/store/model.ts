/** The port of a store for one grant. */
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type { TokenStoreError } from "../ClientError.ts"
import type { StoredGrant } from "../protocol/grant.ts"

/**
 * A stored grant with its version. Each write makes another version.
 *
 * @category models
 * @since 0.1.0
 */
export interface VersionedGrant {
  readonly grant: StoredGrant
  /** A text that no other write has. */
  readonly version: string
}

/**
 * The operations of a store for one grant.
 *
 * **Example** (Signing out whatever else runs)
 *
 * ```ts
 * import { Effect } from "effect"
 * import type { Store } from "effect-oauth2/client"
 *
 * export const forget = (store: Store) => store.withLock(store.remove()).pipe(Effect.orDie)
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export interface Store {
  /** Returns the grant, or `None` if the user is not signed in. */
  readonly read: Effect.Effect<Option.Option<VersionedGrant>, TokenStoreError>
  /**
   * Replaces the grant if the stored version is still the expected one, and returns the new version. Returns `None` if
   * another version is stored. `undefined` expects that no grant is stored. The write is atomic: a reader sees the old
   * grant or the new one. Of two writes that expect the same version, one succeeds. In a file, this holds with the lock.
   */
  readonly write: (
    grant: StoredGrant,
    expected: string | undefined
  ) => Effect.Effect<Option.Option<string>, TokenStoreError>
  /**
   * Removes the grant, and returns whether it was stored. With a version, only if this version is stored.
   */
  readonly remove: (version?: string) => Effect.Effect<boolean, TokenStoreError>
  /**
   * Runs an effect while no other fiber and no other process that shares the store runs one. Waiting is interruptible. A
   * lock of a process that has crashed ends after some time.
   */
  readonly withLock: <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E | TokenStoreError, R>
}
