/** Builds the service `Revocations` from a list in memory, in Redis or in a database. */
import type * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import type { VerifiedToken } from "../core/AccessToken.ts"
import { toMillis } from "../core/duration.ts"
import { refuseOption } from "../core/refuseOption.ts"
import { ownProperties } from "../core/lib/ownProperties.ts"
import type { ConfigurationError } from "../core/SecurityError.ts"
import * as counter from "../core/lib/counter.ts"
import * as Metric from "effect/Metric"
import type { Commands } from "./commands.ts"
import type { Backend } from "./revocationBackend.ts"
import * as copies from "./revocationCopy.ts"
import {
  type Entry,
  entryOf,
  identify,
  type Identity,
  idsOf,
  invalidationOf,
  revokes,
  type RevocationsService
} from "./revocationEntry.ts"
import { type Outcome, RevocationList } from "./revocationList.ts"
import { StoreUnavailable } from "./storeUnavailable.ts"

/** Options that every adapter has. */
export interface RevocationOptions {
  /**
   * Longest lifetime of your access tokens. Revocations of a subject or of a session end after this time, so a token
   * that lives longer is accepted again. At most 366 days.
   *
   * @default "1 day"
   */
  readonly maxTokenLifetime?: Duration.Input
}

/** Options of the adapters that several processes share. */
export interface SharedOptions extends RevocationOptions {
  /**
   * The copy of the list that each process keeps, so that a request needs no command. `false` looks up each token in
   * the store instead. Default: a copy with the defaults of its options.
   */
  readonly localCopy?:
    | {
        /**
         * Bound for how late a revocation may be, between 1 second and 1 hour. The process reads changes four times in
         * this period. If the copy is older, requests get 503. Default: 10 seconds.
         */
        readonly maxAge?: Duration.Input
        /** Maximum number of revocations. If the list is longer, requests get 503. Default: 100 000. */
        readonly capacity?: number
      }
    | false
  /**
   * What happens to a token if the store cannot tell whether it is revoked.
   *
   * - `"refuse"`: the request gets 503 with `Retry-After`.
   * - `"acceptRevokedTokens"`: the token is accepted, also if it is revoked. The counter `oauth2_revocation_checks_total`
   *   counts it as `Unchecked`.
   *
   * @default "refuse"
   */
  readonly whenUnavailable?: "refuse" | "acceptRevokedTokens"
}

const checks = Metric.counter("oauth2_revocation_checks_total", {
  description: "Checks of tokens that were not accepted as usual, by outcome: Revoked, Unavailable, Unchecked",
  incremental: true
})

/** What a verifier needs beside the service. */
export interface Checker {
  /** The number of changes of the list. */
  readonly changes: () => number
  /** Returns the identity of a token whose verification began when the list had `since` changes. */
  readonly identify: (token: VerifiedToken, text: string, since: number) => Effect.Effect<Identity>
  /** Checks a token in memory. Returns `undefined` if the store must be asked. */
  readonly check: (identity: Identity, now: number) => Outcome | StoreUnavailable | undefined
  /** Asks the store. `isNew` means that the token was verified for this request. */
  readonly lookUp: (identity: Identity, isNew: boolean) => Effect.Effect<Outcome, StoreUnavailable>
  /** Makes every process verify a token again. */
  readonly invalidate: (text: string) => Effect.Effect<void, StoreUnavailable>
  /** Calls a function after each change of the list in memory. Returns a function that ends this. */
  readonly onChange: (listener: () => void) => () => void
}

// The key is the function `isRevoked`. A custom service has no checker, so its function decides about every request.
const checkers = new WeakMap<RevocationsService["isRevoked"], Checker>()

export const checkerOf = ({ isRevoked }: RevocationsService): Checker | undefined => checkers.get(isRevoked)

