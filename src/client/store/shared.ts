/** The options and the rules of a store that several processes share: keys, name, lock, errors. */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { toMillis } from "../../core/duration.ts"
import { refuseOption } from "../../core/refuseOption.ts"
import type { CommandOptions } from "../../stores/commands.ts"
import * as hash from "../../stores/hash.ts"
import * as keyRing from "../../stores/keyRing.ts"
import * as lock from "../../stores/lock.ts"
import type { StoreUnavailable } from "../../stores/storeUnavailable.ts"
import { TokenStoreError } from "../ClientError.ts"
import { type Codec, sealed } from "./content.ts"
import type { Store } from "./model.ts"

/**
 * Options for `TokenStore.layerRedis` and `TokenStore.layerSql`.
 *
 * @category models
 * @since 0.1.0
 */
export interface SharedOptions extends CommandOptions {
  /**
   * A secret of at least 32 bytes, such as the output of `openssl rand -base64 32`, or a list of them. The first one
   * encrypts the grant, and all of them decrypt it. To replace a secret, add the new one in front. Remove the old one
   * when each grant has been renewed.
   */
  readonly keys: keyRing.Secrets
  /** Name of the grant, such as the identifier of the user at your app. Each name has one grant. */
  readonly name: string
  /**
   * Time after which the lock of a crashed process ends, at least 1 second. A process that is paused for longer loses its
   * lock. Other processes wait for the lock one and a half times as long. Default: 30 seconds.
   */
  readonly lease?: Duration.Input
}

export interface Settings {
  readonly times: lock.Times
  readonly codec: Codec
  /** Digest of the name. */
  readonly id: string
}

export const read = Effect.fnUntraced(function* ({ keys, lease, name }: SharedOptions) {
  const ring = yield* keyRing.make("keys", keys, "effect-oauth2 grant")
  if (typeof name !== "string" || name === "") {
    return yield* refuseOption("name", "must be the name of the grant, such as the identifier of the user")
  }
  const timeToLive = toMillis(lease ?? "30 seconds")
  if (!(timeToLive >= 1000 && Number.isFinite(timeToLive))) {
    return yield* refuseOption("lease", 'must be a finite duration of at least 1 second, such as "30 seconds"')
  }
  const id = yield* hash.of("grant", name)
  const settings: Settings = { times: { timeToLive, maxWait: timeToLive * 1.5 }, codec: sealed(ring, id), id }
  return settings
})

/** The commands of a store. Each is one step, so only one of two commands for the same version succeeds. */
export interface Commands {
  /** Returns the version and the encrypted grant. */
  readonly find: Effect.Effect<string | undefined, StoreUnavailable>
  readonly replace: (
    expected: string | undefined,
    version: string,
    text: string
  ) => Effect.Effect<boolean, StoreUnavailable>
  /** Removes the version, or any. */
  readonly remove: (version: string | undefined) => Effect.Effect<boolean, StoreUnavailable>
}

const failed = (operation: TokenStoreError["operation"]) => (cause: unknown) =>
  new TokenStoreError({ operation, cause })

export const make = (
  { codec, id, times }: Settings,
  { find, remove, replace }: Commands,
  leases: lock.Leases
): Store => {
  const { withLock } = lock.make("TokenStore", leases, times)
  return {
    read: Effect.flatMap(find, (text) => (text === undefined ? Effect.succeedNone : codec.decode(text))).pipe(
      Effect.mapError(failed("read"))
    ),
    write: (grant, expected) =>
      Effect.gen(function* () {
        const version = crypto.randomUUID()
        const isReplaced = yield* replace(expected, version, yield* codec.encode({ grant, version }))
        return isReplaced ? Option.some(version) : Option.none()
      }).pipe(Effect.mapError(failed("write"))),
    remove: (version) => Effect.mapError(remove(version), failed("remove")),
    // The errors of the effect are not those of the lock.
    withLock: (self) =>
      Effect.flatMap(Effect.mapError(withLock(id, Effect.result(self)), failed("lock")), Effect.fromResult)
  }
}
