/**
 * What an adapter for sessions on the server implements. It stores hashes and sealed text only. `serverSide.ts` adds
 * cookies, encryption, time-outs and the rules of logout.
 */
import type * as Effect from "effect/Effect"
import type { Lock, Times } from "../../stores/lock.ts"
import type { StoreUnavailable } from "../../stores/storeUnavailable.ts"

/** A session in a store. Times are milliseconds since 1970. */
export interface SessionRecord {
  readonly version: number
  /** The data of the session, encrypted. */
  readonly sealed: string
  /** Hashes of the issuer with the user, and with the session at the issuer. */
  readonly owners: ReadonlyArray<string>
  readonly createdAt: number
  readonly lastUsedAt: number
  readonly expiresAt: number
}

export interface SessionBackend extends Lock {
  /** Adds a session under a new key. The store may delete it after `timeToLive` milliseconds. */
  readonly insert: (key: string, record: SessionRecord, timeToLive: number) => Effect.Effect<void, StoreUnavailable>
  readonly find: (key: string) => Effect.Effect<SessionRecord | undefined, StoreUnavailable>
  /** Changes `lastUsedAt` of a session that exists. Does nothing to one that was removed. */
  readonly touch: (key: string, lastUsedAt: number, timeToLive: number) => Effect.Effect<void, StoreUnavailable>
  /**
   * Changes `sealed`, and adds 1 to the version, if the session exists and has this version. Returns whether it did.
   */
  readonly replace: (key: string, version: number, sealed: string) => Effect.Effect<boolean, StoreUnavailable>
  /** Removes a session. With a version, only if the session has this version. Returns `true` if it was removed. */
  readonly remove: (key: string, version?: number) => Effect.Effect<boolean, StoreUnavailable>
  /** Removes the sessions of an owner, and returns the keys of those that had not ended. */
  readonly removeOwned: (owner: string) => Effect.Effect<ReadonlyArray<string>, StoreUnavailable>
  /** Adds a key for a time. Returns `false` if it was added before and has not ended. */
  readonly addOnce: (key: string, timeToLive: number) => Effect.Effect<boolean, StoreUnavailable>
  /** Remembers for a time when the issuer signed an owner out. */
  readonly mark: (owner: string, at: number, timeToLive: number) => Effect.Effect<void, StoreUnavailable>
  /** Returns the latest time of `mark`, unless it has ended. */
  readonly findMark: (owner: string) => Effect.Effect<number | undefined, StoreUnavailable>
}

/** Longer than a refresh may pause. A crashed process delays the refresh of one session by this time. */
export const lockTimes: Times = { timeToLive: 10_000, maxWait: 15_000 }
