/** Defines what a list of revocations needs from Redis or from a database. */
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Entry } from "./revocationEntry.ts"

export interface Page {
  readonly entries: ReadonlyArray<Entry>
  /** `undefined` after the last page. */
  readonly next: string | undefined
}

export interface Backend {
  /** Adds an entry, changes the mark, and then notifies the other processes. */
  readonly write: (entry: Entry) => Effect.Effect<void, unknown>
  /** Returns the values of entries. Fails if the server is a replica, because its data may be old. */
  readonly find: (ids: ReadonlyArray<string>) => Effect.Effect<ReadonlyArray<string | undefined>, unknown>
  /** Deletes expired entries, and returns a text that differs after every change of the list. */
  readonly mark: Effect.Effect<string | undefined, unknown>
  readonly page: (cursor: string | undefined) => Effect.Effect<Page, unknown>
  /** Waits for notifications. Ends only with an error. `undefined` if the backend has no notifications. */
  readonly notifications: ((onEntry: (entry: Entry) => void) => Effect.Effect<never, unknown, Scope.Scope>) | undefined
}