const serviceOf = (checker: Checker, revoke: RevocationsService["revoke"]): RevocationsService => {
  const isRevoked: RevocationsService["isRevoked"] = (token, credential) =>
    Effect.clockWith((clock) =>
      Effect.flatMap(checker.identify(token, Redacted.value(credential), checker.changes()), (identity) => {
        const outcome = checker.check(identity, clock.currentTimeMillisUnsafe()) ?? checker.lookUp(identity, true)
        if (outcome instanceof StoreUnavailable) return Effect.fail(outcome)
        return typeof outcome === "string"
          ? Effect.succeed(outcome === "revoked")
          : Effect.map(outcome, (outcome) => outcome === "revoked")
      })
    )
  checkers.set(isRevoked, checker)
  return { isRevoked, revoke }
}

const readLifetime = ({ maxTokenLifetime = "1 day" }: RevocationOptions): Effect.Effect<number, ConfigurationError> => {
  const millis = toMillis(maxTokenLifetime)
  return millis > 0 && millis <= 366 * 24 * 3_600_000
    ? Effect.succeed(millis)
    : refuseOption("maxTokenLifetime", 'must be a duration above 0 and of at most 366 days, such as "1 hour"')
}

const readCapacity = (option: string, capacity: number = 100_000): Effect.Effect<number, ConfigurationError> =>
  Number.isSafeInteger(capacity) && capacity >= 1 && capacity <= 10_000_000
    ? Effect.succeed(capacity)
    : refuseOption(option, "must be a whole number of revocations between 1 and 10000000")

const livesTooLong =
  "A token lives longer than maxTokenLifetime, so a revocation of its subject or session ends before the token expires. Raise the maxTokenLifetime option of the Revocations layer."

/** Identifies tokens, and warns once about a token that outlives the revocations of its subject. */
const identifying = (maxTokenLifetime: number): Checker["identify"] => {
  let isReported = false
  return (token, text, since) =>
    Effect.clockWith((clock) => {
      const left = token.expiresAt.epochMilliseconds - clock.currentTimeMillisUnsafe()
      const identity = identify(token, text, since)
      if (isReported || left <= maxTokenLifetime) return identity
      isReported = true
      return Effect.andThen(Effect.logWarning(livesTooLong), identity)
    })
}

class Listeners {
  readonly #listeners = new Set<() => void>()

  readonly add = (listener: () => void) => {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  readonly notify = (): void => {
    for (const listener of this.#listeners) listener()
  }
}

export const makeMemory = Effect.fnUntraced(function* (
  options: RevocationOptions & { readonly capacity?: number },
  commands: Commands
): Effect.fn.Return<RevocationsService, ConfigurationError> {
  const own = ownProperties(options)
  const maxTokenLifetime = yield* readLifetime(own)
  const list = new RevocationList(yield* readCapacity("capacity", own.capacity))
  const listeners = new Listeners()
  const add = (entry: Effect.Effect<Entry>) =>
    Effect.flatMap(entry, (entry) =>
      Effect.clockWith((clock) => {
        if (!list.add(entry, clock.currentTimeMillisUnsafe())) return Effect.fail(commands.unavailable("Full"))
        listeners.notify()
        return Effect.void
      })
    )
  return serviceOf(
    {
      changes: () => list.changes,
      identify: identifying(maxTokenLifetime),
      check: (identity) => list.check(identity),
      lookUp: (identity) => Effect.sync(() => list.check(identity)),
      invalidate: (text) => add(invalidationOf(text)),
      onChange: listeners.add
    },
    (target) => add(entryOf(target, maxTokenLifetime))
  )
})

/** An invalidation may have happened during a verification if it is not older than this, in milliseconds. */
const maxSkew = 60_000

export const makeShared = Effect.fnUntraced(function* (
  options: SharedOptions,
  commands: Commands,
  backend: Backend
): Effect.fn.Return<RevocationsService, ConfigurationError, Scope.Scope> {
  const own = ownProperties(options)
  const maxTokenLifetime = yield* readLifetime(own)
  const { localCopy = {}, whenUnavailable = "refuse" } = own
  if (whenUnavailable !== "refuse" && whenUnavailable !== "acceptRevokedTokens") {
    return yield* refuseOption("whenUnavailable", "must be refuse or acceptRevokedTokens")
  }
  const context = yield* Effect.context<never>()
  const isOpen = whenUnavailable === "acceptRevokedTokens"
  const unchecked = counter.make(checks, { outcome: "Unchecked" }, context)
  const accept = (): Outcome => {
    unchecked.count++
    return "valid"
  }
  const identify = identifying(maxTokenLifetime)
  const write = (entry: Entry) => commands.run(backend.write(entry))

  if (localCopy === false) {
    return serviceOf(
      {
        changes: () => 0,
        identify,
        check: () => undefined,
        lookUp: (identity, isNew) => {
          const found = Effect.flatMap(commands.run(backend.find(idsOf(identity))), (values) =>
            Effect.clockWith((clock) =>
              Effect.succeed(outcomeOf(identity, values, isNew, clock.currentTimeMillisUnsafe()))
            )
          )
          return isOpen ? Effect.orElseSucceed(found, accept) : found
        },
        invalidate: (text) => Effect.flatMap(invalidationOf(text), write),
        onChange: () => () => {}
      },
      (target) => Effect.flatMap(entryOf(target, maxTokenLifetime), write)
    )
  }

  const { capacity, maxAge: input = "10 seconds" } = ownProperties(localCopy)
  const maxAge = toMillis(input)
  if (!(maxAge >= 1000 && maxAge <= 3_600_000)) {
    return yield* refuseOption("localCopy.maxAge", "must be a duration between 1 second and 1 hour")
  }
  const list = new RevocationList(yield* readCapacity("localCopy.capacity", capacity))
  const listeners = new Listeners()
  const copy = yield* copies.make(backend, list, commands, maxAge, listeners.notify)
  // This process refuses the token at once, also if its subscription is cut.
  const writeAndAdd = (entry: Entry) =>
    Effect.andThen(
      write(entry),
      Effect.clockWith((clock) => {
        list.add(entry, clock.currentTimeMillisUnsafe())
        listeners.notify()
        return Effect.void
      })
    )
  return serviceOf(
    {
      changes: () => list.changes,
      identify,
      check: (identity, now) =>
        copy.isFresh(now) ? list.check(identity) : isOpen ? staleOutcome(list.check(identity), accept) : copy.stale(),
      lookUp: (identity) => Effect.sync(() => list.check(identity)),
      invalidate: (text) => Effect.flatMap(invalidationOf(text), writeAndAdd),
      onChange: listeners.add
    },
    (target) => Effect.flatMap(entryOf(target, maxTokenLifetime), writeAndAdd)
  )
})

/** A stale copy still refuses the tokens that it lists. */
const staleOutcome = (outcome: Outcome, accept: () => Outcome): Outcome => (outcome === "valid" ? accept() : outcome)

/** Reads the values that the store has for a token. */
const outcomeOf = (
  identity: Identity,
  values: ReadonlyArray<string | undefined>,
  isNew: boolean,
  now: number
): Outcome => {
  const ids = idsOf(identity)
  const isRevoked = ids.some((id, i) => {
    const value = values[i]
    return value !== undefined && revokes(id, value, identity)
  })
  if (isRevoked) return "revoked"
  const mark = values[0]
  if (!isNew) return mark === undefined || mark === identity.mark ? "valid" : "invalidated"
  // The verification may have begun before a recent invalidation. The next request then verifies the token again.
  identity.mark = mark !== undefined && Number(mark.split(".")[0]) > now - maxSkew ? "" : mark
  return "valid"
}

/** Counts checks of tokens by outcome. */
export const counters = (context: Context.Context<never>) => ({
  revoked: counter.make(checks, { outcome: "Revoked" }, context),
  unavailable: counter.make(checks, { outcome: "Unavailable" }, context)
})
